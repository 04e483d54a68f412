"""The commands on trained networks in use: export one, ask it, evaluate it, time some."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.help import completion
from benchmark.cli.options import (
    CellArgument,
    DataOption,
    JsonOption,
    PathOption,
    ResultsOption,
    RunsOption,
)
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


class WayName(StrEnum):
    """The words of ``benchmark.deploy.latency.WAYS``."""

    eager = "eager"
    compiled = "compiled"
    onnx = "onnx"


WayOption = Annotated[
    list[WayName] | None,
    typer.Option("--way", help="How it is deployed; repeatable. All three if none is named."),
]
BatchOption = Annotated[
    list[int] | None,
    typer.Option("--batch", min=1, max=65536, help="Images at once; repeatable; else 1 and 32."),
]
SecondsOption = Annotated[
    float, typer.Option("--seconds", min=0.01, max=600, help="For which each is measured.")
]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, max=4096, help="Of the CPU; else torch's own.")
]


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


def evaluate(
    cell: CellArgument,
    images: Annotated[
        Path | None,
        typer.Option("--images", help="Folder with a subfolder a class; else the test set."),
    ] = None,
    data: DataOption = None,
    runs: RunsOption = Path("runs"),
    results: ResultsOption = Path("results"),
    teacher_checkpoint: TeacherOption = None,
    path: PathOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a trained network again: on its test set, or on images of your own.

    On the test set, exit code 0 says that its record is right, 1 that it is not. On a folder, 1
    says that an image cannot be read.
    """
    from benchmark.cli.verify import show_verdict, verifier_of
    from benchmark.matrix.request import Request
    from benchmark.records.store import Store

    if images is None:
        record = Store(results).lookup(cell)
        request = Request(teachers=teacher_checkpoint or (), paths=path or ())
        verifier = verifier_of(record, request, data=data, runs=runs, results=results)
        verdict = verifier.evaluate(record)
        show_verdict(verdict, as_json=as_json)
        raise typer.Exit(0 if verdict.holds else 1)

    from benchmark.deploy.evaluate import evaluate as measured
    from benchmark.reports.terminal.deployed import evaluation_table
    from benchmark.work.accelerator import make_accelerator

    student = student_of(cell, runs, results, teacher_checkpoint, path)
    found = measured(student, images, make_accelerator("fp32"))
    told = found.as_json(student)
    if as_json:
        print_json(told)
    else:
        for part in evaluation_table(student.label, told):
            console().print(part)
    for fault in found.faults:
        say(console(stderr=True), f"Left out: {fault}")
    raise typer.Exit(1 if found.faults else 0)


def latency(
    cell: Annotated[
        list[str],
        typer.Argument(
            help="One or several, e.g. sketchbirds/resnet14__resnet8/kd/seed0.",
            autocompletion=completion.cells,
        ),
    ],
    way: WayOption = None,
    batch: BatchOption = None,
    seconds: SecondsOption = 1.0,
    threads: ThreadsOption = None,
    runs: RunsOption = Path("runs"),
    results: ResultsOption = Path("results"),
    teacher_checkpoint: TeacherOption = None,
    path: PathOption = None,
    as_json: JsonOption = False,
) -> None:
    """Time trained networks as they are deployed, beside their accuracy and size.

    All take turns in rounds; the median of the rounds is told with the lowest and the highest.
    """
    import torch

    from benchmark.deploy.latency import BATCHES, WAYS, measure
    from benchmark.deploy.latency import as_json as for_machines
    from benchmark.reports.terminal.deployed import latency_tables
    from benchmark.reports.terminal.live import listener
    from benchmark.work.accelerator import make_accelerator

    if threads is not None:
        torch.set_num_threads(threads)
    device = make_accelerator("fp32").device
    students = [student_of(one, runs, results, teacher_checkpoint, path) for one in cell]
    found = measure(
        students,
        device,
        ways=list(dict.fromkeys(word.value for word in way or ())) or WAYS,
        batches=list(dict.fromkeys(batch or BATCHES)),
        seconds=seconds,
        listener=listener(console(stderr=True)),
    )
    told = for_machines(found, device)
    if as_json:
        print_json(told)
    for part in () if as_json else latency_tables(told):
        console().print(part)


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
