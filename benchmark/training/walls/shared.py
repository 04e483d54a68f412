"""What the members of a group read in turn, watched so that none of them writes into it.

Every tensor's version counter, address, shape and layout are compared after every turn. That costs
half a microsecond a tensor and waits for no device, but ``.data``, ``.numpy()`` and the like write
without being counted. Where ``thorough`` is asked for, as in the first step of every epoch, the
values are compared with a copy as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from benchmark.networks.outputs import Outputs
from benchmark.recipe.batch import Batch


class Given(Protocol):
    """A batch, as a loader gives it or as recipes see it."""

    @property
    def images(self) -> Tensor: ...  # noqa: D102
    @property
    def labels(self) -> Tensor: ...  # noqa: D102
    @property
    def index(self) -> Tensor: ...  # noqa: D102
    @property
    def views(self) -> tuple[Tensor, ...]: ...  # noqa: D102


T = TypeVar("T", bound=Given)


class Shared(Generic[T]):
    """A batch, and what was made of it for all members.

    Args:
        make: gives the batch; gives the same one when it is called again.
        forget: called when the batch is made again: what was made of it is not trusted either.
        thorough: compare values, too.

    Attributes:
        batch: as it is to be read by the next member.
    """

    def __init__(
        self,
        batch: T,
        make: Callable[[], T],
        *,
        forget: Callable[[], None] = lambda: None,
        thorough: bool = False,
    ) -> None:
        self.batch, self._make, self._forget, self._thorough = batch, make, forget, thorough
        self._seen: list[_Seen] = []
        self._add("batch", batch)

    def answered(self, outputs: Outputs) -> None:
        """A network's answer was computed, which all who ask will get."""
        named = [("logits", outputs.logits), ("embedding", outputs.embedding)]
        named += [(f"maps[{n}]", one) for n, one in enumerate(outputs.maps)]
        named += [(f"preactivations[{n}]", one) for n, one in enumerate(outputs.preactivations)]
        for name in ("features", "class_maps"):
            tensor: Tensor | None = getattr(outputs, f"maybe_{name}")
            named += [] if tensor is None else [(name, tensor)]
        for name, tensor in named:
            self._watch(f"teacher.{name}", tensor)

    def viewed(self, batch: Batch) -> None:
        """A view was made, which all who ask for it will get."""
        self._add("the shared view's batch", batch)

    def written(self) -> str | None:
        """The name of a tensor that was written into since it was made; None if none was."""
        return next((seen.name for seen in self._seen if seen.is_other()), None)

    def renew(self) -> None:
        """Make all anew for those who still have their turn."""
        self._forget()
        self._seen = []
        self.batch = self._make()
        self._add("batch", self.batch)

    def _add(self, whose: str, batch: Given) -> None:
        for name in ("images", "labels", "index"):
            self._watch(f"{whose}.{name}", getattr(batch, name))
        for number, view in enumerate(batch.views):
            self._watch(f"{whose}.views[{number}]", view)

    def _watch(self, name: str, tensor: Tensor) -> None:
        copy = tensor.detach().clone() if self._thorough else None
        self._seen.append(_Seen(name, tensor, _state_of(tensor), copy))


class _Seen(NamedTuple):
    name: str
    tensor: Tensor
    state: tuple[object, ...]
    copy: Tensor | None

    def is_other(self) -> bool:
        if _state_of(self.tensor) != self.state:
            return True
        return self.copy is not None and not _equal(self.copy, self.tensor)


def _state_of(tensor: Tensor) -> tuple[object, ...]:
    return (
        tensor._version,
        tensor.data_ptr(),
        tensor.shape,
        tensor.stride(),
        tensor.dtype,
        tensor.requires_grad,
    )


def _equal(first: Tensor, second: Tensor) -> bool:
    """Bit for bit, where one NaN is like another."""
    if torch.equal(first, second):
        return True
    if not first.is_floating_point():
        return False
    return torch.equal(first.nan_to_num(nan=0.0), second.nan_to_num(nan=0.0)) and torch.equal(
        first.isnan(), second.isnan()
    )
