"""Jobs on the tiny data set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmark.cards.card import Protocol
from benchmark.networks.catalogue import create_network
from benchmark.networks.outputs import Network
from benchmark.recipe.contract import RecipeInfo
from benchmark.recipe.discovery import load_recipes
from benchmark.registry import Catalogue
from benchmark.training.job import Job

PROTOCOL = Protocol(name="t", epochs=3, batch_size=16, lr=0.05, schedule="cosine")


@pytest.fixture(scope="session")
def recipes() -> Catalogue[RecipeInfo]:
    return load_recipes()


@pytest.fixture(scope="session")
def teacher() -> Network:
    """Wider than the student and not trained: what it teaches does not matter here."""
    import torch

    torch.manual_seed(11)
    return create_network("wrn_16_2", classes=4).eval().requires_grad_(False)


@pytest.fixture
def make_job(recipes: Catalogue[RecipeInfo], teacher: Network) -> Callable[..., Job]:
    def make(
        recipe: str,
        *,
        protocol: Protocol = PROTOCOL,
        seed: int = 0,
        source: str = "s",
        **settings: Any,
    ) -> Job:
        roles = {} if recipe == "vanilla" else {"teacher": teacher}
        return Job(
            identity=f"{recipe}-{seed}".ljust(64, "0"),
            label=recipe,
            network="resnet8",
            recipe=recipes.get(recipe).cls(**settings),
            protocol=protocol,
            seed=seed,
            source=source,
            roles=roles,
        )

    return make
