from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from benchmark.records.store import Store
from benchmark.reports.board.aggregate import aggregate
from benchmark.reports.board.comparison import compare
from benchmark.reports.board.metrics import METRICS
from benchmark.reports.formats import load_formats
from benchmark.reports.leaderboard import compose, render
from tests.records.made_records import record, taught, world
from tests.reports.made_reported import NUMBERS, source, sources

FORMATS = load_formats()
GOLDEN = Path(__file__).parents[1] / "golden" / "published.md"
START = "## cifar100, numbers published by others"
SHORT = {
    "protocol": "short",
    "protocol_values": {"epochs": 30, "lr": 0.05, "schedule": "cosine"},
    "default_protocol": False,
    "ranked": False,
}


def reported_part(records, reported):
    """The page's section of reported numbers."""
    page = render(aggregate(records), FORMATS.get("md"), reported)
    return page[page.index(START) :]


def tables(text):
    """The tables of a page: rows of cells, the head first."""
    found = [[]]
    for line in text.splitlines():
        if line.startswith("| "):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        elif not line.startswith("|") and found[-1]:
            found.append([])
    return [table for table in found if table]


def rows(records, reported):
    """The rows of the only comparison, by method and rule."""
    (section,) = compare(aggregate(records), reported)
    (comparison,) = section.comparisons
    return {(row.method, row.source.epoch_rule): row for row in comparison.rows}


def pair_of(protocol=None, **changes):
    """A teacher, its student alone and one method, of one pair."""
    common = protocol or {}
    teacher = record(70.0, network="resnet20", **common)
    return [
        teacher,
        record(60.5, **common),
        taught(62.4, teacher, recipe="kd", **common, **changes),
    ]


class TestPage:
    def test_golden(self):
        """After a wanted change: look at the new text, then put it in the place of the old."""
        assert reported_part(world(), sources()) == GOLDEN.read_text(encoding="utf-8")

    def test_the_order_of_records_and_sources_does_not_matter(self):
        records, reported = world(), sources()
        for seed in range(3):
            random.Random(seed).shuffle(records)
            random.Random(seed).shuffle(reported)
            assert reported_part(records, reported) == GOLDEN.read_text(encoding="utf-8")

    def test_our_tables_are_what_they_are_without_it(self):
        page = render(aggregate(world()), FORMATS.get("md"), sources())
        assert (
            page[: page.index(START)].rstrip()
            == render(aggregate(world()), FORMATS.get("md")).rstrip()
        )

    @pytest.mark.parametrize("form", ["csv", "latex"])
    def test_other_tables_of_numbers_hold_ours_alone(self, form):
        board = aggregate(world())
        assert render(board, FORMATS.get(form), sources()) == render(board, FORMATS.get(form))

    def test_best_and_last_are_never_in_one_column(self):
        of_rule = {
            rule: {
                f"{number['top1'] if isinstance(number, dict) else number:.2f}"
                for numbers in pairs.values()
                for number in numbers.values()
            }
            for rule, pairs in NUMBERS.items()
        }
        assert not set.intersection(*of_rule.values())
        heads = {"last epoch": "last", "best on test": "best", "rule not known": "unknown"}
        shown = []
        for head, *body in tables(reported_part(world(), sources())):
            for position, name in enumerate(head):
                if name in ("", "source", "ours", "difference"):
                    continue
                values = {row[position].partition(" ")[0] for row in body} - {"—"}
                holding = {rule for rule, known in of_rule.items() if values & known}
                # Under its name beside ours; in a source's own table there is one rule.
                assert holding == {heads[name]} if name in heads else len(holding) == 1
                shown.append(name)
        assert len(shown) == 7

    def test_a_source_alone_lies_the_narrow_way(self):
        many = {f"resnet{n}:resnet8": {"kd": 60.0, "at": 61.0} for n in (14, 20, 32, 44, 56, 110)}
        ((head, *_),) = tables(reported_part([], [source("last", top1=many)]))
        assert head == ["", "kd", "at"]
        few = {"resnet20:resnet8": {f"kd[temperature={t}]": 60.0 for t in range(2, 9)}}
        ((head, *_),) = tables(reported_part([], [source("last", top1=few)]))
        assert head == ["", "resnet20 → resnet8"]

    def test_without_records_there_are_reported_numbers_and_no_word_of_a_difference(self):
        text = reported_part([], sources())
        assert "There is no record of ours yet of the pairs that follow." in text
        assert "Difference" not in text


class TestDifference:
    def test_it_is_ours_minus_theirs(self):
        found = rows(pair_of(), sources())
        assert found["kd", "last"].difference == pytest.approx(62.4 - 62.0)
        assert found["student", "last"].difference == pytest.approx(60.5 - 60.0)
        assert found["teacher", "last"].difference == pytest.approx(70.0 - 69.06)

    def test_it_is_that_of_the_mean_over_seeds(self):
        records = pair_of()
        records.append(taught(62.8, records[0], recipe="kd", seed=1))
        assert rows(records, sources())["kd", "last"].difference == pytest.approx(0.6)

    def test_only_last_epochs_are_compared(self):
        found = rows(pair_of(), sources())["kd", "best"]
        assert found.summary.mean == 62.4
        assert found.difference is None

    def test_without_ours_there_is_none(self):
        found = rows(pair_of(), sources())
        assert found["pkt", "last"].summary is None
        assert found["pkt", "last"].difference is None

    def test_a_failure_is_said_and_gives_none(self):
        teacher = record(70.0, network="resnet20")
        records = [teacher, taught(None, teacher, recipe="kd", status="oom")]
        assert rows(records, sources())["kd", "last"].difference is None
        assert "| failed: oom " in reported_part(records, sources())

    def test_other_settings_and_unusual_teachers_are_not_compared(self):
        for changes in ({"changed": {"temperature": 2.0}}, {"variant": "teacher of 0123"}):
            assert rows(pair_of(**changes), sources())["kd", "last"].ours is None

    def test_a_changed_setting_meets_its_own_label(self):
        teacher = record(70.0, network="resnet20")
        ours = taught(61.0, teacher, recipe="th-kd", changed={"alpha": 2.0})
        found = rows([teacher, ours], sources())
        assert found["th-kd[alpha=2]", "unknown"].summary.mean == 61.0
        assert found["th-kd", "best"].ours is None


