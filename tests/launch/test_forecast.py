"""How long a plan takes: foretold from what is known here, and corrected by the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.events import Listener
from benchmark.launch.launcher import Died, Heard
from benchmark.launch.means import Means
from benchmark.launch.order import Outcome
from benchmark.launch.times.outlook import Outlook
from benchmark.launch.times.schedule import span
from benchmark.matrix.run import Run
from benchmark.work.forecast.pace import Pace, Source
from tests.support.sessions import Execute, Make


@dataclass(frozen=True)
class Task:
    """As much of a run as a schedule looks at."""

    identity: str
    built_on: tuple[Task, ...] = ()

    @property
    def roles(self) -> dict[str, Task]:
        return {task.identity: task for task in self.built_on}


@st.composite
def plans(draw: st.DrawFn) -> list[tuple[tuple[Any, ...], float]]:
    """Groups of one or two runs that build on runs before them, with their seconds."""
    tasks: list[Task] = []
    groups = []
    for number in range(draw(st.integers(1, 8))):
        earlier = draw(st.lists(st.sampled_from(tasks), max_size=2)) if tasks else []
        made = tuple(Task(f"{number}-{i}", tuple(earlier)) for i in range(draw(st.integers(1, 2))))
        groups.append((made, float(draw(st.integers(0, 100)))))
        tasks += made
    return groups


@given(plans(), st.integers(1, 4))
def test_a_schedule_is_within_its_bounds(
    groups: list[tuple[tuple[Any, ...], float]], workers: int
) -> None:
    total, longest = sum(s for _, s in groups), max(s for _, s in groups)
    taken = span(groups, workers)
    assert max(longest, total / workers) <= taken + 1e-9
    assert taken <= total + 1e-9
    assert span(groups, 1) == pytest.approx(total)


def test_a_student_waits_for_its_teacher_and_another_group_does_not() -> None:
    teacher, other = Task("teacher"), Task("other")
    student = Task("student", (teacher,))
    groups: list[Any] = [((teacher,), 10.0), ((student,), 5.0), ((other,), 3.0)]
    assert span(groups, 2) == 15.0
    assert span(groups, 1) == 18.0
    assert span([((teacher,), 4.0), *groups[1:]], 2, running=1) == 9.0


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    """A cache in which no other test has left a pace."""
    return tmp_path / "cache"


@pytest.fixture
def means(cache_dir: Path) -> Means:
    return Means(cache_dir, threads=1)


def test_what_nothing_is_known_of_has_no_time(session: Make, means: Means) -> None:
    forecast = session("vanilla", "kd").forecasts(means).plan()
    assert forecast.seconds is None
    assert forecast.unknown == len(forecast.groups) == 2
    overview = session("vanilla", "kd").overview(means)
    assert overview["seconds"] is None
    assert overview["levels"][0][0]["source"] is None


def test_a_trained_group_foretells_those_of_other_seeds(
    session: Make, execute: Execute, cache_dir: Path
) -> None:
    means = Means(cache_dir)
    execute(session("vanilla", "kd"))
    other = session("vanilla", "kd", seeds="7,8")
    forecasts = other.forecasts(means)
    forecast = forecasts.plan()
    assert [group.estimate and group.estimate.source for group in forecast.groups] == [
        Source.trained
    ] * len(forecast.groups)
    assert forecast.seconds == pytest.approx(sum(g.seconds or 0 for g in forecast.groups))

    longer = session("vanilla", "kd", seeds="7,8", protocol="longer").forecasts(means).plan()
    assert longer.seconds is not None
    assert forecast.seconds is not None
    assert longer.seconds > forecast.seconds


def test_records_of_this_machine_foretell_where_nothing_is_kept(
    session: Make, execute: Execute, tmp_path: Path
) -> None:
    execute(session("vanilla", "kd"))
    means = Means(tmp_path / "another cache")
    other = session("vanilla", "kd", seeds="7,8")
    group, *_ = other.forecasts(means).plan().groups
    assert group.estimate is not None
    assert group.estimate.source is Source.records
    record = session("vanilla").store.find(session("vanilla").cells[0].run.spec)
    assert record is not None
    assert record.cost is not None
    spent = record.cost.group_seconds + 2 * record.cost.evaluation_seconds
    assert group.seconds == pytest.approx(spent, rel=1e-3)
    alone, _ = session("vanilla", seeds="7,8").forecasts(means).plan().groups
    assert alone.estimate is not None
    assert alone.estimate.source is Source.shares
    assert alone.estimate.rough


def test_another_recipe_is_guessed_from_the_arithmetic(
    session: Make, execute: Execute, cache_dir: Path
) -> None:
    execute(session("vanilla", "kd"))
    groups = session("crd", seeds="7,8").forecasts(Means(cache_dir)).plan().groups
    estimate = groups[-1].estimate
    assert estimate is not None
    assert estimate.source is Source.arithmetic
    assert estimate.rough


def test_a_pace_is_kept_for_its_machine_alone_and_damage_is_no_pace(
    session: Make, means: Means
) -> None:
    forecasts = session("vanilla").forecasts(means)
    runs = [run for run in forecasts.order.plan.todo if isinstance(run, Run)]
    book = forecasts.book
    measured = Pace(images_per_s=100.0, examination_s=1.0, start_s=0.0, how="measured")
    trained = measured.model_copy(update={"images_per_s": 50.0, "how": "trained"})
    book.keep(runs, measured)
    assert book.find(runs) == measured
    book.keep(runs, trained)
    book.keep(runs, measured)
    assert book.find(runs) == trained
    assert session("vanilla", seeds="7,8").forecasts(means).book.find(runs) == trained
    others = session("vanilla").forecasts(Means(means.cache_dir, threads=2))
    assert others.book.find(runs) is None
    [file] = book.folder.iterdir()
    file.write_text("{")
    assert book.find(runs) is None


@dataclass
class Told(Listener):
    """Remembers what was told to be left."""

    whole: list[float | None] = field(default_factory=list)

    def time_left(self, seconds: float | None) -> None:
        self.whole.append(seconds)


@dataclass
class Watched:
    """An outlook on a plan, with a clock that is set by hand."""

    outlook: Outlook
    told: Told
    now: list[float]
    groups: list[float] = field(default_factory=list)

    def hear(self, work: int, method: str, *arguments: Any, after: float = 0.0) -> None:
        self.now[0] += after
        self.outlook.heard(Heard(work, method, arguments))


@pytest.fixture
def watch(session: Make, means: Means) -> Callable[..., Watched]:
    def make(*recipes: str, rate: float | None = None, **words: Any) -> Watched:
        """Paces of the groups are known if there is a rate; examinations then take no time."""
        forecasts = session(*recipes, **words).forecasts(means)
        if rate is not None:
            pace = Pace(images_per_s=rate, examination_s=0.0, start_s=0.0)
            for group in forecasts.plan().groups:
                forecasts.book.keep([r for r in group.runs if isinstance(r, Run)], pace)
        now, told = [0.0], Told()
        outlook = Outlook(forecasts, told, keeps=False, clock=lambda: now[0])
        watched = Watched(outlook, told, now)
        outlook.tell = lambda heard: watched.groups.append(heard.arguments[0])
        return watched

    return make


Watch = Callable[..., Watched]


def images_of_an_epoch(watched: Watched) -> int:
    """That all groups have."""
    run, *_ = watched.outlook.forecasts.order.open.values()
    return run.card.splits["train"]


def test_what_is_left_follows_the_truth(watch: Watch, session: Make) -> None:
    images = images_of_an_epoch(watch("vanilla"))
    watched = watch("vanilla", "kd", protocol="longer", rate=images / 10)
    told, groups = watched.told.whole, watched.groups
    first, second = watched.outlook.forecasts.plan().groups  # four epochs of ten seconds each
    watched.outlook.begin(1, first.runs)
    assert told[-1] == pytest.approx(80)
    watched.hear(1, "group_started", "", [], 4, 0)
    watched.hear(1, "epoch_started", 1, images)
    watched.hear(1, "epoch_finished", 1, [], images / 20, after=20.0)
    assert groups[-1] == pytest.approx(60)  # it takes twice as long as was foretold
    assert told[-1] == pytest.approx(60 + 80)  # and so will the one that waits
    watched.now[0] += 15.0
    watched.outlook.say()
    assert told[-1] == pytest.approx(45 + 80)
    watched.outlook.ended(Died(1, "it was ended", "crash"))
    assert told[-1] == pytest.approx(80), "the one that waits is as slow"
    watched.outlook.begin(2, first.runs)
    assert told[-1] == pytest.approx(80 + 80), "it is tried again"
    order = watched.outlook.forecasts.order
    for run in second.runs:
        list(order.end(run, Outcome.recorded))  # by another process
    watched.outlook.say()
    assert told[-1] == pytest.approx(80)


def test_what_is_left_is_known_within_the_first_epoch_though_nothing_was_foretold(
    watch: Watch,
) -> None:
    watched = watch("vanilla", "kd")
    told, images = watched.told.whole, images_of_an_epoch(watched)
    first, _ = watched.outlook.forecasts.plan().groups
    watched.outlook.prepare()
    watched.outlook.say()
    watched.outlook.begin(1, first.runs)
    watched.hear(1, "group_started", "", [], 2, 0)
    watched.hear(1, "epoch_started", 1, images)
    watched.hear(1, "images_done", images // 4, after=3.0)
    assert set(told) == {None}, "nothing is known yet"
    watched.hear(1, "images_done", images // 4, after=10.0)
    of_group, whole = watched.groups[-1], told[-1]
    assert whole is not None
    assert of_group > 1.5 * 40.0, "an epoch and a half at the rate of this one"
    assert whole > of_group, "the group that waits has a time too: by arithmetic"


def test_a_group_of_another_seed_takes_as_long_as_the_one_before(watch: Watch) -> None:
    watched = watch("vanilla", seeds="0,1", protocol="longer")
    images = images_of_an_epoch(watched)
    first, _ = watched.outlook.forecasts.plan().groups
    watched.outlook.begin(1, first.runs)
    watched.hear(1, "group_started", "", [], 4, 0, after=2.0)
    for epoch in range(1, 5):
        watched.hear(1, "epoch_started", epoch, images)
        watched.hear(1, "epoch_finished", epoch, [], images / 10, after=13.0)
    assert watched.groups[-1] == 0
    whole = watched.told.whole[-1]
    examined = first.work.examinations if first.work else 0
    seconds = {4: 2 + 4 * 13, 1: 2 + 3 * 13 + 13}[examined]
    assert whole == pytest.approx(seconds)


def test_a_bar_that_moves_often_is_not_told_of_each_time(watch: Watch) -> None:
    watched = watch("vanilla", rate=10.0)
    first, *_ = watched.outlook.forecasts.plan().groups
    watched.outlook.begin(1, first.runs)
    watched.hear(1, "epoch_started", 1, 100)
    before = len(watched.told.whole)
    for _ in range(30):
        watched.hear(1, "images_done", 1, after=0.1)
    assert 2 <= len(watched.told.whole) - before <= 4


def test_groups_are_weighed_by_what_is_known_of_all_of_them(
    session: Make, execute: Execute, cache_dir: Path
) -> None:
    execute(session("vanilla", "kd"))
    forecasts = session("vanilla", "kd", "crd", seeds="7,8").forecasts(Means(cache_dir))
    group = forecasts.plan().groups[-1].runs
    runs = {run.recipe.name: run for run in group if isinstance(run, Run)}
    kd, crd = runs["kd"], runs["crd"]
    by_arithmetic = forecasts.weights([group, [kd], [crd]])
    assert by_arithmetic is not None
    assert by_arithmetic[0] > by_arithmetic[1] > 0
    for run, rate in ((kd, 40.0), (crd, 10.0)):
        pace = Pace(images_per_s=rate, examination_s=0.0, start_s=0.0)
        forecasts.book.keep([run], pace)
    of_kd, of_crd = forecasts.weights([[kd], [crd]]) or (0.0, 0.0)
    assert of_crd == pytest.approx(4 * of_kd)


def test_a_group_that_ran_short_of_memory_is_tried_with_more_alone(
    session: Make, tmp_path: Path
) -> None:
    def outlook(gigabytes: float, **of: str) -> tuple[Outlook, Notes]:
        means = Means(tmp_path / "cache", threads=1, memory_gb=gigabytes)
        notes = Notes()
        return Outlook(session("vanilla", "kd", **of).forecasts(means), notes, keeps=True), notes

    first, _ = outlook(2.0)
    group = max((g.runs for g in first.forecasts.plan().groups), key=len)
    assert first.fits(group)
    first.crowded(group)
    for gigabytes, room in ((2.0, False), (1.0, False), (4.0, True)):
        later, notes = outlook(gigabytes, seeds="7,8")
        again = max((g.runs for g in later.forecasts.plan().groups), key=len)
        assert later.fits(again) is later.fits(again) is room
        assert len(notes.said) == (not room), "each kind of group is spoken of once"
        assert later.fits(again[:1]), "a part of it is another kind of group"


@dataclass
class Notes(Listener):
    """Remembers what was said."""

    said: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.said.append(text)
