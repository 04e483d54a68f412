"""When a group looks up from its steps: to write checkpoints, and to stop; all processes agree."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator

from benchmark.training.halt import Halt

AGREE_STEPS = 8  # several processes ask each other so often: a reduce of two numbers, < 1 ms
CHECKPOINT_S = 60.0  # between checkpoints: a kill costs so much at most, and they under 2 %
NEAR_S = 10.0  # an end of an epoch that is so near is waited for when the time is up


class Pauses:
    """Tells a group after every step whether to write checkpoints and whether to stop.

    It holds the clock of the training, which checkpoints and examinations do not count in.

    Args:
        halt: whether someone asked, and until when there is time.
        accelerator: knows the other processes.
        every_s: seconds between checkpoints.

    Attributes:
        stops, writes: what the last question gave.
        epoch_s: seconds of the training in this epoch, as far as they were noted.
        examination_s: seconds of the last examination.
    """

    def __init__(self, halt: Halt, accelerator: Accelerator, every_s: float) -> None:
        self.halt, self.accelerator, self.every_s = halt, accelerator, every_s
        self.stops = self.writes = False
        self.epoch_s = self.examination_s = 0.0
        self._written_at = time.monotonic()

    def begin_epoch(self, first: int, steps: int, before_s: float) -> None:
        """An epoch begins.

        Args:
            first: its first step that is still to do.
            steps: all that it has.
            before_s: seconds that were spent on those before.
        """
        self._first, self._steps, self.epoch_s = first, steps, before_s
        self._began = self._noted = time.perf_counter()

    def spent(self) -> float:
        """Seconds of training since it was asked last; they are noted."""
        if self.accelerator.device.type == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        seconds, self._noted = now - self._noted, now
        self.epoch_s += seconds
        return seconds

    def written(self) -> None:
        """Checkpoints were written just now."""
        self._written_at, self._noted = time.monotonic(), time.perf_counter()

    def after_step(self, step: int) -> bool:
        """Whether there is something to do after a step of the epoch, of which so many are done.

        When the time is up, an end of the epoch that is near is waited for; who asks for a stop
        does not wait.
        """
        if self.accelerator.num_processes > 1 and step % AGREE_STEPS and step != self._steps:
            return False
        late = self.halt.late() and self._left_s(step) > NEAR_S
        return self._agree(stops=self.halt.asked or late)

    def after_epoch(self) -> bool:
        """Whether there is something to do after an epoch that is not the last one."""
        return self._agree(stops=self.halt.asked or self.halt.late(NEAR_S))

    @contextmanager
    def examining(self) -> Iterator[None]:
        """Note how long an examination takes."""
        begun = time.perf_counter()
        yield
        self.examination_s = time.perf_counter() - begun

    def in_examination(self) -> bool:
        """Whether an examination is broken off, to be made again; several processes finish it."""
        self.stops = self.accelerator.num_processes == 1 and self.halt.asked
        return self.stops

    def _left_s(self, step: int) -> float:
        """Seconds until the epoch is done and examined, at the pace until now."""
        step_s = (time.perf_counter() - self._began) / (step - self._first)
        return (self._steps - step) * step_s + self.examination_s

    def _agree(self, *, stops: bool) -> bool:
        writes = time.monotonic() - self._written_at > self.every_s
        if self.accelerator.num_processes > 1:
            # The main process writes, so that its clock counts; whoever is to stop stops all.
            mine = [float(stops), float(writes and self.accelerator.is_main_process)]
            said = torch.tensor(mine, device=self.accelerator.device)
            stops, writes = (self.accelerator.reduce(said, reduction="sum") > 0).tolist()
        self.stops, self.writes = stops, writes or stops
        return self.writes
