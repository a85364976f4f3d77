"""Word filters of wordings: articles, plurals, verb agreement and capitals (uses `inflect`)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from stepc.ir.words import words_of

_ARTICLES = ("a", "an", "the")


@functools.cache
def _engine() -> Any:
    import inflect

    return inflect.engine()


def _split(text: str) -> tuple[str, str]:
    """The article of a text in lower case ("" if it has none), and the rest."""
    first, _, rest = text.strip().partition(" ")
    return (first.lower(), rest) if first.lower() in _ARTICLES and rest else ("", text.strip())


@functools.lru_cache(4096)
def bare(text: str) -> str:
    """Without the article: `the cup` → `cup`."""
    return _split(text)[1]


@functools.lru_cache(4096)
def the(text: str) -> str:
    """With `the`: `cup` and `a cup` → `the cup`."""
    return f"the {bare(text)}"


@functools.lru_cache(4096)
def a(text: str) -> str:
    """With the indefinite article: `a cup`, `an apple`, `an hour`. A plural gets none."""
    text = bare(text)
    if not words_of(text):
        return text
    return text if is_plural(text) else str(_engine().a(text))


@functools.lru_cache(4096)
def is_plural(text: str) -> bool:
    """Whether a label is a plural: true for `cups` and `men`, false for `bus`."""
    words = _head(bare(text)).split()
    if not words or not (words[-1].isascii() and words[-1].isalpha()):
        return False
    last = words[-1].lower()
    if len(last) < 4 or last.endswith(("ss", "us", "is")):
        return last in ("men", "feet")
    return bool(_engine().singular_noun(last))


def _head(text: str) -> str:
    """The label up to its first preposition: `cups of tea` → `cups`."""
    for word in (" of ", " in ", " on ", " with ", " that ", " seen ", " who "):
        text = text.split(word, 1)[0]
    return text


@functools.lru_cache(4096)
def plural(text: str) -> str:
    """The plural without article: `the cup` → `cups`, `cup of tea` → `cups of tea`."""
    text = bare(text)
    head = _head(text)
    if not head.strip() or is_plural(head):
        return text
    before, _, last = head.rpartition(" ")
    if not (last.isascii() and last.isalpha()):
        return text
    made = str(_engine().plural_noun(last))
    return (f"{before} {made}" if before else made) + text[len(head) :]


def is_(text: str) -> str:
    """`is`, or `are` for a plural (only the verb)."""
    return "are" if is_plural(text) else "is"


def has(text: str) -> str:
    """`has`, or `have` for a plural (only the verb)."""
    return "have" if is_plural(text) else "has"


def does(text: str) -> str:
    """`does`, or `do` for a plural (only the verb)."""
    return "do" if is_plural(text) else "does"


def cap(text: str) -> str:
    """With an upper-case first letter."""
    return text[:1].upper() + text[1:]


def low(text: str) -> str:
    """With a lower-case first letter, unless the first word is an abbreviation."""
    first = text.split(" ", 1)[0]
    return text if len(first) > 1 and first.isupper() else text[:1].lower() + text[1:]


FILTERS: dict[str, Callable[[str], str]] = {
    "the": the,
    "a": a,
    "bare": bare,
    "plural": plural,
    "is": is_,
    "has": has,
    "does": does,
    "cap": cap,
    "low": low,
}
"""Filters that may follow a bar in a placeholder: `{o|a}`."""


def listed(texts: list[str]) -> str:
    """The texts as an English list: `a, b and c`."""
    *most, last = texts
    return f"{', '.join(most)} and {last}" if most else last
