"""Hold the laws of all recipes on some of them, and say where one is not kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmark.errors import IncompatiblePair, RecipeError, UsageError, suggestion
from benchmark.proving.laws import LAWS, Case, Law
from benchmark.proving.scene import PAIRS, Stagehand, Unmet, forms_of
from benchmark.recipe.contract import RecipeInfo
from benchmark.recipe.discovery import load_recipes
from benchmark.registry import Catalogue
from benchmark.training.ending import failed
from benchmark.training.walls.guard import files_of
from benchmark.training.walls.surroundings import unchanged

Level = Literal["ok", "fault", "advice"]


@dataclass(frozen=True)
class Broken:
    """A case in which a law is not kept.

    Attributes:
        case: settings and networks.
        reason: in what it is not kept, or what was raised.
        where: the author's line that raised it; empty where nothing was raised.
        traceback: of what was raised.
    """

    case: str
    reason: str
    where: str = ""
    traceback: str = ""


@dataclass(frozen=True)
class Verdict:
    """How a recipe stands to a law.

    Attributes:
        law: in a few words.
        held: in how many cases it is kept.
        broken: those in which it is not.
        refused: what the recipe refuses, with its reason.
        is_custom: of the recipes in the repository; elsewhere it is advice.
    """

    law: str
    held: int
    broken: tuple[Broken, ...]
    refused: tuple[str, ...]
    is_custom: bool

    @property
    def level(self) -> Level:
        """How grave it is."""
        if not self.broken:
            return "ok"
        return "advice" if self.is_custom else "fault"

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "law": self.law,
            "level": self.level,
            "held": self.held,
            "broken": [vars(one) for one in self.broken],
            "refused": list(self.refused),
        }


def recipes_of(
    file_or_name: str, paths: tuple[Path, ...]
) -> tuple[Catalogue[RecipeInfo], list[RecipeInfo]]:
    """All recipes that there are, and those that are meant.

    Args:
        file_or_name: a recipe's name, or a file of recipes.
        paths: folders with further recipes.

    Raises:
        RecipeError: the file cannot be imported, or registers no recipe.
        UsageError: there is no such file or recipe.
    """
    file = Path(file_or_name)
    if file.suffix != ".py":
        recipes = load_recipes(paths)
        return recipes, [recipes.get(file_or_name)]
    if not file.is_file():
        beside = [path.name for path in file.parent.glob("*.py")] if file.parent.is_dir() else []
        raise UsageError(f"there is no file {file}.{suggestion(file.name, beside)}")
    if file.name.startswith("_"):
        raise UsageError(f"{file} holds no recipe: its name begins with an underscore.")
    recipes = load_recipes(dict.fromkeys([*paths, file.parent]))
    for broken, reason in recipes.broken.items():
        if broken.resolve() == file.resolve():
            raise RecipeError(f"{file} cannot be used: {reason}")
    found = [info for info in recipes.values() if Path(info.path).resolve() == file.resolve()]
    if not found:
        raise RecipeError(f"{file} registers no recipe that is found.")
    return recipes, found


def examine(info: RecipeInfo, hand: Stagehand, laws: Sequence[Law] = LAWS) -> Iterator[Verdict]:
    """Hold laws on a recipe, in all forms and with all pairs that they concern.

    Args:
        info: the recipe.
        hand: makes scenes; it keeps the networks for the next recipe.
        laws: that are held.
    """
    forms = list(forms_of(info))
    for law in laws:
        cases = [
            Case(form, pair, hand)
            for form in (forms if law.per != "recipe" else forms[:1])
            for pair in law.pairs()
        ]
        yield _verdict(law, cases)


def _verdict(law: Law, cases: list[Case]) -> Verdict:
    held, broken, refused = 0, list[Broken](), list[str]()
    for case in cases:
        try:
            with unchanged():
                law.hold(case)
        except IncompatiblePair as refusal:
            refused.append(f"{name_of(case)}: {refusal}")
        except (Unmet, AssertionError) as error:
            broken.append(Broken(name_of(case), str(error).strip()))
        except Exception as error:
            broken.append(_raised(case, error))
        else:
            held += 1
    return Verdict(law.says, held, tuple(broken), tuple(refused), law.is_custom)


def name_of(case: Case) -> str:
    """Settings and networks of a case for a person."""
    names = {pair: name for name, pair in PAIRS.items()}
    return f"{case.form}, {case.pair} ({names[case.pair]})" if case.pair else str(case.form)


def _raised(case: Case, error: Exception) -> Broken:
    ending = failed(error, 1, files_of(case.form.info.cls))
    failure = ending.failure
    said = f"{failure.kind}: {failure.message}"
    return Broken(name_of(case), said, failure.where, ending.traceback)
