"""The files of one teacher's answers: parts of an epoch, sealed, each written whole or not at all.

A part holds the answers of consecutive steps of one process and is read into the memory before any
of it is used, so that what was checked is what is heard, and a file that somebody cuts short ends
no process. Processes that keep the same answers write the same bytes: the last one wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmark.files import write_whole
from benchmark.networks.outputs import Outputs
from benchmark.training.keeping.heading import Damaged, Outdated
from benchmark.training.keeping.sealed import read_sealed, sealed

FORMAT = 1  # raised when what a part holds changes
KIND = "teacher outputs"
SUFFIX = ".answers"  # of a teacher's folder


@dataclass(frozen=True)
class Place:
    """Consecutive steps of an epoch.

    Attributes:
        epoch: counted from the protocol's first; those of earlier stages are negative.
        first: number of the first step in the epoch.
        steps: how many.
    """

    epoch: int
    first: int
    steps: int


@dataclass(frozen=True)
class Part:
    """What a teacher says in the steps of a place, one after the other.

    Attributes:
        rows: images of every step.
        logits: (sum of rows, K).
        embedding: (sum of rows, D).
    """

    rows: tuple[int, ...]
    logits: Tensor
    embedding: Tensor

    @classmethod
    def of(cls, steps: Sequence[tuple[Tensor, Tensor]]) -> Part:
        """The answers, logits and embedding, of every step, on the CPU."""
        logits, embedding = (torch.cat(each).cpu() for each in zip(*steps, strict=True))
        return cls(tuple(len(one) for one, _ in steps), logits, embedding)

    def to(self, device: torch.device) -> Part:
        """The same on a device."""
        return Part(self.rows, self.logits.to(device), self.embedding.to(device))

    def at(self, number: int, *, has_stem: bool) -> Outputs:
        """The answer in one of the steps, in float32; its memory is the asker's own.

        Args:
            number: of the step.
            has_stem: as of the network that answered.
        """
        begin = sum(self.rows[:number])
        own = slice(begin, begin + self.rows[number])
        logits, embedding = (
            whole[own].to(torch.float32, copy=True) for whole in (self.logits, self.embedding)
        )
        return Outputs(logits, embedding, has_stem=has_stem)


class AnswerFiles:
    """The parts of one teacher's answers that are kept for one process.

    Args:
        folder: of the teacher's answers.
        key: of all that they depend on.
        process: number of this process, and how many there are.
    """

    def __init__(self, folder: Path, key: str, process: tuple[int, int]) -> None:
        self.folder, self._key, self._process = folder, key, process

    def size(self, epochs: Iterable[int]) -> int:
        """Bytes that are kept of some epochs, for all processes."""
        parts = (part for epoch in epochs for part in self._epoch(epoch).glob("*.safetensors"))
        return sum(part.stat().st_size for part in parts)

    def path(self, place: Place) -> Path:
        """The file of a part."""
        number, of = self._process
        process = f"-process-{number}-of-{of}" if of > 1 else ""
        name = f"step-{place.first:06d}{process}.safetensors"
        return self._epoch(place.epoch) / name

    def read(self, place: Place) -> Part | None:
        """A part after all of it was checked; None if it is not kept.

        Raises:
            Damaged: it is not what was written; says why.
        """
        try:
            heading, tensors = read_sealed(self.path(place), KIND)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Damaged(f"it cannot be read: {error.strerror or error}") from None
        about = dict(heading.about)
        if about.pop("format", None) != FORMAT:
            raise Outdated("it has the form of another version of kdbench")
        rows = about.pop("rows", None)
        if about != self._about(place) or not isinstance(rows, list) or len(rows) != place.steps:
            raise Damaged("it holds the answers of another training or place")
        part = Part(tuple(rows), tensors["logits"], tensors["embedding"])
        if {len(part.logits), len(part.embedding)} != {sum(part.rows)}:
            raise Damaged("it holds another number of answers than it says")
        return part

    def write(self, place: Place, part: Part) -> None:
        """Keep a part.

        Raises:
            OSError: it cannot be written.
        """
        about = {"format": FORMAT, "rows": list(part.rows), **self._about(place)}
        tensors = {"logits": part.logits, "embedding": part.embedding}
        # Not durable: its seal tells what a crash left.
        write_whole(self.path(place), sealed(KIND, about, tensors), durable=False)

    def _epoch(self, epoch: int) -> Path:
        return self.folder / f"epoch{epoch:+06d}"

    def _about(self, place: Place) -> dict[str, object]:
        return {"key": self._key, "place": [place.epoch, place.first], "process": [*self._process]}
