"""Lists of what there is, as plain data.

What only some lists need is imported by them, and none imports torch as long as the index of
recipes is up to date: the list of recipes answers in under half a second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from benchmark.errors import UnknownName

Entry = dict[str, Any]


def describe(
    kind: str, paths: Sequence[Path], cache_dir: Path, search: str | None = None
) -> list[Entry]:
    """All entries of a kind.

    Each has at least ``name``; what is broken has ``error``.

    Args:
        kind: one of ``LISTS``.
        paths: folders given by ``--path``.
        cache_dir: of the index of recipes.
        search: a part of the names that are wanted, or a pattern with ``*`` and ``?``; then the
            networks of timm are among them.

    Raises:
        UnknownName: there is no list of this kind.
    """
    if kind not in LISTS:
        raise UnknownName("list", kind, LISTS)
    entries = LISTS[kind](paths, cache_dir)
    if search is None:
        return entries
    if kind == "networks":
        entries += _timm_networks()
    pattern = search.lower() if set(search) & {"*", "?"} else f"*{search.lower()}*"
    return [entry for entry in entries if fnmatchcase(entry["name"].lower(), pattern)]


def _recipes(paths: Sequence[Path], cache_dir: Path) -> list[Entry]:
    from benchmark.recipe.index import describe_recipes

    return [asdict(recipe) for recipe in describe_recipes(paths, cache_dir)]


def _datasets(paths: Sequence[Path], _cache_dir: Path) -> list[Entry]:
    from benchmark.layouts.catalogue import known_cards

    catalogue = known_cards(paths)
    cards: list[Entry] = [
        {
            "name": card.name,
            "title": card.title,
            "classes": card.classes,
            "image_size": card.image_size,
            "train": card.splits["train"],
            "test": card.splits["test"],
            "protocols": list(card.protocols),
            "pairs_by_protocol": {
                name: list(card.pairs_of(protocol)) for name, protocol in card.protocols.items()
            },
            "pairs": list(card.pairs),
            "licence": card.licence,
            "path": catalogue.origin(card.name),
        }
        for card in catalogue.values()
    ]
    return cards + [
        {"name": path.stem, "path": str(path), "error": error}
        for path, error in catalogue.broken.items()
    ]


def _networks(_paths: Sequence[Path], _cache_dir: Path) -> list[Entry]:
    from benchmark.networks.names import CIFAR_NETWORKS

    return [
        {"name": info.name, "parameters": info.parameters, "macs": info.macs}
        for info in CIFAR_NETWORKS
    ]


def _timm_networks() -> list[Entry]:
    """Those of timm; how large they are is not known before they are built."""
    import timm  # imports torch

    from benchmark.networks.names import TIMM_PREFIX

    return [
        {"name": TIMM_PREFIX + name, "parameters": None, "macs": None}
        for name in timm.list_models()
    ]


def _suites(_paths: Sequence[Path], _cache_dir: Path) -> list[Entry]:
    from benchmark.cards.suites import read_suite, suite_names

    return [read_suite(name).model_dump(mode="json") for name in suite_names()]


LISTS: Mapping[str, Callable[[Sequence[Path], Path], list[Entry]]] = {
    "recipes": _recipes,
    "datasets": _datasets,
    "networks": _networks,
    "suites": _suites,
}
