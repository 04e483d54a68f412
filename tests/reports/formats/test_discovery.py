"""Formats are found in kdbench and in formats/ of folders of one's own."""

from __future__ import annotations

import textwrap

import pytest

from benchmark.errors import UnknownName, UsageError
from benchmark.reports.formats import load_formats

GOOD = """
from benchmark.reports.formats import Format

FORMAT = Format("NAME", lambda board, sections: f"{len(board.tables)} tables\\n")
"""


@pytest.fixture
def write(tmp_path):
    def write_file(text, name="mine.py", folder="formats"):
        file = tmp_path / folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
        return tmp_path

    return write_file


def test_four_come_with_kdbench():
    found = load_formats()
    assert list(found) == ["csv", "json", "latex", "md"]
    assert found.broken == {}
    assert {form.name for form in found.values() if form.shows_reported} == {"json", "md"}
    assert {form.name: form.output for form in found.values() if form.output != "-"} == {
        "md": "leaderboard.md"
    }


def test_one_of_ones_own_is_a_file_in_a_folder(write):
    form = load_formats([write(GOOD.replace("NAME", "short"))]).get("short")
    assert (form.name, form.output, form.shows_reported) == ("short", "-", False)


def test_folders_of_the_environment_are_searched(write, monkeypatch):
    monkeypatch.setenv("KDBENCH_PATH", str(write(GOOD.replace("NAME", "short"))))
    assert "short" in load_formats()


def test_files_beside_the_folder_and_underscored_ones_are_not_read(write):
    write("raise SystemExit", folder="recipes")
    write("raise SystemExit", "_shared.py")
    path = write("raise SystemExit", folder=".")
    assert load_formats([path]).broken == {}


def test_files_of_a_folder_may_share_what_stands_in_an_underscored_one(write):
    write("WORD = 'shared'", "_words.py")
    text = """
    from __future__ import annotations

    from dataclasses import dataclass

    from benchmark.reports.formats import Format
    from ._words import WORD

    @dataclass
    class Line:
        text: str

    FORMAT = Format(WORD, lambda board, sections: Line(WORD).text)
    """
    found = load_formats([write(text, "my-words.py")])
    assert found.broken == {}
    assert found.get("shared").write(None, ()) == "shared"


def test_folders_may_have_files_of_one_name(tmp_path, write):
    write(GOOD.replace("NAME", "one"), folder="first/formats")
    write(GOOD.replace("NAME", "two"), folder="second/formats")
    found = load_formats([tmp_path / "first", tmp_path / "second"])
    assert {"one", "two"} < set(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def (", "SyntaxError: "),
        ("FORMAT = 'md'", "there is no FORMAT = Format"),
        ("import no_such_package", "ModuleNotFoundError: No module named"),
    ],
)
def test_a_broken_file_stops_no_other(write, text, said):
    write(GOOD.replace("NAME", "short"), "another.py")
    found = load_formats([write(text)])
    assert "short" in found
    assert [path.name for path in found.broken] == ["mine.py"]
    with pytest.raises(
        UsageError, match=r"the format 'mine' cannot be used:\n.*mine\.py: "
    ) as told:
        found.get("mine")
    assert said in str(told.value)


def test_two_of_one_name_name_both_files(write):
    with pytest.raises(
        UsageError, match=r"(?s)two formats are called 'md'.*markdown\.py.*mine\.py"
    ):
        load_formats([write(GOOD.replace("NAME", "md"))])


def test_an_unknown_one_is_refused_with_what_there_is():
    with pytest.raises(UnknownName, match="Did you mean 'json'") as told:
        load_formats().get("jsn")
    assert "md, csv, latex, json" in str(told.value)


def test_a_folder_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no folder"):
        load_formats([tmp_path / "none"])
