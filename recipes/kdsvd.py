"""Distillation of singular vectors: how the main directions of the maps change between stages.

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T) + β / B · Σ_l Σ (R_s^l − R_t^l)²
    R^l = exp(−(v^l − v^{l−1})² / 8), for all pairs of channels of stage l and of the stage before

v_t is the first right singular vector of a map (H·W, C) of the teacher. v_s is the one of the
student's first four that is nearest to it, with its sign. A channel of the student is compared with
the same channel of the teacher, so both need equal widths at every stage.

Lee, Kim, Song, "Self-supervised Knowledge Distillation Using Singular Value Decomposition",
arXiv:1807.06819, in the form of the benchmark of arXiv:1910.10699. That benchmark gives no weight
for it; 1 is its default.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from benchmark import Batch, Outputs, Proposal, Terms, register

from ._maps import stage_pairs
from ._with_kd import WithKD

CANDIDATES = 4  # directions of the student among which the teacher's is looked for
EPS = 1e-5  # singular values squared that are nearer than this, of the largest, count as equal


@register("kdsvd", family="features", paper="arXiv:1807.06819", needs={"maps"})
class SingularVectors(WithKD):
    svd_weight: float = 1.0  # β

    def refuse(self, proposal: Proposal) -> str | None:
        pairs = stage_pairs(proposal.student.stages, proposal.teacher.stages)
        widths_s, widths_t = ([shape[0] for shape in shapes] for shapes in zip(*pairs, strict=True))
        if widths_s != widths_t:
            return (
                f"KDSVD compares channel with channel; the student's stages have {widths_s} "
                f"channels, the teacher's {widths_t}"
            )
        return "KDSVD compares stages with each other; there is one" if len(pairs) < 2 else None

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        pairs = stage_pairs(student.stages, teacher.stages)
        return {"svd": self.svd_weight * svd_loss(*zip(*pairs, strict=True))}


def svd_loss(maps_s: Sequence[Tensor], maps_t: Sequence[Tensor]) -> Tensor:
    """Squared difference of the relations between neighbouring stages, batch mean.

    The sign of a teacher's vector is the one that the singular value decomposition gives it. It is
    arbitrary, and the loss depends on it, as in the reference.

    Args:
        maps_s: student maps (B, C, H, W) of at least two stages.
        maps_t: teacher maps of the same stages, with equal channels.
    """
    vectors = []
    for map_s, map_t in zip(maps_s, maps_t, strict=True):
        v_t = right_vectors(map_t, 1)
        vectors.append((nearest(right_vectors(map_s, CANDIDATES), v_t), v_t))
    losses = []
    for (below_s, below_t), (v_s, v_t) in pairwise(vectors):
        losses.append((relation(v_s, below_s) - relation(v_t, below_t)).square().sum())
    return torch.stack(losses).sum() / len(maps_s[0])


def right_vectors(image: Tensor, count: int) -> Tensor:
    """The first right singular vectors (B, C, count) of maps (B, C, H, W) as (B, H·W, C).

    The gradient is that of the vectors asked for alone. Autograd's, through the whole
    decomposition, is infinite as soon as two other singular values are equal, as those of two
    dead channels are.
    """
    matrix = image.flatten(2).transpose(1, 2)
    with torch.no_grad():
        _, values, rows = torch.linalg.svd(matrix, full_matrices=False)
        values, vectors = values.square(), rows.transpose(1, 2)
        first, top = vectors[:, :, :count], values[:, None, :count]
        smallest = (EPS * values[:, :1, None]).square() + torch.finfo(values.dtype).tiny
        gaps = top - values[:, :, None]
        inside, outside = gaps / (gaps.square() + smallest), top / (top.square() + smallest)
    # First-order perturbation of the eigenvectors of MᵀM: the value is 0, the gradient is not.
    product = matrix.transpose(1, 2) @ (matrix @ first)
    parts = vectors.transpose(1, 2) @ product
    shift = vectors @ (inside * parts) + outside * (product - vectors @ parts)
    result: Tensor = first + shift - shift.detach()
    return result


def nearest(candidates: Tensor, v_t: Tensor) -> Tensor:
    """Of some vectors (B, C, n), the one (B, C, 1) with the largest |cosine| to v_t, towards it."""
    cosine = candidates.transpose(1, 2) @ v_t.detach()
    best = cosine.abs() == cosine.abs().amax(dim=1, keepdim=True)
    return candidates @ (cosine.sign() * best).detach()


def relation(upper: Tensor, lower: Tensor) -> Tensor:
    """exp(−(v − w)² / 8) of all channels of two stages, (B, C, C')."""
    return (-(upper - lower.transpose(1, 2)).square() / 8).exp()
