"""Flow of the solution procedure: how a stage follows from the one before it is the teacher's.

    first   L = β · Σ_l mean (G(F_s^{l−1}, F_s^l) − G(F_t^{l−1}, F_t^l))²
    then    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T)

    G(F, F')_cd = mean over the positions of F_c · F'_d

F^l are the maps of stem and stages; the larger one of two neighbours is averaged to the size of the
smaller. Channels are compared one by one, so both networks need equal widths. The first stage
trains the student without its classifier, for first_stage · the protocol's epochs, which it adds to
them.

Yim et al., "A Gift from Knowledge Distillation: Fast Optimization, Network Minimization and
Transfer Learning", CVPR 2017; stages as in arXiv:1910.10699. The β = 50 given there stands before a
term that its code has in neither stage; its first stage minimises the plain sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark import Batch, Outputs, Proposal, Terms, register

from ._first_stage import WithFirstStage
from ._maps import to_smaller


@register("fsp", family="relations", paper="CVPR 2017", needs={"maps"})
class SolutionFlow(WithFirstStage):
    fsp_weight: float = 1.0  # β

    def refuse(self, proposal: Proposal) -> str | None:
        networks = proposal.student, proposal.teacher
        widths_s, widths_t = ([shape[0] for shape in network.stage_shapes] for network in networks)
        if widths_s != widths_t:
            return (
                f"FSP compares channel with channel; the student's stem and stages have {widths_s} "
                f"channels, the teacher's {widths_t}"
            )
        if proposal.student.has_stem != proposal.teacher.has_stem:
            return "FSP begins with the stem, and one of the networks does not show its own"
        return None

    def first_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        return {"fsp": self.fsp_weight * fsp_loss(student.maps, teacher.maps)}


def fsp_loss(maps_s: Sequence[Tensor], maps_t: Sequence[Tensor]) -> Tensor:
    """Mean squared difference of the flows between neighbours, summed over them.

    Args:
        maps_s: student maps (B, C, H, W), at least two.
        maps_t: teacher maps with the same channels; height and width may differ.
    """
    flows_s, flows_t = (list(map(flow, *zip(*pairwise(m), strict=True))) for m in (maps_s, maps_t))
    losses = [F.mse_loss(s, t) for s, t in zip(flows_s, flows_t, strict=True)]
    return torch.stack(losses).sum()


def flow(below: Tensor, above: Tensor) -> Tensor:
    """Mean products (B, C, C') of all channels of two maps over the positions."""
    below, above = to_smaller(below, above)
    positions = below.shape[2] * below.shape[3]
    return below.flatten(2) @ above.flatten(2).transpose(1, 2) / positions
