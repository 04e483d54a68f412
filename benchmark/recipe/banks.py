"""What a recipe needs that keeps a state over the training set, such as a bank of views.

On a CPU torch leaves products in float32 to MKL, which is slow on processors that are not Intel's.
oneDNN does the same sums at the speed of the processor. Measured with views (64, 128), a bank
(50,000, 128) and one thread of an AMD EPYC with AVX-512, least of 9:

    views · bankᵀ     12.9 ms with MKL, 5.0 ms with oneDNN, the same bits
    scores · bank      9.2 ms with MKL, 4.1 ms with oneDNN, other rounding
"""

from __future__ import annotations

import platform

import torch
from torch import Tensor

# Elsewhere oneDNN was not measured, or torch has no such operator.
HAS_ONEDNN = torch._C._has_mkldnn and platform.machine() in ("x86_64", "AMD64")


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


def product_of_rows(a: Tensor, b: Tensor) -> Tensor:
    """The product a · bᵀ, (M, N), of a (M, K) and b (N, K); no gradient passes.

    Where a gradient is wanted, ``a @ b.T`` has one.
    """
    product: Tensor = _product(a.detach(), b.detach())
    return product


# An operator of its own: compiled code would take oneDNN's apart, and wants to know b beforehand.
@torch.library.custom_op("kdbench::product_of_rows", mutates_args=())
def _product(a: Tensor, b: Tensor) -> Tensor:
    if HAS_ONEDNN and all(t.device.type == "cpu" and t.dtype == torch.float32 for t in (a, b)):
        product: Tensor = torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")
        return product
    return a @ b.T


@_product.register_fake
def _(a: Tensor, b: Tensor) -> Tensor:
    return a.new_empty(len(a), len(b))
