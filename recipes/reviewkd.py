"""Knowledge review: every level of the teacher is learnt from all deeper levels of the student.

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T) + min(t / warmup, 1) · β · Σ_l HCL(out^l, F_t^l)
    r^l = a^l · conv_1×1(F_s^l) + b^l · r^{l+1},    out^l = conv_3×3(r^l)

a^l and b^l are attention maps of a convolution over both summands, r^{l+1} is enlarged to the size
of level l. HCL compares maps whole and averaged to 4×4, 2×2 and 1×1. Levels are the stages and the
embedding; of the teacher before, of the student after the activation. t is the share of the
training that is done; 20 of 240 epochs are the warm-up.

Chen et al., "Distilling Knowledge via Knowledge Review", arXiv:2104.09044; β was tuned per pair,
from 0.6 to 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from benchmark import Batch, Context, Outputs, Terms, register

from ._layers import conv_bn
from ._maps import pooled, stage_pairs
from ._warmup import warmed_up
from ._with_kd import WithKD

WIDEST = 512
POOLED_SIZES = (4, 2, 1)


@register("reviewkd", family="features", paper="arXiv:2104.09044", needs={"embedding", "maps"})
class KnowledgeReview(WithKD):
    review_weight: float = 5.0  # β
    warmup: Annotated[float, Field(ge=0, le=1)] = 1 / 12

    def build(self, context: Context) -> None:
        s, t = context.student, context.teacher
        pairs = [(a[0], b[0]) for a, b in stage_pairs(s.stages, t.stages)]
        pairs.append((s.embedding_dim, t.embedding_dim))
        width = min(WIDEST, s.embedding_dim)
        deepest = len(pairs) - 1
        self.levels = nn.ModuleList(
            Fusion(*pair, width, fuses=level < deepest) for level, pair in enumerate(pairs)
        )

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        pairs = stage_pairs(student.stages, teacher.stage_preactivations)
        embed_s, embed_t = (net.embedding[:, :, None, None] for net in (student, teacher))
        pairs.append((embed_s, embed_t))
        outputs, review = [], None
        for level, (map_s, map_t) in reversed(list(zip(self.levels, pairs, strict=True))):
            output, review = level(map_s, review, map_t.shape[2:])
            outputs.append(output)
        weight = self.review_weight * warmed_up(batch.progress, self.warmup)
        loss = hcl_loss(outputs[::-1], [map_t for _, map_t in pairs])
        return {"review": weight * loss}


class Fusion(nn.Module):
    """Attention based fusion: one level of the student with the review of the deeper ones."""

    def __init__(self, channels_s: int, channels_t: int, width: int, *, fuses: bool) -> None:
        super().__init__()
        self.enter, self.leave = conv_bn(channels_s, width), conv_bn(width, channels_t, kernel=3)
        for convolution in (self.enter[0], self.leave[0]):
            nn.init.kaiming_uniform_(convolution.get_parameter("weight"), a=1)
        if fuses:
            self.attention = nn.Sequential(nn.Conv2d(2 * width, 2, 1), nn.Sigmoid())

    def forward(
        self, map_s: Tensor, deeper: Tensor | None, size: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """The level in the teacher's shape, and its review for the next level.

        Args:
            map_s: the student's map, (B, channels_s, H, W).
            deeper: review of the deeper level, (B, width, h, w); None at the deepest.
            size: height and width of the teacher's map.
        """
        review = self.enter(map_s)
        if deeper is not None:
            deeper = F.interpolate(deeper, review.shape[2:])
            own, other = self.attention(torch.cat([review, deeper], dim=1)).split(1, dim=1)
            review = own * review + other * deeper
        review = F.interpolate(review, size)
        return self.leave(review), review


def hcl_loss(maps_s: Sequence[Tensor], maps_t: Sequence[Tensor]) -> Tensor:
    """Hierarchical context loss: squared differences at several sizes, summed over the levels.

    Args:
        maps_s: the student's levels, (B, C, H, W) each.
        maps_t: the teacher's, of the same shapes, without gradient.
    """
    losses = []
    for map_s, map_t in zip(maps_s, maps_t, strict=True):
        sizes = [size for size in POOLED_SIZES if size < map_s.shape[2]]
        weights = [0.5**halved for halved in range(len(sizes) + 1)]
        loss = F.mse_loss(map_s, map_t)
        for size, weight in zip(sizes, weights[1:], strict=True):
            square = size, size
            loss = loss + weight * F.mse_loss(pooled(map_s, square), pooled(map_t, square))
        losses.append(loss / sum(weights))
    return torch.stack(losses).sum()
