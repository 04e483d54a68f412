"""What others are asked to cite."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

import benchmark

ROOT = Path(__file__).resolve().parent.parent


def test_the_citation_is_of_this_version_and_licence() -> None:
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert found["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= found.keys()  # what the format asks for
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert found["version"] == benchmark.__version__
    assert found["license"] == project["license"]
    assert [author["name"] for author in found["authors"]] == [
        author["name"] for author in project["authors"]
    ]


def test_the_entry_for_bibtex_says_the_same() -> None:
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    entry = (ROOT / "README.md").read_text("utf-8").partition("```bibtex\n")[2]
    values = dict(re.findall(r"(\w+)\s*= \{+(.*?)\}+,?\n", entry.partition("```")[0]))
    assert values["title"] == found["title"]
    assert values["version"] == found["version"]
    assert values["author"] == found["authors"][0]["name"]
