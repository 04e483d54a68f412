"""Who fails leaves, and no one else notices: the turns of the members of a group."""

from __future__ import annotations

import dis
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Generic

from accelerate import Accelerator

from benchmark.errors import RecipeError, TrainingError
from benchmark.events import Listener
from benchmark.recipe.contract import Recipe
from benchmark.training.ending import Ending, Failed, failed, timed_out
from benchmark.training.faults import disturbance, is_out_of_memory
from benchmark.training.job import Job
from benchmark.training.walls.agreement import Agreement
from benchmark.training.walls.shared import Shared, T
from benchmark.training.walls.wall import Wall

Leave = Callable[[Job, Ending], None]


class Trespass(RecipeError):
    """A recipe wrote into what others read."""


class Guard:
    """Gives each member its turn, and lets it leave with the error that its work raises.

    Args:
        accelerator: whose processes must agree on who leaves.
        listener: hears of states that were left changed, once a member and state.
        leave: called with the ending of who leaves.
        agreement: between the processes, on who failed.
        limit_s: of a member's own share of the training's time; None for none.

    Attributes:
        wall: that hooks are called behind.
        spent: seconds of every member's own work in steps, by identity.
        epoch: of the training, from 1.
        place: what a time limit is said to have passed in, e.g. ``step 3 of 782``.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        listener: Listener,
        leave: Leave,
        agreement: Agreement,
        *,
        limit_s: float | None = None,
    ) -> None:
        self.accelerator, self.listener, self._leave = accelerator, listener, leave
        self.agreement, self.limit_s = agreement, limit_s
        self.wall, self.epoch, self.place = Wall(), 1, "an epoch"
        self.spent: dict[str, float] = {}
        self._told: set[tuple[str, str]] = set()
        self._in_turns = 0.0

    def turn(self, job: Job) -> Turn:
        """A member's turn: it leaves with what is raised in it."""
        return Turn(self, job)

    def reading(self, job: Job, shared: Shared[T], *, timed: bool = False) -> Reading[T]:
        """A member's turn with what others read as well: ``with guard.reading(…) as batch``.

        Args:
            job: of the member.
            shared: what it reads.
            timed: whether it counts as the member's own time.
        """
        return Reading(self, job, shared, timed=timed)

    def count(self, job: Job, seconds: float) -> bool:
        """Add to a member's own time; whether it may go on."""
        spent = self.spent[job.identity] = self.spent.get(job.identity, 0.0) + seconds
        self._in_turns += seconds
        # Clocks of several processes differ: they ask together, at the end of an epoch.
        return not self._is_over(spent) or self.accelerator.num_processes > 1

    def share(self, identities: Sequence[str], seconds: float) -> None:
        """Share what was no member's own of the last time among those who began the epoch."""
        rest = max(0.0, seconds - self._in_turns) / len(identities)
        for identity in identities:
            self.spent[identity] = self.spent.get(identity, 0.0) + rest
        self._in_turns = 0.0

    def late(self, job: Job) -> Failed | None:
        """How a member ended whose time is used up, on some process; None if it may go on."""
        if self.limit_s is None:
            return None
        over = self._is_over(self.spent.get(job.identity, 0.0))
        if self.accelerator.num_processes > 1:
            over = self.agreement.any_says(over)
        return self._timed_out() if over else None

    def _is_over(self, spent: float) -> bool:
        return self.limit_s is not None and spent > self.limit_s

    def _timed_out(self) -> Failed:
        return timed_out(
            self.epoch,
            f"its own share of the training took longer than {self.limit_s:g} s, in epoch "
            f"{self.epoch}, {self.place}",
        )

    def time_out(self, job: Job) -> None:
        """Let a member leave whose time is used up."""
        self._leave(job, self._timed_out())

    def fell(self, job: Job, error: BaseException) -> bool:
        """Let a member leave with an error; False if the error is not its own.

        Raises:
            TrainingError: other processes did not meet the error.
        """
        if _is_interrupt(error) or not self._is_its_own(job, error):
            return False
        ending = failed(error, self.epoch, files_of(type(job.recipe)))
        if not self.agreement.all_met(job, ending):
            said = f"{type(error).__name__}: {ending.failure.message}"
            raise TrainingError(
                f"'{job.label}' failed on process {self.accelerator.process_index} and not on the "
                f"others: {said}\nThe same command records the failure and continues the others "
                "from their checkpoints."
            ) from error
        self._leave(job, ending)
        return True

    def tell(self, job: Job) -> None:
        """Say once what a member left changed."""
        new = {w: h for w, h in self.wall.found.items() if (job.identity, w) not in self._told}
        self._told.update((job.identity, what) for what in new)
        for hook in dict.fromkeys(new.values()):
            left = ", ".join(what for what in new if new[what] == hook)
            self.listener.note(
                f"{job.label}: its recipe left {left} changed (after {hook}); it was put back, and "
                "no other run noticed"
            )

    @staticmethod
    def _is_its_own(job: Job, error: BaseException) -> bool:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [f.filename for f in frames if "site-packages" not in f.filename]
        own = bool(lines) and lines[-1] in files_of(type(job.recipe))
        return disturbance(error, own=own) is None


