"""The network of a record answers as the record says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import benchmark
from benchmark.data.splits import DataSet
from benchmark.networks.cost import count_parameters
from benchmark.records.store import Store
from benchmark.training.keeping.workspace import Workspace

CELLS = {
    "kd": "tiny/resnet14__resnet8/kd+quick,epochs=1/seed0",
    "vanilla": "tiny/resnet8/vanilla+quick,epochs=1/seed0",
    "teacher": "tiny/resnet14/vanilla+quick,epochs=1/seed0",
    "simkd": "tiny/resnet14__resnet8/simkd+quick,epochs=1/seed0",
    "paper": "tiny/resnet14__resnet8/th-kd,form=paper+quick,epochs=1/seed0",
}


def normalised(data: DataSet) -> tuple[torch.Tensor, torch.Tensor]:
    """All test images as networks see them, and their classes."""
    assert isinstance(data.test.images, torch.Tensor)
    images = data.test.images.permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in (data.card.mean, data.card.std))
    return (images - mean) / std, data.test.labels


@contextmanager
def taken_away(folder: Path) -> Iterator[None]:
    """A folder is not there for a moment."""
    aside = folder.with_name("aside")
    folder.rename(aside)
    try:
        yield
    finally:
        aside.rename(folder)


@pytest.mark.parametrize("name", ["kd", "vanilla", "simkd"])
def test_a_student_has_the_accuracy_of_its_record(
    name: str, trained: dict[str, Path], card_folder: Path, tiny: DataSet
) -> None:
    network = benchmark.load_student(CELLS[name], **trained, paths=[card_folder])
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    images, labels = normalised(tiny)
    top1 = 100 * (network(images).logits.argmax(1) == labels).float().mean().item()
    metrics = Store(trained["results"]).lookup(CELLS[name]).metrics
    assert metrics is not None
    assert top1 == pytest.approx(metrics.top1, abs=1e-3)


def test_random_numbers_of_the_program_go_on_as_they_were(
    trained: dict[str, Path], card_folder: Path
) -> None:
    state = torch.get_rng_state()
    benchmark.load_student(CELLS["kd"], **trained, paths=[card_folder])
    assert torch.equal(torch.get_rng_state(), state)


def test_what_a_recipe_did_to_its_network_is_done_again(
    trained: dict[str, Path], card_folder: Path
) -> None:
    """The teacher of sh-kd has its student's classifier, frozen."""
    [file] = trained["results"].rglob("sh-teacher*/seed0.json")
    teacher = benchmark.load_student(str(file), **trained, paths=[card_folder])
    donor = benchmark.load_student(CELLS["vanilla"], **trained, paths=[card_folder])
    assert isinstance(teacher, benchmark.SharedHead)
    assert torch.equal(teacher.classifier.weight, donor.classifier.weight)


def test_layers_with_which_a_recipe_predicts_are_kept(
    trained: dict[str, Path], card_folder: Path, tiny: DataSet
) -> None:
    """They need no weights of the teacher, which may be gone."""
    record = Store(trained["results"]).lookup(CELLS["paper"])
    with taken_away(trained["runs"] / record.spec.roles["teacher"].identity[:16]):
        network = benchmark.load_student(CELLS["paper"], **trained, paths=[card_folder])
    images, labels = normalised(tiny)
    outputs = network(images)
    own = network.classifier(outputs.embedding)
    assert not torch.equal(outputs.logits, own)
    top1 = 100 * (outputs.logits.argmax(1) == labels).float().mean().item()
    assert record.metrics is not None
    assert record.cost is not None
    assert top1 == pytest.approx(record.metrics.top1, abs=1e-3)
    assert count_parameters([network]) == record.cost.parameters


