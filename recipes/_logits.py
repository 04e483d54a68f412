"""What the logit methods share: the logits that they compare."""

from __future__ import annotations

from torch import Tensor

from benchmark import Outputs

EPS = 1e-7


def compared(student: Outputs, teacher: Outputs, *, standardise: bool) -> tuple[Tensor, Tensor]:
    """The student's and the teacher's logits (B, K) as they are, or standardised."""
    if standardise:
        return standardised(student.logits), standardised(teacher.logits)
    return student.logits, teacher.logits


def standardised(logits: Tensor) -> Tensor:
    """Logits (B, K) less their mean, over their standard deviation (arXiv:2403.01427)."""
    centred = logits - logits.mean(dim=1, keepdim=True)
    return centred / (logits.std(dim=1, keepdim=True) + EPS)
