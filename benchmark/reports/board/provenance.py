"""What a mean averages: in what its records differ, and which may not stand in one mean.

Two records of one method are comparable if the same was asked for, but for the seed, and the same
code computed in it with the same precision: also in the runs that they build on. Where they ran is
worth a note and no more.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from benchmark.records.canonical import canonical_json, in_words
from benchmark.records.schema import Engine, EvaluatedSplit, Record
from benchmark.records.sources import SourceGroup, Standing

PACKAGES = ("torch", "torchvision", "timm", "kdbench")
LONGEST_MARK = 3  # things that differ, before the rest is counted
SHORT = 8  # figures of a digest that tell two apart
SOURCE = "recipe source"
DIGEST = re.compile("[0-9a-f]{64}")


OriginOf = Callable[[Record], SourceGroup]
Gaps = tuple[frozenset[str], frozenset[str]]


def recorded(record: Record) -> SourceGroup:
    """The origin of a record where nothing of today is known: equal digests are equal sources."""
    return SourceGroup(Standing.unknown, record.recipe_source)


@dataclass(frozen=True)
class Facts:
    """What decides whether two records may stand in one mean.

    Attributes:
        values: by what it is called; None where the record does not tell.
        unknown: how the names begin of which nothing is known: a role without a record.
    """

    values: Mapping[str, str | None]
    unknown: frozenset[str] = frozenset()

    def of_role(self, name: str) -> Facts:
        """The same, said of a role."""
        return Facts(
            {f"{name}'s {key}": value for key, value in self.values.items()},
            frozenset(f"{name}'s {start}" for start in self.unknown),
        )

    def __or__(self, other: Facts) -> Facts:
        """Both together."""
        return Facts({**self.values, **other.values}, self.unknown | other.unknown)

    @cached_property
    def key(self) -> tuple[object, ...]:
        """Equal for equal facts."""
        return frozenset(item for item in self.values.items() if item[1] != ""), self.unknown

    @cached_property
    def gaps(self) -> Gaps:
        """What is not known: how names begin, and names."""
        return self.unknown, frozenset(name for name, value in self.values.items() if value is None)

    def beyond(self, gaps: Gaps) -> frozenset[tuple[str, str | None]]:
        """What is known outside of its own gaps and others."""
        starts, names = tuple(self.unknown | gaps[0]), gaps[1]
        return frozenset(
            (name, value)
            for name, value in self.values.items()
            if value and name not in names and not name.startswith(starts)
        )

    def differing(self, other: Facts) -> Iterable[str]:
        """What tells the two apart, as far as both know it; in the order of the facts."""
        unknown = (*self.unknown, *other.unknown)
        for name in dict.fromkeys([*self.values, *other.values]):
            one, two = self.values.get(name, ""), other.values.get(name, "")
            if one != two and None not in (one, two) and not name.startswith(unknown):
                yield name

    def words(self, name: str) -> str:
        """One fact for a reader: ``lr 0.4``, ``precision bf16``; nothing for today's source."""
        if value := self.values.get(name, ""):
            return f"{name} {value[:SHORT] if DIGEST.fullmatch(value) else value}"
        return "" if name.endswith(SOURCE) else f"no {name}"


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
        origin: which source of its recipe a record comes from.
    """

    def __init__(self, records: Iterable[Record], origin: OriginOf = recorded) -> None:
        self.known = {record.identity: record for record in records}
        self.origin = origin
        self._lineages: dict[str, Facts] = {}
        self._settings: dict[tuple[object, ...], tuple[object, Facts]] = {}
        self._roles: dict[tuple[str, str], Facts] = {}  # hundreds of students have one teacher

    def setting(self, record: Record) -> Facts:
        """What all methods of one pair have in common: data, protocol, precision, first weights."""
        spec = record.spec
        protocol = spec.protocol_values
        key = (
            precisions(record),
            spec.data_revision,
            evaluated_on(record),
            spec.starts_from,
            record.published_weights,
            id(protocol),  # most records share theirs with others; it is kept beside the facts
        )
        if key not in self._settings:
            values = {
                "precision": " then ".join(key[0]),
                "data revision": spec.data_revision,
                "evaluated on": key[2],
                "start": spec.starts_from,
                # Without a name for them there are none; with one, they may come from elsewhere.
                "first weights": record.published_weights or (None if spec.starts_from else ""),
            }
            told = {name: in_words(value) for name, value in sorted(protocol.items())}
            self._settings[key] = protocol, Facts(values | told)
        return self._settings[key][1]

    def method(self, record: Record) -> Facts:
        """What a method's own mean must have in common: its code, and what it builds on."""
        spec = record.spec
        source = self.origin(record).key.rpartition(":")[2]
        facts = Facts(
            {"recipe version": str(spec.recipe_version), SOURCE: source}
            | {f"setting {k}": in_words(v) for k, v in sorted(spec.settings.items())}
            | {name: f"{r.network} of {r.recipe}" for name, r in sorted(spec.roles.items())}
        )
        for name, role in sorted(spec.roles.items()):
            facts |= self._of_role(name, role.identity)
        return facts

    def _of_role(self, name: str, identity: str) -> Facts:
        """What is known of a run that others build on, said of their role."""
        if (name, identity) not in self._roles:
            known = self.known.get(identity)
            self._roles[name, identity] = (
                self.whole(known).of_role(name) if known else Facts({}, frozenset({f"{name}'s "}))
            )
        return self._roles[name, identity]

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
        parts = [[found.key for found in part] for part in _fitting(facts.values())]
        marks = _marks([facts[part[0]] for part in parts])
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
    if precisions(one) != precisions(other):
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
        if None not in (mine.weights, theirs.weights) and mine.weights != theirs.weights:
            return False
    return True


