"""Two processes: a failure that both meet costs one member, that of one process is written down."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp

from benchmark.cards.catalogue import read_card
from benchmark.data.opening import load_data
from benchmark.errors import TrainingError
from benchmark.events import Listener
from benchmark.recipe.discovery import load_recipes
from benchmark.training.ending import Failed, Finished
from benchmark.training.job import Job
from benchmark.training.walls import agreement
from benchmark.work.accelerator import make_accelerator
from tests.training.test_hooks_in_processes import job as plain_job
from tests.training.trained import group_of, run

PROCESSES = 2


def failing_job(rank: int, on: tuple[int, ...], step: int) -> Job:
    """A job that raises on some processes, from a step on."""
    vanilla = load_recipes().get("vanilla").cls

    def forward(self, batch, student, teacher):
        self.calls = getattr(self, "calls", 0) + 1
        if rank in on and self.calls >= step:
            raise ValueError(f"not on my watch, {rank}")
        return vanilla.forward(self, batch, student, teacher)

    recipe = type("Failing", (vanilla,), {"forward": forward})()
    name = "".join(map(str, on))
    return replace(plain_job("mean-teacher"), identity=name.ljust(64, "f"), recipe=recipe, roles={})


def one_process(rank: int, port: int, card: str, cache: str, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(PROCESSES)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    agreement.PATIENCE_S = 3.0
    accelerator, place = make_accelerator("fp32"), Path(folder)
    data = load_data(read_card(Path(card)), None, Path(cache))
    both = failing_job(rank, (0, 1), 2)
    [failed, good] = run([both, plain_job("mean-teacher")], data, accelerator, place / "a")
    assert isinstance(failed.ending, Failed)
    assert isinstance(good.ending, Finished)
    torch.save(good.member.learner.lesson.state_dict(), place / f"{rank}.pt")  # type: ignore[union-attr]
    accelerator.wait_for_everyone()
    # The other one loses its peer in the midst of a sum.
    with pytest.raises((TrainingError, RuntimeError)):
        run([failing_job(rank, (1,), 2)], data, accelerator, place / "b")
    os._exit(0)  # no orderly end: one process waits for what the other does not send


@pytest.mark.slow
def test_processes_agree_on_who_failed(
    card_folder: Path, cache_dir: Path, tmp_path: Path, accelerator, tiny
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    card = card_folder / "datasets" / "tiny.toml"
    mp.start_processes(
        one_process,
        args=(port, str(card), str(cache_dir), str(tmp_path)),
        nprocs=PROCESSES,
        start_method="spawn",
    )
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    trained = [name for name in first if "running" not in name and "num_batches" not in name]
    assert all(torch.equal(first[name], second[name]) for name in trained)
    group = group_of([failing_job(0, (1,), 2)], tiny, accelerator, tmp_path / "b", Listener())
    [ending] = group.endings.values()
    assert isinstance(ending, Failed)
    assert ending.failure.message == "not on my watch, 1"
