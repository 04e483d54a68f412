"""What the parts of a data set card share: split names, a share, three numbers by channel."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

Share = Annotated[float, Field(ge=0, lt=1)]
SplitName = Literal["train", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "test")
Triple = tuple[float, float, float]
