"""Plain text looks in Markdown as it was written."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from benchmark.reports.wording.markdown import arxiv_link, code, fence, grid, prose


def html(markdown):
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown).strip()


@pytest.mark.parametrize(
    "text",
    [
        "p_s and p_t^T, F_s^l, r^{l+1}: p_s,i",
        "a * b * c, _x_, **no**, ~~no~~",
        "f[i](x) is a call",
        "‖ e_s / ‖e_s‖ ‖² over (B, C·H·W)",
        "from 0.5\n8. is no list, and\n# no heading",
        "a backslash \\* stays",
        "a lone ` stays",
        "rules\n===\nare none",
        "| is no table",
    ],
)
def test_signs_of_mathematics_survive(text):
    shown = html(prose(text))
    assert shown == f"<p>{text}</p>"


def test_comparisons_and_tags_are_text():
    assert html(prose("a < b, <b>")) == "<p>a &lt; b, &lt;b&gt;</p>"


def test_code_and_lists_are_left_as_they_are():
    assert html(prose("Use `a_b * c` and ``d``.")) == (
        "<p>Use <code>a_b * c</code> and <code>d</code>.</p>"
    )
    assert html(prose("* one\n* two")).count("<li>") == 2


def test_dollars_do_not_start_mathematics():
    assert prose("between $1 and $2") == "between \\$1 and \\$2"


def test_arxiv_numbers_become_links():
    assert prose("In arXiv:1910.10699; ICLR.") == (
        "In [arXiv:1910.10699](https://arxiv.org/abs/1910.10699); ICLR."
    )
    assert arxiv_link("arXiv:cs/0112017v2").endswith("(https://arxiv.org/abs/cs/0112017v2)")
    assert arxiv_link("ICLR 2021") == "ICLR 2021"


def test_code_holds_backticks():
    assert html(code("a`b")) == "<p><code>a`b</code></p>"
    assert html(fence("```\nx")) == '<pre><code class="language-text">```\nx\n</code></pre>'


def test_a_grid_keeps_bars_and_reads_as_text():
    text = grid([["name", "type"], [code("a|b"), "long enough"]])
    assert text == (
        "| name   | type        |\n|--------|-------------|\n| `a\\|b` | long enough |\n"
    )
    assert "<code>a|b</code>" in html(text)
