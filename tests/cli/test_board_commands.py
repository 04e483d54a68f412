"""What there is, and what came out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.records.store import Store
from tests.cli.called import Kdbench
from tests.records.made_records import record, taught
from tests.support.git import add


@pytest.mark.parametrize("kind", ["recipes", "datasets", "networks", "suites"])
def test_lists_have_names(kdbench: Kdbench, kind: str) -> None:
    code, out, _ = kdbench("list", kind, "--json")
    assert code == 0
    assert all(entry["name"] for entry in json.loads(out))
    code, out, _ = kdbench("list", kind)
    assert code == 0
    assert json.loads(kdbench("list", kind, "--json")[1])[0]["name"] in out


def test_names_are_found_by_a_part_or_a_pattern(kdbench: Kdbench) -> None:
    def found(kind: str, text: str) -> list[str]:
        out = kdbench("list", kind, "--search", text, "--json")[1]
        return [entry["name"] for entry in json.loads(out)]

    assert {"timm/mobilenetv3_small_100", "MobileNetV2"} <= {*found("networks", "MobileNetV")}
    assert found("networks", "resnet8x?") == ["resnet8x4"]
    assert found("datasets", "cub") == ["cub200", "cub50"]
    assert "no" not in found("recipes", "nothing")
    code, out, _ = kdbench("list", "suites", "--search", "nothing")
    assert (code, out) == (0, "None of the suites has a name with 'nothing' in it.\n")


def test_data_sets_are_listed_with_the_pairs_of_their_protocols(kdbench: Kdbench) -> None:
    out = " ".join(kdbench("list", "datasets")[1].split())
    assert "scratch: timm/resnet10t:timm/mobilenetv3_small_100" in out
    assert "paper, short: wrn_40_2:wrn_16_2, wrn_40_2:wrn_40_1" in out


def test_a_broken_recipe_is_listed_beside_good_ones(kdbench: Kdbench) -> None:
    Path("mine").mkdir()
    Path("mine/broken.py").write_text("import no_such_package\n")
    code, out, _ = kdbench("list", "recipes", "--path", "mine")
    assert code == 0
    assert "1 broken" in out
    assert "no_such_package" in out
    assert "vanilla" in out
    code, _, err = kdbench("run", "--path", "mine", "--recipe", "broken")
    assert code == 2
    assert "no_such_package" in err


def test_pages_are_of_the_built_in_recipes_or_of_a_folder(kdbench: Kdbench) -> None:
    assert kdbench("pages")[0] == 0
    built_in = Path("recipes.md").read_text(encoding="utf-8")
    assert "### th-kd" in built_in

    kdbench("new", "recipe", "my-method", "--path", "mine")
    code, out, _ = kdbench("pages", "--path", "mine", "--output", "-")
    assert code == 0
    assert "(mine/my_method.py)" in out
    assert "### th-kd" not in out

    Path("mine/broken.py").write_text("import no_such_package\n")
    code, _, err = kdbench("pages", "--path", "mine", "--output", "docs/mine.md")
    assert code == 1
    assert "no_such_package" in err
    assert "(../mine/my_method.py)" in Path("docs/mine.md").read_text(encoding="utf-8")


def test_status_and_show_say_where_else_to_look(kdbench: Kdbench) -> None:
    store = Store(Path("quickstart/results"))
    store.write(record(60.0))
    code, _, err = kdbench("show", "cifar100/resnet8/vanilla/seed0")
    assert code == 2
    assert "There is one in quickstart/results: add --results quickstart/results." in err
    out = kdbench("status")[1]
    assert "here are records in quickstart/results, too" in out
    out = kdbench("status", "--recipe", "vanilla")[1]
    assert "here are records in quickstart/results, too" in out
    assert "too" not in kdbench("status", "--results", "quickstart/results")[1]

    Store(Path("results")).write(record(61.0))
    code, out, _ = kdbench("show", "cifar100/resnet8/vanilla/seed0")
    assert code == 0
    assert "another one of this cell is in quickstart/results" in out


def test_show_says_that_a_record_came_with_a_clone(kdbench: Kdbench) -> None:
    store = Store(Path("results"))
    store.write(record(60.0))
    assert "Recorded elsewhere" not in kdbench("show", "cifar100/resnet8/vanilla/seed0")[1]
    add(store.root)
    assert "Recorded elsewhere" in kdbench("show", "cifar100/resnet8/vanilla/seed0")[1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_machines_get_all_or_a_message() -> None:
    """What a person sees may be cut short; what a program reads may not."""
    words = [sys.executable, "-m", "benchmark", "list", "suites", "--json"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: cannot write to the standard output: No space left")
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_two_methods_are_put_side_by_side(kdbench: Kdbench) -> None:
    teacher = record(70.0, network="resnet20", dataset="made")
    for root, shift in (("results", 0.0), ("later/results", 0.5)):
        store = Store(Path(root))
        store.write(teacher)
        for seed in range(2):
            for recipe, top1 in (("mine", 60.0 + seed + shift), ("other", 61.0 + seed + shift)):
                store.write(taught(top1, teacher, recipe=recipe, seed=seed, dataset="made"))
    words = ("mine", "other", "--json")
    code, out, err = kdbench("compare", *words)
    assert code == 0, err
    said = json.loads(out)
    assert [block["difference"]["mean"] for block in said["blocks"]] == [1.0]
    assert said["over"]["better"] == 1
    code, out, _ = kdbench("compare", "mine", "other")
    assert code == 0
    assert "other − mine, top-1, paired by seed" in out
    assert "1 block cannot tell them apart" in out

    code, out, _ = kdbench("compare", "results", "later/results", "--recipe", "mine", "--json")
    assert code == 0
    [block] = json.loads(out)["blocks"]
    assert (block["method"], block["difference"]["mean"]) == ("mine", 0.5)

    for wrong, reason in (
        (("mine", "othre"), "Did you mean 'other'"),
        (("mine", "other", "--metric", "top2"), "top2"),
        (("mine", "other", "--results", "nowhere"), "nowhere"),
        (("mine", "other", "--recipe", "mine"), "two folders"),
    ):
        code, _, err = kdbench("compare", *wrong)
        assert code == 2
        assert reason in err
