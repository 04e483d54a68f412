"""What a recipe's source says, told apart from how it is written.

Two digests of the same files. That of the *text* changes with every byte. That of the *meaning* is
of the syntax tree without docstrings, comments, positions and statements that do nothing, so that
another layout or a corrected sentence leaves results valid, and another constant does not. Records
that are older than the second kind have the first alone.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

PREFIX = "tree1:"  # its number is raised when the same tree gets another digest


@dataclass(frozen=True)
class Source:
    """A recipe's file and the recipe files that it imports from, as digests.

    Attributes:
        meaning: ``tree1:`` and 64 hexadecimal digits, of the syntax trees. What records and
            checkpoints of today hold.
        text: sha256 of the bytes of all the files. What older records hold.
    """

    meaning: str
    text: str

    def matches(self, recorded: str) -> bool:
        """Whether a digest that was recorded, of either kind, is of this source."""
        return recorded in (self.meaning, self.text)


def source_of(module: str) -> Source:
    """The source of an imported module and of the modules of its package that it imports from.

    Relative imports are followed, and absolute ones within the module's own package. What is no
    file, as a class that was typed into a notebook, has the digest of nothing.

    Args:
        module: its full name.

    Raises:
        SyntaxError, OSError: a file was changed or removed since it was imported.
    """
    contents: dict[str, bytes] = {}
    names = [module]
    while names:
        name = names.pop()
        file = getattr(sys.modules.get(name), "__file__", None)
        if name in contents or file is None:
            continue
        contents[name] = Path(file).read_bytes()
        names += _imported_by(contents[name], name)
    return source_from(contents, module)


def source_from(contents: Mapping[str, bytes], module: str) -> Source:
    """The source of these files.

    Args:
        contents: of every file by the full name of its module.
        module: the one that the others belong to. Its own name is no part of the meaning: it holds
            a digest of the file's place where two folders have a file of one name.
    """
    text, meaning = hashlib.sha256(), hashlib.sha256()
    for name in sorted(contents):
        text.update(contents[name])
    for name in sorted(contents, key=lambda name: (name != module, name)):
        known_as = "" if name == module else name.rpartition(".")[2]
        meaning.update(f"{known_as}\0{tree_digest(contents[name])}\0".encode())
    return Source(PREFIX + meaning.hexdigest(), text.hexdigest())


@lru_cache(maxsize=512)
def tree_digest(content: bytes) -> str:
    """Sha256 of what a Python file does: of its syntax tree, without what says nothing.

    Equal for Python 3.11 to 3.14, whose trees differ in fields that are empty.
    """
    digest = hashlib.sha256()
    for word in _words(ast.parse(content)):
        digest.update(word.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


@lru_cache(maxsize=512)
def _imported_by(content: bytes, name: str) -> tuple[str, ...]:
    """Full names of what may be modules of its own package that a file imports from."""
    package, inside = name.split(".")[:-1], f"{name.partition('.')[0]}."
    found: list[str] = []
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*above, *filter(None, [node.module])])
            found += [stem, *(f"{stem}.{alias.name}" for alias in node.names)]
    return tuple(one for one in found if one.startswith(inside))


def _words(tree: ast.AST) -> Iterator[str]:
    """The tree as words, found without recursion: a sum of a thousand parts is deep.

    Texts of the tree are spelled so that none passes for a word of its structure.
    """
    waiting: list[object] = [tree]
    parts: list[object]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, ast.JoinedStr):
            waiting += reversed(["JoinedStr[", *_joined(item), "]"])
        elif isinstance(item, ast.AST):
            parts = [f"{type(item).__name__}("]
            for name, value in ast.iter_fields(item):
                if not _says_nothing(name, value):
                    parts += [f"{name}=", f"str {value!a}" if isinstance(value, str) else value]
            waiting += reversed([*parts, ")"])
        elif isinstance(item, list):
            parts = ["[", *(part for part in item if not _does_nothing(part)), "]"]
            waiting += reversed(parts)
        else:
            yield f"{type(item).__name__} {_spelled(item)}"


def _says_nothing(field: str, value: object) -> bool:
    """A field that is empty, or that no result follows from."""
    return value is None or value == [] or field in ("ctx", "kind", "type_comment", "type_ignores")


def _does_nothing(part: object) -> bool:
    """A docstring or another bare constant, or ``pass``."""
    if isinstance(part, ast.Expr):
        return isinstance(part.value, ast.Constant)
    return isinstance(part, ast.Pass)


def _joined(text: ast.JoinedStr) -> list[object]:
    """The parts of an f-string, with neighbouring texts as one: Python's versions cut otherwise."""
    parts: list[object] = []
    for value in text.values:
        if not (isinstance(value, ast.Constant) and isinstance(value.value, str)):
            parts.append(value)
        elif parts and isinstance(parts[-1], str):
            parts[-1] += value.value
        elif value.value:
            parts.append(value.value)
    return [f"str {part!a}" if isinstance(part, str) else part for part in parts]


def _spelled(value: object) -> str:
    """A constant; hexadecimal where it is an integer, since long decimal ones are refused."""
    return hex(value) if isinstance(value, int) else ascii(value)
