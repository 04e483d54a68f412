"""The data set card: one TOML file that says everything about a data set.

Where the data come from, its classes and splits, how images are augmented, how long one trains
(protocols) and which pairs of networks are usual.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from benchmark.errors import CardError, UnknownName, UsageError, suggestion

Share = Annotated[float, Field(ge=0, lt=1)]
Triple = tuple[float, float, float]
SplitName = Literal["train", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "test")


class Strict(BaseModel):
    """Unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class RandomCrop(Strict):
    """Pad with black by ``padding`` pixels on each side, then crop at a random place."""

    name: Literal["random_crop"]
    padding: Annotated[int, Field(gt=0)]


class HorizontalFlip(Strict):
    """Mirror with probability ``p``."""

    name: Literal["horizontal_flip"]
    p: Annotated[float, Field(ge=0, le=1)] = 0.5


class RandomResizedCrop(Strict):
    """Crop a random share of the area at a random aspect ratio and resize it to the image size."""

    name: Literal["random_resized_crop"]
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (0.75, 1.3333)


class ColorJitter(Strict):
    """Change brightness, contrast, saturation and hue at random."""

    name: Literal["color_jitter"]
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0


Transform = Annotated[
    RandomCrop | HorizontalFlip | RandomResizedCrop | ColorJitter, Field(discriminator="name")
]


class HubSource(Strict):
    """A data set of the Hugging Face hub, or its files in a local folder.

    Attributes:
        hub: repository id.
        revision: the pinned commit of the repository.
        image: column of the images.
        label: column of the labels.
        files: glob of the parquet shards by split, inside the repository.
        folder: name of the local folder in which ``--data`` may hold the shards.
        archive: name of the local folder of the official python archive, if there is one: pickled
            ``train``, ``test`` and ``meta``, with the labels under the column's name in the plural
            and the class names under ``<label>_names``.
        mixed_sizes: images differ in size; they are then kept encoded and resized when read.
    """

    kind: Literal["hub"]
    hub: str
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    image: str
    label: str
    files: dict[SplitName, str]
    folder: str
    archive: str = ""
    mixed_sizes: bool = False

    @model_validator(mode="after")
    def _both_splits(self) -> HubSource:
        if set(self.files) != set(SPLITS):
            raise ValueError("files must name the shards of train and of test")
        return self


class DrawnSource(Strict):
    """Images that a program draws at first use.

    Attributes:
        revision: raised by hand when the drawing changes.
        families: number of body plans.
        species: number of species in each family.
        train_per_class: training images of each class.
        test_per_class: test images of each class.
        seed: of the drawing.
    """

    kind: Literal["drawn"]
    revision: str
    families: Annotated[int, Field(gt=0)]
    species: Annotated[int, Field(gt=0)]
    train_per_class: Annotated[int, Field(gt=0)]
    test_per_class: Annotated[int, Field(gt=0)]
    seed: int


Source = Annotated[HubSource | DrawnSource, Field(discriminator="kind")]


class Protocol(Strict):
    """How long and how one trains.

    Attributes:
        name: as written in the card, with the overrides in brackets.
        epochs: passes over the training set.
        batch_size: images of a step over all processes.
        lr: learning rate after warm-up.
        lr_by_network: learning rates of networks that need another one.
        schedule: ``step`` multiplies by ``gamma`` at ``milestones`` (epochs); ``cosine`` falls to
            zero at the end.
        warmup_epochs: the learning rate rises linearly for so long.
        validation: share of the training set that is held out and evaluated on instead of the
            test set, for tuning.
        evaluate_every: epochs from one evaluation to the next; the last epoch always has one.
        ranked: whether the leaderboard ranks it.
    """

    name: str
    epochs: Annotated[int, Field(gt=0)]
    batch_size: Annotated[int, Field(gt=0)]
    lr: Annotated[float, Field(gt=0)]
    lr_by_network: dict[str, float] = {}
    momentum: Share = 0.9
    nesterov: bool = False
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    schedule: Literal["step", "cosine"] = "step"
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    validation: Share = 0.0
    evaluate_every: Annotated[int, Field(gt=0)] = 1
    ranked: bool = False

    @model_validator(mode="after")
    def _milestones_fit(self) -> Protocol:
        if self.schedule == "step" and list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError("milestones must rise")
        if self.schedule == "cosine" and self.milestones:
            raise ValueError("a cosine schedule has no milestones")
        return self

    def for_network(self, network: str) -> dict[str, Any]:
        """What of the protocol changes the result of this network: the part of its identity."""
        values = self.model_dump(exclude={"lr_by_network", "evaluate_every", "ranked", "name"})
        values["lr"] = self.lr_by_network.get(network, self.lr)
        if self.schedule == "cosine":
            del values["milestones"], values["gamma"]
        return values


