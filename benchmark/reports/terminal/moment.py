"""One line on the terminal that says what takes a moment, until there is something to show.

It knows no rich and nothing else that is slow to import: it is there before they are.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from benchmark.processes import RANKED

_ERASE = "\r\x1b[K"  # from its first sign on


class Moment:
    """A line on the standard error, where a person watches it; elsewhere nothing is written."""

    def __init__(self) -> None:
        self._stands = False

    def say(self, what: str) -> None:
        """Write it in the place of the line before.

        Args:
            what: is being done.
        """
        with suppress(OSError, ValueError, AttributeError):  # the stream is closed, or none
            if not _is_watched():
                return
            shown = f"{what} …"
            shown.encode(sys.stderr.encoding)
            sys.stderr.write(f"{_ERASE if self._stands else ''}{shown}")
            sys.stderr.flush()
            self._stands = True

    def clear(self) -> None:
        """Take it away: something else is about to be shown."""
        if not self._stands:
            return
        self._stands = False
        with suppress(OSError, ValueError):
            sys.stderr.write(_ERASE)
            sys.stderr.flush()


def _is_watched() -> bool:
    several = any(name in os.environ for name in RANKED)  # of which one would be enough
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not several


MOMENT = Moment()
