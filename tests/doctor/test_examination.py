"""What is broken is named with a remedy, and what can be mended without loss is mended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmark.doctor import examination
from benchmark.doctor.examination import examine, mend
from benchmark.doctor.findings import Finding, Level, Surroundings
from benchmark.training.answers.files import AnswerFiles, Part, Place
from tests.support.listeners import Noting

DEAD = """
import sys
from pathlib import Path
from benchmark.files import unheard_of
from benchmark.launch.claims import Claims
runs = Path(sys.argv[1])
assert Claims(lambda identity: runs / identity).take("a" * 16, "resnet8 kd")
(runs / unheard_of("weights.safetensors")).write_text("half")
import os
os._exit(0)
"""


def one_of(runs: Path, pattern: str) -> Path:
    return sorted(runs.glob(pattern))[0]


def truncate(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-100])
    return path


def flip(path: Path) -> Path:
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)
    return path


def truncated_weights(around: Surroundings) -> Path:
    return truncate(one_of(around.runs, "*/weights-*.safetensors"))


def flipped_weights(around: Surroundings) -> Path:
    return flip(one_of(around.runs, "*/weights-*.safetensors"))


def weights_of_another(around: Surroundings) -> Path:
    one, other = sorted(around.runs.glob("*/weights-*.safetensors"))
    place = one.with_name(other.name)
    one.unlink()
    place.write_bytes(other.read_bytes())
    return place


def truncated_checkpoint(around: Surroundings) -> Path:
    path = around.runs / ("b" * 16) / "checkpoint-0001-000000.safetensors"
    path.parent.mkdir()
    path.write_bytes(b"not a checkpoint")
    return path


def damaged_record(around: Surroundings) -> Path:
    path = one_of(around.results, "tiny/*__*/kd/seed0.json")
    path.write_text(path.read_text().replace('"top1": ', '"top1": 1', 1))
    return path


def moved_record(around: Surroundings) -> Path:
    path = one_of(around.results, "tiny/*__*/kd/seed0.json")
    return path.rename(path.with_name("seed7.json"))


def broken_recipe(around: Surroundings) -> Path:
    path = around.paths[1] / "recipes" / "sad.py"
    path.write_text("import nothing_of_this_name\n")
    return path


def broken_card(around: Surroundings) -> Path:
    path = around.paths[1] / "datasets" / "sad.toml"
    path.write_text("classes = -1\n")
    return path


def broken_layout(around: Surroundings) -> Path:
    path = around.paths[1] / "layouts" / "sad.py"
    path.write_text("1 / 0\n")
    return path


def broken_format(around: Surroundings) -> Path:
    path = around.paths[1] / "formats" / "sad.py"
    path.write_text("1 / 0\n")
    return path


def file_in_the_place_of_a_folder(around: Surroundings) -> Path:
    around.results.rename(around.results.with_name("aside"))
    around.results.write_text("")
    return around.results


def changed_recipe(around: Surroundings) -> Path:
    path = one_of(around.results, "tiny/*__*/kd/seed0.json")
    from benchmark.records.canonical import digest

    values = json.loads(path.read_text()) | {"recipe_source": "tree1:" + "0" * 64}
    del values["checksum"]
    path.write_text(json.dumps(values | {"checksum": digest(values)}))
    return path


@pytest.fixture
def own(around: Surroundings, tmp_path: Path) -> Surroundings:
    """With a folder of recipes, cards, layouts and formats of one's own."""
    for name in ("recipes", "datasets", "layouts", "formats"):
        (tmp_path / "own" / name).mkdir(parents=True)
    return replace(around, paths=(*around.paths, tmp_path / "own"))


def graver_than_a_note(findings: list[Finding]) -> list[Finding]:
    return [f for f in findings if f.level in (Level.warning, Level.fault) and not f.done]


def naming(findings: list[Finding], path: Path) -> Finding:
    """The finding that names a file, of which there must be one."""
    [found] = [f for f in findings if any(str(path) in place for place in f.where)]
    return found


