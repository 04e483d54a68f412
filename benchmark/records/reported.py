"""Numbers that others report: one TOML file per source in ``reported/`` of a results folder.

A file is one source under one epoch rule, so that best-on-test and last-epoch accuracies cannot be
mixed in it. It is read whole or not at all. A source with two rules has two files.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from benchmark.errors import RecordError
from benchmark.records.bounds import LARGEST_FILE
from benchmark.records.canonical import recipe_label
from benchmark.records.schema import ALONE
from benchmark.records.store import Unreadable
from benchmark.strict import Strict, faults

FOLDER = "reported"
TEACHER = "teacher"
STUDENT = "student"
EpochRule = Literal["last", "best", "unknown"]
RULES: tuple[EpochRule, ...] = get_args(EpochRule)


def _pair(text: str) -> str:
    teacher, colon, student = text.partition(":")
    if not (teacher and colon and student) or ":" in student or text.split() != [text]:
        raise ValueError(f"'{text}' is not a pair: write teacher:student")
    return text


def _label(text: str) -> str:
    """Refuse a label that would never meet a row of ours, because ours is spelled otherwise."""
    if text == ALONE:
        raise ValueError(f"the student trained alone is called '{STUDENT}', not '{ALONE}'")
    match = re.fullmatch(r"([a-z0-9][a-z0-9-]*)(?:\[([^][]+)\])?", text)
    if match is None:
        raise ValueError(f"'{text}' is not a label: write RECIPE or RECIPE[key=value,…]")
    changed: dict[str, Any] = {}
    for part in (match[2] or "").split(",") if match[2] else ():
        key, equals, value = part.partition("=")
        if not (key and equals and value):
            raise ValueError(f"'{text}' is not a label: '{part}' is not key=value")
        changed[key] = _value(value)
    if text != (usual := recipe_label(match[1], changed)):
        raise ValueError(f"'{text}' is not how a table spells it: write '{usual}'")
    return text


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _percent(value: Any) -> Any:
    # Above 1: nobody reports less, and a share of images in place of a percentage is found.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 < value <= 100:
        raise ValueError(f"{value!r} is not an accuracy in percent, a number above 1 and up to 100")
    return value


Top1 = Annotated[float, BeforeValidator(_percent)]
Count = Annotated[int, Field(ge=1, strict=True)]
Positive = Annotated[float, Field(gt=0, strict=True)]
Text = Annotated[str, Field(min_length=1)]


class ReportedNumber(Strict):
    """One reported accuracy. In the file a bare number is the same as ``{ top1 = … }``.

    Attributes:
        top1: percent.
        std: standard deviation over the runs, points of percent, if it was told.
        runs: how many, if other than the source's.
        note: what a reader must know of this number.
    """

    top1: Top1
    std: Annotated[float, Field(ge=0, strict=True)] | None = None
    runs: Count | None = None
    note: str = ""

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        return value if isinstance(value, dict | cls) else {"top1": value}


class ReportedProtocol(Strict):
    """What is known of the training, by the names that protocols have in a data set card."""

    epochs: Count | None = None
    batch_size: Count | None = None
    lr: Positive | None = None
    lr_by_network: dict[str, Positive] = Field(default_factory=dict)
    momentum: float | None = None
    weight_decay: float | None = None
    schedule: str | None = None
    milestones: tuple[int, ...] | None = None
    gamma: float | None = None

    def values_for(self, student: str) -> dict[str, Any]:
        """What is known of the training of one student; the learning rate is the student's."""
        values = self.model_dump(mode="json", exclude={"lr_by_network"}, exclude_none=True)
        return values | (
            {"lr": self.lr_by_network[student]} if student in self.lr_by_network else {}
        )


class Reported(Strict):
    """The numbers of one source.

    Attributes:
        dataset: name of the card.
        name: of the source in tables, short.
        title: where the numbers stand.
        url: where that can be checked.
        epoch_rule: ``last`` epoch, ``best`` epoch on the test set, or ``unknown``.
        rule_from: where the rule is said; empty only if it is unknown.
        runs: number of runs that a number is the mean of, if it was told.
        protocol: what is known of the training.
        note: what a reader must know of all numbers.
        top1: by pair ``teacher:student`` and by row: ``teacher``, ``student`` (trained alone), or
            the label of a recipe as in the tables, ``crd[kd_weight=1]``.
    """

    dataset: Text
    name: Text
    title: Text
    url: Annotated[str, Field(pattern=r"^https://\S+$")]
    epoch_rule: EpochRule
    rule_from: str = ""
    runs: Count | None = None
    protocol: ReportedProtocol = ReportedProtocol()
    note: str = ""
    top1: Annotated[
        dict[
            Annotated[str, AfterValidator(_pair)],
            Annotated[
                dict[Annotated[str, AfterValidator(_label)], ReportedNumber], Field(min_length=1)
            ],
        ],
        Field(min_length=1),
    ]

    @model_validator(mode="after")
    def _checkable(self) -> Reported:
        if self.epoch_rule != "unknown" and not self.rule_from:
            raise ValueError(
                f"epoch_rule is '{self.epoch_rule}': rule_from must say where that is said, or "
                f"the rule is 'unknown'"
            )
        return self


def read_reported(results: Path) -> tuple[tuple[Reported, ...], tuple[Unreadable, ...]]:
    """The numbers of others that lie in a results folder; none if it has no ``reported/``.

    Args:
        results: folder of records. Below its ``reported/``, files may lie in any folder.

    Returns:
        The sources by data set, rule and name, and the files that were refused, with the reason.
    """
    read: dict[tuple[str, int, str], tuple[Path, Reported]] = {}
    problems: list[Unreadable] = []
    folder = results / FOLDER
    for path in sorted(folder.rglob("*.toml")):
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue  # left by editors
        try:
            source = _read(path)
            place = source.dataset, RULES.index(source.epoch_rule), source.name
            if place in read:
                raise _refusal(
                    path,
                    [f"has the data set, name and epoch_rule of {read[place][0]}, as a copy has"],
                )
        except RecordError as error:
            problems.append(Unreadable(path, str(error)))
        else:
            read[place] = path, source
    return tuple(read[place][1] for place in sorted(read)), tuple(problems)


def _read(path: Path) -> Reported:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise _refusal(path, [f"has more than {LARGEST_FILE:,} bytes"])
        return Reported.model_validate(tomllib.loads(content.decode("utf-8")))
    except ValidationError as error:
        raise _refusal(path, faults(error)) from None
    except RecursionError:
        raise _refusal(path, ["is nested too deep"]) from None
    except (OSError, ValueError) as error:  # no text, or no TOML
        raise _refusal(path, [f"cannot be read: {error}"]) from None


def _refusal(path: Path, found: Iterable[str]) -> RecordError:
    lines = "".join(f"\n  {fault}" for fault in found)
    return RecordError(
        f"the reported numbers {path} are not shown, not one of them:{lines}\n"
        f"Correct the file as docs/reported-numbers.md says, or delete it."
    )
