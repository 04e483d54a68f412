"""Curves, settings and summaries for experiment trackers, through accelerate.

Every run of the matrix is a run of the tracker, under the name of its cell: its settings when it
begins, its loss terms and scores epoch by epoch, and at the end what its record says. Whatever goes
wrong with a tracker is said once; the training goes on without it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker, get_available_trackers

from benchmark.errors import UnknownName, UsageError
from benchmark.events import LearnerEpoch, Listener, Planned, Several

PROJECT = "kdbench"
# Those whose package writes to whatever run was begun last are told of one run after the other, at
# its end; all others are told of every epoch.
AT_THE_END = frozenset({"clearml", "mlflow", "trackio"})
LONGEST = 250  # characters of a setting; mlflow takes no more than 500


def tracked(listener: Listener, names: Collection[str], folder: Path) -> Listener:
    """A listener and trackers beside it, each once.

    Args:
        listener: hears of everything, and what is wrong with a tracker.
        names: of the trackers, as accelerate has them.
        folder: for those that write files here.

    Raises:
        UnknownName: accelerate knows no such tracker.
        UsageError: its package is not installed.
    """
    check_trackers(names)
    if not names:
        return listener
    if not PartialState._shared_state:
        PartialState(cpu=True)  # its log asks for one, though workers do the training
    trackers = (Tracking(name, folder, listener.note) for name in dict.fromkeys(names))
    return Several(listener, *trackers)


def check_trackers(names: Collection[str]) -> None:
    """Refuse trackers that cannot be used, before anything is trained.

    Raises:
        UnknownName: accelerate knows no such tracker.
        UsageError: its package is not installed.
    """
    here = {str(getattr(name, "value", name)) for name in get_available_trackers()}
    own = {name for name, made in LOGGER_TYPE_TO_CLASS.items() if _is_registered(made)}
    for name in names:
        if name not in LOGGER_TYPE_TO_CLASS:
            raise UnknownName("tracker", name, LOGGER_TYPE_TO_CLASS)
        if name not in here | own:
            package = name.replace("_", "-")
            raise UsageError(
                f"--track {name}: the package is not installed. Install it (pip install {package}) "
                "or leave the option out."
            )


def _is_registered(made: type[GeneralTracker]) -> bool:
    """Whether a program gave accelerate this tracker, rather than it having it of its own."""
    return not made.__module__.startswith("accelerate.")


@dataclass
class Curve:
    """What is known of a run, for one tracker.

    Attributes:
        run: the run.
        rows: of the epochs, from 1, that the tracker was not told of yet.
        tracker: that has begun; None before.
        epoch: of the last row.
    """

    run: Planned
    rows: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    tracker: Any = None
    epoch: int | None = None


class Tracking(Listener):
    """Tells one tracker of every run.

    Args:
        name: of the tracker, as accelerate has it.
        folder: for those that write files here.
        note: hears, once, of what is wrong with it.
    """

    def __init__(self, name: str, folder: Path, note: Callable[[str], None]) -> None:
        self._name, self._folder, self._note = name, folder, note
        self._runs: dict[str, Planned] = {}
        self._curves: dict[str, Curve] = {}
        self._is_broken = False

    def planned(self, runs: Sequence[Planned]) -> None:
        """Know the runs; the tracker is told of each when it has something to show."""
        self._runs |= {run.identity: run for run in runs}

    def beside(self, group: int) -> Listener:
        """Who hears of one group; its end is not the end of all."""
        return _OfGroup(self.epoch)

    def epoch(self, epoch: int, learners: Sequence[LearnerEpoch], images_per_s: float) -> None:
        """Tell of an epoch of every learner."""
        for learner in learners:
            if learner.error is not None or (curve := self._curve(learner.identity)) is None:
                continue
            row = {f"loss/{name}": value for name, value in learner.terms.items()}
            row["loss"] = sum(learner.terms.values())
            if learner.top1 is not None:
                row["top1"] = learner.top1
            row["images_per_s"] = images_per_s
            curve.rows.append((epoch, row))
            curve.epoch = epoch
            if self._name not in AT_THE_END:
                self._try(partial(self._write, curve))

    def recorded(self, identity: str, record: Mapping[str, Any]) -> None:
        """Tell of a run's end, and close it."""
        curve = self._curve(identity)
        if curve is not None:
            self._try(partial(self._end, curve, summary_of(record)))
            self._curves.pop(identity, None)

    def close(self) -> None:
        """Close the runs that were stopped; they go on under the same name."""
        for curve in self._curves.values():
            if curve.tracker is not None:
                self._try(curve.tracker.finish)
        self._curves.clear()

    def _curve(self, identity: str) -> Curve | None:
        if self._is_broken or identity not in self._runs:
            return None
        return self._curves.setdefault(identity, Curve(self._runs[identity]))

    def _write(self, curve: Curve) -> None:
        if curve.tracker is None:
            curve.tracker = begin(self._name, curve.run, self._folder)
        for epoch, row in curve.rows:
            curve.tracker.log(row, step=epoch)
        curve.rows.clear()

    def _end(self, curve: Curve, summary: Mapping[str, float]) -> None:
        self._write(curve)
        curve.tracker.log(dict(summary), step=curve.epoch)
        curve.tracker.finish()

    def _try(self, tell: Callable[[], None]) -> None:
        try:
            with redirect_stdout(sys.stderr):  # ours may be a machine's to read
                tell()
        except Exception as error:
            known, self._is_broken = self._is_broken, True
            if known:
                return
            said = f"{type(error).__name__}: {error}".splitlines()[0]
            self._note(f"tracker {self._name} is left alone from here on: {said}")


