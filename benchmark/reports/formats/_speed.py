"""How fast machines train, on the leaderboard's page: no section where nothing is kept of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from benchmark.records.speed import DeviceSpeed, Speed
from benchmark.reports.escape import markdown as escape
from benchmark.reports.wording import speed as wording
from benchmark.reports.wording.markdown import grid

INTRODUCTION = """\
Training images a second, augmentation, teacher and update included, evaluation not: the median, and
in brackets the lowest and the highest of rounds in which everything had its turn. *Of peak* is the
arithmetic of the networks over the best matrix product of the machine; *floor* the milliseconds
that this arithmetic, and the memory traffic, of one batch need at the least (`kdbench speed`).
"""


def markdown(devices: Iterable[DeviceSpeed]) -> Iterator[str]:
    """The section: every device, and every measurement on it."""
    for number, device in enumerate(devices):
        if number == 0:
            yield "## Speed\n"
            yield INTRODUCTION
        yield f"### {escape(device.device)}\n"
        for speed in device.measurements:
            yield f"{escape(wording.conditions(speed))} ({escape(wording.machine(speed))}):\n"
            yield grid(_rows(speed))
            notes = [wording.saving(speed), wording.peaks(speed), wording.unsettled(speed)]
            yield "".join(f"* {escape(note)}\n" for note in notes if note)


def _rows(speed: Speed) -> list[list[str]]:
    loader, teacher = wording.rate(speed.loader), wording.rate(speed.teacher)
    return [
        ["", "images/s", "of peak", "step, ms", "floor, ms", "host, ms", "the host starts"],
        ["loader alone", loader, "", "", "", "", ""],
        ["teacher alone", teacher, "", "", "", "", ""],
        *(
            [
                escape(name),
                wording.rate(step),
                wording.share(step.share_of_peak),
                wording.milliseconds(1000 * speed.batch_size / step.images_per_s),
                f"{wording.milliseconds(step.floor.arithmetic_ms)}, "
                f"{wording.milliseconds(step.floor.memory_ms)}",
                wording.milliseconds(step.host.us / 1000),
                wording.started(step.host),
            ]
            for name, step in wording.steps(speed)
        ),
    ]
