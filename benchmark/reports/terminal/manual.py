"""The help of a command on a terminal: panels of two columns that read well from 60 columns on."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.panel import Panel as Frame
from rich.text import Text

from benchmark.reports.terminal.screen import Rows, words
from benchmark.reports.wording.manual import Manual, Panel, Row

WIDEST_NAME = 28  # of the first column; a longer name goes on in a second line


def manual_view(manual: Manual) -> Iterator[RenderableType]:
    """The parts of a manual, from usage to examples."""
    yield Padding(words(f"Usage: {manual.usage}", "bold"), (1, 1))
    for number, paragraph in enumerate(manual.paragraphs):
        yield Padding(words(paragraph, "dim" if number else ""), (0, 1, 1, 1))
    # One width for all panels: the eye follows one line.
    width = max((len(row.name) for panel in manual.panels for row in panel.rows), default=0)
    for panel in manual.panels:
        yield _framed(panel, min(width, WIDEST_NAME))
    if manual.examples:
        yield _framed_examples(manual.examples)


def _framed(panel: Panel, width: int) -> Frame:
    table = _columns(width)
    for row in panel.rows:
        text = words(row.text)
        if row.aside:
            text.append(f" {row.aside}" if row.text else row.aside, style="dim")
        table.add_row(_name(row.name), text)
    return _frame(panel.title, table)


def _framed_examples(examples: tuple[Row, ...]) -> Frame:
    table = Rows(box=None, show_header=False, expand=True, pad_edge=False)
    table.add_column(overflow="fold")
    for example in examples:
        table.add_row(words(f"# {example.text}", "dim"))
        table.add_row(words(example.name, "cyan"))
    return _frame("Examples" if len(examples) > 1 else "Example", table)


def _columns(width: int) -> Rows:
    table = Rows(box=None, show_header=False, expand=True, pad_edge=False)
    table.add_column(min_width=width, max_width=width, overflow="fold")
    table.add_column(ratio=1, overflow="fold")
    return table


def _name(name: str) -> Text:
    """The word itself bold, what follows it not."""
    word, space, value = name.partition(" ") if name.startswith("-") else (name, "", "")
    return words(word, "bold cyan").append_text(words(f"{space}{value}", "yellow"))


def _frame(title: str, table: Rows) -> Frame:
    return Frame(table, title=words(title), title_align="left", border_style="dim")
