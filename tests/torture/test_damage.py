"""Damaged files: each is noticed and named, or made anew where it is ours; none becomes a number.

Damage is a bit that is turned, a file cut short, emptied, grown, or with zeros or other bytes in a
part of it. Where it changes nothing that a file says (an E for an e in a number) it is harmless and
does not count.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.data.kept.pixels import keep_pixels
from benchmark.data.opening import load_data, open_data
from benchmark.data.splits import DataSet
from benchmark.errors import BenchmarkError
from benchmark.launch.claims import Claims
from benchmark.recipe.index import describe_recipes
from benchmark.records.schema import Record
from benchmark.records.store import Store
from benchmark.training.keeping.heading import Damaged
from benchmark.training.keeping.sealed import read_sealed
from tests.support.listeners import Noting
from tests.support.miniatures import hub_source, make_card
from tests.support.small_pictures import CLASSES, Mosaics, as_file, write_shards
from tests.torture import shim
from tests.torture.amounts import FACTOR, amount, logged
from tests.torture.conftest import ONE, Undisturbed
from tests.torture.ground import Ground, differences, trained_by
from tests.torture.nursery import Nursery

PLUS = {**ONE, "methods": ("vanilla", "kd", "kd-plus-plus")}
"""The last keeps what it found before training."""
Judge = Callable[[], str]
"""What came of a damaged file: ``named``, ``remade``, ``harmless``, or what should not be."""


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The content with a fault in it."""
    at, how = rng.randrange(len(content)), rng.choice(["bit"] * 4 + ["cut"] * 2 + [
        "empty", "longer", "zeros", "noise", "twice"])  # fmt: skip
    span = rng.randint(1, 600)
    part = content[at : at + span]
    match how:
        case "bit":
            found = content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]
        case "cut":
            found = content[:at]
        case "empty":
            found = b""
        case "longer":
            found = content + rng.randbytes(span)
        case "zeros":
            found = content[:at] + bytes(len(part)) + content[at + span :]
        case "noise":
            found = content[:at] + rng.randbytes(len(part)) + content[at + span :]
        case _:
            found = content[:at] + part + content[at:]
    return found if found != content else damaged(content, rng)


def damage(path: Path, rng: random.Random) -> None:
    """Damage a file in place, as a disk does: by hand its time would change as well."""
    status = path.stat()
    path.write_bytes(damaged(path.read_bytes(), rng))
    if rng.random() < 0.5:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@dataclass(frozen=True)
class Intact:
    """Files of a kind that are whole.

    Args:
        folder: that holds them; a copy of it is damaged.
        pattern: of the files that may be.
        judge: looks at a copy of the folder and the damaged file in it.
        prepare: is called with the copy before something is damaged.
    """

    folder: Path
    pattern: str
    judge: Callable[[Path, Path], str]
    prepare: Callable[[Path], object] = Path

    def one(self, copy: Path, rng: random.Random) -> str:
        shutil.copytree(self.folder, copy, symlinks=True)
        self.prepare(copy)
        path = rng.choice(sorted(p for p in copy.rglob(self.pattern) if p.is_file()))
        damage(path, rng)
        try:
            found = self.judge(copy, path)
        finally:
            shutil.rmtree(copy)
        if found in ("named", "remade", "harmless"):
            return found
        return f"{path.name}: {found}"


# ------------------------------------------------------------------- what a store or folder says


def numbers(record: Record) -> dict[str, Any]:
    return record.model_dump(mode="json")


def judge_record(expected: dict[Path, Record], copy: Path, path: Path) -> str:
    contents = Store(copy).all()
    if any(problem.path == path for problem in contents.problems):
        return "named"
    found = Store(copy).read(path)
    same = numbers(found) == numbers(expected[path.relative_to(copy)])
    return "harmless" if same else "a false record is read"


def judge_history(copy: Path, path: Path) -> str:
    contents = Store(copy).all()
    named = [*contents.problems, *contents.beside]
    return "named" if any(one.path == path for one in named) else "a false history is beside it"


