"""Trackers are told of curves, settings and records, and no training depends on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker

from benchmark.errors import UnknownName, UsageError
from benchmark.events import LearnerEpoch, Listener, Planned, Several
from benchmark.reports.tracking import AT_THE_END, check_trackers, tracked
from tests.support.sessions import Execute, Make, execute, session  # noqa: F401

SPEC = {
    "dataset": "birds", "network": "resnet8", "pair": "resnet14:resnet8", "recipe": "kd",
    "protocol": "quick", "seed": 0, "settings": {"temperature": 4.0},
    "protocol_values": {"epochs": 2, "optimiser": ["sgd"]},
}  # fmt: skip
RUNS = [Planned(name * 64, f"run {name}", f"birds/{name}", SPEC) for name in "ab"]


class Notes(Listener):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


class Kept(GeneralTracker):
    """A tracker of a program's own, which accelerate is given by its name."""

    name = "kept"
    requires_logging_directory = False
    said: list[tuple[str, Any]] = []  # noqa: RUF012
    fails_at = ""

    def __init__(self, project: str, **options: Any) -> None:
        super().__init__()
        self.project = project

    @property
    def tracker(self) -> None:
        return None

    def _say(self, what: str, of: Any = None) -> None:
        self.said.append((what, of))
        if what == self.fails_at:
            raise ConnectionError("no way to the server\nand more of it")

    def start(self) -> None:
        self._say("start", self.project)

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self._say("settings", values)

    def log(self, values: dict[str, Any], step: int | None = None, **options: Any) -> None:
        self._say("log", (step, values))

    def finish(self) -> None:
        self._say("finish")


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> type[Kept]:
    monkeypatch.setitem(LOGGER_TYPE_TO_CLASS, "kept", Kept)
    monkeypatch.setattr(Kept, "said", [])
    monkeypatch.setattr(Kept, "fails_at", "")
    return Kept


def train(listener: Listener, *, epochs: int = 2) -> None:
    """What the engine tells of two runs that train side by side."""
    listener.planned(RUNS)
    group = listener.beside(1)
    for epoch in range(1, epochs + 1):
        top1 = 50.0 if epoch == 2 else None
        terms = {"ce": 1.0, "kd": 0.5}
        of = [LearnerEpoch(run.label, terms, top1, None, run.identity) for run in RUNS]
        group.epoch_finished(epoch, of, 100.0)
    group.close()
    for run in RUNS:
        listener.recorded(run.identity, {"metrics": {"top1": 50.0}, "cost": {"compiled": None}})
    listener.close()


def test_settings_then_epochs_then_the_record_are_told(kept: type[Kept], tmp_path: Path) -> None:
    train(tracked(Listener(), ["kept"], tmp_path))
    what = [name for name, _ in kept.said]
    one = ["start", "settings", "log"]
    assert what == [*one, *one, "log", "log", "log", "finish", "log", "finish"]
    settings = kept.said[1][1]
    assert settings["settings/temperature"] == 4.0
    assert settings["protocol/epochs"] == 2
    assert settings["cell"] == "birds/a"
    row = {"loss/ce": 1.0, "loss/kd": 0.5, "loss": 1.5, "images_per_s": 100.0}
    logs = [of for name, of in kept.said if name == "log"]
    assert logs[0] == (1, row)
    assert logs[2] == (2, row | {"top1": 50.0})
    assert logs[4] == (2, {"final/top1": 50.0})


def test_one_that_can_tell_no_runs_apart_is_told_of_one_after_the_other(
    kept: type[Kept], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.reports.tracking.AT_THE_END", AT_THE_END | {"kept"})
    train(tracked(Listener(), ["kept"], tmp_path))
    one = ["start", "settings", "log", "log", "log", "finish"]
    assert [name for name, _ in kept.said] == [*one, *one]


def test_what_was_stopped_is_closed(kept: type[Kept], tmp_path: Path) -> None:
    listener = tracked(Listener(), ["kept"], tmp_path)
    listener.planned(RUNS)
    of = [LearnerEpoch("run a", {"ce": 1.0}, None, None, RUNS[0].identity)]
    listener.beside(1).epoch_finished(1, of, 100.0)
    listener.close()
    assert [name for name, _ in kept.said][-1] == "finish"


@pytest.mark.parametrize("fails_at", ["start", "settings", "log", "finish"])
def test_what_goes_wrong_is_said_once_and_that_is_all(
    kept: type[Kept], fails_at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Kept, "fails_at", fails_at)
    heard = Notes()
    train(tracked(heard, ["kept"], tmp_path))
    [note] = heard.notes
    assert note == (
        "tracker kept is left alone from here on: ConnectionError: no way to the server"
    )


def test_a_training_does_not_fail_with_its_tracker(
    session: Make,  # noqa: F811
    execute: Execute,  # noqa: F811
    kept: type[Kept],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Kept, "fails_at", "log")
    heard = Notes()
    summary = execute(session("vanilla"), listener=tracked(heard, ["kept"], tmp_path))
    assert summary.exit_code == 0
    assert len([note for note in heard.notes if "left alone" in note]) == 1


def test_tensorboard_has_the_curves_of_every_run(
    session: Make,  # noqa: F811
    execute: Execute,  # noqa: F811
    tmp_path: Path,
) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    listener = tracked(Listener(), ["tensorboard"], tmp_path / "tracking")
    execute(session("vanilla", "kd"), listener=listener)
    folder = tmp_path / "tracking" / "tiny" / "resnet14__resnet8" / "kd" / "seed0"
    [file] = folder.glob("events*")
    events = reader.EventAccumulator(str(file))
    events.Reload()
    assert [event.step for event in events.Scalars("loss/kd")] == [1, 2]
    [final] = events.Scalars("final/top1")
    assert final.step == 2
    assert final.value == pytest.approx(events.Scalars("top1")[-1].value, rel=1e-4)


def test_an_unknown_tracker_is_refused() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'tensorboard'"):
        check_trackers(["tensorbord"])


def test_one_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.reports.tracking.get_available_trackers", list)
    with pytest.raises(UsageError, match="pip install comet-ml"):
        check_trackers(["comet_ml"])


def test_several_hear_the_same() -> None:
    one, two = Notes(), Notes()
    both = Several(one, two)
    both.note("a")
    both.beside(3).note("b")
    assert one.notes == two.notes == ["a", "b"]
    assert not both.shows
    with both.progress("c", 2) as advance:
        advance(1)
