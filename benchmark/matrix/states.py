"""What is known of runs: done, failed, stale, changed, damaged or missing, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from benchmark.matrix.run import AnyRun, Run
from benchmark.records.attestations import Attestation
from benchmark.records.schema import Record, RoleRecord, Status
from benchmark.records.sources import Sources, Standing
from benchmark.records.store import Store, Unreadable


class State(StrEnum):
    """What is known of a run.

    ``done``, ``failed`` and ``missing`` are of its record. ``stale``: the record is of an older
    run, which its version, the data's or the protocol's tell. ``changed``: the record is of this
    run, but from another source of its recipe that no attestation covers, or taught by other
    weights than its teacher's record speaks of. ``damaged``: the record cannot be read or trusted.
    """

    done = "done"
    failed = "failed"
    stale = "stale"
    changed = "changed"
    damaged = "damaged"
    missing = "missing"


class Retry(StrEnum):
    """What is trained again although it is recorded.

    ``failed`` is every run without a result, whatever its status; ``diverged``, ``oom`` and
    ``timeout`` are those of one status. ``all`` is everything that is not done. ``elsewhere`` is
    what has a result that was not trained here.
    """

    failed = "failed"
    diverged = "diverged"
    oom = "oom"
    timeout = "timeout"
    changed = "changed"
    damaged = "damaged"
    all = "all"
    elsewhere = "elsewhere"


@dataclass(frozen=True)
class Known:
    """What is known of one run.

    Attributes:
        state: in one word.
        reason: for a person, why; of a run that is done, what is attested of its source.
        status: of the record; None if there is none that can be read, or if it is stale.
        words: each of them trains the run again; none of a run that is trained anyway.
        elsewhere: where its record is from, if it was not trained here; empty if it was.
        checksum: of the record, by which a later one is told from it; None if there is none of
            this run.
    """

    state: State
    reason: str = ""
    status: Status | None = None
    words: frozenset[Retry] = frozenset()
    elsewhere: str = ""
    checksum: str | None = field(default=None, compare=False, repr=False)

    @property
    def has_result(self) -> bool:
        """Whether there is a number, be it from another source."""
        return self.state in (State.done, State.changed)

    @property
    def is_open(self) -> bool:
        """Whether it is trained without being asked for again."""
        return self.state in (State.missing, State.stale)

    def is_retried(self, retry: Collection[Retry]) -> bool:
        """Whether one of these words trains it again."""
        return bool(self.words & set(retry))


def known_of(
    runs: Iterable[AnyRun], store: Store, elsewhere: Callable[[Record], str] = lambda record: ""
) -> dict[str, Known]:
    """What the store knows of runs, by identity.

    A run is not changed because its teacher is: the teacher's weights are what they were, and its
    own state says that it came from another source.

    Args:
        runs: any, those that they build on among them or not.
        store: of records; one that cannot be read stops nothing.
        elsewhere: where a record is from; empty if it was trained here.
    """
    by_identity = {run.identity: run for run in runs}
    found = {identity: store.look(run.spec) for identity, run in by_identity.items()}
    records = {
        identity: record
        for identity, record in found.items()
        if isinstance(record, Record) and record.identity == identity
    }
    today = {r.recipe.name: r.recipe.source for r in by_identity.values() if isinstance(r, Run)}
    sources = Sources(today, store.attested()[0])
    told = {i: _known(run, found[i], sources, records) for i, run in by_identity.items()}
    return {
        identity: _of_record(known, records[identity], elsewhere) if identity in records else known
        for identity, known in told.items()
    }


def notes_on(left: Iterable[Known]) -> list[str]:
    """What a person must know of recorded runs that are not trained again: a sentence each.

    Args:
        left: what is known of them; what is done needs no words.
    """
    of_state: dict[State, list[Known]] = {}
    for known in left:
        of_state.setdefault(known.state, []).append(known)
    notes = []
    if failed := of_state.get(State.failed):
        notes.append(f"{len(failed)} failed earlier; '--retry failed' trains them again.")
    for reason, number in Counter(k.reason for k in of_state.get(State.changed, ())).items():
        notes.append(
            f"{number} {'run is' if number == 1 else 'runs are'} {reason}: '--retry changed' "
            f"trains {'it' if number == 1 else 'them'} again, 'kdbench verify CELL' says whether "
            "the result still holds."
        )
    for known in of_state.get(State.damaged, ()):
        notes.append(
            f"Damaged: {known.reason}\n'--retry damaged' moves it aside and trains it again."
        )
    return notes


def _known(
    run: AnyRun, found: Record | Unreadable | None, sources: Sources, records: Mapping[str, Record]
) -> Known:
    if found is None:
        return Known(State.missing)
    if isinstance(found, Unreadable):
        words = frozenset({Retry.damaged, Retry.all})
        return Known(State.damaged, found.message, words=words)
    if found.identity != run.identity:
        return Known(State.stale, difference(run, found))
    changes = [*_source_change(run, found, sources), *_role_changes(found, records)]
    words = frozenset({Retry.changed, Retry.all}) if changes else frozenset[Retry]()
    if found.status != "ok":
        words |= {Retry.failed, Retry.all, Retry(found.status)}
        message = found.error.message.partition("\n")[0] if found.error else ""
        return Known(State.failed, f"{found.status}: {message:.200}", found.status, words)
    if changes:
        return Known(State.changed, "; ".join(changes), found.status, words)
    return Known(State.done, _attested(found, sources), found.status)


def _of_record(known: Known, record: Record, elsewhere: Callable[[Record], str]) -> Known:
    """The same with where its record is from."""
    if not known.has_result or not (origin := elsewhere(record)):
        return replace(known, checksum=record.checksum)
    words = known.words | {Retry.elsewhere}
    return replace(known, checksum=record.checksum, elsewhere=origin, words=words)


def _source_change(run: AnyRun, record: Record, sources: Sources) -> list[str]:
    """In one entry that a record came from another source than today's; empty if it did not."""
    standing = sources.group(record).standing
    # Of weights that were brought, the file's digest is in the identity: they cannot change.
    return [f"recorded with another source of {run.spec.recipe}"] * (standing is Standing.changed)