class TestProtocol:
    def test_equal_ones_have_no_mark(self):
        assert rows(pair_of(), sources())["kd", "last"].differing == ()
        assert "‡ Source" not in reported_part(pair_of(), sources())

    def test_another_one_is_marked_and_noted(self):
        text = reported_part(pair_of(SHORT), sources())
        assert "### resnet20 → resnet8, ours: protocol short (not ranked)" in text
        assert "| 62.40 (1) | +0.40 ‡" in text
        note = "* ‡ Source last: epochs 30 instead of 240, schedule cosine instead of step.\n"
        assert note in text

    def test_one_that_is_not_known_is_marked(self):
        reported = [source("last", protocol={})]
        assert rows(pair_of(), reported)["kd", "last"].differing == ("its epochs are not known",)

    def test_the_learning_rate_of_the_student_is_compared(self):
        protocol = {"epochs": 240, "lr": 0.05, "lr_by_network": {"resnet8": 0.01}}
        found = rows(pair_of(), [source("last", protocol=protocol)])
        assert found["kd", "last"].differing == ("lr 0.05 instead of 0.01",)

    def test_a_ranked_one_is_compared_alone(self):
        (section,) = compare(aggregate([*pair_of(), *pair_of(SHORT)]), sources())
        assert [comparison.table.protocol for comparison in section.comparisons] == ["paper"]

    def test_what_was_held_out_for_tuning_is_not_compared(self):
        held_out = []
        for made in pair_of():
            metrics = made.metrics.model_copy(update={"evaluated_on": "validation"})
            held_out.append(made.model_copy(update={"metrics": metrics}))
        (section,) = compare(aggregate(held_out), sources())
        assert section.comparisons == ()

    def test_what_others_report_is_top1_and_beside_no_other_metric(self):
        board = aggregate(pair_of(), metric=METRICS.get("nll"))
        assert compare(board, sources()) == ()

    def test_other_data_sets_are_not_compared(self):
        (section,) = compare(aggregate(pair_of()), [source("last", dataset="flowers")])
        assert section.comparisons == ()
        assert section.dataset == "flowers"


class TestJson:
    REPORTED = json.loads(render(aggregate(world()), FORMATS.get("json"), sources()))["reported"]

    def test_it_holds_every_number_under_the_key_of_its_rule(self):
        (section,) = self.REPORTED
        counts = {
            each["epoch_rule"]: sum(key in number for number in each["numbers"])
            for each in section["sources"]
            for key in [{"last": "last_epoch", "best": "best_on_test"}.get(
                each["epoch_rule"], "rule_not_known")]
        }  # fmt: skip
        assert counts == {rule: sum(map(len, pairs.values())) for rule, pairs in NUMBERS.items()}
        noted = [n for s in section["sources"] for n in s["numbers"] if n["note"]]
        assert noted == [
            {
                "teacher": "resnet20",
                "student": "resnet8",
                "method": "kd",
                "best_on_test": 62.9,
                "std": None,
                "runs": 5,
                "note": "another teacher",
            }
        ]

    def test_it_holds_the_comparison(self):
        (section,) = self.REPORTED
        pairs = [(c["teacher"], c["protocol"]) for c in section["comparisons"]]
        assert pairs == [("resnet20", "paper"), ("vgg13", "paper")]
        row = next(r for r in section["comparisons"][0]["rows"] if r["method"] == "kd")
        assert row == {
            "method": "kd",
            "source": "Source last",
            "last_epoch": 62.0,
            "ours": {"n": 3, "mean": 62.1333, "std": 0.1528},
            "difference": 0.1333,
            "protocol_differences": [],
        }

    def test_without_any_it_is_empty(self):
        assert json.loads(render(aggregate(world()), FORMATS.get("json")))["reported"] == []


class TestFolder:
    @pytest.fixture
    def results(self, tmp_path):
        store = Store(tmp_path)
        for made in pair_of():
            store.write(made)
        return tmp_path

    FILE = (
        'dataset = "cifar100"\nname = "One"\ntitle = "One"\nurl = "https://example.org"\n'
        'epoch_rule = "unknown"\n[top1."resnet20:resnet8"]\nkd = '
    )

    def test_a_folder_without_reported_numbers_shows_none(self, results):
        assert compose(results, FORMATS.get("md")) == (
            render(aggregate(pair_of()), FORMATS.get("md")),
            (),
        )

    def test_they_come_from_the_folder_that_is_given(self, results):
        (results / "reported").mkdir()
        (results / "reported" / "one.toml").write_text(self.FILE + "61.7\n")
        text, problems = compose(results, FORMATS.get("md"))
        assert problems == ()
        assert "| kd  | 61.70          | One    | 62.40 (1) | —" in text

    def test_a_wrong_file_is_left_out_and_told(self, results):
        (results / "reported").mkdir()
        (results / "reported" / "one.toml").write_text(self.FILE + "0.617\n")
        text, (problem,) = compose(results, FORMATS.get("md"))
        assert "published by others" not in text
        assert "Left out: 1 unreadable file." in text
        assert "0.617 is not an accuracy in percent" in problem
