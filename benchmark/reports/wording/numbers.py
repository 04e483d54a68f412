"""How the numbers of a board are written, so that all reports say the same."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.reports.board.statistics import Difference, Summary
from benchmark.reports.board.tables import Board, Cell, Column, Table

NOTHING = "—"
OPEN = "†"
RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
MOST_FILES = 20  # that are named; the others are counted


def score(cell: Cell | None) -> str:
    """``76.12 ± 0.20 (3)``; what failed or is missing is said in the brackets."""
    if cell is None:
        return NOTHING
    if (summary := cell.score) is None:
        return f"failed: {', '.join(cell.failures)}" if cell.failures else NOTHING
    return f"{spread(summary)} ({seeds(cell)})"


def seeds(cell: Cell) -> str:
    """``3``, ``2 of 3``, ``2 of 3; 1 diverged``: seeds with a result and what the rest did."""
    failed = [f"{len(of_status)} {status}" for status, of_status in cell.failures.items()]
    n = len(cell.by_seed)
    total = n + len(cell.missing) + sum(map(len, cell.failures.values()))
    return "; ".join([str(n) if cell.complete else f"{n} of {total}", *failed])


def teacher(summary: Summary | None) -> str:
    """The teacher's score with the number of teachers."""
    return f"{spread(summary)} ({summary.n})" if summary else NOTHING


def spread(summary: Summary) -> str:
    """``76.12 ± 0.20``, or the mean alone for one seed."""
    return f"{summary.mean:.2f}" + ("" if summary.std is None else f" ± {summary.std:.2f}")


def gain(cell: Cell | None) -> str:
    """``+3.10 [+2.80, +3.40]``; the number of paired seeds if the cell has more."""
    if cell is None or cell.gain is None:
        return NOTHING
    text = points(cell.gain)
    return text if cell.gain.n == len(cell.by_seed) else f"{text} ({cell.gain.n})"


def points(difference: Difference) -> str:
    """A difference with its interval, if it has one."""
    text = f"{difference.mean:+.2f}"
    if difference.low is None or difference.high is None:
        return text
    return f"{text} [{difference.low:+.2f}, {difference.high:+.2f}]"


def size(count: float | None) -> str:
    """``1.23 M``."""
    if count is None:
        return NOTHING
    try:
        return f"{count / 1e6:.2f} M"
    except OverflowError:  # no number of anything real
        return "more than 10³⁰⁸"


def pair(column: Column) -> str:
    """How a pair is headed; what tells it from other columns of the pair stands in brackets."""
    name = f"{column.teacher} → {column.student}"
    return f"{name} ({column.mark})" if column.mark else name


def numbered(text: str, table: Table, notes: Sequence[str]) -> str:
    """A text with the numbers of its footnotes: ``62.10 ± 0.20 (3) ¹ ²``."""
    return " ".join([text, *(str(number).translate(RAISED) for number in table.numbers(notes))])


def footnotes(table: Table) -> list[str]:
    """The footnotes, each with its number in front."""
    return [f"{str(n).translate(RAISED)} {note}" for n, note in enumerate(table.footnotes, start=1)]


def heading(table: Table) -> str:
    """``cifar100, protocol paper`` and what is unusual about it."""
    unusual = [] if table.ranked else ["not ranked"]
    if table.evaluated_on != "test":
        unusual.append(f"on {table.evaluated_on}")
    return f"{table.dataset}, protocol {table.protocol}" + (
        f" ({', '.join(unusual)})" if unusual else ""
    )


def left_out(board: Board) -> str:
    """What is not in the tables, or an empty text."""
    parts = [f"{count} stale ({reason})" for reason, count in board.stale.items()]
    if board.unreadable:
        files = "file" if board.unreadable == 1 else "files"
        parts.append(f"{board.unreadable} unreadable {files}")
    return f"Left out: {', '.join(parts)}." if parts else ""


def damaged(board: Board) -> list[str]:
    """The files that cannot be trusted by name, and what to do; nothing without any."""
    files = [
        *board.damaged,
        *(f"{name}, beside a record: no number is of it" for name in board.beside),
    ]
    if not files:
        return []
    more = len(files) - MOST_FILES
    return [
        *files[:MOST_FILES],
        *([f"and {more} more"] if more > 0 else []),
        "Restore such a file (git checkout -- FILE), or correct it if it was written by hand, or "
        "delete it; 'kdbench run' trains again what has no record.",
    ]


def notes(table: Table) -> list[str]:
    """What a reader must know before comparing."""
    lone = any(
        cell.rank == "best" and len(cell.by_seed) == 1
        for column in table.columns
        for cell in column.cells.values()
    )
    untested = ["A best mean of one seed cannot be tested against the others."] if lone else []
    return untested + list(table.notes)


def rounded(value: float | None) -> float | None:
    """Rounded, so that the last bits of a platform's mathematics do not show."""
    return None if value is None else round(value, 4)
