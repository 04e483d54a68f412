"""A program of torch.export: runs where torch is, without kdbench and without timm."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmark.deploy.program import PIXELS, Program, examples
from benchmark.errors import NetworkError, first_line
from benchmark.work.rebuilding import Student

FILE = "model.pt2"


def exported(student: Student) -> torch.export.ExportedProgram:
    """The program, for any number of images.

    Raises:
        NetworkError: torch cannot follow the network.
    """
    shapes = {PIXELS: {0: torch.export.Dim("batch")}}
    example = examples(student.pictures.size)
    try:
        with one_precision():
            return torch.export.export(Program.of(student), (example,), dynamic_shapes=shapes)
    except Exception as error:  # tracing fails in as many ways as there are networks
        raise NetworkError(
            f"torch.export cannot follow the network of {student.cell}: {first_line(error)}\n"
            "Write --format timm if it is one of timm's."
        ) from error


def write(student: Student, folder: Path) -> None:
    """Write the program.

    Raises:
        NetworkError: torch cannot follow the network.
    """
    torch.export.save(exported(student), folder / FILE)


def ask(folder: Path) -> Callable[[Tensor], Tensor]:
    """Logits of pixels, as whoever loads the program gets them."""
    return torch.export.load(folder / FILE).module()


@contextlib.contextmanager
def one_precision() -> Iterator[None]:
    """Let cuDNN's precisions agree for a moment: torch's tracer refuses to read them else.

    A training sets that of convolutions alone (``benchmark.work.accelerator``).
    """
    cudnn: Any = torch.backends.cudnn  # whose types do not know the precision of its parts
    try:
        cudnn.allow_tf32  # noqa: B018 - the old word for all of them, which raises if they differ
    except RuntimeError:
        before = cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision
    else:
        yield
        return
    cudnn.allow_tf32 = False
    try:
        yield
    finally:
        cudnn.allow_tf32 = True  # as torch starts, and nothing here changes it
        cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision = before
