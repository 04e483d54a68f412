"""Writing a record and its history, so that no moment leaves a false pair of them."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from benchmark.errors import RecordError
from benchmark.files import write_whole
from benchmark.records.places import is_inside

DAMAGED = ".damaged"  # behind the name of a file that made room for a new one


def put(path: Path, text: str, history: Path, history_csv: str | None) -> None:
    """Put a record and its history in their places, each whole.

    A history never lies beside a record that is not its own, wherever this is cut off: that of a
    new record is there first; where a record is replaced, the old history goes first and the new
    one comes last.

    Args:
        path: of the record.
        text: of the record.
        history: path of the history.
        history_csv: its text; None if there is none.

    Raises:
        OSError: the folder cannot be written.
    """
    is_new = not os.path.lexists(path)
    if history_csv is None or not is_new:
        history.unlink(missing_ok=True)
    if history_csv is not None and is_new:
        write_whole(history, history_csv, durable=True)
    write_whole(path, text, durable=True)
    if history_csv is not None and not is_new:
        write_whole(history, history_csv, durable=True)


def set_aside(path: Path) -> Path:
    """Move a file that cannot be trusted out of the way of the one that takes its place.

    Returns:
        Where it is now.

    Raises:
        OSError: the folder cannot be written.
    """
    numbers = ("" if number == 1 else str(number) for number in itertools.count(1))
    places = (path.with_name(f"{path.name}{DAMAGED}{number}") for number in numbers)
    aside = next(place for place in places if not os.path.lexists(place))
    os.replace(path, aside)
    return aside


def check_inside(folder: Path, root: Path) -> None:
    """Refuse a folder to which a link leads out of the results: a stranger may have put it there.

    Raises:
        RecordError: it does.
    """
    real = os.path.realpath(folder)
    if not is_inside(real, os.path.realpath(root)):
        raise RecordError(
            f"{folder} is a link to {real}, outside of {root}: what lies there is read, and "
            "nothing is written. Replace the link by a folder, or choose another with --results."
        )
