"""Groups in processes of their own: what ends one of them ends one run, and no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmark.events import Listener
from benchmark.launch.order import Outcome
from benchmark.launch.signals import ECHO_S
from benchmark.records.schema import Record
from tests.support.listeners import Noting
from tests.support.sessions import Execute, Make

DEATHS = {
    "exits": "import os; os._exit(7)",
    "crashes": "import ctypes; ctypes.string_at(0)",
    "aborts": "import os; os.abort()",
}


@pytest.fixture
def write_recipe(tmp_path: Path) -> Callable[..., Path]:
    """Writes a recipe that is kd, but for what it does first."""
    folder = tmp_path / "own"

    def write(name: str, body: str) -> Path:
        folder.mkdir(exist_ok=True)
        text = f'''"""Does harm."""
from benchmark import register
from .kd import KD
@register("{name}", family="logits")
class Harm(KD):
    def forward(self, batch, student, teacher):
{textwrap.indent(textwrap.dedent(body), "        ")}
        return super().forward(batch, student, teacher)
'''
        (folder / f"{name}.py").write_text(text)
        return folder

    return write


def recipe_records(records: tuple[Record, ...]) -> dict[str, Record]:
    return {r.spec.recipe: r for r in records if r.spec.network == "resnet8"}


def values(record: Record) -> object:
    return record.spec, record.metrics, record.diagnostics


def test_workers_give_the_numbers_of_this_process(session: Make, execute: Execute) -> None:
    """Also where one of them runs its teachers, and another reads what was kept of them."""
    recipes, noting = ("vanilla", "kd", "crd"), Noting()

    def trained(**words: Any) -> tuple[Record, ...]:
        assert execute(session(*recipes), threads=1, **words).exit_code == 0
        store = session(*recipes).store
        records = store.all().records
        for path in store.root.rglob("*.json"):
            path.unlink()
        return records

    apart = trained(workers=2, keeps="fp32", listener=noting)
    assert not [note for note in noting.notes if "its recipe left" in note]
    together, read = trained(), trained(keeps="fp32")
    assert [*map(values, apart)] == [*map(values, together)] == [*map(values, read)]
    assert len(apart) == 4
    shares = [{r.cost and r.cost.teacher_outputs_read for r in each} for each in (together, read)]
    assert shares == [{None}, {None, 0.666667}]


def test_runs_that_end_their_process_are_found_and_recorded(
    session: Make, execute: Execute, write_recipe: Callable[..., Path]
) -> None:
    """Neither the run before them in the same process is blamed, nor those beside them."""
    for death, body in DEATHS.items():
        folder = write_recipe(death, body)
    noting = Noting()
    names = ("vanilla", *DEATHS, "kd")
    summary = execute(session(*names, paths=(folder,)), workers=1, threads=1, listener=noting)
    assert summary.exit_code == 1
    records = recipe_records(session(*names, paths=(folder,)).store.all().records)
    assert {name: record.status for name, record in records.items()} == {
        "vanilla": "ok",
        "kd": "ok",
        **dict.fromkeys(DEATHS, "failed"),
    }
    for death in DEATHS:
        error = records[death].error
        assert error is not None
        assert error.kind == "Died"
        assert "process" in error.message
    assert any("one by one" in note for note in noting.notes)
    again = execute(session(*names, paths=(folder,)), workers=1)
    assert again.outcomes == {}, "they are on record, and do not end another process"


def test_a_process_that_somebody_ends_is_no_result(
    session: Make, execute: Execute, write_recipe: Callable[..., Path], tmp_path: Path
) -> None:
    once = tmp_path / "once"
    folder = write_recipe(
        "unlucky",
        f"""
        import os, pathlib, signal
        if not pathlib.Path({str(once)!r}).exists():
            pathlib.Path({str(once)!r}).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    summary = execute(session("unlucky", paths=(folder,)), workers=1, threads=1)
    assert once.exists()
    assert summary.exit_code == 0


