"""Distillation as it is usually published: a plain script, the opponent in the race.

The networks have the field's definition, tensors stay in torch's default layout, images pass one by
one through PIL and torchvision's transforms in a ``DataLoader``, the teacher keeps its BatchNorms,
and CRD gathers its negatives' rows from the banks for every image of a batch. Written for this
race from the papers and from how such scripts are built; it is nobody's file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

MEAN, STD = (0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = None
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x if self.shortcut is None else self.shortcut(x)
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, depth: int, widths: tuple[int, int, int, int], classes: int) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        layers, inputs = [], widths[0]
        for width, stride in zip(widths[1:], (1, 2, 2), strict=True):
            for number in range(blocks):
                layers.append(Block(inputs, width, stride if number == 0 else 1))
                inputs = width
        self.layers = nn.ModuleList(layers)
        self.avgpool = nn.AvgPool2d(8)
        self.fc = nn.Linear(widths[3], classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.bn1(self.conv1(x)))
        for layer in self.layers:
            x = layer(x)
        embedding = self.avgpool(x).flatten(1)
        return embedding, self.fc(embedding)


class Indexed(Dataset[tuple[Tensor, int, int, Tensor]]):
    """CIFAR-100 with its positions, and negatives of other classes for CRD."""

    def __init__(self, pixels: Tensor, labels: Tensor, negatives: int) -> None:
        crop = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
        tensor = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
        self.transform = transforms.Compose(crop + tensor)
        self.pixels, self.labels, self.negatives = pixels.numpy(), labels.tolist(), negatives
        self.others = [torch.nonzero(labels != label).flatten() for label in range(100)]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int, int, Tensor]:
        image = self.transform(Image.fromarray(self.pixels[index]))
        label = self.labels[index]
        if not self.negatives:
            return image, label, index, torch.empty(0, dtype=torch.long)
        others = self.others[label]
        chosen = others[torch.randperm(len(others))[: self.negatives]]
        return image, label, index, torch.cat([torch.tensor([index]), chosen])


class Memory(nn.Module):
    """CRD's two banks."""

    def __init__(self, student_dim: int, teacher_dim: int, images: int, negatives: int) -> None:
        super().__init__()
        self.embed_s, self.embed_t = nn.Linear(student_dim, 128), nn.Linear(teacher_dim, 128)
        bound = 1 / math.sqrt(128 / 3)
        for name in ("bank_s", "bank_t"):
            self.register_buffer(name, torch.rand(images, 128).mul_(2 * bound).sub_(bound))
        self.negatives, self.images = negatives, images
        self.z: list[float] = [-1.0, -1.0]

    def forward(self, student: Tensor, teacher: Tensor, index: Tensor, chosen: Tensor) -> Tensor:
        views_s = F.normalize(self.embed_s(student), dim=1)
        views_t = F.normalize(self.embed_t(teacher), dim=1)
        scores = []
        for number, (bank, views) in enumerate(((self.bank_s, views_t), (self.bank_t, views_s))):
            rows = bank.index_select(0, chosen.flatten()).detach().view(*chosen.shape, 128)
            score = torch.exp(torch.bmm(rows, views[:, :, None]) / 0.07)
            if self.z[number] < 0:
                self.z[number] = score.mean().item() * self.images
            scores.append(score / self.z[number])
        with torch.no_grad():
            for bank, views in ((self.bank_s, views_s), (self.bank_t, views_t)):
                moved = bank.index_select(0, index) * 0.5 + views * 0.5
                bank.index_copy_(0, index, F.normalize(moved, dim=1))
        return self.nce(scores[0]) + self.nce(scores[1])

    def nce(self, scores: Tensor) -> Tensor:
        noise, eps = 1 / self.images, 1e-7
        positive = torch.log(scores[:, 0] / (scores[:, 0] + self.negatives * noise + eps))
        rest = self.negatives * noise
        others = torch.log(rest / (scores[:, 1:] + rest + eps))
        return -(positive.sum() + others.sum()) / len(scores)


def kd(student: Tensor, teacher: Tensor) -> Tensor:
    log_s, p_t = F.log_softmax(student / 4, dim=1), F.softmax(teacher / 4, dim=1)
    return F.kl_div(log_s, p_t, reduction="sum") * 16 / len(student)


NARROW = (16, 16, 32, 64)
WIDE = (32, 64, 128, 256)
NETWORKS = {
    "resnet8": (8, NARROW), "resnet20": (20, NARROW),
    "resnet8x4": (8, WIDE), "resnet32x4": (32, WIDE),
}  # fmt: skip


def steps(
    method: str, pixels: Tensor, labels: Tensor, pair: tuple[str, str], batch: int
) -> Iterator[int]:
    """Train; yields the images of every step."""
    teacher = ResNet(*NETWORKS[pair[0]], classes=100).eval()
    student = ResNet(*NETWORKS[pair[1]], classes=100).train()
    trained: list[nn.Module] = [student]
    memory = None
    width_s, width_t = student.fc.in_features, teacher.fc.in_features
    if method == "crd":
        memory = Memory(width_s, width_t, 50_000, 16_384)
        trained.append(memory)
    projector: nn.Module = nn.Identity()
    if method == "th-kd" and width_s != width_t:
        projector = nn.Linear(width_s, width_t)
        trained.append(projector)
    images = Indexed(pixels, labels, 16_384 if method == "crd" else 0)
    loader = DataLoader(images, batch, shuffle=True, drop_last=True)
    optimiser = torch.optim.SGD(
        nn.ModuleList(trained).parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4
    )
    while True:
        for x, y, index, chosen in loader:
            embedding, logits = student(x)
            loss = F.cross_entropy(logits, y)
            if method != "vanilla":
                with torch.no_grad():
                    embedding_t, logits_t = teacher(x)
                loss = loss + kd(logits, logits_t)
            if method == "th-kd":
                loss = loss + 0.02 * kd(teacher.fc(projector(embedding)), logits_t)
            if memory is not None:
                loss = loss + 0.8 * memory(embedding, embedding_t, index, chosen)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            yield len(x)
