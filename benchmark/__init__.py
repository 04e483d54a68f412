"""kdbench: a benchmark suite for knowledge distillation on fine-grained image classification.

Its public names: what a recipe is made of, and, for programs and notebooks, ``run``, ``plan``,
``load_results`` and ``load_student`` (see docs/use-from-python.md). Each is imported when it is
first used, so that the command line answers at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from benchmark.api.matrix import plan, run
    from benchmark.api.results import load_results
    from benchmark.api.students import load_student
    from benchmark.errors import BenchmarkError
    from benchmark.events import LearnerEpoch, Listener, Planned
    from benchmark.networks.heads import FrozenHead, SharedHead, remove_classifier
    from benchmark.networks.outputs import Network, NetworkShape, Outputs, at_every_position
    from benchmark.recipe.banks import gather, product_of_rows
    from benchmark.recipe.batch import Batch, Terms
    from benchmark.recipe.context import Context, Proposal
    from benchmark.recipe.contract import Recipe
    from benchmark.recipe.pair import Pair, Role
    from benchmark.recipe.registration import register
    from benchmark.recipe.stage import Part, Stage
    from benchmark.recipe.views import mixed, rotated, shared, stacked
    from benchmark.strict import Later

_HOMES = {
    "benchmark.api.matrix": ("plan", "run"),
    "benchmark.api.results": ("load_results",),
    "benchmark.api.students": ("load_student",),
    "benchmark.errors": ("BenchmarkError",),
    "benchmark.events": ("LearnerEpoch", "Listener", "Planned"),
    "benchmark.networks.heads": ("FrozenHead", "SharedHead", "remove_classifier"),
    "benchmark.networks.outputs": (
        "Network", "NetworkShape", "Outputs", "at_every_position",
    ),
    "benchmark.recipe.banks": ("gather", "product_of_rows"),
    "benchmark.recipe.batch": ("Batch", "Terms"),
    "benchmark.recipe.context": ("Context", "Proposal"),
    "benchmark.recipe.contract": ("Recipe",),
    "benchmark.recipe.pair": ("Pair", "Role"),
    "benchmark.recipe.registration": ("register",),
    "benchmark.recipe.stage": ("Part", "Stage"),
    "benchmark.strict": ("Later",),
    "benchmark.recipe.views": ("mixed", "rotated", "shared", "stacked"),
}  # fmt: skip
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Batch",
    "BenchmarkError",
    "Context",
    "FrozenHead",
    "Later",
    "LearnerEpoch",
    "Listener",
    "Network",
    "NetworkShape",
    "Outputs",
    "Pair",
    "Part",
    "Planned",
    "Proposal",
    "Recipe",
    "Role",
    "SharedHead",
    "Stage",
    "Terms",
    "__version__",
    "at_every_position",
    "gather",
    "load_results",
    "load_student",
    "mixed",
    "plan",
    "product_of_rows",
    "register",
    "remove_classifier",
    "rotated",
    "run",
    "shared",
    "stacked",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'benchmark' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
