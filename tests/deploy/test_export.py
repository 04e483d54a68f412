"""What is exported says what the network says, to those who have no kdbench."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from huggingface_hub import ModelCard
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from benchmark.deploy import formats
from benchmark.deploy.export import PIXELS, export
from benchmark.deploy.formats import FORMATS
from benchmark.deploy.program import Program, examples
from benchmark.deploy.viewing import View, as_pixels
from benchmark.errors import NetworkError, UnknownName, UsageError
from tests.deploy.conftest import NAMES, MakeStudent

# What runs where there is no kdbench: its folder alone is looked into.
STRANGER = """
import sys
sys.modules["benchmark"] = None
import json, numpy, torch
from pixels import pixels
asked = torch.from_numpy(pixels("photo.png"))[None]
said = {"torch-export": torch.export.load("model.pt2").module()(asked)}
import timm
model = timm.create_model("local-dir:.", pretrained=True).eval()
mean, std = (torch.tensor(model.pretrained_cfg[k])[:, None, None] for k in ("mean", "std"))
said["timm"] = model((asked - mean) / std)
print(json.dumps({name: logits[0].tolist() for name, logits in said.items()}))
"""


@pytest.fixture(scope="module")
def folder(make_student: MakeStudent, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network in two forms."""
    folder = tmp_path_factory.mktemp("out") / "student"
    done = export(make_student().student, folder, ["timm", "torch-export"])
    assert set(done.differences) == {"timm", "torch-export"}
    assert max(done.differences.values()) < 1e-6
    assert set(done.files) == {
        "README.md", "config.json", "labels.json", "model.pt2", "model.safetensors", "pixels.py",
        "record.json",
    }  # fmt: skip
    return folder


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    noise = np.random.default_rng(4).integers(0, 256, (90, 61, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.mark.slow
def test_it_says_the_same_where_there_is_no_kdbench(
    folder: Path, photo: Path, make_student: MakeStudent
) -> None:
    student = make_student().student
    [image] = View.of(student.run.card, student.pictures).see([photo])
    assert isinstance(image, Tensor)
    wanted = Program.of(student)(as_pixels([image]))[0]
    (folder / "photo.png").write_bytes(photo.read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", STRANGER], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    for name in ("torch-export", "timm"):
        assert said[name] == pytest.approx(wanted.tolist(), abs=1e-5), name
    (folder / "photo.png").unlink()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("size", [(61, 90), (32, 32), (20, 31), (400, 33)])
def test_its_own_pixels_are_those_of_the_evaluation(
    folder: Path, tmp_path: Path, make_student: MakeStudent, mode: str, size: tuple[int, int]
) -> None:
    student = make_student().student
    shape = (size[1], size[0], len(mode)) if len(mode) > 1 else (size[1], size[0])
    noise = np.random.default_rng(4).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    for view in (View.of(student.run.card, student.pictures), View(32, 37)):
        text = PIXELS.read_text("utf-8").replace("{{ size }}", str(view.size))
        module: dict[str, Any] = {}
        exec(text.replace("{{ short }}", str(view.short)), module)
        [image] = view.see([tmp_path / "photo.png"])
        assert isinstance(image, Tensor)
        own = torch.from_numpy(module["pixels"](tmp_path / "photo.png"))
        assert torch.equal(own, as_pixels([image])[0])
    assert "SIZE, SHORT = 32, 32 " in (folder / "pixels.py").read_text("utf-8")


def test_timm_finds_names_without_a_prefix_and_classes(folder: Path) -> None:
    model = timm.create_model(f"local-dir:{folder}", pretrained=True)
    assert model.pretrained_cfg["label_names"] == list(NAMES)
    assert model.pretrained_cfg["mean"] == [0.5, 0.5, 0.5]
    assert model.num_classes == len(NAMES)
    assert load_file(folder / "model.safetensors").keys() == model.state_dict().keys()
    assert (folder / "model.safetensors").stat().st_mode == (folder / "README.md").stat().st_mode


def test_the_model_card_has_results_as_the_hub_reads_them(
    folder: Path, make_student: MakeStudent
) -> None:
    card = ModelCard.load(folder / "README.md")
    results = {one.metric_name: one.metric_value for one in card.data.eval_results}
    assert results["top-1 accuracy"] == 0.5
    assert card.data.eval_results[0].dataset_name == "Tiny birds"
    assert {"knowledge-distillation", "timm", "torch-export"} <= set(card.data.tags)
    record = make_student().student.record
    for told in (record.identity, record.weights, "test_resnet", "kd", "arXiv:1503.02531"):
        assert str(told) in card.text
    assert json.loads((folder / "record.json").read_text())["identity"] == record.identity
    assert json.loads((folder / "labels.json").read_text())["class_names"] == list(NAMES)


def test_timm_cannot_hold_other_networks_nor_more_layers(
    make_student: MakeStudent, tmp_path: Path
) -> None:
    for recipe, pair, said in (
        ("kd", "resnet14:resnet8", "'resnet8' is none of timm's"),
        ("th-kd[form=paper]", "timm/test_resnet:timm/test_resnet", "layers of its own"),
    ):
        student = make_student(recipe, pair).student
        with pytest.raises(UsageError, match=rf"{said}[\s\S]*torch-export"):
            export(student, tmp_path / "out", ["timm"])
    assert list(tmp_path.iterdir()) == []


def test_timm_is_told_how_a_network_that_began_published_wants_its_images(
    make_student: MakeStudent, tmp_path: Path
) -> None:
    """Such a network corrects the card's normalisation by itself; timm's own does not."""
    student = make_student("vanilla", protocol="quick[pretrained=true]").student
    done = export(student, tmp_path / "out", ["timm"])
    assert done.differences["timm"] < 1e-5
    told = json.loads((tmp_path / "out" / "config.json").read_text())["pretrained_cfg"]
    published = timm.get_pretrained_cfg("test_resnet")
    assert told["mean"] == pytest.approx(published.mean, abs=1e-6)
    assert told["std"] == pytest.approx(published.std, abs=1e-6)
    assert published.std != student.pictures.std


def test_a_recipe_s_layers_are_in_its_program(make_student: MakeStudent, tmp_path: Path) -> None:
    student = make_student("th-kd[form=paper]").student
    export(student, tmp_path / "out", ["torch-export"])
    program = torch.export.load(tmp_path / "out" / "model.pt2").module()
    pixels = examples(student.pictures.size, 4)
    said = program(pixels)
    assert torch.allclose(said, student.network((pixels - 0.5) / 0.25).logits, atol=1e-5)
    assert not torch.allclose(said, student.network.network((pixels - 0.5) / 0.25).logits)


def test_a_form_that_says_something_else_is_not_kept(
    make_student: MakeStudent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = FORMATS["timm"]
    other = replace(form, ask=lambda folder: lambda pixels: form.ask(folder)(pixels) + 0.01)
    monkeypatch.setitem(formats.FORMATS, "timm", other)
    with pytest.raises(NetworkError, match=r"says something else .* was not kept"):
        export(make_student().student, tmp_path / "out", ["timm"])
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(make_student: MakeStudent, tmp_path: Path) -> None:
    student = make_student().student
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    with pytest.raises(UsageError, match="not empty"):
        export(student, tmp_path / "mine", ["timm"])
    with pytest.raises(UsageError, match="is no folder"):
        export(student, tmp_path / "mine" / "thesis.txt", ["timm"])
    with pytest.raises(UnknownName, match=r"Did you mean 'onnx'"):
        export(student, tmp_path / "new", ["onyx"])
    (tmp_path / "empty").mkdir()
    export(student, tmp_path / "empty", ["timm"], hub_name="someone/birds")
    assert (tmp_path / "empty" / "config.json").is_file()
    assert 'create_model("hf-hub:someone/birds"' in (tmp_path / "empty" / "README.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "pair"),
    [
        ("kd", "timm/test_resnet:timm/test_resnet"),
        ("kd", "resnet14:MobileNetV2"),  # whose layer "classifier" is also a property
        ("simkd", "resnet14:resnet8"),
        ("th-kd[form=paper]", "resnet14:resnet8"),
    ],
)
def test_onnx_says_the_same(
    make_student: MakeStudent, tmp_path: Path, recipe: str, pair: str
) -> None:
    import onnx

    done = export(make_student(recipe, pair).student, tmp_path / "out", ["torch-export", "onnx"])
    assert max(done.differences.values()) < 1e-5
    model = onnx.load(str(tmp_path / "out" / "model.onnx"))
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    [names] = [e.value for e in model.metadata_props if e.key == "class_names"]
    assert json.loads(names) == list(NAMES)