def test_a_worker_that_allocates_too_much_runs_out_of_memory_alone(
    session: Make, execute: Execute, write_recipe: Callable[..., Path]
) -> None:
    folder = write_recipe("greedy", "import torch; torch.empty(2 ** 35, dtype=torch.uint8)")
    names = ("greedy", "kd")
    execute(session(*names, paths=(folder,)), workers=1, threads=1, memory_gb=8)
    records = recipe_records(session(*names, paths=(folder,)).store.all().records)
    assert records["kd"].status == "ok"
    assert records["greedy"].status == "oom"


@pytest.mark.slow
def test_a_run_that_hangs_is_ended_at_its_time_limit(
    session: Make, execute: Execute, write_recipe: Callable[..., Path]
) -> None:
    folder = write_recipe("sleeps", "import time; time.sleep(10_000)")
    names = ("sleeps", "kd")
    execute(session(*names, paths=(folder,)), workers=2, threads=1, limit_minutes=0.2)
    records = recipe_records(session(*names, paths=(folder,)).store.all().records)
    assert {name: record.status for name, record in records.items()} == {
        "kd": "ok",
        "sleeps": "timeout",
    }


def test_workers_have_the_environment_of_today(
    session: Make,
    execute: Execute,
    write_recipe: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was set after the first worker began, e.g. that no connection may be made."""
    folder = write_recipe("asks", "import os; os.environ['KDBENCH_SET_LATER']")
    execute(session("vanilla"), workers=1, threads=1)
    monkeypatch.setenv("KDBENCH_SET_LATER", "1")
    assert execute(session("asks", paths=(folder,)), workers=1, threads=1).exit_code == 0


class Robbing(Noting):
    """Takes a run over in its second epoch, as one who thought its holder dead, and lets it go."""

    def __init__(self, runs: Path) -> None:
        super().__init__()
        self.runs, self.groups = runs, 0

    def group_started(self, title: str, labels: Sequence[str], epochs: int, done: int) -> None:
        self.groups += 1

    def epoch_started(self, epoch: int, images: int) -> None:
        if epoch == 2 and self.groups == 1:
            [claim] = self.runs.glob("*/claim-1")
            claim.with_name("claim-2").write_bytes(claim.read_bytes())

    def note(self, message: str) -> None:
        super().note(message)
        if "another process has it now" in message:
            for claim in self.runs.glob("*/claim-*"):
                claim.unlink()


def test_work_on_a_run_that_was_taken_over_is_ended(
    session: Make, execute: Execute, tmp_path: Path
) -> None:
    robbing = Robbing(tmp_path / "runs")
    made = session("vanilla", protocol="longer[epochs=9000]")
    summary = execute(made, workers=1, threads=1, minutes=0.3, listener=robbing)
    assert robbing.groups == 2, "it was begun again, and not after all its epochs"
    assert list(summary.outcomes.values()) == [Outcome.unfinished]


# ------------------------------------------------------------------ whole commands


def command(folder: Path, card_folder: Path, cache_dir: Path, *words: str) -> list[str]:
    return [
        sys.executable, "-P", "-m", "benchmark", "run", "--dataset", "tiny",
        "--path", str(card_folder),
        "--runs", str(folder / "runs"), "--results", str(folder / "results"), "--threads", "1",
        "--seeds", "1", *words,
    ]  # fmt: skip


@pytest.fixture
def environment(cache_dir: Path) -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    own = {"KDBENCH_CACHE": str(cache_dir), "OMP_NUM_THREADS": "1", "PYTHONPATH": root}
    return os.environ | own


def started(
    words: list[str], environment: dict[str, str], folder: Path, **options: Any
) -> subprocess.Popen[str]:
    """A command, given in a folder with a package of someone else's that has our name."""
    (folder / "benchmark").mkdir(exist_ok=True)
    (folder / "benchmark" / "__init__.py").write_text("raise SystemExit('not ours')")
    return subprocess.Popen(
        words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=environment, **options,
    )  # fmt: skip


LONG = ("--recipe", "vanilla", "--protocol", "longer[epochs=500]")


def begun(process: subprocess.Popen[str]) -> None:
    """Wait until a command has trained an epoch."""
    assert process.stdout is not None
    for line in process.stdout:
        if "epoch 2/" in line:
            return
    pytest.fail("the command ended before it trained")


def living(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that have not ended after a while; whether anyone took note is not asked."""
    until = time.monotonic() + 20
    while left := [one for one in processes if _lives(one)]:
        if time.monotonic() > until:
            break
        time.sleep(0.1)
    return left


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("number", "to_all"),
    [(signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGHUP, True)],
    ids=["Ctrl-C", "timeout", "a closed terminal"],
)
def test_a_signal_stops_at_a_checkpoint_and_says_how_to_go_on(
    tmp_path: Path, card_folder: Path, environment: dict[str, str], cache_dir: Path, number: int,
    to_all: bool,
) -> None:  # fmt: skip
    process = started(
        command(tmp_path, card_folder, cache_dir, *LONG), environment, tmp_path,
        start_new_session=True,
    )  # fmt: skip
    begun(process)
    children = psutil.Process(process.pid).children(recursive=True)
    if not to_all:  # first the command, then the group that it is in
        process.send_signal(number)
    os.killpg(process.pid, number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "the same command continues" in said
    assert not living(children)
    assert list((tmp_path / "runs").rglob("checkpoint*"))
    assert not list((tmp_path / "runs").rglob("*.partial"))
    assert not list((tmp_path / "runs").rglob("claim*"))


def test_a_second_ctrl_c_leaves_at_once(
    tmp_path: Path, card_folder: Path, environment: dict[str, str], cache_dir: Path
) -> None:
    process = started(command(tmp_path, card_folder, cache_dir, *LONG), environment, tmp_path)
    begun(process)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    time.sleep(ECHO_S + 0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode in (-signal.SIGINT, 128 + signal.SIGINT)
    assert not living(children)


def test_nothing_lives_on_after_a_command_that_was_killed(
    tmp_path: Path, card_folder: Path, environment: dict[str, str], cache_dir: Path
) -> None:
    process = started(command(tmp_path, card_folder, cache_dir, *LONG), environment, tmp_path)
    begun(process)
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate(timeout=60)
    assert not living(children)


def test_commands_share_the_work_of_one_folder(
    tmp_path: Path, card_folder: Path, environment: dict[str, str], cache_dir: Path,
    session: Make, execute: Execute,
) -> None:  # fmt: skip
    """Each run is trained once, whoever trains it; all see the whole result."""
    recipes = ("--recipe", "vanilla", "--recipe", "kd", "--recipe", "sh-kd", "--seeds", "2")
    words = command(tmp_path / "shared", card_folder, cache_dir, *recipes)
    processes = [started(words, environment, tmp_path) for _ in range(3)]
    said = [process.communicate(timeout=200)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said
    trained = [line for text in said for line in text.splitlines() if line.endswith(" left)")]
    by_another = [line for line in trained if "by another process" in line]
    assert len(trained) - len(by_another) == 10
    execute(session("vanilla", "kd", "sh-kd", seeds="2"))
    alone = session("vanilla").store.all().records
    from benchmark.records.store import Store

    shared = Store(tmp_path / "shared" / "results").all().records
    assert [*map(values, shared)] == [*map(values, alone)]


class Ending(Listener):
    """Kills the workers of this process in an epoch, as an operator would."""

    def __init__(self) -> None:
        self.killed = 0

    def epoch_started(self, epoch: int, images: int) -> None:
        if not self.killed:
            self.killed = 1
            for child in psutil.Process().children(recursive=True):
                with suppress(psutil.NoSuchProcess):  # which a zombie is, too
                    if "forkserver" in " ".join(child.cmdline()) and child.children() == []:
                        child.send_signal(signal.SIGTERM)


def test_a_worker_that_is_asked_to_end_stops_at_a_checkpoint(
    session: Make, execute: Execute
) -> None:
    summary = execute(
        session("vanilla", protocol="longer[epochs=30]"), workers=1, threads=1, listener=Ending()
    )
    assert set(summary.outcomes.values()) <= {Outcome.unfinished, Outcome.recorded}
