"""The contrastive losses of CRD: against two banks of remembered views, or within the batch."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark import gather, product_of_rows

EPS = 1e-7


class ContrastiveLoss(nn.Module):
    """Both directions of NCE, each against the other network's bank.

    Scores are one product with the whole bank and a gather, and the gradient is found at once:
    (B, K, D) tensors are never made, and the banks may change before the backward pass.

    Args:
        student_dim: width of the student's embedding.
        teacher_dim: width of the teacher's embedding.
        n_data: number of training images N.
        feature_dim: width D of the common space.
        negatives: number K of negatives per image.
        temperature: τ.
        momentum: what a bank's row keeps of its old value.

    Attributes:
        student_bank: the student's remembered view of every training image, (N, D).
        teacher_bank: the teacher's.
        z: Z of the student's scores and of the teacher's, (2,).
        z_is_fixed: whether a first batch has set it.
    """

    student_bank: Tensor
    teacher_bank: Tensor
    z: Tensor
    z_is_fixed: Tensor

    def __init__(
        self,
        student_dim: int,
        teacher_dim: int,
        n_data: int,
        feature_dim: int = 128,
        negatives: int = 16384,
        temperature: float = 0.07,
        momentum: float = 0.5,
    ) -> None:
        super().__init__()
        self.negatives, self.temperature, self.momentum = negatives, temperature, momentum
        self.student_embed = nn.Linear(student_dim, feature_dim)
        self.teacher_embed = nn.Linear(teacher_dim, feature_dim)
        bound = math.sqrt(3 / feature_dim)  # rows of about unit length
        for name in ("student_bank", "teacher_bank"):
            self.register_buffer(name, torch.empty(n_data, feature_dim).uniform_(-bound, bound))
        self.register_buffer("z", torch.zeros(2))
        self.register_buffer("z_is_fixed", torch.zeros((), dtype=torch.bool))

    def forward(self, embed_s: Tensor, embed_t: Tensor, index: Tensor, negatives: Tensor) -> Tensor:
        """The loss, a scalar; updates the banks.

        Args:
            embed_s: student embeddings, (B, student_dim).
            embed_t: teacher embeddings, (B, teacher_dim).
            index: (B,) int64, positions of the images in the training set.
            negatives: (B, K) int64, positions of images of other classes.
        """
        student = F.normalize(self.student_embed(embed_s), dim=1)
        teacher = F.normalize(self.teacher_embed(embed_t), dim=1)
        loss = self._nce(student, self.teacher_bank, self.z[0], index, negatives)
        loss = loss + self._nce(teacher, self.student_bank, self.z[1], index, negatives)
        self.z_is_fixed.fill_(True)
        rows = gather(index)
        self._remember(self.student_bank, rows, gather(student))
        self._remember(self.teacher_bank, rows, gather(teacher))
        return loss

    def _nce(
        self, views: Tensor, bank: Tensor, z: Tensor, index: Tensor, negatives: Tensor
    ) -> Tensor:
        """The batch mean of one direction, with its gradient by ``views``.

        With q = P / (K/N + ε): −log D = softplus(−log q), −log(1 − D) = log(1 + q) + constant.

        Args:
            views: unit vectors of one network, (B, D).
            bank: what is remembered of the other network, (N, D).
            z: this direction's Z, a scalar; the first batch sets it in place.
            index: (B,) int64, the images themselves.
            negatives: (B, K) int64.
        """
        noise, tau = self.negatives / len(bank), self.temperature
        itself = index[:, None]
        with torch.no_grad():
            product = product_of_rows(views, bank)
            own = product.gather(1, itself).div_(tau)
            odds = product.gather(1, negatives).div_(tau).exp_()
            # Every process sees the mean over all of them; no step waits to read the flag.
            mean = gather((odds.sum(dim=1) + own.exp().squeeze(1)) / (1 + self.negatives)).mean()
            scale = z.copy_(torch.where(self.z_is_fixed, z, mean * len(bank))) * (noise + EPS)
            q = odds.div_(scale)
            one_and_q = 1 + q
            minus_log_q = scale.log() - own
            product.zero_().scatter_(1, itself, -minus_log_q.sigmoid())
            weights = product.scatter_add_(1, negatives, q.div_(one_and_q))
            gradient = product_of_rows(weights, bank.T)
            # log is ten times as fast as log1p. It rounds a summand by 6e-8 at most, in the
            # reported value alone: the derivative above does not come from it.
            constant = self.negatives * math.log1p(EPS / noise)
            value = (F.softplus(minus_log_q).sum() + one_and_q.log_().sum()) / len(views) + constant
        return value + ((views - views.detach()) * gradient).sum() / (tau * len(views))

    def _remember(self, bank: Tensor, rows: Tensor, views: Tensor) -> None:
        """Move a bank's rows towards the new views, alike in all processes."""
        moved = bank[rows].mul_(self.momentum).add_(views.detach(), alpha=1 - self.momentum)
        bank.index_copy_(0, rows, F.normalize(moved, dim=1))


class InBatchLoss(nn.Module):
    """Both directions of InfoNCE among the images of a batch, without a memory.

    With several processes each has its share of the batch, and no negatives beyond it.

    Args:
        student_dim: width of the student's embedding.
        teacher_dim: width of the teacher's embedding.
        feature_dim: width D of the common space.
        temperature: τ.
    """

    def __init__(
        self, student_dim: int, teacher_dim: int, feature_dim: int = 128, temperature: float = 0.07
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.student_embed = nn.Linear(student_dim, feature_dim)
        self.teacher_embed = nn.Linear(teacher_dim, feature_dim)

    def forward(self, embed_s: Tensor, embed_t: Tensor, labels: Tensor) -> Tensor:
        """The loss, a scalar; 0 for a batch of one class, which has no negatives.

        Args:
            embed_s: student embeddings, (B, student_dim).
            embed_t: teacher embeddings, (B, teacher_dim).
            labels: (B,) int64; other images of an image's class are left out.
        """
        student = F.normalize(self.student_embed(embed_s), dim=1)
        teacher = F.normalize(self.teacher_embed(embed_t), dim=1)
        scores = student @ teacher.T / self.temperature
        same = labels[:, None] == labels
        same.fill_diagonal_(False)
        scores = scores.masked_fill(same, -math.inf)
        itself = torch.arange(len(labels), device=labels.device)
        return F.cross_entropy(scores, itself) + F.cross_entropy(scores.T, itself)
