"""What the parts of a card share: split names, numbers by channel, paths, and their bounds."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from benchmark.strict import Line

MOST_CLASSES = 100_000  # ImageNet's whole tree has 21,841
MOST_PIXELS = 4_096  # height and width that networks see

Share = Annotated[float, Field(ge=0, lt=1)]
SplitName = Literal["train", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "test")
Triple = tuple[float, float, float]
ImageSize = Annotated[int, Field(gt=0, le=MOST_PIXELS)]
PairText = Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9_./-]+:[A-Za-z0-9_./-]+$")]
Pairs = Annotated[tuple[PairText, ...], Field(max_length=1000)]


def leads_out(path: str) -> bool:
    """Whether a path from outside may lead anywhere but below the folder that it is told in.

    True for what is empty, absolute, begins at a home or a drive, holds ``..``, a backslash or what
    cannot be printed.
    """
    parts = PurePosixPath(path).parts
    return (
        not parts
        or not path.isprintable()
        or path.startswith(("/", "~"))
        or "\\" in path
        or ".." in parts
        or re.match(r"[A-Za-z]:", path) is not None
        or any(len(part.encode()) > 255 for part in parts)
    )


def _stays_inside(path: str) -> str:
    if leads_out(path):
        raise ValueError("write a path below the data folder: relative, with slashes, without '..'")
    return path


InnerPath = Annotated[Line, AfterValidator(_stays_inside)]
"""A path below a folder that the user named, or a glob of such paths."""
