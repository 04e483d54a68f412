"""The page of an exported network, as the hub shows it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import benchmark
from benchmark.cards.card import HubSource
from benchmark.deploy.formats import FORMATS
from benchmark.deploy.viewing import View
from benchmark.matrix.run import Run
from benchmark.records.schema import Metrics
from benchmark.reports.wording.markdown import code, grid, prose
from benchmark.work.rebuilding import Student

if TYPE_CHECKING:
    from huggingface_hub import ModelCardData

TEMPLATE = Path(__file__).with_name("model_card.md.jinja")
# By the hub's names of metrics, its field in a record, and what divides it: the hub has fractions.
METRICS = (
    ("accuracy", "top-1 accuracy", "top1", 100),
    ("top_5_accuracy", "top-5 accuracy", "top5", 100),
    ("balanced_accuracy", "mean accuracy of the classes", "mean_per_class", 100),
    ("expected_calibration_error", "expected calibration error", "ece", 100),
    ("nll", "mean negative log-likelihood", "nll", 1),
)


def model_card(student: Student, formats: Sequence[str], place: str) -> str:
    """The README of an exported folder, with evaluation results in the hub's format.

    Args:
        student: that was exported.
        formats: by name, in which it was.
        place: by what name timm loads it.
    """
    from huggingface_hub import ModelCard

    card, view = student.run.card, View.of(student.run.card, student.pictures)
    metrics = _metrics(student)
    page = ModelCard.from_template(
        _data(student, formats, metrics),
        template_str=TEMPLATE.read_text("utf-8"),
        title=prose(_title(student)),
        summary=prose(_summary(student)),
        facts=grid(_facts(student)),
        metrics=grid([["metric", "value"], *_values(metrics)]),
        evaluated=f"On {metrics.images:,} {metrics.evaluated_on} images of {prose(card.title)}, "
        "after the last epoch, of one seed.",
        short=view.short,
        size=view.size,
        classes=student.pictures.classes,
        formats=formats,
        place=place,
        version=benchmark.__version__,
        provenance=grid(_provenance(student)),
        citation=prose(card.citation).rstrip("."),
    )
    return str(page).rstrip() + "\n"


def _metrics(student: Student) -> Metrics:
    if student.record.metrics is None:
        raise ValueError("a network without a result is not exported")
    return student.record.metrics


def _data(student: Student, formats: Sequence[str], metrics: Metrics) -> ModelCardData:
    """What the hub reads: tags, the data set, the results."""
    from huggingface_hub import EvalResult, ModelCardData

    card, spec = student.run.card, student.record.spec
    hub = card.source.hub if isinstance(card.source, HubSource) else None
    results = [
        EvalResult(
            task_type="image-classification",
            dataset_type=hub or card.name,
            dataset_name=card.title,
            dataset_split=metrics.evaluated_on,
            dataset_revision=card.source.revision if hub else None,
            metric_type=kind,
            metric_name=name,
            metric_value=round(getattr(metrics, field) / scale, 6),
        )
        for kind, name, field, scale in METRICS
    ]
    return ModelCardData(
        model_name=_title(student),
        library_name=FORMATS[formats[0]].library,
        pipeline_tag="image-classification",
        tags=["image-classification", "knowledge-distillation", "kdbench", *formats],
        datasets=[hub] if hub else None,
        base_model=None if not spec.starts_from else spec.starts_from,
        metrics=["accuracy"],
        eval_results=results,
    )


def _title(student: Student) -> str:
    return f"{student.record.spec.network} on {student.run.card.title}, {_method(student)}"


def _method(student: Student) -> str:
    return student.run.recipe_label


def _summary(student: Student) -> str:
    spec, card = student.record.spec, student.run.card
    teacher = spec.roles.get("teacher")
    if teacher is None:
        return f"{spec.network}, trained by '{_method(student)}' on {card.title}."
    known = "" if teacher.top1 is None else f" ({teacher.top1:.2f} % top-1)"
    return (
        f"{spec.network}, distilled from {teacher.network}{known} by '{_method(student)}' on "
        f"{card.title}."
    )


def _facts(student: Student) -> list[list[str]]:
    spec, cost = student.record.spec, student.record.cost
    rows = [["", ""], ["network", code(spec.network)]]
    if cost is not None:
        rows.append(["parameters", f"{cost.parameters:,}"])
        rows.append(["multiply-accumulates", f"{cost.macs:,} for one image"])
    for name, role in sorted(spec.roles.items()):
        known = "" if role.top1 is None else f", {role.top1:.2f} % top-1"
        rows.append([prose(name), f"{code(role.network)}, {code(role.recipe)}{known}"])
    paper = student.run.recipe.paper if isinstance(student.run, Run) else ""
    rows.append(["method", code(_method(student)) + (f", {prose(paper)}" if paper else "")])
    values = ", ".join(f"{key} {value}" for key, value in spec.protocol_values.items())
    rows.append(["protocol", f"{code(spec.protocol)}: {prose(values)}"])
    rows.append(["started from", code(spec.starts_from) if spec.starts_from else "random weights"])
    return rows


def _values(metrics: Metrics) -> list[list[str]]:
    rows = []
    for _, name, field, scale in METRICS:
        value = getattr(metrics, field)
        rows.append([name, f"{value:.2f} %" if scale == 100 else f"{value:.4f}"])
    if metrics.agreement is not None:
        rows.append(["agreement with the teacher", f"{metrics.agreement:.2f} %"])
    return rows


def _provenance(student: Student) -> list[list[str]]:
    record = student.record
    card, environment = student.run.card, record.environment
    rows = [
        ["", ""],
        ["record", code(student.cell)],
        ["identity", code(record.identity)],
        ["weights", code(record.weights or "unknown: recorded by an older version")],
        ["data", f"{code(card.name)}, revision {code(card.revision)}"],
        ["licence of the data", prose(card.licence) or "not stated"],
        ["trained on", f"{prose(environment.device)}, {environment.precision}"],
        ["finished", prose(record.finished)],
    ]
    if environment.git_commit:
        rows.append(["commit of kdbench", code(environment.git_commit)])
    return rows
