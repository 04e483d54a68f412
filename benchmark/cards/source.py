"""The part of a card that says where the data come from: hub, own folder, or a program.

A layout is only named here. Whoever reads cards hands in what knows the layouts, and so what is
wrong with a name or an option is said together with everything else that is wrong with a card.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Protocol

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator, model_validator

from benchmark.cards.drawn import DrawnSource
from benchmark.cards.fields import SPLITS, InnerPath, SplitName
from benchmark.errors import BenchmarkError
from benchmark.strict import Line, Strict

_REPOSITORY = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,95}(/[A-Za-z0-9][A-Za-z0-9_.-]{0,95})?$"


class LayoutNames(Protocol):
    """What knows the layouts, as far as a card is checked by it."""

    def file_of(self, layout: str) -> Path | None:
        """The file of a layout of one's own, None for a built-in one.

        Raises:
            BenchmarkError: there is no such layout, or its file is broken.
        """
        ...

    def check_options(self, layout: str, options: Mapping[str, str]) -> None:
        """Refuse options that a layout does not have.

        Raises:
            ValueError: an unknown option, or a value that it does not take.
        """
        ...


class InLayout(Strict):
    """Files that lie in a layout: a way in which images and labels lie in a folder.

    Attributes:
        layout: its name.
        options: of the layout, by name.
    """

    layout: Line
    options: dict[Line, Line] = Field(default_factory=dict)
    _layout_file: Path | None = PrivateAttr(default=None)

    @property
    def layout_file(self) -> Path | None:
        """Where a layout of one's own was found when the card was read; None if it is built in."""
        return self._layout_file

    @field_validator("layout")
    @classmethod
    def _known(cls, layout: str, info: ValidationInfo) -> str:
        if (names := _names(info)) is not None:
            try:
                names.file_of(layout)
            except BenchmarkError as error:
                raise ValueError(str(error)) from None
        return layout

    @model_validator(mode="after")
    def _options_fit(self, info: ValidationInfo) -> InLayout:
        if (names := _names(info)) is not None:
            names.check_options(self.layout, self.options)
            self._layout_file = names.file_of(self.layout)
        return self


def _names(info: ValidationInfo) -> LayoutNames | None:
    """What was handed in by whoever reads the card."""
    names: LayoutNames | None = (info.context or {}).get("layouts")
    return names


class Download(Strict):
    """A file of the official archive that can be fetched without the hub.

    Attributes:
        file: its name, as it is looked for under ``--data``.
        url: where it is.
        checksum: ``md5:…`` or ``sha256:…``.
    """

    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=200)]
    url: Annotated[Line, Field(pattern=r"^https?://[^\s]+$")]
    checksum: Annotated[str, Field(pattern=r"^(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64})$")]


class LocalCopy(InLayout):
    """The official archive of a data set, as a user may have it under ``--data``.

    Attributes:
        folder: name of the unpacked folder, or its path there; it may also lie in a folder of the
            data set's name.
        archives: the same of the archives that unpack to it; all that are there are unpacked.
    """

    folder: InnerPath
    archives: tuple[InnerPath, ...] = ()


class HubSource(Strict):
    """A data set of the Hugging Face hub, or its files in a local folder.

    Attributes:
        hub: repository id.
        revision: the pinned commit of the repository.
        image: column of the images.
        label: column of the labels.
        files: glob of the parquet shards by split, inside the repository; several globs where a
            split is made of several of the repository's.
        folder: name of the local folder in which ``--data`` may hold the shards.
        archive: name of the local folder of the official python archive, if there is one: pickled
            ``train``, ``test`` and ``meta``, with the labels under the column's name in the plural
            and the class names under ``<label>_names``.
        local: official archives in other layouts, in the order in which they are looked for.
        mixed_sizes: images differ in size; they are then decoded once for each image size that a
            protocol asks for, and kept.
        keep: only the first so many classes of a larger data set are taken.
    """

    kind: Literal["hub"]
    hub: Annotated[str, Field(pattern=_REPOSITORY)]
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    image: Line
    label: Line
    files: dict[SplitName, InnerPath | tuple[InnerPath, ...]]
    folder: InnerPath
    archive: InnerPath | Literal[""] = ""
    local: tuple[LocalCopy, ...] = ()
    mixed_sizes: bool = False
    keep: Annotated[int, Field(gt=1)] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> HubSource:
        if set(self.files) != set(SPLITS) or not all(map(self.patterns, SPLITS)):
            raise ValueError("files must name the shards of train and of test")
        if len({Path(glob).parent for split in SPLITS for glob in self.patterns(split)}) > 1:
            raise ValueError("files must all lie in one folder of the repository")
        if (self.keep or self.local) and not self.mixed_sizes:
            raise ValueError("keep and local need mixed_sizes = true")
        return self

    def patterns(self, split: SplitName) -> tuple[str, ...]:
        """The globs of a split."""
        globs = self.files[split]
        return (globs,) if isinstance(globs, str) else globs

    @property
    def inside(self) -> Path:
        """The folder of the shards inside the repository."""
        return Path(self.patterns("train")[0]).parent


class FolderSource(InLayout):
    """Images of one's own, in a folder.

    Attributes:
        folder: where they lie, anywhere; relative to the card. A folder of this name under
            ``--data`` is looked at before. It is read and never written to.
        table: of the layout, where it lies beside the card and not in the folder: its name. One in
            the folder is taken if there is none beside the card.
        revision: raised by hand when the images change.
        fingerprint: of the list of files with their labels and sizes; if it is given, other files
            are refused.
    """

    kind: Literal["folder"]
    folder: Line
    table: InnerPath | None = None
    revision: Line = "1"
    fingerprint: Line = ""

    @model_validator(mode="after")
    def _table_fits(self, info: ValidationInfo) -> FolderSource:
        if self.table is not None:
            if "file" in self.options:
                raise ValueError("table and the option file name two tables; keep one of them")
            if (names := _names(info)) is not None:
                names.check_options(self.layout, {"file": self.table})
        return self


Source = Annotated[HubSource | FolderSource | DrawnSource, Field(discriminator="kind")]
