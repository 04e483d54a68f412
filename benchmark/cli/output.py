"""How commands speak: JSON for machines, text and tables for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from benchmark.reports.terminal import console

if TYPE_CHECKING:
    from benchmark.reports.terminal import Console

__all__ = ["console", "print_json", "say"]


def say(where: Console, text: object) -> None:
    """Print a sentence as it is: no markup, no colours for numbers, no line broken."""
    where.print(text, markup=False, highlight=False, soft_wrap=True)


def print_json(value: object, *, ascii_only: bool = True) -> None:
    """Print plain data for machines."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=ascii_only))
