"""The protocol of a training: for how long and how, from which weights, at which image size.

A field says its own role where it stands, by marks in its ``Annotated`` type. The identity of a
run, the brackets of the command line and the guide's table follow from the marks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from benchmark.cards.fields import ImageSize, Pairs, Share
from benchmark.cards.transforms import Transforms
from benchmark.errors import UsageError, suggestion
from benchmark.strict import Later, Line, Strict, faults, has_mark

M = TypeVar("M")
_MOST_EPOCHS = 1_000_000
Rate = Annotated[float, Field(gt=0, le=1e6)]
Strength = Annotated[float, Field(ge=0, le=1e6)]
Milestones = Annotated[
    tuple[Annotated[int, Field(ge=0, le=_MOST_EPOCHS)], ...], Field(max_length=1000)
]
NOTHING = "none"  # what brackets write for no value, where a field's default is to have none


class Unidentified:
    """Marks a field that names, shows or chooses: it changes no result and is in no identity."""


class CardOnly:
    """Marks a field that only a card sets, and no brackets change."""


@dataclass(frozen=True)
class Only:
    """Marks a field that has a meaning only where another field has this value.

    Attributes:
        field, value: that it needs.
        refused: whether a card may not set it without the meaning; brackets never may.
    """

    field: str
    value: str
    refused: bool = True

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether the marked field has a meaning beside these values."""
        return bool(values[self.field] == self.value)


