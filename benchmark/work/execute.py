"""Execution of a plan on this machine: group after group, every result recorded at once."""

from __future__ import annotations

import datetime
import math
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import torch
from accelerate import Accelerator

from benchmark import hub
from benchmark.data.opening import load_data
from benchmark.data.pictures import Pictures
from benchmark.data.splits import DataSet
from benchmark.errors import BenchmarkError, NetworkError
from benchmark.events import Listener
from benchmark.matrix.plan import Plan
from benchmark.matrix.run import Run
from benchmark.networks.catalogue import create_network
from benchmark.networks.cost import count_macs, count_parameters
from benchmark.networks.outputs import Network
from benchmark.networks.weights import file_digest, load_weights
from benchmark.recipe.contract import RecipeInfo
from benchmark.records.schema import Cost, Diagnostics, Failure, Metrics, Record
from benchmark.records.store import Store
from benchmark.registry import Catalogue
from benchmark.training.checkpoint import Workspace
from benchmark.training.evaluation import Scores
from benchmark.training.failure import Trouble, trouble_of
from benchmark.training.learner import Job, Setting, make_network
from benchmark.training.loop import Group, Seat, train
from benchmark.work.environment import environment
from benchmark.work.imported import score_weights


class Outcome(StrEnum):
    """How a run of the plan ended."""

    recorded = "recorded"
    failed = "failed"
    unfinished = "unfinished"
    blocked = "blocked"


