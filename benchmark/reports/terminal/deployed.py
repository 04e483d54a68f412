"""Terminal tables of trained networks in use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from rich import box
from rich.console import Group, RenderableType

from benchmark.reports.terminal.screen import Rows, words
from benchmark.reports.wording import numbers as wording

UNSETTLED = "†"
EXPORTED: dict[str, Literal["left", "right"]] = {
    "format": "left", "file": "left", "size": "right", "logits differ by": "right",
}  # fmt: skip
HOLDS = {"timm": "model.safetensors", "torch-export": "model.pt2", "onnx": "model.onnx"}


def export_table(told: Mapping[str, Any]) -> Iterator[RenderableType]:
    """What an export wrote: ``cell``, ``folder``, ``formats``, ``files``, ``hub``."""
    folder, files = told["folder"], told["files"]
    yield words(f"{told['cell']} is in {folder}", style="bold")
    table = Rows(box=box.SIMPLE_HEAD, pad_edge=False)
    for title, side in EXPORTED.items():
        table.add_column(words(title), justify=side)
    for name, form in told["formats"].items():
        file = HOLDS[name]
        table.add_row(name, file, f"{files[file] / 1e6:.1f} MB", f"{form['difference']:.1e}")
    yield table
    beside = [name for name in files if name not in HOLDS.values()]
    yield words(f"Beside: {', '.join(beside)}; README.md shows how to use it.")
    if told["hub"]:
        yield words(f"On the hub: {told['hub']}")
    elif "timm" in told["formats"]:
        yield words(f'Load it: timm.create_model("local-dir:{folder}", pretrained=True)')


def prediction_table(label: str, found: Sequence[Mapping[str, Any]]) -> RenderableType:
    """The likeliest classes of images: of each ``image`` its ``classes``."""
    table = Rows(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(words("image"), overflow="fold", ratio=1)
    table.add_column(words("class"), overflow="fold", ratio=1)
    table.add_column(words("%"), justify="right", no_wrap=True)
    for one in found:
        for number, said in enumerate(one["classes"]):
            name = "" if number else one["image"]
            style = "" if number else "bold"
            percent = f"{100 * said['probability']:.1f}"
            table.add_row(name, words(said["class"], style=style), words(percent, style=style))
        table.add_section()
    return Group(words(label, style="bold"), table)


METRICS = {
    "top1": "top-1 %", "top5": "top-5 %", "mean_per_class": "per class %", "nll": "NLL",
    "ece": "ECE %", "images": "images",
}  # fmt: skip


def evaluation_table(label: str, told: Mapping[str, Any]) -> Iterator[RenderableType]:
    """What a network gives on a folder: ``metrics`` beside those that are ``recorded``."""
    yield words(label, style="bold")
    yield words(f"{told['folder']}: {told['classes']} of {told['of_classes']} classes")
    table = _table("", "here", "recorded")
    recorded = told["recorded"] or {}
    for name, title in METRICS.items():
        here, then = (_number(name, values.get(name)) for values in (told["metrics"], recorded))
        table.add_row(title, here, then)
    yield table


def latency_tables(told: Mapping[str, Any]) -> Iterator[RenderableType]:
    """How long networks take for a batch, beside their accuracy and size.

    Args:
        told: ``conditions``, and ``students`` as ``benchmark.deploy.latency.Latency`` tells them.
    """
    students, conditions = told["students"], told["conditions"]
    ways = list(dict.fromkeys(way for one in students for way in one["ways"]))
    table = _table("student", "top-1", "params\nMACs", "batch", *ways)
    for one in students:
        batches = dict.fromkeys(batch for times in one["ways"].values() for batch in times)
        about = (
            f"{one['network']}\n{one['recipe']}",
            _number("top1", one["top1"]),
            f"{wording.size(one['parameters'])}\n{wording.size(one['macs'])}",
        )
        for batch in batches:
            times = (_time(one["ways"].get(way, {}).get(batch)) for way in ways)
            table.add_row(*about, batch, *times)
            about = "", "", ""
        table.add_section()
    yield table
    threads = conditions["threads"]
    yield words(
        "ms a batch: median of the rounds, below it lowest–highest. "
        f"{conditions['device']}, {threads} thread{'s' * (threads != 1)}, fp32, "
        f"torch {conditions['torch']}; ONNX by onnxruntime on {conditions['onnx_device']}.",
        style="dim",
    )
    for one in students:
        for way, reason in one["left_out"].items():
            yield words(f"{one['cell']} is not measured {way}: {reason}", style="yellow")
    if any(not time["settled"] for time in _times(students)):
        yield words(
            f"{UNSETTLED} had not settled when it was measured: others compute here, too.",
            style="yellow",
        )


def _times(students: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for one in students:
        for times in one["ways"].values():
            yield from times.values()


def _time(time: Mapping[str, Any] | None) -> str:
    if time is None:
        return wording.NOTHING
    median, lowest, highest = (_ms(time[f"{part}_ms"]) for part in ("median", "lowest", "highest"))
    return f"{median}{'' if time['settled'] else UNSETTLED}\n{lowest}–{highest}"


def _ms(value: float) -> str:
    """Three digits: a fourth is never the same twice."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _number(name: str, value: float | None) -> str:
    if value is None:
        return wording.NOTHING
    if name == "images":
        return f"{value:,}"
    return f"{value:.4f}" if name == "nll" else f"{value:.2f}"


def _table(*columns: str) -> Rows:
    table = Rows(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(words(column), justify="right" if number else "left", overflow="fold")
    return table
