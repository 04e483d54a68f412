"""A new card, for images that lie in a folder or are listed in a table."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

from benchmark.data.intake.preparing import Wishes, prepare
from benchmark.data.look.survey import Survey, survey
from benchmark.errors import DataError, ManyFaults, UsageError
from benchmark.events import Listener
from benchmark.files import write_whole
from benchmark.layouts.catalogue import known_cards, read_layouts
from benchmark.templates.writing import fill, new_file


def write_dataset(
    name: str,
    source: Path,
    folder: Path,
    wishes: Wishes | None = None,
    *,
    listener: Listener | None = None,
) -> tuple[Path, Survey]:
    """Write a card for images, and beside it a table of them where their folder does not tell all.

    Args:
        name: lower case, words joined by hyphens or underscores.
        source: folder of the images, or a table that lists them.
        folder: of the card; made if it does not exist.
        wishes: what was said of the images; None finds all out.
        listener: hears of the progress of reading them.

    Returns:
        The card, and what was found of the images.

    Raises:
        UsageError: the name cannot be a data set's or is taken, a file cannot be written, or what
            was said does not fit to the images.
        DataError: the images cannot be listed or read. Where more are faulty than a message holds,
            all of them are written to a file beside the card.
    """
    known_folders = [folder] if folder.is_dir() else []
    _check_name(name, known_folders)
    file, table = (new_file(folder, f"{name}{suffix}") for suffix in (".toml", ".csv"))
    faults = folder / f"{name}.faults.txt"
    listener = listener or Listener()
    try:
        images = prepare(source, wishes or Wishes(), layouts=read_layouts(known_folders))
        total = sum(map(len, images.listing.items.values()))
        with listener.progress(f"reading {name}", total) as advance:
            found = survey(images, name, advance=advance)
    except ManyFaults as error:
        if len(error.faults) <= error.SHOWN:
            raise
        _write(faults, "".join(f"{fault}\n" for fault in error.faults))
        raise DataError(f"{error}\nAll of them are listed in {faults}.") from None
    if images.table is not None:
        _write(table, images.table)
    _fill(file, name, found)
    with contextlib.suppress(OSError):
        faults.unlink()  # of an earlier time
    return file, found


def _check_name(name: str, folders: list[Path]) -> None:
    """Refuse what cannot be a data set's name, or is one already."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise UsageError(
            f"'{name}' cannot be a data set's name. "
            "Use lower case, words joined by hyphens: my-birds."
        )
    known = known_cards(folders)
    if name in known:
        raise UsageError(
            f"the data set '{name}' exists: {known.origin(name)}. Choose another name."
        )


def _fill(file: Path, name: str, found: Survey) -> None:
    """Write the card."""
    images, train = found.images, found.counts["train"]
    batch = 64 if train >= 2000 else 32
    fill(
        "dataset.toml.jinja",
        file,
        name=name,
        survey=found,
        images=images,
        classes=len(images.listing.class_names),
        # JSON's strings are TOML's.
        title=json.dumps(name.replace("-", " ").replace("_", " ").capitalize()),
        folder=json.dumps(str(images.folder), ensure_ascii=False),
        table=None if images.table is None else f"{name}.csv",
        pairs=("resnet56:resnet20",)
        if found.image_size <= 64
        else ("timm/resnet34:timm/resnet18",),
        batch_size=batch,
        # About twenty thousand steps, between 30 and 200 passes.
        epochs=min(200, max(30, 20_000 * batch // train)),
    )


def _write(file: Path, text: str) -> None:
    try:
        write_whole(file, text, durable=True)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}.") from None