@pytest.mark.parametrize(
    ("broken", "level", "remedy"),
    [
        (truncated_weights, Level.fault, "--fix"),
        (flipped_weights, Level.fault, "--fix"),
        (weights_of_another, Level.fault, "--fix"),
        (truncated_checkpoint, Level.fault, "--fix"),
        (damaged_record, Level.fault, "--retry damaged"),
        (moved_record, Level.warning, "Move each"),
        (changed_recipe, Level.warning, "kdbench verify"),
        (broken_recipe, Level.fault, "Correct the file"),
        (broken_card, Level.fault, "Correct the file"),
        (broken_layout, Level.fault, "Correct the file"),
        (broken_format, Level.fault, "Correct the file"),
        (file_in_the_place_of_a_folder, Level.fault, "--results"),
    ],
)
def test_what_is_broken_is_named_with_a_remedy(
    own: Surroundings, broken: Callable[[Surroundings], Path], level: Level, remedy: str
) -> None:
    path = broken(own)
    found = naming(graver_than_a_note(examine(own)), path)
    assert found.level is level
    assert remedy in found.remedy


def test_what_is_whole_gives_no_fault(around: Surroundings) -> None:
    before = {path: path.stat().st_mtime_ns for path in around.runs.parent.rglob("*")}
    listener = Noting()
    found = examine(replace(around, listener=listener))
    assert graver_than_a_note(found) == []
    assert {f.part for f in found if f.level is Level.ok} == set(examination.PARTS)
    assert all(listener.titles[title] == total for title, total in listener.totals.items())
    assert "checking weights files, bytes" in listener.totals
    after = {path: path.stat().st_mtime_ns for path in around.runs.parent.rglob("*")}
    for folder in (around.runs, around.results):  # in which it is tried whether one can write
        before.pop(folder), after.pop(folder)
    assert after == before


def test_folders_that_are_not_there_yet_are_not_made(tmp_path: Path, hub_folder: Path) -> None:
    absent = tmp_path / "not" / "there"
    around = Surroundings(absent / "runs", absent / "results", absent / "cache", quick=True)
    looked_at = ("folders", "hub", "kept", "runs")  # recipes are described into the cache
    assert graver_than_a_note(examine(around, looked_at)) == []
    assert not absent.exists()


def test_what_a_dead_process_left_is_swept(around: Surroundings) -> None:
    subprocess.run([sys.executable, "-c", DEAD, str(around.runs)], check=True, timeout=120)
    claim = around.runs / ("a" * 16) / "claim-1"
    [half] = around.runs.glob(".weights*.partial")
    found = examine(around)
    for path in (claim, half):
        assert "--fix" in naming(found, path).remedy
    mended = mend(found)
    assert not claim.exists()
    assert not half.exists()
    assert {f"removed {claim}", f"removed {half}"} == {w for f in mended for w in f.done}
    assert [f for f in examine(around) if f.repair] == []


@pytest.mark.parametrize("broken", [flipped_weights, truncated_checkpoint])
def test_what_is_damaged_is_moved_aside(
    around: Surroundings, broken: Callable[[Surroundings], Path]
) -> None:
    path = broken(around)
    content = path.read_bytes()
    records = {p: p.read_bytes() for p in around.results.rglob("*.json")}
    mended = mend(examine(around))
    assert not any(f.is_fault for f in mended)
    assert not path.exists()
    assert path.with_name(f"{path.name}.damaged").read_bytes() == content
    assert {p: p.read_bytes() for p in around.results.rglob("*.json")} == records
    assert graver_than_a_note(examine(around)) == []


def test_what_became_whole_meanwhile_stays(around: Surroundings) -> None:
    path = one_of(around.runs, "*/weights-*.safetensors")
    whole = path.read_bytes()
    flip(path)
    found = examine(around, ["runs"])
    path.write_bytes(whole)
    mend(found)
    assert path.read_bytes() == whole


