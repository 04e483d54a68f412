"""Networks without memory and arithmetic: what they look like, and nothing else.

A fresh network draws its weights, and on the meta device torch does even that by its Python
references: a normal distribution imports ``torch._dynamo``, half of a command's start for numbers
that nobody can read. So nothing is drawn there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# What fills its first argument by chance, and returns it. Those of ``nn.init`` ask the mode first,
# and then call a tensor's own without it.
DRAWS = frozenset(
    {
        Tensor.normal_,
        Tensor.uniform_,
        Tensor.random_,
        Tensor.bernoulli_,
        Tensor.exponential_,
        Tensor.log_normal_,
        Tensor.cauchy_,
        Tensor.geometric_,
        Tensor.erfinv_,  # of a uniform number, in a truncated normal distribution
        nn.init.normal_,
        nn.init.uniform_,
        nn.init.kaiming_uniform_,
    }
)


@contextmanager
def on_meta() -> Iterator[None]:
    """In the block, tensors are made on the meta device and no numbers are drawn."""
    with torch.device("meta"), _Undrawn():
        yield


class _Undrawn(TorchFunctionMode):
    """Leaves a tensor without memory as it is where it would be filled with numbers by chance."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a function of torch, or do without."""
        named = kwargs or {}
        if func in DRAWS:
            filled = args[0] if args else named["tensor"]
            if filled.is_meta:
                return filled
        return func(*args, **named)
