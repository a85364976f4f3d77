"""The word comparison of the solver, implemented independently of `stepc.ir.words`.

Both read the same data (`grammar/predicates.txt`, `grammar/nouns.txt`, `grammar/exclusions.txt`) and must
agree; a differential test compares them. An error in one of them therefore leads to an unproved sample.
"""

from __future__ import annotations

import functools
import re
from importlib.resources import files

ARTICLES = frozenset(["a", "an", "the", "some", "one"])
FORMS_OF_BE = frozenset(["is", "are", "was", "were", "be", "being"])
ENDINGS: tuple[tuple[str, int, str], ...] = (
    ("ss", 0, ""),
    ("us", 0, ""),
    ("is", 0, ""),
    ("ies", 2, "y"),
    ("ches", 0, "ch"),
    ("shes", 0, "sh"),
    ("xes", 0, "x"),
    ("sses", 0, "ss"),
    ("zes", 0, "z"),
    ("s", 0, ""),
)
"""(ending, minimum number of letters before it, replacement). The first three are not plurals."""
SPACELESS = (
    ("\u0e00", "\u0eff"), ("\u1000", "\u109f"), ("\u1780", "\u17ff"), ("\u3040", "\u30ff"),
    ("\u3400", "\u9fff"), ("\uf900", "\ufaff"),
)  # fmt: skip
"""First and last character of scripts that put no spaces between words; each character counts as one."""
_TOKEN = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")


@functools.lru_cache(1 << 14)
def singular(word: str) -> str:
    """The singular of a noun. Any other word is unchanged."""
    known = _nouns().get(word)
    if known is not None:
        return known
    if len(word) < 4 or word[-1] != "s":
        return word
    for place, (ending, before, singular_ending) in enumerate(ENDINGS):
        if word.endswith(ending) and len(word) >= len(ending) + before:
            return word if place < 3 else word.removesuffix(ending) + singular_ending
    return word


def _pieces(text: str) -> list[str]:
    """The words of a text in lower case, without full stops at either end."""
    pieces = text.lower().replace("_", " ").split()
    while pieces and not pieces[0].strip("."):
        pieces.pop(0)
    while pieces and not pieces[-1].strip("."):
        pieces.pop()
    if pieces:
        pieces[0] = pieces[0].lstrip(".")
        pieces[-1] = pieces[-1].rstrip(".")
    return pieces


@functools.cache
def label(text: str) -> str:
    """The normalised form of a label: no leading article, last word in the singular."""
    pieces = _pieces(text)
    if len(pieces) > 1 and pieces[0] in ARTICLES:
        pieces = pieces[1:]
    return " ".join([*pieces[:-1], singular(pieces[-1])]) if pieces else ""


@functools.cache
def phrase(text: str) -> str:
    """The normalised form of a predicate, motion, event or value: no leading form of "be"."""
    pieces = _pieces(text)
    if len(pieces) > 1 and pieces[0] in FORMS_OF_BE:
        pieces = pieces[1:]
    return " ".join(pieces)


@functools.cache
def inverse(predicate: str) -> str | None:
    """The inverse of a predicate, or None if unknown. A symmetric predicate is its own inverse."""
    return _predicates().get(phrase(predicate))


@functools.cache
def excludes(one: str, other: str, kind: str = "") -> bool:
    """Whether at most one of two predicates, motions or values of a kind is true of a thing at a time."""
    pair = {phrase(one), phrase(other)}
    return len(pair) == 2 and any(
        pair <= words for limit, words in _exclusive() if limit in ("", kind)
    )


@functools.cache
def excluded_by(word: str, kind: str = "") -> tuple[str, ...]:
    """The words that cannot be true of a thing at the same time as a word of this kind, sorted."""
    said = phrase(word)
    groups = (words for limit, words in _exclusive() if limit in ("", kind) and said in words)
    return tuple(sorted(set().union(*groups) - {said}))


@functools.lru_cache(1 << 15)
def _tokens(text: str) -> tuple[str, ...]:
    made: list[str] = []
    for word in _TOKEN.findall(text.lower().replace("\u2019", "'")):
        owns = len(word) > 2 and word.endswith("'s")
        start = 0
        stem = word[:-2] if owns else word
        for at, letter in enumerate(stem):
            if any(first <= letter <= last for first, last in SPACELESS):
                made += [singular(stem[start:at])] * (at > start) + [letter]
                start = at + 1
        made += [singular(stem[start:])] * (start < len(stem)) + ["'s"] * owns
    return tuple(made)


@functools.lru_cache(1 << 15)
def mentions(text: str, said: str) -> bool:
    """Whether `text` contains `said` as whole words, ignoring plural, case and a leading article.

    "Maria's" contains "Maria".
    """
    first, space, rest = said.lower().partition(" ")
    wanted = _tokens(rest if space and first in ARTICLES else said)
    there = _tokens(text)
    if not wanted:
        return False
    return any(there[at : at + len(wanted)] == wanted for at in range(len(there) - len(wanted) + 1))


def told_by(answer: str) -> list[str]:
    """The texts that tell an answer: itself, and of a name such as "Lionel Messi" each part."""
    parts = answer.split()
    is_name = len(parts) > 1 and all(part[0].isupper() and part[1:].islower() for part in parts)
    return [answer, *parts] if is_name else [answer]


@functools.cache
def _predicates() -> dict[str, str]:
    table: dict[str, str] = {}
    for line in _lines((files("stepc.grammar") / "predicates.txt").read_text("utf-8")):
        if line.endswith("="):
            symmetric = line.removesuffix("=").strip()
            table[symmetric] = symmetric
        elif line.count("|") == 1:
            left, right = map(str.strip, line.split("|"))
            table |= {left: right, right: left}
    return table


@functools.cache
def _exclusive() -> list[tuple[str, set[str]]]:
    """(attribute kind or "", words that exclude each other)."""
    made = []
    for line in _lines((files("stepc.grammar") / "exclusions.txt").read_text("utf-8")):
        limit, colon, rest = line.partition(":")
        words = rest if colon else line
        made.append((limit.strip() if colon else "", {phrase(word) for word in words.split("|")}))
    return made


@functools.cache
def _nouns() -> dict[str, str]:
    table: dict[str, str] = {}
    for line in _lines((files("stepc.grammar") / "nouns.txt").read_text("utf-8")):
        if line.endswith(("=", "+")):
            table[line[:-1].strip()] = line[:-1].strip()
        elif "|" in line:
            plural, one = map(str.strip, line.split("|"))
            table[plural] = one
    return table


@functools.cache
def _overlaps() -> dict[str, frozenset[str]]:
    table: dict[str, frozenset[str]] = {}
    for line in _lines((files("stepc.grammar") / "overlaps.txt").read_text("utf-8")):
        kind, predicate = map(str.strip, line.split("|"))
        table[predicate] = table.get(predicate, frozenset()) | {kind}
    return table


def kinds_like(predicate: str) -> frozenset[str]:
    """The kinds of attributes that answer the same question as a relation with this predicate."""
    return _overlaps().get(phrase(predicate), frozenset())


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and line[0] != "#"]
