"""What stays of a learner when its training is over, and what it is then asked."""

from __future__ import annotations

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
