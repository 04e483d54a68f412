from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from benchmark.cards.catalogue import read_card
from benchmark.networks.names import CIFAR_NETWORKS
from benchmark.recipe.discovery import load_recipes
from benchmark.records.reported import STUDENT, TEACHER, Reported, read_reported
from benchmark.records.store import Store

ROOT = Path(__file__).resolve().parent.parent.parent
HEAD = """\
dataset = "cifar100"
name = "One"
title = "README of someone/one"
url = "https://example.org/one"
epoch_rule = "last"
rule_from = "https://example.org/one/issues/1"
"""
NUMBERS = '[top1."vgg13:vgg8"]\nkd = 72.98\n'


@pytest.fixture
def folder(tmp_path):
    """The folder of published numbers in an empty folder of results."""
    (tmp_path / "reported").mkdir()
    return tmp_path / "reported"


def refusal(folder, text):
    """The message about a file; nothing of it must be believed."""
    (folder / "one.toml").write_text(text, encoding="utf-8")
    sources, (problem,) = read_reported(folder.parent)
    assert sources == ()
    assert problem.path == folder / "one.toml"
    assert str(folder / "one.toml") in problem.message
    assert "docs/reported-numbers.md" in problem.message
    return problem.message


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "#" * 4_000_001, "a = " + "1" * 5000])
def test_a_hostile_file_is_refused_by_name(folder, text):
    refusal(folder, text)


class TestRead:
    def test_a_source(self, folder):
        number = 'crd = { top1 = 73.94, std = 0.1, runs = 3, note = "a picture" }\n'
        text = HEAD + "runs = 5\n[protocol]\nepochs = 240\n" + NUMBERS + number
        (folder / "one.toml").write_text(text)
        (source,), problems = read_reported(folder.parent)
        assert problems == ()
        assert (source.epoch_rule, source.runs, source.protocol.epochs) == ("last", 5, 240)
        kd, crd = source.top1["vgg13:vgg8"].values()
        assert (kd.top1, kd.std, kd.runs) == (72.98, None, None)
        assert (crd.top1, crd.std, crd.runs, crd.note) == (73.94, 0.1, 3, "a picture")

    def test_without_the_folder_there_is_nothing(self, tmp_path):
        assert read_reported(tmp_path) == ((), ())
        assert read_reported(tmp_path / "none") == ((), ())

    def test_files_may_lie_deeper_and_what_editors_leave_is_not_read(self, folder):
        (folder / "cifar100").mkdir()
        (folder / "cifar100" / "one.toml").write_text(HEAD + NUMBERS)
        (folder / "cifar100" / ".one.toml").write_text("half a")
        sources, problems = read_reported(folder.parent)
        assert [source.name for source in sources] == ["One"]
        assert problems == ()

    def test_the_learning_rate_is_that_of_the_student(self, folder):
        protocol = "[protocol]\nlr = 0.05\nlr_by_network = { MobileNetV2 = 0.01 }\n"
        (folder / "one.toml").write_text(HEAD + protocol + NUMBERS)
        ((source,), _) = read_reported(folder.parent)
        assert source.protocol.values_for("MobileNetV2") == {"lr": 0.01}
        assert source.protocol.values_for("vgg8") == {"lr": 0.05}


