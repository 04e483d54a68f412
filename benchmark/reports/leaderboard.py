"""The leaderboard: a pure function of a results folder, so that equal folders give equal bytes."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmark.errors import RecordError, UsageError
from benchmark.files import write_whole
from benchmark.memory import collecting_later
from benchmark.records.attestations import Attested
from benchmark.records.reported import Reported, read_reported
from benchmark.records.speed import read_speeds
from benchmark.records.store import Store, Unreadable
from benchmark.reports.board.aggregate import aggregate
from benchmark.reports.board.comparison import compare
from benchmark.reports.board.metrics import TOP1, Metric
from benchmark.reports.board.provenance import OriginOf, recorded
from benchmark.reports.board.staleness import Current
from benchmark.reports.board.tables import Board
from benchmark.reports.formats import Format


def render(board: Board, form: Format, reported: Sequence[Reported] = ()) -> str:
    """The leaderboard as text, ending in a newline.

    Args:
        board: what to show.
        form: how it is written.
        reported: numbers of others; a format that does not show them is not given any.

    Raises:
        UsageError: the format failed, or gave something else than text.
    """
    try:
        text: object = form.write(board, compare(board, reported) if form.shows_reported else ())
    except Exception as error:  # whatever a file of somebody else raises
        raise UsageError(
            f"the format '{form.name}' failed: {type(error).__name__}: {error}. Correct its file; "
            f"'kdbench --debug leaderboard …' shows the place."
        ) from error
    if not isinstance(text, str):
        raise UsageError(f"the format '{form.name}' gave {type(text).__name__} instead of text.")
    return text


def compose(
    results: Path,
    form: Format,
    current: Current | None = None,
    *,
    origins: Callable[[Attested], OriginOf] | None = None,
    metric: Metric = TOP1,
) -> tuple[str, tuple[str, ...]]:
    """The leaderboard of a results folder, and what could not be read there.

    Args:
        results: folder of records, of numbers that others report in its ``reported/``, and of how
            fast machines are in its ``speed/``.
        form: how it is written.
        current: what is not stale; None takes every record as it is.
        origins: tells, from what is attested in the folder, which source of its recipe a record
            comes from; None knows no recipe of today.
        metric: what is averaged, compared and ranked.

    Returns:
        The text, and a message for every file that was left out because it cannot be trusted.

    Raises:
        RecordError: there is no such folder.
    """
    if not results.is_dir():
        raise RecordError(f"there is no folder of records {results}. Correct --results.")
    with collecting_later():
        contents = Store(results).all()
        reported, refused = read_reported(results)
        speeds, distrusted = read_speeds(results)
        problems = [*contents.problems, *refused, *distrusted]
        board = aggregate(
            contents.records,
            current,
            metric=metric,
            damaged=_names(problems, results),
            beside=_names(contents.beside, results),
            origin=origins(contents.attested) if origins else recorded,
        )
        board = replace(board, speeds=speeds)
        return render(board, form, reported), tuple(problem.message for problem in problems)


def _names(problems: Iterable[Unreadable], results: Path) -> tuple[str, ...]:
    """The files by their places in the folder: wherever that lies, the page is the same."""
    return tuple(problem.path.relative_to(results).as_posix() for problem in problems)


def difference(text: str, file: Path) -> str | None:
    """How a written leaderboard differs from what the records give, as a diff; None if it does not.

    A file that does not exist differs in every line.

    Raises:
        RecordError: the file cannot be read.
    """
    try:
        # As bytes: the line ends are part of what is compared.
        written = file.read_bytes().decode("utf-8")
    except FileNotFoundError:
        written = ""
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(
            f"cannot read {file}: {error}. Write it again with 'kdbench leaderboard'."
        ) from None
    if written == text:
        return None
    return "".join(
        difflib.unified_diff(
            written.splitlines(keepends=True),
            text.splitlines(keepends=True),
            fromfile=str(file),
            tofile="from the records",
        )
    )


def save(text: str, file: Path) -> None:
    """Write a leaderboard whole or not at all.

    Raises:
        RecordError: the file cannot be written.
    """
    try:
        write_whole(file, text, durable=True)
    except OSError as error:
        raise RecordError(
            f"cannot write {file}: {error.strerror or error}. Choose another one with --output."
        ) from None
