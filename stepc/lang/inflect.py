"""The filters of wordings: articles, plurals, agreement and capitals, by the library inflect."""

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
    """The article of a text in lower case, and the rest."""
    first, _, rest = text.strip().partition(" ")
    return (first.lower(), rest) if first.lower() in _ARTICLES and rest else ("", text.strip())


@functools.lru_cache(4096)
def bare(text: str) -> str:
    """`cup` of `the cup`."""
    return _split(text)[1]


@functools.lru_cache(4096)
def the(text: str) -> str:
    """`the cup` of `cup` and of `a cup`."""
    return f"the {bare(text)}"


@functools.lru_cache(4096)
def a(text: str) -> str:
    """`a cup`, `an apple`, `an hour`; a plural has no article."""
    text = bare(text)
    if not words_of(text):
        return text
    return text if is_plural(text) else str(_engine().a(text))


@functools.lru_cache(4096)
def is_plural(text: str) -> bool:
    """Whether a label is in the plural: `cups`, `men`; not `bus`."""
    words = _head(bare(text)).split()
    if not words or not (words[-1].isascii() and words[-1].isalpha()):
        return False
    last = words[-1].lower()
    if len(last) < 4 or last.endswith(("ss", "us", "is")):
        return last in ("men", "feet")
    return bool(_engine().singular_noun(last))


def _head(text: str) -> str:
    """A label up to its first preposition: `cups` of `cups of tea`."""
    for word in (" of ", " in ", " on ", " with ", " that ", " seen ", " who "):
        text = text.split(word, 1)[0]
    return text


@functools.lru_cache(4096)
def plural(text: str) -> str:
    """`cups` of `the cup`, `cups of tea` of `cup of tea`."""
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
    """`is`, or `are` for a plural: the verb alone."""
    return "are" if is_plural(text) else "is"


def has(text: str) -> str:
    """`has`, or `have` for a plural: the verb alone."""
    return "have" if is_plural(text) else "has"


def does(text: str) -> str:
    """`does`, or `do` for a plural: the verb alone."""
    return "do" if is_plural(text) else "does"


def cap(text: str) -> str:
    """The first letter large."""
    return text[:1].upper() + text[1:]


def low(text: str) -> str:
    """The first letter small, unless the word is an abbreviation."""
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
"""What may stand behind a bar in a placeholder: `{o|a}`."""


def listed(texts: list[str]) -> str:
    """`a, b and c`."""
    *most, last = texts
    return f"{', '.join(most)} and {last}" if most else last