def _role_changes(record: Record, records: Mapping[str, Record]) -> list[str]:
    """For each role whose record is not of the weights that taught this run, how they differ."""
    changes = []
    for name, role in record.spec.roles.items():
        now = records.get(role.identity)
        if now is not None and (said := _other_weights(name, role, now)):
            changes.append(said)
    return changes


def _other_weights(name: str, role: RoleRecord, now: Record) -> str | None:
    if now.metrics is None:
        return None
    top1 = now.metrics.top1
    if role.top1 not in (None, top1):
        return f"taught by other weights: its {name} had {role.top1} %, and is recorded with {top1}"
    if None not in (role.weights, now.weights) and role.weights != now.weights:
        return f"taught by other weights of its {name} than are recorded"
    return None


def _attested(record: Record, sources: Sources) -> str:
    by: tuple[Attestation, ...] = sources.group(record).by
    if not by:
        return ""
    shown = ", ".join(one.shown for one in by)
    return f"recorded with another source of {record.spec.recipe}, which agrees {shown}"


def difference(run: AnyRun, record: Record) -> str:
    """In what a stale record differs, as far as one word says it."""
    now, then = run.spec, record.spec
    for reason, one, other in (
        ("recipe version", now.recipe_version, then.recipe_version),
        ("data revision", now.data_revision, then.data_revision),
        ("protocol", now.protocol_values, then.protocol_values),
        ("settings", now.settings, then.settings),
        ("published weights", now.starts_from, then.starts_from),
    ):
        if one != other:
            return f"of another {reason}"
    return "of other runs that it builds on"
