"""What the parts of a data set card share: the names of the splits, and a share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

Share = Annotated[float, Field(ge=0, lt=1)]
SplitName = Literal["train", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "test")
