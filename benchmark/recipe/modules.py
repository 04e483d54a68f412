"""How a recipe file becomes a Python module.

Recipe files are imported by path as modules of one private package whose ``__path__`` is the list
of folders, so that ``from .crd import ContrastiveLoss`` works between recipes of all folders. Where
two folders hold a file of one name, that import finds the first.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
import types
from collections.abc import Sequence
from pathlib import Path

PACKAGE = "benchmark_recipes"


class RecipeModules:
    """The recipe files of some folders as modules; those of other folders are forgotten.

    Args:
        folders: searched in this order by the imports between recipes.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = folders
        package = sys.modules.setdefault(PACKAGE, types.ModuleType(PACKAGE))
        package.__path__ = [str(folder) for folder in folders]
        importlib.invalidate_caches()
        for name, module in list(sys.modules.items()):
            if name.startswith(f"{PACKAGE}.") and module.__file__:
                path = Path(module.__file__)
                if path.parent not in folders or name != self._name(path):
                    del sys.modules[name]

    def load(self, path: Path) -> types.ModuleType:
        """The module of a file in one of the folders, imported once a process.

        Raises:
            BaseException: whatever the file raises.
        """
        name = self._name(path)
        if name in sys.modules:
            return sys.modules[name]
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"cannot import {path}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        return module

    def _name(self, path: Path) -> str:
        """``benchmark_recipes.STEM`` for the file that a relative import finds, else one apart."""
        name = f"{PACKAGE}.{path.stem}"
        candidates = (folder / path.name for folder in self.folders)
        if path == next(candidate for candidate in candidates if candidate.exists()):
            return name
        return f"{name}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"


def told(error: BaseException, path: Path) -> str:
    """What an import raised, in one line: kind, message and the line of the file."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(path)
    ]
    if isinstance(error, SyntaxError):
        lines.append(error.lineno)
    where = f" (line {lines[-1]})" if lines else ""
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {message}{where}"
