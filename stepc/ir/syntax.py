"""Explains where a text form does not follow the grammar, and what could stand there."""

from __future__ import annotations

from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken

from stepc.diagnostics import Diagnostic, Place, brief, did_you_mean

_NAMES = {
    "_NL": "the end of the line",
    "STRING": 'a "string"',
    "SPAN": "a time span such as 0.960..4.120",
    "SECONDS": "seconds such as 0.960",
    "DURATION": "a duration such as 24.000s",
    "SIZE": "a size such as 640x360",
    "DIGEST": "sha256: and 64 hexadecimal digits",
    "LSQB": "`[`",
    "INT": "a number",
    "ID": "an id such as c0.k1/cup",
    "VOTES": "votes such as 2/3",
}
"""Terminals of the grammar as messages call them."""


def unexpected(error: UnexpectedInput, file: str, rows: list[str]) -> Diagnostic:
    """The diagnostic (I001) of a text that the grammar does not have. `rows` are its lines."""
    line, column = error.line, error.column
    if isinstance(error, UnexpectedEOF) or line in (-1, None) or line > len(rows):
        line, column = len(rows), len(rows[-1]) + 1
    source = rows[line - 1]
    rest = source[column - 1 :].split()
    word = rest[0] if rest else "the end of the line"
    expected: set[str] = set()
    if isinstance(error, UnexpectedToken):
        expected = set(error.accepts or error.expected)
    elif isinstance(error, UnexpectedCharacters):
        expected = set(error.allowed or ())
    shown = sorted(_NAMES.get(e, e.lower()) for e in expected)
    if "kind" in shown:
        shown = sorted({*shown, "static", "dynamic"} - {"kind"})
    first = column == 1 or not source[: column - 1].strip()
    helps = ""
    if first and word.isalpha():
        helps = did_you_mean(word, [s for s in shown if s.isalpha()] or ["stsg"])
    elif shown:
        helps = "expected " + " or ".join(shown[:6])
    return Diagnostic(
        "I001", f"unexpected {brief(word)}", Place(file, line, column, len(word), source), helps
    )
