"""The page of the recipes that are to be found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmark.catalogues.today import current, sources
from benchmark.errors import RecordError, UsageError
from benchmark.folders import builtin_folder, search_folders
from benchmark.recipe.index import describe_recipes
from benchmark.records.store import Store
from benchmark.reports.board.aggregate import aggregate
from benchmark.reports.pages import recipes as pages


def recipe_page(
    paths: Sequence[Path], cache_dir: Path, folder: Path, results: Path | None = None
) -> tuple[str, tuple[str, ...]]:
    """A page of the built-in recipes, or of those in folders of one's own.

    Args:
        paths: folders given by ``--path``; if there are any, the page is of them alone.
        cache_dir: of the index of recipes.
        folder: where the page is to stand.
        results: folder of records, from which settings that were tried are shown; None shows none.

    Returns:
        The page, and a message for every file that was left out: a recipe that cannot be imported,
        a record that cannot be trusted.

    Raises:
        UsageError: there is no recipe in these folders.
        RecordError: there is no folder of records.
    """
    folders = search_folders("recipes", paths)[1:] if paths else [builtin_folder("recipes")]
    recipes = [
        recipe
        for recipe in describe_recipes(paths, cache_dir)
        if Path(recipe.path).parent in folders
    ]
    if all(recipe.error for recipe in recipes):
        raise UsageError(
            f"there is no recipe in {', '.join(map(str, folders))}. 'kdbench list recipes --path "
            "DIR' shows what there is; 'kdbench new recipe NAME --path DIR' writes one."
        )
    broken = [f"{recipe.path}: {recipe.error}" for recipe in recipes if recipe.error]
    board = None
    if results is not None:
        if not results.is_dir():
            raise RecordError(f"there is no folder of records {results}. Correct --results.")
        contents = Store(results).all()
        origin = sources(paths, cache_dir, contents.attested).group
        board = aggregate(contents.records, current(paths, cache_dir), origin=origin)
        broken += [problem.message for problem in contents.problems]
    page = pages.recipe_page([asdict(recipe) for recipe in recipes], folder, board)
    return page, tuple(broken)
