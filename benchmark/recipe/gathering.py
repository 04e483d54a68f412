"""What a recipe needs of the other processes."""

from __future__ import annotations

import torch
from torch import Tensor


def gather(tensor: Tensor) -> Tensor:
    """Rows of all processes in order of rank; the tensor itself if there is one process.

    Recipes that keep a state over the training set (CRD's banks) need it so that every process
    holds the same state. No gradient passes. Processes may hold unequal numbers of rows, as they
    do in a last batch that does not divide evenly.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return tensor
    world = torch.distributed.get_world_size()
    rows = torch.tensor([len(tensor)], device=tensor.device)
    all_rows = [torch.empty_like(rows) for _ in range(world)]
    torch.distributed.all_gather(all_rows, rows)
    counts = [int(count) for count in torch.cat(all_rows).tolist()]
    padded = tensor.new_zeros((max(counts), *tensor.shape[1:]))
    padded[: len(tensor)] = tensor.detach()
    parts = [torch.empty_like(padded) for _ in range(world)]
    torch.distributed.all_gather(parts, padded)
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])
