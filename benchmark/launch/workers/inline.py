"""Work in this process, and in those that ``accelerate launch`` started beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from accelerate.utils import broadcast_object_list

from benchmark.launch.launcher import Heard, Launcher, Message, Refused, Work
from benchmark.launch.workers.telling import Telling
from benchmark.launch.workers.worker import do
from benchmark.work.place import Place


@dataclass
class Inline(Launcher):
    """Does work where it is asked to; with several processes, all of them do it together.

    What ends this process ends the matrix. The main process leads; the others ``follow``.

    Args:
        place: device and folders; its halt is the launcher's.
    """

    place: Place
    _over: list[Message] = field(default_factory=list, init=False)
    _closed: bool = field(default=False, init=False)

    @property
    def leads(self) -> bool:
        """Whether this process decides what is done."""
        return bool(self.place.accelerator.is_main_process)

    def follow(self) -> None:
        """Do with the main process what it does, until it is done."""
        while (order := _received()) is not None:
            number, work = order
            _do(number, work, self.place, Telling(number, _silence))
        self.place.accelerator.end_training()

    def start(self, number: int, work: Work) -> None:
        """Do a piece of work."""
        self.busy.add(number)
        _send(self.place, (number, work))
        self._over.append(_do(number, work, self.place, Telling(number, self.hear)))

    def wait(self, timeout_s: float) -> list[Message]:
        """What came to an end: all that was started."""
        over, self._over, self.busy = self._over, [], set()
        return over

    def stop(self) -> None:
        """Nothing runs by now: work looks by itself at the place's halt."""

    def close(self) -> None:
        """Let those that follow go."""
        if not self._closed:
            self._closed = True
            _send(self.place, None)
            self.place.accelerator.end_training()


def _do(number: int, work: Work, place: Place, listener: Telling) -> Message:
    said = do(number, work, place, listener)
    if isinstance(said, Refused) and place.accelerator.num_processes > 1:
        raise said.error  # the others may wait for this process: there is no going on
    return said


def _silence(heard: Heard) -> None:
    """The main process speaks."""


def _send(place: Place, order: tuple[int, Work] | None) -> None:
    if place.accelerator.num_processes > 1:
        broadcast_object_list([order], from_process=0)


def _received() -> Any:
    box: list[Any] = [None]
    broadcast_object_list(box, from_process=0)
    return box[0]
