"""A results folder of any size: records that are valid in every check, of runs that could be.

The runs are those of the cards, their pairs and all recipes; the sizes, times and histories are of
records that were really trained. ``python -m tests.support.many_records FOLDER 20000`` writes one,
for measuring how long the reports take.
"""

from __future__ import annotations

import hashlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmark.layouts.catalogue import known_cards
from benchmark.matrix.resolver import Resolver
from benchmark.matrix.run import AnyRun, Asked
from benchmark.recipe.discovery import load_recipes
from benchmark.recipe.pair import Pair
from benchmark.records.history import EpochRow, history_csv
from benchmark.records.places import place_of
from benchmark.records.reading import sealed
from benchmark.records.schema import Record
from benchmark.records.store import Store

RESULTS = Path(__file__).parents[2] / "results"


def write_many(folder: Path, count: int, *, epochs: int = 10) -> None:
    """Write a results folder.

    Args:
        folder: is made.
        count: of the records, each with a history.
        epochs: rows of each history; those of a record's protocol are many more.
    """
    model = next(r for r in Store(RESULTS).all().records if r.status == "ok" and r.spec.roles)
    for number, run in enumerate(itertools.islice(_runs(), count)):
        values, history = _record(model, run, number, epochs)
        path = folder / place_of(run.spec)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".csv").write_text(history)
        path.write_text(sealed(values))


def _runs() -> Iterator[AnyRun]:
    """Runs of every card, without end: of all pairs and recipes, seed by seed."""
    cards, recipes = known_cards([]), load_recipes([])
    resolvers = [
        Resolver(card, card.protocol(name), recipes)
        for card in cards.values()
        for name in card.protocols
    ]
    methods = [info for info in recipes.values() if info.trains == "student"]
    seen: set[str] = set()
    for seed in itertools.count():
        for resolver in resolvers:
            pairs = map(Pair.parse, resolver.card.pairs_of(resolver.protocol))
            for pair, info in itertools.product(pairs, methods):
                asked = Asked(info.name, {}, pair.student, pair, seed)
                for run in resolver.resolve(asked).family():
                    if run.identity not in seen:
                        seen.add(run.identity)
                        yield run


def _record(model: Record, run: AnyRun, number: int, epochs: int) -> tuple[dict[str, Any], str]:
    """The values of a record, and its history."""
    last = run.spec.protocol_values["epochs"]
    top1 = round(40 + 30 * _draw(run.identity), 2)
    rows = [
        EpochRow(
            epoch=epoch,
            terms={"ce": 0.1 + 1 / epoch, "kd": 0.4 + 1 / epoch},
            seconds=20.5 + number % 7,
            images_per_s=2_450.5,
            top1=top1 if epoch == last else round(top1 * epoch / (last + 1), 2),
            top5=90.0,
            nll=1.25,
        )
        for epoch in range(max(1, last - epochs + 1), last + 1)
    ]
    history = history_csv(rows)
    values = model.model_dump(mode="json", exclude={"checksum"})
    values["identity"] = run.identity
    asked = run.recorded_spec({role.identity: 55.5 for role in run.roles.values()})
    values["spec"] = asked.model_dump(mode="json")
    values["recipe_source"] = run.source
    values["history"] = hashlib.sha256(history.encode()).hexdigest()
    values["weights"] = hashlib.sha256(run.identity.encode()).hexdigest()
    values["metrics"] |= {"top1": top1, "mean_per_class": top1, "top5": 90.0, "nll": 1.25}
    values["diagnostics"] |= {"best_top1": top1, "best_epoch": last}
    return values, history


def _draw(identity: str) -> float:
    """A number in [0, 1) that is the identity's own."""
    return int(identity[:8], 16) / 16**8


if __name__ == "__main__":
    write_many(Path(sys.argv[1]), int(sys.argv[2]), epochs=int((*sys.argv, 10)[3]))
