"""Records as a table."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas

from benchmark.catalogues.today import current, sources
from benchmark.errors import RecordError
from benchmark.folders import cache_folder
from benchmark.records.canonical import recipe_label
from benchmark.records.schema import Cost, Metrics, Record
from benchmark.records.store import Store
from benchmark.reports.board.staleness import stale_records


def load_results(
    results: str | Path = "results", *, paths: Sequence[str | Path] = ()
) -> pandas.DataFrame:
    """All records of a folder, one row each, those of runs that failed among them.

    Args:
        results: folder of the records.
        paths: folders with more recipes and cards, to tell which records are stale.

    Returns:
        The columns, in this order:

        * ``cell``: the record's place in the folder, which ``load_student`` and ``kdbench show``
          take;
        * ``dataset``, ``protocol``, ``ranked``, ``pair``, ``teacher``, ``network`` (that was
          trained), ``recipe``, ``label`` (the recipe with the settings that are not the defaults),
          ``seed``, ``variant``; ``pair`` and ``teacher`` are missing for runs without one;
        * ``status``, and ``error`` if it is not ``ok``;
        * ``stale``: why today's code and cards would give another result; missing if they would
          not;
        * ``source``: how the source of its recipe stands to that of today: ``today``, ``attested``
          to give the same numbers, ``changed``, or ``unknown`` where there is no such recipe.
          Records of one mean have one of the first two, or one ``recipe_source``;
        * ``recipe_source``, ``recipe_version``, ``data_revision``, ``precision``, ``device``,
          ``processor``, ``processes``, ``threads``, ``git_commit``, ``git_dirty``: what it
          came from;
        * every field of ``Metrics`` and of ``Cost`` in ``benchmark.records.schema``, missing for
          runs that failed;
        * ``finished``, ``identity``.

    Raises:
        RecordError: there is no such folder.
    """
    store = Store(Path(results))
    if not store.root.is_dir():
        raise RecordError(f"there is no folder {store.root}. Name the one that holds the records.")
    contents = store.all()
    for problem in contents.problems:
        warnings.warn(f"left out: {problem.message}", stacklevel=2)
    today = current([Path(path) for path in paths], cache_folder())
    stale = stale_records(contents.records, today)
    known = sources([Path(path) for path in paths], cache_folder(), contents.attested)
    rows = [
        _row(record, store, stale.get(record.identity), known.group(record).standing.value)
        for record in contents.records
    ]
    return pandas.DataFrame(rows, columns=COLUMNS)


SPEC = ("dataset", "protocol", "ranked", "pair", "teacher", "network", "recipe", "label", "seed",
        "variant")  # fmt: skip
MEASURED = (*Metrics.model_fields, *Cost.model_fields)
ASKED = ("recipe_version", "data_revision")
WHERE = ("precision", "device", "processor", "processes", "threads", "git_commit", "git_dirty")
COLUMNS = ("cell", *SPEC, "status", "error", "stale", "source", "recipe_source", *ASKED, *WHERE,
           *MEASURED, "finished", "identity")  # fmt: skip


def _row(record: Record, store: Store, stale: str | None, source: str) -> dict[str, Any]:
    spec = record.spec
    teacher = spec.roles.get("teacher")
    place = store.path_of(spec).relative_to(store.root).with_suffix("")
    return {
        "cell": place.as_posix(),
        **{name: getattr(spec, name, None) for name in SPEC},
        "teacher": teacher.network if teacher else None,
        "label": recipe_label(spec.recipe, spec.changed),
        "status": record.status,
        "error": record.error.message if record.error else None,
        "stale": stale,
        "source": source,
        "recipe_source": record.recipe_source,
        **{name: getattr(spec, name) for name in ASKED},
        **{name: getattr(record.environment, name) for name in WHERE},
        **(record.metrics.model_dump() if record.metrics else {}),
        **(record.cost.model_dump() if record.cost else {}),
        "finished": record.finished,
        "identity": record.identity,
    }