def judge_attestation(expected: object, copy: Path, path: Path) -> str:
    attested, refused = Store(copy).attested()
    if any(one.path == path for one in refused):
        return "named"
    return "harmless" if attested == expected else "a false attestation is read"


def judge_sealed(kind: str, copy: Path, path: Path) -> str:
    try:
        read_sealed(path, kind)
    except Damaged:
        return "named"
    return "it is read as if it were whole"


def judge_claim(copy: Path, path: Path) -> str:
    """Whoever reads it: two never hold."""
    other = Claims(lambda identity: copy, expiry_s=3600)
    try:
        return "remade" if other.take("a", "kd") else "named"
    finally:
        other.close()


def judge_shard(copy: Path, path: Path) -> str:
    """After it was read once, as ``kdbench data check`` looks."""
    try:
        open_data(HUB_CARD, copy / "data", copy / "cache", thorough=True)
    except BenchmarkError as error:
        return "named" if path.name in str(error) else f"not named: {error}"
    return "a damaged shard is read"


def same(one: DataSet, other: DataSet) -> bool:
    return all(
        np.array_equal(np.asarray(a.images[i]), np.asarray(b.images[i]))
        for a, b in ((one.train, other.train), (one.test, other.test))
        for i in range(len(a))
    )


def judge_drawn(card: Any, expected: DataSet, copy: Path, path: Path) -> str:
    noting = Noting()
    found = load_data(card, None, copy, listener=noting)
    if not same(expected, found):
        return "false pictures are trained on"
    return "remade" if any(str(path) in note for note in noting.notes) else "harmless"


def judge_pixels(images: Any, copy: Path, path: Path) -> str:
    noting = Noting()
    try:
        kept = keep_pixels(images, image_size=7, folder=copy, title="mini", listener=noting)
        right = all(np.array_equal(kept[i], images[i]) for i in range(len(images)))
    except BenchmarkError as error:
        return "named" if path.name in str(error) else f"not named: {error}"
    if not right:
        return "false pictures are trained on"
    return "remade" if any(str(path) in note for note in noting.notes) else "harmless"


def judge_index(expected: object, copy: Path, path: Path) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmark.recipe.index._described", lambda paths: [])  # it takes seconds
        found = describe_recipes((), copy)
    if not found:
        return "remade"
    return "harmless" if found == expected else "a false description is shown"


HUB_CARD = make_card(
    hub_source(mixed_sizes=False), classes=len(CLASSES), image_size=8,
    splits={"train": 40, "test": 20}, pairs=("resnet14:resnet8",),
)  # fmt: skip


