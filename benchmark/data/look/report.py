"""What is in a data set, as numbers and as sentences."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.cards.fields import SPLITS, SplitName
from benchmark.data.look.looking import Broken, Look, seen
from benchmark.data.look.twins import Group, Twins, find_twins

UNEVEN = 10
"""How many times as large as the smallest class the largest is before a person is warned."""


@dataclass(frozen=True)
class SplitReport:
    """What is in a split.

    Attributes:
        images: their number.
        per_class: how many of each class, by label.
        sizes: (height, width) in pixels of the images that can be read, smallest, median and
            largest by area; None if there is no such image.
        modes: how many store their colours in which way, in Pillow's words, the most frequent
            first.
        turned: how many are turned or mirrored as their EXIF note says.
        broken: a message for every image that cannot be read; names it.
    """

    images: int
    per_class: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...] | None
    modes: Mapping[str, int]
    turned: int
    broken: tuple[str, ...]

    @classmethod
    def of(cls, looks: Sequence[Look | Broken], labels: Sequence[int], classes: int) -> SplitReport:
        """What the looks at the images of a split found."""
        whole = seen(looks)
        sizes = sorted((look.size for look in whole), key=lambda size: size[0] * size[1])
        return cls(
            images=len(looks),
            per_class=tuple(np.bincount(labels, minlength=classes).tolist()),
            sizes=(sizes[0], sizes[len(sizes) // 2], sizes[-1]) if sizes else None,
            modes=dict(Counter(look.mode for look in whole).most_common()),
            turned=sum(look.turned for look in whole),
            broken=tuple(look.fault for look in looks if isinstance(look, Broken)),
        )

    @property
    def empty_classes(self) -> int:
        """Classes without an image."""
        return self.per_class.count(0)


@dataclass(frozen=True)
class Finding:
    """Something that a person should know.

    Attributes:
        what: a sentence.
        cases: all of them, each of one or several short lines.
        remedy: what to do, a sentence.
    """

    what: str
    cases: tuple[tuple[str, ...], ...]
    remedy: str


@dataclass(frozen=True)
class Report:
    """What is in a data set, by split, and what is in it more than once.

    Attributes:
        folder: that all images lie in; empty if they have no files.
    """

    dataset: str
    origin: str
    folder: str
    class_names: tuple[str, ...]
    splits: dict[SplitName, SplitReport]
    twins: Twins

    @classmethod
    def of(
        cls,
        dataset: str,
        origin: str,
        class_names: tuple[str, ...],
        looks: Mapping[SplitName, Sequence[Look | Broken]],
        labels: Mapping[SplitName, Sequence[int]],
    ) -> Report:
        """What the looks at all images found; labels are of the same images, by position."""
        splits = {
            split: SplitReport.of(looks[split], labels[split], len(class_names)) for split in SPLITS
        }
        folder = _common_folder([look.place for split in SPLITS for look in seen(looks[split])])
        return cls(dataset, origin, folder, class_names, splits, find_twins(looks, labels))

    @property
    def problems(self) -> list[str]:
        """What a training would stumble over."""
        found: list[str] = []
        for split, report in self.splits.items():
            found += report.broken
            if report.empty_classes:
                names = [
                    self.class_names[label] for label, n in enumerate(report.per_class) if not n
                ]
                found.append(
                    f"split '{split}' has no image of {len(names)} of the classes: "
                    f"{', '.join(names[:8])}{' …' if len(names) > 8 else ''}"
                )
        return found

    @property
    def warnings(self) -> list[Finding]:
        """What a training does not notice, and what makes its numbers worth less."""
        twins = self.twins
        within = [group for split in SPLITS for group in twins.within(split)]
        tested = {one.place for g in twins.across() for one in g if one.split == "test"}
        found = [
            Finding(
                f"{_count(tested, 'test image')} also among the training images, bit for bit:",
                self._told(twins.across(), "="),
                "A test of them measures what was learnt by heart: keep them in one split alone.",
            ),
            Finding(
                f"{_count(twins.alike, 'test image')} nearly the same as a training image:",
                self._told(twins.alike, "~"),
                "Look at them. If they are one photograph, keep it in one split alone.",
            ),
            Finding(
                f"{_count(within, 'image')} there more than once, in one split:",
                self._told(within, "="),
                "Each counts as often as it is there: keep one.",
            ),
        ]
        fewest, most = self._extremes()
        if most[1] > UNEVEN * max(fewest[1], 1):
            found.append(
                Finding(
                    f"the classes are uneven: '{most[0]}' has {most[1]:,} training images, "
                    f"'{fewest[0]}' {fewest[1]:,}.",
                    ((),),
                    "Top-1 counts images alike; a record's per-class accuracy, classes.",
                )
            )
        return [finding for finding in found if finding.cases]

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        fewest, most = self._extremes()
        return {
            "dataset": self.dataset,
            "origin": self.origin,
            "classes": len(self.class_names),
            "smallest_class": {"name": fewest[0], "images": fewest[1]},
            "largest_class": {"name": most[0], "images": most[1]},
            "imbalance": most[1] / fewest[1] if fewest[1] else None,
            "splits": {split: self._split(report) for split, report in self.splits.items()},
            "identical": [self._group(group) for group in self.twins.identical],
            "nearly_identical": [self._group(group) for group in self.twins.alike],
            "problems": self.problems,
            "warnings": [
                {
                    "what": f.what,
                    "cases": [list(case) for case in f.cases if case],
                    "remedy": f.remedy,
                }
                for f in self.warnings
            ],
        }

    def _split(self, report: SplitReport) -> dict[str, Any]:
        return {
            "images": report.images,
            "fewest_of_a_class": min(report.per_class),
            "most_of_a_class": max(report.per_class),
            "per_class": dict(zip(self.class_names, report.per_class, strict=True)),
            "sizes": report.sizes,
            "modes": dict(report.modes),
            "turned": report.turned,
            "broken": len(report.broken),
        }

    def _group(self, group: Group) -> list[dict[str, str]]:
        return [
            {"split": one.split, "image": one.place, "class": self.class_names[one.label]}
            for one in group
        ]

    def _extremes(self) -> tuple[tuple[str, int], tuple[str, int]]:
        """Name and training images of the smallest and of the largest class."""
        counts = dict(zip(self.class_names, self.splits["train"].per_class, strict=True))
        fewest, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
        return (fewest, counts[fewest]), (most, counts[most])

    def _told(self, groups: Sequence[Group], sign: str) -> tuple[tuple[str, ...], ...]:
        """Each group, an image a line, with the classes where they differ."""
        cases = []
        for group in groups:
            first, *others = (
                f"{one.place.removeprefix(self.folder)} ({one.split})" for one in group
            )
            lines = [first, *(f"{sign} {other}" for other in others)]
            labels = dict.fromkeys(one.label for one in group)
            if len(labels) > 1:
                names = " and ".join(f"'{self.class_names[label]}'" for label in labels)
                lines.append(f"called {names}: which is it?")
            cases.append(tuple(lines))
        return tuple(cases)


def _count(things: Sequence[object] | set[str], what: str) -> str:
    return f"1 {what} is" if len(things) == 1 else f"{len(things):,} {what}s are"


def _common_folder(places: Sequence[str]) -> str:
    """The folder of all places, with a slash at its end; empty if they lie in none."""
    if not places or not all(map(os.path.isabs, places)):
        return ""
    return os.path.join(os.path.commonpath([os.path.dirname(place) for place in places]), "")
