import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

# The made records are shared with the tests of the store.
sys.path.insert(0, str(Path(__file__).parent.parent / "records"))


@pytest.fixture
def printed():
    """Print renderables as into a log file of a width."""

    def print_all(*renderables, width=80):
        file = io.StringIO()
        console = Console(file=file, width=width)
        for renderable in renderables:
            console.print(renderable)
        lines = file.getvalue().splitlines()
        assert all(len(line) <= width for line in lines)
        assert "\x1b" not in file.getvalue()
        return "\n".join(line.rstrip() for line in lines) + "\n"

    return print_all
