"""The matrix end to end on the tiny data set: records, skipping, retrying, stopping."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.errors import NetworkError, RecordError
from benchmark.events import Listener
from benchmark.files import file_digest, system_name, unheard_of
from benchmark.launch.claims import Holder
from benchmark.launch.means import Means
from benchmark.launch.order import Outcome
from benchmark.launch.session import Session
from benchmark.launch.summary import Summary
from benchmark.matrix.states import Retry
from benchmark.networks.creation import create_network
from tests.support.listeners import Noting
from tests.support.sessions import FIVE

Make = Callable[..., Session]
Execute = Callable[..., Summary]


def test_five_methods_are_recorded_and_not_trained_twice(session: Make, execute: Execute) -> None:
    summary = execute(session(*FIVE))
    assert summary.exit_code == 0
    assert set(summary.outcomes.values()) == {Outcome.recorded}
    contents = session(*FIVE).store.all()
    assert contents.problems == ()
    assert len(contents.records) == 7
    by_label = {(r.spec.network, r.spec.recipe): r for r in contents.records}

    student = by_label["resnet8", "sh-kd"]
    teacher = by_label["resnet14", "sh-teacher"]
    assert student.spec.roles["teacher"].identity == teacher.identity
    assert student.metrics is not None
    assert teacher.metrics is not None
    assert student.spec.roles["teacher"].top1 == teacher.metrics.top1
    assert student.metrics.agreement is not None
    assert by_label["resnet8", "vanilla"].metrics.agreement is None  # type: ignore[union-attr]

    again = execute(session(*FIVE))
    assert again.outcomes == {}
    assert all(entry["top1"] is not None for entry in again.as_json()["cells"])


def test_what_is_deployed_is_counted_apart(session: Make, execute: Execute) -> None:
    execute(session("vanilla", "crd"))
    records = {
        r.spec.recipe: r for r in session("crd").store.all().records if r.spec.network == "resnet8"
    }
    plain, crd = records["vanilla"].cost, records["crd"].cost
    assert plain is not None
    assert crd is not None
    assert crd.parameters == plain.parameters == plain.training_parameters
    assert crd.recipe_parameters == 2 * (64 * 128 + 128)
    assert crd.training_parameters == crd.parameters + crd.recipe_parameters


def test_the_history_stands_beside_the_record(session: Make, execute: Execute) -> None:
    made = session("vanilla", protocol="longer")
    execute(made)
    run = made.cells[0].run
    rows = made.store.history_path(run.spec).read_text().splitlines()
    assert len(rows) == 1 + 4
    record = made.store.find(run.spec)
    assert record is not None
    assert record.metrics is not None
    assert record.diagnostics is not None
    last = dict(zip(rows[0].split(","), rows[-1].split(","), strict=True))
    assert float(last["top1"]) == pytest.approx(record.metrics.top1, abs=1e-3)
    assert record.diagnostics.best_top1 >= record.metrics.top1


@pytest.fixture
def broken_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "explodes.py").write_text(
        '"""Raises."""\n'
        "from benchmark import Recipe, register\n"
        "@register('explodes', family='logits')\n"
        "class Explodes(Recipe):\n"
        "    def forward(self, batch, student, teacher):\n"
        "        raise ArithmeticError('this recipe always fails')\n"
    )
    return folder


def test_a_failing_cell_is_recorded_and_the_others_go_on(
    session: Make, execute: Execute, broken_folder: Path
) -> None:
    names = ("explodes", "kd")
    made = session(*names, paths=(broken_folder,))
    summary = execute(made)
    assert summary.exit_code == 1
    bad, good = (made.store.find(cell.run.spec) for cell in made.cells)
    assert good is not None
    assert good.status == "ok"
    assert bad is not None
    assert bad.status == "failed"
    assert bad.error is not None
    assert bad.error.kind == "ArithmeticError"
    assert bad.error.message == "this recipe always fails"
    assert bad.error.where == "explodes.py:6"
    assert bad.metrics is None

    skipped = execute(session(*names, paths=(broken_folder,)))
    assert skipped.outcomes == {}
    assert skipped.exit_code == 1

    text = (broken_folder / "explodes.py").read_text()
    fixed = text.replace(
        "raise ArithmeticError('this recipe always fails')", "return {'l': student.logits.mean()}"
    )
    (broken_folder / "explodes.py").write_text(fixed)
    del sys.modules["benchmark_recipes.explodes"]
    retried = execute(session(*names, paths=(broken_folder,), retry=True))
    assert list(retried.outcomes.values()) == [Outcome.recorded]
    assert retried.exit_code == 0


class Impatient(Listener):
    """Presses Ctrl-C in the second epoch."""

    def epoch_started(self, epoch: int, images: int) -> None:
        if epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_stops_at_a_checkpoint_and_the_same_command_continues(
    session: Make, execute: Execute, tmp_path: Path
) -> None:
    stopped = execute(session("vanilla", protocol="longer"), minutes=0)
    # No time at all: nothing starts.
    assert set(stopped.outcomes.values()) == {Outcome.unfinished}
    assert stopped.exit_code == 0
    assert not list((tmp_path / "results").rglob("*.json"))
    part = execute(session("vanilla", protocol="longer"), listener=Impatient())
    assert part.exit_code == 130
    assert set(part.outcomes.values()) == {Outcome.unfinished}
    [identity] = part.outcomes
    checkpoint = session("vanilla").workspace.checkpoints.newest(identity)
    assert checkpoint is not None
    assert checkpoint.stand.epoch >= 1
    rest = execute(session("vanilla", protocol="longer"))
    assert set(rest.outcomes.values()) == {Outcome.recorded}
    assert session("vanilla").workspace.checkpoints.newest(identity) is None


def test_what_builds_on_an_unfinished_run_is_unfinished_too(
    session: Make, execute: Execute
) -> None:
    stopped = execute(session("kd", protocol="longer"), minutes=1e-3)
    assert list(stopped.outcomes.values()) == [Outcome.unfinished, Outcome.unfinished]
    assert stopped.exit_code == 0
    assert execute(session("kd", protocol="longer")).exit_code == 0


def test_what_builds_on_a_failed_run_is_blocked(
    session: Make, execute: Execute, broken_folder: Path
) -> None:
    (broken_folder / "follower.py").write_text(
        '"""Learns from a teacher that fails."""\n'
        "from benchmark import Role, register\n"
        "from .kd import KD\n"
        "@register('follower', family='logits')\n"
        "class Follower(KD):\n"
        "    def roles(self, pair):\n"
        "        return {'teacher': Role(pair.teacher, 'explodes')}\n"
    )
    for _ in range(2):  # the second time the failure is on record already
        summary = execute(session("follower", paths=(broken_folder,)))
        assert Outcome.blocked in summary.outcomes.values()
        assert summary.exit_code == 1
        assert session("vanilla").store.find(summary.plan.cells[0].run.spec) is None


def test_a_recipe_whose_file_changed_does_not_hold_up_its_group(
    session: Make, execute: Execute, broken_folder: Path
) -> None:
    """It starts over in a group of its own; the others continue."""
    import sys

    file = broken_folder / "explodes.py"
    works = file.read_text().replace("raise ArithmeticError('this recipe always fails')",
                                     "return {'l': student.logits.square().mean()}")  # fmt: skip
    file.write_text(works)
    names = {"paths": (broken_folder,), "protocol": "longer"}
    execute(session("vanilla", "explodes", **names))  # trains the teacher as well
    made = session("vanilla", "explodes", **names)
    for cell in made.cells:
        made.store.path_of(cell.run.spec).unlink()
    execute(session("vanilla", "explodes", **names), minutes=1e-3)
    file.write_text(works + "# changed\n")
    del sys.modules["benchmark_recipes.explodes"]
    summary = execute(session("vanilla", "explodes", **names))
    assert set(summary.outcomes.values()) == {Outcome.recorded}


def test_a_record_that_is_gone_is_made_again(session: Make, execute: Execute) -> None:
    made = session("kd")
    execute(made)
    teacher = made.cells[0].run.roles["teacher"]
    made.store.path_of(teacher.spec).unlink()
    assert [run.label for run in session("kd").plan().todo] == ["resnet14 vanilla"]


def test_an_error_is_told_by_the_author_s_own_line_and_kept_whole(
    session: Make, execute: Execute, broken_folder: Path
) -> None:
    (broken_folder / "narrow.py").write_text(
        '"""Asks another recipe\'s loss for the impossible, until it is mended."""\n'
        "from pathlib import Path\n"
        "from benchmark import register\n"
        "from .kd import KD, kd_loss\n"
        "@register('narrow', family='logits')\n"
        "class Narrow(KD):\n"
        "    def forward(self, batch, student, teacher):\n"
        "        mended = Path(__file__).with_suffix('.mended').exists()\n"
        "        seen = teacher.logits if mended else teacher.logits[:, :3]\n"
        "        return {'kd': kd_loss(student.logits, seen, 4.0)}\n"
    )
    made = session("narrow", "kd", paths=(broken_folder,))
    summary = execute(made)
    assert summary.exit_code == 1
    record = made.store.find(made.cells[0].run.spec)
    assert record is not None
    assert record.error is not None
    assert record.error.where == "narrow.py:10"

    traceback = made.workspace.folders.traceback_of(record.identity)
    whole = traceback.read_text(encoding="utf-8")
    assert "narrow.py" in whole
    assert "kd.py" in whole
    told = "\n".join(summary.lines())
    for said in ("RuntimeError", "(narrow.py:10, epoch 1)", "/narrow", "seed0", str(traceback)):
        assert said in told
    assert "/kd" not in told
    [failed] = summary.as_json()["failed"]
    assert failed["traceback"] == str(traceback)

    (broken_folder / "narrow.mended").touch()
    again = session("narrow", "kd", paths=(broken_folder,), retry=True)
    assert execute(again).exit_code == 0
    assert not traceback.exists(), "it is not this ending's"


