"""One teacher's answers in a training: read where they are kept, else computed and kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmark.events import Listener
from benchmark.networks.outputs import Outputs
from benchmark.training.answers.files import AnswerFiles, Part, Place
from benchmark.training.answers.rounding import check_rounding
from benchmark.training.keeping.heading import Damaged

PART_BYTES = 16_000_000  # of a file: what is held twice, and lost at most when a process ends


@dataclass(frozen=True)
class Binding:
    """How a teacher's answers are laid out in files.

    Attributes:
        steps: of an epoch.
        per_part: steps of a file.
        dtype: of the numbers that are kept.
        reads: whether answers are read; else all are computed, because someone needs more of them
            than is kept.
        device: that answers are wanted on.
    """

    steps: int
    per_part: int
    dtype: torch.dtype
    reads: bool
    device: torch.device

    def place(self, epoch: int, step: int) -> Place:
        """The part that a step belongs to."""
        first = step - step % self.per_part
        return Place(epoch, first, min(self.per_part, self.steps - first))


class Book:
    """One teacher's answers in a training, step by step.

    The first answer of every epoch is computed in any case and compared with the one that is kept:
    where a bit differs, nothing more is read or written in this training.

    Args:
        files: where they are kept.
        binding: how they are laid out there.
        listener: hears of files that cannot be used.

    Attributes:
        asked, read: how many answers were asked for, and how many of them were read.
    """

    def __init__(self, files: AnswerFiles, binding: Binding, listener: Listener) -> None:
        self._files, self._binding, self._listener = files, binding, listener
        self.asked = self.read = 0
        self._place: Place | None = None
        self._part: Part | None = None
        self._number, self._has_stem = 0, True
        self._is_trusted, self._is_compared, self._writes = True, False, False
        self._said: dict[int, tuple[Tensor, Tensor]] = {}

    def turn_to(self, epoch: int, step: int) -> None:
        """A step begins, or is made again."""
        place = self._binding.place(epoch, step)
        if place != self._place:
            self.settle()
            if self._place is None or self._place.epoch != epoch:
                self._is_compared = False
            self._place, self._said = place, {}
            self._part = self._open(place)
        self._number = step - place.first
        # Of a step that is made again: its images may have been written into before the question.
        self._said.pop(self._number, None)

    def answer(self, images: Tensor, compute: Callable[[Tensor], Outputs]) -> Outputs:
        """What the teacher says of the step's images (B, 3, H, W)."""
        self.asked += 1
        part = self._part
        if part is not None and self._is_compared:
            self.read += 1
            return part.at(self._number, has_stem=self._has_stem)
        said = self._rounded(compute(images))
        self._has_stem = said.has_stem
        if part is not None and not _are_equal(part.at(self._number, has_stem=True), said):
            self._distrust()
        elif self._writes:
            numbers = (said.logits, said.embedding)
            logits, embedding = (one.detach().to(self._binding.dtype, copy=True) for one in numbers)
            self._said[self._number] = logits, embedding
        self._is_compared = True
        return said

    def settle(self) -> None:
        """Write the part if all of its steps were answered."""
        if self._place is None or len(self._said) < self._place.steps:
            return
        try:
            steps = [self._said[number] for number in range(self._place.steps)]
            self._files.write(self._place, Part.of(steps))
        except OSError as error:
            self._is_trusted = False
            self._listener.note(
                f"what the teacher says is no longer kept in {self._files.folder}: "
                f"{error.strerror or error}; the training goes on"
            )
        self._said, self._writes = {}, False

    def _open(self, place: Place) -> Part | None:
        """The part of a place if it is kept and read; else it is written."""
        self._writes = False
        if not self._is_trusted:
            return None
        if not self._binding.reads:
            self._writes = not self._files.path(place).exists()
            return None
        try:
            part = self._files.read(place)
        except Damaged as reason:
            self._listener.note(f"{self._files.path(place)} is made anew: {reason}")
            part = None
        self._writes = part is None
        return None if part is None else part.to(self._binding.device)

    def _rounded(self, said: Outputs) -> Outputs:
        """As it is heard."""
        dtype = self._binding.dtype
        if dtype == torch.float32:
            return said
        logits, embedding = said.logits.to(dtype).float(), said.embedding.to(dtype).float()
        rounded = replace(said, logits=logits, embedding=embedding)
        if not self._is_compared:
            check_rounding(said, rounded)
        return rounded

    def _distrust(self) -> None:
        self._is_trusted, self._part = False, None
        self._listener.note(
            f"what is kept in {self._files.folder} is not bit for bit what the teacher says here, "
            "so it runs itself. Another kdbench or machine wrote it: delete it to keep it anew"
        )


def _are_equal(one: Outputs, other: Outputs) -> bool:
    """Whether two answers are the same numbers in the same layout."""
    pairs = ((one.logits, other.logits), (one.embedding, other.embedding))
    return all(torch.equal(a, b) and a.stride() == b.stride() for a, b in pairs)
