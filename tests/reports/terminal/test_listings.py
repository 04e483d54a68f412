from __future__ import annotations

import re

import pytest

from benchmark.reports.terminal.listings import data_table, listing_table, plan_table

RECIPES = [
    {
        "name": "a-method",
        "path": "recipes/a_method.py",
        "family": "logits",
        "paper": "arXiv:2101.00001",
        "needs": ["maps"],
        "settings": {
            "ce_weight": {"type": "float", "default": 1.0, "inherited_from": "_base.py"},
            "warmup": {"type": "float", "default": 1 / 12},
        },
        "summary": "The idea in one sentence.",
        "error": None,
    },
    {
        "name": "without",
        "path": "recipes/without.py",
        "family": "alone",
        "paper": "",
        "needs": [],
        "settings": {},
        "summary": "It has neither paper nor settings.",
        "error": None,
    },
    {"name": "bad", "path": "recipes/bad.py", "error": "ValueError: no (line 1)"},
]
SHOWN = """\
 a-method   logits   The idea in one sentence.
                     arXiv:2101.00001, reads logits, maps
                     warmup=1/12, ce_weight=1.0

 without    alone    It has neither paper nor settings.
                     reads logits

"""


@pytest.mark.parametrize("width", [80, 120])
def test_recipes_show_idea_paper_needs_and_settings(printed, width):
    text = printed(listing_table("recipes", RECIPES), width=width)
    assert SHOWN in text
    assert "what it minimises, paper, needs, settings\n" in text
    assert text.endswith("1 broken, left out:\n  recipes/bad.py: ValueError: no (line 1)\n")


def test_what_is_there_twice_is_told_in_lines_that_can_be_read(printed):
    split = {
        "images": 9, "fewest_of_a_class": 1, "most_of_a_class": 8, "sizes": [(20, 30)] * 3,
        "modes": {"RGB": 5, "L": 4}, "turned": 2, "broken": 25,
    }  # fmt: skip
    many = [["a.jpg", *(f"= {number}.jpg" for number in range(9))]] * 7
    report = {
        "dataset": "mine", "classes": 2, "origin": "here", "splits": {"train": split},
        "smallest_class": {"name": "ash", "images": 1}, "imbalance": 8.0,
        "largest_class": {"name": "birch", "images": 8},
        "problems": [f"{number}.jpg is broken" for number in range(25)],
        "warnings": [{"what": "7 images are there twice:", "cases": many, "remedy": "Keep one."}],
    }  # fmt: skip
    shown = printed(data_table(report), width=80)
    for part in (
        "the smallest, 'ash', has 1 training images", "8.0 times as many",
        "Colours: 5 RGB, 4 grey; networks see all as RGB.",
        "19.jpg is broken", "… and 5 more; --json names all.",
        "Warning: 7 images are there twice:\n  a.jpg\n    = 0.jpg", "    … and 5 more\n",
        "  … and 2 more; --json names all.\nKeep one.",
    ):  # fmt: skip
        assert part in shown, shown
    assert "20.jpg" not in shown
    assert "Nothing is wrong" not in shown


def overview(seconds):
    group = {
        "dataset": "birds", "protocol": "paper", "epochs": 240, "seed": 0, "seconds": seconds,
        "source": None if seconds is None else "records", "rough": False,
        "runs": [{"label": "resnet14→resnet8 kd", "state": "missing", "epoch": 0}],
    }  # fmt: skip
    return {
        "cells": 1, "runs": 1, "recorded": 0, "to_train": 1, "left_out": [], "notes": [],
        "workers": 1, "seconds": seconds, "groups_of_unknown_time": int(seconds is None),
        "levels": [[group]],
    }  # fmt: skip


def test_a_plan_begins_with_its_time_and_its_end(printed):
    in_ten_days = " ".join(printed(*plan_table(overview(864_000.0)), width=80).split())
    assert re.search(
        r"1 to train, in about 10 d: begun now, it ends \d+ \w{3} \d{4}\.", in_ten_days
    )
    unknown = printed(*plan_table(overview(None)), width=80)
    assert "1 to train.\n" in unknown
    assert "not known: --measure finds it out" in unknown