@dataclass
class Kinds:
    """Intact files of every kind, made when they are asked for."""

    place: Path
    undisturbed: Undisturbed
    trained: Callable[[], Path]

    def make(self, kind: str) -> Intact:
        made: Intact = getattr(self, f"_{kind}")(self.place / kind)
        return made

    def _record(self, folder: Path) -> Intact:
        root = self.trained() / "results"
        known = {path.relative_to(root): Store(root).read(path) for path in root.rglob("*.json")}
        return Intact(root, "*.json", lambda copy, path: judge_record(known, copy, path))

    def _history(self, folder: Path) -> Intact:
        return Intact(self.trained() / "results", "*.csv", judge_history)

    def _weights(self, folder: Path) -> Intact:
        judge = lambda copy, path: judge_sealed("weights", copy, path)  # noqa: E731
        return Intact(self.trained() / "runs", "weights*", judge)

    def _before(self, folder: Path) -> Intact:
        judge = lambda copy, path: judge_sealed("before", copy, path)  # noqa: E731
        return Intact(self.trained() / "runs", "before*", judge)

    def _attestation(self, folder: Path) -> Intact:
        from benchmark.records.attestations import Attestation, Compared

        shutil.copytree(self.trained() / "results", folder)
        record = next(r for r in Store(folder).all().records if r.spec.recipe == "kd")
        assert record.metrics is not None
        top1 = Compared(recorded=record.metrics.top1, again=record.metrics.top1, tolerance=0.0)
        values: dict[str, Any] = {
            "recipe": "kd", "recipe_version": record.spec.recipe_version,
            "old": "tree1:" + "1" * 64, "new": record.recipe_source, "by": "record",
            "cell": "tiny/resnet14__resnet8/kd/seed0", "identity": record.identity,
            "protocol": "quick", "agreement": "bit for bit", "metrics": {"top1": top1},
            "environment": record.environment, "finished": "2026-01-02T00:00:00Z",
        }  # fmt: skip
        Store(folder).attest(Attestation(**values))
        expected, refused = Store(folder).attested()
        assert not refused
        return Intact(
            folder, "attested/**/*.json", lambda copy, path: judge_attestation(expected, copy, path)
        )

    def _claim(self, folder: Path) -> Intact:
        holder = Claims(lambda identity: folder)
        assert holder.take("a", "kd")
        return Intact(folder, "claim-*", judge_claim)

    def _shard(self, folder: Path) -> Intact:
        for split, count, seed in (("train", 40, 1), ("test", 20, 2)):
            mosaics = Mosaics.random(count, seed)
            files = [as_file(image) for image in mosaics.images]
            write_shards(folder / "data" / "mini" / "data", split, files, mosaics.labels)

        def read(copy: Path) -> None:
            open_data(HUB_CARD, copy / "data", copy / "cache")

        return Intact(folder, "*.parquet", judge_shard, read)

    def _drawn(self, folder: Path) -> Intact:
        from benchmark.cards.catalogue import read_card
        from tests.torture.ground import write_cards

        card = read_card(write_cards(self.place / "more") / "datasets" / "tiny.toml")
        expected = load_data(card, None, folder)
        judge = lambda copy, path: judge_drawn(card, expected, copy, path)  # noqa: E731
        return Intact(folder, "*.safetensors", judge)

    def _pixels(self, folder: Path) -> Intact:
        images = list(Mosaics.random(30, 3).images)

        class Images(list[Any]):
            def select(self, positions: Any) -> Any:
                return Images(self[i] for i in positions)

        made = Images(images)
        keep_pixels(made, image_size=7, folder=folder, title="mini", listener=Noting())
        return Intact(folder, "[!.]*", lambda copy, path: judge_pixels(made, copy, path))

    def _index(self, folder: Path) -> Intact:
        folder.mkdir()
        expected = describe_recipes((), folder)
        return Intact(folder, "*.json", lambda copy, path: judge_index(expected, copy, path))


KINDS = (
    "record", "history", "weights", "before", "attestation", "claim", "shard", "drawn", "pixels",
    "index",
)  # fmt: skip


@pytest.fixture(scope="session")
def kinds(
    place: Path, nursery: Nursery, new_ground: Callable[[str], Ground], undisturbed: Undisturbed
) -> Kinds:
    known: list[Path] = []

    def trained() -> Path:
        if not known:
            ground = new_ground("damage-trained")
            out = ground.folder.with_suffix(".out")
            status = nursery.run(ground.words(**PLUS), out=out, env=ground.environment)
            assert status == 0, out.read_text()
            known.append(ground.folder)
        return known[0]

    folder = place / "damage"
    folder.mkdir()
    return Kinds(folder, undisturbed, trained)


@pytest.mark.timeout(0 if FACTOR else 120)
@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_noticed(kinds: Kinds, place: Path, kind: str) -> None:
    def do() -> dict[str, Any]:
        intact, rng = kinds.make(kind), random.Random(f"damage {kind}")
        told: dict[str, Any] = {"damaged": 0, "named": 0, "remade": 0, "harmless": 0, "faults": []}
        while told["damaged"] - told["harmless"] < amount(8, 60):
            found = intact.one(place / f"{kind}-copy", rng)
            told["damaged"] += 1
            told[found] = told.get(found, 0) + 1 if found in told else 0
            if found not in ("named", "remade", "harmless"):
                del told[found]
                told["faults"].append(found)
        return told

    assert logged(f"damage-{kind}", 0, do)["faults"] == []


# ------------------------------------------------------------------- what a whole command does


