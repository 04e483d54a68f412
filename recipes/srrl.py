"""SRRL: the teacher's classifier says of the student's features what it says of the teacher's.

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T)
        + β · mean (h − e_t)² + δ · mean (W_t h + b_t − z_t)²
    h = spatial mean of ReLU(BN(conv_1×1(F_s)))

F_s are the features whose spatial mean the student classifies, e_t and z_t are the teacher's
embedding and logits, W_t and b_t its frozen classifier. The convolution and the normalisation are
trained with the student. The ReLU is left out where the teacher's features may be negative
(ConvNeXt, Swin, ViT, EfficientNet, MobileNetV3), which it could not reach.

Yang et al., "Knowledge Distillation via Softmax Regression Representation Learning", ICLR 2021,
https://openreview.net/forum?id=ZzwDy_wiWv.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import nn

from benchmark import Batch, Context, FrozenHead, Outputs, Terms, register

from ._layers import conv_bn, last_activation
from ._with_kd import WithKD


@register("srrl", family="head", paper="ICLR 2021", version=2, needs={"embedding", "maps"})
class SoftmaxRegression(WithKD):
    feature_weight: float = 1.0  # β
    regression_weight: float = 1.0  # δ

    def build(self, context: Context) -> None:
        widths = context.student.embedding_dim, context.teacher.embedding_dim
        activation = last_activation(signed=context.teacher.signed_features)
        self.connector = nn.Sequential(conv_bn(*widths), *activation)
        self.head = FrozenHead(context.roles["teacher"].classifier, context.teacher.embedding_dim)

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        features = self.connector(student.features).mean(dim=(2, 3))
        feature = F.mse_loss(features, teacher.embedding)
        regression = F.mse_loss(self.head(features), teacher.logits)
        return {
            "feature": self.feature_weight * feature,
            "regression": self.regression_weight * regression,
        }
