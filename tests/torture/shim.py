"""The library that lets something happen at the n-th operation on files; see ``shim.c``."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
KINDS = "open write fsync rename link unlink mkdir"


def compiled(folder: Path) -> Path | None:
    """The library, or None where there is no compiler or another system."""
    library = folder / "shim.so"
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    words = [compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    made = subprocess.run(words, capture_output=True, text=True, check=False)
    return library if made.returncode == 0 else None


def at(number: int, what: str, *, under: Path, count: Path, often: int = 1, kinds: str = KINDS):
    """Environment in which something happens at the n-th operation on files below a folder.

    Args:
        number: of the operation, from 1.
        what: ``kill``, ``group``, ``short``, ``count`` or the number of an error.
        under: the folder.
        count: file in which all processes count; it begins anew.
        often: to how many operations in a row; 0 is all from then on.
        kinds: of operations that count.
    """
    count.write_bytes(bytes(8))
    return {
        "SHIM_UNDER": str(under), "SHIM_KINDS": kinds, "SHIM_COUNT": str(count),
        "SHIM_AT": str(number), "SHIM_FOR": str(often), "SHIM_DO": what,
    }  # fmt: skip


def counted(count: Path) -> int:
    """How many operations there were."""
    return int.from_bytes(count.read_bytes(), "little")
