"""What is being trained now, by whom, and what is half trained: asked of the folder of runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from benchmark.launch.claims import living
from benchmark.matrix.run import AnyRun, Run
from benchmark.training.keeping.stand import BEGINNING
from benchmark.training.keeping.workspace import Workspace


@dataclass(frozen=True)
class AtWork:
    """A run that is not finished.

    Attributes:
        dataset, protocol, seed: of the run.
        label: short name for a person.
        epoch, epochs: how far it is, and of how many; 0 where that is not known.
        host: name of the machine that trains it; empty if none does and it waits for a command.
        pid: of the process there.
        silent_s: since its last sign, seconds.
    """

    dataset: str
    protocol: str
    seed: int
    label: str
    epoch: int
    epochs: int
    host: str = ""
    pid: int = 0
    silent_s: float = 0.0


def at_work(runs: Iterable[AnyRun], workspace: Workspace) -> Iterator[AtWork]:
    """The runs that are being trained, or are half trained.

    Args:
        runs: that are asked about.
        workspace: of their checkpoints.
    """
    holders = {folder: (holder, age) for folder, holder, age in living(workspace.root)}
    for run in runs:
        if not isinstance(run, Run):
            continue
        names = run.card.name, run.protocol.name, run.seed, run.label
        if (found := holders.get(workspace.folder(run.identity).name)) is not None:
            holder, age = found
            yield AtWork(*names, holder.epoch, holder.epochs, holder.host, holder.pid, age)
        elif (stand := workspace.stands(run.identity, run.source)[0]) != BEGINNING:
            yield AtWork(*names, stand.epoch, run.protocol.epochs)
