"""Records stay valid: today's code and cards compute the identities that stand in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.cards.card import Card
from benchmark.cards.catalogue import read_cards
from benchmark.errors import NetworkError
from benchmark.files import file_digest
from benchmark.folders import builtin_folder
from benchmark.matrix.resolver import Resolver
from benchmark.matrix.run import Asked, Run
from benchmark.networks.published import published_name
from benchmark.recipe.discovery import load_recipes
from benchmark.recipe.pair import Pair
from benchmark.records.schema import IMPORTED, Record, RunSpec
from benchmark.records.store import Store

RESULTS = Path(__file__).parents[2] / "results"
RECORDS = sorted(path.relative_to(RESULTS) for path in RESULTS.glob("*/*/*/seed*.json"))


@pytest.fixture(scope="module")
def cards() -> dict[str, Card]:
    return {card.name: card for card in read_cards([builtin_folder("datasets")]).values()}


def pair_of(spec: RunSpec) -> Pair:
    """The pair of a run; one that is trained alone may be of any."""
    return Pair.parse(spec.pair or f"{spec.network}:{spec.network}")


@pytest.mark.skipif(not RECORDS, reason="this copy has no records")
@pytest.mark.parametrize("path", RECORDS, ids=str)
def test_a_committed_record_has_the_identity_that_is_computed(
    path: Path, cards: dict[str, Card]
) -> None:
    record: Record = Store(RESULTS).read(RESULTS / path)
    spec = record.spec
    if spec.recipe == IMPORTED or spec.dataset not in cards or spec.variant:
        pytest.skip("it depends on more than this repository")
    card = cards[spec.dataset]
    resolver = Resolver(card, card.protocol(spec.protocol), load_recipes())
    asked = Asked(spec.recipe, spec.changed, spec.network, pair_of(spec), spec.seed)
    run = resolver.resolve(asked)
    assert run.spec.data_revision == spec.data_revision
    assert run.spec.protocol_values == spec.protocol_values
    assert run.identity == record.identity


def test_a_protocols_image_size_makes_another_run(cards: dict[str, Card]) -> None:
    card, recipes = cards["sketchbirds"], load_recipes()

    def run(protocol: str, recipe: str = "kd") -> str:
        resolver = Resolver(card, card.protocol(protocol), recipes)
        pair = Pair.parse("resnet14:resnet8")
        return resolver.resolve(Asked(recipe, {}, "resnet8", pair, 0)).identity

    assert run("quick") != run("quick[image_size=64]")


def test_the_weights_that_a_network_starts_from_make_another_run(cards: dict[str, Card]) -> None:
    card, recipes = cards["sketchbirds"], load_recipes()

    def run(protocol: str, network: str) -> Run:
        resolver = Resolver(card, card.protocol(protocol), recipes)
        pair = Pair(network, network)
        return resolver.resolve(Asked("vanilla", {}, network, pair, 0))

    drawn = run("quick", "timm/resnet50")
    published = run("quick[pretrained=true]", "timm/resnet50")
    assert drawn.starts_from == ""
    assert published.starts_from == published_name("timm/resnet50")
    assert published.identity != drawn.identity
    # If timm's choice for the bare name changes, it is another run.
    other = replace(published, starts_from="timm/resnet50.another")
    assert other.identity != published.identity
    with pytest.raises(NetworkError, match="no published weights"):
        run("quick[pretrained=true]", "resnet8")


def test_brought_weights_are_scored_at_each_size_apart(
    cards: dict[str, Card], tmp_path: Path
) -> None:
    (tmp_path / "weights.pt").write_bytes(b"any")
    card = cards["sketchbirds"]
    brought = {"resnet14": (tmp_path / "weights.pt", file_digest(tmp_path / "weights.pt"))}
    specs = [
        Resolver(card, card.protocol(text), load_recipes(), brought).imported("resnet14").spec
        for text in ("quick", "quick[epochs=3]", "quick[image_size=64]")
    ]
    paths = [Store(tmp_path).path_of(spec) for spec in specs]
    assert paths[0] == paths[1]
    assert paths[0] != paths[2]
    assert specs[0].protocol_values == {}
    assert specs[2].protocol_values == {"image_size": 64}
