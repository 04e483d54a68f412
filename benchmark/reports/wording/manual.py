"""What the help of a command says, wherever it is shown: on a terminal or on a page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A word of the command line and what it means.

    Attributes:
        name: the word with what follows it: ``--dataset NAME``.
        text: what it does.
        aside: what it is if nobody writes it, and the environment variable that says it.
    """

    name: str
    text: str
    aside: str = ""


@dataclass(frozen=True)
class Panel:
    """Words that belong together."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Manual:
    """All that the help of one command says.

    Attributes:
        command: its whole name: ``kdbench new recipe``.
        usage: the form of a call.
        paragraphs: what it does, the first in one sentence.
        panels: arguments, options and commands.
        examples: whole calls, each with what it is good for.
    """

    command: str
    usage: str
    paragraphs: tuple[str, ...]
    panels: tuple[Panel, ...]
    examples: tuple[Row, ...] = ()
