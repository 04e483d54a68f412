"""What a mean averages: in what its records differ, and which may not stand in one mean.

Two records of one method are comparable if the same was asked for, but for the seed, and the same
code computed in it with the same precision: also in the runs that they build on. Where they ran is
worth a note and no more.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmark.records.canonical import canonical_json
from benchmark.records.schema import EvaluatedSplit, Record

PACKAGES = ("torch", "torchvision", "timm", "kdbench")
LONGEST_MARK = 3  # things that differ, before the rest is counted
SHORT = 8  # figures of a digest that tell two apart

SameSource = Callable[[str, str, str], bool]


def same_text(recipe: str, one: str, other: str) -> bool:
    """Whether two sources of a recipe give the same numbers: here, if they are the same."""
    return one == other


@dataclass(frozen=True)
class Facts:
    """What decides whether two records may stand in one mean.

    Attributes:
        values: by what it is called; None where the record does not tell.
        sources: recipe and digest of its source, by what it is called.
        unknown: how the names begin of which nothing is known: a role without a record.
    """

    values: Mapping[str, str | None]
    sources: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()

    def of_role(self, name: str) -> Facts:
        """The same, said of a role."""
        return Facts(
            {f"{name}'s {key}": value for key, value in self.values.items()},
            {f"{name}'s {key}": value for key, value in self.sources.items()},
            frozenset(f"{name}'s {start}" for start in self.unknown),
        )

    def __or__(self, other: Facts) -> Facts:
        """Both together."""
        return Facts(
            {**self.values, **other.values},
            {**self.sources, **other.sources},
            self.unknown | other.unknown,
        )

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for equal facts."""
        return frozenset(self.values.items()), frozenset(self.sources.items()), self.unknown

    def differing(self, other: Facts, same: SameSource) -> Iterable[str]:
        """What tells the two apart, as far as both know it; in the order of the facts."""
        unknown = (*self.unknown, *other.unknown)
        for name in dict.fromkeys([*self.values, *other.values]):
            one, two = self.values.get(name, ""), other.values.get(name, "")
            if one != two and None not in (one, two) and not name.startswith(unknown):
                yield name
        for name in self.sources.keys() & other.sources.keys():
            (recipe, one), (_, two) = self.sources[name], other.sources[name]
            if one != two and not same(recipe, one, two):
                yield name

    def words(self, name: str) -> str:
        """One fact for a reader: ``lr 0.4``, ``precision bf16``, ``recipe source 1f0c9a7b``."""
        if name in self.sources:
            return f"{name} {self.sources[name][1][:SHORT]}"
        value = self.values.get(name, "")
        return f"{name} {value}" if value else f"no {name}"


@dataclass(frozen=True)
class Alike:
    """Records that may stand in one mean.

    Attributes:
        records: in the order that they were given in.
        mark: in what they differ from others of their name, in plain words; empty without others.
    """

    records: tuple[Record, ...]
    mark: str = ""


class Kinds:
    """Tells which records are comparable.

    Args:
        records: all that are known, for the runs that others build on.
        same: whether two sources of a recipe give the same numbers.
    """

    def __init__(self, records: Iterable[Record], same: SameSource = same_text) -> None:
        self.known = {record.identity: record for record in records}
        self.same = same
        self._lineages: dict[str, Facts] = {}

    def setting(self, record: Record) -> Facts:
        """What all methods of one pair have in common: data, protocol, precision, first weights."""
        spec = record.spec
        values = {
            "precision": record.environment.precision,
            "data revision": spec.data_revision,
            "evaluated on": evaluated_on(record),
            "start": spec.starts_from,
            "first weights": record.published_weights and record.published_weights[:SHORT],
        }
        return Facts(values | {k: _spelled(v) for k, v in sorted(spec.protocol_values.items())})

    def method(self, record: Record) -> Facts:
        """What a method's own mean must have in common: its code, and what it builds on."""
        spec = record.spec
        facts = Facts(
            {"recipe version": str(spec.recipe_version)}
            | {f"setting {k}": _spelled(v) for k, v in sorted(spec.settings.items())}
            | {name: f"{r.network} of {r.recipe}" for name, r in sorted(spec.roles.items())},
            {"recipe source": (spec.recipe, record.recipe_source)},
        )
        for name, role in sorted(spec.roles.items()):
            known = self.known.get(role.identity)
            facts |= (
                self.whole(known).of_role(name)
                if known
                else Facts({}, {}, frozenset({f"{name}'s "}))
            )
        return facts

    def whole(self, record: Record) -> Facts:
        """Both."""
        if record.identity not in self._lineages:
            # A record that names itself among its roles, which no honest one can, ends here.
            self._lineages[record.identity] = Facts({})
            self._lineages[record.identity] = self.setting(record) | self.method(record)
        return self._lineages[record.identity]

    def apart(self, records: Sequence[Record], of: Callable[[Record], Facts]) -> list[Alike]:
        """The records in as many parts as there must be means.

        What a record does not tell holds it apart from nothing: it joins the first part that fits.

        Args:
            records: of one name, in any order.
            of: which of their facts count: ``setting``, ``method`` or ``whole``.

        Returns:
            The parts; that with the most records first, and of equals the latest.
        """
        equal: dict[tuple[object, ...], list[Record]] = defaultdict(list)
        facts: dict[tuple[object, ...], Facts] = {}
        for record in records:
            found = of(record)
            equal[found.key].append(record)
            facts[found.key] = found
        parts: list[list[tuple[object, ...]]] = []
        for key in sorted(equal, key=lambda key: _unknowns(facts[key])):
            for part in parts:
                if not any(any(facts[key].differing(facts[other], self.same)) for other in part):
                    part.append(key)
                    break
            else:
                parts.append([key])
        marks = _marks([facts[part[0]] for part in parts], self.same)
        order = {id(record): place for place, record in enumerate(records)}
        made = [
            Alike(
                tuple(sorted((r for key in part for r in equal[key]), key=lambda r: order[id(r)])),
                mark,
            )
            for part, mark in zip(parts, marks, strict=True)
        ]
        return sorted(made, key=lambda part: (-len(part.records), -order[id(part.records[-1])]))


