"""Recipes, cards, layouts and formats: which files there are, and which cannot be used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmark.cards.suites import read_suite, suite_names
from benchmark.doctor.findings import Check, Finding, Level, Surroundings, ok
from benchmark.layouts.catalogue import known_cards
from benchmark.recipe.index import describe_recipes
from benchmark.reports.formats import load_formats
from benchmark.reports.wording.counts import counted


def recipes(around: Surroundings) -> Iterator[Finding]:
    """The recipe files."""
    found = describe_recipes(around.paths, around.cache_dir)
    yield ok(counted(sum(not one.error for one in found), "recipe"))
    yield from _broken("recipe", {Path(one.path): one.error for one in found if one.error})


def cards(around: Surroundings) -> Iterator[Finding]:
    """The data set cards and the layouts of files."""
    found = known_cards(around.paths)
    yield ok(counted(len(found), "data set"))
    yield from _broken("card or layout", found.broken, "cards and layouts")


def formats(around: Surroundings) -> Iterator[Finding]:
    """The formats of the leaderboard."""
    found = load_formats(around.paths)
    yield ok(counted(len(found), "format"))
    yield from _broken("format", found.broken)


def suites(_: Surroundings) -> Iterator[Finding]:
    """The suites that come with kdbench."""
    for name in suite_names():
        read_suite(name)
    yield ok(counted(len(suite_names()), "suite"))


CHECKS: tuple[Check, ...] = (recipes, cards, formats, suites)


def _broken(kind: str, files: Mapping[Path, str], many: str = "") -> Iterator[Finding]:
    if files:
        yield Finding(
            Level.fault,
            f"{counted(len(files), kind, many)} broken and left out",
            tuple(f"{path}: {error}" for path, error in files.items()),
            "Correct the file, or take it away; all others work.",
        )