def test_a_prediction_that_fails_is_recorded(
    session: Make, execute: Execute, broken_folder: Path
) -> None:
    (broken_folder / "blind.py").write_text(
        '"""Cannot predict."""\n'
        "from benchmark import register\n"
        "from .kd import KD\n"
        "@register('blind', family='logits')\n"
        "class Blind(KD):\n"
        "    def predict(self, student):\n"
        "        raise LookupError('nothing to see')\n"
    )
    made = session("blind", "kd", paths=(broken_folder,))
    assert execute(made).exit_code == 1
    bad, good = (made.store.find(cell.run.spec) for cell in made.cells)
    assert bad is not None
    assert bad.error is not None
    assert bad.error.kind == "LookupError"
    assert good is not None
    assert good.status == "ok"


def test_who_runs_out_of_memory_beside_others_is_tried_alone(
    session: Make, execute: Execute, broken_folder: Path
) -> None:
    (broken_folder / "greedy.py").write_text(
        '"""Needs the machine for itself: fails on its first try."""\n'
        "from benchmark import register\n"
        "from .kd import KD\n"
        "tries = []\n"
        "@register('greedy', family='logits')\n"
        "class Greedy(KD):\n"
        "    def forward(self, batch, student, teacher):\n"
        "        tries.append(1)\n"
        "        if len(tries) == 1:\n"
        "            raise MemoryError('no room')\n"
        "        return super().forward(batch, student, teacher)\n"
    )
    made = session("greedy", "kd", paths=(broken_folder,))
    assert execute(made).exit_code == 0
    record = made.store.find(made.cells[0].run.spec)
    assert record is not None
    assert record.status == "ok"
    assert record.cost is not None
    assert record.cost.group == ()


