"""A folder that ``timm.create_model`` loads, from the disk or from the hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmark.cards.fields import Triple
from benchmark.deploy.viewing import View
from benchmark.errors import UsageError
from benchmark.networks.names import TIMM_PREFIX
from benchmark.work.rebuilding import Student

FILES = ("config.json", "model.safetensors")


def write(student: Student, folder: Path) -> None:
    """Write the model's weights, by timm's names for them, and its configuration.

    Raises:
        UsageError: timm has no such network.
    """
    from timm.models import save_for_hf

    view, size = View.of(student.run.card, student.pictures), student.pictures.size
    mean, std = _shown(student)
    # timm takes the floor of size / crop_pct for the short side; half a pixel more is safe.
    share = size / (view.short + 0.5) if view.short > size else 1.0
    seen = {
        "tag": "kdbench",
        "license": None,  # of the published weights that timm knows by this name
        "input_size": [3, size, size],
        "test_input_size": [3, size, size],
        "mean": mean,
        "std": std,
        "crop_pct": share,
        "test_crop_pct": share,
        "crop_mode": "center",
        "interpolation": "box",  # by area, as the test images were made smaller
    }
    labels = {"label_names": list(student.class_names), "pretrained_cfg": seen}
    save_for_hf(_model(student), folder, model_config=labels, safe_serialization=True)


def ask(folder: Path) -> Callable[[Tensor], Tensor]:
    """Logits of pixels, as whoever loads the folder gets them."""
    import timm

    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    config = model.pretrained_cfg
    mean, std = (torch.tensor(config[key])[:, None, None] for key in ("mean", "std"))
    return lambda pixels: model((pixels - mean) / std)


def _model(student: Student) -> Any:
    """The network as timm makes it, with the trained weights.

    Raises:
        UsageError: timm has no such network.
    """
    name = student.record.spec.network
    if not name.startswith(TIMM_PREFIX):
        raise _cannot_hold(student, f"'{name}' is none of timm's networks")
    import timm

    from benchmark.networks.timm_adaptor import TimmNetwork

    if not isinstance(student.network, TimmNetwork):
        layers = f"the recipe '{student.record.spec.recipe}' predicts with layers of its own"
        raise _cannot_hold(student, f"{layers} beside those of '{name}'")
    trained: Any = student.network.model
    options = {**getattr(trained, "_model_args", {}), "num_classes": student.pictures.classes}
    options.pop("drop_path_rate", None)  # nothing is left out of what answers
    model = timm.create_model(name.removeprefix(TIMM_PREFIX), pretrained=False, **options)
    wanted = model.state_dict()
    # A classifier that is a convolution of one pixel there is a linear layer here.
    state = {key: value.reshape(wanted[key].shape) for key, value in trained.state_dict().items()}
    model.load_state_dict(state)
    return model.eval()


def _cannot_hold(student: Student, reason: str) -> UsageError:
    return UsageError(
        f"the timm format cannot hold {student.cell}: {reason}.\n"
        "Write --format torch-export or --format onnx, which hold any network."
    )


def _shown(student: Student) -> tuple[list[float], list[float]]:
    """By what timm's own model is shown normalised: a network may correct how images come."""
    mean: Triple = student.pictures.mean
    std: Triple = student.pictures.std
    scale, shift = (getattr(student.network, name, None) for name in ("_scale", "_shift"))
    if scale is None or shift is None:
        return list(mean), list(std)
    own_std = torch.tensor(std) / scale.flatten()
    return (torch.tensor(mean) - shift.flatten() * own_std).tolist(), own_std.tolist()
