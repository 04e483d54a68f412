"""Whatever stands in a name or a message, an output has the structure that we gave it.

Each output is written twice: with names of letters, and with names of anything. A parser of its
kind must find the same structure in both.
"""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pydantic import BaseModel

from benchmark.events import LearnerEpoch
from benchmark.records.reported import Reported
from benchmark.records.schema import Failure
from benchmark.reports import escape
from benchmark.reports.board.aggregate import aggregate
from benchmark.reports.formats import load_formats
from benchmark.reports.leaderboard import render
from benchmark.reports.pages.recipes import recipe_page
from benchmark.reports.terminal import as_svg
from benchmark.reports.terminal.listings import listing_table
from benchmark.reports.terminal.live import Bars, Lines
from benchmark.reports.terminal.results import coverage_table, record_view, result_table
from benchmark.reports.terminal.screen import Screen
from benchmark.reports.wording.markdown import prose
from tests.records.made_records import record, taught
from tests.support.fuzzing import examples

NASTY = [
    "<script>alert(1)</script>", "[a](javascript:alert(1))", "![a](https://x.org/a.png)",
    "[a]: https://x.org\n", "[a][b]", "\n# head\n", "\n\n---\n", "|", "\\|", "\\", "`", "``",
    "```\n", "*", "**a**", "_a_", "~~a~~", "&lt;", "&#60;", "<https://x.org>", "https://x.org",
    "www.x.org", "$x$", "\n> a", "\n1. a", "- [x] a", "<!--", "-->", "]", "[", "(", ")", "!",
    "a | b\n--- | ---\n", "\\input{/etc/passwd}", "\\write18{ls}", "^^41", "%", "&", "#", "{", "}",
    "\\\\", "\n\n", "*]", "=1+1", "+1", "-1", "@A1", "\t=1", "\r=1", '"', "'", ",", ";", "\uff1d1",
    "\x1b[31m", "\x1b]8;;https://x.org\x07", "\x9b2J", "\x00", "\x07", "\r", "\x85", "\u2028",
    "\u202e", "\u2066", "\u200b", "\ufeff", "\xad", "\u3164", "\ue000", "\ufffe", "\U000e0041",
    "[/]", "[bold]", "[link=https://x.org]", "[red]", ":smile:", "]]>", "url(https://x.org)",
]  # fmt: skip
texts = st.one_of(
    st.text(max_size=30), st.lists(st.sampled_from(NASTY), min_size=1, max_size=4).map("".join)
)
quick = settings(
    max_examples=examples(30),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)
FORMATS = load_formats()
LETTERS = "abc"


def with_text(made, text):
    """A record with a text in the place of its letters, though the schema would refuse it."""

    def put(value):
        if isinstance(value, str):
            return value.replace(LETTERS, text)
        if isinstance(value, dict):
            return {put(key): put(inner) for key, inner in value.items()}
        if isinstance(value, BaseModel):
            return type(value).model_construct(**{k: put(inner) for k, inner in value})
        return value

    return put(made)


def board_of(text):
    """A board with a text wherever a record has one, with marks, footnotes and a failure."""
    names = {
        "dataset": LETTERS,
        "protocol": LETTERS,
        "data_revision": LETTERS,
        "starts_from": LETTERS,
        "protocol_values": {LETTERS: LETTERS, "epochs": 1},
    }
    teacher = record(70.0, network=f"{LETTERS}1", **names)
    setting = {LETTERS: LETTERS}
    common = names | {"recipe": LETTERS, "changed": setting, "settings": setting}
    made = [teacher, record(60.0, network=f"{LETTERS}2", **names)]
    for seed, variant in enumerate((LETTERS, LETTERS, f"{LETTERS}3")):
        student = taught(61.0 + seed, teacher, f"{LETTERS}2", seed=seed, variant=variant, **common)
        where = student.environment.model_copy(
            update={
                "device": f"{LETTERS}{seed}.",
                "git_commit": f".{LETTERS}",
                "packages": {"torch": f"{LETTERS}."},
            }
        )
        made.append(student.model_copy(update={"environment": where}))
    made.append(made[-2].model_copy(update={"recipe_source": f"{LETTERS}4"}))
    records = [with_text(one, text) for one in made]
    return aggregate(records, damaged=[f"{text}.", f"{text}/{text}"], beside=[text])


