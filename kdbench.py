"""The command ``kdbench``; ``python -m kdbench`` is the same, e.g. for ``accelerate launch -m``.

The engine's package is called ``benchmark``, as many call a script of theirs. Where such a one lies
in a folder in which Python looks first, it would be imported in the place of the engine. That is
noticed here, before anything of it is run, and said.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

ENGINE = "benchmark"


def main() -> None:
    """Start the command line, or say what hides it."""
    check()
    from benchmark.cli import main as start

    start()


def check() -> None:
    """End with a message if another module would be imported in the place of the engine."""
    if foreign := hidden_by():
        sys.stderr.write(
            f"Error: {foreign} hides the package '{ENGINE}' of kdbench: Python looks there first.\n"
            f"Rename it, or call kdbench in another folder, and without {foreign.parent} in "
            "PYTHONPATH.\n"
        )
        sys.exit(2)


def hidden_by() -> Path | None:
    """What would be imported in the place of the engine; None if it is the engine.

    It is looked for and not run. That the engine is not installed at all, Python says.
    """
    spec = importlib.util.find_spec(ENGINE)
    if spec is None:
        return None
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    if any((folder / "cli" / "app.py").is_file() for folder in folders):
        return None
    return Path(spec.origin) if spec.origin else folders[0]


if __name__ == "__main__":
    check()
    from benchmark.processes import start_all

    if not start_all():
        main()
