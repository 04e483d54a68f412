"""Real parts that are small: the drawn data with few images, a card, an accelerator."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from tests.support.slurm import MISSING as SLURM_LACKS

if not os.environ.get("KDBENCH_NETWORK"):
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # only tests marked `network` may ask the hub

TINY_CARD = """
name = "tiny"
title = "Tiny birds"
classes = 4
image_size = 32
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]
splits = { train = 40, test = 24 }
pairs = ["resnet14:resnet8"]

[source]
kind = "drawn"
revision = "1"
families = 2
species = 2
train_per_class = 10
test_per_class = 6
seed = 5

[[augmentation]]
name = "random_crop"
padding = 2

[[augmentation]]
name = "horizontal_flip"

[protocols.quick]
epochs = 2
batch_size = 16
lr = 0.05
schedule = "cosine"

[protocols.longer]
epochs = 4
batch_size = 16
lr = 0.05
milestones = [2]
"""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what this machine has not got."""
    import torch

    data = os.environ.get("KDBENCH_DATA")
    reasons = {
        "gpu": None if torch.cuda.is_available() else "no CUDA device",
        "realdata": None if data and Path(data).is_dir() else "KDBENCH_DATA names no folder",
        "torture": None if os.environ.get("KDBENCH_TORTURE") else "KDBENCH_TORTURE is not set",
        "ray": None if importlib.util.find_spec("ray") else "Ray is not installed",
        "slurm": None if not SLURM_LACKS else f"{SLURM_LACKS} is not installed: see .ci/slurm",
        "network": None if os.environ.get("KDBENCH_NETWORK") else "KDBENCH_NETWORK is not set",
    }
    for item in items:
        for marker, reason in reasons.items():
            if reason and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Sums depend on the number of threads in their last bits; tests compare bits.

    Before each test: commands that are called within this process set their own number.
    """
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def card_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that can be given by --path: one card of 40 + 24 images in 4 classes."""
    folder = tmp_path_factory.mktemp("extra")
    (folder / "datasets").mkdir()
    (folder / "recipes").mkdir()
    (folder / "datasets" / "tiny.toml").write_text(TINY_CARD)
    return folder


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that all tests share."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def tiny(card_folder: Path, cache_dir: Path):
    """The tiny data set, drawn."""
    from benchmark.cards.catalogue import read_card
    from benchmark.data.opening import load_data

    return load_data(read_card(card_folder / "datasets" / "tiny.toml"), None, cache_dir)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, cache_dir: Path) -> None:
    """No test sees or fills the caches and paths of whoever runs it."""
    monkeypatch.setenv("KDBENCH_CACHE", str(cache_dir))
    monkeypatch.delenv("KDBENCH_PATH", raising=False)


@pytest.fixture
def accelerator(request: pytest.FixtureRequest):
    """One process; ``@pytest.mark.parametrize("accelerator", ["bf16"], indirect=True)``."""
    from accelerate.state import AcceleratorState

    from benchmark.work.accelerator import make_accelerator

    AcceleratorState._reset_state(reset_partial_state=True)
    yield make_accelerator(getattr(request, "param", "fp32"))
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def no_published_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache of the hub, and no connection."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("benchmark.hub.reachable", lambda: False)
    return tmp_path / "hub"


@pytest.fixture
def published_weights(no_published_weights: Path) -> Path:
    """The file of ``timm/test_resnet`` in a cache of the hub, as a machine without one has it."""
    import timm
    import torch
    from safetensors.torch import save_file

    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = timm.create_model("test_resnet", num_classes=1000)
    repository = timm.get_pretrained_cfg("test_resnet").hf_hub_id
    folder = no_published_weights / f"models--{repository.replace('/', '--')}"
    file = folder / "snapshots" / ("0" * 40) / "model.safetensors"
    file.parent.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0" * 40)
    save_file(model.state_dict(), file)
    return file