def test_who_ran_out_of_memory_beside_others_is_apart_from_them_with_the_next_seed(
    session: Make, execute: Execute, broken_folder: Path
) -> None:
    (broken_folder / "greedy.py").write_text(
        '"""Fails for want of memory, the first time of all."""\n'
        "from pathlib import Path\n"
        "from benchmark import register\n"
        "from .kd import KD\n"
        "tried = Path(__file__).with_suffix('.tried')\n"
        "@register('greedy', family='logits')\n"
        "class Greedy(KD):\n"
        "    def forward(self, batch, student, teacher):\n"
        "        if not tried.exists():\n"
        "            tried.touch()\n"
        "            raise MemoryError('no room')\n"
        "        return super().forward(batch, student, teacher)\n"
    )
    said = []
    for seed in ("1,", "2,"):
        made = session("greedy", "kd", paths=(broken_folder,), seeds=seed)
        notes = Noting()
        assert execute(made, listener=notes).exit_code == 0
        said.append([text for text in notes.notes if "side by side" in text])
    [[first], [second]] = said
    assert first.startswith("out of memory")
    assert "more memory than there is" in second
    records = [made.store.find(cell.run.spec) for cell in made.cells]
    assert [record and record.cost and record.cost.group for record in records] == [(), ()]


def test_others_are_on_record_before_a_run_is_tried_alone(
    session: Make, execute: Execute, broken_folder: Path
) -> None:
    """What ends the second try must not cost the others their results."""
    (broken_folder / "greedy.py").write_text(
        '"""Fails on its first try for want of memory, and interrupts its second."""\n'
        "from benchmark import register\n"
        "from .kd import KD\n"
        "tries = []\n"
        "@register('greedy', family='logits')\n"
        "class Greedy(KD):\n"
        "    def forward(self, batch, student, teacher):\n"
        "        tries.append(1)\n"
        "        raise MemoryError('no room') if len(tries) == 1 else KeyboardInterrupt\n"
    )
    made = session("greedy", "kd", paths=(broken_folder,))
    assert execute(made).exit_code == 1
    records = [made.store.find(cell.run.spec) for cell in made.cells]
    assert [record and record.status for record in records] == ["failed", "ok"]


