"""Whether a record still holds: its weights evaluated again, or its run trained again.

A run that is trained again is trained in a scratch folder, with the seed, the settings and the
number of threads of its record. What it builds on is taken from the folder of runs where its
weights are those that the record speaks of, and is trained again elsewhere; then it shows, besides,
whether this machine computes as the recorded one did.
"""

from __future__ import annotations

import datetime
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmark.cards.brackets import split_brackets
from benchmark.cards.card import Card
from benchmark.data.loaders.batches import LoadedBatch
from benchmark.data.splits import DataSet
from benchmark.errors import RecordError, first_line
from benchmark.matrix.plan import recorded_weights
from benchmark.matrix.recorded import run_as, run_of
from benchmark.matrix.run import AnyRun, ImportedRun, Run
from benchmark.networks.inference import inference_copy
from benchmark.recipe.discovery import recipes_in
from benchmark.recipe.source import Source
from benchmark.records.attestations import Attestation, By, measured
from benchmark.records.comparing import Comparison, compared, evaluated, same_engine
from benchmark.records.schema import Environment, Metrics, Record
from benchmark.registry import Catalogue
from benchmark.training.ending import Failed
from benchmark.training.examining.evaluation import Tally, predictions
from benchmark.training.keeping.folders import WorkspaceError
from benchmark.training.supply import Supply
from benchmark.work.environment import environment
from benchmark.work.rebuilding import Form, Rebuilder
from benchmark.work.roles import Roles
from benchmark.work.score import score_weights
from benchmark.work.scratch import Grounds, Scratch

EVALUATED, TRAINED = "evaluated again", "trained again"
WITH_BOTH = "trained with both sources"


