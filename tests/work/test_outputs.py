"""The room that teacher outputs take is said for the whole plan, before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.errors import UsageError
from benchmark.training.answers import keep as keep_module
from benchmark.training.answers.keep import Keep
from benchmark.work.outputs import check_outputs
from tests.support.listeners import Noting
from tests.support.sessions import Make, session

__all__ = ["session"]


def test_each_teacher_and_seed_counts_once_whoever_hears_it(session: Make, tmp_path: Path) -> None:
    recipes = ("vanilla", "kd", "th-kd", "at", "function-matching")
    plan, noting = session(*recipes, seeds="2").plan(), Noting()
    check_outputs(plan.todo, Keep(tmp_path), noting)
    # 2 epochs of 40 images, 4 classes and the 64 of resnet14's embedding, 4 bytes, two seeds.
    assert noting.notes == [
        f"keeping what 2 teachers say takes up to 43.5 kB in {tmp_path}; 0 bytes of such files are "
        "there"
    ]
    check_outputs(session("vanilla", "function-matching").plan().todo, Keep(tmp_path), noting)
    assert len(noting.notes) == 1, "nothing is kept of who hears nobody, or views of its own"


def test_a_plan_that_the_disk_does_not_hold_is_refused(
    session: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = session("kd").plan()
    usage = type("Usage", (), {"free": 11_000})
    monkeypatch.setattr(keep_module.shutil, "disk_usage", lambda folder: usage)
    check_outputs(plan.todo, Keep(tmp_path, "fp16"), Noting())
    with pytest.raises(UsageError, match=r"needs 21\.8 kB more in .*, which has 11 kB free"):
        check_outputs(plan.todo, Keep(tmp_path), Noting())
    there = tmp_path / "tiny" / "12.answers" / "epoch+00000" / "step-000000.safetensors"
    there.parent.mkdir(parents=True)
    there.write_bytes(bytes(11_000))
    check_outputs(plan.todo, Keep(tmp_path), Noting())
