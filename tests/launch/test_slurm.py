"""Jobs of a real Slurm of one node: shared work, warnings, requeues, and what is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmark.errors import TrainingError, UsageError
from benchmark.launch.claims import living
from benchmark.launch.means import Means
from benchmark.launch.session import Session
from benchmark.launch.slurm.command import job_words
from benchmark.launch.slurm.worker import Worker
from benchmark.launch.summary import Summary
from benchmark.matrix.request import Request
from benchmark.matrix.states import Retry
from tests.support.listeners import Noting
from tests.support.sessions import Execute, Make
from tests.support.slurm import SlurmCluster, slurm_cluster

# Slow in a job, so that there is time to disturb it; its numbers are the same everywhere.
SLOW = '''"""Takes its time in a job."""
import os, time
from benchmark import register
from .vanilla import Vanilla
@register("slow", family="alone")
class Slow(Vanilla):
    def forward(self, batch, student, teacher):
        time.sleep(0.1 if "SLURM_JOB_ID" in os.environ else 0)
        return super().forward(batch, student, teacher)
'''


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C is heard, also where these tests run in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    with slurm_cluster() as made:
        yield made


@pytest.fixture
def on_slurm(
    cluster: SlurmCluster, execute: Execute, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Execute]:
    """Runs a session in jobs."""
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("benchmark.launch.slurm.front.LOOK_S", 0.5)

    def run(session: Session, **words: Any) -> Summary:
        options = {"slurm-time": 10} | words.pop("options", {})
        words = {"workers": 1, "threads": 1, "checkpoint_minutes": 0.0} | words
        return execute(session, launcher="slurm", options=options, **words)

    yield run
    cluster.ask("scancel", "--user", str(os.getuid()))


@pytest.fixture
def slow_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "slow"
    folder.mkdir()
    (folder / "slow.py").write_text(SLOW)
    return folder


def values(session: Session) -> list[object]:
    """Of all records, what must be the same wherever they were made."""
    records = session.store.all().records
    return [(r.spec, r.status, r.metrics, r.diagnostics) for r in records]


def forget(session: Session) -> None:
    for folder in (session.store.root, session.workspace.root):
        for path in [path for path in folder.rglob("*") if path.is_file()]:
            path.unlink()


def when(true: Callable[[], bool], act: Callable[[], object]) -> threading.Thread:
    """Do something, in another thread, as soon as something holds."""

    def watch() -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if true():
                act()
                return
            time.sleep(0.1)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


@pytest.mark.slurm
@pytest.mark.slow
def test_jobs_that_are_warned_or_requeued_end_with_the_records_of_an_undisturbed_run(
    session: Make,
    execute: Execute,
    on_slurm: Execute,
    cluster: SlurmCluster,
    slow_folder: Path,
) -> None:
    def make() -> Session:
        return session("slow", paths=(slow_folder,), seeds="2", protocol="longer[epochs=40]")

    def both_train() -> bool:
        at = [holder.epoch for _, holder, _ in living(made.workspace.root)]
        return len(at) == 2 and min(at) >= 5

    def disturb() -> None:
        [job] = {name.split("_")[0] for name in cluster.jobs()}
        cluster.ask("scancel", "--signal=USR2", f"{job}_0")  # as Slurm does before a job's end
        cluster.ask("scontrol", "requeue", f"{job}_1")

    made, noting = make(), Noting()
    thread = when(both_train, disturb)
    assert on_slurm(made, workers=2, listener=noting).exit_code == 0
    thread.join(1)
    for job in ("_0", "_1"):
        said = [note.split(": ")[1].split()[0] for note in noting.notes if f"{job}: " in note]
        assert said.count("PENDING") >= 2, "it was put into the queue again"
    logs = "".join(path.read_text() for path in (made.workspace.root / "slurm").glob("*.err"))
    assert "Caught signal SIGUSR2" in logs
    assert logs.count("DUE TO JOB REQUEUE") >= 2
    there = values(made)
    assert len(there) == 2
    forget(made)
    execute(make(), workers=1, threads=1)
    assert there == values(made)


@pytest.mark.slurm
@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("KDBENCH_TORTURE"), reason="takes two minutes: KDBENCH_TORTURE is not set"
)
def test_a_time_limit_is_met_at_a_checkpoint_and_the_next_job_goes_on(
    session: Make, execute: Execute, on_slurm: Execute, slow_folder: Path
) -> None:
    """Slurm's shortest limit is a minute, and it warns up to half a minute early."""
    make = {"paths": (slow_folder,), "protocol": "longer[epochs=130]"}
    made, noting = session("slow", **make), Noting()
    assert on_slurm(made, options={"slurm-time": 1}, listener=noting).exit_code == 0
    [log] = (made.workspace.root / "slurm").glob("*.err")
    assert "Caught signal SIGUSR2" in log.read_text()
    assert "DUE TO JOB REQUEUE" in log.read_text()
    there = values(made)
    forget(made)
    execute(session("slow", **make), workers=1, threads=1)
    assert there == values(made)