def reported_of(text):
    """What others report, with a text wherever a file may have one."""
    word = re.sub(r"\s", "", text).replace(":", "") or "x"
    return Reported.model_validate(
        {
            "dataset": f"{text}.",
            "name": f"{text}.",
            "title": f"{text}.",
            "url": f"https://x.org/{word}",
            "epoch_rule": "last",
            "rule_from": f".{text}",
            "note": f"{text}.",
            "top1": {f"{word}1:{word}2": {"kd": {"top1": 61.0, "note": f"{text}."}}},
        }
    )


def failed_with(text):
    made = record(None, recipe=LETTERS, network=LETTERS)
    error = Failure(kind=LETTERS, message=LETTERS, where=LETTERS, epoch=1)
    return with_text(made.model_copy(update={"error": error}), text)


def entry(text):
    """What a recipe says of itself."""
    return {
        "name": text, "path": f"/x/{LETTERS}.py", "family": text, "paper": f"{text}.",
        "needs": [text],
        "settings": {text: {"type": text, "default": text, "comment": f"{text}."}}, "summary": text,
        "docstring": "", "version": 1, "error": None, "title": text, "classes": 1, "image_size": 1,
        "train": 1, "test": 1, "pairs_by_protocol": {text: [text]}, "parameters": 1, "macs": 1,
        "seeds": 1, "datasets": [text], "protocol": text, "pairs": [text], "recipes": [text],
    }  # fmt: skip


MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def structure(page):
    """The tokens of a page, without text."""
    found = []
    for token in MARKDOWN.parse(page):
        found.append((token.type, token.tag))
        for child in token.children or ():
            if child.type not in ("text", "text_special"):
                found.append((child.type, child.tag, re.sub(r"x\.org.*", "", str(child.attrs))))
    return found


@quick
@example("<script>\n# x")
@given(texts)
def test_markdown_keeps_its_structure(text):
    shown = render(board_of(text), FORMATS.get("md"), [reported_of(text)])
    usual = render(board_of(LETTERS), FORMATS.get("md"), [reported_of(LETTERS)])
    assert structure(shown) == structure(usual)
    assert not hidden(shown)


@quick
@given(texts)
def test_markdown_looks_as_it_was_written(text):
    (inline,) = (t for t in MARKDOWN.parse(f"x {escape.markdown(text)} x") if t.type == "inline")
    seen = "".join(child.content for child in inline.children)
    assert seen == f"x {escape.plain(text).strip()} x"


@quick
@given(
    texts, st.sampled_from(["https://x.org/", "javascript:", "data:", "https://x.org/) [a](", ""])
)
def test_a_link_leads_to_the_web_or_is_none(text, start):
    page = escape.markdown_link(text, start + text)
    links = [
        child.attrs["href"]
        for token in MARKDOWN.parse(f"x {page} x")
        for child in token.children or ()
        if child.type == "link_open"
    ]
    assert len(links) <= 1
    assert all(re.match("https?://", link) for link in links)


@quick
@given(texts)
def test_the_page_of_recipes_keeps_its_structure(text):
    """What a recipe says may have code and lists, and no more than these."""
    shown = recipe_page([entry(text)], Path("/x"))
    kept = re.compile("html|image|heading|t[rdh]_|fence|hr|blockquote")
    found, usual = (
        [token for token in structure(page) if kept.match(token[0])]
        for page in (shown, recipe_page([entry(LETTERS)], Path("/x")))
    )
    assert found == usual
    assert not hidden(shown)


@quick
@given(texts)
def test_prose_has_code_lists_and_links_to_papers_alone(text):
    page = prose(text)
    found = structure(page)
    assert not [token for token in found if re.match("html|image|heading|table|hr|block", token[0])]
    links = [token[2] for token in found if token[0] == "link_open"]
    assert all("https://arxiv.org/abs/" in link for link in links)
    assert not hidden(page)


SKELETON = re.compile(
    r"\\text(?:backslash|asciitilde|asciicircum|less|greater|bar)\{\}|\\symbol\{34\}|\\[&%$#_{}]"
    r"|\{\[\}|\{\*\}|\$\\(?:pm|rightarrow)\$"
)


