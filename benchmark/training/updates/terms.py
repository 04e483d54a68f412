"""The sums of a learner's loss terms over an epoch, which may be left and gone on with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from benchmark.errors import RecipeError


class TermSums:
    """Sums of the weighted loss terms of an epoch, on the device.

    Args:
        recipe: its name, for errors.
        accelerator: knows the other processes.
    """

    def __init__(self, recipe: str, accelerator: Accelerator) -> None:
        self.recipe, self.accelerator = recipe, accelerator
        self.clear()

    def clear(self) -> None:
        """Begin an epoch."""
        self._names: tuple[str, ...] = ()
        self._sums: Tensor | None = None
        self._images = 0
        self._trace: list[Tensor] = []  # of every step: nothing is computed or waited for with it

    def add(self, terms: Mapping[str, Tensor], values: Tensor, images: int) -> None:
        """Take the terms of a batch in.

        Args:
            terms: by name, for their names.
            values: (T,) of the terms, without gradient.
            images: that they are the mean of.

        Raises:
            RecipeError: there are none, or they are others than in the batches before.
        """
        names = tuple(terms)
        if self._sums is None:
            if not names:
                raise RecipeError(f"recipe '{self.recipe}' returned no loss term")
            self._names, self._sums = names, torch.zeros_like(values, dtype=torch.float64)
        elif names != self._names:
            raise RecipeError(
                f"recipe '{self.recipe}' returned the terms {names} after {self._names}"
            )
        self._sums.add_(values, alpha=images)
        self._images += images
        self._trace.append(values)

    def means(self) -> dict[str, float]:
        """Mean of every term over the epoch and over the processes."""
        if self._sums is None:
            return {}
        packed = torch.cat([self._sums, self._sums.new_tensor([self._images])])
        *sums, images = self.accelerator.reduce(packed, reduction="sum").tolist()
        return {name: value / images for name, value in zip(self._names, sums, strict=True)}

    def first_bad(self, steps: int) -> tuple[int, dict[str, float]] | None:
        """The step at which a term was not finite first, and all terms there.

        Args:
            steps: of the epoch, which is at its end.

        Returns:
            The step, from 1; None if it was another process's, or before the epoch was gone on
            with.
        """
        values = torch.stack(self._trace).cpu()
        for number, at in enumerate(values, steps - len(values) + 1):
            if not at.isfinite().all():
                return number, dict(zip(self._names, at.tolist(), strict=True))
        return None

    def state_dict(self) -> dict[str, Any]:
        """All that an epoch is gone on with: a row of sums and images for every process."""
        if self._sums is None:
            return {"names": [], "rows": None}
        packed = torch.cat([self._sums, self._sums.new_tensor([self._images])])
        return {"names": list(self._names), "rows": self.accelerator.gather(packed[None])}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with what ``state_dict`` gave, also with another number of processes."""
        rows, rank = state["rows"], self.accelerator.process_index
        self.clear()
        if rows is None:
            return
        if len(rows) != self.accelerator.num_processes:  # the means need only the sum of the rows
            rest = rows.new_zeros(self.accelerator.num_processes - 1, rows.shape[1])
            rows = torch.cat([rows.sum(dim=0, keepdim=True), rest])
        self._names, self._images = tuple(state["names"]), int(rows[rank, -1])
        self._sums = rows[rank, :-1].to(self.accelerator.device, copy=True)
