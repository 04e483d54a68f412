"""Text from outside is data: what it must become before it stands in an output of each kind.

Names from cards and records, recipes' words, reported notes and messages of errors are anybody's.
Each kind of output has one function here, and what writes it calls that where a value enters. The
functions leave the usual names and numbers as they are.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from typing import Any

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"  # in the place of what has no look of its own
# Ends of lines, for a reader or for a program: those of str.splitlines and the tabulator.
BREAKS = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# Controls, formats (bidi, zero width), halves of a pair, private use; spaces have their own rule.
FORBIDDEN = frozenset({"Cc", "Cf", "Cs", "Co"})
# Letters and marks that show nothing: fillers, joiners, selectors of a look.
INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufe00-\ufe0f]")

MARKDOWN = re.compile(
    r"(?P<start>^(?:#{1,6}(?=\s|$)|>|[+-](?=\s|$)|[=-]+(?=\s*$)|\[(?=[ xX]\](?:\s|$))))"
    r"|(?P<number>^\d{1,9})(?P<stop>[.)])(?=\s|$)"
    r"|(?P<sign>[\\*~$`<]|&(?=[#\w])|(?<=\])[(\[:]|!(?=\[)|(?<!\w)_|_(?!\w))"
    # What GitHub makes a link of by itself.
    r"|(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]*)(?=://)|(?P<host>\bwww)(?=\.)",
    re.IGNORECASE,
)
HTTP = re.compile(r"https?://\S+")
NOT_IN_A_LINK = re.compile(r"[^A-Za-z0-9\-._~:/?#@!$&*+,;=%]")

# Spreadsheets read a cell that begins so as a formula, and some drop spaces before it.
FORMULA = re.compile("\\s*[=+\\-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}"
                     "\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}]")  # fmt: skip

TEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\symbol{34}",
        "±": r"$\pm$",
        "→": r"$\rightarrow$",
        "—": "---",
        REPLACEMENT: "?",
        # A row that begins with one of them would be read as an argument of the \\ before it.
        "[": "{[}",
        "*": "{*}",
    }
)


def plain(text: str, *, lines: bool = False) -> str:
    """Text of signs that show: nothing that moves a cursor, turns the writing or hides.

    Args:
        text: from anywhere.
        lines: whether it may have several lines; else they are put behind each other.
    """
    if text.isprintable() and not INVISIBLE.search(text):
        return text
    parts = BREAKS.split(text)
    return ("\n" if lines else " ").join("".join(map(_shown, part)) for part in parts)


def markdown(text: str) -> str:
    """A piece of a line of Markdown; a table escapes its bars itself."""
    return MARKDOWN.sub(_escaped, plain(text).strip())


def markdown_link(text: str, address: str) -> str:
    """A link to a page of the web; the text alone if the address is no such page."""
    # A sign that is escaped already is taken with its backslash, and left as it is.
    shown = re.sub(r"\\.|[][]", lambda found: f"\\{found[0][-1]}", markdown(text))
    if not HTTP.fullmatch(address):
        return shown
    safe = NOT_IN_A_LINK.sub(lambda found: _percent(found[0]), address)
    return f"[{shown}]({safe})"


def latex(text: str) -> str:
    """A piece of a line of LaTeX: every special sign as the sign itself."""
    return plain(text).translate(TEX)


def csv_cell(value: object) -> object:
    """A cell of a table that may be opened in a spreadsheet; numbers stay numbers."""
    if not isinstance(value, str):
        return value
    text = plain(value)
    return f"'{text}" if FORMULA.match(text) else text


def xml(text: str) -> str:
    """Text or an attribute of SVG and HTML."""
    return html.escape(plain(text))


def json_text(value: Any) -> str:
    """Valid JSON that keeps every text as it is, ending in a newline.

    What would not show is written by its number, so that it can be printed and stored.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    lines = (line if line.isprintable() else _numbered(line) for line in text.split("\n"))
    return "\n".join(lines) + "\n"


def terminal(text: str) -> str:
    """Text of one or several lines for a terminal or a log."""
    return plain(text, lines=True)


def _shown(sign: str) -> str:
    if sign.isprintable() and not INVISIBLE.match(sign):
        return sign
    kind = unicodedata.category(sign)
    if sign == "\t" or kind.startswith("Z"):
        return " "
    # Of what this Python has no word for, the places that never will be signs are left out.
    never = ord(sign) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(sign) <= 0xFDEF
    return REPLACEMENT if kind in FORBIDDEN or never or INVISIBLE.match(sign) else sign


def _escaped(found: re.Match[str]) -> str:
    if found["number"]:
        return f"{found['number']}\\{found['stop']}"
    if found["scheme"] or found["host"]:
        return f"{found[0]}\\"  # before the colon or the dot, which then make no link
    return f"\\{found[0]}"


def _percent(sign: str) -> str:
    return "".join(f"%{byte:02X}" for byte in sign.encode("utf-8", "replace"))


def _numbered(line: str) -> str:
    return "".join(sign if sign.isprintable() else json.dumps(sign)[1:-1] for sign in line)
