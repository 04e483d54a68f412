"""What git says of a folder."""

from __future__ import annotations

import hashlib
import os
import subprocess
from functools import cached_property
from pathlib import Path

SECONDS = 10.0  # of one question; a folder on a slow disk of a network is asked for seldom


def ask(folder: Path, *words: str) -> str:
    """What git writes to its output.

    Raises:
        OSError: there is no git, or no such folder.
        SubprocessError: it refuses, or takes too long.
    """
    done = subprocess.run(
        # A repository's own settings could name a program to run.
        ["git", "-c", "core.fsmonitor=false", *words],
        cwd=folder,
        capture_output=True,
        check=True,
        timeout=SECONDS,
    )
    return os.fsdecode(done.stdout)


class Committed:
    """The files of a folder that git has as they lie there: in a clone, those that came with it.

    Only git's index is read, and compared here: what git itself would compare may run filters that
    a repository's settings name.

    Args:
        root: the folder, in a repository or not.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def __contains__(self, path: Path) -> bool:
        """Whether git has this file, with the content that it has now."""
        digest = self._index.get(os.path.relpath(path, self.root))
        if digest is None:
            return False
        try:
            content = path.read_bytes()
        except OSError:
            return False
        made = hashlib.sha256 if len(digest) == 64 else hashlib.sha1
        return made(b"blob %d\0" % len(content) + content).hexdigest() == digest

    @cached_property
    def _index(self) -> dict[str, str]:
        """Digests by file, as git writes them; empty where there is no repository, or no git."""
        try:
            text = ask(self.root, "ls-files", "--stage", "-z")
        except (OSError, subprocess.SubprocessError):
            return {}
        found = {}
        for entry in filter(None, text.split("\0")):
            about, _, name = entry.partition("\t")
            found[name] = about.split()[1]
        return found
