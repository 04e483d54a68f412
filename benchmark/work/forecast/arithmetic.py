"""What a step has to compute, for a rough guess at the pace of a group that nobody has seen."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from benchmark.matrix.run import AnyRun, Run
from benchmark.networks.index import network_macs
from benchmark.work.forecast.pace import Pace, images_of


def macs_of_step(runs: Sequence[Run]) -> float:
    """Multiply-accumulates of a group's step for one image: a backward is two forwards."""
    heard = {role.identity: role for run in runs for role in run.heard}
    return 3.0 * sum(map(_macs, runs)) + sum(map(_macs, heard.values()))


def pace_by_arithmetic(runs: Sequence[Run], macs_per_s: float) -> Pace:
    """The pace of a group if this machine were as busy with it as with others.

    Args:
        runs: of the group.
        macs_per_s: what the machine does of other groups.
    """
    step = macs_of_step(runs)
    heard = {role.identity: role for run in runs for role in run.heard}
    evaluated = images_of(runs[0])[1]
    return Pace(
        images_per_s=macs_per_s / step,
        examination_s=evaluated * sum(map(_macs, runs)) / macs_per_s,
        start_s=evaluated * sum(map(_macs, heard.values())) / macs_per_s,
        macs_per_image=step,
    )


def _macs(run: AnyRun) -> int:
    pictures = run.pictures
    return _count(run.network, pictures.classes, pictures.shape)


@cache
def _count(network: str, classes: int, image_size: tuple[int, int]) -> int:
    return network_macs(network, classes=classes, image_size=image_size)
