"""The command line, called in an empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.cli.app import main
from tests.cli.called import Kdbench


@pytest.fixture
def kdbench(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Kdbench:
    """Run the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str) -> tuple[int, str, str]:
        from accelerate.state import AcceleratorState

        AcceleratorState._reset_state(reset_partial_state=True)
        with pytest.raises(SystemExit) as caught:
            main(list(words))
        captured = capsys.readouterr()
        return int(caught.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def tiny_words(card_folder: Path) -> list[str]:
    return ["--path", str(card_folder), "--dataset", "tiny", "--seeds", "1"]
