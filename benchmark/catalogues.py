"""What there is: recipes, data sets, networks, suites as plain data; pages of it, and new files.

Nothing here imports torch as long as the index of recipes is up to date, and what only some lists
need is imported by them: the list of recipes answers in under half a second.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import UsageError
from benchmark.folders import builtin_folder, search_folders
from benchmark.recipe.index import describe_recipes

if TYPE_CHECKING:
    from benchmark.data.look.survey import Survey
    from benchmark.records.schema import RunSpec
    from benchmark.reports.board.staleness import Current

TEMPLATES = Path(__file__).resolve().parent / "templates"


def describe(kind: str, paths: Sequence[Path], cache_dir: Path) -> list[dict[str, Any]]:
    """All entries of a kind: ``recipes``, ``datasets``, ``networks`` or ``suites``.

    Each has at least ``name``; what is broken has ``error``.
    """
    if kind == "recipes":
        return [asdict(recipe) for recipe in describe_recipes(paths, cache_dir)]
    if kind == "datasets":
        return _datasets(paths)
    if kind == "networks":
        from benchmark.networks.catalogue import CIFAR_NETWORKS

        return [
            {"name": info.name, "parameters": info.parameters, "macs": info.macs}
            for info in CIFAR_NETWORKS
        ]
    from benchmark.cards.suites import read_suite, suite_names

    return [read_suite(name).model_dump(mode="json") for name in suite_names()]


def current(paths: Sequence[Path], cache_dir: Path) -> Current:
    """What recipes and cards say today, to tell stale records."""
    from benchmark.layouts.catalogue import known_cards
    from benchmark.records.schema import IMPORTED
    from benchmark.reports.board.staleness import Current

    catalogue = known_cards(paths)
    recipes = describe_recipes(paths, cache_dir)

    def protocol_values(spec: RunSpec) -> Mapping[str, Any] | None:
        """What the card's protocol of this name asks of the network today."""
        if spec.dataset not in catalogue or spec.recipe == IMPORTED:
            return None  # no such card any more, or weights that were brought
        try:
            return catalogue.get(spec.dataset).protocol(spec.protocol).for_network(spec.network)
        except UsageError:
            return {}

    return Current(
        recipe_versions={recipe.name: recipe.version for recipe in recipes if not recipe.error},
        data_revisions={card.name: card.revision for card in catalogue.values()},
        protocol_values=protocol_values,
    )


def _datasets(paths: Sequence[Path]) -> list[dict[str, Any]]:
    from benchmark.layouts.catalogue import known_cards

    catalogue = known_cards(paths)
    cards: list[dict[str, Any]] = [
        {
            "name": card.name,
            "title": card.title,
            "classes": card.classes,
            "image_size": card.image_size,
            "train": card.splits["train"],
            "test": card.splits["test"],
            "protocols": list(card.protocols),
            "pairs": list(card.pairs),
            "licence": card.licence,
            "path": catalogue.origin(card.name),
        }
        for card in catalogue.values()
    ]
    return cards + [
        {"name": path.stem, "path": str(path), "error": error}
        for path, error in catalogue.broken.items()
    ]


def recipe_page(
    paths: Sequence[Path], cache_dir: Path, folder: Path
) -> tuple[str, tuple[str, ...]]:
    """A page of the built-in recipes, or of those in folders of one's own.

    Args:
        paths: folders given by ``--path``; if there are any, the page is of them alone.
        cache_dir: of the index of recipes.
        folder: where the page is to stand.

    Returns:
        The page, and a message for every file that was left out because it cannot be imported.

    Raises:
        UsageError: there is no recipe in these folders.
    """
    from benchmark.reports.pages import recipes as pages

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
    broken = tuple(f"{recipe.path}: {recipe.error}" for recipe in recipes if recipe.error)
    return pages.recipe_page([asdict(recipe) for recipe in recipes], folder), broken


def write_recipe(name: str, folder: Path, cache_dir: Path) -> Path:
    """Write a recipe from the template.

    Args:
        name: lower case, words joined by hyphens.
        folder: made if it does not exist.
        cache_dir: of the index of recipes.

    Returns:
        The file.

    Raises:
        UsageError: the name cannot be a recipe's or is taken, or the file cannot be written.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UsageError(
            f"'{name}' cannot be a recipe's name. "
            "Use lower case, words joined by hyphens: my-method."
        )
    known = [folder] if folder.is_dir() else []
    for recipe in describe_recipes(known, cache_dir):
        if recipe.name == name:
            raise UsageError(f"the recipe '{name}' exists: {recipe.path}. Choose another name.")
    file = folder / f"{name.replace('-', '_')}.py"
    if file.exists():
        raise UsageError(f"the file {file} exists. Choose another name or folder.")
    words = [word.capitalize() for word in name.split("-")]
    _write(file, "recipe.py.jinja", name=name, class_name="".join(words))
    return file


def write_dataset(
    name: str, source: Path, folder: Path, *, layout: str | None = None
) -> tuple[Path, Survey]:
    """Write a card for a folder of images.

    Args:
        name: lower case, words joined by hyphens or underscores.
        source: holds the images.
        folder: of the card; made if it does not exist.
        layout: of the images; None finds it out.

    Returns:
        The card, and what was found in the folder of images.

    Raises:
        UsageError: the name cannot be a data set's or is taken, or the file cannot be written.
        DataError: the images cannot be listed or opened.
    """
    from benchmark.data.look.survey import survey
    from benchmark.layouts.catalogue import known_cards, read_layouts

    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise UsageError(
            f"'{name}' cannot be a data set's name. "
            "Use lower case, words joined by hyphens: my-birds."
        )
    known_folders = [folder] if folder.is_dir() else []
    known = known_cards(known_folders)
    if name in known:
        raise UsageError(
            f"the data set '{name}' exists: {known.origin(name)}. Choose another name."
        )
    file = folder / f"{name}.toml"
    if file.exists():
        raise UsageError(f"the file {file} exists. Choose another name or folder.")
    found = survey(source, layout, layouts=read_layouts(known_folders))
    small = found.image_size <= 64
    batch = 64 if found.images["train"] >= 2000 else 32
    _write(
        file,
        "dataset.toml.jinja",
        name=name,
        survey=found,
        # JSON's strings are TOML's.
        title=json.dumps(name.replace("-", " ").replace("_", " ").capitalize()),
        folder=json.dumps(str(found.folder), ensure_ascii=False),
        pairs=("resnet56:resnet20",) if small else ("timm/resnet34:timm/resnet18",),
        batch_size=batch,
        # About twenty thousand steps, between 30 and 200 passes.
        epochs=min(200, max(30, 20_000 * batch // found.images["train"])),
    )
    return file, found


def _write(file: Path, template: str, **values: object) -> None:
    """Render a template into a new file."""
    import jinja2

    text = jinja2.Template(
        (TEMPLATES / template).read_text("utf-8"),
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    ).render(values)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}.") from None
