"""The result table as a picture, for pages that show what the terminal shows.

``make picture`` draws the one in the README from the committed records.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path

from benchmark.records.store import Store
from benchmark.reports.board.aggregate import aggregate
from benchmark.reports.terminal import as_svg
from benchmark.reports.terminal.results import result_table

WIDTH = 84


def draw(
    results: Path, file: Path, *, dataset: str, pair: tuple[str, str], recipes: Collection[str]
) -> None:
    """Write the table of one pair as an SVG file.

    Args:
        results: folder of records.
        file: to write.
        dataset: name of the data set.
        pair: teacher and student.
        recipes: those that are shown, and those that they build on.
    """
    records = [
        r
        for r in Store(results).all().records
        if r.spec.dataset == dataset
        and r.spec.recipe in recipes
        and {r.spec.network, *(role.network for role in r.spec.roles.values())} <= set(pair)
    ]
    picture = as_svg(
        result_table(aggregate(records)), width=WIDTH, title="kdbench run --suite quick"
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(picture)


if __name__ == "__main__":
    folder, svg, name, teacher, student, *shown = sys.argv[1:]
    draw(Path(folder), Path(svg), dataset=name, pair=(teacher, student), recipes=shown)
