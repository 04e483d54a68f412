"""Jobs on the tiny data set."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from benchmark.cards.card import Protocol
from benchmark.networks.creation import create_network
from benchmark.networks.outputs import Network
from benchmark.recipe.contract import RecipeInfo
from benchmark.recipe.discovery import load_recipes
from benchmark.recipe.pair import Pair, Role
from benchmark.records.canonical import digest
from benchmark.registry import Catalogue
from benchmark.training.job import Job
from tests.support.identities import identity_for

PROTOCOL = Protocol(name="t", epochs=3, batch_size=16, lr=0.05, schedule="cosine")


@pytest.fixture(scope="session")
def recipes() -> Catalogue[RecipeInfo]:
    return load_recipes()


@pytest.fixture(scope="session")
def network_of() -> Callable[[Role], Network]:
    """Wider than the student and not trained: what it teaches does not matter here."""
    import torch

    @functools.cache
    def make(draw: int) -> Network:
        torch.manual_seed(11 + draw)
        return create_network("wrn_16_2", classes=4).eval().requires_grad_(False)

    return lambda role: make(role.draw)


@pytest.fixture
def make_job(
    recipes: Catalogue[RecipeInfo], network_of: Callable[[Role], Network]
) -> Callable[..., Job]:
    def make(
        recipe: str,
        *,
        protocol: Protocol = PROTOCOL,
        seed: int = 0,
        source: str = "s",
        **settings: Any,
    ) -> Job:
        ready = recipes.get(recipe).cls(**settings)
        roles = ready.roles(Pair("wrn_16_2", "resnet8"))
        chosen = "".join(f"-{name}-{value}" for name, value in settings.items())
        return Job(
            identity=identity_for(f"{recipe}-{seed}{chosen}"),
            label=recipe,
            network="resnet8",
            recipe=ready,
            protocol=protocol,
            seed=seed,
            source=source,
            roles={name: network_of(role) for name, role in roles.items()},
            role_identities={name: digest(role.draw) for name, role in roles.items()},
        )

    return make