class Copying(Listener):
    """Somebody copies a recipe to make another one of it, while a matrix is trained."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def epoch_started(self, epoch: int, images: int) -> None:
        recipe = self.folder / "explodes.py"
        (self.folder / "copied.py").write_text(recipe.read_text())


def test_recipes_that_are_written_meanwhile_do_not_stop_the_matrix(
    session: Make, execute: Execute, broken_folder: Path
) -> None:
    made = session("kd", paths=(broken_folder,))
    assert execute(made, listener=Copying(broken_folder)).exit_code == 0


def test_weights_that_are_gone_are_trained_again_for_who_needs_them(
    session: Make, execute: Execute
) -> None:
    made = session("vanilla", "kd")
    execute(made)
    teacher = made.cells[1].run.roles["teacher"]
    shutil.rmtree(made.workspace.folder(teacher.identity))
    assert session("vanilla", "kd").plan().todo == ()
    todo = session("vanilla", "crd").plan().todo
    assert [run.label for run in todo] == ["resnet14 vanilla", "resnet14→resnet8 crd"]


def test_imported_teacher_weights_stand_in_for_training(
    session: Make, execute: Execute, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    file = tmp_path / "teacher.pth"
    torch.save({"model": create_network("resnet14", classes=4).state_dict()}, file)
    made = session("kd", "sh-kd", teachers=(f"resnet14={file}",))
    labels = [run.label for run in made.plan().runs]
    assert sum("imported" in label for label in labels) == 1
    assert "resnet14 vanilla" not in labels
    assert "resnet14 sh-teacher" in labels  # this one cannot be brought
    summary = execute(made)
    assert summary.exit_code == 0
    kd = made.store.find(made.cells[0].run.spec)
    assert kd is not None
    assert "~" in made.store.path_of(kd.spec).parent.name
    imported = next(r for r in made.store.all().records if r.spec.recipe == "imported")
    assert kd.spec.roles["teacher"].identity == imported.identity
    assert kd.spec.roles["teacher"].top1 == imported.metrics.top1  # type: ignore[union-attr]


def test_a_hand_edited_record_is_named_and_stops_nothing(session: Make, execute: Execute) -> None:
    made = session("vanilla", "kd")
    execute(made)
    path = made.store.path_of(made.cells[0].run.spec)
    values = json.loads(path.read_text())
    values["metrics"]["nll"] = 0.1
    path.write_text(json.dumps(values))
    edited = path.read_bytes()

    row, other = session("vanilla", "kd").coverage()
    assert (row["damaged"], row["done"], other["done"]) == (1, 0, 1)
    left = execute(session("vanilla", "kd"))
    assert (left.exit_code, left.outcomes) == (1, {})
    assert any("was changed after the run" in line for line in left.lines())
    assert path.read_bytes() == edited

    again = execute(session("vanilla", "kd", retry=[Retry.damaged]))
    assert (again.exit_code, list(again.outcomes.values())) == (0, [Outcome.recorded])
    assert path.with_name("seed0.json.damaged").read_bytes() == edited
    assert [row["done"] for row in session("vanilla", "kd").coverage()] == [1, 1]


EDITED = """
import torch.nn.functional as F
from benchmark import Recipe, register

@register("mine", family="alone", paper="none")
class Mine(Recipe):
    def roles(self, pair):
        return {}
    def forward(self, batch, student, teacher):
        return {"ce": 1.0 * F.cross_entropy(student.logits, batch.labels)}
