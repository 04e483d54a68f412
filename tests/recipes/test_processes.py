"""Two processes hold the same banks as one would."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from benchmark import gather
from benchmark.recipe.discovery import load_recipes
from benchmark.recipe.modules import PACKAGE

ROWS = (3, 5)  # unequal, as in a last batch


def one_process(rank: int, folder: str) -> None:
    """What a process does with its part of the batch; it saves what it then holds."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=len(ROWS)
    )
    torch.save(step(rank), Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


def step(rank: int | None) -> dict[str, torch.Tensor]:
    """One step on a process's rows of the batch, or on all of them."""
    load_recipes()
    crd = __import__(f"{PACKAGE}.crd", fromlist=["crd"])
    torch.manual_seed(0)
    loss_of = crd.ContrastiveLoss(6, 9, 30, 4, negatives=7)
    whole = torch.randn(8, 6), torch.randn(8, 9), torch.randperm(30)[:8], torch.randint(30, (8, 7))
    mine = slice(None) if rank is None else slice(sum(ROWS[:rank]), sum(ROWS[: rank + 1]))
    loss_of(*(part[mine] for part in whole))
    return {**loss_of.state_dict(), "gathered": gather(whole[2][mine])}


def test_two_processes_hold_the_state_of_one(tmp_path: Path) -> None:
    mp.start_processes(one_process, args=(str(tmp_path),), nprocs=2, start_method="spawn")
    alone = step(None)
    for rank in range(len(ROWS)):
        together = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert together.keys() == alone.keys()
        for name, value in alone.items():
            torch.testing.assert_close(together[name], value, msg=lambda m, n=name: f"{n}: {m}")
