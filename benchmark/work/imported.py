"""Weights that the user brought: checked by evaluating them."""

from __future__ import annotations

import time

from accelerate import Accelerator

from benchmark.data.loaders.choice import make_loader
from benchmark.data.splits import DataSet
from benchmark.networks.inference import inference_copy
from benchmark.networks.outputs import Network
from benchmark.training.evaluation import Scores, evaluate
from benchmark.training.loop import EVALUATION_BATCH


def score_weights(
    network: Network, data: DataSet, accelerator: Accelerator
) -> tuple[Scores, float]:
    """Scores of a trained network on the test set, in float32, and the seconds they took."""
    begun = time.perf_counter()
    copy = inference_copy(network).to(accelerator.device)
    loader = make_loader(
        data.test, data.pictures, batch_size=EVALUATION_BATCH, seed=0, device=accelerator.device,
        shard=(accelerator.process_index, accelerator.num_processes), train=False,
    )  # fmt: skip
    [scores] = evaluate(
        [lambda images: copy(images).logits],
        loader,
        classes=data.pictures.classes,
        accelerator=accelerator,
        references=[None],
    )
    assert scores is not None
    return scores, time.perf_counter() - begun
