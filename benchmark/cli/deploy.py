"""The commands on trained networks in use: export one, ask it of images."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.options import CellArgument, JsonOption, PathOption, ResultsOption, RunsOption
from benchmark.cli.output import console, print_json, say

if TYPE_CHECKING:
    from benchmark.work.rebuilding import Student

TeacherOption = Annotated[
    list[str] | None,
    typer.Option("--teacher-checkpoint", help="NETWORK=FILE with weights that were brought."),
]


class FormatName(StrEnum):
    """The words of ``benchmark.deploy.formats.FORMATS``."""

    timm = "timm"
    torch_export = "torch-export"
    onnx = "onnx"


def export(
    cell: CellArgument,
    to: Annotated[Path, typer.Option("--to", help="Folder to make; it may be there, but empty.")],
    format_: Annotated[
        list[FormatName] | None,
        typer.Option("--format", help="In which form; repeatable. timm if none is named."),
    ] = None,
    push: Annotated[
        str | None,
        typer.Option("--push", metavar="USER/NAME", help="Put it on the Hugging Face hub, too."),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="With --push: for all to see; else for you alone.")
    ] = False,
    runs: RunsOption = Path("runs"),
    results: ResultsOption = Path("results"),
    teacher_checkpoint: TeacherOption = None,
    path: PathOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a trained network for those who have no kdbench.

    timm: a folder that timm.create_model loads. torch-export: a program that runs with torch
    alone. onnx: a graph for any runtime. Each is read back and compared with the network, and has
    a model card beside it.
    """
    from benchmark.deploy.export import export as write
    from benchmark.deploy.push import check_name
    from benchmark.deploy.push import push as upload
    from benchmark.reports.terminal.deployed import export_table
    from benchmark.reports.terminal.live import listener

    if push is not None:
        check_name(push)
    aside = console(stderr=True)
    student = student_of(cell, runs, results, teacher_checkpoint, path)
    formats = [form.value for form in format_ or [FormatName.timm]]
    done = write(student, to, formats, hub_name=push, listener=listener(aside))
    address = None if push is None else upload(to, push, public=public)
    told = done.as_json(student.cell, address)
    if as_json:
        print_json(told)
        return
    out = console()
    for part in export_table(told):
        out.print(part)


def predict(
    cell: CellArgument,
    image: Annotated[list[Path], typer.Argument(help="Files of images.")],
    runs: RunsOption = Path("runs"),
    results: ResultsOption = Path("results"),
    teacher_checkpoint: TeacherOption = None,
    path: PathOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a trained network what is on images: the five likeliest classes of each.

    Exit code 1 if an image cannot be read; the others are answered.
    """
    from benchmark.deploy.predict import predictions
    from benchmark.reports.terminal.deployed import prediction_table

    student = student_of(cell, runs, results, teacher_checkpoint, path)
    found = list(predictions(student, image))
    if as_json:
        print_json([one.as_json() for one in found])
    elif answered := [one.as_json() for one in found if one.fault is None]:
        console().print(prediction_table(student.label, answered))
    broken = [one.fault for one in found if one.fault is not None]
    for fault in broken:
        say(console(stderr=True), f"Left out: {fault}")
    raise typer.Exit(1 if broken else 0)


def student_of(
    cell: str, runs: Path, results: Path, teachers: list[str] | None, paths: list[Path] | None
) -> Student:
    """The trained network that a person means."""
    from benchmark.layouts.catalogue import known_cards
    from benchmark.matrix.request import Request, teachers_of
    from benchmark.recipe.discovery import load_recipes
    from benchmark.records.store import Store
    from benchmark.training.keeping.workspace import Workspace
    from benchmark.work.rebuilding import Rebuilder

    request = Request(teachers=teachers or (), paths=paths or ())
    rebuilder = Rebuilder(
        Store(results),
        Workspace(runs),
        known_cards(request.paths),
        load_recipes(tuple(request.paths)),
        teachers_of(request),
    )
    return rebuilder.student(cell)
