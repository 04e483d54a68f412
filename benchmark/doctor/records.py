"""The records: which can be trusted, and which say what would come out today."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from benchmark.catalogues.today import current, sources
from benchmark.doctor.findings import Check, Finding, Level, Surroundings, ok
from benchmark.records.sources import Standing
from benchmark.records.store import Store, Unreadable
from benchmark.reports.board.staleness import stale_records
from benchmark.reports.wording.counts import counted


def readable(around: Surroundings) -> Iterator[Finding]:
    """Whether every record is what was written, and in its place."""
    held = around.held
    moved = [one for one in held.problems if f"{one.path} was moved" in one.message]
    damaged = [one for one in held.problems if one not in moved]
    yield ok(f"{counted(len(held.records), 'record')} whole")
    if damaged:
        yield Finding(
            Level.fault,
            f"{counted(len(damaged), 'record')} damaged and counted nowhere",
            _told(damaged),
            "'git checkout -- FILE' brings back what was committed; 'kdbench run --retry damaged' "
            "moves a record aside and trains it again.",
        )
    if moved:
        yield Finding(
            Level.warning,
            f"{counted(len(moved), 'record')} not in their place and counted nowhere",
            _told(moved),
            "Move each where it belongs, or delete it if it is a copy.",
        )
    if held.beside:
        yield Finding(
            Level.warning,
            f"{counted(len(held.beside), 'history or attestation', 'histories or attestations')} "
            "cannot be trusted",
            _told(held.beside),
            "No number depends on them. Restore the file ('git checkout -- FILE'), or delete it.",
        )


def failed(around: Surroundings) -> Iterator[Finding]:
    """Runs that were recorded without a result."""
    ways = Counter(r.status for r in around.held.records if r.status != "ok")
    if ways:
        yield Finding(
            Level.note,
            f"{counted(ways.total(), 'run')} without a result",
            tuple(f"{way}: {number}" for way, number in sorted(ways.items())),
            "'kdbench show CELL' says why; 'kdbench run --retry failed' trains them again.",
        )


def of_today(around: Surroundings) -> Iterator[Finding]:
    """Records of other versions, data or sources than those of today."""
    store, held = Store(around.results), around.held
    place = {r.identity: str(store.path_of(r.spec)) for r in held.records}
    stale = stale_records(held.records, current(around.paths, around.cache_dir))
    if stale:
        yield Finding(
            Level.note,
            f"{counted(len(stale), 'record')} stale: of older runs, and marked so in the tables",
            tuple(f"{place[identity]}: {why}" for identity, why in sorted(stale.items())),
            "'kdbench run' with the same words trains them again.",
        )
    known = sources(around.paths, around.cache_dir, held.attested)
    changed = [
        record
        for record in held.records
        if record.identity not in stale and known.group(record).standing is Standing.changed
    ]
    if changed:
        yield Finding(
            Level.warning,
            f"{counted(len(changed), 'record')} of another source of their recipe than today's",
            tuple(place[record.identity] for record in changed),
            "'kdbench verify CELL --train' says whether they still hold; 'kdbench run --retry "
            "changed' trains them again.",
        )


CHECKS: tuple[Check, ...] = (readable, failed, of_today)


def _told(files: Iterable[Unreadable]) -> tuple[str, ...]:
    """Each with the first line of what is wrong with it, which names the file."""
    return tuple(one.message.partition("\n")[0] for one in files)
