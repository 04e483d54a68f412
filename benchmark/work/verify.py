"""Whether a record still holds: its weights evaluated again, or its run trained again.

A run that is trained again is trained in a scratch folder, with the seed, the settings and the
number of threads of its record. What it builds on is taken from the folder of runs where its
weights are those that the record speaks of, and is trained again elsewhere; then it shows, besides,
whether this machine computes as the recorded one did.
"""

from __future__ import annotations

import datetime
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmark.cards.card import Card
from benchmark.data.loaders.batches import LoadedBatch
from benchmark.data.splits import DataSet
from benchmark.errors import RecordError, TrainingError
from benchmark.events import Listener
from benchmark.matrix.plan import recorded_weights
from benchmark.matrix.recorded import run_of
from benchmark.matrix.run import AnyRun, ImportedRun, Run
from benchmark.networks.inference import inference_copy
from benchmark.records.attestations import Attestation, measured
from benchmark.records.comparing import Comparison, compared, evaluated, same_engine
from benchmark.records.schema import Environment, Metrics, Record
from benchmark.records.store import Store
from benchmark.registry import Catalogue
from benchmark.training.ending import Failed, Finished
from benchmark.training.examining.evaluation import Tally, predictions
from benchmark.training.keeping.workspace import Workspace
from benchmark.training.supply import Supply
from benchmark.work.environment import environment
from benchmark.work.place import Place
from benchmark.work.recording import Recorder
from benchmark.work.roles import Roles
from benchmark.work.score import score_weights
from benchmark.work.train import GroupSpec, train_group


@dataclass(frozen=True)
class Verdict:
    """Whether a record holds.

    Attributes:
        cell: the record's place in its folder.
        record: what was verified.
        how: ``evaluated`` or ``trained`` again.
        comparison: the record's numbers beside the new ones.
        source: today's source of the recipe.
        is_of_today: whether the record came from it.
        environment: where it was done.
        attestation: the file that was written, if the record came from another source, and holds.
    """

    cell: str
    record: Record
    how: str
    comparison: Comparison
    source: str
    is_of_today: bool
    environment: Environment
    attestation: Path | None = None

    @property
    def holds(self) -> bool:
        """Whether the numbers agree."""
        return self.comparison.agreement is not None


@dataclass
class Verifier:
    """Verifies records of one folder.

    Attributes:
        store: of the records.
        place: device, and the folder of runs with the weights.
        cards: the data sets of today.
        teachers: files of teacher weights by network, with their sha256.
        paths: folders with further recipes.
        listener: hears of the progress.
    """

    store: Store
    place: Place
    cards: Catalogue[Card]
    teachers: Mapping[str, tuple[Path, str]]
    paths: tuple[Path, ...]
    listener: Listener

    def evaluate(self, record: Record) -> Verdict:
        """Evaluate the weights of a record again.

        Raises:
            RecordError: the record is stale or without a result, or the recipe predicts with
                layers of its own, which are not kept.
            WorkspaceError: the weights are not here.
        """
        run = self._run_of(record)
        metrics = self._evaluated(run)
        again = {name: float(f"{value:.6g}") for name, value in _numbers(metrics).items()}
        comparison = evaluated(measured(record), again, metrics.images)
        return self._verdict(record, run, "evaluated", comparison)

    def train(self, record: Record) -> Verdict:
        """Train the run of a record again; where it holds, attest it if its source is another.

        Raises:
            RecordError: the record is stale, without a result, or of weights that were brought.
            TrainingError: the training was stopped or disturbed.
        """
        run = self._run_of(record)
        if not isinstance(run, Run):
            raise RecordError(f"{run.label} was not trained here: leave --train out.")
        with tempfile.TemporaryDirectory(prefix="kdbench-verify-") as folder:
            scratch = _Scratch(self, Path(folder))
            again, same = scratch.train(run)
        here = self._environment()
        if isinstance(again, Failed):
            said = f"it ended otherwise: {again.status}: {again.failure.message}"
            comparison = Comparison({}, None, said)
        else:
            engine = same and same_engine(record.environment, here)
            comparison = compared(
                measured(record), measured(again), same_engine=engine, seeds=self._seeds_of(record)
            )
        verdict = self._verdict(record, run, "trained", comparison)
        if not verdict.holds or verdict.is_of_today:
            return verdict
        return replace(verdict, attestation=self.store.attest(_attestation(verdict)))

    def _verdict(self, record: Record, run: AnyRun, how: str, comparison: Comparison) -> Verdict:
        place = self.store.path_of(record.spec).relative_to(self.store.root).with_suffix("")
        return Verdict(
            place.as_posix(),
            record,
            how,
            comparison,
            run.source,
            run.has_source(record.recipe_source),
            self._environment(),
        )

    def _environment(self) -> Environment:
        return environment(self.place.accelerator)

    def _run_of(self, record: Record) -> AnyRun:
        if record.status != "ok":
            said = record.error.message if record.error else ""
            raise RecordError(
                f"this record has no result to verify: {record.status}: {said}\n"
                "'kdbench run --retry' trains the run again."
            )
        recipes = self.place.recipes_of(self.paths)
        return run_of(record, self.cards, recipes, self.teachers)

    def _roles(self, run: AnyRun, data: DataSet) -> Roles:
        return Roles(self.place.workspace, data, recorded_weights(run.family(), self.store))

    def _evaluated(self, run: AnyRun) -> Metrics:
        if isinstance(run, ImportedRun):
            return score_weights(run, self.place, self.listener).metrics
        if not isinstance(run, Run):
            raise TypeError(f"no way to evaluate a {type(run).__name__}")
        data = self.place.data_of(run.card, run.protocol, self.listener)
        accelerator, roles = self.place.accelerator, self._roles(run, data)
        job = roles.job(run)
        supply = Supply(data, [job], accelerator)
        loader, device = supply.examination(), accelerator.device
        network, reference = inference_copy(roles.network(run)).to(device), None
        if "teacher" in job.heard:
            teacher = inference_copy(job.roles["teacher"]).to(device)
            images = len(supply.evaluated)
            reference = predictions(teacher, loader, images=images, device=device)
        tally = Tally(data.pictures.classes, device, reference)
        try:
            with torch.no_grad():
                for batch in loader.epoch(0):
                    logits = job.recipe.predict(network(batch.images).float())
                    _add(tally, logits, batch)
        except AttributeError:  # a layer that its build() makes
            raise RecordError(
                f"the recipe '{run.recipe.name}' predicts with layers of its own, which are not "
                "kept when a training is over. Train it again with --train."
            ) from None
        metrics = tally.metrics(accelerator, supply.split)
        if metrics is None:
            raise RecordError(f"the weights of {run.label} give predictions that are not finite.")
        return metrics

    def _seeds_of(self, record: Record) -> list[Record]:
        """The records of a cell that came from one source, this one among them."""
        names = ("dataset", "network", "pair", "recipe", "recipe_version", "settings",
                 "protocol_values", "data_revision", "variant")  # fmt: skip
        wanted = [getattr(record.spec, name) for name in names]
        return [
            one
            for one in self.store.all().records
            if one.status == "ok"
            and one.recipe_source == record.recipe_source
            and [getattr(one.spec, name) for name in names] == wanted
        ]