def evaluated_on(record: Record) -> EvaluatedSplit:
    """The split that a record's numbers are of, or would be of."""
    if record.metrics:
        return record.metrics.evaluated_on
    return "validation" if record.spec.protocol_values.get("validation") else "test"


def pairable(one: Record, other: Record) -> bool:
    """Whether the difference of two records of one seed says something about their methods.

    Both must have been computed alike, and where both learned from a network of one name that was
    trained in the same way, it must have been the same one, with the same accuracy.
    """
    if one.environment.precision != other.environment.precision:
        return False
    if evaluated_on(one) != evaluated_on(other):
        return False
    for name in one.spec.roles.keys() & other.spec.roles.keys():
        mine, theirs = one.spec.roles[name], other.spec.roles[name]
        if (mine.network, mine.recipe) != (theirs.network, theirs.recipe):
            continue  # two methods, each with a teacher of its own kind
        if mine.identity != theirs.identity:
            return False
        if None not in (mine.top1, theirs.top1) and mine.top1 != theirs.top1:
            return False
    return True


def engines(record: Record) -> tuple[str, ...]:
    """What trained it, one entry for each that it went on under; empty in records without them."""
    told: Sequence[Any] = getattr(record, "engines", None) or ()
    return tuple(dict.fromkeys(map(_spelled, told)))


def weights(record: Record) -> str | None:
    """Digest of the weights that a run ended with, in records that tell it."""
    digest = getattr(record, "weights", None)
    return None if digest is None else str(digest)


def provenance(records: Iterable[Record]) -> dict[str, tuple[str, ...]]:
    """All that a mean averages, as the distinct values of its records by what they are.

    The names are those of columns and keys: short, without spaces.
    """
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for record in records:
        spec, where = record.spec, record.environment
        told: dict[str, Sequence[str | None]] = {
            "precision": [where.precision],
            "devices": [where.device],
            "processes": [str(where.processes)],
            "threads": [str(where.threads)],
            "commits": [(where.git_commit or "unknown")[:12] + ("+" if where.git_dirty else "")],
            "data_revision": [spec.data_revision],
            "protocol_values": [canonical_json(spec.protocol_values)],
            "recipe_version": [str(spec.recipe_version)],
            "recipe_source": [record.recipe_source],
            "published_weights": [record.published_weights],
            "variant": [spec.variant or None],
            "engines": engines(record),
        }
        told |= {name: [where.packages.get(name)] for name in PACKAGES}
        for name, values in told.items():
            found[name] |= {value: None for value in values if value is not None}
    return {name: tuple(sorted(values)) for name, values in found.items()}


def counted(values: Iterable[str], most: int = 4) -> str:
    """``cpu (12), NVIDIA H100 (3)``: the values with their numbers; rare ones are not named."""
    ordered = sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))
    words = [f"{value} ({number})" for value, number in ordered[:most]]
    return ", ".join([*words, *([f"{len(ordered) - most} more"] if len(ordered) > most else [])])


def _unknowns(facts: Facts) -> int:
    return len(facts.unknown) + sum(value is None for value in facts.values.values())


def _marks(facts: Sequence[Facts], same: SameSource) -> list[str]:
    """What is special about each of several kinds; all different."""
    if len(facts) < 2:
        return [""] * len(facts)
    # All against the first are enough: two that differ cannot both be like it.
    first, *others = facts
    names = dict.fromkeys(name for other in others for name in first.differing(other, same))
    bare = []
    for one in facts:
        words = [one.words(name) for name in names]
        if len(words) > LONGEST_MARK + 1:
            words[LONGEST_MARK:] = [f"and {len(words) - LONGEST_MARK} more"]
        bare.append(", ".join(words))
    numbers = [bare[: place + 1].count(mark) for place, mark in enumerate(bare)]
    return [
        mark if number == 1 else f"{mark}, {number}"
        for mark, number in zip(bare, numbers, strict=True)
    ]


def _spelled(value: object) -> str:
    return value if isinstance(value, str) else canonical_json(value)
