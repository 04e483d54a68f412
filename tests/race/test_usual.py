"""The opponent in the race computes what kdbench does: a slower code, and no other."""

from __future__ import annotations

import importlib

import torch
from torch import nn

from benchmark.networks.creation import create_network
from benchmark.recipe.discovery import load_recipes
from benchmark.recipe.modules import PACKAGE
from tests.race import usual

IMAGES, NEGATIVES, BATCH = 200, 50, 6


def recipe(stem: str):
    load_recipes()
    return importlib.import_module(f"{PACKAGE}.{stem}")


def test_its_networks_are_ours() -> None:
    torch.manual_seed(0)
    theirs = usual.ResNet(*usual.NETWORKS["resnet20"], classes=10)
    ours = create_network("resnet20", classes=10)
    with torch.no_grad():
        for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            one.copy_(other)
    images = torch.randn(4, 3, 32, 32)
    embedding, logits = theirs(images)
    outputs = ours(images)
    torch.testing.assert_close(outputs.logits, logits)
    torch.testing.assert_close(outputs.embedding, embedding)


def test_its_divergence_is_ours() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(BATCH, 10), torch.randn(BATCH, 10)
    torch.testing.assert_close(
        usual.kd(student, teacher), recipe("kd").kd_loss(student, teacher, 4.0)
    )


def test_its_contrast_is_ours() -> None:
    torch.manual_seed(0)
    theirs = usual.Memory(8, 12, IMAGES, NEGATIVES)
    ours = recipe("_contrast").ContrastiveLoss(8, 12, IMAGES, negatives=NEGATIVES)
    for own, other in ((ours.student_embed, theirs.embed_s), (ours.teacher_embed, theirs.embed_t)):
        own.load_state_dict(other.state_dict())
    ours.student_bank.copy_(theirs.bank_s)
    ours.teacher_bank.copy_(theirs.bank_t)
    for step in range(3):
        student = nn.Parameter(torch.randn(BATCH, 8))
        again = nn.Parameter(student.detach().clone())
        teacher, index = torch.randn(BATCH, 12), torch.arange(BATCH) + step
        chosen = torch.randint(BATCH + step, IMAGES, (BATCH, NEGATIVES))
        positive_first = torch.cat([index[:, None], chosen], dim=1)
        theirs(student, teacher, index, positive_first).backward()
        value = ours(again, teacher, index, chosen)
        value.backward()
        torch.testing.assert_close(again.grad, student.grad, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(ours.student_bank, theirs.bank_s)
        torch.testing.assert_close(ours.teacher_bank, theirs.bank_t)