@dataclass
class Execution:
    """Trains what a plan has to do.

    Attributes:
        store: where records go.
        workspace: where checkpoints and weights are kept.
        recipes: the catalogue.
        accelerator: owns device, precision and processes.
        data_dir: local folder that is looked at before anything is downloaded.
        cache_dir: for decoded and drawn images.
        listener: hears of the progress.
        minutes: stop at the end of an epoch when this time is up; None means never.
        outcomes: by identity, filled as the work goes on.
    """

    store: Store
    workspace: Workspace
    recipes: Catalogue[RecipeInfo]
    accelerator: Accelerator
    data_dir: Path | None
    cache_dir: Path
    listener: Listener = field(default_factory=Listener)
    minutes: float | None = None
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._deadline = time.monotonic() + 60 * self.minutes if self.minutes is not None else None
        self._environment = environment(self.accelerator)  # the code as it is when work begins
        self._data: dict[tuple[str, Pictures], DataSet] = {}
        self._accuracies: dict[str, float] = {}
        self._published: dict[str, str | None] = {}  # digest of the weights, by network

    def execute(self, plan: Plan) -> None:
        """Train all that is to do; a fault of one run stops only what builds on it."""
        self.listener.matrix_started(len(plan.todo), len(plan.runs) - len(plan.todo))
        for run in plan.runs:
            self._remember_accuracy(run)
        # What cannot be had is said before anything is trained.
        for network, name in sorted({(run.network, run.starts_from) for run in plan.todo}):
            if name:
                self._fetch_weights(network, name)
        for run in {_data_key(run): run for run in plan.todo}.values():
            self._data_of(run)
        for level in plan.groups(self.workspace, self.recipes):
            for runs in level:
                self._train_group(runs)
        self.listener.close()

    def _train_group(self, runs: Sequence[Run]) -> None:
        late = self._time_is_up()
        ready = [run for run in runs if self._is_ready(run, late=late)]
        if not ready:
            return
        data = self._data_of(ready[0])
        if ready[0].weights is not None:
            for run in ready:
                self._evaluate_imported(run, data)
            return
        crowded_out = self._train_together(ready, data)
        for run in crowded_out:
            self._train_together([run], data)

    def _train_together(self, runs: Sequence[Run], data: DataSet) -> list[Run]:
        """Train one group and record how its runs ended.

        Returns:
            Runs that ran out of memory beside others, and may fit alone.
        """
        if self.accelerator.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.accelerator.device)
        networks: dict[str, Network] = {}
        seats: dict[str, Seat] = {}
        fault: Trouble | None = None
        try:
            for run in runs:
                seats[run.identity] = self._seat(run, data, networks)
            group = Group(
                list(seats.values()),
                data,
                accelerator=self.accelerator,
                workspace=self.workspace,
                listener=self.listener,
                deadline=self._deadline,
            )
            title = f"{data.card.title}, {runs[0].protocol.name}, seed {runs[0].seed}"
            self.listener.group_started(
                title, [run.label for run in runs], seats[runs[0].identity].epochs, group.done
            )
            train(group)
        except BenchmarkError:
            raise
        except Exception as error:
            # Not one learner's fault, which the group would have noted: the teacher's, or memory.
            if self.accelerator.num_processes > 1:
                raise
            fault = trouble_of(error, 1)
        crowded_out = []
        for run in runs:
            seat = seats.get(run.identity)
            trouble = seat.trouble if seat is not None and seat.trouble else fault
            if trouble is not None and trouble.status == "oom" and len(runs) > 1:
                crowded_out.append(run)
            elif trouble is not None:
                self._record_failure(run, trouble)
            elif seat is not None:
                self._record(run, seat)
        self.accelerator.wait_for_everyone()
        return crowded_out

    def _is_ready(self, run: Run, *, late: bool) -> bool:
        """Whether a run can start; if not, note why."""
        built_on = [self._outcome_of(role) for role in run.roles.values()]
        if Outcome.failed in built_on or Outcome.blocked in built_on:
            self.outcomes[run.identity] = Outcome.blocked
            self.listener.run_finished(run.label, "not trained: a run it builds on has no result")
        elif Outcome.unfinished in built_on or (late and run.weights is None):
            self.outcomes[run.identity] = Outcome.unfinished
            self.listener.run_finished(run.label, "not started: the time is up")
        else:
            return True
        return False

    def _outcome_of(self, role: Run) -> Outcome:
        """How a run that others build on ended, in this call or before it."""
        if role.identity in self.outcomes:
            return self.outcomes[role.identity]
        has_weights = role.weights is not None or self.workspace.has_weights(role.identity)
        return Outcome.recorded if has_weights else Outcome.failed

    def _time_is_up(self) -> bool:
        """Whether nothing more may start; all processes agree."""
        if self._deadline is None:
            return False
        late = torch.tensor(
            [float(time.monotonic() > self._deadline)], device=self.accelerator.device
        )
        return bool(self.accelerator.reduce(late, reduction="sum").item() > 0)

    # ------------------------------------------------------------------------------- roles

    def _seat(self, run: Run, data: DataSet, networks: dict[str, Network]) -> Seat:
        info = self.recipes.get(run.recipe)
        roles = {name: self._network(role, data, networks) for name, role in run.roles.items()}
        job = Job(
            identity=run.identity,
            label=run.label,
            network=run.network,
            recipe=info.cls(**run.settings),
            protocol=run.protocol,
            seed=run.seed,
            roles=roles,
        )
        return Seat(job, info.digest)

    def _network(self, run: Run, data: DataSet, networks: dict[str, Network]) -> Network:
        """The trained network of a run, frozen, in eval mode; each is loaded once a group."""
        if run.identity not in networks:
            pictures = data.pictures
            if run.weights is not None:
                network = create_network(
                    run.network, classes=pictures.classes, image_size=pictures.shape
                )
                load_weights(network, run.weights)
            else:
                seat = self._seat(run, data, networks)
                network = make_network(seat.job, Setting(pictures, data.train.labels), load=True)
                network.load_state_dict(self.workspace.load_weights(run.identity))
            networks[run.identity] = network.eval().requires_grad_(False)
        return networks[run.identity]

    def _data_of(self, run: Run) -> DataSet:
        key = _data_key(run)
        if key not in self._data:
            self._data.clear()  # one data set at a time is in memory
            self.listener.note(f"reading {run.card.title}")
            with self.accelerator.main_process_first():
                self._data[key] = load_data(
                    run.card,
                    self.data_dir,
                    self.cache_dir,
                    protocol=run.protocol,
                    listener=self.listener,
                )
        return self._data[key]

    def _fetch_weights(self, network: str, name: str) -> None:
        from benchmark.networks.published import published_file  # imports timm

        self.listener.note(f"published weights of {name}")
        hub.show_bars(self.listener.shows)
        with self.accelerator.main_process_first():
            file = published_file(network)
        self._published[network] = file_digest(file) if file else None

    def _remember_accuracy(self, run: Run) -> None:
        record = self.store.find(run.spec({}))
        if record is not None and record.metrics is not None:
            self._accuracies[run.identity] = record.metrics.top1

    # ------------------------------------------------------------------------------- records

    def _record_failure(self, run: Run, trouble: Trouble) -> None:
        self.outcomes[run.identity] = Outcome.failed
        self._write(run, self._failed(run, trouble), None)
        self.listener.run_finished(run.label, f"{trouble.status}: {trouble.message}")

    def _record(self, run: Run, seat: Seat) -> None:
        if not seat.finished or seat.scores is None or seat.learner is None:
            self.outcomes[run.identity] = Outcome.unfinished
            self.listener.run_finished(
                run.label,
                f"stopped after epoch {seat.progress.epochs} of {seat.epochs}; "
                "the same command continues",
            )
            return
        self.outcomes[run.identity] = Outcome.recorded
        if self.accelerator.is_main_process:
            history = self.workspace.write_history(run.identity, seat.progress.history)
            # The record first: weights without a record would pass for a finished run.
            record = self._succeeded(run, seat, seat.scores)
            if self._is_recorded(run):
                # Trained for its weights alone. Its record is not replaced: others were taught by
                # what it speaks of; new students note the accuracy of these weights.
                self._accuracies[run.identity] = float(f"{seat.scores.top1:.6g}")
            else:
                self._write(run, record, history)
            self.workspace.save_weights(run.identity, seat.learner.network.state_dict())
            self.workspace.drop_checkpoint(run.identity)
        self.listener.run_finished(run.label, f"{seat.scores.top1:.2f} %")

    def _is_recorded(self, run: Run) -> bool:
        record = self.store.find(run.spec({}))
        return record is not None and record.status == "ok"

    def _write(self, run: Run, record: Record, history: str | None) -> None:
        if self.accelerator.is_main_process:
            written = self.store.write(record, history)
            if written.metrics is not None:
                self._accuracies[run.identity] = written.metrics.top1
            if written.status == "diverged":  # from its checkpoint it would diverge again
                self.workspace.drop_checkpoint(run.identity)

    def _evaluate_imported(self, run: Run, data: DataSet) -> None:
        network = self._network(run, data, {})
        scores, seconds = score_weights(network, data, self.accelerator)
        if not math.isfinite(scores.nll):
            raise NetworkError(f"the weights in {run.weights} give predictions that are not finite")
        self.outcomes[run.identity] = Outcome.recorded
        size = data.pictures.shape
        cost = Cost(
            parameters=count_parameters([network]),
            macs=count_macs(network, size),
            training_parameters=0,
            recipe_parameters=0,
            train_seconds=0.0,
            evaluation_seconds=seconds,
            group_seconds=0.0,
            images_per_s=0.0,
            peak_memory_mb=_peak_memory_mb(self.accelerator.device),
        )
        record = self._base(run, "ok").model_copy(
            update={"metrics": _metrics(scores, "test"), "cost": cost}
        )
        self._write(run, record, None)
        self.listener.run_finished(run.label, f"{scores.top1:.2f} %")

    def _succeeded(self, run: Run, seat: Seat, scores: Scores) -> Record:
        learner, progress = seat.learner, seat.progress
        assert learner is not None
        rows = progress.history
        best = max((row for row in rows if "top1" in row), key=lambda row: row["top1"])
        terms = {k.removeprefix("loss_"): v for k, v in rows[-1].items() if k.startswith("loss_")}
        size = run.pictures.shape
        recipe_layers = sum(p.numel() for p in learner.recipe.parameters())
        extra = [module for module in learner.deployed() if module is not learner.network]
        macs = count_macs(learner.network, size) + sum(_linear_macs(module) for module in extra)
        return self._base(run, "ok").model_copy(
            update={
                "metrics": _metrics(scores, "validation" if run.protocol.validation else "test"),
                "diagnostics": Diagnostics(
                    best_top1=best["top1"],
                    best_epoch=int(best["epoch"]),
                    train_loss=sum(terms.values()),
                    terms=terms,
                ),
                "cost": Cost(
                    parameters=count_parameters(learner.deployed()),
                    macs=macs,
                    training_parameters=learner.training_parameters,
                    recipe_parameters=recipe_layers,
                    train_seconds=progress.train_seconds,
                    evaluation_seconds=progress.evaluation_seconds,
                    group_seconds=progress.group_seconds,
                    images_per_s=rows[-1]["images_per_s"],
                    peak_memory_mb=_peak_memory_mb(self.accelerator.device),
                    extra_epochs=seat.lead,
                    group=tuple(progress.group),
                ),
            }
        )

    def _failed(self, run: Run, trouble: Trouble) -> Record:
        error = Failure(
            kind=trouble.kind, message=trouble.message, where=trouble.where, epoch=trouble.epoch
        )
        return self._base(run, trouble.status, error)

    def _base(self, run: Run, status: str, error: Failure | None = None) -> Record:
        source = (
            str(run.settings["sha256"])
            if run.weights is not None
            else self.recipes.get(run.recipe).digest
        )
        return Record.model_construct(
            identity=run.identity,
            status=status,
            spec=run.spec(self._accuracies),
            recipe_source=source,
            published_weights=self._published.get(run.network) if run.starts_from else None,
            finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            environment=self._environment,
            error=error,
        )


def _data_key(run: Run) -> tuple[str, Pictures]:
    """Runs with the same one see the same pictures."""
    return run.card.name, run.pictures


def _metrics(scores: Scores, split: str) -> Metrics:
    return Metrics.model_validate(vars(scores) | {"evaluated_on": split})


def _peak_memory_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, else in KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _linear_macs(module: torch.nn.Module) -> int:
    return sum(m.weight.numel() for m in module.modules() if isinstance(m, torch.nn.Linear))
