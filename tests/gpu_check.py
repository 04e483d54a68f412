"""What whoever has a GPU runs, once: ``make gpu-check``, in less than nine minutes.

The machine as ``kdbench doctor`` sees it, the tests marked ``gpu``, ``kdbench speed`` in float32,
in bfloat16 and by compiled steps, and a short training. Each part is a process with a limit of its
own; what does not fit in it is ended, and said. CIFAR-100 is taken if ``KDBENCH_DATA`` has it, else
the drawn birds, which need no download. In the end come a table and a new folder in ``gpu-check/``:
what each part printed, the records, ``results/speed/<device>.json`` (copy it to yours), and
``report.json``.

    make gpu-check                    on a machine with a CUDA device
    make gpu-check STAND_IN=cpu       the CPU takes its place: that tries this command, no GPU

Exit code 0 if no part failed or did not fit, 1 if one did, 2 if there is no GPU.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmark.records.speed import read_speeds
from benchmark.reports.terminal.speed import speed_table

WHOLE_S = 530  # of the nine minutes; the rest is for starting and for the table
METHODS = ("vanilla", "kd", "crd", "th-kd", "sh-kd")  # of the card's published table
KDBENCH = (sys.executable, "-m", "benchmark")
Outcome = tuple[str, str]  # how a part ended, and in a line what came of it
STANDS_IN = "THE CPU STANDS IN: nothing here was measured on a GPU, and tests of one were left out."


@dataclass(frozen=True)
class Part:
    """A process, and what it says when it is done.

    Attributes:
        name: of the part and of its files.
        words: of the command.
        limit_s: after which it is ended.
        read: what its output comes down to.
    """

    name: str
    words: Sequence[str]
    limit_s: float
    read: Callable[[str], Outcome]


@dataclass(frozen=True)
class Done:
    """How a part ended: ``passed``, ``failed``, ``left out`` or ``did not fit``."""

    name: str
    state: str
    seconds: float
    told: str


def parts(folder: Path, data: Path | None, *, stand_in: bool) -> list[Part]:
    """What is done, in its order.

    Args:
        folder: for records and weights.
        data: folder with data sets; None has none.
        stand_in: whether the CPU takes the place of a GPU: then networks are small.
    """
    dataset = "cifar100" if data is not None and has_cifar100(data) else "sketchbirds"
    pair = "resnet20:resnet8" if stand_in else "resnet32x4:resnet8x4"
    where = ["--dataset", dataset, "--pair", pair, "--results", str(folder / "results")]
    epochs = 1 if stand_in else 3
    short = {"cifar100": "short", "sketchbirds": "quick"}[dataset]
    protocol = f"{short}[epochs={epochs},warmup_epochs=0]"
    runs = ["--runs", str(folder / "runs")]
    speed = [*KDBENCH, "speed", *where, "--seconds", "2", "--save", "--json"]
    fp32, bf16 = ([*speed, "--precision", name] for name in ("fp32", "bf16"))
    kd, all_methods = _recipes(["kd"]), _recipes(METHODS)
    tests = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider"]
    doctor = [*KDBENCH, "doctor", "--quick", *where[4:], *runs]
    train = [*KDBENCH, "run", *where, *runs, "--recipe", "kd", "--seeds", "1", "--json"]
    return [
        Part("machine", doctor, 30, last_line),
        Part("tests marked gpu", tests, 90, passed),
        Part("speed in fp32", [*fp32, *all_methods], 90, rates),
        Part("speed in bf16", [*bf16, *all_methods], 90, rates),
        Part("speed compiled", [*fp32, *kd, "--compile"], 130, rates),  # half a minute a program
        Part("short training", [*train, "--protocol", protocol], 100, outcomes),
    ]


def _recipes(names: Sequence[str]) -> list[str]:
    return [word for name in names for word in ("--recipe", name)]


def has_cifar100(data: Path) -> bool:
    """Whether a folder of data sets has CIFAR-100, in the hub's layout or in its authors'."""
    return (data / "cifar100").is_dir() or any(data.glob("cifar-100-python*"))


def check(
    todo: Iterable[Part], folder: Path, *, stand_in: bool, whole_s: float = WHOLE_S
) -> list[Done]:
    """Do the parts, one after the other; what they print goes to files of the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ)
    if stand_in:
        environment["CUDA_VISIBLE_DEVICES"] = ""  # also where there is one
    begun, done = time.monotonic(), list[Done]()
    for part in todo:
        left_s = whole_s - (time.monotonic() - begun)
        done.append(_do(part, folder, environment, min(part.limit_s, left_s)))
    return done


