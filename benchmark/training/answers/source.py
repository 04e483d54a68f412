"""What an answer of a teacher depends on, beside its place in the training."""

from __future__ import annotations

from typing import Any

import torch

from benchmark.networks.outputs import Network
from benchmark.records.canonical import digest
from benchmark.records.schema import Engine
from benchmark.training.answers.keep import Exactness
from benchmark.training.keeping.sealed import digest_of
from benchmark.training.supply import Supply


def key_of(
    network: Network, identity: str, supply: Supply, engine: Engine, exactness: Exactness
) -> str:
    """A digest of all that decides what a network says in an epoch and step of a training.

    The student, its recipe and the number of epochs are not among it: augmentation is a function of
    (seed, epoch, position), and a longer training begins as a shorter one does.

    Args:
        network: that answers, as it was trained.
        identity: of the run that trained it.
        supply: of the batches.
        engine: that computes it.
        exactness: with which it is kept.
    """
    data, protocol, pictures = supply.data, supply.protocol, supply.data.pictures
    source = data.card.source.model_dump(mode="json", exclude={"local"}, exclude_none=True)
    mixed = {"mixup": protocol.mixup, "cutmix": protocol.cutmix}
    parts: dict[str, Any] = {
        "teacher": [type(network).__qualname__, identity, digest_of(network.state_dict())],
        "data": [data.card.name, source, list(data.version), protocol.validation],
        "pictures": [pictures.size, pictures.mean, pictures.std],
        "augmentation": [one.model_dump(mode="json") for one in pictures.augmentation],
        "batches": [type(supply.loader).__name__, supply.seed, protocol.batch_size, mixed],
        # Sums of another kind of processor differ in their last bits.
        "engine": engine.model_dump(mode="json"),
        "processor": torch.backends.cpu.get_cpu_capability(),
        "exactness": exactness,
    }
    return digest(parts)
