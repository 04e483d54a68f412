"""The leaderboard as JSON: all that the other formats show, and the score of every seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmark.records.reported import EpochRule, Reported, ReportedNumber
from benchmark.reports.board.comparison import Row, Section
from benchmark.reports.board.metrics import MACS, PARAMETERS, Metric
from benchmark.reports.board.statistics import Difference, Summary
from benchmark.reports.board.tables import Board, Cell, Column, Table
from benchmark.reports.escape import json_text
from benchmark.reports.formats import Format
from benchmark.reports.wording import numbers as wording
from benchmark.reports.wording.numbers import rounded

FORMAT_VERSION = 1  # raised when a key changes its meaning
KEYS: dict[EpochRule, str] = {
    "last": "last_epoch",
    "best": "best_on_test",
    "unknown": "rule_not_known",
}


def json_board(board: Board, sections: Sequence[Section]) -> str:
    """Everything that the other formats show, and the score of every seed.

    Args:
        board: ours.
        sections: numbers of others, by data set; under ``reported``, never among ours.
    """
    value = {
        "format_version": FORMAT_VERSION,
        "metric": f"last-epoch {board.metric.label}{_unit(board.metric)}",
        "tables": [_table(table) for table in board.tables],
        "reported": [_section(section) for section in sections],
        "speed": [device.model_dump(mode="json") for device in board.speeds],
        "stale": dict(board.stale),
        "unreadable": board.unreadable,
        "damaged": list(board.damaged),
        "beside": list(board.beside),
    }
    return json_text(value)


def _unit(metric: Metric) -> str:
    return f" in {metric.unit.replace('%', 'percent')}" if metric.unit else ""


def _table(table: Table) -> dict[str, Any]:
    return {
        "dataset": table.dataset,
        "protocol": table.protocol,
        "ranked": table.ranked,
        "evaluated_on": table.evaluated_on,
        "notes": wording.notes(table),
        "pairs": [_pair(table, column) for column in table.columns],
        "networks": [{"network": row.network} | _cell(row.cell) for row in table.networks],
    }


def _pair(table: Table, column: Column) -> dict[str, Any]:
    return {
        "teacher": column.teacher,
        "student": column.student,
        "mark": column.mark,
        "seeds": list(column.seeds),
        f"teacher_{table.metric.name}": _summary(column.teacher_score),
        "teacher_notes": list(column.teacher_notes),
        "alone": _cell(column.alone) if column.alone else None,
        "methods": [_cell(column.cells[m]) for m in table.methods([column])],
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "method": cell.method,
        "recipe": cell.recipe,
        cell.metric.name: _summary(cell.score),
        "by_seed": {str(seed): rounded(value) for seed, value in cell.by_seed.items()},
        "missing": list(cell.missing),
        "failures": {status: list(seeds) for status, seeds in cell.failures.items()},
        "gain": _difference(cell.gain),
        "teacher": _summary(cell.teacher),
        "parameters": cell.latest(PARAMETERS),
        "macs": cell.latest(MACS),
        "rank": cell.rank,
        "mark": cell.mark,
        "provenance": {name: list(values) for name, values in cell.provenance.items()},
        "notes": list(cell.notes),
    }


def _summary(value: Summary | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {"n": value.n, "mean": rounded(value.mean), "std": rounded(value.std)}


def _difference(value: Difference | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {
        "n": value.n,
        "mean": rounded(value.mean),
        "low": rounded(value.low),
        "high": rounded(value.high),
    }


def _section(section: Section) -> dict[str, Any]:
    """Everything of a section; an accuracy's key says its epoch rule."""
    return {
        "dataset": section.dataset,
        "sources": [_source(source) for source in section.sources],
        "comparisons": [
            {
                "teacher": comparison.column.teacher,
                "student": comparison.column.student,
                "protocol": comparison.table.protocol,
                "ranked": comparison.table.ranked,
                "rows": [_row(row) for row in comparison.rows],
            }
            for comparison in section.comparisons
        ],
    }


def _source(source: Reported) -> dict[str, Any]:
    return {
        "name": source.name,
        "title": source.title,
        "url": source.url,
        "epoch_rule": source.epoch_rule,
        "rule_from": source.rule_from,
        "runs": source.runs,
        "protocol": source.protocol.model_dump(mode="json", exclude_none=True),
        "note": source.note,
        "numbers": [
            {"teacher": teacher, "student": student, "method": method} | _measured(number, source)
            for pair, numbers in source.top1.items()
            for teacher, _, student in [pair.partition(":")]
            for method, number in numbers.items()
        ],
    }


def _measured(number: ReportedNumber, source: Reported) -> dict[str, Any]:
    return {
        KEYS[source.epoch_rule]: number.top1,
        "std": number.std,
        "runs": number.runs or source.runs,
        "note": number.note,
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "method": row.method,
        "source": row.source.name,
        KEYS[row.source.epoch_rule]: row.number.top1,
        "ours": _summary(row.summary),
        "difference": rounded(row.difference),
        "protocol_differences": list(row.differing),
    }


FORMAT = Format("json", json_board, shows_reported=True)
