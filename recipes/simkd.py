"""SimKD: the student is its teacher's classifier on a projection of its own last map.

    L = β · mean (P(F_s) − F_t)² + γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T)
    p_s = softmax(W_t · spatial mean of P(F_s) + b_t)

P is a trained bottleneck of three convolutions, F are the last maps, the larger one averaged to the
size of the smaller; W_t and b_t are frozen. The student's own classifier is removed; the projector
and the teacher's classifier stay at deployment. A student with layers behind its last map
(MobileNetV2, ShuffleV2) gives its embedding as a map of one position, as the paper's code does not.

Chen et al., "Knowledge Distillation with the Reused Teacher Classifier", arXiv:2203.14001; only the
first term has a weight there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from benchmark import (
    Batch,
    Context,
    FrozenHead,
    Network,
    Outputs,
    Terms,
    register,
    remove_classifier,
)

from ._layers import conv_bn
from ._maps import pooled, to_smaller
from ._with_kd import WithKD


@register("simkd", family="head", paper="arXiv:2203.14001", needs={"maps"})
class SimKD(WithKD):
    ce_weight: float = 0.0
    simkd_weight: float = 1.0
    reduction: Annotated[int, Field(ge=1)] = 2  # of the teacher's width inside the projector

    def refuse(self, context: Context) -> str | None:
        width, last = context.teacher.embedding_dim, context.teacher.stage_shapes[-1][0]
        if width != last:
            return (
                "SimKD needs a teacher that classifies the spatial mean of its last map; this one "
                f"has {last} channels there and {width} features before its classifier"
            )
        return None

    def adapt(self, network: Network, roles: Mapping[str, Network]) -> Network:
        return Projected(network, roles["teacher"], self.reduction)

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        loss = F.mse_loss(*to_smaller(student.maps[-1], teacher.maps[-1]))
        return {"simkd": self.simkd_weight * loss}


class Projected(Network):
    """A network whose last map is projected to the teacher's and classified by its classifier.

    Args:
        network: the network to take over; its own classifier is removed.
        teacher: whose last map's shape and whose classifier are used.
        reduction: the teacher's width over the projector's inner width.
    """

    def __init__(self, network: Network, teacher: Network, reduction: int) -> None:
        super().__init__()
        width, *size_t = teacher.stage_shapes[-1]
        inputs, *size_s = network.stage_shapes[-1]
        self.has_tail = network.embedding_dim != inputs
        self.size = [1, 1] if self.has_tail else [min(s) for s in zip(size_s, size_t, strict=True)]
        inner = max(width // reduction, 1)
        self.projector = nn.Sequential(
            *conv_bn(network.embedding_dim, inner),
            nn.ReLU(),
            *conv_bn(inner, inner, kernel=3),
            nn.ReLU(),
            *conv_bn(inner, width),
            nn.ReLU(),
        )
        self.head = FrozenHead(teacher.classifier, width)
        remove_classifier(network)
        self.network = network
        self.embedding_dim = width
        self.stage_shapes = (*network.stage_shapes[:-1], (width, *self.size))

    @property
    def classifier(self) -> nn.Linear:
        """The teacher's, frozen."""
        return self.head.classifier

    def forward(self, images: Tensor, *, maps: bool = False) -> Outputs:
        """Classify images (B, 3, H, W); the last of the maps is the projected one."""
        outputs = self.network(images, maps=True)
        last = outputs.embedding[:, :, None, None] if self.has_tail else outputs.maps[-1]
        last = self.projector(pooled(last, self.size))
        embedding = last.mean(dim=(2, 3))
        logits = self.head(embedding)
        if not maps:
            return Outputs(logits, embedding)
        return replace(outputs, logits=logits, embedding=embedding, maps=(*outputs.maps[:-1], last))