def _do(part: Part, folder: Path, environment: dict[str, str], limit_s: float) -> Done:
    if limit_s <= 0:
        return Done(part.name, "did not fit", 0.0, "the time of the whole was over before")
    begun = time.monotonic()
    stem = part.name.replace(" ", "-")
    out, err = folder / f"{stem}.out", folder / f"{stem}.err"
    with out.open("w") as output, err.open("w") as errors:
        # A session of its own: with it, the processes that it started are ended.
        process = subprocess.Popen(
            part.words, stdout=output, stderr=errors, env=environment, start_new_session=True
        )
        try:
            code: int | None = process.wait(timeout=limit_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    seconds = time.monotonic() - begun
    if code is None:
        return Done(part.name, "did not fit", seconds, f"ended after its limit of {limit_s:.0f} s")
    if code:
        printed = err.read_text("utf-8", "replace") or out.read_text("utf-8", "replace")
        said = last_line(printed)[1]
        return Done(part.name, "failed", seconds, f"exit code {code}: {said}")
    state, told = part.read(out.read_text("utf-8", "replace"))
    return Done(part.name, state, seconds, told)


def last_line(output: str) -> Outcome:
    """The last line that is not empty."""
    lines = (line.strip() for line in reversed(output.splitlines()))
    return "passed", next(filter(None, lines), "")


def passed(output: str) -> Outcome:
    """What pytest counted; tests that were all skipped show nothing."""
    _, counted = last_line(output)
    return ("passed" if " passed" in counted else "left out"), counted


def rates(output: str) -> Outcome:
    """What ``kdbench speed`` found, in a line."""
    speed: dict[str, Any] = json.loads(output)
    recipes = ", ".join(
        f"{name} {step['images_per_s']:,.0f}" for name, step in speed["recipes"].items()
    )
    gain = speed["group"]["speedup_over_apart"]
    what = f"{speed['dataset']}, {speed['pair']}, on {speed['device']}"
    return "passed", f"{what}: {recipes} images/s; group {gain:.2f} × apart"


def outcomes(output: str) -> Outcome:
    """How the runs of ``kdbench run`` ended, in a line."""
    ended: dict[str, int] = json.loads(output)["outcomes"]
    return "passed", ", ".join(f"{count} {how}" for how, count in ended.items())


def report(done: Sequence[Done], folder: Path, *, device: str, stand_in: bool) -> Table:
    """Write ``report.json``, and give the table."""
    values = {
        "stand_in": stand_in,
        "device": device,
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "parts": [asdict(part) for part in done],
    }
    (folder / "report.json").write_text(json.dumps(values, indent=2) + "\n", "utf-8")
    table = Table(title=device, box=box.SIMPLE_HEAD, caption=STANDS_IN if stand_in else None)
    for column in ("part", "came out", "s", "what it says"):
        table.add_column(column, justify="right" if column == "s" else "left", overflow="fold")
    for part in done:
        table.add_row(part.name, part.state, f"{part.seconds:.0f}", Text(part.told))
    return table


def main(words: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser("make gpu-check", description="What a GPU is for kdbench.")
    parser.add_argument("--folder", type=Path, default=Path("gpu-check"))
    parser.add_argument("--stand-in", choices=["cpu"], help="try this command without a GPU")
    asked = parser.parse_args(words)
    import torch

    console, stand_in = Console(), asked.stand_in is not None
    if not (stand_in or torch.cuda.is_available()):
        console.print(
            "There is no CUDA device, so nothing was checked. 'make gpu-check STAND_IN=cpu' tries "
            "the command itself on the CPU."
        )
        return 2
    folder = asked.folder / time.strftime("%Y-%m-%dT%H-%M-%S")  # records would be taken as done
    device = "CPU in the place of a GPU" if stand_in else torch.cuda.get_device_name()
    data = Path(os.environ["KDBENCH_DATA"]) if os.environ.get("KDBENCH_DATA") else None
    if stand_in:
        console.print(STANDS_IN, style="bold")
    done = check(parts(folder, data, stand_in=stand_in), folder, stand_in=stand_in)
    for found in read_speeds(folder / "results")[0]:
        for speed in found.measurements:
            console.print(speed_table(speed))
    console.print(report(done, folder, device=device, stand_in=stand_in))
    console.print(f"All of it lies in {folder}/; please send that folder with what you report.")
    return 0 if all(part.state in ("passed", "left out") for part in done) else 1


if __name__ == "__main__":
    sys.exit(main())
