"""A new card, for images that lie in a folder."""

from __future__ import annotations

import json
import re
from pathlib import Path

from benchmark.data.look.survey import Survey, survey
from benchmark.errors import UsageError
from benchmark.layouts.catalogue import known_cards, read_layouts
from benchmark.templates.writing import fill, new_file


def write_dataset(
    name: str, source: Path, folder: Path, *, layout: str | None = None
) -> tuple[Path, Survey]:
    """Write a card for a folder of images.

    Args:
        name: lower case, words joined by hyphens or underscores.
        source: holds the images.
        folder: of the card; made if it does not exist.
        layout: of the images; None finds it out.

    Returns:
        The card, and what was found in the folder of images.

    Raises:
        UsageError: the name cannot be a data set's or is taken, or the file cannot be written.
        DataError: the images cannot be listed or opened.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise UsageError(
            f"'{name}' cannot be a data set's name. "
            "Use lower case, words joined by hyphens: my-birds."
        )
    known_folders = [folder] if folder.is_dir() else []
    known = known_cards(known_folders)
    if name in known:
        raise UsageError(
            f"the data set '{name}' exists: {known.origin(name)}. Choose another name."
        )
    file = new_file(folder, f"{name}.toml")
    found = survey(source, layout, layouts=read_layouts(known_folders))
    small = found.image_size <= 64
    batch = 64 if found.images["train"] >= 2000 else 32
    fill(
        "dataset.toml.jinja",
        file,
        name=name,
        survey=found,
        # JSON's strings are TOML's.
        title=json.dumps(name.replace("-", " ").replace("_", " ").capitalize()),
        folder=json.dumps(str(found.folder), ensure_ascii=False),
        pairs=("resnet56:resnet20",) if small else ("timm/resnet34:timm/resnet18",),
        batch_size=batch,
        # About twenty thousand steps, between 30 and 200 passes.
        epochs=min(200, max(30, 20_000 * batch // found.images["train"])),
    )
    return file, found
