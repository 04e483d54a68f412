"""The matrix on the tiny card: sessions that share folders, and how they are run."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from benchmark.events import Listener
from benchmark.launch.means import Means
from benchmark.launch.session import Session
from benchmark.launch.summary import Summary
from benchmark.matrix.request import Request
from benchmark.matrix.states import Retry

Make = Callable[..., Session]
Execute = Callable[..., Summary]
FIVE = ("vanilla", "kd", "crd", "th-kd", "sh-kd")


@pytest.fixture
def session(card_folder: Path, tmp_path: Path) -> Callable[..., Session]:
    """Sessions that share one folder of results and one of checkpoints."""

    def make(
        *recipes: str,
        retry: bool | Collection[Retry] = False,
        paths: tuple[Path, ...] = (),
        **words: Any,
    ) -> Session:
        request = Request(
            datasets=("tiny",),
            recipes=recipes,
            paths=(card_folder, *paths),
            **({"seeds": "1"} | words),
        )
        return Session(request, runs=tmp_path / "runs", results=tmp_path / "results", retry=retry)

    return make


@pytest.fixture
def execute(cache_dir: Path) -> Callable[..., Summary]:
    def run(session: Session, *, minutes: float | None = None, **words: Any) -> Summary:
        from accelerate.state import AcceleratorState

        AcceleratorState._reset_state(reset_partial_state=True)
        listener = words.pop("listener", Listener())
        return session.run(Means(cache_dir, minutes=minutes, **words), listener)

    return run
