"""Names: registered once, suggested where they are misspelt."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.errors import BenchmarkError, CardError, UnknownName
from benchmark.registry import Catalogue, Registry

# Registry


def test_registry_suggests_the_near_name() -> None:
    registry: Registry[int] = Registry("recipe", "Look there.")
    registry.add("th-kd", 1, "a.py")
    with pytest.raises(UnknownName, match=r"unknown recipe 'th_kd'\. Did you mean 'th-kd'\?\nLook"):
        registry.get("th_kd")


def test_registry_refuses_duplicates_and_names_both_files() -> None:
    registry: Registry[int] = Registry("recipe")
    registry.add("kd", 1, "one/kd.py")
    with pytest.raises(BenchmarkError, match=r"(?s)two recipes.*'kd'.*one/kd\.py.*two/kd\.py"):
        registry.add("kd", 2, "two/kd.py")


def test_registry_is_sorted() -> None:
    registry: Registry[int] = Registry("thing")
    for name, value in [("b", 2), ("c", 3), ("a", 1)]:
        registry.add(name, value, "here")
    assert list(registry) == ["a", "b", "c"]
    assert registry.values() == [1, 2, 3]
    assert "a" in registry
    assert len(registry) == 3


def test_origins_are_told() -> None:
    registry: Registry[int] = Registry("recipe")
    registry.add("kd", 1, "one/kd.py")
    assert registry.origin("kd") == "one/kd.py"
    with pytest.raises(UnknownName, match="unknown recipe 'dk'"):
        registry.origin("dk")


# Catalogue


def test_a_broken_file_is_explained_to_one_who_asks_for_what_it_holds() -> None:
    catalogue: Catalogue[int] = Catalogue(
        "card", "Look there.", error=CardError, broken="'{name}' is in {path}: {error}"
    )
    catalogue.add("good", 1, "good.toml")
    catalogue.broken[Path("my_birds.toml")] = "it has {braces}"
    assert catalogue.get("good") == 1
    assert list(catalogue) == ["good"]
    with pytest.raises(CardError, match=r"^'my-birds' is in my_birds\.toml: it has \{braces\}$"):
        catalogue.get("my-birds")
    with pytest.raises(UnknownName, match=r"unknown card 'god'\. Did you mean 'good'\?\nLook"):
        catalogue.get("god")


def test_two_things_of_one_name_are_the_catalogues_kind_of_error() -> None:
    catalogue: Catalogue[int] = Catalogue("card", error=CardError)
    catalogue.add("birds", 1, "a/birds.toml")
    with pytest.raises(CardError, match=r"(?s)two cards.*a/birds\.toml.*b/birds\.toml"):
        catalogue.add("birds", 2, "b/birds.toml")
