"""A new file from one of the templates that lie here."""

from __future__ import annotations

from pathlib import Path

import jinja2

from benchmark.errors import UsageError
from benchmark.files import write_whole

FOLDER = Path(__file__).resolve().parent


def new_file(folder: Path, name: str) -> Path:
    """Where a new file is to be.

    Raises:
        UsageError: there is a file of this name.
    """
    file = folder / name
    if file.exists():
        raise UsageError(f"the file {file} exists. Choose another name or folder.")
    return file


def fill(template: str, file: Path, **values: object) -> None:
    """Write a file from a template; its folder is made if need be.

    Args:
        template: name of a file in this folder.
        file: to be written.
        values: of all names that stand in the template.

    Raises:
        UsageError: the file cannot be written.
    """
    text = jinja2.Template(
        (FOLDER / template).read_text("utf-8"),
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    ).render(values)
    try:
        write_whole(file, text, durable=True)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}.") from None