class TestRefuse:
    @pytest.mark.parametrize(
        ("row", "said"),
        [
            ("kd = 0.7298", "kd › top1: 0.7298 is not an accuracy in percent"),
            ("kd = 729.8", "kd › top1: 729.8 is not an accuracy in percent"),
            ('kd = "72.98"', "kd › top1: '72.98' is not an accuracy in percent"),
            ("kd = true", "kd › top1: True is not an accuracy in percent"),
            ("kd = nan", "kd › top1: nan is not an accuracy in percent"),
            ("kd = {}", "kd › top1: Field required"),
            ("kd = { top1 = 72.98, sd = 0.1 }", "kd: unknown key 'sd'. Did you mean 'std'?"),
            ("kd = { top1 = 72.98, std = -0.1 }", "kd › std: Input should be greater than"),
            ("kd = { top1 = 72.98, runs = 0 }", "kd › runs: Input should be greater than"),
            ("KD = 72.98", "'KD' is not a label: write RECIPE or RECIPE[key=value,…]"),
            ("vanilla = 70.36", "the student trained alone is called 'student'"),
            ('"crd[kd]" = 74.29', "'kd' is not key=value"),
            ('"crd[kd_weight=1.0]" = 74.29', "write 'crd[kd_weight=1]'"),
            ('"crd[b=2,a=1]" = 74.29', "write 'crd[a=1,b=2]'"),
        ],
    )
    def test_a_wrong_row_is_named_and_the_file_is_left_out(self, folder, row, said):
        message = refusal(folder, f'{HEAD}[top1."vgg13:vgg8"]\nat = 71.43\n{row}\n')
        assert "top1 › vgg13:vgg8 › " in message
        assert said in message

    def test_every_fault_is_told_at_once(self, folder):
        message = refusal(folder, f'{HEAD}[top1."vgg13:vgg8"]\nat = 0.7\nsp = 0.7\n')
        assert "› at ›" in message
        assert "› sp ›" in message

    @pytest.mark.parametrize("pair", ["vgg13", "vgg13:", "a:b:c", "vgg13 : vgg8"])
    def test_what_is_no_pair(self, folder, pair):
        message = refusal(folder, f'{HEAD}[top1."{pair}"]\nkd = 72.98\n')
        assert f"'{pair}' is not a pair: write teacher:student" in message

    def test_a_row_that_is_written_twice(self, folder):
        assert "cannot be read" in refusal(folder, HEAD + NUMBERS + "kd = 73.0\n")

    def test_a_file_without_numbers(self, folder):
        assert "top1: Field required" in refusal(folder, HEAD)
        assert "at least 1 item" in refusal(folder, HEAD + '[top1."vgg13:vgg8"]\n')

    def test_an_unknown_rule_and_a_rule_that_nobody_says(self, folder):
        message = refusal(folder, HEAD.replace('"last"', '"mean"') + NUMBERS)
        assert "epoch_rule: Input should be 'last', 'best' or 'unknown'" in message
        silent = "\n".join(line for line in HEAD.splitlines() if "rule_from" not in line)
        message = refusal(folder, f"{silent}\n{NUMBERS}")
        assert "rule_from must say where that is said" in message

    def test_a_protocol_that_no_card_could_have(self, folder):
        message = refusal(folder, HEAD + "[protocol]\nepoch = 240\n" + NUMBERS)
        assert "protocol: unknown key 'epoch'. Did you mean 'epochs'?" in message

    def test_a_copy_is_not_counted_twice(self, folder):
        (folder / "one.toml").write_text(HEAD + NUMBERS)
        (folder / "two.toml").write_text(HEAD + NUMBERS)
        sources, (problem,) = read_reported(folder.parent)
        assert len(sources) == 1
        assert problem.path == folder / "two.toml"

    def test_a_file_that_is_no_text(self, folder):
        (folder / "one.toml").write_bytes(b"\xff\xfe")
        ((), (problem,)) = read_reported(folder.parent)
        assert "cannot be read" in problem.message


def test_the_store_of_records_does_not_see_them(folder):
    (folder / "one.toml").write_text(HEAD + NUMBERS)
    contents = Store(folder.parent).all()
    assert (contents.records, contents.problems) == ((), ())


class TestCommitted:
    SOURCES, PROBLEMS = read_reported(ROOT / "results")

    def test_all_files_are_read(self):
        assert self.PROBLEMS == ()
        assert len(self.SOURCES) == len(list((ROOT / "results" / "reported").rglob("*.toml")))

    def test_every_label_is_a_recipe_with_settings_that_are_not_its_defaults(self):
        recipes = {info.name: info.cls for info in load_recipes().values()}
        for source in self.SOURCES:
            for method in {method for numbers in source.top1.values() for method in numbers}:
                name, _, inside = method.rstrip("]").partition("[")
                if name in recipes:
                    changed = dict(part.split("=") for part in inside.split(",") if part)
                    changed = {key: json.loads(value) for key, value in changed.items()}
                    defaults = recipes[name].check_settings({})
                    settings = recipes[name].check_settings(changed)
                    assert {k for k in settings if settings[k] != defaults[k]} == changed.keys()
                else:
                    assert method in {TEACHER, STUDENT}

    def test_every_pair_is_of_our_networks_and_the_card_s_published_pairs_are_all_there(self):
        networks = {info.name for info in CIFAR_NETWORKS}
        pairs = {pair for source in self.SOURCES for pair in source.top1}
        assert {name for pair in pairs for name in pair.split(":")} <= networks
        card = read_card(ROOT / "datasets" / "cifar100.toml")
        assert set(map(str, card.pairs)) - pairs == {"resnet20:resnet8"}

    def test_the_guide_s_example_is_a_file(self):
        guide = (ROOT / "docs" / "reported-numbers.md").read_text(encoding="utf-8")
        example = guide.partition("```toml\n")[2].partition("```")[0]
        assert Reported.model_validate(tomllib.loads(example)).runs == 5

    def test_the_table_of_the_field(self):
        (source,) = (source for source in self.SOURCES if source.name == "RepDistiller")
        numbers = source.top1["resnet32x4:resnet8x4"]
        assert source.epoch_rule == "last"
        assert [numbers[m].top1 for m in ("teacher", "student", "kd", "crd")] == [
            79.42, 72.50, 73.33, 75.51
        ]  # fmt: skip
