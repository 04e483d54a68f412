"""Markdown as GitHub shows it, from text that was not written as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from benchmark.reports.escape import plain

# An arXiv number of either form, with or without a version.
ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5}(?:v\d+)?|[a-z-]+(?:\.[A-Z]{2})?/\d{7}(?:v\d+)?)")
# What is left as it is: code between backticks, a list's bullet. What is escaped: signs that would
# change the text's look or start a tag or a link, and underscores that do not stand inside a word.
# Code ends on its line: what begins a block would end it before its last backtick.
SIGNS = re.compile(
    r"(?P<kept>(?<!`)(?P<ticks>`+)(?!`)[^\n]*?[^`\n](?P=ticks)(?!`)|^ *[*-] (?=\S))"
    r"|(?P<sign>[\\*~$`]|<(?=[\w/!?])|&(?=[#\w])|(?<=\])[(:]|(?<!\w)_|_(?!\w))",
    re.MULTILINE,
)
# A line, or an item of a list, that would become a heading, a quotation, a list, a rule, or the
# line below the head of a table.
LINE_START = re.compile(
    r"^(?P<before> *(?:[*-] +)*?)(?P<start>#+(?= |$)|>|\+(?= |$)|\d+(?=[.)](?: |$))|=+ *$"
    r"|(?:- *)+$|[|:-][-|: ]*$|\[(?=[ xX]\] ))",
    re.MULTILINE,
)


def grid(rows: Sequence[Sequence[str]]) -> str:
    """A table that also reads well as text; the first row is the head."""
    safe = [[text.replace("|", "\\|").replace("\n", " ") for text in row] for row in rows]
    widths = [max(3, *map(len, column)) for column in zip(*safe, strict=True)]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |"
        for row in safe
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"


def prose(text: str) -> str:
    """Plain text that looks in Markdown as it was written; arXiv numbers become links."""
    shown = plain(text, lines=True)
    escaped = SIGNS.sub(lambda found: found["kept"] or f"\\{found['sign']}", shown)
    escaped = LINE_START.sub(_harmless, escaped)
    return ARXIV.sub(lambda found: arxiv_link(found[0]), escaped)


def arxiv_link(paper: str) -> str:
    """A link if the paper is given by its arXiv number, else the text itself."""
    found = ARXIV.fullmatch(paper)
    return f"[{paper}](https://arxiv.org/abs/{found[1]})" if found else paper


def code(text: str) -> str:
    """A word in the type of code, whatever backticks it has."""
    text = plain(text)
    ticks = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    pad = " " if "`" in text else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def fence(text: str, language: str = "text") -> str:
    """A block of code, exactly as it is written."""
    text = plain(text, lines=True)
    ticks = "`" * max(3, max(map(len, re.findall("`+", text)), default=0) + 1)
    return f"{ticks}{language}\n{text}\n{ticks}"


def _harmless(found: re.Match[str]) -> str:
    """Escape a line's first sign, or what follows its number."""
    before, start = found["before"], found["start"]
    return f"{before}{start}\\" if start[0].isdigit() else f"{before}\\{start}"
