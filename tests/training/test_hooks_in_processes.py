"""Two processes hold the same state of the hooks, and continue it as if nothing had been."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.cards.card import Protocol
from benchmark.cards.catalogue import read_card
from benchmark.data.opening import load_data
from benchmark.networks.creation import create_network
from benchmark.networks.outputs import Network, Outputs
from benchmark.recipe.batch import Batch
from benchmark.recipe.context import Context
from benchmark.recipe.contract import Recipe
from benchmark.recipe.discovery import load_recipes
from benchmark.recipe.pair import Pair
from benchmark.records.canonical import digest
from benchmark.training.answers.keep import Keep
from benchmark.training.ending import Stopped
from benchmark.training.job import Job
from benchmark.training.keeping import pauses
from benchmark.work.accelerator import make_accelerator
from tests.support.identities import identity_for
from tests.training.trained import Trained, assert_same_but_for_time, run_until, weights

NORMED = "vanilla that predicts with a BatchNorm of its own"
NAMES = (NORMED, "mean-teacher", "kd-plus-plus", "avg-teachers", "function-matching", "kd-2views")
PROTOCOL = Protocol(name="t", epochs=2, batch_size=15, lr=0.05, schedule="cosine", average=0.9)
PROCESSES = 2


def teacher(draw: int) -> Network:
    torch.manual_seed(draw)
    return create_network("resnet14", classes=4).eval().requires_grad_(False)


def recipe_of(name: str) -> Recipe:
    """A recipe that there is, or the one that deploys a layer with statistics."""
    if name != NORMED:
        return load_recipes().get(name).cls()

    def build(self: Any, context: Context) -> None:
        self.norm = nn.BatchNorm1d(context.student.classes)

    def forward(self: Any, batch: Batch, student: Outputs, teacher: None) -> dict[str, Tensor]:
        return {"ce": F.cross_entropy(self.norm(student.logits), batch.labels)}

    parts = {
        "build": build,
        "forward": forward,
        "predict": lambda self, student: self.norm(student.logits),
        "deployed": lambda self: (self.norm,),
    }
    cls = type("Normed", (load_recipes().get("vanilla").cls,), parts)
    return cast("type[Recipe]", cls)()


def job(name: str) -> Job:
    recipe = recipe_of(name)
    roles = recipe.roles(Pair("resnet14", "resnet8"))
    return Job(
        identity=identity_for(name),
        label=name,
        network="resnet8",
        recipe=recipe,
        protocol=PROTOCOL,
        seed=0,
        roles={name: teacher(role.draw) for name, role in roles.items()},
        role_identities={name: digest(role.draw) for name, role in roles.items()},
    )


def held_by(trained: Trained) -> dict[str, torch.Tensor]:
    """All that a member holds, and the average of its weights."""
    assert trained.member is not None
    average = trained.member.learner.result.state_dict()
    return weights(trained) | {f"average.{name}": value for name, value in average.items()}


def one_process(rank: int, port: int, card: str, cache: str, folder: str) -> None:
    """Train whole, and in two parts; save what this process holds in the end."""
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(PROCESSES)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    accelerator, place = make_accelerator("fp32"), Path(folder)
    assert accelerator.num_processes == PROCESSES
    data = load_data(read_card(Path(card)), None, Path(cache))

    def trained(part: str, *, steps: int | None = None, keep: Keep | None = None) -> list[Trained]:
        jobs = [job(name) for name in NAMES]
        done = run_until(jobs, data, accelerator, place / part, steps=steps, keep=keep)
        accelerator.wait_for_everyone()
        return done

    whole = trained("whole")
    pauses.AGREE_STEPS = 2
    # One of them is asked, and both stop: when they agree next, in the middle of an epoch of three
    # steps, and behind its last step.
    for asked, at in ((2, Stopped(0, 2, 2)), (1, Stopped(0, 2, 3))):
        ended = {one.ending for one in trained("parts", steps=asked if rank == 1 else None)}
        assert ended == {at}
    held = {"whole": whole, "continued": trained("parts", keep=Keep(place))}
    # What every process kept of the rest, and of the second epoch, is read by it again.
    read = trained("read", keep=Keep(place))
    for others in (held["continued"], read):
        for one, other in zip(whole, others, strict=True):
            assert_same_but_for_time(one, other)
    assert read[NAMES.index("kd-plus-plus")].finished.cost.teacher_outputs_read is not None
    states = {
        part: {name: held_by(one) for name, one in zip(NAMES, members, strict=True)}
        for part, members in held.items()
    }
    torch.save(states, place / f"{rank}.pt")
    accelerator.end_training()


@pytest.mark.slow
def test_two_processes_hold_and_continue_one_state(
    card_folder: Path, cache_dir: Path, tmp_path: Path
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
    first, second = (
        torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(PROCESSES)
    )
    for name in NAMES:
        whole = first["whole"][name]
        for other in (second["whole"], first["continued"], second["continued"]):
            assert [k for k, v in other[name].items() if not torch.equal(v, whole[k])] == []
