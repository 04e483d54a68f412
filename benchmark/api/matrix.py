"""Plan and train a choice of cells, with the words of the command line."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, cast

from benchmark.errors import UsageError, suggestion
from benchmark.events import Listener
from benchmark.folders import cache_folder
from benchmark.launch.means import Means
from benchmark.launch.session import Session
from benchmark.launch.summary import Summary
from benchmark.matrix import states
from benchmark.matrix.plan import Plan
from benchmark.matrix.request import Request
from benchmark.reports.tracking import tracked

Retry = Literal["failed", "diverged", "oom", "timeout", "changed", "damaged", "all"]


class Choice(TypedDict, total=False):
    """Which cells; each key is a keyword argument of ``plan`` and of ``run``, and may be left out.

    Attributes:
        suite: name of a choice of cells, whose parts the other words replace; ``quick`` if there
            are no ``datasets``.
        datasets: names of cards.
        pairs: ``teacher:student``; else the usual pairs of each data set.
        recipes: names, with settings in brackets (``kd[temperature=2]``); ``*`` is every method.
        seeds: how many (3), or which ([0, 2, 5]).
        protocol: name, with changes in brackets: ``quick[epochs=1]``.
        teacher_checkpoints: ``NETWORK=FILE`` with the weights of a trained teacher.
        paths: folders with more recipes and cards.
    """

    suite: str | None
    datasets: Sequence[str]
    pairs: Sequence[str]
    recipes: Sequence[str]
    seeds: int | Sequence[int] | None
    protocol: str | None
    teacher_checkpoints: Sequence[str]
    paths: Sequence[str | Path]


class Training(Choice, total=False):
    """With what the cells are trained; further keyword arguments of ``run``.

    Attributes:
        data: folder that is looked at before anything is downloaded; None is the one that the
            environment variable ``KDBENCH_DATA`` names, if it does.
        minutes: stop at a checkpoint when this time is up.
        precision: of the training, ``fp32`` if nothing is said; ``auto`` is bf16 if the device
            computes in it.
        workers: processes that train one group each, so that a crash ends one run; None is one a
            GPU, or one on the CPU; 0, which it is if nothing is said, trains in this process. A
            script that asks for some needs ``if __name__ == "__main__":`` around it, as Python's
            own ``multiprocessing`` does.
        threads: of the CPU for each worker; None shares the cores out.
        memory_per_worker: GB that a worker on the CPU may allocate; None means any.
        compile: train by compiled steps, or not; None does so on a GPU in trainings of 20,000 steps
            and more.
        checkpoint_minutes: between two checkpoints of a group; 1 if nothing is said.
        time_limit: minutes of training that a run may take; None means any.
        keep_teacher_outputs: keep what teachers say of the batches, and read what is kept: as it is
            (``fp32``), or rounded, in half the room (``fp16``); None, if nothing is said, does not.
        track: trackers of experiments that are told of curves, settings and results:
            ``tensorboard``, ``wandb``, ``trackio``, ``mlflow``, or another that accelerate knows.
        track_to: folder of those that write files here; ``tracking`` if nothing is said.
        launcher: where the workers are: ``local``, ``ray`` or ``slurm``, of which the others have
            as many as suits them unless ``workers`` says how many.
        launcher_options: the launcher's own, as the command line names them, with ``_`` for ``-``:
            ``{"gpus_per_worker": 1, "slurm_partition": "gpu"}``.
    """

    data: str | Path | None
    minutes: float | None
    precision: Literal["fp32", "bf16", "auto"]
    workers: int | None
    threads: int | None
    memory_per_worker: float | None
    compile: bool | None
    checkpoint_minutes: float
    time_limit: float | None
    keep_teacher_outputs: Literal["fp32", "fp16"] | None
    track: Sequence[str]
    track_to: str | Path
    launcher: Literal["local", "ray", "slurm"]
    launcher_options: Mapping[str, Any] | None


def plan(
    *,
    runs: str | Path = "runs",
    results: str | Path = "results",
    retry: Retry | Collection[Retry] | None = None,
    **choice: Unpack[Choice],
) -> Plan:
    """What ``run`` with the same words would train; trains nothing.

    Args:
        runs: folder of checkpoints and weights.
        results: folder of the records.
        retry: what to train again although it is recorded, one word or several: ``failed`` is all
            that has no result, ``elsewhere`` what came with a clone (``--own``).
        choice: which cells, see ``Choice``.

    Returns:
        The cells, the runs that they need, what is known of each, and those to train.

    Raises:
        BenchmarkError: a word names what does not exist or does not fit.
    """
    return _session(choice, runs, results, retry).plan()


def run(
    *,
    runs: str | Path = "runs",
    results: str | Path = "results",
    retry: Retry | Collection[Retry] | None = None,
    listener: Listener | None = None,
    **words: Unpack[Training],
) -> Summary:
    """Train every run that the chosen cells need, and record it.

    What is recorded is not trained again, what was interrupted goes on: repeat the call. A run that
    fails is recorded as failed and stops no other.

    Args:
        runs: folder of checkpoints and weights.
        results: folder of the records.
        retry: what to train again although it is recorded, one word or several: ``failed`` is all
            that has no result, ``elsewhere`` what came with a clone (``--own``).
        listener: hears of the progress; None lets the work be done in silence.
        words: which cells, see ``Choice``, and with what they are trained, see ``Training``.

    Returns:
        How each run ended (``outcomes``), and the ``exit_code`` that the command would have.

    Raises:
        BenchmarkError: a word names what does not exist or does not fit, or data are missing.
    """
    own = Training.__annotations__.keys() - Choice.__annotations__.keys()
    means = _means(cast("Training", {word: words.get(word) for word in own if word in words}))
    choice = cast("Choice", {word: it for word, it in words.items() if word not in own})
    heard = tracked(listener or Listener(), means.tells, means.track_to)
    return _session(choice, runs, results, retry).run(means, heard)


def _means(words: Training) -> Means:
    folder = words.get("data") or os.environ.get("KDBENCH_DATA")
    launcher, workers = words.get("launcher", "local"), words.get("workers", 0)
    options = words.get("launcher_options") or {}
    return Means(
        cache_dir=cache_folder(),
        data_dir=Path(folder) if folder else None,
        precision=words.get("precision", "fp32"),
        minutes=words.get("minutes"),
        launcher=launcher,
        workers=workers if launcher == "local" else workers or None,
        threads=words.get("threads"),
        memory_gb=words.get("memory_per_worker"),
        compiled=words.get("compile"),
        checkpoint_minutes=words.get("checkpoint_minutes", 1.0),
        limit_minutes=words.get("time_limit"),
        keeps=words.get("keep_teacher_outputs"),
        track=tuple(words.get("track", ())),
        track_to=Path(words.get("track_to", "tracking")),
        options={name.replace("_", "-"): value for name, value in options.items()},
    )


def _session(
    choice: Choice,
    runs: str | Path,
    results: str | Path,
    retry: Retry | Collection[Retry] | None,
) -> Session:
    asked = [retry] if retry is None or isinstance(retry, str | bool) else list(retry)
    try:
        again = [states.Retry(word) for word in asked if word is not None]
    except ValueError:
        words = ", ".join(f"'{word.value}'" for word in states.Retry)
        raise UsageError(f"retry={retry!r}: write one of {words}, or leave it out.") from None
    return Session(_request(choice), runs=Path(runs), results=Path(results), retry=again)


def _request(choice: Choice) -> Request:
    """The request of these words.

    Raises:
        UsageError: there is no such word, or a text stands where a list should.
    """
    for word, value in choice.items():
        if word not in Choice.__annotations__:
            raise UsageError(
                f"a choice of cells has no '{word}'.{suggestion(word, Choice.__annotations__)}"
            )
        if isinstance(value, str) and word not in ("suite", "protocol"):
            raise UsageError(f"{word}={value!r}: write a list, {word}=[{value!r}].")
    return Request(
        suite=choice.get("suite"),
        datasets=choice.get("datasets", ()),
        pairs=choice.get("pairs", ()),
        recipes=choice.get("recipes", ()),
        seeds=_seeds(choice.get("seeds")),
        protocol=choice.get("protocol"),
        teachers=choice.get("teacher_checkpoints", ()),
        paths=[Path(path) for path in choice.get("paths", ())],
    )


def _seeds(seeds: int | Sequence[int] | None) -> str | None:
    """As the command line writes them: their number, or a list, in which even one has a comma."""
    if seeds is None or isinstance(seeds, int):
        return None if seeds is None else str(seeds)
    if not seeds:
        raise UsageError("seeds=[]: name one at least, or leave the word out.")
    return "".join(f"{seed}," for seed in seeds)
