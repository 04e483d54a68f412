"""What a shell offers for a half-written word: names of what there is.

A shell asks at every press of a key: nothing here imports torch, unless the index of recipes has
to be made, and whatever is wrong gives no names and no message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path

import typer

from benchmark.folders import cache_folder

Names = Callable[[typer.Context], list[str]]


def _silent(names: Callable[[typer.Context], Iterable[str]]) -> Names:
    """The same, without names where it fails: a message would stand amid what a user types."""

    @wraps(names)
    def found(ctx: typer.Context) -> list[str]:
        try:
            return list(names(ctx))
        except Exception:
            return []

    return found


@_silent
def datasets(ctx: typer.Context) -> Iterable[str]:
    """Names of the data sets."""
    return _named("datasets", ctx)


@_silent
def recipes(ctx: typer.Context) -> Iterable[str]:
    """Names of the recipes."""
    return _named("recipes", ctx)


@_silent
def suites(ctx: typer.Context) -> Iterable[str]:
    """Names of the suites."""
    return _named("suites", ctx)


@_silent
def protocols(ctx: typer.Context) -> Iterable[str]:
    """Names of protocols: of the data sets that are written already, else of all."""
    from benchmark.layouts.catalogue import known_cards

    cards = known_cards(_folders(ctx))
    chosen = _words(ctx.params.get("dataset")) or [*cards]
    return dict.fromkeys(name for dataset in chosen for name in cards.get(dataset).protocols)


@_silent
def cells(ctx: typer.Context) -> Iterable[str]:
    """Cells that are recorded."""
    from benchmark.records.places import record_files

    root = Path(ctx.params.get("results") or "results")
    return sorted(
        path.relative_to(root).with_name(path.stem).as_posix() for path in record_files(root)
    )


def _named(kind: str, ctx: typer.Context) -> list[str]:
    from benchmark.catalogues.lists import describe

    entries = describe(kind, _folders(ctx), cache_folder())
    return [entry["name"] for entry in entries if not entry.get("error")]


def _folders(ctx: typer.Context) -> list[Path]:
    return [Path(path) for path in _words(ctx.params.get("path"))]


def _words(value: object) -> list[str]:
    """What is written already of an option that may stand once or several times."""
    if isinstance(value, list | tuple):
        return [str(one) for one in value]
    return [] if value is None else [str(value)]
