"""What the command line says of itself."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from benchmark.cli.app import app
from benchmark.cli.help import guide
from benchmark.cli.help.manual import manuals
from benchmark.records.store import Store
from benchmark.reports.pages.commands import command_page
from tests.cli.called import Kdbench

ROOT = Path(__file__).parents[2]
CELL = re.compile(r"[\w.+-]+/[\w.-]+__[\w.-]+/[\w.+\[\]=,-]+/seed\d+")
MANUALS = manuals(typer.main.get_command(app))
CALLS = [example.name for manual in MANUALS for example in manual.examples]
GUIDE = (ROOT / "docs" / "first-table.md").read_text("utf-8").replace("\\\n", "")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
GUIDED = [
    call
    for language, block in BLOCKS
    for call in re.findall(r"^\s*(?:\$ )?(kdbench .*)$", block, re.MULTILINE)
    if not language and "--install-completion" not in call  # which would be done, not read
]
Complete = Callable[[str], list[str]]


@pytest.mark.parametrize("width", [60, 80, 140])
def test_help_fits_the_terminal_and_cuts_nothing(
    width: int, kdbench: Kdbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for manual in MANUALS:
        monkeypatch.setenv("COLUMNS", str(width))
        code, out, _ = kdbench(*manual.command.split()[1:], "--help")
        assert code == 0
        assert max(map(len, out.splitlines())) <= width
        text = " ".join(out.replace("│", " ").split())
        for panel in manual.panels:
            assert panel.title in text
            assert all(word in text for row in panel.rows for word in row.name.split())
        assert "<bool>" not in text
        assert "\\[" not in text
        assert manual.paragraphs[0] in text


def test_the_help_of_run_says_what_how_and_where(kdbench: Kdbench) -> None:
    out = kdbench("run", "--help")[1]
    places = [out.index(f" {title} ─") for title in ("What", "How", "Where", "Output", "Examples")]
    assert places == sorted(places)


def test_help_is_a_command_too(kdbench: Kdbench) -> None:
    for words in ([], ["run"], ["data", "check"]):
        assert kdbench("help", *words) == kdbench(*words, "--help")


def test_every_command_is_in_the_help_of_the_program(kdbench: Kdbench) -> None:
    out = kdbench("--help")[1]
    for manual in MANUALS[1:]:
        assert f"│ {manual.command.removeprefix('kdbench ')} " in out


def test_help_names_every_environment_variable(kdbench: Kdbench) -> None:
    files = (ROOT / "benchmark").rglob("*.py")
    used = {name for file in files for name in re.findall(r"KDBENCH_[A-Z]+", file.read_text())}
    assert used == {*guide.ENVIRONMENT}
    assert all(name in kdbench("--help")[1] for name in used)


def test_examples_are_of_commands_that_there_are() -> None:
    commands = {manual.command.partition(" ")[2] for manual in MANUALS}
    groups = {name.rpartition(" ")[0] for name in commands}
    assert {*guide.EXAMPLES} <= commands | groups


@pytest.mark.parametrize("call", [*CALLS, *GUIDED])
def test_examples_can_be_called(call: str) -> None:
    program, *words = shlex.split(call, comments=True)
    assert program == "kdbench"
    assert "--install-completion" not in words, "it would be done, not read"
    context = typer.main.get_command(app).make_context(program, words)
    command = context.command
    words = [*context._protected_args, *context.args]
    while hasattr(command, "commands"):
        command = command.commands[words[0]]
        context = command.make_context(words[0], words[1:], parent=context)
        words = [*context._protected_args, *context.args]


def test_cells_in_help_and_guides_are_recorded() -> None:
    """Those that are called for: what a command shows may be of cells that a guide has trained."""
    told = [row.text for manual in MANUALS for panel in manual.panels for row in panel.rows]
    guides = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    lines = [line for page in guides for line in page.read_text("utf-8").splitlines()]
    called = [line for line in lines if re.search(r"^(\$ )?kdbench |`kdbench ", line)]
    found = {cell for text in [*told, *CALLS, *called] for cell in CELL.findall(text)}
    assert guide.CELL in found
    store = Store(ROOT / "results")
    for cell in sorted(found):
        assert store.lookup(cell).status == "ok"


def test_the_page_of_commands_is_what_their_help_says() -> None:
    """After a wanted change: make pages."""
    assert (ROOT / "docs" / "commands.md").read_text("utf-8") == command_page(MANUALS)


@pytest.mark.parametrize("columns", ["40", "200"])
def test_the_page_is_the_same_whatever_the_terminal(
    columns: str, kdbench: Kdbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("COLUMNS", columns), ("FORCE_COLOR", "1"), ("KDBENCH_DATA", "/data")):
        monkeypatch.setenv(name, value)
    assert kdbench("pages", "commands")[0] == 0
    assert Path("commands.md").read_text("utf-8") == command_page(MANUALS)


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch, kdbench: Kdbench) -> Complete:
    """What bash offers for the last word of a line."""

    def offered(line: str) -> list[str]:
        words = line.split(" ")
        with monkeypatch.context() as patch:
            patch.setenv("COMP_WORDS", line)
            patch.setenv("COMP_CWORD", str(len(words) - 1))
            patch.setenv("_KDBENCH_COMPLETE", "complete_bash")
            code, out, err = kdbench()
        assert (code, err) == (0, "")
        return out.split()

    return offered


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("kdbench ru", "run"),
        ("kdbench run --recipe th", "th-kd"),
        ("kdbench run --dataset cub", "cub50"),
        ("kdbench run --dataset cifar100 --protocol ", "paper"),
        ("kdbench status --suite meth", "methods"),
        ("kdbench data check sk", "sketchbirds"),
        ("kdbench list net", "networks"),
        (f"kdbench show --results {ROOT}/results sketchbirds/resnet14__resnet8/kd/", guide.CELL),
    ],
)  # fmt: skip
def test_a_shell_completes_names(complete: Complete, line: str, offered: str) -> None:
    found = complete(line)
    assert offered in found
    assert all(name.startswith(line.rpartition(" ")[2]) for name in found)


def test_a_shell_gets_no_names_and_no_message_where_something_is_wrong(complete: Complete) -> None:
    assert complete("kdbench run --path nowhere --recipe k") == []
    assert complete("kdbench run --dataset nothing --protocol ") == []
    assert complete("kdbench show ") == []
