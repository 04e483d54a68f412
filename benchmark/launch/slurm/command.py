"""The words of the command that a job runs: the same choice, on the same folders."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmark.errors import UsageError
from benchmark.launch.means import Means
from benchmark.matrix.request import Request
from benchmark.matrix.states import Retry


def job_words(
    request: Request, means: Means, *, runs: Path, results: Path, retry: Iterable[str]
) -> tuple[str, ...]:
    """The command of one job.

    Args:
        request: the choice of cells.
        means: what was chosen; ``gpus-per-worker`` above one starts as many processes.
        runs: folder of checkpoints and weights.
        results: folder of records.
        retry: what is trained again although it is recorded.

    Raises:
        UsageError: a part of a GPU is asked for.
    """
    gpus = gpus_of(means)
    python = sys.executable
    start = [python, "-m", "kdbench"]
    if gpus > 1:
        launch = [python, "-m", "accelerate.commands.launch", "--num_machines", "1"]
        launch += ["--mixed_precision", "no", "--dynamo_backend", "no"]
        start = [*launch, "--num_processes", str(gpus), "-m", "kdbench"]
    words = [*_choice(request), *_folders(means, runs, results), *_work(means)]
    own = [kind for kind in retry if kind is Retry.elsewhere]
    words += [word for kind in retry if kind not in own for word in ("--retry", str(kind))]
    words += ["--own"] * len(own)
    return (*start, "run", *words, *([] if gpus > 1 else ["--workers", "1"]))


def gpus_of(means: Means) -> int:
    """GPUs of a job.

    Raises:
        UsageError: a part of one.
    """
    gpus = means.options.get("gpus-per-worker", 0)
    if gpus != int(gpus):
        raise UsageError(f"--gpus-per-worker {gpus:g}: Slurm gives whole GPUs to a job.")
    return int(gpus)


def cpus_of(means: Means) -> int:
    """Cores of a job."""
    return int(means.options.get("cpus-per-worker", means.threads or 1))


def _choice(request: Request) -> Iterator[str]:
    words: dict[str, Iterable[object]] = {
        "--suite": [request.suite] if request.suite is not None else [],
        "--dataset": request.datasets,
        "--pair": request.pairs,
        "--recipe": request.recipes,
        "--seeds": [request.seeds] if request.seeds is not None else [],
        "--protocol": [request.protocol] if request.protocol is not None else [],
        "--teacher-checkpoint": request.teachers,
        "--path": [path.resolve() for path in request.paths],
    }
    for name, values in words.items():
        for value in values:
            yield from (name, str(value))


def _folders(means: Means, runs: Path, results: Path) -> Iterator[str]:
    yield from ("--runs", str(runs.resolve()), "--results", str(results.resolve()))
    if means.data_dir is not None:
        yield from ("--data", str(means.data_dir.resolve()))


def _work(means: Means) -> Iterator[str]:
    yield from ("--precision", means.precision)
    yield from ("--checkpoint-minutes", str(means.checkpoint_minutes))
    yield from ("--threads", str(means.threads or cpus_of(means)))
    if means.compiled is not None:
        yield "--compile" if means.compiled else "--no-compile"
    if means.keeps is not None:
        yield "--keep-teacher-outputs" + ("-fp16" if means.keeps == "fp16" else "")
    for tracker in means.track:
        yield from ("--track", tracker)
    if means.track:
        yield from ("--track-to", str(means.track_to.resolve()))
    limits = {
        "--memory-per-worker": means.memory_gb, "--time-limit": means.limit_minutes,
        "--minutes": means.minutes,
    }  # fmt: skip
    for name, value in limits.items():
        if value is not None:
            yield from (name, str(value))
