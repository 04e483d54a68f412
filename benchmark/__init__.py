"""kdbench: a benchmark suite for knowledge distillation on fine-grained image classification.

The public names are imported when they are first used, so that the command line answers at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from benchmark.errors import BenchmarkError
    from benchmark.networks.heads import FrozenHead, SharedHead, remove_classifier
    from benchmark.networks.outputs import Network, NetworkShape, Outputs, at_every_position
    from benchmark.recipe.contract import (
        Batch,
        Context,
        Later,
        Pair,
        Proposal,
        Recipe,
        Role,
        Stage,
        Terms,
        gather,
        register,
    )

_HOME = {
    "BenchmarkError": "benchmark.errors",
    "FrozenHead": "benchmark.networks.heads",
    "SharedHead": "benchmark.networks.heads",
    "Network": "benchmark.networks.outputs",
    "NetworkShape": "benchmark.networks.outputs",
    "Outputs": "benchmark.networks.outputs",
    "Batch": "benchmark.recipe.contract",
    "Context": "benchmark.recipe.contract",
    "Later": "benchmark.recipe.contract",
    "Pair": "benchmark.recipe.contract",
    "Proposal": "benchmark.recipe.contract",
    "Recipe": "benchmark.recipe.contract",
    "Role": "benchmark.recipe.contract",
    "Stage": "benchmark.recipe.contract",
    "Terms": "benchmark.recipe.contract",
    "gather": "benchmark.recipe.contract",
    "at_every_position": "benchmark.networks.outputs",
    "register": "benchmark.recipe.contract",
    "remove_classifier": "benchmark.networks.heads",
}

__all__ = [
    "Batch",
    "BenchmarkError",
    "Context",
    "FrozenHead",
    "Later",
    "Network",
    "NetworkShape",
    "Outputs",
    "Pair",
    "Proposal",
    "Recipe",
    "Role",
    "SharedHead",
    "Stage",
    "Terms",
    "__version__",
    "at_every_position",
    "gather",
    "register",
    "remove_classifier",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'benchmark' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name]), name)
