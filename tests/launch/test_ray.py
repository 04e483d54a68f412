"""Groups on a real Ray cluster of two nodes: what travels, what is lost, what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmark.cli.app import main
from benchmark.errors import TrainingError, UsageError
from benchmark.launch.launcher import Died, Refused
from benchmark.launch.order import Outcome
from benchmark.launch.ray.parcels import Changes, Mirror, code_files
from benchmark.launch.session import Session
from benchmark.launch.summary import Summary
from benchmark.records.schema import Record
from benchmark.work.place import Site
from tests.support.listeners import Noting
from tests.support.ray_cluster import RayCluster, ray_cluster
from tests.support.sessions import Execute, Make

OWN = '''"""Is kd, with a part in a file of its own."""
import os
from benchmark import register
from ._part import SCALE
from .kd import KD
@register("own", family="logits")
class Own(KD):
    def forward(self, batch, student, teacher):
        print("a recipe sees GPU", os.environ["CUDA_VISIBLE_DEVICES"])
        terms = super().forward(batch, student, teacher)
        return {name: SCALE * term for name, term in terms.items()}
'''
DIES = '''"""Ends its process."""
from benchmark import register
from .kd import KD
@register("dies", family="logits")
class Dies(KD):
    def forward(self, batch, student, teacher):
        import os; os._exit(7)
'''


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    with ray_cluster(tmp_path_factory.mktemp("node-cache")) as made:
        yield made


@pytest.fixture
def on_ray(cluster: RayCluster, execute: Execute) -> Execute:
    """Runs a session on the cluster, whose second node is there."""

    def run(session: Session, **words: Any) -> Summary:
        cluster.add_second()
        options = {"ray-address": cluster.address} | words.pop("options", {})
        words = {"workers": None, "threads": 1, "checkpoint_minutes": 0.0} | words
        return execute(session, launcher="ray", options=options, **words)

    return run


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "own.py").write_text(OWN)
    (folder / "dies.py").write_text(DIES)
    (folder / "_part.py").write_text("SCALE = 0.5\n")
    return folder


def values(session: Session) -> list[object]:
    """Of all records, what must be the same wherever they were made."""

    def of(record: Record) -> object:
        error = record.error and record.error.kind
        return record.spec, record.status, record.metrics, record.diagnostics, error

    return [of(record) for record in session.store.all().records]


def forget(session: Session) -> None:
    """Remove all records, weights and checkpoints."""
    for folder in (session.store.root, session.workspace.root):
        for path in [path for path in folder.rglob("*") if path.is_file()]:
            path.unlink()


@pytest.mark.ray
def test_nodes_without_our_folders_give_the_records_of_this_machine(
    session: Make,
    execute: Execute,
    on_ray: Execute,
    own_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("sh-kd", "own", "dies")
    noting = Noting()
    summary = on_ray(
        session(*names, paths=(own_folder,)), listener=noting, options={"gpus-per-worker": 0.5}
    )
    assert summary.exit_code == 1, "one of them ends its process"
    made = session(*names, paths=(own_folder,))
    there = values(made)
    output = (made.workspace.root / "ray" / "output.log").read_text()
    assert "a recipe sees GPU 0" in output
    forget(made)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    execute(session(*names, paths=(own_folder,)), workers=1, threads=1)
    assert there == values(made)
    assert len(there) == 6


class KillingSecond(Noting):
    """Kills the second node of a cluster when all groups have so many epochs behind them."""

    def __init__(self, cluster: RayCluster, groups: int, epoch: int) -> None:
        super().__init__()
        self.cluster, self.groups, self.epoch = cluster, groups, epoch
        self.begun_at: list[int] = []

    def group_started(self, title: str, labels: Any, epochs: int, done: int) -> None:
        self.begun_at.append(done)

    def epoch_finished(self, epoch: int, learners: Any, images_per_s: float) -> None:
        self.groups -= epoch == self.epoch
        if self.groups == 0 and self.cluster.second is not None:
            self.cluster.kill_second()


@pytest.mark.ray
@pytest.mark.slow
def test_a_node_that_is_lost_costs_the_work_since_the_last_checkpoint(
    session: Make, execute: Execute, on_ray: Execute, cluster: RayCluster
) -> None:
    words = {"seeds": "2", "protocol": "longer[epochs=30]"}
    killing = KillingSecond(cluster, groups=2, epoch=5)
    summary = on_ray(session("vanilla", **words), listener=killing)
    assert cluster.second is None
    assert summary.exit_code == 0
    assert any("not a fault of the runs" in note for note in killing.notes)
    assert len(killing.begun_at) == 3
    assert killing.begun_at[:2] == [0, 0]
    assert killing.begun_at[2] > 0, "it went on from its checkpoint, on the other node"
    made = session("vanilla", **words)
    there = values(made)
    forget(made)
    execute(session("vanilla", **words), workers=1, threads=1)
    assert there == values(made)


class Asking(Noting):
    """Asks for a halt after an epoch."""

    ask: Callable[[], None]

    def epoch_finished(self, epoch: int, learners: Any, images_per_s: float) -> None:
        self.ask()


@pytest.mark.ray
def test_a_stop_brings_the_checkpoints_back(
    session: Make, execute: Execute, on_ray: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = {"protocol": "longer[epochs=30]"}
    asking = Asking()
    made = session("vanilla", **words)
    launchers: list[Any] = []
    from benchmark.launch import assignment as module

    def remembered(means: Any, runs: Path) -> Any:
        launchers.append(original(means, runs))
        asking.ask = launchers[0].halt.ask
        return launchers[0]

    original = module.make_launcher
    monkeypatch.setattr(module, "make_launcher", remembered)
    summary = on_ray(made, listener=asking)
    monkeypatch.undo()
    [(identity, outcome)] = summary.outcomes.items()
    assert outcome is Outcome.unfinished
    run = made.runs()[identity]
    assert made.workspace.stands(identity, run.source), "it has a checkpoint to go on from"
    assert execute(session("vanilla", **words), workers=1, threads=1).exit_code == 0
    there = values(made)
    forget(made)
    execute(session("vanilla", **words), workers=1, threads=1)
    assert there == values(made)


@pytest.mark.ray
def test_what_no_node_has_is_refused(session: Make, on_ray: Execute) -> None:
    with pytest.raises(UsageError, match="no node of the Ray cluster has CPU 99"):
        on_ray(session("vanilla"), options={"cpus-per-worker": 99})
    with pytest.raises(UsageError, match="one GPU or on a part of it"):
        on_ray(session("vanilla"), options={"gpus-per-worker": 2})


@pytest.mark.ray
def test_a_node_with_other_versions_refuses(tmp_path: Path) -> None:
    from benchmark.launch.ray.agent import Errand, attend, versions

    other = versions() | {"torch": "0.0.1"}
    errand = Errand(3, b"", Site(tmp_path, None, tmp_path), None, other, {}, gpus=False)
    [[refused]] = attend(errand, {}, None)
    assert isinstance(refused, Refused)
    assert "torch" in str(refused.error)
    assert "instead of 0.0.1" in str(refused.error)
    assert "numpy" not in str(refused.error)


@pytest.mark.ray
def test_who_is_to_blame_for_an_end() -> None:
    from ray import exceptions

    from benchmark.launch.ray.launcher import end_of

    lost = end_of(1, exceptions.NodeDiedError("The node died. It was far away."))
    assert lost == Died(1, "The node died", "lost")
    memory = end_of(1, exceptions.OutOfMemoryError("Too much."))
    assert isinstance(memory, Died)
    assert memory.cause == "memory"
    crashed = end_of(1, exceptions.WorkerCrashedError())
    assert isinstance(crashed, Died)
    assert crashed.cause == "lost", "the agent trains nothing"
    missing = end_of(1, exceptions.RayTaskError("f", "trace", ImportError("No module")))
    assert isinstance(missing, Refused)
    assert "cannot import kdbench" in str(missing.error)


@pytest.mark.ray
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "no Ray cluster at '127.0.0.1:1': .*refused"),
        ("ray://127.0.0.1:x", "write HOST:PORT"),
        ("here", "write HOST:PORT"),
        ("127.0.0.1:99999999", "no Ray cluster"),
    ],
)
def test_an_address_where_no_cluster_is(
    session: Make, execute: Execute, address: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        execute(session("vanilla"), launcher="ray", options={"ray-address": address})


def test_without_ray_one_line_says_what_to_install(
    session: Make, execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'kdbench\[ray\]'"):
        execute(session("vanilla"), launcher="ray")


def test_an_option_of_another_launcher_is_refused(
    card_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "--dataset", "tiny", "--recipe", "vanilla", "--path", str(card_folder)]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--runs", str(tmp_path), "--results", str(tmp_path), "--ray-address", "x:1"])
    assert ended.value.code == 2
    assert "--ray-address is not for --launcher local, but for ray" in capsys.readouterr().err


# ---------------------------------------------------------------------------- parcels


def test_changes_of_a_folder_are_made_in_another_one(tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    (there / "run").mkdir(parents=True)
    (there / "run" / "known").write_bytes(b"1")
    mirror = Mirror(there)
    assert mirror.changes() == Changes({})
    (there / "run" / "new").write_bytes(b"2")
    (there / "run" / "claim-1").write_bytes(b"counts where it is")
    (there / "run" / ".new.partial").write_bytes(b"half")
    (there / "run" / "known").unlink()
    os.symlink("/etc/hostname", there / "run" / "link")
    changes = mirror.changes()
    assert changes == Changes({"run/new": b"2"}, ("run/known",))
    changes.apply(here)
    assert [path.name for path in here.rglob("*") if path.is_file()] == ["new"]


@pytest.mark.parametrize("name", ["../run/x", "/etc/x", "run/../x", "x", "a/b/c", "run/.."])
def test_a_node_cannot_write_elsewhere(tmp_path: Path, name: str) -> None:
    for changes in (Changes({name: b"1"}), Changes({}, (name,))):
        with pytest.raises(TrainingError, match="no run's folder"):
            changes.apply(tmp_path / "a" / "b")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_python_files_travel_and_nothing_else(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (own_folder / "pictures.bin").write_bytes(b"\0" * 100)
    (own_folder / ".venv").mkdir()
    (own_folder / ".venv" / "x.py").write_text("")
    assert [*code_files([own_folder])] == ["0/_part.py", "0/dies.py", "0/own.py"]
    (own_folder / "generated.py").write_bytes(b"#" * (33 * 2**20))
    with pytest.raises(UsageError, match="more than 32 MB"):
        code_files([own_folder])
