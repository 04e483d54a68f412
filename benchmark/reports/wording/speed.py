"""How rates and times of a measured speed are written, so that all reports say the same."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.records.speed import Host, Repeats, Speed, StepSpeed

GROUP = "as one group"


def rate(speed: Repeats) -> str:
    """``4,120 (3,980 … 4,200)``: the median, the lowest and the highest."""
    return f"{speed.images_per_s:,.0f} ({speed.lowest:,.0f} … {speed.highest:,.0f})"


def share(part: float) -> str:
    """``46 %``."""
    return f"{100 * part:.0f} %"


def milliseconds(time_ms: float) -> str:
    """Three digits: ``16.4``, ``0.312``, ``1,250``."""
    return f"{time_ms:,.0f}" if time_ms >= 100 else f"{time_ms:.3g}"


def started(host: Host) -> str:
    """What the host starts in a step: launches on a device, else operators."""
    if host.launches is None:
        return f"{host.operators:,.0f} operators"
    graphs = f", {host.graph_launches:,.0f} of graphs" if host.graph_launches else ""
    return f"{host.launches:,.0f} launches{graphs}"


def steps(speed: Speed) -> Iterator[tuple[str, StepSpeed]]:
    """Every recipe alone, then the group if it has several members, each with its name."""
    yield from speed.recipes.items()
    if len(speed.group.recipes) > 1:
        yield GROUP, speed.group


def conditions(speed: Speed) -> str:
    """What was measured, and how: ``cifar100, a:b, protocol paper, batch 64, fp32, …``."""
    how = "compiled, " if speed.compiled else ""
    where = "" if speed.device == "cpu" else f" on {speed.device}"
    return (
        f"{speed.dataset}, {speed.pair}, protocol {speed.protocol}, batch {speed.batch_size}, "
        f"{how}{speed.precision}{where}, {speed.threads} thread{'s' if speed.threads != 1 else ''}"
    )


def compared(rate: float) -> str:
    """A rate over another one: ``1.21 times as fast``, ``20 % slower``, ``3.0 times slower``."""
    if rate >= 1:
        return f"{rate:.2f} times as fast"
    slower = 1 / rate
    return f"{100 * (slower - 1):.0f} % slower" if slower < 2 else f"{slower:.1f} times slower"


def saving(speed: Speed) -> str | None:
    """What the group saves over its members apart; None of one member."""
    group = speed.group
    if len(group.recipes) == 1:
        return None
    found = group.speedup_over_apart
    than = "as one after the other" if found >= 1 else "than one after the other"
    return (
        f"{', '.join(group.recipes)} as one group are {compared(found)} {than} ("
        f"{group.lowest_speedup:.2f} … {group.highest_speedup:.2f} in "
        f"{speed.rounds} rounds, in which everything has its turn)."
    )


def peaks(speed: Speed) -> str:
    """The machine's best."""
    peak = speed.peak
    return (
        f"Peak: {peak.fp32_gflops:,.0f} GFLOP/s in fp32, {peak.bf16_gflops:,.0f} in bf16; memory "
        f"{peak.memory_gb_per_s:,.3g} GB/s."
    )


def machine(speed: Speed) -> str:
    """The machine, the versions and the day."""
    packages = speed.environment.packages
    versions = [f"torch {packages['torch']}"] if "torch" in packages else []
    if speed.environment.git_commit:
        changed = " with changes" if speed.environment.git_dirty else ""
        versions.append(f"commit {speed.environment.git_commit[:12]}{changed}")
    host = [] if speed.device == "cpu" else [f"{speed.processor}, {speed.cores} cores"]
    return ", ".join([*host, *versions, f"{speed.measured:%Y-%m-%d}"])


def unsettled(speed: Speed) -> str | None:
    """Which rates are to be taken with care; None if none is."""
    if not speed.unsettled:
        return None
    return (
        f"Still changing when the warm-up ended: {', '.join(speed.unsettled)}. The machine was "
        f"busy, or --seconds is too short."
    )
