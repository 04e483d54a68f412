"""From how a run ended to its record, built once, and to the weights that others build on."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from benchmark.errors import printable
from benchmark.matrix.run import AnyRun, Run
from benchmark.records.history import diagnostics_of
from benchmark.records.places import place_of
from benchmark.records.schema import Environment, Record
from benchmark.records.store import Store
from benchmark.training.ending import Failed, Finished
from benchmark.training.keeping.deployment import Deployment, Legend
from benchmark.training.keeping.sealed import digest_of
from benchmark.training.keeping.workspace import Workspace


@dataclass
class Recorder:
    """Writes what a matrix gives.

    Attributes:
        store: of records.
        workspace: of weights and checkpoints.
        published: sha256 of published weights by network, as far as they are files.
        accuracies: top-1 in percent by identity, of runs that others build on.
        again: runs whose records are to be replaced, because someone asked: by identity the
            checksum of that record.
    """

    store: Store
    workspace: Workspace
    published: Mapping[str, str | None] = field(default_factory=dict)
    accuracies: dict[str, float] = field(default_factory=dict)
    again: Mapping[str, str | None] = field(default_factory=dict)

    def remember(self, runs: Iterable[AnyRun]) -> None:
        """Know the accuracies of what is recorded already."""
        for run in runs:
            record = self.store.find(run.spec)
            if record is not None and record.metrics is not None:
                self.accuracies[run.identity] = record.metrics.top1

    def record(self, run: AnyRun, ending: Finished | Failed, environment: Environment) -> None:
        """Write a run's record, and what is kept of it.

        The weights first, under the digest that the record will have: without the record they are
        nobody's, and where there is a record, its weights are there as well.

        Args:
            run: that was trained.
            ending: how.
            environment: where.

        Raises:
            WorkspaceError: the weights cannot be written.
            RecordError: the record cannot be written.
        """
        if isinstance(ending, Finished) and isinstance(run, Run):
            self._record_trained(run, ending, environment)
        else:
            self._write(self._record_of(run, ending, environment), None)
        # One of an earlier try would tell of an error that is not this ending's.
        traceback = ending.traceback if isinstance(ending, Failed) else ""
        self.workspace.keep_traceback(run.identity, traceback)
        # From the checkpoint of one that diverged it would diverge again.
        if isinstance(ending, Finished) or ending.status == "diverged":
            self.workspace.checkpoints.drop(run.identity)

    def _record_trained(self, run: Run, ending: Finished, environment: Environment) -> None:
        top1 = float(f"{ending.metrics.top1:.6g}")  # as the store rounds it
        save = partial(
            self.workspace.save_weights,
            run.identity,
            ending.weights,
            top1=top1,
            deployment=self._deployment(run, ending),
        )
        history = self.workspace.write_history(run.identity, ending.history)
        known = self.store.find(run.spec)
        if known is not None and known.status == "ok" and run.identity not in self.again:
            # Trained for its weights alone. Its record is not replaced: others were taught by
            # what it speaks of; new students note the accuracy of these weights.
            save(recorded=known.weights)
            self.accuracies[run.identity] = top1
        else:
            digest = digest_of(ending.weights)
            save(recorded=digest)
            self._write(self._record_of(run, ending, environment, digest), history)

    def _deployment(self, run: Run, ending: Finished) -> Deployment | None:
        """What a prediction needs beside the weights."""
        if ending.said is None:
            return None
        pictures = run.pictures
        legend = Legend(
            cell=place_of(run.spec).with_suffix("").as_posix(),
            dataset=run.card.name,
            network=run.network,
            recipe=_line(run.recipe_label),
            class_names=tuple(map(_line, ending.class_names)),
            image_size=pictures.size,
            mean=pictures.mean,
            std=pictures.std,
        )
        return Deployment(legend, ending.layers, ending.said)

    def _write(self, record: Record, history: str | None) -> None:
        written = self.store.write(record, history, again=self.again.get(record.identity))
        if written.metrics is not None:
            self.accuracies[record.identity] = written.metrics.top1

    def _record_of(
        self,
        run: AnyRun,
        ending: Finished | Failed,
        environment: Environment,
        weights: str | None = None,
    ) -> Record:
        done = ending if isinstance(ending, Finished) else None
        taught_by = done.taught_by if done else {}
        measured = {i: by.top1 for i, by in taught_by.items() if by.top1 is not None}
        digests = {identity: by.digest for identity, by in taught_by.items()}
        return Record(
            identity=run.identity,
            status=ending.status if isinstance(ending, Failed) else "ok",
            spec=run.recorded_spec(self.accuracies | measured, digests),
            recipe_source=run.source,
            published_weights=self.published.get(run.network) if run.spec.starts_from else None,
            finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            metrics=done.metrics if done else None,
            diagnostics=diagnostics_of(done.history) if done and done.history else None,
            cost=done.cost if done else None,
            environment=environment,
            error=ending.failure if isinstance(ending, Failed) else None,
            weights=weights,
        )


def _line(text: str) -> str:
    """Text from outside as a legend takes it: no training is lost for the sake of a name."""
    return printable(text).replace("\n", " ")[:1000]
