"""Contrastive representation distillation: know the teacher's view of an image among noise.

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T) + β · (NCE(s, bank_t) + NCE(t, bank_s))
    NCE(v, bank) = − log D(v, bank[i]) − Σ_k log(1 − D(v, bank[n_k])),    D = P / (P + K/N)
    P(v, u) = exp(v·u / τ) / Z

s and t are linear embeddings of the two networks' features on the unit sphere. The banks remember
them for all N training images; i is the image itself, n_1 … n_K are images of other classes. Z
makes P about 1/N on average and stays as the first batch gives it.

With bank=false nothing is remembered, and the negatives are the batch's images of other classes:

    L = γ · CE(p_s, y) + α · T² · KL(p_t^T ‖ p_s^T) + β · (NCE(s, t) + NCE(t, s))
    NCE(v, u) = − log exp(v_i·u_i / τ) / (exp(v_i·u_i / τ) + Σ_j exp(v_i·u_j / τ))

as in van den Oord, Li, Vinyals, "Representation Learning with Contrastive Predictive Coding",
arXiv:1807.03748.

Tian, Krishnan, Isola, "Contrastive Representation Distillation", arXiv:1910.10699.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from benchmark import Batch, Context, Later, Outputs, Terms, register

from ._contrast import ContrastiveLoss, InBatchLoss
from ._negatives import OtherClasses
from ._with_kd import WithKD


@register("crd", family="contrastive", paper="arXiv:1910.10699", needs={"embedding"})
class CRD(WithKD):
    crd_weight: float = 0.8  # β
    nce_temperature: Annotated[float, Field(ge=0.02)] = 0.07  # exp(2/τ) must fit into float32
    negatives: Annotated[int, Field(ge=1)] = 16384  # K
    feature_dim: Annotated[int, Field(ge=1)] = 128  # D
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.5
    bank: Annotated[bool, Later] = True  # false: negatives from the batch

    def build(self, context: Context) -> None:
        if not self.crd_weight:
            return
        widths = context.student.embedding_dim, context.teacher.embedding_dim
        dim, temperature = self.feature_dim, self.nce_temperature
        self.contrast: ContrastiveLoss | InBatchLoss
        if not self.bank:
            self.contrast = InBatchLoss(*widths, dim, temperature)
            return
        self.noise = OtherClasses(context.labels)
        count = min(self.negatives, self.noise.fewest)
        n_data = len(context.labels)
        self.contrast = ContrastiveLoss(*widths, n_data, dim, count, temperature, self.momentum)

    def method_terms(self, batch: Batch, student: Outputs, teacher: Outputs) -> Terms:
        """The term β · (NCE + NCE), or none if its weight is 0."""
        if not self.crd_weight:
            return {}
        views = student.embedding, teacher.embedding
        if isinstance(self.contrast, InBatchLoss):
            crd = self.contrast(*views, batch.classes)
        else:
            negatives = self.noise.draw(batch.index, self.contrast.negatives)
            crd = self.contrast(*views, batch.index, negatives)
        return {"crd": self.crd_weight * crd}
