"""Word filters of wordings: articles, plurals, agreement, verb forms and capitals of English."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from stepc.ir.words import words_of
from stepc.lang.nouns import (
    PRONOUNS,
    NoWording,
    bare,
    has_owner,
    is_mass,
    is_name,
    is_plural,
    low,
    lowered,
    plural,
    verb_form,
)


@functools.cache
def _engine() -> Any:
    import inflect

    return inflect.engine()


@functools.lru_cache(4096)
def the(text: str) -> str:
    """With `the`: `cup` and `a cup` → `the cup`. Names get no article, nor does what has an owner."""
    text = bare(text)
    if is_name(text) or has_owner(text) or text.lower() in PRONOUNS:
        return low(text) if text.lower() in PRONOUNS else text
    return f"the {low(lowered(text))}"


@functools.lru_cache(4096)
def a(text: str) -> str:
    """With the indefinite article: `a cup`, `an apple`, `an hour`. Plurals, names and `water` get none."""
    text = bare(text)
    words = words_of(text)
    if (
        not words
        or is_name(text)
        or has_owner(text)
        or is_plural(text)
        or is_mass(text)
        or text.lower() in PRONOUNS
    ):
        return text
    first = text.split()[0]
    if re.match(r"(?:8|1[18](?!\d)|8\d)", first):
        return f"an {text}"
    if first[0].isdigit():
        return f"a {text}"
    if re.fullmatch(r"[A-Z][A-Z0-9]*\d?", first.split("-")[0]) and not _engine().a(
        first.lower()
    ).startswith("an "):
        spelt = first[0] in "AEFHILMNORSX" and not _said_as_word(first)
        return f"{'an' if spelt else 'a'} {text}"
    return str(_engine().a(low(text)))


def _said_as_word(first: str) -> bool:
    """Whether an abbreviation is said as a word, by its vowels: `NASA`, unlike `SUV`."""
    return len(first) > 3 and bool(re.search(r"[AEIOU]", first[1:-1]))


def is_(text: str) -> str:
    """`is`, or `are` for a plural (only the verb)."""
    return "are" if is_plural(text) else "is"


def has(text: str) -> str:
    """`has`, or `have` for a plural (only the verb)."""
    return "have" if is_plural(text) else "has"


def does(text: str) -> str:
    """`does`, or `do` for a plural (only the verb)."""
    return "do" if is_plural(text) else "does"


def was(text: str) -> str:
    """`was`, or `were` for a plural (only the verb)."""
    return "were" if is_plural(text) else "was"


def cap(text: str) -> str:
    """With an upper-case first letter."""
    return text[:1].upper() + text[1:]


def base(text: str) -> str:
    """A motion or predicate after `does`: `picking up` → `pick up`, `on` → `be on`."""
    return verb_form(text, "VB") or f"be {text}"


def past(text: str) -> str:
    """In the past: `picking up` → `picked up`, `on` → `was on`."""
    return verb_form(text, "VBD") or f"was {text}"


def third(text: str) -> str:
    """In the present: `picking up` → `picks up`, `on` → `is on`."""
    return verb_form(text, "VBZ") or f"is {text}"


def passive(text: str) -> str:
    """The passive of a verb: `holding` → `held by`. Raises NoWording for other words."""
    made = verb_form(text, "VBN")
    if made is None:
        raise NoWording
    return f"{made} by"


def simple(text: str) -> str:
    """A clause in the simple present: `the ring is moving up` → `the ring moves up`."""

    def said(verb: re.Match[str]) -> str:
        return verb_form(verb[2], "VBZ" if verb[1] == "is" else "VB") or verb[0]

    return re.sub(r"\b(is|are) ([a-z]+ing)\b", said, text)


FILTERS: dict[str, Callable[[str], str]] = {
    "the": the,
    "a": a,
    "bare": bare,
    "plural": plural,
    "is": is_,
    "has": has,
    "does": does,
    "was": was,
    "base": base,
    "past": past,
    "third": third,
    "passive": passive,
    "simple": simple,
    "cap": cap,
    "low": low,
}
"""Filters that may follow a bar in a placeholder: `{o|a}`."""


def listed(texts: list[str]) -> str:
    """The texts as an English list: `a, b and c`."""
    *most, last = texts
    return f"{', '.join(most)} and {last}" if most else last
