"""What calls the command line in tests."""

from __future__ import annotations

from collections.abc import Callable

Kdbench = Callable[..., tuple[int, str, str]]  # words in; exit code, output and errors out
