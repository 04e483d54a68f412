"""From the words of a command line to a choice of cells."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.cards.suites import read_suite
from benchmark.errors import UsageError
from benchmark.layouts.catalogue import known_cards
from benchmark.matrix.plan import Choice, parse_seeds
from benchmark.recipe.contract import Pair

DEFAULT_SUITE = "quick"
DEFAULT_SEEDS = "3"


@dataclass(frozen=True)
class Request:
    """What was written on the command line; empty or None where nothing was.

    Attributes:
        suite: name of a suite; the other words replace its parts.
        datasets, pairs, recipes: as written.
        seeds: their number, or a list.
        protocol: name.
        teachers: ``FILE`` or ``NETWORK=FILE``.
        paths: folders with further recipes and cards.
    """

    suite: str | None = None
    datasets: Sequence[str] = ()
    pairs: Sequence[str] = ()
    recipes: Sequence[str] = ()
    seeds: str | None = None
    protocol: str | None = None
    teachers: Sequence[str] = ()
    paths: Sequence[Path] = ()


def choice_of(request: Request) -> Choice:
    """The choice that was asked for.

    Without a suite and without a data set it is the suite ``quick``. A suite's data sets, pairs,
    recipes, protocol and seeds each give way to what is named beside it.

    Raises:
        UsageError: an unknown name, or too little is named.
    """
    cards = known_cards(request.paths)
    name = request.suite or (None if request.datasets else DEFAULT_SUITE)
    if name is None:
        if not request.recipes:
            raise UsageError(
                "--dataset needs at least one --recipe, e.g. --recipe vanilla --recipe kd.\n"
                "'kdbench list recipes' shows them."
            )
        return Choice(
            datasets=[cards.get(dataset) for dataset in request.datasets],
            pairs=request.pairs,
            recipes=request.recipes,
            seeds=parse_seeds(request.seeds or DEFAULT_SEEDS),
            protocol=request.protocol,
            teachers=teachers_of(request),
        )
    suite = read_suite(name)
    return Choice(
        datasets=[cards.get(dataset) for dataset in request.datasets or suite.datasets],
        pairs=request.pairs or suite.pairs,
        recipes=request.recipes or suite.recipes,
        seeds=parse_seeds(request.seeds or str(suite.seeds)),
        protocol=request.protocol or suite.protocol,
        teachers=teachers_of(request),
    )


def teachers_of(request: Request) -> dict[str, Path]:
    """Files of teacher weights by network.

    Raises:
        UsageError: a file without a network's name where it is not clear whose it is.
    """
    networks = sorted({Pair.parse(text).teacher for text in request.pairs})
    files: dict[str, Path] = {}
    for text in request.teachers:
        network, equals, file = text.partition("=")
        if not equals or os.path.exists(text):
            if len(networks) != 1:
                raise UsageError(
                    f"--teacher-checkpoint {text}: whose weights are they? Write NETWORK=FILE, or "
                    "name one --pair."
                )
            network, file = networks[0], text
        if network in files:
            raise UsageError(f"--teacher-checkpoint names the weights of {network} twice.")
        if not Path(file).is_file():
            raise UsageError(f"--teacher-checkpoint: there is no file {file}.")
        files[network] = Path(file)
    return files
