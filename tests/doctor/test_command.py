"""The command: exit codes, JSON, and what a person sees in 80 columns."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.cli.app import main
from benchmark.doctor.findings import Finding, Level, Surroundings
from benchmark.reports.terminal import console
from benchmark.reports.terminal.findings import MOST_PLACES, findings_tables

Doctor = Callable[..., tuple[int, str]]


@pytest.fixture
def doctor(
    around: Surroundings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Doctor:
    """Call the command on the surroundings: its exit code and what it prints."""
    monkeypatch.setenv("COLUMNS", "80")
    folders = ["--runs", str(around.runs), "--results", str(around.results)]

    def call(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as caught:
            main(["doctor", *folders, "--path", str(around.paths[0]), *words])
        return int(caught.value.code or 0), capsys.readouterr().out

    return call


def test_what_is_damaged_is_shown_mended_and_gone(doctor: Doctor, around: Surroundings) -> None:
    path = sorted(around.runs.glob("*/weights-*.safetensors"))[0]
    path.write_bytes(path.read_bytes()[:-8])
    code, out = doctor()
    assert code == 1
    assert out.startswith("fault")
    assert "1 fault" in out
    assert all(len(line) <= 80 for line in out.splitlines())
    code, out = doctor("--fix", "--json")
    said = json.loads(out)
    [mended] = [one for one in said["findings"] if one["done"]]
    assert (code, said["faults"]) == (0, 0)
    assert mended["done"] == [f"moved {path} to {path.name}.damaged"]
    code, out = doctor()
    assert code == 0
    assert "fault" not in out


def test_json_holds_all_that_was_found(doctor: Doctor, around: Surroundings) -> None:
    from benchmark.doctor.examination import PARTS

    _, out = doctor("--quick", "--json")
    found = json.loads(out)["findings"]
    assert {one["part"] for one in found} == set(PARTS)
    for one in found:
        kept = {name: value for name, value in one.items() if name != "can_be_fixed"}
        places = {name: tuple(kept.pop(name)) for name in ("where", "done")}
        again = Finding(Level(kept.pop("level")), **kept, **places)
        assert again.as_json() | {"can_be_fixed": one["can_be_fixed"]} == one
        assert one["level"] == "ok" or one["remedy"]


def test_the_gravest_is_shown_first_and_text_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    places = tuple(f"[red]file {number}\x1b[2J" for number in range(MOST_PLACES + 3))
    findings = [
        Finding(Level.ok, "fine", part="one"),
        Finding(Level.note, "odd", ("x",), "Nothing.", part="two"),
        Finding(Level.fault, "broken", places, "Mend it.", part="three"),
        Finding(Level.fault, "was broken", ("y",), "Mend it.", part="four", done=("mended y",)),
    ]
    for table in findings_tables([finding.as_json() for finding in findings]):
        console().print(table)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "[red]file 0" in out
    assert "and 3 more; --json names all" in out
    places = [out.index(word) for word in ("broken", "mended y", "odd", "fine")]
    assert places == sorted(places)
    assert out.rstrip().endswith("1 fault, 1 note, 1 mended.")


def test_nothing_wrong_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    for table in findings_tables([Finding(Level.ok, "fine", part="one").as_json()]):
        console().print(table)
    assert capsys.readouterr().out.split() == ["one", "fine", "Nothing", "is", "wrong."]


def test_a_path_that_is_not_there_is_a_fault(doctor: Doctor, tmp_path: Path) -> None:
    code, out = doctor("--quick", "--json", "--path", str(tmp_path / "nowhere"))
    told = [one for one in json.loads(out)["findings"] if "there is no folder" in one["what"]]
    assert code == 1
    assert len(told) == len({one["what"] for one in told}) == 1
