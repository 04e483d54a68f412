"""From the words of a command line to a choice of cells."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.cards.card import Card, Protocol
from benchmark.cards.suites import Suite, read_suite
from benchmark.errors import UsageError
from benchmark.files import file_digest
from benchmark.layouts.catalogue import known_cards
from benchmark.recipe.pair import Pair
from benchmark.records.schema import DRAW

DEFAULT_SUITE = "quick"
MOST_SEEDS = 1_000  # nobody needs so many, and a longer list takes minutes to plan
SPAN = r"[0-9]{1,18}(?:-[0-9]{1,18})?"  # one seed, or from which to which
LONGEST_WORD = 2_000  # characters of a word of the command line
LONGEST_PART = 255  # bytes of a file's or folder's name, as disks have it


@dataclass(frozen=True)
class Request:
    """What was written on the command line; empty or None where nothing was.

    Attributes:
        suite: name of a suite; the other words replace its parts.
        datasets, pairs, recipes: as written.
        seeds: their number, or which.
        protocol: name.
        teachers: ``FILE`` or ``NETWORK=FILE``.
        paths: folders with further recipes and cards.

    Raises:
        UsageError: a word that cannot be shown or looked for: too long, or with control characters.
    """

    suite: str | None = None
    datasets: Sequence[str] = ()
    pairs: Sequence[str] = ()
    recipes: Sequence[str] = ()
    seeds: str | None = None
    protocol: str | None = None
    teachers: Sequence[str] = ()
    paths: Sequence[Path] = ()

    @property
    def chooses_cells(self) -> bool:
        """Whether anything was written that names cells; folders alone do not."""
        return self != Request(paths=self.paths)

    def __post_init__(self) -> None:
        files = [*self.teachers, *map(str, self.paths)]
        names = [*self.datasets, *self.pairs, *self.recipes]
        for word in (self.suite, self.seeds, self.protocol, *names, *files):
            if word is not None:
                _check_word(word)
        for file in files:
            if any(len(os.fsencode(part)) > LONGEST_PART for part in Path(file).parts):
                raise UsageError(
                    f"'{file[:80]}…' has a part of more than {LONGEST_PART} bytes: there can be no "
                    "such file. Correct --path or --teacher-checkpoint."
                )


@dataclass(frozen=True)
class Choice:
    """What a person asked for: the axes of the matrix.

    Attributes:
        datasets: cards.
        pairs: ``teacher:student``; empty means the usual pairs of each card's protocol.
        recipes: names, with settings in brackets; ``*`` stands for every method.
        seeds: of the cells.
        protocol: name; None means each card's default.
        teachers: files of teacher weights by network, with their sha256.
    """

    datasets: Sequence[Card]
    recipes: Sequence[str]
    seeds: Sequence[int]
    pairs: Sequence[str] = ()
    protocol: str | None = None
    teachers: Mapping[str, tuple[Path, str]] = field(default_factory=dict)

    def pairs_of(self, card: Card, protocol: Protocol) -> list[Pair]:
        """The chosen pairs, or the usual ones of a card under a protocol."""
        return [Pair.parse(text) for text in self.pairs or card.pairs_of(protocol)]


def _check_word(word: str) -> None:
    if len(word) > LONGEST_WORD:
        raise UsageError(
            f"'{word[:80]}…' has {len(word):,} characters. Write {LONGEST_WORD:,} at most."
        )
    if not word.isprintable():
        raise UsageError(f"{word!a} has characters that cannot be shown. Write it without them.")


def parse_seeds(text: str) -> list[int]:
    """Read ``3`` (the seeds 0, 1, 2), or seeds themselves: ``0,2,5``, ``1-3``, ``0-2,7``.

    Raises:
        UsageError: neither, too many, or a seed that is kept for independent draws.
    """
    seeds: list[int] = []
    if re.fullmatch(r"[1-9][0-9]*", text):
        # Compared as text: a number of a million digits is none that Python reads.
        if len(text) > len(str(MOST_SEEDS)) or int(text) > MOST_SEEDS:
            raise UsageError(
                f"--seeds {text[:40]}: that is how many; write {MOST_SEEDS:,} at most, or one with "
                f"a comma ({text[:6]},) for that seed alone."
            )
        seeds = list(range(int(text)))
    elif re.fullmatch(r"SPAN(,SPAN)*,?".replace("SPAN", SPAN), text) and set(text) & {",", "-"}:
        seeds = _named_seeds(text)
    if seeds and seeds[-1] >= DRAW:
        raise UsageError(
            f"--seeds '{text}': choose seeds below {DRAW}; those above are of independent draws."
        )
    if seeds:
        return seeds
    raise UsageError(
        f"--seeds '{text}': write how many (3), which (0,2,5), or from which to which (1-3)."
    )


def _named_seeds(text: str) -> list[int]:
    """Those of a list, each once and in order; none if a span ends before it begins."""
    seeds: set[int] = set()
    for part in filter(None, text.split(",")):
        first, dash, last = part.partition("-")
        span = range(int(first), int(last if dash else first) + 1)
        if not span:
            return []
        if len(span) + len(seeds) > MOST_SEEDS:
            raise UsageError(f"--seeds '{text[:40]}': write {MOST_SEEDS:,} seeds at most.")
        seeds |= {*span}
    return sorted(seeds)


def choice_of(request: Request) -> Choice:
    """The choice that was asked for.

    Without a suite and without a data set it is the suite ``quick``. A suite's data sets, pairs,
    recipes, protocol and seeds each give way to what is named beside it.

    Raises:
        UsageError: an unknown name, or too little is named.
    """
    cards = known_cards(request.paths)
    name = request.suite or (None if request.datasets else DEFAULT_SUITE)
    if name is None and not request.recipes:
        raise UsageError(
            "--dataset needs at least one --recipe, e.g. --recipe vanilla --recipe kd.\n"
            "'kdbench list recipes' shows them."
        )
    suite = read_suite(name) if name else Suite(name="", title="", datasets=(), recipes=())
    return Choice(
        datasets=[cards.get(dataset) for dataset in request.datasets or suite.datasets],
        pairs=request.pairs or suite.pairs,
        recipes=request.recipes or suite.recipes,
        seeds=parse_seeds(request.seeds or str(suite.seeds)),
        protocol=request.protocol or suite.protocol,
        teachers=teachers_of(request),
    )


def teachers_of(request: Request) -> dict[str, tuple[Path, str]]:
    """Files of teacher weights by network, with their sha256.

    Raises:
        UsageError: a file without a network's name where it is not clear whose it is.
    """
    networks = sorted({Pair.parse(text).teacher for text in request.pairs})
    files: dict[str, tuple[Path, str]] = {}
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
        files[network] = Path(file), file_digest(file)
    return files
