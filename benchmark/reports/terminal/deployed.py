"""Terminal tables of trained networks in use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType

from benchmark.reports.terminal.screen import Rows, words

HOLDS = {"timm": "model.safetensors", "torch-export": "model.pt2", "onnx": "model.onnx"}


def export_table(told: Mapping[str, Any]) -> Iterator[RenderableType]:
    """What an export wrote: ``cell``, ``folder``, ``formats``, ``files``, ``hub``."""
    folder, files = told["folder"], told["files"]
    yield words(f"{told['cell']} is in {folder}", style="bold")
    table = _table("format", "file", "size", "logits differ by")
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


def _table(*columns: str) -> Rows:
    table = Rows(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(words(column), justify="right" if number > 1 else "left", overflow="fold")
    return table
