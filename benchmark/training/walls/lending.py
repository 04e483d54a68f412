"""The networks of roles, lent to a recipe: what it does to them, it does to copies."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping

from benchmark.networks.outputs import Network


class Lent(Mapping[str, Network]):
    """Networks by role, each copied when it is first asked for.

    A recipe may change, move, freeze or keep what it gets. Others, and the networks that answer on
    every batch, have their own.

    Args:
        networks: trained, in eval mode and frozen.
    """

    def __init__(self, networks: Mapping[str, Network]) -> None:
        self._networks = networks
        self._copies: dict[str, Network] = {}

    def __getitem__(self, role: str) -> Network:
        """The copy of a role's network."""
        if role not in self._copies:
            self._copies[role] = copy.deepcopy(self._networks[role])
        return self._copies[role]

    def __iter__(self) -> Iterator[str]:
        return iter(self._networks)

    def __len__(self) -> int:
        return len(self._networks)
