"""The options that say on which machines the workers are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer

PANEL = "On several machines"


class LauncherName(StrEnum):
    """Where the workers are."""

    local = "local"
    ray = "ray"
    slurm = "slurm"


@dataclass(frozen=True)
class LauncherOptions:
    """Where the workers are, and what each of them gets."""

    launcher: Annotated[
        LauncherName,
        typer.Option(
            "--launcher",
            help="Where the workers are: this machine, a Ray cluster, Slurm's jobs.",
            rich_help_panel=PANEL,
        ),
    ] = LauncherName.local
    gpus_per_worker: Annotated[
        float | None,
        typer.Option(
            "--gpus-per-worker",
            min=0,
            help="Of ray: one or a part of one; of slurm: any number.",
            rich_help_panel=PANEL,
        ),
    ] = None
    cpus_per_worker: Annotated[
        int | None,
        typer.Option(
            "--cpus-per-worker",
            min=1,
            help="Of ray and slurm: cores; else 1.",
            rich_help_panel=PANEL,
        ),
    ] = None
    ray_address: Annotated[
        str | None,
        typer.Option(
            "--ray-address",
            help="HOST:PORT of a Ray cluster, 'auto' for one here; else RAY_ADDRESS, or a new one.",
            rich_help_panel=PANEL,
        ),
    ] = None
    slurm_partition: Annotated[
        str | None,
        typer.Option(
            "--slurm-partition", help="As sbatch takes it; so the others.", rich_help_panel=PANEL
        ),
    ] = None
    slurm_time: Annotated[
        int | None,
        typer.Option(
            "--slurm-time",
            min=1,
            help="Minutes of a job; it then goes on in the next one; else 60.",
            rich_help_panel=PANEL,
        ),
    ] = None
    slurm_account: Annotated[str | None, typer.Option("--slurm-account", rich_help_panel=PANEL)] = (
        None
    )
    slurm_qos: Annotated[str | None, typer.Option("--slurm-qos", rich_help_panel=PANEL)] = None
    slurm_constraint: Annotated[
        str | None, typer.Option("--slurm-constraint", rich_help_panel=PANEL)
    ] = None
    slurm_setup: Annotated[
        list[str] | None,
        typer.Option(
            "--slurm-setup",
            help="A line of shell before the work, 'module load …'; repeatable.",
            rich_help_panel=PANEL,
        ),
    ] = None
    detach: Annotated[
        bool,
        typer.Option(
            "--detach", help="Of slurm: leave when the jobs are submitted.", rich_help_panel=PANEL
        ),
    ] = False

    def chosen(self) -> dict[str, Any]:
        """What was written of them, by the names on the command line."""
        names = (
            "gpus_per_worker", "cpus_per_worker", "ray_address", "slurm_partition", "slurm_time",
            "slurm_account", "slurm_qos", "slurm_constraint", "slurm_setup", "detach",
        )  # fmt: skip
        values = {name.replace("_", "-"): getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value not in (None, False, [])}
