"""Metrics on the test set, from sums that processes can add without counting an image twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import functional as F

from benchmark.data.loaders.choice import Loader

BINS = 15


@dataclass(frozen=True)
class Scores:
    """Results on one split; percentages are written as such.

    Attributes:
        top1, top5: accuracy.
        mean_per_class: mean of the accuracies of the classes.
        nll: mean negative log-likelihood in nats.
        ece: expected calibration error over 15 equal bins of confidence (Guo et al.,
            arXiv:1706.04599).
        agreement: share of images on which it predicts as the teacher does.
        images: number of images.
    """

    top1: float
    top5: float
    mean_per_class: float
    nll: float
    ece: float
    agreement: float | None
    images: int


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

    def scores(self, accelerator: Accelerator) -> Scores:
        """Metrics over all processes."""
        by_class, sums, bins = (
            accelerator.reduce(part, reduction="sum").cpu()
            for part in (self.by_class, self.sums, self.bins)
        )
        images = int(by_class[1].sum())
        seen = by_class[1] > 0
        return Scores(
            top1=100 * float(by_class[0].sum()) / images,
            top5=100 * float(sums[0]) / images,
            mean_per_class=100 * float((by_class[0][seen] / by_class[1][seen]).mean()),
            nll=float(sums[1]) / images,
            ece=100 * float((bins[1] - bins[2]).abs().sum()) / images,
            agreement=None if self.reference is None else 100 * float(sums[2]) / images,
            images=images,
        )


@torch.no_grad()
def evaluate(
    predictors: Sequence[Callable[[Tensor], Tensor | None]],
    loader: Loader,
    *,
    classes: int,
    accelerator: Accelerator,
    references: Sequence[Tensor | None],
) -> list[Scores | None]:
    """Score several networks on the same batches, in float32.

    Args:
        predictors: images (B, 3, H, W) to logits (B, K), in eval mode; None gives the network up.
        loader: of the split, without augmentation.
        classes: number of classes.
        accelerator: whose processes share the work.
        references: for each network (N,) the teacher's predictions by position, or None.
    """
    tallies = [Tally(classes, accelerator.device, reference) for reference in references]
    given_up: set[int] = set()
    for batch in loader.epoch(0):
        if batch.weight == 0:
            continue
        for number, (predict, tally) in enumerate(zip(predictors, tallies, strict=True)):
            logits = predict(batch.images)
            if logits is None:
                given_up.add(number)
            else:
                tally.add(logits.float(), batch.labels, batch.index)
    return [
        None if number in given_up else tally.scores(accelerator)
        for number, tally in enumerate(tallies)
    ]


@torch.no_grad()
def predictions(
    predict: Callable[[Tensor], Tensor], loader: Loader, *, images: int, device: torch.device
) -> Tensor:
    """Predicted classes (N,) by position; positions of other processes' shares stay -1."""
    predicted = torch.full((images,), -1, dtype=torch.int64, device=device)
    for batch in loader.epoch(0):
        if batch.weight > 0:
            predicted[batch.index] = predict(batch.images).argmax(dim=1)
    return predicted
