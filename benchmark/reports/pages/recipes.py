"""The page of recipes: a pure function of what their files say, so that it is never out of date.

A recipe's docstring is shown in its own order: the idea, the equation as it is written, what its
letters mean, the paper. ``make pages`` writes the page of the built-in recipes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

from benchmark.reports.board.tables import Board
from benchmark.reports.escape import markdown as escape
from benchmark.reports.escape import plain
from benchmark.reports.pages.sensitivity import sensitivity
from benchmark.reports.wording import settings as wording
from benchmark.reports.wording.markdown import arxiv_link, code, fence, grid, prose

# From a network alone to methods that change it; what is not here stands behind them.
FAMILIES = {
    "alone": ("Trained alone", "No teacher: what gains are measured against, and controls."),
    "control": (
        "Controls",
        "What a method's means give without it: its views, its passes, its average.",
    ),
    "logits": ("From the logits", "The student learns from the teacher's class scores."),
    "features": ("From the features", "The student learns from the teacher's maps and embeddings."),
    "relations": ("From relations", "The student learns how images stand to each other."),
    "contrastive": ("By contrast", "The student learns to tell the teacher's view of an image."),
    "head": ("Through the classifier", "Student and teacher use one classifier."),
    "other": ("Other", "What is none of these."),
}
NOTHING = "—"
Entry = Mapping[str, Any]


def recipe_page(entries: Sequence[Entry], folder: Path, board: Board | None = None) -> str:
    """The page as Markdown, ending in a newline.

    Args:
        entries: descriptions of recipes; broken ones are left out.
        folder: where the page is to stand; links to files start there.
        board: of records, in which some may be of one method with several settings.
    """
    recipes = sorted((e for e in entries if not e.get("error")), key=_place)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("benchmark"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    families = [
        {"title": _family(name)[0], "about": _family(name)[1],
         "recipes": [_section(recipe, folder, board) for recipe in members]}
        for name, members in groupby(recipes, key=lambda recipe: recipe["family"])
    ]  # fmt: skip
    return environment.get_template("recipes.md.jinja").render(
        index=_index(recipes), families=families
    )


def _place(entry: Entry) -> tuple[int, str, str]:
    known, family = list(FAMILIES), entry["family"]
    return known.index(family) if family in known else len(known), family, entry["name"]


def _family(name: str) -> tuple[str, str]:
    return FAMILIES.get(name, (f"Family {prose(name)}", ""))


def _index(recipes: Sequence[Entry]) -> str:
    rows = [["name", "family", "idea", "paper", "reads"]]
    rows += [
        [
            f"[{escape(recipe['name'])}](#{quote(recipe['name'])})",
            prose(recipe["family"]),
            prose(recipe["summary"]),
            _paper(recipe),
            _reads(recipe),
        ]
        for recipe in recipes
    ]
    return grid(rows)


def _section(recipe: Entry, folder: Path, board: Board | None) -> dict[str, Any]:
    file = Path(recipe["path"])
    return {
        "title": escape(recipe["name"]),
        "name": plain(recipe["name"]),
        "paper": _paper(recipe),
        "reads": _reads(recipe),
        "version": recipe["version"],
        "file": escape(f"{file.parent.name}/{file.name}"),
        "link": quote(Path(os.path.relpath(file, folder.resolve())).as_posix()),
        "text": _text(recipe["docstring"]),
        "settings": _settings(recipe["settings"]),
        "sensitivity": sensitivity(board, recipe["name"]) if board else "",
        "example": _example(recipe),
    }


def _paper(recipe: Entry) -> str:
    paper = recipe["paper"]
    return arxiv_link(paper) if arxiv_link(paper) != paper else prose(paper) or NOTHING


def _reads(recipe: Entry) -> str:
    return ", ".join(["logits", *map(escape, recipe["needs"])])


def _text(docstring: str) -> str:
    """Paragraphs as prose; blocks whose lines are all indented as code, exactly as written."""
    paragraphs = re.split(r"\n(?:[ \t]*\n)+", docstring.strip("\n"))
    parts = []
    for indented, blocks in groupby(paragraphs, key=_is_indented):
        if indented:  # blocks of one equation with a blank line between them stay together
            parts.append(fence("\n\n".join(_dedent(block) for block in blocks)))
        else:
            parts += [prose(block.strip()) for block in blocks]
    return "\n\n".join(filter(None, parts))


def _is_indented(paragraph: str) -> bool:
    return all(line.startswith("    ") for line in paragraph.splitlines())


def _dedent(block: str) -> str:
    """Without the four spaces that make it a block; further ones are its own."""
    return "\n".join(line[4:].rstrip() for line in block.splitlines())


def _settings(settings: Mapping[str, Mapping[str, Any]]) -> str:
    """The table of settings, or nothing; notes have a column if there is one."""
    rows = [
        [
            code(name),
            _kind(setting),
            code(wording.shown(setting["default"])),
            prose(setting.get("comment", "")),
        ]
        for name, setting in wording.own_first(settings).items()
    ]
    if not rows:
        return ""
    rows.insert(0, ["setting", "type", "default", "note"])
    return grid(rows if any(row[-1] for row in rows[1:]) else [row[:-1] for row in rows])


def _kind(setting: Mapping[str, Any]) -> str:
    if "choices" in setting:
        return " or ".join(code(str(choice)) for choice in setting["choices"])
    return prose(wording.kind(setting))


def _example(recipe: Entry) -> str | None:
    """``th-kd[form=paper]``: the recipe with its first setting that has another obvious value."""
    for name, setting in wording.own_first(recipe["settings"]).items():
        if (value := wording.another_value(setting)) is not None:
            return plain(f"{recipe['name']}[{name}={value}]")
    return None
