"""The skeleton of a question: what is left of it without the words of its graph."""

from __future__ import annotations

import re
from collections.abc import Iterable


def masked(question: str, said: Iterable[str]) -> str:
    """A question in small letters, with `_` for the words that are said in it and `#` for numbers."""
    text = " ".join(question.lower().split())
    for word in sorted({*said} - {""}, key=lambda w: (-len(w), w)):
        text = re.sub(rf"(?<!\w){re.escape(word.lower())}(?!\w)", "_", text)
    return re.sub(r"\d+(?:\.\d+)?", "#", text)