def test_a_quick_look_reads_headings_alone(around: Surroundings) -> None:
    quick = replace(around, quick=True)
    flip(one_of(around.runs, "*/weights-*.safetensors"))
    assert graver_than_a_note(examine(quick)) == []
    path = truncate(one_of(around.runs, "*/weights-*.safetensors"))
    assert naming(graver_than_a_note(examine(quick)), path).level is Level.fault


def test_damaged_kept_images_are_named_and_left(around: Surroundings, tmp_path: Path) -> None:
    around = replace(around, cache_dir=tmp_path / "cache")
    path = around.cache_dir / "tiny" / "0123.safetensors"
    path.parent.mkdir(parents=True)
    [kept] = Path(os.environ["KDBENCH_CACHE"]).glob("tiny/*.safetensors")
    path.write_bytes(kept.read_bytes())
    assert graver_than_a_note(examine(around, ["kept"])) == []
    flip(path)
    damaged = path.with_name("0-train.images") / "00000-of-00001.arrow"
    damaged.parent.mkdir()
    damaged.write_bytes(b"no arrow")
    found = graver_than_a_note(examine(around, ["kept"]))
    assert naming(found, path) == naming(found, damaged)
    mend(found)
    assert path.exists()
    assert damaged.exists()


def test_damaged_teacher_outputs_are_named_and_left(around: Surroundings, tmp_path: Path) -> None:
    around = replace(around, cache_dir=tmp_path / "cache")
    files = AnswerFiles(around.cache_dir / "tiny" / "12.answers", "key", (0, 1))
    place = Place(0, 0, 1)
    files.write(place, Part((2,), torch.ones(2, 3), torch.ones(2, 4)))
    found = examine(around, ["kept"])
    assert graver_than_a_note(found) == []
    assert any(finding.what.startswith("1 file of teacher outputs") for finding in found)
    flip(files.path(place))
    found = graver_than_a_note(examine(around, ["kept"]))
    assert "seal is broken" in "".join(naming(found, files.path(place)).where)
    mend(found)
    assert files.path(place).exists()


def test_checkpoints_of_finished_runs_are_told(around: Surroundings) -> None:
    from benchmark.files import write_whole
    from benchmark.training.keeping.checkpoint_files import FORMAT, KIND
    from benchmark.training.keeping.heading import read_heading
    from benchmark.training.keeping.sealed import sealed

    weights = one_of(around.runs, "*/weights-*.safetensors")
    identity = read_heading(weights, "weights").about["identity"]
    path = weights.with_name("checkpoint-0001-000000.safetensors")
    about = {"format": FORMAT, "identity": identity, "stand": [1, 0], "source": "", "state": {}}
    write_whole(path, sealed(KIND, about, {}), durable=False)
    found = naming(examine(around), path)
    assert found.level is Level.note
    assert "finished" in found.what


def test_a_check_that_fails_is_a_finding(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.doctor.runs.living", lambda runs: 1 / 0)
    found = [f for f in examine(around) if f.is_fault]
    assert {f.part for f in found} == {"runs"}
    assert "the check 'claims' failed: ZeroDivisionError" in found[0].what


def test_a_broken_torch_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('libcudart is missing')")
    root = Path(examination.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "benchmark", "doctor", "--json"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{root}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    findings = json.loads(done.stdout)["findings"]
    assert any("'import torch' fails" in f["what"] for f in findings)
    assert any(f["part"] == "folders" and f["level"] == "ok" for f in findings)


def test_what_cannot_be_mended_is_a_fault_and_what_was_is_told() -> None:
    def repair():
        yield "removed one"
        raise PermissionError(13, "Permission denied", "two")

    found = mend([Finding(Level.note, "debris", ("one", "two"), "Mend.", repair)])
    assert [(f.level, f.done) for f in found] == [(Level.note, ("removed one",)), (Level.fault, ())]
    assert "two" in found[1].where[0]
