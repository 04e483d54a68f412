"""Race kdbench against the usual code, both at once on one core each, then with cores exchanged.

    python -m tests.race --data DIR [--pair resnet20:resnet8] [--compile] [--seconds 20]

DIR holds CIFAR-100, as ``kdbench run --data`` takes it. Each ratio is the geometric mean of both
halves: a core that is slower, or disturbed, harms both sides alike.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from benchmark.cards.protocol import Protocol
    from benchmark.data.splits import DataSet
    from benchmark.training.steps.programs import Programs

METHODS = ("vanilla", "kd", "th-kd", "crd")
GROUP = "group"
CORES = (0, 1)
SETTLED_S = 6.0  # of warming up: caches, compiled code, the clock of the processor


class Side:
    """One of both, in a process of its own on one core."""

    def __init__(self, who: str, method: str, core: int, words: argparse.Namespace) -> None:
        from benchmark.work.memory import in_huge_pages

        command = [sys.executable, "-m", "tests.race", "--side", who, "--method", method]
        command += ["--data", str(words.data), "--pair", words.pair, "--core", str(core)]
        command += ["--seconds", str(words.seconds)] + (["--compile"] if words.compile else [])
        ours = in_huge_pages(os.environ) if who == "ours" else {}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env={**os.environ, "OMP_NUM_THREADS": "1", **ours},
        )  # fmt: skip

    def say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def hear(self) -> float:
        """The next number that it says."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(self._process.communicate()[1])
        return float(line)


def race(method: str, words: argparse.Namespace) -> dict[str, list[float]]:
    """Images/s of both sides, in both halves."""
    rates: dict[str, list[float]] = {"ours": [], "usual": []}
    for cores in (CORES, CORES[::-1]):
        sides = {
            who: Side(who, method, core, words) for who, core in zip(rates, cores, strict=True)
        }
        for side in sides.values():
            side.hear()  # ready
        for side in sides.values():
            side.say("go")
        for who, side in sides.items():
            rates[who].append(side.hear())
            side.say("end")
    return rates


def alone(words: argparse.Namespace) -> None:
    """Be one side: warm up, say so, wait, measure, say the rate."""
    os.sched_setaffinity(0, {words.core})
    import torch

    torch.set_num_threads(1)
    steps = ours(words) if words.side == "ours" else usual(words)
    begun = time.perf_counter()
    while time.perf_counter() - begun < SETTLED_S:
        next(steps)
    typer.echo("0")
    sys.stdin.readline()
    begun, images = time.perf_counter(), 0
    while time.perf_counter() - begun < words.seconds:
        images += next(steps)
    typer.echo(str(images / (time.perf_counter() - begun)))
    sys.stdin.readline()


def data_of(words: argparse.Namespace) -> tuple[Protocol, DataSet]:
    from benchmark.data.opening import load_data
    from benchmark.folders import cache_folder
    from benchmark.layouts.catalogue import known_cards

    card = known_cards().get("cifar100")
    protocol = card.protocol("paper")
    return protocol, load_data(card, words.data, cache_folder(), protocol=protocol)


def usual(words: argparse.Namespace) -> Iterator[int]:
    from tests.race.usual import steps

    protocol, data = data_of(words)
    teacher, student = words.pair.split(":")
    pixels, labels = data.train.images, data.train.labels
    return steps(words.method, pixels, labels, (teacher, student), protocol.batch_size)


def ours(words: argparse.Namespace) -> Iterator[int]:
    from benchmark.folders import cache_folder
    from benchmark.matrix.plan import cells_of
    from benchmark.matrix.request import Request, choice_of
    from benchmark.recipe.discovery import load_recipes
    from benchmark.training.steps.programs import keep_programs, programs_for
    from benchmark.work.accelerator import make_accelerator
    from benchmark.work.fitting import Fitting
    from benchmark.work.memory import keep_freed
    from benchmark.work.speed.bench import Bench

    keep_freed()
    keep_programs(cache_folder())
    _, data = data_of(words)
    recipes, accelerator = load_recipes(()), make_accelerator("fp32")
    names = METHODS if words.method == GROUP else (words.method,)
    request = Request(datasets=("cifar100",), pairs=(words.pair,), recipes=names, seeds="1")
    cells, _ = cells_of(choice_of(request), recipes, Fitting().refusal)
    runs = [cell.run for cell in cells]

    def programs(protocol: Protocol) -> Programs | None:
        return programs_for(words.compile, accelerator, protocol, steps=0, note=lambda said: None)

    bench = Bench(data, recipes, accelerator, 1.0, programs)
    task = bench.task(bench.steps(runs), runs)
    for batch in task.batches:
        task.work(batch)
        yield batch.global_size


def main() -> None:
    """Print a line for each method, and all as JSON at the end."""
    words = parsed()
    if words.side:
        alone(words)
        return
    found = {}
    for method in METHODS:
        found[method] = rates = race(method, words)
        told(method, ratio(rates["ours"], rates["usual"]), rates)
    halves, together = range(len(CORES)), group_of_ours(words)
    for name in ("usual", "ours"):
        apart = [1 / sum(1 / found[method][name][half] for method in METHODS) for half in halves]
        typer.echo(f"{'group of four':>14}: {ratio(together, apart):5.2f} times {name} one by one")
    typer.echo(json.dumps({"pair": words.pair, "compile": words.compile, GROUP: together, **found}))


def group_of_ours(words: argparse.Namespace) -> list[float]:
    """Images/s of our group, while the usual code trains kd on the other core."""
    rates = []
    for core in CORES:
        group, other = Side("ours", GROUP, core, words), Side("usual", "kd", 1 - core, words)
        for side in (group, other):
            side.hear()
        for side in (group, other):
            side.say("go")
        rates.append(group.hear())
        other.hear()
        for side in (group, other):
            side.say("end")
    return rates


def ratio(ones: list[float], others: list[float]) -> float:
    logs = [math.log(one / other) for one, other in zip(ones, others, strict=True)]
    return math.exp(sum(logs) / len(logs))


def told(method: str, by: float, rates: dict[str, list[float]]) -> None:
    own, other = (", ".join(f"{rate:.0f}" for rate in rates[who]) for who in ("ours", "usual"))
    typer.echo(f"{method:>14}: {by:5.2f} times the usual code ({own} images/s; {other})")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Race kdbench against the usual code.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pair", default="resnet20:resnet8")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--side", choices=("ours", "usual"), help=argparse.SUPPRESS)
    parser.add_argument("--method", default=GROUP, help=argparse.SUPPRESS)
    parser.add_argument("--core", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
