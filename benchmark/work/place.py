"""Where a group trains: the device, the folders, the data set that is in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator

from benchmark.cards.card import Card, Protocol
from benchmark.data.pictures import Pictures
from benchmark.data.splits import DataSet
from benchmark.events import Listener
from benchmark.recipe.contract import RecipeInfo
from benchmark.recipe.discovery import load_recipes
from benchmark.registry import Catalogue
from benchmark.training.answers.keep import Exactness, Keep
from benchmark.training.halt import Halt
from benchmark.training.keeping.pauses import CHECKPOINT_S
from benchmark.training.keeping.workspace import Workspace
from benchmark.training.steps.programs import keep_programs
from benchmark.work import memory
from benchmark.work.accelerator import make_accelerator


@dataclass(frozen=True)
class Site:
    """What a place is made of; travels to other processes of this machine.

    Attributes:
        runs: folder of checkpoints and weights.
        data_dir: local folder that is looked at before anything is downloaded.
        cache_dir: for decoded and drawn images.
        precision: ``fp32``, ``bf16``, or ``auto``.
        threads: of the CPU for every process; None leaves torch its own number.
        deadline: time of ``time.monotonic`` at which to stop; None means never.
        checkpoint_s: seconds between two checkpoints.
        limit_s: seconds of training that a run may take; None means any.
        memory_gb: what a process on the CPU may allocate; None means any.
        compiled: whether steps are compiled; None where that pays.
        keeps: how exactly what teachers say is kept, in the cache; None keeps nothing.
    """

    runs: Path
    data_dir: Path | None
    cache_dir: Path
    precision: str = "fp32"
    threads: int | None = None
    deadline: float | None = None
    checkpoint_s: float = CHECKPOINT_S
    limit_s: float | None = None
    memory_gb: float | None = None
    compiled: bool | None = None
    keeps: Exactness | None = None

    def place(self) -> Place:
        """The place: takes the device, and sets this process's threads and memory."""
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        memory.keep_freed()
        keep_programs(self.cache_dir)
        if self.memory_gb is not None:
            memory.limit(self.memory_gb)
        return Place(
            make_accelerator(self.precision),
            Workspace(self.runs),
            self.data_dir,
            self.cache_dir,
            Halt(self.deadline),
            self.checkpoint_s,
            self.limit_s,
            self.compiled,
            Keep(self.cache_dir, self.keeps) if self.keeps else None,
        )


@dataclass
class Place:
    """Where a group trains.

    Attributes:
        accelerator: owns device, precision and processes.
        workspace: where checkpoints and weights are kept.
        data_dir: local folder that is looked at before anything is downloaded.
        cache_dir: for decoded and drawn images.
        halt: when to stop, and to start nothing more.
        checkpoint_s: seconds between two checkpoints.
        limit_s: seconds of training that a run may take; None means any.
        compiled: whether steps are compiled; None where that pays.
        keep: where and how what teachers say is kept; None keeps nothing.
    """

    accelerator: Accelerator
    workspace: Workspace
    data_dir: Path | None
    cache_dir: Path
    halt: Halt = field(default_factory=Halt)
    checkpoint_s: float = CHECKPOINT_S
    limit_s: float | None = None
    compiled: bool | None = None
    keep: Keep | None = None
    _noted: set[str] = field(default_factory=set, repr=False)
    _data: dict[tuple[str, Pictures], DataSet] = field(default_factory=dict, repr=False)
    _recipes: dict[tuple[Path, ...], Catalogue[RecipeInfo]] = field(
        default_factory=dict, repr=False
    )

    def recipes_of(self, paths: tuple[Path, ...]) -> Catalogue[RecipeInfo]:
        """The recipes of some folders, as they were when this place was first asked for them.

        Raises:
            RecipeError: two recipes have one name.
            UsageError: a folder does not exist.
        """
        if paths not in self._recipes:
            self._recipes[paths] = load_recipes(paths)
        return self._recipes[paths]

    def data_of(self, card: Card, protocol: Protocol, listener: Listener) -> DataSet:
        """A data set at the image size of a protocol; the last one is at hand.

        Raises:
            DataError: the data are missing, damaged, or not what the card says.
        """
        from benchmark.data.opening import load_data  # imports pyarrow; a plan needs no data

        key = card.name, Pictures.of(card, protocol)
        if key not in self._data:
            self._data.clear()  # one data set at a time is in memory
            listener.note(f"reading {card.title}")
            with self.accelerator.main_process_first():
                self._data[key] = load_data(
                    card, self.data_dir, self.cache_dir, protocol=protocol, listener=listener
                )
        return self._data[key]

    def note_once(self, message: str, listener: Listener) -> None:
        """Say what is the same for many groups."""
        if message not in self._noted:
            self._noted.add(message)
            listener.note(message)

    def clear_memory(self) -> None:
        """Let memory go that the last group used, and measure the device's peak anew."""
        memory.give_back()
        if self.accelerator.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.accelerator.device)
