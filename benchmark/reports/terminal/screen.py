"""Where text meets a terminal or a log: nothing from outside is obeyed, no write fails.

What a person sees is no reason to lose what was computed. A sign that the terminal or the log does
not have is replaced, and what cannot be written, because the disk is full or the reader has gone,
is left out and said once.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import sys
from collections.abc import Iterable
from typing import IO, Any, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.style import StyleType
from rich.table import Table
from rich.text import Text

from benchmark.reports.escape import terminal
from benchmark.reports.terminal.moment import MOMENT

# For terminals and logs that have no such sign.
SPELLED = {
    "→": "->", "—": "-", "–": "-", "…": "...", "±": "+-", "†": "+", "‡": "++", "•": "*", "·": ".",
    "×": "x", "≥": ">=", "≤": "<=", "‘": "'", "’": "'", "“": '"', "”": '"', "─": "-", "━": "-",
    "✓": "+", "✗": "x",
    **{sign: f"^{number}" for number, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
}  # fmt: skip


def words(text: object, style: StyleType = "") -> Text:
    """Text from anywhere, for a table or a line: neither markup nor codes of the terminal."""
    return Text(terminal(str(text)), style=style)


class Rows(Table):
    """A table whose cells are text as it is."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Add a row; see rich."""
        shown = (words(cell) if isinstance(cell, str) else cell for cell in cells)
        super().add_row(*shown, **options)


class Screen(Console):
    """A console that shows text as text, whoever wrote it, and never fails its writer.

    Args:
        stream: to write to.
        options: of rich's console.
    """

    def __init__(self, stream: IO[str], **options: Any) -> None:
        super().__init__(file=cast("IO[str]", sturdy(stream)), markup=False, emoji=False, **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """What is to be written, in which all codes of the terminal are this program's."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(terminal(segment.text), segment.style)


class Outlet:
    """A stream to which writing does not fail.

    Args:
        stream: that is written to.
    """

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream
        self.tells_of_readers = False  # 'kdbench list | head' is no fault, a log's end is one
        self._lost = False

    @property
    def encoding(self) -> str:
        """Of the stream."""
        return getattr(self.stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        try:
            return self.stream.isatty()
        except ValueError:  # it was closed
            return False

    def fileno(self) -> int:
        """Of the stream."""
        return self.stream.fileno()

    def write(self, text: str) -> int:
        """Write what can be written."""
        MOMENT.clear()
        try:
            self.stream.write(fitting(text, self.encoding))
        except (OSError, ValueError) as error:
            self._lose(error)
        return len(text)

    def flush(self) -> None:
        """Bring it to the reader, if there is one."""
        try:
            self.stream.flush()
        except (OSError, ValueError) as error:
            self._lose(error)

    def _lose(self, error: Exception) -> None:
        """Say once that something is not written, and let Python end without a word about it."""
        if self._lost:
            return
        self._lost = True
        atexit.register(_let_go, self.stream)
        gone = isinstance(error, OSError) and error.errno == errno.EPIPE
        if gone and not self.tells_of_readers:
            return
        reason = error.strerror if isinstance(error, OSError) else str(error)
        if self.stream is not sys.stderr:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(f"Not everything can be shown: {reason or error}.\n")
                sys.stderr.flush()


def sturdy(stream: IO[str] | Outlet) -> Outlet:
    """The stream as one to which writing does not fail."""
    if isinstance(stream, Outlet):
        return stream
    # While bars stand, rich puts a stream of its own in the place of Python's.
    return Outlet(getattr(stream, "rich_proxied_file", stream))


def fitting(text: str, encoding: str) -> str:
    """The text in signs that an encoding has."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return "".join(_spelled(sign, encoding) for sign in text)
    except LookupError:  # a name that Python does not know; the stream has its own
        return text
    return text


def _spelled(sign: str, encoding: str) -> str:
    try:
        sign.encode(encoding)
    except UnicodeEncodeError:
        return SPELLED.get(sign, "?")
    return sign


def _let_go(stream: IO[str]) -> None:
    """Empty a stream that may not take anything, so that the end of Python does not try again."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
