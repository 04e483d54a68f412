"""Every loss against the value and the gradient of its reference implementation in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

LOSSES = Path(__file__).parent.parent / "fixtures" / "losses.npz"
Loss = Callable[[ModuleType, "Reference"], Tensor]


@dataclass(frozen=True)
class Reference:
    """One entry of the file.

    Attributes:
        inputs: by name; those that have a gradient require it.
        gradients: what the loss's gradient by each of them must be.
        settings: numbers such as ``temperature``.
    """

    inputs: dict[str, Tensor]
    gradients: dict[str, Tensor]
    settings: dict[str, float]
    loss: float

    @classmethod
    def read(cls, name: str, dtype: torch.dtype) -> Reference:
        parts: dict[str, dict[str, Any]] = {"in": {}, "grad": {}, "": {}}
        with np.load(LOSSES) as file:
            for key in file.files:
                entry, _, rest = key.partition("/")
                kind, _, label = rest.rpartition(".") if "." not in rest else rest.partition(".")
                if entry == name and kind in parts:
                    parts[kind][label] = file[key]
        inputs = {k: torch.from_numpy(v).to(dtype) for k, v in parts["in"].items()}
        gradients = {k: torch.from_numpy(v) for k, v in parts["grad"].items()}
        for label in gradients:
            inputs[label].requires_grad_()
        settings = {k: v.item() for k, v in parts[""].items() if v.ndim == 0}
        return cls(inputs, gradients, settings, settings.pop("loss"))


# Entry of the file: the recipe's file, and the call that must reproduce it.
TABLE: dict[str, tuple[str, Loss]] = {
    "kd": ("kd", lambda m, r: m.kd_loss(**r.inputs, **r.settings)),
    "kdmse": ("kd", lambda m, r: m.probability_mse(**r.inputs)),
    "th-kd": ("th_kd", lambda m, r: m.teacher_head_loss(**r.inputs, **r.settings)),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("entry", TABLE)
def test_loss_and_gradient(
    entry: str, dtype: torch.dtype, recipe_module: Callable[[str], ModuleType]
) -> None:
    stem, call = TABLE[entry]
    reference = Reference.read(entry, dtype)
    loss = call(recipe_module(stem), reference)
    loss.backward()
    assert loss.item() == pytest.approx(reference.loss, rel=1e-5)
    for name, expected in reference.gradients.items():
        got = reference.inputs[name].grad
        error = (got - expected).abs().max() / expected.abs().max()
        assert error < 1e-5, f"{entry}: gradient by {name} is off by {error:.1e}"
