from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchmark.errors import RecordError, UsageError
from benchmark.records.store import Store
from benchmark.reports.board.aggregate import aggregate
from benchmark.reports.board.staleness import Current
from benchmark.reports.formats import Format, load_formats
from benchmark.reports.leaderboard import compose, difference, render, save
from benchmark.reports.terminal.results import result_table
from tests.records.made_records import world

FORMATS = load_formats()


@pytest.fixture(scope="module")
def board():
    current = Current({"fitnet": 3}, {"cifar100": "r1"})
    return aggregate(world(), current, unreadable=1)


def test_a_store_between_does_not_change_it(tmp_path):
    store = Store(tmp_path)
    for made in world():
        store.write(made)
    text, problems = compose(tmp_path, FORMATS.get("md"))
    assert text == render(aggregate(world()), FORMATS.get("md"))
    assert problems == ()


def test_what_cannot_be_trusted_is_counted_and_told(tmp_path):
    store = Store(tmp_path)
    for made in world():
        store.write(made)
    path = store.path_of(world()[0].spec)
    path.write_text(path.read_text().replace("69.5", "79.5"))
    text, problems = compose(tmp_path, FORMATS.get("md"))
    assert "Left out: 1 unreadable file." in text
    assert len(problems) == 1
    assert str(path) in problems[0]
    assert str(tmp_path) not in text


class TestDamaged:
    """Whatever cannot be trusted is named under the tables, and stops nothing."""

    def damage(self, folder):
        store = Store(folder)
        for made in world():
            store.write(made)
        names = []
        for made, text in zip(
            world(), ("", "[" * 100_000, '{"cost": 1' + "0" * 5000 + "}"), strict=False
        ):
            path = store.path_of(made.spec)
            path.write_text(text)
            names.append(path.relative_to(folder).as_posix())
        attested = folder / "attested" / "kd" / "one-two.json"
        attested.parent.mkdir(parents=True)
        attested.write_bytes(b"\xff\x00")
        reported = folder / "reported" / "<b>.toml"
        reported.parent.mkdir()
        reported.write_text("[" * 5000)
        return [*names, "reported/<b>.toml"], attested.relative_to(folder).as_posix()

    def test_every_file_is_named(self, tmp_path):
        names, attested = self.damage(tmp_path)
        text, problems = compose(tmp_path, FORMATS.get("json"))
        value = json.loads(text)
        assert value["damaged"] == sorted(names)
        assert value["beside"] == [attested]
        assert len(problems) == 4
        page, _ = compose(tmp_path, FORMATS.get("md"))
        assert "Left out: 4 unreadable files.\n" in page
        assert f"\n* {names[0]}\n" in page
        assert "\n* reported/\\<b>.toml\n" in page
        assert f"\n* {attested}, beside a record: no number is of it\n" in page
        assert "git checkout" in page

    def test_a_terminal_names_them(self, tmp_path, printed):
        names, _ = self.damage(tmp_path)
        text = printed(*result_table(aggregate([], damaged=names)))
        assert all(f"  {name}\n" in text for name in names)

    def test_of_many_the_first_are_named(self, printed):
        text = printed(*result_table(aggregate([], damaged=[f"{n}.json" for n in range(30)])))
        assert "19.json" in text
        assert "20.json" not in text
        assert "and 10 more" in text


def test_nothing_recorded(tmp_path):
    text, _ = compose(tmp_path, FORMATS.get("md"))
    assert "There is no record to show yet." in text
    assert json.loads(compose(tmp_path, FORMATS.get("json"))[0])["tables"] == []
    with pytest.raises(RecordError, match="--results"):
        compose(tmp_path / "none", FORMATS.get("md"))


class TestBrokenFormat:
    def test_one_that_fails_is_told_in_a_message(self, board):
        form = Format("mine", lambda board, sections: str(1 / len(sections)))
        with pytest.raises(UsageError, match="the format 'mine' failed: ZeroDivisionError"):
            render(board, form)

    def test_one_that_gives_no_text_is_told_in_a_message(self, board):
        with pytest.raises(UsageError, match="'mine' gave NoneType instead of text"):
            render(board, Format("mine", lambda board, sections: None))


class TestFile:
    def test_what_was_saved_is_up_to_date(self, board, tmp_path):
        file = tmp_path / "docs" / "leaderboard.md"
        save(render(board, FORMATS.get("md")), file)
        assert difference(render(board, FORMATS.get("md")), file) is None

    def test_an_edit_is_shown_as_a_diff(self, board, tmp_path):
        file = tmp_path / "leaderboard.md"
        save(render(board, FORMATS.get("md")).replace("62.33", "64.33"), file)
        shown = difference(render(board, FORMATS.get("md")), file)
        assert "-| th-kd          | **64.33" in shown
        assert "+| th-kd          | **62.33" in shown

    def test_a_missing_file_differs(self, board, tmp_path):
        assert "+# Leaderboard" in difference(
            render(board, FORMATS.get("md")), tmp_path / "none.md"
        )

    def test_a_place_that_cannot_be_written_or_read(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(RecordError, match="--output"):
            save("text", tmp_path / "file" / "leaderboard.md")
        with pytest.raises(RecordError, match="cannot read"):
            difference("text", tmp_path)


def test_reports_need_no_torch():
    code = (
        "import sys, benchmark.reports.leaderboard, benchmark.reports.terminal.results\n"
        "heavy = {'torch', 'pandas', 'scipy', 'matplotlib', 'accelerate'} & sys.modules.keys()\n"
        "sys.exit(' '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
