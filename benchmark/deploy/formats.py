"""The forms in which a trained network leaves: each is written, read back, and compared."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmark.deploy import onnx_graph, timm_folder, torch_program
from benchmark.deploy.program import Program, examples
from benchmark.errors import NetworkError
from benchmark.work.rebuilding import Student

CLOSE = 1e-4  # of the largest logit, at least of 1: what a form may differ from the network
BATCHES = (1, 3)  # other sizes than that of the example: the batch must be free
CHATTY = (
    "torch.onnx",
    "torch.utils.cpp_extension",
    "onnxscript",
    "onnx_ir",
)  # loggers that tell of what nobody can act on


@dataclass(frozen=True)
class Format:
    """A form in which a network leaves.

    Attributes:
        name: as the command line has it.
        files: that it writes.
        library: by whose name the hub knows it.
        write: puts the files into a folder.
        ask: from the folder alone, a function from pixels to logits.
    """

    name: str
    files: tuple[str, ...]
    library: str
    write: Callable[[Student, Path], None]
    ask: Callable[[Path], Callable[[Tensor], Tensor]]

    @torch.no_grad()
    def written(self, student: Student, folder: Path) -> float:
        """Write the files; returns the largest difference of a logit, of the largest logit.

        Raises:
            UsageError: the network has no such form, or a package is lacking.
            NetworkError: it cannot be followed, or its form says something else.
        """
        with quiet():
            self.write(student, folder)
            said, network = self.ask(folder), Program.of(student)
            asked = [examples(student.pictures.size, count) for count in BATCHES]
            worst = max(_difference(said(pixels), network(pixels)) for pixels in asked)
        if not worst <= CLOSE:
            raise NetworkError(
                f"the {self.name} form of {student.cell} says something else than the network: its "
                f"logits differ by {worst:.1e}, allowed is {CLOSE:.0e}. It was not kept."
            )
        return worst


FORMATS = {
    form.name: form
    for form in (
        Format("timm", timm_folder.FILES, "timm", timm_folder.write, timm_folder.ask),
        Format(
            "torch-export", (torch_program.FILE,), "pytorch", torch_program.write, torch_program.ask
        ),
        Format("onnx", (onnx_graph.FILE,), "onnx", onnx_graph.write, onnx_graph.ask),
    )
}


def _difference(said: Tensor, wanted: Tensor) -> float:
    if said.shape != wanted.shape:
        return float("inf")
    return float((said - wanted).abs().max() / wanted.abs().max().clamp(min=1))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep from a person what exporters say of their own insides."""
    loggers = [logging.getLogger(name) for name in CHATTY]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
