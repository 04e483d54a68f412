"""The page of commands: what their help says, so that it is never out of date.

``make pages`` writes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmark.reports.wording.manual import Manual, Row
from benchmark.reports.wording.markdown import code, fence, grid, prose

LEFT_OUT = "--help"  # every command has it


def command_page(manuals: Sequence[Manual]) -> str:
    """The page as Markdown, ending in a newline.

    Args:
        manuals: of the program itself, then of its commands.
    """
    program, *commands = manuals
    parts = [
        "# Commands",
        "What `kdbench --help` and `kdbench COMMAND --help` say, made from the program by "
        "`make pages`. Every command takes `--help`, `--debug` and `--offline`.",
        *_section(program, [one.command for one in commands]),
    ]
    for manual in commands:
        parts += [f"## {manual.command}", *_section(manual, ())]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _section(manual: Manual, linked: Sequence[str]) -> Iterator[str]:
    yield from map(prose, manual.paragraphs)
    yield fence(manual.usage)
    for panel in manual.panels:
        rows = [row for row in panel.rows if row.name != LEFT_OUT]
        if rows:
            head = ("command" if _are_commands(rows, linked) else panel.title.lower(), "")
            lines = [(_name(row, linked), _text(row)) for row in rows]
            if _are_commands(rows, linked):
                yield f"**{prose(panel.title)}**"
            yield grid([head, *lines])
    if manual.examples:
        yield fence("\n".join(f"# {one.text}\n{one.name}" for one in manual.examples), "sh")


def _are_commands(rows: Sequence[Row], linked: Sequence[str]) -> bool:
    return any(f"kdbench {row.name}" in linked for row in rows)


def _name(row: Row, linked: Sequence[str]) -> str:
    """In the type of code; a command leads to its section."""
    whole = f"kdbench {row.name}"
    return f"[{row.name}](#{whole.replace(' ', '-')})" if whole in linked else code(row.name)


def _text(row: Row) -> str:
    return prose(" ".join(filter(None, (row.text, row.aside))))
