"""How a recipe class becomes known: its name, its settings, its source."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeVar

import pydantic

from benchmark.errors import RecipeError, suggestion
from benchmark.recipe.contract import Recipe, RecipeInfo, Trains
from benchmark.recipe.source import source_of

R = TypeVar("R", bound=Recipe)
FAMILIES = (
    "alone", "control", "logits", "features", "relations", "contrastive", "head", "other",
)  # fmt: skip
NEEDS = frozenset({"embedding", "maps", "class_maps"})


def register(
    name: str,
    *,
    family: str,
    paper: str = "",
    version: int = 1,
    needs: Iterable[str] = (),
    trains: Trains = "student",
) -> Callable[[type[R]], type[R]]:
    """Register a recipe class under a name that stays stable for years.

    Args:
        name: lower case, words joined by hyphens.
        family: ``alone``, ``control``, ``logits``, ``features``, ``relations``, ``contrastive``,
            ``head``; ``other`` for what is none of them.
        paper: e.g. ``arXiv:1503.02531``.
        version: raised when the mathematics changes; older results are then stale.
        needs: what it reads of the networks beyond logits: ``embedding``; ``maps``, which stand
            for the features too; ``class_maps``.
        trains: ``teacher`` if it is a step of other methods and none to compare with them.

    Raises:
        RecipeError: a family that is not known, a need that no network can serve, a setting without
            a type or default, or an abstract method that the class does not define.
    """
    needed = frozenset(needs)
    _refuse_unknown(family, needed, name)

    def decorate(cls: type[R]) -> type[R]:
        _refuse_abstract(cls, name)
        _refuse_untyped(cls, name)
        cls.settings_model = _settings_model(cls)
        module = sys.modules[cls.__module__]
        path = getattr(module, "__file__", None) or ""  # none in a notebook
        cls.info = RecipeInfo(
            name=name,
            family=family,
            paper=paper,
            version=version,
            needs=needed,
            cls=cls,
            trains=trains,
            path=path,
            summary=(inspect.getdoc(module) or "").partition("\n")[0],
            source=source_of(cls.__module__),
        )
        return cls

    return decorate


def _refuse_abstract(cls: type[Recipe], name: str) -> None:
    members = ((member, getattr(cls, member)) for member in dir(cls))
    abstract = [m for m, value in members if getattr(value, "__isabstractmethod__", False)]
    if abstract:
        raise RecipeError(f"recipe '{name}' does not define {' and '.join(abstract)}.")


def _refuse_unknown(family: str, needs: frozenset[str], name: str) -> None:
    if family not in FAMILIES:
        raise RecipeError(
            f"recipe '{name}': unknown family '{family}'.{suggestion(family, FAMILIES)}\n"
            f"Families: {', '.join(FAMILIES)}. Take 'other' for what is none of them."
        )
    if needs - NEEDS:
        raise RecipeError(f"recipe '{name}' needs {sorted(needs - NEEDS)}; known: {sorted(NEEDS)}")


def _refuse_untyped(cls: type[Recipe], name: str) -> None:
    """Refuse a number, text or bool without a type: it looks like a setting and would be none.

    Nobody could set it, and it would be in no record's identity. A base's setting that is given
    another default has the base's type; what begins with an underscore is the recipe's own.
    """
    bases = [base for base in cls.__mro__ if issubclass(base, Recipe) and base is not Recipe]
    typed = {field for base in bases for field in inspect.get_annotations(base)}
    for base in bases:
        for field, value in vars(base).items():
            plain = isinstance(value, bool | int | float | str) and not field.startswith("_")
            if plain and field not in typed and not hasattr(Recipe, field):
                kind = type(value).__name__
                shown = f"{value!r:.80}"
                raise RecipeError(
                    f"recipe '{name}', class {base.__name__}: '{field} = {shown}' has no type, so "
                    "it would be no setting and in no record's identity.\n"
                    f"Write '{field}: {kind} = {shown}' to make it a setting, or "
                    f"'{field}: ClassVar[{kind}] = {shown}' if nobody is to set it."
                )


def _settings_model(cls: type[Recipe]) -> type[pydantic.BaseModel]:
    """The typed class fields of a recipe and its bases as a pydantic model.

    A field's default is what the class itself has, also where it overrides a base's without
    repeating the type.
    """
    fields: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base is Recipe or not issubclass(base, Recipe):
            continue
        hints = typing.get_type_hints(base, include_extras=True)
        for name in inspect.get_annotations(base):
            if typing.get_origin(hints[name]) is ClassVar or name.startswith("_"):
                continue
            if name not in vars(base):
                raise RecipeError(f"setting '{name}' of {cls.__name__} has no default")
            fields[name] = (hints[name], getattr(cls, name))
    model = pydantic.create_model(
        f"{cls.__name__}Settings",
        __config__=pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False),
        **fields,
    )
    return typing.cast("type[pydantic.BaseModel]", model)