class _OfGroup(Listener):
    """Hears of the epochs of one group."""

    def __init__(self, tell: Callable[[int, Sequence[LearnerEpoch], float], None]) -> None:
        self._tell = tell

    def epoch_finished(
        self, epoch: int, learners: Sequence[LearnerEpoch], images_per_s: float
    ) -> None:
        """Pass it on."""
        self._tell(epoch, learners, images_per_s)


def begin(name: str, run: Planned, folder: Path) -> GeneralTracker:
    """Open a run of a tracker, with the settings of ours."""
    made, settings = LOGGER_TYPE_TO_CLASS[name], dict(settings_of(run))
    ways: dict[str, Callable[[], GeneralTracker]] = {
        "tensorboard": lambda: made(run.cell, str(folder)),
        "wandb": lambda: made(
            PROJECT, name=run.cell, id=run.identity[:32], resume="allow", dir=str(folder),
            group=f"{run.spec['dataset']} {run.spec['pair'] or run.spec['network']}",
            reinit="create_new", config=settings,
        ),
        "trackio": lambda: made(PROJECT, name=run.cell, resume="allow", config=settings),
        "mlflow": lambda: made(PROJECT, run_name=run.cell, nested_run=True),
    }  # fmt: skip
    usual = [PROJECT, str(folder)] if made.requires_logging_directory else [PROJECT]
    tracker: GeneralTracker = ways.get(name, lambda: made(*usual))()
    # One process tells it of all, whichever it is: it need not ask for its rank, which would take
    # the device.
    tracker.main_process_only = False
    if name in ("tensorboard", "wandb"):
        folder.mkdir(parents=True, exist_ok=True)
    tracker.start()
    if name not in ("wandb", "trackio"):
        tracker.store_init_configuration(settings)
    return tracker


def settings_of(run: Planned) -> Iterator[tuple[str, str | int | float | bool]]:
    """What a run is, in flat names: ``recipe``, ``settings/temperature``, ``protocol/epochs``."""
    yield from (("cell", run.cell), ("identity", run.identity))
    for name in ("dataset", "network", "pair", "recipe", "protocol", "seed"):
        yield name, _plain(run.spec[name])
    for part, title in (("settings", "settings"), ("protocol_values", "protocol")):
        for name, value in run.spec[part].items():
            yield f"{title}/{name}", _plain(value)


def summary_of(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a record, in flat names: ``final/top1``, ``cost/train_seconds``."""
    found: dict[str, float] = {}
    for part, title in (("metrics", "final"), ("cost", "cost")):
        for name, value in (record.get(part) or {}).items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                found[f"{title}/{name}"] = value
    return found


def _plain(value: object) -> str | int | float | bool:
    return value if isinstance(value, bool | int | float) else str(value)[:LONGEST]
