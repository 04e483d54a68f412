"""From a folder or a table of anybody's to a listing that a card can name."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.data.intake.division import divide
from benchmark.data.intake.folders import (
    folders_in,
    has_classes,
    read_classes,
    read_splits,
    split_folders,
    split_named,
)
from benchmark.data.intake.images import Intake, Taken, with_names
from benchmark.data.intake.listed import read_listed, together
from benchmark.data.intake.tables import Table, find_columns, read_table
from benchmark.errors import DataError, UsageError
from benchmark.layouts import csv_file
from benchmark.layouts.catalogue import LayoutCatalogue
from benchmark.layouts.image_folder import TEST_FOLDERS
from benchmark.layouts.listing import Listing, Places

TEST_SHARE = 0.2
"""Of the images of a class, where no split is there and none is asked for."""
METADATA = ("metadata.csv", "metadata.jsonl")
"""The tables of Hugging Face's ``imagefolder``, in the folder or in those of the splits."""
TABLES = (".csv", ".tsv", ".jsonl")


@dataclass(frozen=True)
class Wishes:
    """What a person said of their images; None is found out.

    Attributes:
        layout: in which they lie.
        test: share of every class that is tested on, where there is no split.
        seed: of the choice of these.
        columns: of a table, by what they hold: path, label, split.
        separator: of the columns.
        images: folder that the paths of a table are meant from.
    """

    layout: str | None = None
    test: float | None = None
    seed: int = 0
    columns: Mapping[str, str] = field(default_factory=dict)
    separator: str | None = None
    images: Path | None = None


@dataclass(frozen=True)
class Prepared:
    """Images that a card can name.

    Attributes:
        folder: that they lie in, absolute.
        layout: by its name.
        options: of the layout.
        listing: the images.
        table: to be written beside the card, path, label and split of every image; None where the
            layout reads the folder alone.
        division: how the split was drawn, for a person; empty where it was there.
        notes: what a person should know of how the images were read.
    """

    folder: Path
    layout: str
    options: Mapping[str, str]
    listing: Listing
    table: str | None = None
    division: str = ""
    notes: tuple[str, ...] = ()


def prepare(source: Path, wishes: Wishes, *, layouts: LayoutCatalogue) -> Prepared:
    """Find out how images lie, and list them.

    Args:
        source: their folder, or a table of them.
        wishes: what was said of them.
        layouts: that are known.

    Raises:
        UnknownName: there is no such layout or column.
        UsageError: what was said does not fit to what is there.
        DataError: there is nothing, or nothing that can be understood.
        ManyFaults: files or lines are not as they should be; all of them.
    """
    source = source.expanduser().resolve()
    if source.is_file() and source.suffix.lower() not in (*TABLES, ".txt"):
        raise DataError(
            f"{source} is no table by its name, which ends in {', '.join(TABLES)} or .txt. Give "
            "the folder of the images, or unpack the archive and give the folder that it makes."
        )
    if source.is_file():
        return _tabled(_of_table(read_table(source, wishes.separator), wishes), wishes)
    if not source.is_dir():
        raise DataError(f"there is no folder or table {source}. Correct --from.")
    if wishes.layout:
        return _native(source, wishes.layout, {}, wishes, layouts)
    if metadata := _metadata(source):
        return _tabled(_of_metadata(source, metadata, wishes), wishes)
    found = [name for name in layouts if _is_in(source, name, layouts)]
    if len(found) > 1:
        raise DataError(_unclear(source, f"looks like several: {', '.join(found)}", layouts))
    if found and found != ["csv"]:
        return _native(source, found[0], {}, wishes, layouts)
    tables = [source / "labels.csv"] if found else _tables(source)
    if not found and (split_folders(source) or (has_classes(source) and not tables)):
        _no_table(wishes, f"{source} is read by its folders")
        return _tabled((read_splits if split_folders(source) else read_classes)(source), wishes)
    if len(tables) != 1:
        raise DataError(_unclear(source, _nothing(source, tables), layouts))
    if tables[0].suffix == ".csv" and csv_file.has_columns(tables[0]):
        return _native(source, "csv", {"file": tables[0].name}, wishes, layouts)
    return _tabled(_of_table(read_table(tables[0], wishes.separator), wishes), wishes)


