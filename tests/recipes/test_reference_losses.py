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

FIXTURES = Path(__file__).parent.parent / "fixtures"
LOSSES = FIXTURES / "losses.npz"
NEWER = FIXTURES / "losses_newer.npz"
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
        with np.load(NEWER if name in NEWER_ENTRIES else LOSSES) as file:
            for key in file.files:
                entry, _, rest = key.partition("/")
                kind, _, label = rest.rpartition(".") if "." not in rest else rest.partition(".")
                if entry == name and kind in parts:
                    parts[kind][label] = file[key]
        inputs = {k: torch.from_numpy(v) for k, v in parts["in"].items()}
        inputs = {k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs.items()}
        gradients = {k: torch.from_numpy(v) for k, v in parts["grad"].items() if k in inputs}
        for label in gradients:
            inputs[label].requires_grad_()
        settings = {k: v.item() for k, v in parts[""].items() if v.ndim == 0}
        return cls(inputs, gradients, settings, settings.pop("loss"))

    def stages(self, network: str) -> list[Tensor]:
        """The maps of ``s`` or ``t``, a stage each."""
        return [v for k, v in self.inputs.items() if k[:-1] == f"feat_{network}"]


def of_maps(function: str) -> Loss:
    """A loss of the stages of both networks."""
    return lambda m, r: getattr(m, function)(r.stages("s"), r.stages("t"))


def of_pair(function: str) -> Loss:
    """A loss of one map, or of the embeddings, of both networks."""
    return lambda m, r: getattr(m, function)(*r.inputs.values(), **r.settings)


def variational(module: ModuleType, reference: Reference) -> Tensor:
    """VID: a module a stage, with the weights of the file."""
    losses = []
    for stage, maps in enumerate(zip(reference.stages("s"), reference.stages("t"), strict=True)):
        loss_of = module.VariationalLoss(*(m.shape[1] for m in maps)).to(maps[0].dtype)
        with np.load(LOSSES) as file:
            given = (file[f"vid/param.{stage}.{name}"] for name in ("log_scale", "w0", "w1", "w2"))
            for parameter, value in zip(loss_of.parameters(), given, strict=True):
                parameter.data.copy_(torch.from_numpy(value))
        losses.append(loss_of(*maps))
    return torch.stack(losses).sum()


def embedding_and_head(module: ModuleType, reference: Reference) -> Tensor:
    """KDE-TH: both terms of the recipe, from its own file."""
    inputs, settings = reference.inputs, dict(reference.settings)
    th_weight = settings.pop("th_weight")
    head = module.teacher_head_loss(**inputs, **settings)
    return module.embedding_loss(inputs["embed_s"], inputs["embed_t"]) + th_weight * head


def between_images(module: ModuleType, reference: Reference) -> Tensor:
    """Function matching: KD of two linear networks on the mixed images."""
    inputs, settings = reference.inputs, reference.settings
    images = module.mixed(inputs["images"], settings["share"]).flatten(1)
    logits = (images @ inputs[f"{network}_weight"].T for network in ("student", "teacher"))
    loss: Tensor = module.kd_loss(*logits, settings["temperature"])
    return loss


def of_class_maps(module: ModuleType, reference: Reference) -> Tensor:
    """CAT-KD: the classifiers' weights at every position of the features, without a bias."""
    inputs, settings = reference.inputs, reference.settings
    maps = (
        torch.einsum("bchw,kc->bkhw", inputs[f"features_{n}"], inputs[f"head_weight_{n}"])
        for n in ("s", "t")
    )
    loss: Tensor = module.class_map_loss(*maps, int(settings["resolution"]), settings["normalise"])
    return loss


NEWER_ENTRIES = {"cat-kd", "cat-kd-norm", "function-matching", "kd-plus-plus"}

# Entry of the file: the recipe's file, and the call that must reproduce it.
TABLE: dict[str, tuple[str, Loss]] = {
    "ab": ("ab", of_maps("boundary_loss")),
    "at": ("at", of_maps("attention_loss")),
    "cat-kd": ("cat_kd", of_class_maps),
    "cat-kd-norm": ("cat_kd", of_class_maps),
    "cc": ("cc", of_pair("correlation_loss")),
    "dist": ("dist", of_pair("dist_loss")),
    "dkd": ("dkd", of_pair("dkd_loss")),
    "fitnet": ("fitnet", of_pair("hint_loss")),
    "fsp": ("fsp", of_maps("fsp_loss")),
    "ft": ("ft", of_pair("factor_loss")),
    "function-matching": ("function_matching", between_images),
    "kd": ("kd", of_pair("kd_loss")),
    "kd-plus-plus": ("kd_plus_plus", of_pair("direction_norm_loss")),
    "kde": ("kde", of_pair("embedding_loss")),
    "kdeth": ("kde_th", embedding_and_head),
    "kdmse": ("kd", of_pair("probability_mse")),
    "kdsvd": ("kdsvd", of_maps("svd_loss")),
    "ls-kd": ("ls_kd", of_pair("standardised_kd_loss")),
    "nst": ("nst", of_maps("nst_loss")),
    "ofd": ("ofd", of_pair("partial_l2")),
    "pkt": ("pkt", of_pair("pkt_loss")),
    "reviewkd": ("reviewkd", of_maps("hcl_loss")),
    "rkd": ("rkd", of_pair("relational_loss")),
    "sp": ("sp", of_pair("similarity_loss")),
    "th-kd": ("th_kd", lambda m, r: m.teacher_head_loss(**r.inputs, **r.settings)),
    "vid": ("vid", variational),
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
        assert torch.isfinite(got).all()
        # KDSVD's reference has no gradient for an image with two equal singular values.
        known = torch.isfinite(expected)
        error = (got - expected)[known].abs().max() / expected[known].abs().max()
        assert error < 1e-5, f"{entry}: gradient by {name} is off by {error:.1e}"
