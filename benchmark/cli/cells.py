"""Options that stand together, and how they come to a command.

Those of a choice of cells are the fields of ``CellOptions``, those of the means to train it the
fields of ``MeansOptions``. A command that is decorated with ``choosing_cells`` has the options of
its ``request`` and ``means``, and is called with what they make::

    @choosing_cells
    def status(request: Request, *, results: ResultsOption = Path("results")) -> None:
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from benchmark.cli.help import completion
from benchmark.cli.launchers import LauncherOptions
from benchmark.cli.options import (
    DataOption,
    PathOption,
    Precision,
    PrecisionOption,
    ProtocolOption,
    RecipeOption,
)
from benchmark.cli.output import MOMENT
from benchmark.folders import cache_folder
from benchmark.memory import staying

if TYPE_CHECKING:
    from benchmark.launch.means import Means
    from benchmark.matrix.request import Request

# Every help text lists options in this order, a command's own between those of the choice.
ORDER = (
    "suite", "dataset", "pair", "recipe", "seeds", "protocol", "data", "runs", "results",
    "teacher_checkpoint", "retry", "own", "minutes", "weights", "dry_run", "yes", "measure",
    "watch", "precision", "workers", "threads", "memory_per_worker", "compile_steps",
    "checkpoint_minutes", "time_limit", "keep_teacher_outputs", "keep_teacher_outputs_fp16",
    "track", "track_to", "launcher", "gpus_per_worker", "cpus_per_worker", "ray_address",
    "slurm_partition", "slurm_time", "slurm_account", "slurm_qos", "slurm_constraint",
    "slurm_setup", "detach", "path", "as_json",
)  # fmt: skip


@dataclass(frozen=True)
class CellOptions:
    """Which cells: each option with its words, its help and what it is if nobody writes it."""

    suite: Annotated[
        str | None,
        typer.Option(
            "--suite",
            help="A named choice of cells; 'quick' if no --dataset.",
            autocompletion=completion.suites,
        ),
    ] = None
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            "--dataset",
            help="Name of a data set; repeatable.",
            autocompletion=completion.datasets,
        ),
    ] = None
    pair: Annotated[
        list[str] | None,
        typer.Option(
            "--pair", help="teacher:student; repeatable; else the data set's usual pairs."
        ),
    ] = None
    recipe: RecipeOption = None
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", help="How many (3: the seeds 0, 1, 2), or which (0,2,5 or 1-3)."),
    ] = None
    protocol: ProtocolOption = None
    teacher_checkpoint: Annotated[
        list[str] | None,
        typer.Option(
            "--teacher-checkpoint",
            help="FILE or NETWORK=FILE with trained teacher weights; repeatable.",
        ),
    ] = None
    path: PathOption = None

    def made(self) -> Request:
        """What was asked for."""
        from benchmark.matrix.request import Request  # imports pydantic

        return Request(
            suite=self.suite,
            datasets=self.dataset or (),
            pairs=self.pair or (),
            recipes=self.recipe or (),
            seeds=self.seeds,
            protocol=self.protocol,
            teachers=self.teacher_checkpoint or (),
            paths=self.path or (),
        )


@dataclass(frozen=True)
class MeansOptions(LauncherOptions):
    """With what the cells are trained."""

    data: DataOption = None
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", min=0, help="Stop at a checkpoint when this time is up."),
    ] = None
    precision: PrecisionOption = Precision.fp32
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=0,
            max=1024,
            help="Processes that train one group each; else one a GPU, or one on the CPU.",
        ),
    ] = None
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads", min=1, max=4096, help="Of the CPU for each worker; else the cores shared."
        ),
    ] = None
    memory_per_worker: Annotated[
        float | None,
        typer.Option(
            "--memory-per-worker", min=0.1, help="GB that a worker on the CPU may allocate."
        ),
    ] = None
    compile_steps: Annotated[
        bool | None,
        typer.Option(
            "--compile/--no-compile",
            help="Train by compiled steps; else on a GPU in trainings of 20,000 steps and more.",
            show_default=False,
        ),
    ] = None
    checkpoint_minutes: Annotated[
        float,
        typer.Option("--checkpoint-minutes", min=0, help="Between two checkpoints of a group."),
    ] = 1.0
    time_limit: Annotated[
        float | None,
        typer.Option("--time-limit", min=0.001, help="Minutes of training that a run may take."),
    ] = None
    keep_teacher_outputs: Annotated[
        bool,
        typer.Option(
            "--keep-teacher-outputs",
            help="Keep what teachers say of the batches, and read what is kept: later runs train "
            "without them, to the same bits.",
        ),
    ] = False
    keep_teacher_outputs_fp16: Annotated[
        bool,
        typer.Option(
            "--keep-teacher-outputs-fp16",
            help="The same rounded, in half the room; the numbers differ, and the record says so.",
        ),
    ] = False

    track: Annotated[
        list[str] | None,
        typer.Option(
            "--track",
            help="Tell a tracker of curves, settings and results: tensorboard, wandb, trackio, "
            "mlflow, or another that accelerate knows; repeatable.",
        ),
    ] = None
    track_to: Annotated[
        Path | None,
        typer.Option(
            "--track-to", help="Folder of trackers that write files here; else tracking/."
        ),
    ] = None

    def made(self) -> Means:
        """The means."""
        from benchmark.launch.means import Means  # imports torch

        exactly: Literal["fp32"] | None = "fp32" if self.keep_teacher_outputs else None
        return Means(
            cache_dir=cache_folder(),
            data_dir=self.data,
            precision=self.precision.value,
            minutes=self.minutes,
            launcher=self.launcher.value,
            workers=self.workers,
            threads=self.threads,
            memory_gb=self.memory_per_worker,
            compiled=self.compile_steps,
            checkpoint_minutes=self.checkpoint_minutes,
            limit_minutes=self.time_limit,
            keeps="fp16" if self.keep_teacher_outputs_fp16 else exactly,
            track=tuple(self.track or ()),
            track_to=self.track_to or Path("tracking"),
            options=self.chosen(),
        )


GROUPS = {"request": CellOptions, "means": MeansOptions}


def choosing_cells(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of its ``request`` and ``means``, which it is called with.

    typer reads a command's options from its signature, so the fields of the groups are put into it
    in the place of what they make.

    Args:
        command: takes a ``request``, perhaps ``means``, then its own options by keyword, all of
            them in ``ORDER``.
    """

    @functools.wraps(command)
    def with_options(**values: Any) -> None:
        if "means" in groups:
            MOMENT.say("loading PyTorch")
        with staying():
            made = {
                name: group(
                    **{option.name: values.pop(option.name) for option in fields(group)}
                ).made()
                for name, group in groups.items()
            }
        MOMENT.say("reading recipes, cards and records")
        command(**made, **values)

    parameters = inspect.signature(command).parameters
    groups = {name: GROUPS[name] for name in parameters if name in GROUPS}
    # Without what the groups make, which is not imported yet.
    with_options.__annotations__ = {
        name: kind for name, kind in command.__annotations__.items() if name not in groups
    }
    types = get_type_hints(with_options, include_extras=True)
    defaults = {p.name: p.default for p in parameters.values() if p.name not in groups}
    for group in groups.values():
        types |= get_type_hints(group, include_extras=True)
        defaults |= {option.name: option.default for option in fields(group)}
    with_options.__annotations__ = types
    vars(with_options)["__signature__"] = inspect.Signature(
        [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=types[name]
            )
            for name, default in sorted(defaults.items(), key=lambda item: ORDER.index(item[0]))
        ]
    )
    return with_options