def earlier(record: Record) -> tuple[Engine, ...]:
    """The engines that trained a part of it before that of its environment, in their order."""
    return (record.cost.earlier if record.cost else None) or ()


def engines(record: Record) -> tuple[str, ...]:
    """What trained it in words, one entry for each engine that it went on under."""
    where = record.environment
    last = Engine(
        torch=where.packages.get("torch", ""),
        device=where.device,
        processes=where.processes,
        threads=where.threads,
        precision=where.precision,
        compiled=record.cost.compiled if record.cost else None,
    )
    return tuple(
        f"torch {e.torch}, {e.device}, {e.processes} × {e.threads} threads, {e.precision}"
        + (", compiled" if e.compiled else "")
        for e in (*earlier(record), last)
    )


def precisions(record: Record) -> tuple[str, ...]:
    """Those that it was trained in, in their order."""
    told = [
        *(engine.precision for engine in earlier(record)),
        record.environment.precision,
    ]
    return tuple(dict.fromkeys(told))


def provenance(records: Iterable[Record]) -> dict[str, tuple[str, ...]]:
    """All that a mean averages, as the distinct values of its records by what they are.

    The names are those of columns and keys: short, without spaces.
    """
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for record in records:
        spec, where = record.spec, record.environment
        told: dict[str, Sequence[str | None]] = {
            "precision": precisions(record),
            "devices": [where.device],
            "processors": [where.processor],
            "processes": [str(where.processes)],
            "threads": [str(where.threads)],
            "commits": [(where.git_commit or "unknown")[:12] + ("+" if where.git_dirty else "")],
            "data_revision": [spec.data_revision],
            "protocol_values": [canonical_json(spec.protocol_values)],
            "recipe_version": [str(spec.recipe_version)],
            "recipe_source": [record.recipe_source],
            "published_weights": [record.published_weights],
            "variant": [spec.variant or None],
            "engines": engines(record) if earlier(record) else (),
            "weights": [record.weights],
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


def _fitting(facts: Iterable[Facts]) -> list[list[Facts]]:
    """Facts that do not contradict each other, together; what tells the most first in each part.

    Looked up rather than compared one by one: a folder may hold thousands of kinds.
    """
    parts: list[list[Facts]] = []
    seen: dict[Gaps, None] = {}
    # By the gaps of both: a part's first facts, as far as the gaps let them be compared.
    indexes: dict[tuple[Gaps, Gaps], dict[frozenset[tuple[str, str | None]], list[Facts]]] = {}
    for one in sorted(facts, key=lambda one: (len(one.gaps[0]), len(one.gaps[1]))):
        for other in seen if any(one.gaps) else ():
            if (one.gaps, other) not in indexes:
                found = [part for part in reversed(parts) if part[0].gaps == other]
                indexes[one.gaps, other] = {part[0].beyond(one.gaps): part for part in found}
            if part := indexes[one.gaps, other].get(one.beyond(other)):
                part.append(one)
                break
        else:
            parts.append([one])
            seen[one.gaps] = None
            for (mine, other), index in indexes.items():
                if other == one.gaps:
                    index.setdefault(one.beyond(mine), parts[-1])
    return parts


def _marks(facts: Sequence[Facts]) -> list[str]:
    """What is special about each of several kinds; all different."""
    if len(facts) < 2:
        return [""] * len(facts)
    # All against the first are enough: two that differ cannot both be like it.
    first, *others = facts
    names = dict.fromkeys(name for other in others for name in first.differing(other))
    bare = []
    for one in facts:
        words = [words for name in names if (words := one.words(name))]
        if len(words) > LONGEST_MARK + 1:
            words[LONGEST_MARK:] = [f"and {len(words) - LONGEST_MARK} more"]
        bare.append(", ".join(words))
    numbers = [bare[: place + 1].count(mark) for place, mark in enumerate(bare)]
    return [
        mark if number == 1 else f"{mark}, {number}"
        for mark, number in zip(bare, numbers, strict=True)
    ]
