"""SimKD: the student is its teacher's classifier on a projection of its own features.

    L = β · mean (P(F_s) − F_t)² + γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T)
    p_s = softmax(W_t · spatial mean of P(F_s) + b_t)

P is a trained bottleneck of three convolutions. F are the features whose spatial mean the
classifiers see, the larger ones averaged to the size of the smaller; W_t and b_t are frozen. The
student's own classifier is removed; the projector and the teacher's classifier stay at deployment.
P ends in a ReLU, but not where the teacher's features may be negative (ConvNeXt, Swin, ViT,
EfficientNet, MobileNetV3), which it could not reach.
The paper's code takes the last stage's map also where layers follow (MobileNetV2, ShuffleV2).

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
    FrozenHead,
    Network,
    Outputs,
    Terms,
    at_every_position,
    register,
    remove_classifier,
)

from ._layers import conv_bn, last_activation
from ._maps import pooled, to_smaller
from ._with_kd import WithKD


@register("simkd", family="head", paper="arXiv:2203.14001", version=2, needs={"maps"})
class SimKD(WithKD):
    ce_weight: float = 0.0  # γ
    simkd_weight: float = 1.0  # β
    reduction: Annotated[int, Field(ge=1)] = 2  # of the teacher's width inside the projector

    def adapt(self, network: Network, roles: Mapping[str, Network]) -> Network:
        return Projected(network, roles["teacher"], self.reduction)

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        loss = F.mse_loss(*to_smaller(student.features, teacher.features))
        return {"simkd": self.simkd_weight * loss}


class Projected(Network):
    """A network whose features are projected to the teacher's and classified by its classifier.

    Args:
        network: the network to take over; its own classifier is removed.
        teacher: the shape of its features and its classifier are used.
        reduction: the teacher's width over the projector's inner width.
    """

    def __init__(self, network: Network, teacher: Network, reduction: int) -> None:
        super().__init__()
        width, height_t, width_t = teacher.feature_shape
        inputs, height_s, width_s = network.feature_shape
        self.size = min(height_s, height_t), min(width_s, width_t)
        inner = max(width // reduction, 1)
        self.projector = nn.Sequential(
            *conv_bn(inputs, inner),
            nn.ReLU(),
            *conv_bn(inner, inner, kernel=3),
            nn.ReLU(),
            *conv_bn(inner, width),
            *last_activation(signed=teacher.signed_features),
        )
        self.head = FrozenHead(teacher.classifier, width)
        remove_classifier(network)
        self.network = network
        self.embedding_dim = width
        self.stage_shapes, self.has_stem = network.stage_shapes, network.has_stem
        self.signed_maps, self.signed_features = network.signed_maps, teacher.signed_features

    @property
    def feature_shape(self) -> tuple[int, int, int]:
        """Of the projected features."""
        return self.embedding_dim, *self.size

    @property
    def classifier(self) -> nn.Linear:
        """The teacher's, frozen."""
        return self.head.classifier

    def forward(self, images: Tensor, *, maps: bool = False, class_maps: bool = False) -> Outputs:
        """Classify images (B, 3, H, W); the features are the projected ones."""
        outputs: Outputs = self.network(images, maps=True)
        features = self.projector(pooled(outputs.features, self.size))
        embedding = features.mean(dim=(2, 3))
        logits = self.head(embedding)
        by_position = at_every_position(self.head, features) if class_maps else None
        if not maps:
            return Outputs(logits, embedding, maybe_class_maps=by_position)
        return replace(
            outputs,
            logits=logits,
            embedding=embedding,
            maybe_features=features,
            maybe_class_maps=by_position,
        )
