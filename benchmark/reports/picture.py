"""The result table as a picture, for pages that show what the terminal shows.

``make picture`` draws the one in the README from the committed records.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from rich.console import Console

from benchmark.records.store import Store
from benchmark.reports.aggregate import aggregate
from benchmark.reports.console import result_table

WIDTH = 84


def draw(results: Path, file: Path, *, dataset: str) -> None:
    """Write the tables of one data set as an SVG file.

    Args:
        results: folder of records.
        file: to write.
        dataset: name of the data set.
    """
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    records = [r for r in Store(results).all().records if r.spec.dataset == dataset]
    for table in result_table(aggregate(records)):
        console.print(table)
    file.parent.mkdir(parents=True, exist_ok=True)
    # A fixed id, so that equal records give an equal file.
    file.write_text(console.export_svg(title="kdbench run --suite quick", unique_id="kdbench"))


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]), dataset=sys.argv[3])