"""


def test_an_edited_recipe_is_said_everywhere_and_trained_again_on_demand(
    session: Make, execute: Execute, tmp_path: Path, cache_dir: Path
) -> None:
    (tmp_path / "own").mkdir()
    file = tmp_path / "own" / "mine.py"

    def made(text: str, **words: Any) -> Session:
        file.write_text(text)
        sys.modules.pop("benchmark_recipes.mine", None)
        return session("mine", paths=(tmp_path / "own",), **words)

    first = made(EDITED)
    execute(first)
    before = first.store.find(first.cells[0].run.spec)
    said = "# The same.\n" + EDITED
    assert made(said).coverage()[0]["done"] == 1

    edited = EDITED.replace("1.0 *", "0.5 *")
    changed = made(edited)
    assert changed.coverage()[0]["changed"] == 1
    assert changed.overview(Means(cache_dir))["to_train"] == 0
    assert "another source of mine" in changed.overview(Means(cache_dir))["notes"][0]
    left = execute(made(edited))
    assert left.exit_code == 0
    assert "--retry changed" in left.lines()[0]
    assert changed.store.find(changed.cells[0].run.spec) == before

    again = made(edited, retry=[Retry.changed])
    assert list(execute(again).outcomes.values()) == [Outcome.recorded]
    after = again.store.find(again.cells[0].run.spec)
    assert before is not None
    assert after is not None
    assert after.identity == before.identity
    assert after.recipe_source != before.recipe_source
    assert made(edited).coverage()[0]["done"] == 1
    assert made(EDITED).coverage()[0]["changed"] == 1


def test_a_results_folder_that_cannot_be_written_is_refused_before_training(
    session: Make, execute: Execute, tmp_path: Path
) -> None:
    (tmp_path / "results").write_text("a file where the folder should be")
    with pytest.raises(RecordError, match="--results"):
        execute(session("vanilla"))
    assert not list((tmp_path / "runs").glob("*/weights*"))


def test_a_stale_record_is_replaced(session: Make, execute: Execute) -> None:
    made = session("vanilla")
    execute(made)
    run = made.cells[0].run
    record = made.store.find(run.spec)
    assert record is not None
    path = made.store.path_of(run.spec)
    from benchmark.records.canonical import identity_of

    old = record.spec.model_copy(update={"recipe_version": 0})
    path.unlink()
    made.store.write(record.model_copy(update={"spec": old, "identity": identity_of(old)}))
    assert session("vanilla").coverage()[0]["stale"] == 1
    execute(session("vanilla"))
    assert session("vanilla").coverage()[0]["done"] == 1


PRETRAINED: dict[str, Any] = {
    "protocol": "quick[epochs=1,pretrained=true]",
    "pairs": ("timm/test_resnet:timm/test_resnet",),
}


def test_published_weights_are_recorded(
    session: Make, execute: Execute, published_weights: Path
) -> None:
    execute(session("kd", **PRETRAINED))
    records = session("kd").store.all().records
    assert [record.status for record in records] == ["ok", "ok"]
    for record in records:
        assert record.spec.starts_from == "timm/test_resnet.r160_in1k"
        assert record.published_weights == file_digest(published_weights)


def test_weights_that_cannot_be_had_stop_all_before_it_begins(
    session: Make, execute: Execute, no_published_weights: Path
) -> None:
    with pytest.raises(NetworkError, match="cannot be had"):
        execute(session("kd", **PRETRAINED))
    assert session("kd").store.all().records == ()


def test_what_dead_processes_left_is_swept_up(
    session: Make, execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(session("vanilla"))
    folder = next(path.parent for path in session("vanilla").workspace.root.rglob("history.csv"))
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    with monkeypatch.context() as as_the_dead:
        as_the_dead.setattr(os, "getpid", lambda: child.pid)
        partial = folder / unheard_of("history.csv")
        partial.touch()
        holder = Holder("here", system_name(), child.pid, 1.0, "token")
    (folder / "claim-1").write_bytes(holder.text())
    (folder / "checkpoint-0001-000002.safetensors").touch()
    execute(session("vanilla"))
    names = sorted(path.name.split("-")[0] for path in folder.iterdir())
    assert names == ["history.csv", "run.json", "weights"]
