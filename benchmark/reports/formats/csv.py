"""The leaderboard as CSV in long form, ours alone: one column of means mixes no epoch rules."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from benchmark.reports.board.comparison import Section
from benchmark.reports.board.metrics import MACS, PARAMETERS
from benchmark.reports.board.tables import Board, Cell, Table
from benchmark.reports.escape import csv_cell
from benchmark.reports.formats import Format
from benchmark.reports.wording.numbers import rounded

# What a mean averages, several values with a semicolon between them.
PROVENANCE = (
    "precision", "devices", "processors", "processes", "threads", "torch", "torchvision", "timm",
    "kdbench", "engines", "commits", "data_revision", "recipe_version", "recipe_source",
    "published_weights", "weights", "variant", "protocol_values",
)  # fmt: skip
COLUMNS = (
    "dataset", "protocol", "ranked", "evaluated_on", "kind", "teacher", "student", "method",
    "recipe", "n", "mean", "std", "gain", "gain_low", "gain_high", "gain_n", "teacher_mean", "rank",
    "missing", "failures", "parameters", "macs", "mark", *PROVENANCE, "notes",
)  # fmt: skip


def csv_text(board: Board, sections: Sequence[Section]) -> str:
    """One row per cell; ``kind`` is ``teacher``, ``alone``, ``method`` or ``network``."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for table in board.tables:
        about = {
            "dataset": table.dataset,
            "protocol": table.protocol,
            "ranked": str(table.ranked).lower(),
            "evaluated_on": table.evaluated_on,
        }
        for row in _long(table):
            writer.writerow({name: csv_cell(value) for name, value in (about | row).items()})
    return text.getvalue()


def _long(table: Table) -> Iterable[dict[str, object]]:
    for column in table.columns:
        pair = {"teacher": column.teacher, "student": column.student, "mark": column.mark}
        if summary := column.teacher_score:
            about = {"kind": "teacher", "n": summary.n, "notes": " ".join(column.teacher_notes)}
            yield pair | about | {"mean": rounded(summary.mean), "std": rounded(summary.std)}
        if column.alone:
            yield pair | {"kind": "alone"} | _flat(column.alone, column.mark)
        for method in table.methods([column]):
            yield pair | {"kind": "method"} | _flat(column.cells[method], column.mark)
    for row in table.networks:
        yield {"kind": "network", "student": row.network} | _flat(row.cell)


def _flat(cell: Cell, mark: str = "") -> dict[str, object]:
    """One cell.

    Args:
        cell: to write.
        mark: of its column.
    """
    score, gain, averaged = cell.score, cell.gain, cell.provenance
    return {
        "method": cell.method,
        "recipe": cell.recipe,
        "n": score.n if score else 0,
        "mean": rounded(score.mean) if score else None,
        "std": rounded(score.std) if score else None,
        "gain": rounded(gain.mean) if gain else None,
        "gain_low": rounded(gain.low) if gain else None,
        "gain_high": rounded(gain.high) if gain else None,
        "gain_n": gain.n if gain else None,
        "teacher_mean": rounded(cell.teacher.mean) if cell.teacher else None,
        "rank": cell.rank,
        "missing": " ".join(map(str, cell.missing)),
        "failures": " ".join(f"{status}:{len(s)}" for status, s in cell.failures.items()),
        "parameters": cell.latest(PARAMETERS),
        "macs": cell.latest(MACS),
        "mark": "; ".join(filter(None, [mark, cell.mark])),
        **{name: "; ".join(averaged[name]) for name in PROVENANCE},
        "notes": " ".join(cell.notes),
    }


FORMAT = Format("csv", csv_text)
