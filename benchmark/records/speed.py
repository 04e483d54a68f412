"""How fast a machine trains: ``results/speed/<device>.json``, one file a device.

Rates are images/s; times are milliseconds for one global batch unless their names say otherwise.
``docs/measure-speed.md`` explains every key of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path, PurePath
from typing import Annotated, Any, Final, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from benchmark.errors import RecordError
from benchmark.files import write_whole
from benchmark.records.bounds import MOST_VALUES, Amount, Name, Number, Words
from benchmark.records.canonical import digest
from benchmark.records.places import SPEED
from benchmark.records.reading import read_sealed, refusal, sealed
from benchmark.records.schema import Environment
from benchmark.records.store import Unreadable
from benchmark.records.writing import check_inside
from benchmark.strict import Strict

SPEED_VERSION: Final = 1
KIND = "speed file"
LONGEST_DEVICE = 80
Phase = Literal["load", "view", "teacher", "student", "loss", "backward", "update"]
Rate = Annotated[float, Field(gt=0, le=1e15)]


class Repeats(Strict):
    """A rate that was measured several times, in turn with all others.

    Attributes:
        images_per_s: the median.
        lowest, highest: of the repeats.
    """

    images_per_s: Rate
    lowest: Rate
    highest: Rate

    @model_validator(mode="after")
    def _in_order(self) -> Repeats:
        if not self.lowest <= self.images_per_s <= self.highest:
            raise ValueError(f"{self.images_per_s} is not between {self.lowest} and {self.highest}")
        return self

    @property
    def spread(self) -> float:
        """From the lowest to the highest, as a share of the median."""
        return (self.highest - self.lowest) / self.images_per_s


class LoaderSpeed(Repeats):
    """Loading and augmentation alone.

    Attributes:
        uncached_images_per_s: decoding every image anew, where images are kept decoded.
        cache_speedup: the rate over that.
    """

    uncached_images_per_s: Rate | None = None
    cache_speedup: Rate | None = None

    @model_serializer(mode="wrap")
    def _of_what_was_measured(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _known(write(self))


class Peak(Strict):
    """What the machine gave at its best.

    Attributes:
        fp32_gflops, bf16_gflops: of a square matrix product, 10⁹ operations a second.
        memory_gb_per_s: read and written by the copy of a tensor that fits no cache, 10⁹ bytes.
    """

    fp32_gflops: Rate
    bf16_gflops: Rate
    memory_gb_per_s: Rate


class Floor(Strict):
    """What the networks of a step need at the least.

    Attributes:
        arithmetic_ms: their operations at the peak.
        memory_ms: parameters, and activations read and written once a layer, at the bandwidth of
            the memory. No bound where activations stay in a cache.
        share_of_bandwidth: ``memory_ms`` over the time of a step.
    """

    arithmetic_ms: Amount
    memory_ms: Amount
    share_of_bandwidth: Amount


class Host(Strict):
    """What a step costs the host.

    Attributes:
        us: microseconds, the least of some steps. On a GPU, until the host has issued a step to an
            idle device; on the CPU, what a step takes outside of operators, with what the profiler
            adds to it.
        operators: that Python or autograd call; those that operators call are not counted.
        launches: of kernels, copies and fills on the device; None without a device.
        graph_launches: of whole CUDA graphs, each one launch more.
    """

    us: Amount
    operators: Amount
    launches: Amount | None = None
    graph_launches: Amount | None = None

    @model_serializer(mode="wrap")
    def _of_what_was_measured(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _known(write(self))


class StepSpeed(Repeats):
    """Steps of one learner, or of several side by side; each image is counted once.

    Attributes:
        share_of_peak: operations of the networks, over the peak in the same precision.
        phases_ms: medians of the parts of a step, in their order.
        floor, host: see there.
    """

    share_of_peak: Amount
    phases_ms: dict[Phase, Amount]
    floor: Floor
    host: Host


class GroupSpeed(StepSpeed):
    """Learners side by side.

    Attributes:
        recipes: whose.
        speedup_over_apart: the group's rate over that of its members one after the other: the
            median of the rounds, each of which compares what was measured within it.
        lowest_speedup, highest_speedup: of the rounds.
    """

    recipes: tuple[Name, ...] = Field(max_length=MOST_VALUES)
    speedup_over_apart: Rate
    lowest_speedup: Rate
    highest_speedup: Rate


class Speed(Strict):
    """One measurement: one pair on one data set, on one machine.

    Attributes:
        dataset, pair, protocol, batch_size: what was trained.
        precision, device, threads: of torch.
        compiled: whether the step was.
        rounds: in which everything was measured in turn.
        seconds: for which each rate was measured, in all rounds together.
        unsettled: parts whose rate still changed by more than a tenth when warming up ended.
        peak, loader, teacher, recipes, group: the figures.
        processor, cores: the machine's, whatever the device; cores that this process may use.
        environment: packages, commit and the like.
        measured: when.
    """

    dataset: Name
    pair: Words
    protocol: Words
    batch_size: Number
    precision: Literal["fp32", "bf16"]
    device: Words
    threads: Number
    compiled: bool = False
    rounds: Number
    seconds: Amount
    unsettled: tuple[Name, ...] = Field(max_length=MOST_VALUES)
    peak: Peak
    loader: LoaderSpeed
    teacher: Repeats
    recipes: dict[Name, StepSpeed] = Field(max_length=MOST_VALUES)
    group: GroupSpeed
    processor: Name
    cores: Number
    environment: Environment
    measured: datetime

    @property
    def what(self) -> tuple[Any, ...]:
        """What was measured, which a later measurement of the same takes the place of."""
        asked = self.dataset, self.pair, self.protocol, self.batch_size, self.precision
        return *asked, self.compiled, self.threads, *sorted(self.recipes)

    @property
    def device_name(self) -> str:
        """The GPU, or the processor with the number of its cores."""
        if not self.device.startswith("cpu"):
            return self.environment.device
        return f"{self.processor}, {self.cores} core{'s' if self.cores != 1 else ''}"

    def as_json(self) -> dict[str, Any]:
        """Plain data; what was not measured has no key."""
        return self.model_dump(mode="json")


class DeviceSpeed(Strict):
    """A file of ``results/speed/``: what was measured on one device.

    Attributes:
        schema_version: of this file.
        device: its name.
        measurements: in the order of what they measured, one of each.
        checksum: of the rest.
    """

    schema_version: Literal[1]
    device: Name
    measurements: tuple[Speed, ...] = Field(min_length=1, max_length=MOST_VALUES)
    checksum: Words = ""

    @model_validator(mode="after")
    def _of_one_device(self) -> DeviceSpeed:
        if others := {speed.device_name for speed in self.measurements} - {self.device}:
            raise ValueError(f"it is of '{self.device}', and holds what is of {sorted(others)}")
        return self

    @property
    def place(self) -> PurePath:
        """Where it lies below the folder of results."""
        return PurePath(SPEED, f"{slug(self.device)}.json")


def slug(device: str) -> str:
    """The name of a device as that of a file; a long or strange one gets a digest behind it."""
    plain = re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
    if plain and len(plain) <= LONGEST_DEVICE and device.isascii():
        return plain
    return f"{plain[:LONGEST_DEVICE]}~{digest(device)[:8]}".lstrip("-")


def read_speeds(results: Path) -> tuple[tuple[DeviceSpeed, ...], tuple[Unreadable, ...]]:
    """What was measured on every device, by file; and the files that cannot be trusted."""
    found: list[DeviceSpeed] = []
    problems: list[Unreadable] = []
    for path in sorted(results.glob(f"{SPEED}/[!.]*.json")):
        try:
            found.append(read_speed(path, results))
        except RecordError as error:
            problems.append(Unreadable(path, str(error)))
    return tuple(found), tuple(problems)


def read_speed(path: Path, results: Path) -> DeviceSpeed:
    """What was measured on one device.

    Raises:
        RecordError: it cannot be read, is not what was written, or not in its place.
    """
    found = read_sealed(DeviceSpeed, path, KIND)
    if path != results / found.place:
        raise refusal(path, f"was moved; its place is {found.place}", KIND)
    return found


def save_speed(speed: Speed, results: Path) -> Path:
    """Write a measurement beside the others of its device; one of the same gives way to it.

    Returns:
        The file.

    Raises:
        RecordError: the folder cannot be written, or the device's file cannot be trusted.
    """
    alone = _together(speed.device_name, [speed])
    path = results / alone.place
    others = read_speed(path, results).measurements if path.exists() else ()
    latest = {known.what: known for known in (*others, speed)}
    together = _together(speed.device_name, latest.values())
    values = together.model_dump(mode="json", exclude={"checksum"})
    check_inside(path.parent, results)
    try:
        write_whole(path, sealed(values), durable=True)
    except OSError as error:
        raise RecordError(
            f"cannot write {path}: {error.strerror or error}. Choose another folder with --results."
        ) from error
    return path


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _together(device: str, speeds: Iterable[Speed]) -> DeviceSpeed:
    ordered = sorted(speeds, key=lambda speed: [str(part) for part in speed.what])
    return DeviceSpeed(schema_version=SPEED_VERSION, device=device, measurements=tuple(ordered))