class Turn:
    """A member's turn; see ``Guard.turn``.

    A class and not a generator: a recipe may raise ``GeneratorExit`` or ``StopIteration``.

    Attributes:
        fell: whether the member left with an error.
    """

    def __init__(self, guard: Guard, job: Job) -> None:
        self.guard, self.job, self.fell = guard, job, False

    def __enter__(self) -> object:
        """Remember the state of the process."""
        self.guard.wall.enter()
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> bool:
        """Put right what is not as it was, and let the member leave if there is a reason."""
        stays, written = self._tidy(), self.heal()
        fault = error or stays or written
        if fault is None:
            return False
        if written is not None and isinstance(error, RuntimeError) and not is_out_of_memory(error):
            # Autograd found it first, and does not know whose the tensor is.
            fault = written.with_traceback(error.__traceback__)
            fault.__cause__ = error
        self.fell = self.guard.fell(self.job, fault)
        if not self.fell and fault is not error:
            raise fault
        return self.fell

    def heal(self) -> BaseException | None:
        """Put right what is shared; returns what was done to it."""
        return None

    def _tidy(self) -> BaseException | None:
        wall = self.guard.wall
        try:
            wall.leave()
        except RecipeError as stays:
            return stays
        finally:
            if wall.found:
                self.guard.tell(self.job)
        return None


class Reading(Turn, Generic[T]):
    """A member's turn with a batch; see ``Guard.reading``."""

    def __init__(self, guard: Guard, job: Job, shared: Shared[T], *, timed: bool) -> None:
        super().__init__(guard, job)
        self._shared, self._timed = shared, timed

    def __enter__(self) -> T:
        """The batch, as it is for everyone."""
        super().__enter__()
        self._began = time.perf_counter()
        return self._shared.batch

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> bool:
        """As of every turn; the time is noted, and may be over."""
        seconds = time.perf_counter() - self._began
        fell = super().__exit__(kind, error, frames)
        if self._timed and not self.fell and not self.guard.count(self.job, seconds):
            self.guard.time_out(self.job)
        return fell

    def heal(self) -> BaseException | None:
        """Make the batch again if it was written into."""
        if (name := self._shared.written()) is None:
            return None
        self._shared.renew()
        return Trespass(
            f"it wrote into {name}, which all members of its group read. Clone it first: "
            f"x = {name}.clone()"
        )


def files_of(recipe: type[Recipe]) -> list[str]:
    """The files that a recipe is written in, its own first, then those of what it derives from."""
    classes = recipe.__mro__
    files = map(_file_of, classes[: classes.index(Recipe)])
    return list(dict.fromkeys(file for file in files if file))


def _file_of(cls: type) -> str | None:
    """The file of a class: as it was registered, for its module may be forgotten by now."""
    if "info" in vars(cls):
        return str(vars(cls)["info"].path)
    return getattr(sys.modules.get(cls.__module__), "__file__", None)


def _is_interrupt(error: BaseException) -> bool:
    """Whether a person's Ctrl-C raised it, and not a ``raise`` in a recipe."""
    if not isinstance(error, KeyboardInterrupt):
        return False
    frames = list(traceback.walk_tb(error.__traceback__))
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None or not frames:
        return True
    return dis.opname[last.tb_frame.f_code.co_code[last.tb_lasti]] != "RAISE_VARARGS"
