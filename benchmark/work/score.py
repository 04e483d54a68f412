"""Weights that a user brought, checked by evaluating them."""

from __future__ import annotations

import time

from benchmark.data.loaders.choice import make_loader
from benchmark.errors import NetworkError
from benchmark.events import Listener
from benchmark.matrix.run import ImportedRun
from benchmark.networks.cost import count_macs, count_parameters
from benchmark.networks.inference import inference_copy
from benchmark.records.schema import Cost
from benchmark.training.cost import peak_memory_mb
from benchmark.training.ending import Finished
from benchmark.training.examining.evaluation import score
from benchmark.training.supply import EVALUATION_BATCH
from benchmark.work.place import Place
from benchmark.work.roles import brought_network


def score_weights(run: ImportedRun, place: Place, listener: Listener) -> Finished:
    """Metrics of a trained network on the test set, in float32.

    Raises:
        NetworkError: the weights do not fit, or their predictions are not finite.
        DataError: the data are missing, damaged, or not what the card says.
    """
    data = place.data_of(run.card, run.protocol, listener)
    accelerator = place.accelerator
    network = brought_network(run).eval().requires_grad_(False)
    begun = time.perf_counter()
    copy = inference_copy(network).to(accelerator.device)
    loader = make_loader(
        data.test, data.pictures, batch_size=EVALUATION_BATCH, seed=0, device=accelerator.device,
        shard=(accelerator.process_index, accelerator.num_processes), train=False,
    )  # fmt: skip
    metrics = score(
        lambda images: copy(images).logits,
        loader,
        classes=data.pictures.classes,
        accelerator=accelerator,
    )
    seconds = time.perf_counter() - begun
    if metrics is None:
        raise NetworkError(f"the weights in {run.weights} give predictions that are not finite")
    cost = Cost(
        parameters=count_parameters([network]),
        macs=count_macs(network, data.pictures.shape),
        training_parameters=0,
        recipe_parameters=0,
        train_seconds=0.0,
        evaluation_seconds=seconds,
        group_seconds=0.0,
        images_per_s=0.0,
        peak_memory_mb=peak_memory_mb(accelerator.device),
    )
    return Finished(metrics, cost)
