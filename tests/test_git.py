"""Which records came with a clone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmark.git import Committed
from benchmark.records.store import Store
from tests.records.made_records import record
from tests.support.git import add


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two records in a repository; git has the first."""
    store = Store(tmp_path / "clone" / "my results")
    store.write(record(60.0))
    add(store.root)
    store.write(record(61.0, seed=1))
    return store


def places(store: Store) -> list[Path]:
    return [store.path_of(found.spec) for found in store.all().records]


def test_what_git_has_as_it_is_was_committed(store: Store) -> None:
    first, second = places(store)
    committed = Committed(store.root)
    assert first in committed
    assert second not in committed
    assert store.root / "nothing.json" not in committed


def test_what_was_changed_or_lost_since_was_not(store: Store) -> None:
    first, _ = places(store)
    committed = Committed(store.root)
    first.write_bytes(first.read_bytes() + b"\n")
    assert first not in committed
    first.unlink()
    assert first not in committed


def test_without_a_repository_nothing_was(tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    assert tmp_path / "results" / "x.json" not in Committed(store.root)  # nor a folder
    store.write(record(60.0))
    assert places(store)[0] not in Committed(store.root)


def test_no_program_of_the_repository_is_run(store: Store, tmp_path: Path) -> None:
    """A folder of results may be anybody's: its git settings name programs."""
    ran = tmp_path / "ran"
    for setting in ("core.fsmonitor", "filter.x.clean"):
        words = ["git", "config", setting, f"touch {ran}; cat"]
        subprocess.run(words, cwd=store.root, check=True)
    (store.root / ".gitattributes").write_text("* filter=x\n")
    first, _ = places(store)
    first.touch()
    assert first in Committed(store.root)
    assert not ran.exists()
