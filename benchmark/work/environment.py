"""Where a run ran: what a record keeps of machine and versions."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import subprocess
from functools import cache
from pathlib import Path

import torch
from accelerate import Accelerator

from benchmark.git import ask
from benchmark.records.schema import Environment
from benchmark.training.keeping.engine import device_name
from benchmark.training.precision import precision_of

PACKAGES = (
    "kdbench",
    "torch",
    "torchvision",
    "timm",
    "accelerate",
    "datasets",
    "albumentations",
    "numpy",
)


def environment(accelerator: Accelerator) -> Environment:
    """Describe this process's surroundings."""
    commit, dirty = _git()
    return Environment(
        packages={name: _version(name) for name in PACKAGES},
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        device=device_name(accelerator.device),
        processor=processor(),
        processes=accelerator.num_processes,
        threads=torch.get_num_threads(),
        precision=precision_of(accelerator),
        git_commit=commit,
        git_dirty=dirty,
    )


@cache
def processor() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        text = ""
    named = re.search(r"^model name\s*:\s*(\S.*)$", text, re.MULTILINE)
    return named[1].strip() if named else platform.processor() or platform.machine() or "unknown"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


@cache
def _git() -> tuple[str | None, bool | None]:
    """Commit of the checkout that the engine runs from, and whether code in it was changed."""
    folder = Path(__file__).resolve().parent.parent.parent
    # Results and the tables made from them are what a run writes: they do not make the code dirty.
    code = ("benchmark", "recipes", "datasets", "pyproject.toml")
    try:
        commit = ask(folder, "rev-parse", "HEAD").strip()
        top = Path(ask(folder, "rev-parse", "--show-toplevel").strip())
        if top != folder:
            return None, None
        return commit, bool(ask(folder, "status", "--porcelain", "--", *code).strip())
    except (OSError, subprocess.SubprocessError):
        return None, None