@dataclass(frozen=True)
class Unless(Only):
    """Marks a field that has no meaning where another field has this value."""

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether the marked field has a meaning beside these values."""
        return not super().holds(values)


@dataclass(frozen=True)
class Joined:
    """Marks a field of several values; brackets write them with a sign between.

    Attributes:
        sign: stands between the values.
        example: how they are written.
    """

    sign: str
    example: str

    def split(self, text: str) -> list[str]:
        """The values as text; the minus of 1e-05 is no sign between two."""
        return re.split(rf"(?<!\de){re.escape(self.sign)}", text)

    def spell(self, values: Iterable[object]) -> str:
        """The values as brackets write them, transforms by their names."""
        return self.sign.join(str(getattr(value, "name", value)) for value in values)


class Protocol(Strict):
    """How long and how one trains.

    A new field needs its marks and nothing else. Whoever adds one marks it ``Later`` and gives it
    the default that changes nothing.

    Attributes:
        name: as written in the card, with the overrides in brackets.
        epochs: passes over the training set.
        batch_size: images of a step over all processes.
        lr: learning rate after warm-up.
        lr_by_network: learning rates of networks that need another one.
        optimiser: ``sgd``, ``adamw``, or the name of any optimiser of timm.
        betas, eps: the optimiser's own where it has them; None for its defaults.
        weight_decay: as the optimiser means it.
        decay_norms: whether the weight decay is also for normalisations and biases.
        clip_norm: the gradient's norm is cut down to so much; 0 leaves it.
        schedule: ``step`` multiplies by ``gamma`` at ``milestones`` (epochs), and without any stays
            constant; ``cosine`` falls to ``min_lr`` at the end.
        warmup_epochs: the learning rate rises linearly for so long.
        label_smoothing: share of the labels' probability that all classes get alike.
        drop_path: largest share of residual branches left out, for networks of timm that know it.
        average: decay of the moving average of the weights that is evaluated instead of them; 0
            for none.
        augmentation: of the training images, after the card's.
        mixup, cutmix: both parameters of the Beta distribution of the share at which a batch is
            mixed; 0 for none. With both, each batch gets either one.
        validation: share of the training set that is held out and evaluated on instead of the
            test set, for tuning.
        evaluate_every: epochs from one evaluation to the next; the last epoch always has one.
        ranked: whether the leaderboard ranks it.
        image_size: height and width in pixels that the networks see, instead of the card's.
        pretrained: whether the networks start from published weights.
        pairs: ``teacher:student``, the usual ones of this protocol, instead of the card's.
    """

    name: Annotated[str, Unidentified, CardOnly]
    epochs: Annotated[int, Field(gt=0, le=_MOST_EPOCHS)]
    batch_size: Annotated[int, Field(gt=0, le=1_000_000)]
    lr: Rate
    lr_by_network: Annotated[dict[Line, Rate], Unidentified, CardOnly] = Field(default_factory=dict)
    optimiser: Annotated[Line, Later] = "sgd"
    momentum: Annotated[Share, Unless("optimiser", "adamw")] = 0.9
    nesterov: Annotated[bool, Only("optimiser", "sgd")] = False
    betas: Annotated[
        tuple[Share, ...] | None, Joined("-", "0.9-0.999"), Unless("optimiser", "sgd"), Later
    ] = None
    eps: Annotated[float | None, Field(gt=0), Unless("optimiser", "sgd"), Later] = None
    weight_decay: Strength = 5e-4
    decay_norms: Annotated[bool, Later] = True
    clip_norm: Annotated[Strength, Later] = 0.0
    schedule: Literal["step", "cosine"] = "step"
    milestones: Annotated[Milestones, Joined("-", "150-180-210"), Only("schedule", "step")] = ()
    gamma: Annotated[float, Field(ge=0, le=1e6), Only("schedule", "step", refused=False)] = 0.1
    min_lr: Annotated[float, Field(ge=0), Only("schedule", "cosine"), Later] = 0.0
    warmup_epochs: Annotated[float, Field(ge=0, le=_MOST_EPOCHS)] = 0.0
    label_smoothing: Annotated[Share, Later] = 0.0
    drop_path: Annotated[Share, Later] = 0.0
    average: Annotated[Share, Later] = 0.0
    augmentation: Annotated[Transforms, Joined("+", "rand_augment+random_erasing"), Later] = ()
    mixup: Annotated[Strength, Later] = 0.0
    cutmix: Annotated[Strength, Later] = 0.0
    validation: Share = 0.0
    evaluate_every: Annotated[int, Field(gt=0, le=_MOST_EPOCHS), Unidentified] = 1
    ranked: Annotated[bool, Unidentified, CardOnly] = False
    image_size: Annotated[ImageSize | None, Later] = None
    pretrained: Annotated[bool, Later] = False
    pairs: Annotated[Pairs, Unidentified, CardOnly] = ()

    @model_validator(mode="after")
    def _fields_fit(self) -> Self:
        values, fields = dict(self), type(self).model_fields
        idle = [
            name
            for name in self.unused
            if values[name] != _default(fields[name])
            and (mark := _mark(fields[name], Only))
            and mark.refused
        ]
        if idle:
            raise ValueError(self._has_no(idle))
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError("milestones must rise")
        if self.min_lr > min([self.lr, *self.lr_by_network.values()]):
            raise ValueError("min_lr is above the learning rate")
        return self

    @property
    def unused(self) -> tuple[str, ...]:
        """Fields that have no meaning beside the other ones."""
        return self._unused_in(dict(self))

    def base_rate(self, network: str) -> float:
        """The learning rate of a network after the warm-up."""
        return self.lr_by_network.get(network, self.lr)

    def for_network(self, network: str) -> dict[str, Any]:
        """What of the protocol changes the result of this network: the part of its identity."""
        values = self.model_dump(exclude=set(self.unused))
        values["lr"] = self.base_rate(network)
        return {
            name: values[name]
            for name, field in type(self).model_fields.items()
            if name in values
            and not has_mark(field, Unidentified)
            and not (has_mark(field, Later) and values[name] == _default(field))
        }

    def override(self, text: str, values: Mapping[str, str]) -> Self:
        """This protocol with some values changed; it is not ranked, and its name says them.

        What has no meaning beside the new values goes back to its default; a new ``lr`` is that of
        every network.

        Args:
            text: what the user wrote, for the messages.
            values: as written, by field.

        Raises:
            UsageError: an unknown field, one that only cards set, one without a meaning here, or a
                value that does not fit.
        """
        if not values:
            return self
        fields = type(self).model_fields
        free = [name for name, field in fields.items() if not has_mark(field, CardOnly)]
        for name in values:
            if name not in free:
                raise UsageError(f"a protocol has no '{name}'.{suggestion(name, free)}")
        asked = self._validated(text, values)
        if idle := [name for name in values if name in asked.unused]:
            raise UsageError(f"protocol '{text}': {asked._has_no(idle)}.")
        changed = {name for name in values if getattr(asked, name) != getattr(self, name)}
        shown = {name for name in changed if has_mark(fields[name], Unidentified)}
        # The label comes from the values, so that one protocol has one name: 0.10 is 0.1.
        label = ",".join(f"{name}={asked._spelled(name)}" for name in sorted(changed - shown))
        if not label:
            return self.model_copy(update={name: getattr(asked, name) for name in shown})
        return asked.model_copy(update={"name": f"{self.name}[{label}]"})

    def _validated(self, text: str, values: Mapping[str, str]) -> Self:
        """The protocol with these values, and without what they leave no meaning."""
        new = {name: self._read(name, value) for name, value in values.items()}
        merged = self.model_dump() | new | {"ranked": False}
        if "lr" in new:
            merged["lr_by_network"] = {}
        for name in set(self._unused_in(merged)) - set(new):
            del merged[name]
        try:
            return self.model_validate(merged)
        except ValidationError as error:
            places = {fault["loc"][0] for fault in error.errors() if fault["loc"]}
            hints = [
                f"write {name}={mark.example}"
                for name in values
                if name in places and (mark := _mark(type(self).model_fields[name], Joined))
            ]
            raise UsageError(f"protocol '{text}': {'; '.join(faults(error) + hints)}") from None

    @classmethod
    def _unused_in(cls, values: Mapping[str, Any]) -> tuple[str, ...]:
        marks = {name: _mark(field, Only) for name, field in cls.model_fields.items()}
        return tuple(name for name, mark in marks.items() if mark and not mark.holds(values))

    def _has_no(self, names: Iterable[str]) -> str:
        """``a cosine schedule has no gamma``: why these fields have no meaning."""
        by_cause: dict[str, list[str]] = {}
        for name in names:
            if mark := _mark(type(self).model_fields[name], Only):
                by_cause.setdefault(mark.field, []).append(name)
        return "; ".join(
            f"{_article(value := getattr(self, cause))} {value} {cause} has no "
            f"{' and no '.join(idle)}"
            for cause, idle in by_cause.items()
        )

    @classmethod
    def _read(cls, name: str, text: str) -> Any:
        """What brackets wrote of a field; its single values are still text."""
        field = cls.model_fields[name]
        if text == NOTHING and _default(field) in (None, ()):
            return _default(field)
        mark = _mark(field, Joined)
        return mark.split(text) if mark else text

    def _spelled(self, name: str) -> str:
        """A field's value as one writes it in brackets."""
        value = getattr(self, name)
        if value in (None, ()):
            return NOTHING
        if mark := _mark(type(self).model_fields[name], Joined):
            return mark.spell(value)
        return str(value).lower() if isinstance(value, bool) else str(value)


def _mark(field: FieldInfo, kind: type[M]) -> M | None:
    """The mark of this kind, if the field has one."""
    return next((mark for mark in field.metadata if isinstance(mark, kind)), None)


def _default(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True)


def _article(word: str) -> str:
    return "an" if word[:1] in "aeiou" else "a"