def specials(text):
    """All that LaTeX does not take for text, line by line; a comment's own line ends it."""
    bare = SKELETON.sub("x", text)
    return [re.findall(r"\\[A-Za-z]+|\\.|[&%$#_{}~^\[*]", line) for line in bare.split("\n")]


@quick
@given(texts)
def test_latex_has_no_special_sign_that_is_not_ours(text):
    shown = render(board_of(text), FORMATS.get("latex"))
    assert specials(shown) == specials(render(board_of(LETTERS), FORMATS.get("latex")))
    assert not hidden(shown)


@quick
@given(texts)
def test_csv_has_its_rows_and_no_formula(text):
    def rows(word):
        return list(
            csv.reader(io.StringIO(render(board_of(word), FORMATS.get("csv"))), strict=True)
        )

    found = rows(text)
    assert [len(row) for row in found] == [len(row) for row in rows(LETTERS)]
    for cell in (cell for row in found for cell in row):
        if re.match(r"\s*[=+@\-\uff1d\uff0b\uff0d\uff20]", cell):
            float(cell)
    assert not hidden(render(board_of(text), FORMATS.get("csv")))


@quick
@given(texts)
def test_json_is_valid_and_keeps_every_text(text):
    shown = render(board_of(text), FORMATS.get("json"), [reported_of(text)])
    value = json.loads(shown, parse_constant=pytest.fail)
    assert value["tables"][0]["dataset"] == text
    assert value["damaged"][0] == f"{text}."
    assert not hidden(shown)


@quick
@given(texts)
def test_a_picture_is_a_picture(text):
    picture = as_svg(
        [*result_table(board_of(text)), record_view(failed_with(text))], width=60, title=text
    )
    names = {
        re.sub(r"\{.*\}", "", element.tag) for element in ElementTree.fromstring(picture).iter()
    }
    assert names <= {"svg", "style", "defs", "clipPath", "rect", "g", "text", "circle"}
    outside = re.sub(r">[^<]*<", "><", picture)  # all but text
    assert not re.search(r"href|script|\son\w+=|url\((?!#kdbench)", outside)
    styles = re.search(r"<style>(.*?)</style>", picture, re.DOTALL)
    assert "url(" not in styles[1]
    assert "@import" not in styles[1]


def hidden(text):
    """Signs that a terminal obeys or that a reader cannot see."""
    return [
        sign
        for sign in text
        if sign != "\n" and unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    ]


def without_ours(text):
    """Without colours, movements of the cursor and what else rich writes by itself."""
    return re.sub(r"\x1b\[[0-9;]*[mAK]|\x1b\[\?25[lh]|\r", "", text)


@quick
@pytest.mark.parametrize("terminal", [False, True])
@given(text=texts)
def test_a_terminal_is_told_nothing_by_a_text(terminal, text):
    file = io.StringIO()
    colours = "standard" if terminal else None
    screen = Screen(file, width=80, force_terminal=terminal, color_system=colours)
    for part in (
        *result_table(board_of(text)),
        record_view(failed_with(text)),
        *(listing_table(kind, [entry(text)]) for kind in ("recipes", "datasets", "suites")),
        listing_table("recipes", [{"error": f"{text}.", "path": text}]),
        coverage_table([{"dataset": text, "protocol": text, "recipe": text, f"{text}.": 1}]),
        text,
    ):
        screen.print(part)
    assert not hidden(without_ours(file.getvalue()) if terminal else file.getvalue())


@quick
@pytest.mark.parametrize("kind", [Lines, Bars])
@given(text=texts)
def test_progress_shows_any_word_as_it_is(kind, text):
    file = io.StringIO()
    heard = kind(Screen(file, width=80, force_terminal=kind is Bars, color_system="standard"))
    heard.matrix_started(2, 0)
    group = heard.beside(1)
    group.group_started(text, [text], epochs=2, done=0)
    group.epoch_started(1, 10)
    group.epoch_finished(1, [LearnerEpoch(text, {text: 1.0}, 50.0, None),
                             LearnerEpoch(text, {}, None, text)], 5.0)  # fmt: skip
    with heard.progress(text, 3) as advance:
        advance(3)
    heard.note(text)
    heard.run_finished(text, text)
    heard.close()
    assert not hidden(without_ours(file.getvalue()))
    if kind is Lines and not escape.BREAKS.search(text):
        assert len(file.getvalue().splitlines()) == 7