@pytest.mark.slurm
def test_the_command_may_leave_and_the_jobs_go_on(
    session: Make, on_slurm: Execute, cluster: SlurmCluster, slow_folder: Path, ctrl_c: None
) -> None:
    make = {"paths": (slow_folder,), "protocol": "longer[epochs=5000]"}
    made, noting = session("slow", **make), Noting()
    summary = on_slurm(made, options={"detach": True}, listener=noting)
    assert summary.exit_code == 0
    [job] = cluster.jobs()
    assert any(f"scancel {job}" in note for note in noting.notes)
    thread = when(
        lambda: any(living(made.workspace.root)),
        lambda: os.kill(os.getpid(), signal.SIGINT),
    )
    noting.notes.clear()
    assert on_slurm(made, listener=noting).exit_code == 130
    thread.join(1)
    assert len(cluster.jobs()) == 2
    assert any("The jobs go on" in note for note in noting.notes)


@pytest.mark.slurm
@pytest.mark.slow
def test_a_job_with_several_gpus_trains_a_group_in_as_many_processes(
    session: Make, on_slurm: Execute
) -> None:
    """The node's GPUs are only counted: the processes meet on the CPU."""
    made = session("vanilla")
    assert on_slurm(made, options={"gpus-per-worker": 2}).exit_code == 0
    [record] = made.store.all().records
    assert record.environment.processes == 2


@pytest.mark.slurm
def test_what_slurm_refuses_is_said_in_its_words(session: Make, on_slurm: Execute) -> None:
    with pytest.raises(UsageError, match="invalid partition specified: nowhere"):
        on_slurm(session("vanilla"), options={"slurm-partition": "nowhere"})
    with pytest.raises(UsageError, match="whole GPUs"):
        on_slurm(session("vanilla"), options={"gpus-per-worker": 0.5})


@pytest.mark.slurm
def test_jobs_that_die_before_they_work_show_the_end_of_their_log(
    session: Make, on_slurm: Execute
) -> None:
    noting = Noting()
    with pytest.raises(TrainingError, match="all jobs ended without a result"):
        on_slurm(
            session("vanilla"),
            options={"slurm-setup": ["echo no such module >&2", "exit 3"]},
            listener=noting,
        )
    assert any("FAILED" in note and "no such module" in note for note in noting.notes)


def test_without_slurm_or_its_client_one_line_says_so(
    session: Make, execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match="srun"):
        execute(session("vanilla"), launcher="slurm")
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UsageError, match=r"pip install 'kdbench\[slurm\]'"):
        execute(session("vanilla"), launcher="slurm")


# ---------------------------------------------------------------------------- a job's own words


def test_the_command_of_a_job_makes_the_same_request(tmp_path: Path) -> None:
    request = Request(
        datasets=("tiny",), recipes=("kd[temperature=2]", "crd"), seeds="0,2", paths=(tmp_path,)
    )
    options = {"gpus-per-worker": 1, "cpus-per-worker": 3}
    means = Means(tmp_path, precision="bf16", launcher="slurm", keeps="fp16", options=options)
    retry = [Retry.failed, Retry.elsewhere]
    words = job_words(request, means, runs=tmp_path / "r", results=tmp_path / "q", retry=retry)
    assert words[:4] == (sys.executable, "-m", "kdbench", "run")
    text = " ".join(words)
    for part in (
        "--dataset tiny", "--recipe kd[temperature=2] --recipe crd", "--seeds 0,2",
        f"--path {tmp_path}", f"--runs {tmp_path}/r", f"--results {tmp_path}/q",
        "--precision bf16", "--threads 3", "--retry failed --own --workers 1",
        "--keep-teacher-outputs-fp16",
    ):  # fmt: skip
        assert part in text


def test_several_gpus_are_several_processes(tmp_path: Path) -> None:
    means = Means(tmp_path, launcher="slurm", options={"gpus-per-worker": 4})
    words = job_words(Request(), means, runs=tmp_path, results=tmp_path, retry=())
    text = " ".join(words)
    assert "accelerate.commands.launch" in text
    assert "--num_processes 4 -m kdbench run" in text
    assert "--workers" not in text


def test_a_command_that_breaks_makes_a_failed_job() -> None:
    assert Worker((sys.executable, "-c", "raise SystemExit(1)"))() == 1
    with pytest.raises(RuntimeError, match="exit code 7"):
        Worker((sys.executable, "-c", "raise SystemExit(7)"))()


def test_slurms_warning_stops_the_command_and_nothing_else(tmp_path: Path) -> None:
    """As submitit does: its handler of SIGUSR2 asks for a checkpoint, and leaves."""
    ready, done = tmp_path / "ready", tmp_path / "done"
    child = (
        "import pathlib, signal, sys, time\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path({str(done)!r}).touch(),"
        " sys.exit(143)))\n"
        f"pathlib.Path({str(ready)!r}).touch()\n"
        "time.sleep(60)\n"
    )
    parent = (
        "import signal, sys\n"
        "from benchmark.launch.slurm.worker import Worker\n"
        f"worker = Worker((sys.executable, '-c', {child!r}))\n"
        "def warned(*_):\n"
        "    again = worker.checkpoint()\n"
        "    sys.exit(0 if again.function == Worker(worker.words) else 5)\n"
        "signal.signal(signal.SIGUSR2, warned)\n"
        "worker()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], start_new_session=True)
    while not ready.exists():
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGUSR2)  # Slurm sends it to every process of the job
    assert process.wait(30) == 0
    assert done.exists()