class _Scratch:
    """A folder in which a run is trained again, with all that it builds on.

    Args:
        verifier: whose records and weights are used.
        folder: empty.
    """

    def __init__(self, verifier: Verifier, folder: Path) -> None:
        self.verifier = verifier
        self.store, self.workspace = Store(folder / "results"), Workspace(folder / "runs")
        self.place = replace(verifier.place, workspace=self.workspace)
        self.recorder = Recorder(self.store, self.workspace)

    def train(self, run: Run) -> tuple[Record | Failed, bool]:
        """Train a run again.

        Returns:
            Its record, or how it failed; and whether what it builds on came out as it is recorded,
            as far as that was trained again.
        """
        same = True
        done: set[str] = set()
        for member in run.family():
            if member.identity in done or (member is not run and self._brings(run, member)):
                continue
            done.add(member.identity)
            again = self._trained(member)
            if member is run or isinstance(again, Failed):
                return again, same
            known = self.verifier.store.find(member.spec)
            if known is not None and member.has_source(known.recipe_source):
                same = same and measured(known) == measured(again)
        raise ValueError("the family of a run ends with the run itself")

    def _trained(self, run: AnyRun) -> Record | Failed:
        verifier = self.verifier
        group = GroupSpec.of(
            [run],
            teachers=verifier.teachers,
            paths=verifier.paths,
            recorded=recorded_weights(run.family(), self.store),
        )
        [ending] = train_group(group, self.place, verifier.listener)
        if isinstance(ending, Failed):
            return ending
        if not isinstance(ending, Finished):
            raise TrainingError(f"'{run.label}' was not trained to its end: {ending}.")
        self.recorder.record(run, ending, environment(self.place.accelerator))
        record = self.store.find(run.spec)
        if record is None:
            raise TrainingError(f"'{run.label}' left no record.")
        return record

    def _brings(self, student: Run, role: AnyRun) -> bool:
        """Take a role's weights from the folder of runs, if they are those that taught."""
        here, known = self.verifier.place.workspace, self.verifier.store.find(role.spec)
        if not isinstance(role, Run) or known is None or known.status != "ok":
            return False
        if not here.has_weights(role.identity, known.weights):
            return False
        shutil.copytree(here.folder(role.identity), self.workspace.folder(role.identity))
        self.store.write(known)
        self.recorder.remember([role])
        return True


def _add(tally: Tally, logits: torch.Tensor, batch: LoadedBatch) -> None:
    if batch.weight > 0:
        tally.add(logits.float(), batch.labels, batch.index)


def _numbers(metrics: Metrics) -> dict[str, float]:
    return metrics.model_dump(exclude_none=True, exclude={"evaluated_on", "images"})


def _attestation(verdict: Verdict) -> Attestation:
    spec, agreement = verdict.record.spec, verdict.comparison.agreement
    if agreement is None:
        raise ValueError("a record that does not hold is not attested")
    return Attestation(
        recipe=spec.recipe,
        recipe_version=spec.recipe_version,
        old=verdict.record.recipe_source,
        new=verdict.source,
        cell=verdict.cell,
        identity=verdict.record.identity,
        agreement=agreement,
        metrics=dict(verdict.comparison.metrics),
        environment=verdict.environment,
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
