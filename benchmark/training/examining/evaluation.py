"""Metrics on the test set, from sums that processes can add without counting an image twice."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import functional as F

from benchmark.data.loaders.choice import Loader
from benchmark.networks.outputs import Outputs
from benchmark.records.schema import EvaluatedSplit, Metrics

BINS = 15


class Tally:
    """Adds up batches on the device; one synchronisation at the end.

    Args:
        classes: number of classes K.
        device: of the logits.
        reference: (N,) classes predicted by the teacher, by position; None without a teacher.
    """

    def __init__(self, classes: int, device: torch.device, reference: Tensor | None) -> None:
        self.reference = reference
        self.by_class = torch.zeros(2, classes, dtype=torch.float64, device=device)
        self.sums = torch.zeros(3, dtype=torch.float64, device=device)
        self.bins = torch.zeros(3, BINS, dtype=torch.float64, device=device)

    def add(self, logits: Tensor, labels: Tensor, index: Tensor) -> None:
        """Count one batch of logits (B, K), labels (B,) and positions (B,)."""
        log_p = F.log_softmax(logits, dim=1)
        confidence, predicted = log_p.max(dim=1)
        right = (predicted == labels).double()
        self.by_class[0].index_add_(0, labels, right)
        self.by_class[1].index_add_(0, labels, torch.ones_like(right))
        true = log_p.gather(1, labels[:, None])
        self.sums[0] += ((log_p > true).sum(dim=1) < 5).sum()
        self.sums[1] -= true.sum(dtype=torch.float64)
        if self.reference is not None:
            self.sums[2] += (predicted == self.reference[index]).sum()
        share = confidence.exp().double()
        place = (share * BINS).long().clamp_(0, BINS - 1)
        self.bins[0].index_add_(0, place, torch.ones_like(share))
        self.bins[1].index_add_(0, place, share)
        self.bins[2].index_add_(0, place, right)

    def metrics(self, accelerator: Accelerator, split: EvaluatedSplit) -> Metrics | None:
        """Metrics over all processes; None if the predictions are not finite.

        Args:
            accelerator: whose processes share the work.
            split: that was evaluated.
        """
        by_class, sums, bins = (
            accelerator.reduce(part, reduction="sum").cpu()
            for part in (self.by_class, self.sums, self.bins)
        )
        images = int(by_class[1].sum())
        seen = by_class[1] > 0
        nll = float(sums[1]) / images
        if not math.isfinite(nll):
            return None
        return Metrics(
            top1=100 * float(by_class[0].sum()) / images,
            top5=100 * float(sums[0]) / images,
            mean_per_class=100 * float((by_class[0][seen] / by_class[1][seen]).mean()),
            nll=nll,
            ece=100 * float((bins[1] - bins[2]).abs().sum()) / images,
            agreement=None if self.reference is None else 100 * float(sums[2]) / images,
            evaluated_on=split,
            images=images,
        )


@torch.no_grad()
def score(
    predict: Callable[[Tensor], Tensor], loader: Loader, *, classes: int, accelerator: Accelerator
) -> Metrics | None:
    """Metrics of one network on the test set, in float32; None if they are not finite.

    Args:
        predict: images (B, 3, H, W) to logits (B, K), in eval mode.
        loader: of the test set, without augmentation.
        classes: number of classes.
        accelerator: whose processes share the work.
    """
    tally = Tally(classes, accelerator.device, reference=None)
    for batch in loader.epoch(0):
        if batch.weight > 0:
            tally.add(predict(batch.images).float(), batch.labels, batch.index)
    return tally.metrics(accelerator, "test")


@torch.no_grad()
def predictions(
    network: Callable[[Tensor], Outputs], loader: Loader, *, images: int, device: torch.device
) -> Tensor:
    """Predicted classes (N,) by position; positions of other processes' shares stay -1."""
    predicted = torch.full((images,), -1, dtype=torch.int64, device=device)
    for batch in loader.epoch(0):
        if batch.weight > 0:
            predicted[batch.index] = network(batch.images).logits.argmax(dim=1)
    return predicted
