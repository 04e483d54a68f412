"""An ONNX graph: runs wherever there is a runtime for it, without torch."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from benchmark.deploy.program import LOGITS, PIXELS
from benchmark.deploy.torch_program import exported, one_precision
from benchmark.errors import NetworkError, UsageError, first_line
from benchmark.work.rebuilding import Student

FILE = "model.onnx"
EXTRA = "pip install 'kdbench[export]'"


def write(student: Student, folder: Path) -> None:
    """Write the graph, with its weights and the names of its classes inside.

    Raises:
        UsageError: a package is lacking that an extra brings.
        NetworkError: torch cannot follow the network.
    """
    path = folder / FILE
    with _needs_extra():
        import onnx
        import onnxruntime
        import onnxscript

        del onnxruntime, onnxscript  # that they are there is asked before minutes are spent
        program = exported(student)
        try:
            with one_precision():
                torch.onnx.export(
                    program,
                    (),
                    str(path),
                    dynamo=True,
                    external_data=False,
                    input_names=[PIXELS],
                    output_names=[LOGITS],
                    verbose=False,
                )
        except RuntimeError as error:  # of which torch's are, with pages of advice
            reason = first_line(error.__cause__ or error)
            raise NetworkError(
                f"torch cannot write the network of {student.cell} as ONNX: {reason}\n"
                "Write --format torch-export."
            ) from error
        model = onnx.load(str(path))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    entry = model.metadata_props.add()
    entry.key, entry.value = "class_names", json.dumps(student.class_names, ensure_ascii=False)
    onnx.save(model, str(path))


def ask(folder: Path) -> Callable[[Tensor], Tensor]:
    """Logits of pixels by onnxruntime."""
    return session(folder / FILE)


def session(path: Path, *, threads: int | None = None) -> Callable[[Tensor], Tensor]:
    """Logits of pixels by onnxruntime on the CPU.

    Args:
        path: of the graph.
        threads: of the CPU; None leaves onnxruntime its own number.

    Raises:
        UsageError: onnxruntime is lacking, which an extra brings.
    """
    with _needs_extra():
        import onnxruntime

    options = onnxruntime.SessionOptions()
    if threads is not None:
        options.intra_op_num_threads = threads
    made = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def said(pixels: Tensor) -> Tensor:
        [logits] = made.run([LOGITS], {PIXELS: pixels.numpy()})
        return torch.from_numpy(logits)

    return said


@contextlib.contextmanager
def _needs_extra() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise UsageError(
            f"ONNX needs a package that is not here: {error.name or error}. Install it with\n"
            f"  {EXTRA}"
        ) from None