def _native(
    folder: Path,
    layout: str,
    options: Mapping[str, str],
    wishes: Wishes,
    layouts: LayoutCatalogue,
) -> Prepared:
    """Images in a known layout, which tells classes and splits."""
    listing = layouts.get(layout).read(Places((folder,)), options)
    if wishes.test is not None:
        raise UsageError(
            f"the images in {folder} have a test part already: leave out --test, or give the "
            "folder of those that are to be divided."
        )
    _no_table(wishes, f"{folder} is read as the layout '{layout}'")
    return Prepared(folder, layout, options, listing)


def _no_table(wishes: Wishes, how: str) -> None:
    """Refuse what can be said of a table alone."""
    if wishes.columns or wishes.separator or wishes.images:
        raise UsageError(
            f"columns, separators and --images are said of a table, but {how}. Leave them out, or "
            "give the table itself as --from."
        )


def _tabled(intake: Intake, wishes: Wishes) -> Prepared:
    """Images that a table beside the card will list."""
    images, more = with_names(intake.images)
    division = ""
    if not intake.divided:
        share = TEST_SHARE if wishes.test is None else wishes.test
        images = divide(images, share, wishes.seed, place=str(intake.folder))
        division = f"{share:.3g} of every class for the test, seed {wishes.seed}"
    elif wishes.test is not None:
        raise UsageError(
            f"the images in {intake.folder} have a test part already: leave out --test."
        )
    text = _written(images)
    listing = csv_file.listed(text, intake.folder, "the table of the images")
    notes = (*intake.notes, *more)
    return Prepared(intake.folder, "csv", {}, listing, text, division, notes)


def _written(images: Sequence[Taken]) -> str:
    """Images as the layout ``csv`` reads them, in the order of their paths."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(csv_file.COLUMNS)
    rows = sorted((image.path, image.label, str(image.split)) for image in images)
    writer.writerows(rows)
    return stream.getvalue()


def _is_in(folder: Path, name: str, layouts: LayoutCatalogue) -> bool:
    """Whether a folder looks like a layout."""
    if not layouts.get(name).is_in(folder):
        return False
    # A table often stands beside train/*.jpg, which says nothing of classes.
    return name != "image_folder" or (
        bool(folders_in(folder / "train")) and Places((folder,)).find(*TEST_FOLDERS) is not None
    )


def _metadata(folder: Path) -> list[Path]:
    """The tables of an ``imagefolder``."""
    return [
        path
        for inner in (folder, *split_named(folder))
        for name in METADATA
        if (path := inner / name).is_file()
    ]


def _of_table(table: Table, wishes: Wishes) -> Intake:
    images = wishes.images.expanduser().resolve() if wishes.images else None
    if images is not None and not images.is_dir():
        raise DataError(f"there is no folder {images}. Correct --images.")
    return read_listed(table, find_columns(table, **wishes.columns), images)


def _of_metadata(folder: Path, metadata: Sequence[Path], wishes: Wishes) -> Intake:
    intakes = [_of_table(read_table(path, wishes.separator), wishes) for path in metadata]
    if [path.parent for path in metadata] == [folder]:
        return intakes[0]
    if any(path.parent == folder for path in metadata):
        raise DataError(f"{folder} and its splits have tables. Give one of them as --from.")
    return together(list(zip([p.parent.name for p in metadata], intakes, strict=True)), folder)


def _tables(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in TABLES)


def _nothing(folder: Path, tables: Sequence[Path]) -> str:
    """What is in the way of reading a folder."""
    if tables:
        names = ", ".join(path.name for path in tables[:8])
        return f"holds several tables ({names}): give the one that lists the images as --from"
    inner = [path for path in folders_in(folder) if has_classes(path)]
    hint = f"; is {inner[0]} meant?" if len(inner) == 1 else ""
    return f"is in no known layout{hint}"


def _unclear(folder: Path, fault: str, layouts: LayoutCatalogue) -> str:
    known = "\n".join(f"  {layout.name}: {layout.about}" for layout in layouts.values())
    return (
        f"{folder} {fault}. Known are:\n{known}\n"
        "  without a name: CLASS/*.jpg, of which a test part is drawn\n"
        "  without a name: a table of any columns, CSV or JSON lines\n"
        "Bring the images into one of them, as docs/add-a-data-set.md shows, or say with --layout "
        "which one it is."
    )
