"""The step as programs: teachers, and networks with their losses, compiled by ``torch.compile``.

Eager code stays the reference, and ``tests/training/steps/test_programs.py`` holds the programs to
it. A program is made for full batches; the last one of an epoch, which may be smaller, goes the
plain way, and so does a stage's first step, which is metered. What does not compile is trained
plainly, and that is said once. Which way a step goes depends on its place in the training alone, so
that a training that was stopped goes on to the same weights.

On a GPU a program is a CUDA graph: what a step costs the host is a handful of launches. Random
numbers are torch's own, from the generator that the engine seeds before every step; a graph reads
that seed when it is replayed. On a CPU a teacher's weights are laid out for the convolutions once,
and biases, additions and ReLUs are part of them.
"""

from __future__ import annotations

import logging
import os
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from benchmark.cards.protocol import Protocol
from benchmark.errors import first_line
from benchmark.recipe.batch import Batch

P = ParamSpec("P")
T = TypeVar("T")
FOLDER = "TORCHINDUCTOR_CACHE_DIR"
TORCHS_OWN = Path(tempfile.gettempdir()) / "torchinductor_*"
COMPILING = "steps are compiled: a network that is new here takes up to half a minute"
COMPILING_PAYS = 20_000  # steps: a program takes half a minute, and saves a few ms a step on a GPU


class Programs:
    """Makes programs for the batches of a group.

    Args:
        device: on which they run.
        batch_size: images of a full batch of this process.
        note: hears why something is not compiled.

    Attributes:
        teachers: the programs of teachers.
    """

    def __init__(
        self, device: torch.device, batch_size: int, note: Callable[[str], object]
    ) -> None:
        self.device, self.batch_size, self.note = device, batch_size, note
        self.teachers: list[Program[..., Any]] = []

    def of_teacher(self, network: nn.Module) -> Program[..., Any]:
        """A network in eval mode that is called without gradient, on images (B, 3, H, W)."""
        program = Program(network, self, "a teacher", is_frozen=self.device.type == "cpu")
        self.teachers.append(program)
        return program

    def of_lesson(self, lesson: Callable[P, T], label: str) -> Program[P, T]:
        """A network in training with its losses, called on a batch and what its teachers say."""
        return Program(lesson, self, label)

    def begin_step(self) -> None:
        """What the programs gave in the step before is not read any more."""
        if self.device.type == "cuda":
            mark: Callable[[], None] = torch.compiler.cudagraph_mark_step_begin
            mark()


class Program(Generic[P, T]):
    """A function on full batches, compiled; the function itself for the others.

    Args:
        plain: its first argument is a batch, or images.
        programs: of which it is one.
        whose: for a person.
        is_frozen: its weights never change, and may be laid out anew for it.
    """

    def __init__(
        self,
        plain: Callable[P, T],
        programs: Programs,
        whose: str,
        *,
        is_frozen: bool = False,
    ) -> None:
        self._plain, self._programs, self._whose = plain, programs, whose
        compiled = torch.compile(
            _of_its_own(plain),
            fullgraph=True,
            options={
                "fallback_random": True, "triton.cudagraphs": programs.device.type == "cuda",
            },
        )  # fmt: skip
        self._compiled: Callable[P, T] | None = _freezing(compiled) if is_frozen else compiled

    @property
    def is_plain(self) -> bool:
        """Whether it did not compile, so that the function itself runs."""
        return self._compiled is None

    def __call__(self, *arguments: P.args, **words: P.kwargs) -> T:
        """What the function gives."""
        if self._compiled is None or _images(arguments[0]) % self._programs.batch_size:
            return self._plain(*arguments, **words)
        try:
            return self._compiled(*arguments, **words)
        except Exception as error:
            if not _is_of_the_compiler(error):
                raise
            # Nothing was computed yet. If the fault is the function's own, it is met again.
            self._compiled = None
            self._programs.note(f"{self._whose} is not compiled: {first_line(error)}")
            return self._plain(*arguments, **words)


def programs_for(
    choice: bool | None,
    accelerator: Accelerator,
    protocol: Protocol,
    *,
    steps: int,
    note: Callable[[str], object],
) -> Programs | None:
    """The programs of a group, or None if it is to be trained plainly.

    Args:
        choice: whether to compile; None where it pays, on a GPU in a long training.
        accelerator: several processes average their gradients while they compute them, plainly.
        protocol: says how many images a batch has.
        steps: of the training.
        note: hears why nothing is compiled although it was asked for.
    """
    device, processes = accelerator.device, accelerator.num_processes
    if choice is None:
        choice = device.type == "cuda" and steps >= COMPILING_PAYS and processes == 1
    if not choice:
        return None
    if processes > 1:
        note("nothing is compiled: with several processes a step is trained as it is written")
        return None
    if (fault := _wake_the_compiler()) is not None:
        note(f"nothing is compiled: {fault}. On a CPU it needs a C++ compiler, such as g++.")
        return None
    return Programs(device, protocol.batch_size, note)


def keep_programs(cache_dir: Path) -> None:
    """Let the compiler keep what it makes in a folder, for other runs of the same architecture.

    Someone who has named another is obeyed; torch itself names one below ``/tmp`` as soon as it
    is asked.
    """
    told = Path(os.environ.get(FOLDER, TORCHS_OWN))
    if told.match(str(TORCHS_OWN)):
        os.environ[FOLDER] = str(cache_dir / "programs")


def _wake_the_compiler() -> str | None:
    """Compile something small, outside of anyone's turn; why that cannot be, or None.

    At its first use the compiler notes an address in the environment and raises the limit of
    recursions, of which a recipe would be accused. On a machine with a CUDA toolkit and no GPU it
    says so, which nobody asked.
    """
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        torch.compile(lambda x: (x + 1).relu())(torch.zeros(8))
    except Exception as error:
        # A folder of programs that cannot be written is no reason to train nothing.
        if not (isinstance(error, OSError) or _is_of_the_compiler(error)):
            raise
        return first_line(error)
    finally:
        logging.disable(before)
    return None


def _images(given: object) -> int:
    """How many images there are in a batch, or in a tensor of them."""
    images = given.images if isinstance(given, Batch) else given
    if not isinstance(images, Tensor):
        raise TypeError(f"neither a batch nor images: {type(given).__name__}")
    return len(images)


def _is_of_the_compiler(error: Exception) -> bool:
    from torch._dynamo import exc  # a second to import, and here by now

    return isinstance(error, exc.TorchDynamoException | exc.FailOnRecompileLimitHit)


def _freezing(compiled: Callable[P, T]) -> Callable[P, T]:
    """The same, taking weights for constants when it compiles."""

    def run(*arguments: P.args, **words: P.kwargs) -> T:
        from torch._inductor import config  # seconds to import, which the compiler needs anyway

        with config.patch(freezing=True):
            return compiled(*arguments, **words)

    return run


def _of_its_own(function: Callable[P, T]) -> Callable[P, T]:
    """The same function with code of its own.

    What is compiled is kept with the code object: a method that all members share would be looked
    up among the programs of all, and no more than eight of them would be kept.
    """

    def run(*arguments: P.args, **words: P.kwargs) -> T:
        return function(*arguments, **words)

    code = run.__code__.replace()
    own: Callable[P, T] = types.FunctionType(code, run.__globals__, "run", None, run.__closure__)
    return own
