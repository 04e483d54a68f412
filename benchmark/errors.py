"""The few kinds of errors that a user can meet; every message says what is wrong and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class BenchmarkError(Exception):
    """Base of every error that is shown to the user as one message, without a traceback."""


class UsageError(BenchmarkError):
    """The command line or a setting asks for something that does not exist or does not fit."""


class CardError(BenchmarkError):
    """A data set card or a suite file is wrong."""


class DataError(BenchmarkError):
    """Data are missing, damaged, or not what their card says."""


class ManyFaults(DataError):
    """Several files are damaged or missing: all are known, the first of them are told.

    Args:
        what: is wrong with all of them, and where.
        faults: one sentence a file, all of them.
        remedy: what to do.
    """

    SHOWN = 20

    def __init__(self, what: str, faults: Sequence[str], remedy: str) -> None:
        self.what, self.faults, self.remedy = what, tuple(faults), remedy
        more = len(faults) - self.SHOWN
        lines = [f"  {fault}" for fault in faults[: self.SHOWN]]
        lines += [f"  … and {more:,} more"] if more > 0 else []
        super().__init__("\n".join([what, *lines, remedy]))

    def __reduce__(self) -> tuple[object, ...]:
        # It travels between processes, and an exception is made again from its arguments alone.
        return ManyFaults, (self.what, self.faults, self.remedy)


class RecipeError(BenchmarkError):
    """A recipe file is broken, or a recipe breaks its contract."""


class IncompatiblePair(BenchmarkError):
    """A recipe's mathematics does not allow these two networks."""


class NetworkError(BenchmarkError):
    """A network cannot be built, or weights do not fit it."""


class TrainingError(BenchmarkError):
    """A training cannot go on, and not through a fault of one run alone."""


class RecordError(BenchmarkError):
    """A record cannot be read, trusted or written."""


class OfflineError(BenchmarkError):
    """Something asked for a connection although none may be made (``--offline``)."""


class DisturbanceError(BenchmarkError):
    """The surroundings failed a training, not its method: nothing is to be recorded.

    Args:
        message: what happened, where, and what to do.
        lasting: whether trying again is of no use before somebody has acted.
    """

    def __init__(self, message: str, *, lasting: bool = False) -> None:
        super().__init__(message)
        self.lasting = lasting

    def __reduce__(self) -> tuple[object, ...]:
        # It travels between processes, and an exception is made again from its arguments alone.
        return _disturbance, (str(self), self.lasting)


def _disturbance(message: str, lasting: bool) -> DisturbanceError:
    return DisturbanceError(message, lasting=lasting)


class UnknownName(UsageError):
    """A name that is not registered, with the nearest ones as a suggestion.

    Args:
        kind: what was looked up, e.g. ``recipe``.
        name: what the user wrote.
        known: the names that exist.
        hint: where they come from and how to list them.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        self.kind, self.name = kind, name
        message = f"unknown {kind} '{name}'.{suggestion(name, known)}"
        super().__init__(f"{message}\n{hint}" if hint else message)


def suggestion(name: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` for the nearest known name, or an empty string."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return f" Did you mean '{by_lower[near[0]]}'?" if near else ""


def printable(text: str) -> str:
    """A text from outside for a message: signs that steer a terminal are spelled out."""
    return "".join(
        sign if sign.isprintable() or sign == "\n" else ascii(sign)[1:-1] for sign in text
    )


def first_line(error: BaseException) -> str:
    """What an error of another library says, without what follows; its kind if it says nothing."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
