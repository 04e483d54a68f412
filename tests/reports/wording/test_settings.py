"""Settings as a reader meets them."""

from __future__ import annotations

import pytest

from benchmark.reports.wording.settings import another_value, kind, own_first, shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.02, "0.02"),
        (30000.0, "30000.0"),
        (1 / 12, "1/12"),
        (2 / 3, "2/3"),
        (0.123456789, "0.1235"),
        (1e-07, "1e-07"),
        (16384, "16384"),
        (123456789, "123456789"),
        (True, "True"),
        ("published", "published"),
        (None, "None"),
    ],
)
def test_a_value_has_no_more_figures_than_are_read(value, text):
    assert shown(value) == text


def test_a_kind_says_what_may_be_given():
    assert kind({"type": "float", "default": 1.0}) == "float"
    assert kind({"type": "int", "default": 1, "bounds": {"ge": 1}}) == "int ≥ 1"
    bounds = {"gt": 0, "le": 1 / 12}
    assert kind({"type": "float", "default": 0.01, "bounds": bounds}) == "float > 0 and ≤ 1/12"
    assert kind({"type": "'a' | 'b'", "default": "a", "choices": ["a", "b"]}) == "a or b"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ({"default": 4.0}, "8"),
        ({"default": 3}, "6"),
        ({"default": 0.0}, "1"),
        ({"default": 0.5, "bounds": {"lt": 1}}, "0.25"),
        ({"default": 1, "bounds": {"ge": 1, "le": 1}}, None),
        ({"default": False}, "true"),
        ({"default": "b", "choices": ["a", "b"]}, "a"),
        ({"default": "free text"}, None),
        ({"default": None}, None),
    ],
)
def test_an_example_changes_a_setting_within_its_bounds(setting, value):
    assert another_value(setting) == value


def test_settings_of_ones_own_come_first():
    settings = {"base": {"inherited_from": "_base.py"}, "b": {}, "other": {}}
    assert list(own_first(settings)) == ["b", "other", "base"]
