"""The trained network of a record."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmark.layouts.catalogue import known_cards
from benchmark.networks.outputs import Network
from benchmark.recipe.discovery import load_recipes
from benchmark.records.store import Store
from benchmark.training.keeping.workspace import Workspace
from benchmark.work.rebuilding import Rebuilder


def load_student(
    cell: str,
    *,
    results: str | Path = "results",
    runs: str | Path = "runs",
    paths: Sequence[str | Path] = (),
) -> Network:
    """The network that a run trained, frozen and in eval mode.

    It is called on images (B, 3, H, W) as it was trained on them: of the protocol's image size,
    with values in [0, 1] normalised by the card's ``mean`` and ``std``; its ``logits`` (B, K) are
    over the card's classes, as the recipe predicts. The weights of other runs need not be there.

    Args:
        cell: e.g. ``sketchbirds/resnet14__resnet8/kd/seed0``, or the file of a record.
        results: folder of the records.
        runs: folder of checkpoints and weights; weights are kept where they were trained.
        paths: folders with the recipes and cards that the run used.

    Raises:
        RecordError: there is no such record, it is one of a run that failed, it is stale, or its
            network is not today's; or the weights are of an older version, and lack layers with
            which the recipe predicts.
        WorkspaceError: the weights of the run are not there.
    """
    rebuilder = Rebuilder(
        Store(Path(results)), Workspace(Path(runs)), known_cards(paths), load_recipes(paths)
    )
    return rebuilder.student(cell).network
