"""Tables of named things that refuse duplicates and suggest the near name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar

from benchmark.errors import BenchmarkError, UnknownName

T = TypeVar("T")


class Registry(Generic[T]):
    """Things of one kind by name.

    Args:
        kind: what the things are, as messages call them, e.g. ``recipe``.
        hint: where they come from and how to list them; shown with an unknown name.
        duplicate: the kind of error that a second thing of one name raises.
    """

    def __init__(
        self, kind: str, hint: str = "", *, duplicate: type[BenchmarkError] = BenchmarkError
    ) -> None:
        self._kind, self._hint, self._duplicate = kind, hint, duplicate
        self._values: dict[str, T] = {}
        self._origins: dict[str, str] = {}

    def add(self, name: str, value: T, origin: object) -> None:
        """Register a thing.

        Args:
            name: must be new.
            value: the thing.
            origin: where it was defined, usually a file; named when a second one comes.

        Raises:
            BenchmarkError: there is one of this name already; both origins are named.
        """
        if name in self._values:
            raise self._duplicate(
                f"two {self._kind}s are called '{name}':\n  {self._origins[name]}\n  {origin}\n"
                "Rename one of them, or take one of the two folders away."
            )
        self._values[name] = value
        self._origins[name] = str(origin)

    def get(self, name: str) -> T:
        """The thing of this name.

        Raises:
            UnknownName: there is none; the nearest name is suggested.
        """
        if name not in self._values:
            raise UnknownName(self._kind, name, sorted(self._values), self._hint)
        return self._values[name]

    def origin(self, name: str) -> str:
        """Where the thing of this name was defined.

        Raises:
            UnknownName: there is none of this name.
        """
        self.get(name)
        return self._origins[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        """The names in alphabetical order."""
        return iter(sorted(self._values))

    def __len__(self) -> int:
        return len(self._values)

    def values(self) -> list[T]:
        """The things in the order of their names."""
        return [self._values[name] for name in self]


class Catalogue(Registry[T]):
    """Things of one kind that are read from files, of which some may be broken.

    Args:
        kind: what the things are, as messages call them, e.g. ``recipe``.
        hint: where they come from and how to list them; shown with an unknown name.
        error: the kind of error that a second thing of one name raises, and a broken file.
        broken: how the error of a broken file is told to one who asks for it: a text that may
            hold ``{name}``, ``{path}`` and ``{error}``.

    Attributes:
        broken: files that cannot be used, each with what is wrong with it.
    """

    def __init__(
        self, kind: str, hint: str = "", *, error: type[BenchmarkError], broken: str = "{error}"
    ) -> None:
        super().__init__(kind, hint, duplicate=error)
        self._error, self._explanation = error, broken
        self.broken: dict[Path, str] = {}

    def get(self, name: str) -> T:
        """The thing of this name.

        Raises:
            BenchmarkError: there is a file of this name, but it is broken; says why.
            UnknownName: there is no such thing; the nearest name is suggested.
        """
        if name not in self:
            for path, error in self.broken.items():
                if _spelled_alike(path.stem, name):
                    raise self._error(self._explanation.format(name=name, path=path, error=error))
        return super().get(name)


def _spelled_alike(stem: str, name: str) -> bool:
    """A file ``th_kd.py`` holds what is called ``th-kd``."""
    return stem.replace("_", "-") == name.replace("_", "-")