def half_trained(nursery: Nursery, ground: Ground) -> None:
    """Let a command be killed when a run has two checkpoints."""
    out, count = ground.folder.with_suffix(".out"), ground.folder.with_suffix(".count")
    for number in range(120, 400, 10):
        killed = shim.at(number, "group", under=ground.folder, count=count)
        nursery.run(ground.words(**ONE), out=out, env=ground.environment | killed)
        if any(len([*run.glob("checkpoint*")]) == 2 for run in ground.runs.iterdir()):
            return
    pytest.fail("no two checkpoints at any moment")


def without_student(nursery: Nursery, ground: Ground) -> None:
    """Train all, and forget the student that builds on the teacher's weights."""
    out = ground.folder.with_suffix(".out")
    assert nursery.run(ground.words(**ONE), out=out, env=ground.environment) == 0
    student = Store(ground.results).lookup("tiny/resnet14__resnet8/kd/seed0")
    shutil.rmtree(ground.results / "tiny" / "resnet14__resnet8")
    shutil.rmtree(ground.runs / student.identity[:16])


def is_read(ground: Ground, path: Path) -> bool:
    """Whether a command that goes on reads it: of weights it needs the teacher's alone."""
    return not path.name.startswith("weights") or "resnet14" in next(
        record.spec.network
        for record in Store(ground.results).all().records
        if record.identity[:16] == path.parent.name
    )


WHOLE_COMMANDS = {
    "checkpoint": (half_trained, "checkpoint*"),
    "teacher": (without_student, "weights*"),
}


def command_on_damage(
    nursery: Nursery, ground: Ground, expected: dict[str, str], path: Path, rng: random.Random
) -> tuple[str, list[str]]:
    """Damage a file, repeat the command, and once more without the file if it asks for that."""
    damage(path, rng)
    out = ground.folder.with_suffix(".out")
    out.unlink(missing_ok=True)
    status = nursery.run(ground.words(**ONE), out=out, env=ground.environment)
    named, remade = str(path) in out.read_text(), status == 0
    anew = any("resnet14 vanilla" in label for label in trained_by(out.read_text()))
    if status == 1 and named and path.exists():
        path.unlink()
        status = nursery.run(ground.words(**ONE), out=out, env=ground.environment)
    faults = []
    if status != 0 or not (named or (anew and path.name.startswith("weights"))):
        faults.append(f"{path.name}: {status}, not named: {out.read_text()[-1500:]}")
    if "Traceback" in out.read_text():
        faults.append(f"{path.name}: {status}, named {named}: {out.read_text()[-1500:]}")
    for name, files in differences(expected, ground.state()).items():
        faults += [f"{path.name}: {name}: {file}" for file in files]
    return "remade" if remade else "named", faults


@pytest.mark.timeout(0 if FACTOR else 120)
@pytest.mark.parametrize("kind", WHOLE_COMMANDS)
def test_a_command_names_what_is_damaged_and_ends_with_the_right_numbers(
    nursery: Nursery, new_ground: Callable[[str], Ground], undisturbed: Undisturbed, kind: str
) -> None:
    make, pattern = WHOLE_COMMANDS[kind]

    def do() -> dict[str, Any]:
        intact, rng = new_ground(f"intact-{kind}"), random.Random(f"command {kind}")
        make(nursery, intact)
        told: dict[str, Any] = {"damaged": 0, "named": 0, "remade": 0, "faults": []}
        while told["damaged"] < amount(2, 50):
            ground = replace(intact, folder=intact.folder.with_name(f"damaged-{kind}"))
            shutil.copytree(intact.folder, ground.folder)
            paths = [path for path in ground.runs.rglob(pattern) if is_read(ground, path)]
            path = rng.choice(sorted(paths))
            how, faults = command_on_damage(nursery, ground, undisturbed(**ONE), path, rng)
            told["damaged"] += 1
            told[how] += 1
            told["faults"] += faults
            shutil.rmtree(ground.folder)
        return told

    assert logged(f"damage-{kind}", 0, do)["faults"] == []
