"""Escapes text from data for the formats that stepc writes: Markdown, CSV, YAML."""

from __future__ import annotations

import json
import re

_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#~$!])")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def markdown(text: str) -> str:
    """`text` as plain text in Markdown, also in a table: one line, without markup."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def csv_cell(text: str) -> str:
    """`text` as a cell that a spreadsheet shows and does not evaluate (OWASP, CSV injection)."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def yaml(text: str) -> str:
    """`text` as a quoted YAML string. A JSON string is one."""
    return json.dumps(text)