@dataclass(frozen=True)
class Verdict:
    """Whether a record holds.

    Attributes:
        cell: the record's place in its folder.
        record: what was verified.
        how: one of the three above.
        protocol: under which.
        comparison: the record's numbers beside the new ones.
        source: today's source of the recipe.
        is_of_today: whether the record came from it.
        environment: where it was done.
        attestation: the file that was written, if the record came from another source, and holds.
    """

    cell: str
    record: Record
    how: str
    protocol: str
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
class Verifier(Grounds):
    """Verifies records of one folder.

    Attributes:
        cards: the data sets of today.
    """

    cards: Catalogue[Card]

    def evaluate(self, record: Record) -> Verdict:
        """Evaluate the weights of a record again.

        Raises:
            RecordError: the record is stale or without a result; or the weights are not here, or
                do not make today's network.
        """
        run = self._run_of(record)
        try:
            metrics = self._evaluated(run, record)
        except WorkspaceError as error:
            raise RecordError(
                f"{error}\n'kdbench verify CELL --train' needs no weights: it trains the cell."
            ) from None
        again = {name: float(f"{value:.6g}") for name, value in _numbers(metrics).items()}
        comparison = evaluated(measured(record), again, metrics.images)
        return self._verdict(record, run, EVALUATED, comparison)

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
            again, same = Scratch(self, Path(folder)).train(run)
        here = self._environment()
        if isinstance(again, Failed):
            said = f"it ended otherwise: {again.status}: {again.failure.message}"
            comparison = Comparison({}, None, said)
        else:
            engine = same and same_engine(record.environment, here)
            comparison = compared(
                measured(record), measured(again), same_engine=engine, seeds=self._seeds_of(record)
            )
        return self._attested(self._verdict(record, run, TRAINED, comparison), "record")

    def against(self, record: Record, folder: Path, *, epochs: int | None = None) -> Verdict:
        """Train the run of a record with another source of its recipe and with today's, here.

        That tells a change of the recipe from one of the engine, and asks nothing of the machine.
        What the run builds on is trained too, with the recipes of each time. Where both agree,
        records from the other source are attested, be this one among them or not.

        Args:
            record: of any engine and source.
            folder: recipes as they were when records were trained.
            epochs: of the protocol; None for all.

        Raises:
            RecordError: the record is stale, or no record came from the folder's source.
            TrainingError: a training was stopped or disturbed.
        """
        self._run_of(record)
        recipes = {"now": self.place.recipes_of(self.paths), "then": recipes_in(folder)}
        spec = record.spec
        old = self._recorded_as(recipes["then"].get(spec.recipe).source, record)
        protocol = spec.protocol
        if epochs is not None:
            protocol = _shortened(protocol, epochs)
        runs = {
            when: run_as(spec, protocol, self.cards.get(spec.dataset), catalogue, self.teachers)
            for when, catalogue in recipes.items()
        }
        found: dict[str, Record | Failed] = {}
        for when in ("now", "then"):
            run = runs[when]
            if not isinstance(run, Run):
                raise RecordError(f"{run.label} was not trained here: it has no source.")
            with tempfile.TemporaryDirectory(prefix="kdbench-verify-") as scratch:
                found[when], _ = Scratch(self, Path(scratch), recipes[when]).train(run)
        comparison = _of_both(found["then"], found["now"])
        as_recorded = record.model_copy(update={"recipe_source": old})
        verdict = self._verdict(as_recorded, runs["now"], WITH_BOTH, comparison)
        return self._attested(replace(verdict, protocol=protocol), "engine")

    def _recorded_as(self, source: Source, record: Record) -> str:
        """The digest by which records of a recipe name a source."""
        known = {
            one.recipe_source
            for one in self.store.all().records
            if one.spec.recipe == record.spec.recipe
        }
        for digest in sorted(known):
            if source.matches(digest):
                return digest
        raise RecordError(
            f"no record came from the source of '{record.spec.recipe}' in that folder.\n"
            "Take the recipes of a record's commit (environment.git_commit), or of a later one: "
            "git archive COMMIT recipes | tar x -C FOLDER"
        )

    def _attested(self, verdict: Verdict, by: By) -> Verdict:
        """The same, with an attestation where there is something to attest."""
        if not verdict.holds or verdict.is_of_today:
            return verdict
        return replace(verdict, attestation=self.store.attest(_attestation(verdict, by)))

    def _verdict(self, record: Record, run: AnyRun, how: str, comparison: Comparison) -> Verdict:
        place = self.store.path_of(record.spec).relative_to(self.store.root).with_suffix("")
        return Verdict(
            place.as_posix(),
            record,
            how,
            record.spec.protocol,
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

    def _evaluated(self, run: AnyRun, record: Record) -> Metrics:
        if isinstance(run, ImportedRun):
            return score_weights(run, self.place, self.listener).metrics
        if not isinstance(run, Run):
            raise TypeError(f"no way to evaluate a {type(run).__name__}")
        recipes = self.place.recipes_of(self.paths)
        rebuilder = Rebuilder(self.store, self.place.workspace, self.cards, recipes, self.teachers)
        network, _ = rebuilder.rebuilt(run, record)
        data = self.place.data_of(run.card, run.protocol, self.listener)
        accelerator = self.place.accelerator
        supply = Supply(data, [Form(run).job], accelerator)
        loader, device = supply.examination(), accelerator.device
        copy = inference_copy(network).to(device)
        tally = Tally(data.pictures.classes, device, self._reference(run, data, supply))
        with torch.no_grad():
            for batch in loader.epoch(0):
                _add(tally, copy(batch.images).logits, batch)
        metrics = tally.metrics(accelerator, supply.split)
        if metrics is None:
            raise RecordError(f"the weights of {run.label} give predictions that are not finite.")
        return metrics

    def _reference(self, run: Run, data: DataSet, supply: Supply) -> torch.Tensor | None:
        """What the teacher predicts; None without one, or without its weights."""
        teacher = run.roles.get("teacher")
        if teacher is None or "teacher" not in run.recipe.cls.hears:
            return None
        device = self.place.accelerator.device
        roles = Roles(self.place.workspace, data, recorded_weights(run.family(), self.store))
        try:
            network = inference_copy(roles.network(teacher)).to(device)
        except WorkspaceError as error:
            self.listener.note(f"no agreement with the teacher: {first_line(error)}")
            return None
        images = len(supply.evaluated)
        return predictions(network, supply.examination(), images=images, device=device)

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


def _add(tally: Tally, logits: torch.Tensor, batch: LoadedBatch) -> None:
    if batch.weight > 0:
        tally.add(logits.float(), batch.labels, batch.index)


def _numbers(metrics: Metrics) -> dict[str, float]:
    return metrics.model_dump(exclude_none=True, exclude={"evaluated_on", "images"})


def _attestation(verdict: Verdict, by: By) -> Attestation:
    spec, agreement = verdict.record.spec, verdict.comparison.agreement
    if agreement is None:
        raise ValueError("a record that does not hold is not attested")
    return Attestation(
        recipe=spec.recipe,
        recipe_version=spec.recipe_version,
        old=verdict.record.recipe_source,
        new=verdict.source,
        by=by,
        cell=verdict.cell,
        identity=verdict.record.identity,
        protocol=verdict.protocol,
        agreement=agreement,
        metrics=dict(verdict.comparison.metrics),
        environment=verdict.environment,
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def _of_both(then: Record | Failed, now: Record | Failed) -> Comparison:
    """What both sources gave, by one engine: every digit must be equal."""
    for when, one in (("the old", then), ("today's", now)):
        if isinstance(one, Failed):
            return Comparison({}, None, f"{when} source failed: {one.failure.message}")
    if isinstance(then, Failed) or isinstance(now, Failed):
        raise TypeError("a failure was told above")
    both = compared(measured(then), measured(now), same_engine=True)
    return replace(both, basis=f"{both.basis}; both sources were trained by one engine")


def _shortened(protocol: str, epochs: int) -> str:
    """The name of a protocol with so many epochs."""
    name, values = split_brackets(protocol)
    inside = ",".join(f"{k}={v}" for k, v in (values | {"epochs": str(epochs)}).items())
    return f"{name}[{inside}]"
