from __future__ import annotations

import pytest

from benchmark.reports.terminal.listings import listing_table

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
