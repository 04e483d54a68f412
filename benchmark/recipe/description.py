"""What can be said about a recipe, as plain data: lists and pages need no recipe to be imported.

What stands in the recipe's file is told as it stands there: the docstring whole, and of every
setting the comment behind it.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import inspect
import io
import sys
import textwrap
import tokenize
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from benchmark.recipe.contract import Recipe, RecipeInfo

FOR_TOOLS = ("# type:", "# noqa", "# pragma", "# pyright")
BOUNDS = ("gt", "ge", "lt", "le")


@dataclass(frozen=True)
class RecipeDescription:
    """What can be said about a recipe without importing it.

    Attributes:
        settings: by name, ``{"type": ..., "default": ...}``, and where there is such a thing
            ``choices`` (a list), ``bounds`` (``{"ge": 0, "lt": 1}``), ``comment`` (what stands
            behind it in the file) and ``inherited_from`` (the file that brings it in, if that is
            not the recipe's own; the default may still be).
        trains: ``student``, or ``teacher`` for a step of other methods.
        summary: the first line of the docstring.
        docstring: that of the file, without indentation.
        source, source_text: of the recipe as it is now, see ``benchmark.recipe.source.Source``.
        error: why the file could not be imported; then the name is the file's and the rest empty.
    """

    name: str
    path: str
    family: str = ""
    paper: str = ""
    version: int = 0
    needs: list[str] = field(default_factory=list)
    trains: str = "student"
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    summary: str = ""
    docstring: str = ""
    source: str = ""
    source_text: str = ""
    error: str | None = None


def describe_recipe(info: RecipeInfo) -> RecipeDescription:
    """The description of a recipe that was imported."""
    return RecipeDescription(
        name=info.name,
        path=info.path,
        family=info.family,
        paper=info.paper,
        version=info.version,
        needs=sorted(info.needs),
        trains=info.trains,
        settings=_settings(info.cls),
        summary=info.summary,
        docstring=inspect.getdoc(sys.modules[info.cls.__module__]) or "",
        source=info.source.meaning,
        source_text=info.source.text,
    )


def _settings(cls: type[Recipe]) -> dict[str, dict[str, Any]]:
    fields = cls.settings_model.model_fields
    comments: dict[str, str] = {}
    for base in reversed(cls.__mro__):  # what a derived recipe says goes before its base's words
        comments |= _comments(base)
    return {
        name: {
            "type": _type_name(setting.annotation),
            "default": setting.default,
            **_if_any("choices", _choices(setting.annotation)),
            **_if_any("bounds", _bounds(setting)),
            **_if_any("comment", comments.get(name)),
            **_if_any("inherited_from", _other_file(cls, name)),
        }
        for name, setting in fields.items()
    }


def _if_any(key: str, value: object) -> dict[str, object]:
    return {key: value} if value else {}


def _type_name(annotation: object) -> str:
    """``float``, ``int | None``, or ``'published' | 'paper'`` for a choice."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " | ".join(repr(choice) for choice in arguments)
    if origin is Annotated:
        return _type_name(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return " | ".join(_type_name(argument) for argument in arguments)
    if annotation is type(None):
        return "None"
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _choices(annotation: object) -> list[Any]:
    return list(get_args(annotation)) if get_origin(annotation) is Literal else []


def _bounds(setting: FieldInfo) -> dict[str, Any]:
    """What the constraints of the type say: ``{"ge": 0, "lt": 1}``."""
    return {
        name: value
        for constraint in setting.metadata
        for name in BOUNDS
        if (value := getattr(constraint, name, None)) is not None
    }


def _other_file(cls: type[Recipe], name: str) -> str:
    """The file that brings a setting in, or nothing if it is the recipe's own."""
    first = next(base for base in reversed(cls.__mro__) if name in inspect.get_annotations(base))
    if first.__module__ == cls.__module__:
        return ""
    return Path(getattr(sys.modules[first.__module__], "__file__", None) or "").name


@functools.lru_cache(maxsize=256)  # torch's Module is a base of all: 3 s for 38 recipes, else 0.2
def _comments(cls: type) -> Mapping[str, str]:
    """The comments behind class fields, on the line where a field's statement ends."""
    found: dict[str, str] = {}
    with contextlib.suppress(OSError, TypeError, SyntaxError):  # no source, as in a notebook
        source = textwrap.dedent(inspect.getsource(cls))
        by_line = {
            token.start[0]: token.string.lstrip("#").strip()
            for token in tokenize.generate_tokens(io.StringIO(source).readline)
            if token.type == tokenize.COMMENT and not token.string.startswith(FOR_TOOLS)
        }
        (definition,) = ast.parse(source).body
        for statement in definition.body if isinstance(definition, ast.ClassDef) else []:
            targets = statement.targets if isinstance(statement, ast.Assign) else []
            targets += [statement.target] if isinstance(statement, ast.AnnAssign) else []
            for target in targets:
                comment = by_line.get(statement.end_lineno or 0)
                if comment and isinstance(target, ast.Name):
                    found[target.id] = comment
    return found
