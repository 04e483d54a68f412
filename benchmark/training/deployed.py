"""What stays of a learner when its training is over, and what it is then asked."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from benchmark.recipe.contract import Recipe

SHOWN = 2  # images that every network is asked of


def shown(size: tuple[int, int]) -> Tensor:
    """Images (2, 3, H, W) that are the same everywhere, in the range of normalised pixels."""
    count = SHOWN * 3 * size[0] * size[1]
    waves = torch.sin(torch.arange(count, dtype=torch.float64) * 0.37) * 2
    return waves.float().reshape(SHOWN, 3, *size)


def deployed_layers(recipe: Recipe) -> dict[str, Tensor]:
    """The recipe's own layers that stay at deployment, by their names in its state dict."""
    names = {module: name for name, module in recipe.named_modules()}
    return {
        f"{names[layer]}.{key}": tensor
        for layer in recipe.deployed()
        if layer in names
        for key, tensor in layer.state_dict().items()
    }


def as_deployed(recipe: Recipe, layers: Mapping[str, Tensor]) -> Recipe:
    """A built recipe with the layers that stay at deployment, and no other.

    Args:
        recipe: built anew; it is changed.
        layers: as ``deployed_layers`` gave them.

    Raises:
        ValueError: the recipe deploys other layers.
    """
    if odd := deployed_layers(recipe).keys() ^ layers.keys():
        raise ValueError(f"its recipe deploys other layers: {', '.join(sorted(odd)[:4])}")
    kept = {id(part) for layer in recipe.deployed() for part in layer.modules()}
    for name, child in list(recipe.named_children()):
        if not any(id(part) in kept for part in child.modules()):
            del recipe._modules[name]  # banks and projectors of the training
    recipe.load_state_dict(layers, strict=False)
    return recipe