def test_weights_of_an_older_version_lack_those_layers(
    trained: dict[str, Path], card_folder: Path, tmp_path: Path
) -> None:
    record = Store(trained["results"]).lookup(CELLS["paper"])
    weights = Workspace(trained["runs"]).load_weights(record.identity, record.weights)
    older = Workspace(tmp_path)
    older.save_weights(record.identity, weights.tensors, recorded=record.weights)
    with pytest.raises(benchmark.BenchmarkError, match=r"older version .*'th-kd' .*lacking"):
        benchmark.load_student(
            CELLS["paper"], results=trained["results"], runs=tmp_path, paths=[card_folder]
        )
    kd = Store(trained["results"]).lookup(CELLS["kd"])
    weights = Workspace(trained["runs"]).load_weights(kd.identity, kd.weights)
    older.save_weights(kd.identity, weights.tensors, recorded=kd.weights)
    benchmark.load_student(
        CELLS["kd"], results=trained["results"], runs=tmp_path, paths=[card_folder]
    )


def test_a_network_that_says_something_else_than_then_is_refused(
    trained: dict[str, Path], card_folder: Path, tmp_path: Path
) -> None:
    """Its packages or its recipe make another network of the same weights."""
    record = Store(trained["results"]).lookup(CELLS["kd"])
    weights = Workspace(trained["runs"]).load_weights(record.identity, record.weights)
    assert weights.deployment is not None
    Workspace(tmp_path).save_weights(
        record.identity,
        weights.tensors,
        recorded=record.weights,
        deployment=replace(weights.deployment, said=weights.deployment.said.flip(1)),
    )
    with pytest.raises(benchmark.BenchmarkError, match="says something else"):
        benchmark.load_student(
            CELLS["kd"], results=trained["results"], runs=tmp_path, paths=[card_folder]
        )


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("kd", "--pair resnet14:resnet8 --recipe kd --seeds 0, --protocol 'quick[epochs=1]'"),
        ("paper", "--pair resnet14:resnet8 --recipe 'th-kd[form=paper]' --seeds 0,"),
        ("teacher", "--pair resnet14:resnet14 --recipe vanilla --seeds 0,"),
    ],
)
def test_weights_that_are_gone_are_named_and_how_they_come_back(
    name: str, command: str, trained: dict[str, Path], card_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(benchmark.BenchmarkError) as caught:
        benchmark.load_student(
            CELLS[name], results=trained["results"], runs=tmp_path, paths=[card_folder]
        )
    assert re.search(r"no usable weights in .*safetensors", str(caught.value))
    assert f"kdbench run --dataset tiny {command}" in str(caught.value)


def test_a_record_that_is_not_there_has_a_near_name(
    trained: dict[str, Path], card_folder: Path
) -> None:
    with pytest.raises(benchmark.BenchmarkError, match="Did you mean"):
        benchmark.load_student(CELLS["kd"] + "0", **trained, paths=[card_folder])


def test_a_card_of_other_data_is_refused(
    trained: dict[str, Path], card_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "datasets").mkdir()
    card = (card_folder / "datasets" / "tiny.toml").read_text().replace("seed = 5", "seed = 6")
    (tmp_path / "datasets" / "tiny.toml").write_text(card)
    with pytest.raises(benchmark.BenchmarkError, match=r"stale: .* data revision"):
        benchmark.load_student(CELLS["kd"], **trained, paths=[tmp_path])


def test_a_run_that_failed_has_no_network(
    words: dict[str, Any], tmp_path: Path, card_folder: Path, accelerator: object
) -> None:
    (tmp_path / "bad.py").write_text(
        '"""Always fails."""\n'
        "from benchmark import Recipe, register\n"
        "@register('bad', family='logits')\n"
        "class Bad(Recipe):\n"
        "    def forward(self, batch, student, teacher):\n"
        "        raise ValueError('never mind')\n"
    )
    paths = [card_folder, tmp_path]
    place = {"runs": tmp_path / "runs", "results": tmp_path / "results"}
    summary = benchmark.run(**words | {"recipes": ["bad"], "paths": paths}, **place)
    assert summary.exit_code == 1
    [file] = (tmp_path / "results").rglob("bad*/seed0.json")
    assert json.loads(file.read_text())["status"] == "failed"
    with pytest.raises(benchmark.BenchmarkError, match="has no network: failed"):
        benchmark.load_student(str(file), **place, paths=paths)
    table = benchmark.load_results(place["results"], paths=paths).set_index("recipe")
    assert "never mind" in table.loc["bad", "error"]
    assert table.loc["bad", ["top1", "macs"]].isna().all()