class Card(Strict):
    """A data set card; those in ``datasets/`` are the examples.

    Attributes:
        classes: number of classes K; labels are 0 … K-1.
        image_size: height and width in pixels that the networks see.
        mean, std: of the training pixels in [0, 1], by channel.
        splits: number of images by split.
        augmentation: of the training images, in order.
        protocols: by name; the first is the default.
        pairs: ``teacher:student``, the usual ones.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    title: str
    homepage: str = ""
    licence: str = ""
    citation: str = ""
    classes: Annotated[int, Field(gt=1)]
    image_size: Annotated[int, Field(gt=0)]
    mean: Triple
    std: Triple
    splits: dict[SplitName, Annotated[int, Field(gt=0)]]
    source: Source
    augmentation: tuple[Transform, ...] = ()
    protocols: dict[str, Protocol]
    pairs: tuple[str, ...]

    @model_validator(mode="after")
    def _both_splits(self) -> Card:
        if set(self.splits) != set(SPLITS):
            raise ValueError("splits must count train and test")
        return self

    @model_validator(mode="after")
    def _classes_fit(self) -> Card:
        source = self.source
        if isinstance(source, DrawnSource) and source.families * source.species != self.classes:
            raise ValueError(
                f"{source.families} families of {source.species} species are not "
                f"{self.classes} classes"
            )
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels that the networks see."""
        return self.image_size, self.image_size

    @property
    def revision(self) -> str:
        """What of the data and their preparation changes a result: the data part of an identity.

        The source's own revision, readable, and a digest of the source, the image size, the
        normalisation and the augmentation.
        """
        parts = self.model_dump(
            mode="json",
            include={"source", "classes", "image_size", "mean", "std", "augmentation"},
            exclude={"source": {"folder", "archive", "files"}},  # only where the same data lie
        )
        text = json.dumps(parts, sort_keys=True)
        return f"{self.source.revision[:12]}+{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    @property
    def default_protocol(self) -> Protocol:
        """The first protocol of the card."""
        return next(iter(self.protocols.values()))

    def protocol(self, text: str | None) -> Protocol:
        """The protocol ``NAME`` or ``NAME[key=value,…]``; None is the default.

        Raises:
            UsageError: unknown protocol or key, or a value that does not fit.
        """
        if text is None:
            return self.default_protocol
        name, overrides = split_brackets(text)
        if name not in self.protocols:
            raise UnknownName(
                "protocol",
                name,
                self.protocols,
                f"The card of '{self.name}' has: {', '.join(self.protocols)}.",
            )
        if not overrides:
            return self.protocols[name]
        for key in overrides:
            if key not in Protocol.model_fields or key in {"name", "ranked", "lr_by_network"}:
                raise UsageError(
                    f"a protocol has no '{key}'.{suggestion(key, Protocol.model_fields)}"
                )
        base = self.protocols[name].model_dump()
        changes: dict[str, Any] = dict(overrides)
        if "lr" in changes:
            base["lr_by_network"] = {}
        if "milestones" in changes:
            if not re.fullmatch(r"\d+(-\d+)*", changes["milestones"]):
                raise UsageError(f"protocol '{text}': write milestones=150-180-210.")
            changes["milestones"] = changes["milestones"].split("-")
        try:
            asked = Protocol.model_validate(base | changes | {"ranked": False})
        except ValidationError as error:
            raise UsageError(f"protocol '{text}': {_explain(error, 'it')}") from None
        applies = asked.for_network("")
        if unused := [key for key in overrides if key not in applies and key != "evaluate_every"]:
            raise UsageError(
                f"protocol '{text}': a {asked.schedule} schedule has no {' and no '.join(unused)}."
            )
        # The label comes from the values, so that one protocol has one name: 0.10 is 0.1.
        known = self.protocols[name]
        label = ",".join(
            f"{key}={'-'.join(map(str, value)) if isinstance(value, tuple) else value}"
            for key in sorted(applies.keys() & overrides)
            if (value := getattr(asked, key)) != getattr(known, key)
        )
        if not label:
            return known.model_copy(update={"evaluate_every": asked.evaluate_every})
        return asked.model_copy(update={"name": f"{name}[{label}]"})


def split_brackets(text: str) -> tuple[str, dict[str, str]]:
    """Read ``NAME`` or ``NAME[key=value,…]``.

    Raises:
        UsageError: the brackets do not close or an entry is not ``key=value``.
    """
    match = re.fullmatch(r"([^\[\]]+)(?:\[([^\[\]]*)\])?", text.strip())
    if match is None:
        raise UsageError(f"cannot read '{text}'. Write NAME or NAME[key=value,…].")
    name, inside = match.group(1).strip(), match.group(2) or ""
    settings: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in inside.split(","))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key or not value:
            raise UsageError(f"cannot read '{part}' in '{text}'. Write NAME[key=value,…].")
        if key in settings:
            raise UsageError(f"'{key}' is given twice in '{text}'.")
        settings[key] = value
    return name, settings


def read_card(path: Path) -> Card:
    """Read and check one card.

    Raises:
        CardError: not TOML, an unknown or missing key, or a value that does not fit; names the
            file, the key and what is expected.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CardError(f"cannot read the card {path}: {error}") from None
    protocols = values.get("protocols")
    for name, protocol in protocols.items() if isinstance(protocols, dict) else ():
        if isinstance(protocol, dict):
            protocol["name"] = name
    try:
        card = Card.model_validate(values)
    except ValidationError as error:
        raise CardError(f"the card {path} is wrong: {_explain(error)}") from None
    if card.name != path.stem:
        raise CardError(f"the card {path} calls itself '{card.name}'; file and name must agree.")
    if not card.protocols:
        raise CardError(f"the card {path} has no protocol.")
    return card


def _explain(error: ValidationError, whole: str = "the file") -> str:
    places = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"]) or whole
        places.append(f"{where}: {item['msg'].removeprefix('Value error, ')}")
    return "; ".join(places)
