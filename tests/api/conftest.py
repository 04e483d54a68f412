"""One small matrix, trained once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from accelerate.state import AcceleratorState

import benchmark


@pytest.fixture(scope="session")
def words(card_folder: Path) -> dict[str, Any]:
    """A choice of cells on the tiny data set."""
    return {
        "datasets": ["tiny"], "recipes": ["kd", "sh-kd", "simkd", "th-kd[form=paper]"], "seeds": 1,
        "protocol": "quick[epochs=1]", "paths": [card_folder],
    }  # fmt: skip


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("trained")
    return {"runs": root / "runs", "results": root / "results"}


@pytest.fixture(scope="session")
def trained(words: dict[str, Any], folders: dict[str, Path], cache_dir: Path) -> dict[str, Path]:
    """The folders, with what a run leaves in them."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("KDBENCH_CACHE", str(cache_dir))
        AcceleratorState._reset_state(reset_partial_state=True)
        summary = benchmark.run(**words, **folders)
        AcceleratorState._reset_state(reset_partial_state=True)
    assert summary.exit_code == 0
    return folders
