"""What a mean averages that may stand in one mean, and that a reader should know all the same.

A sentence that holds for a few rows is a footnote of these; one that holds for many is said once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from benchmark.records.schema import Record, RoleRecord
from benchmark.reports.board.provenance import PACKAGES, Kinds, counted, earlier

MANY = 6  # rows with one footnote; more are said in one line
MOST_TEACHERS = 3  # that a footnote names

Told = Callable[[Record], str | None]


def _way(record: Record) -> str:
    return "compiled" if record.cost and record.cost.compiled else "as it is written"


def _processor(record: Record) -> str | None:
    """Of a training on the CPU; older records do not tell."""
    where = record.environment
    return (where.processor or "not told") if where.is_cpu else None


def _version(package: str) -> Told:
    return lambda record: record.environment.packages.get(package)


# What changes a number by no more than the order of additions does, by the words for several.
SURROUNDINGS: Mapping[str, Told] = {
    "devices": lambda record: record.environment.device,
    "processors": _processor,
    "numbers of processes": lambda record: str(record.environment.processes),
    "numbers of threads": lambda record: str(record.environment.threads),
    "ways of a step": _way,
    **{f"versions of {package}": _version(package) for package in PACKAGES},
}


def notes_on_cell(records: Sequence[Record], kinds: Kinds) -> tuple[str, ...]:
    """A sentence for each thing that a mean averages.

    Args:
        records: of one cell.
        kinds: knows all records, and their origins.
    """
    return (
        *_mixed(records),
        *_continued(records),
        *_heard_rounded(records),
        *_attested(records, kinds),
        *_teachers(records, kinds.known),
    )


def _mixed(records: Sequence[Record]) -> Iterable[str]:
    for words, told in SURROUNDINGS.items():
        values = sorted({value for record in records if (value := told(record)) is not None})
        if len(values) > 1:
            yield f"Averages several {words}: {', '.join(values)}."


def _continued(records: Iterable[Record]) -> Iterable[str]:
    seeds = sorted(record.spec.seed for record in records if earlier(record))
    if seeds:
        named = ", ".join(map(str, seeds))
        yield f"Continued on another engine than it began on: seed {named}."


def _heard_rounded(records: Iterable[Record]) -> Iterable[str]:
    heard = [record for record in records if record.cost and record.cost.teacher_outputs]
    if heard:
        named = ", ".join(str(seed) for seed in sorted(record.spec.seed for record in heard))
        yield f"Heard its teacher rounded to fp16: seed {named}."


def _attested(records: Iterable[Record], kinds: Kinds) -> Iterable[str]:
    seeds = sorted(record.spec.seed for record in records if kinds.origin(record).by)
    if seeds:
        named = ", ".join(map(str, seeds))
        yield f"From an older source, attested to give the numbers of today's: seed {named}."


def _teachers(records: Iterable[Record], known: Mapping[str, Record]) -> Iterable[str]:
    """Where a student was taught by another network than the record of its teacher speaks of."""
    found: dict[tuple[str, str], set[int]] = defaultdict(set)
    for record in records:
        for name, role in record.spec.roles.items():
            if words := _another(role, known.get(role.identity)):
                found[name, f"{name} {role.network} {words}"].add(record.spec.seed)
    if found:
        parts = [
            f"{words} (seed {', '.join(map(str, sorted(seeds)))})"
            for (_, words), seeds in sorted(found.items())
        ]
        more = [f"{len(parts) - MOST_TEACHERS} more"] if len(parts) > MOST_TEACHERS else []
        told = "; ".join([*parts[:MOST_TEACHERS], *more])
        yield f"What it learned from is not what its record speaks of: {told}."


def _another(role: RoleRecord, record: Record | None) -> str:
    """How a network that was learned from differs from what its own record says; or nothing."""
    if record is None or record.metrics is None:
        return ""
    said = record.metrics.top1
    if role.top1 is not None and role.top1 != said:
        return f"{role.top1:.2f}, in its own record {said:.2f}"
    if None not in (role.weights, record.weights) and role.weights != record.weights:
        return "with other weights of the same top-1"
    return ""


def shared(cells: Iterable[Sequence[str]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The footnotes of a table, and the sentences that hold for too many of its rows to be one.

    Args:
        cells: the notes of every row, in the order of the rows.
    """
    counts = Counter(note for notes in cells for note in dict.fromkeys(notes))
    few = tuple(note for note, number in counts.items() if number <= MANY)
    many = tuple(f"{number} rows: {n}" for n, number in counts.items() if number > MANY)
    return few, many


def notes_on_places(records: Sequence[Record]) -> Iterable[str]:
    """A sentence for each thing in which the places differ where a table's records come from."""
    for words, told in SURROUNDINGS.items():
        if words == "numbers of processes":
            continue  # has a sentence of its own, also where all have several
        values = [value for record in records if (value := told(record)) is not None]
        if len(set(values)) > 1:
            yield f"The records come from several {words}: {counted(values)}."
    commits = [(r.environment.git_commit or "unknown")[:8] for r in records]
    if len(set(commits)) > 1:
        yield f"The records come from several commits: {counted(commits)}."
