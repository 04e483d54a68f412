"""Weights are used only if they are whole, of the right run, and those of its record."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from benchmark.training.deployed import shown
from benchmark.training.keeping.deployment import SAID, Deployment, Legend
from benchmark.training.keeping.folders import WEIGHTS as KIND
from benchmark.training.keeping.folders import WorkspaceError
from benchmark.training.keeping.sealed import digest_of, sealed
from benchmark.training.keeping.workspace import Workspace

ONE, OTHER = "a" * 64, "b" * 64
WEIGHTS = {"conv": torch.randn(4, 3, 3, 3), "norm": torch.ones(4), "steps": torch.tensor(7)}
DIGEST = digest_of(WEIGHTS)


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    space = Workspace(tmp_path)
    space.save_weights(ONE, WEIGHTS, recorded=DIGEST, top1=61.5)
    return space


def file_of(space: Workspace, identity: str = ONE) -> Path:
    [file] = space.folder(identity).glob("weights*")
    return file


def test_they_come_back_with_what_is_known_of_them(space: Workspace) -> None:
    weights = space.load_weights(ONE, DIGEST)
    assert all(torch.equal(weights.tensors[name], WEIGHTS[name]) for name in WEIGHTS)
    assert (weights.digest, weights.top1, weights.is_sealed) == (DIGEST, 61.5, True)
    assert space.has_weights(ONE, DIGEST)


LEGEND = Legend(
    cell="tiny/resnet8/vanilla/seed0", dataset="tiny", network="resnet8", recipe="vanilla",
    class_names=("a finch", "a wren"), image_size=16, mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.2),
)  # fmt: skip
DEPLOYMENT = Deployment(LEGEND, {"head.weight": torch.ones(2, 2)}, torch.tensor([[1.0, 2.0]] * 2))


def test_what_a_prediction_needs_is_kept_beside_them(space: Workspace) -> None:
    """It does not change what the record says of the weights."""
    space.save_weights(ONE, WEIGHTS, recorded=DIGEST, deployment=DEPLOYMENT)
    weights = space.load_weights(ONE, DIGEST)
    assert weights.digest == DIGEST
    assert weights.tensors.keys() == WEIGHTS.keys()
    assert weights.deployment is not None
    assert weights.deployment.legend == LEGEND
    assert torch.equal(weights.deployment.layers["head.weight"], torch.ones(2, 2))
    assert torch.equal(weights.deployment.said, DEPLOYMENT.said)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"image_size": -3}, "image_size"),
        ({"class_names": []}, "class_names"),
        ({"class_names": ["a\x1b[31m"]}, "control characters"),
        ({"more": 1}, "unknown key 'more'"),
        ({"mean": [0.1, 0.2]}, "mean"),
    ],
)
def test_what_weights_say_of_themselves_is_checked(
    space: Workspace, wrong: dict[str, object], said: str
) -> None:
    about = {"identity": ONE, "recorded": DIGEST, "digest": DIGEST, "top1": None}
    legend = {"legend": LEGEND.model_dump(mode="json") | wrong}
    file_of(space).write_bytes(
        b"".join(sealed(KIND, about | legend, WEIGHTS | DEPLOYMENT.tensors()))
    )
    with pytest.raises(WorkspaceError, match=said):
        space.load_weights(ONE, DIGEST)


def test_a_file_without_what_the_network_said_is_refused(space: Workspace) -> None:
    about = {"identity": ONE, "recorded": DIGEST, "digest": DIGEST, **DEPLOYMENT.words()}
    tensors = WEIGHTS | DEPLOYMENT.tensors()
    del tensors[SAID]
    file_of(space).write_bytes(b"".join(sealed(KIND, about, tensors)))
    with pytest.raises(WorkspaceError, match="lacks what the network said"):
        space.load_weights(ONE, DIGEST)


def test_what_is_asked_of_networks_is_the_same_everywhere() -> None:
    images = shown((16, 16))
    assert images.shape == (2, 3, 16, 16)
    assert images.flatten()[1:4].tolist() == pytest.approx([0.7232308, 1.3485758, 1.7913973])
    assert not DEPLOYMENT.differs(DEPLOYMENT.said * 1.001)
    assert DEPLOYMENT.differs(DEPLOYMENT.said.flip(1))
    assert DEPLOYMENT.differs(DEPLOYMENT.said * float("nan"))
    assert DEPLOYMENT.differs(torch.ones(2, 3))


def test_without_the_record_s_digest_they_are_nobody_s(space: Workspace) -> None:
    for identity, recorded in ((ONE, None), (ONE, "c" * 64), (OTHER, DIGEST)):
        assert not space.has_weights(identity, recorded)
        with pytest.raises(WorkspaceError, match="train them again"):
            space.load_weights(identity, recorded)


def test_another_run_s_weights_in_the_folder_are_refused(space: Workspace) -> None:
    shutil.copytree(space.folder(ONE), space.folder(OTHER))
    assert not space.has_weights(OTHER, DIGEST)
    with pytest.raises(WorkspaceError, match="another run's"):
        space.load_weights(OTHER, DIGEST)


def test_weights_under_the_name_of_others_are_refused(space: Workspace) -> None:
    """As two trainings of one run are that differ in their precision."""
    file = file_of(space)
    file.rename(file.with_name(f"weights-{'c' * 16}.safetensors"))
    assert not space.has_weights(ONE, "c" * 64)
    with pytest.raises(WorkspaceError, match="not those that the run's record speaks of"):
        space.load_weights(ONE, "c" * 64)


def test_two_folders_of_results_share_one_of_runs(space: Workspace) -> None:
    half = {**WEIGHTS, "norm": torch.zeros(4)}
    space.save_weights(ONE, half, recorded=digest_of(half), top1=60.0)
    assert space.load_weights(ONE, DIGEST).top1 == 61.5
    assert space.load_weights(ONE, digest_of(half)).top1 == 60.0


def test_damage_anywhere_is_noticed(space: Workspace) -> None:
    file = file_of(space)
    whole = file.read_bytes()
    for place in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[place] ^= 16
        file.write_bytes(changed)
        with pytest.raises(WorkspaceError, match=str(file)):
            Workspace(space.root).load_weights(ONE, DIGEST)


def test_a_plan_reads_no_more_than_headings_and_each_once(
    space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert space.has_weights(ONE, DIGEST)
    monkeypatch.setattr("benchmark.training.keeping.folders.read_heading", None)
    assert space.has_weights(ONE, DIGEST)
    monkeypatch.undo()
    file_of(space).write_bytes(b"")
    assert not space.has_weights(ONE, DIGEST)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite_are_never_written(tmp_path: Path, odd: float) -> None:
    space = Workspace(tmp_path)
    with pytest.raises(ValueError, match="'b' of the weights is not finite"):
        space.save_weights(ONE, {"a": torch.ones(2), "b": torch.tensor(odd)}, recorded=None)
    assert not list(tmp_path.rglob("*"))


# -------------------------------------------------------------------- those of older versions


def old(space: Workspace, identity: str, **changes: torch.Tensor) -> Path:
    file = space.folder(ONE) / "weights.safetensors"
    save_file({**WEIGHTS, **changes}, file, metadata={"identity": identity})
    return file


def test_weights_without_a_seal_do_for_a_record_without_a_digest(space: Workspace) -> None:
    old(space, ONE)
    weights = space.load_weights(ONE, None)
    assert (weights.digest, weights.top1, weights.is_sealed) == (DIGEST, None, False)
    assert space.has_weights(ONE, None)
    file_of_digest = space.folder(ONE) / f"weights-{DIGEST[:16]}.safetensors"
    (space.folder(ONE) / "weights.safetensors").rename(file_of_digest)
    with pytest.raises(WorkspaceError):
        space.load_weights(ONE, DIGEST)


def test_they_must_say_whose_they_are_and_be_finite(space: Workspace) -> None:
    old(space, OTHER)
    assert not space.has_weights(ONE, None)
    with pytest.raises(WorkspaceError):
        space.load_weights(ONE, None)
    old(space, ONE, norm=torch.full((4,), float("nan")))
    with pytest.raises(WorkspaceError, match="not finite"):
        space.load_weights(ONE, None)


def test_they_are_replaced_by_sealed_ones(space: Workspace) -> None:
    old(space, ONE)
    space.save_weights(ONE, WEIGHTS, recorded=None, top1=60.0)
    assert space.load_weights(ONE, None).is_sealed


# ----------------------------------------------------------------- what was found with them


def test_what_was_found_with_weights_is_sealed_and_bound_to_its_key(space: Workspace) -> None:
    found = {"means": torch.randn(3, 4)}
    key = "d" * 64
    space.save_known(ONE, key, found)
    known = space.load_known(ONE, key)
    assert known is not None
    assert torch.equal(known["means"], found["means"])
    assert space.load_known(ONE, "d" * 16 + "e" * 48) is None, "another one of the same name"
    [file] = space.folder(ONE).glob("before-*")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert space.load_known(ONE, key) is None
