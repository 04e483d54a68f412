"""What places groups somewhere: in this process, in others of this machine, on other machines.

A launcher knows no order and writes no record. It is given work, tells what it hears of it, and in
the end how it ended.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmark.cards.card import Card, Protocol
from benchmark.errors import BenchmarkError
from benchmark.records.schema import Environment
from benchmark.training.ending import Ending
from benchmark.training.halt import Halt
from benchmark.work.train import GroupSpec


@dataclass(frozen=True)
class Opening:
    """Data to be opened, decoded and kept before anything trains on them."""

    data: tuple[tuple[Card, Protocol], ...]


Work = GroupSpec | Opening
Cause = Literal["crash", "memory", "silence", "lost"]


@dataclass(frozen=True)
class Heard:
    """A piece of work tells something: a call of its listener.

    Attributes:
        work: its number.
        method: of ``Listener``.
        arguments: of the call.
    """

    work: int
    method: str
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Ended:
    """A piece of work came to its end.

    Attributes:
        work: its number.
        endings: of the group's members, in their order; empty for what has none.
        environment: where it was done.
    """

    work: int
    endings: tuple[Ending, ...]
    environment: Environment


@dataclass(frozen=True)
class Refused:
    """Nothing of it can be done there, e.g. for want of its data."""

    work: int
    error: BenchmarkError


@dataclass(frozen=True)
class Died:
    """The process that did it ended by itself.

    Attributes:
        work: its number.
        reason: how, for a person.
        cause: ``crash`` if what it ran is to blame as far as anyone can tell, ``memory`` if the
            system ended it for its memory, ``silence`` if it was ended because it said nothing for
            as long as a run may take, ``lost`` if the machine went away, or someone ended it.
        fresh: whether the process had trained nothing before.
    """

    work: int
    reason: str
    cause: Cause
    fresh: bool = True


Message = Ended | Refused | Died


@dataclass
class Launcher(ABC):
    """Does work somewhere.

    It is a context: what it started is gone when the context is left, however that happens.

    Attributes:
        slots: how many pieces of work it does at once.
        halt: when all work is to stop; who asks it tells the launcher to ``stop`` as well.
        busy: numbers of those that it does.
        hear: is called with what work tells on its way, from within ``start`` or ``wait``.
    """

    slots: int
    halt: Halt
    busy: set[int] = field(default_factory=set, init=False)
    hear: Callable[[Heard], None] = field(default=lambda heard: None, init=False)

    def __enter__(self) -> Launcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def start(self, number: int, work: Work) -> None:
        """Begin a piece of work; there must be a slot for it.

        Args:
            number: by which messages speak of it; never given twice.
            work: what to do.
        """

    @abstractmethod
    def wait(self, timeout_s: float) -> list[Message]:
        """What came to an end, in order; waits for something to happen if nothing has.

        A number leaves ``busy`` with its ``Ended``, ``Refused`` or ``Died``.
        """

    def drop(self, number: int) -> bool:
        """End a piece of work at once, since nobody wants it; no message comes of it.

        Returns:
            Whether this launcher can; else the work goes on to its end.
        """
        return False

    @abstractmethod
    def stop(self) -> None:
        """Ask all work to write its checkpoints and end; returns at once."""

    @abstractmethod
    def close(self) -> None:
        """End all work at once. Does nothing the second time."""
