"""A git repository for tests."""

from __future__ import annotations

import subprocess
from pathlib import Path


def add(folder: Path) -> None:
    """Make a repository above a folder, if there is none, and let git have all that is in it."""
    for words in (["init", "--quiet", str(folder.parent)], ["add", "--all"]):
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)
