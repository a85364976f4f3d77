"""The word comparison of the solver, implemented independently of `stepc.ir.words`.

Both read the same word lists (`grammar/english` and its neighbours) and must agree; a differential test
compares them. An error in one of them therefore leads to an unproved sample.
"""

from __future__ import annotations

import functools
import re

from stepc.runtime.word_lists import word_lines

SPACELESS = (
    ("\u0e00", "\u0eff"), ("\u1000", "\u109f"), ("\u1780", "\u17ff"), ("\u3040", "\u30ff"),
    ("\u3400", "\u9fff"), ("\uf900", "\ufaff"),
)  # fmt: skip
"""First and last character of scripts that put no spaces between words; each character counts as one."""
Plural = tuple[str, str, int]
"""(ending of a noun, that of its singular, minimum number of letters before it)"""
_TOKEN = re.compile(r"(?:(?<![\w-])-(?=\d))?(?:\d+\.\d+(?![^\W_])|[^\W_]+(?:['-][^\W_]+)*)")
"""A word. A sign and a decimal point belong to their number."""


@functools.lru_cache(1 << 14)
def singular(word: str) -> str:
    """The singular of a noun. Any other word is unchanged."""
    known = _nouns().get(word)
    if known is not None:
        return known
    for ending, one, before in _endings():
        if word.endswith(ending) and len(word) >= len(ending) + before:
            return word.removesuffix(ending) + one
    return word


@functools.cache
def _endings() -> list[Plural]:
    found = []
    for line in _lines("forms"):
        keyword, _, rest = line.partition(" ")
        if keyword == "plural":
            ending, one, before = map(str.strip, rest.split("|"))
            found.append((ending, one, int(before)))
    return found


@functools.cache
def _openings(*keywords: str) -> tuple[str, ...]:
    """What the word lists let a text begin or end with, longest first."""
    found: list[str] = []
    for line in _lines("forms"):
        keyword, _, rest = line.partition(" ")
        found += map(str.strip, rest.split("|")) if keyword in keywords else ()
    return tuple(sorted(found, key=len, reverse=True))


_LETTERS = re.compile(f"[{''.join(f'{first}-{last}' for first, last in SPACELESS)}]")
"""A letter of a script without spaces between words."""


def _opened(pieces: list[str], *keywords: str) -> list[str]:
    """The words of a text without what it is let begin with. Something is left."""
    first, *rest = pieces
    for word in _openings(*keywords):
        if first == word and rest:
            return rest
        latin = word[-1].isalpha() and word[-1] < "\u0250"
        if not latin and first.startswith(word) and first != word:
            return [first.removeprefix(word), *rest]
    return pieces


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
    if not pieces:
        return ""
    pieces = _opened(pieces, "article", "one")
    return " ".join([*pieces[:-1], singular(pieces[-1])])


@functools.cache
def phrase(text: str) -> str:
    """The normalised form of a predicate, motion, event or value: no leading form of "be"."""
    pieces = _pieces(text)
    text = " ".join(_opened(pieces, "be") if pieces else ())
    for word in _openings("end"):
        latin = word[0].isalpha() and word[0] < "\u0250"
        end = f" {word}" if latin else word
        if text.endswith(end) and not text[: -len(end)].endswith(" ") and text != end.strip():
            return text.removesuffix(end)
    return text


@functools.cache
def _comparisons() -> frozenset[str]:
    lines = (line.partition(":") for line in _lines("geometry"))
    said = (rest for name, _, rest in lines if name in ("larger", "smaller", "nearer", "farther"))
    return frozenset(phrase(x) for rest in said for x in rest.split("|"))


def is_comparison(predicate: str) -> bool:
    """Whether a predicate compares two things, and so says neither where they are nor what they do."""
    return phrase(predicate) in _comparisons()


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
    for word in _TOKEN.findall(text.lower().replace("\u2019", "'").replace("\u2212", "-")):
        owns = len(word) > 2 and word.endswith("'s")
        start = 0
        stem = word[:-2] if owns else word
        for letter in _LETTERS.finditer(stem):
            at = letter.start()
            made += [singular(stem[start:at])] * (at > start) + [letter[0]]
            start = at + 1
        made += [singular(stem[start:])] * (start < len(stem)) + ["'s"] * owns
    return tuple(made)


@functools.lru_cache(1 << 15)
def mentions(text: str, said: str) -> bool:
    """Whether `text` contains `said` as whole words, ignoring plural, case and a leading article.

    "Maria's" contains "Maria".
    """
    wanted, there = _wanted(said), _tokens(text)
    if not wanted:
        return False
    return any(there[at : at + len(wanted)] == wanted for at in range(len(there) - len(wanted) + 1))


@functools.lru_cache(1 << 15)
def _wanted(said: str) -> tuple[str, ...]:
    """The tokens of what is looked for, without an article before it."""
    pieces = said.lower().split()
    return _tokens(" ".join(_opened(pieces, "article", "one"))) if pieces else ()


def told_by(answer: str) -> list[str]:
    """The texts that tell an answer: itself, and of a name such as "Lionel Messi" each part."""
    parts = answer.split()
    is_name = len(parts) > 1 and all(part[0].isupper() and part[1:].islower() for part in parts)
    return [answer, *parts] if is_name else [answer]


@functools.cache
def _predicates() -> dict[str, str]:
    table: dict[str, str] = {}
    for line in _lines("predicates"):
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
    for line in _lines("exclusions"):
        limit, colon, rest = line.partition(":")
        words = rest if colon else line
        made.append((limit.strip() if colon else "", {phrase(word) for word in words.split("|")}))
    return made


@functools.cache
def _nouns() -> dict[str, str]:
    table: dict[str, str] = {}
    for line in _lines("nouns"):
        if line.endswith(("=", "+")):
            table[line[:-1].strip()] = line[:-1].strip()
        elif "|" in line:
            plural, one = map(str.strip, line.split("|"))
            table[plural] = one
    return table


@functools.cache
def _overlaps() -> dict[str, frozenset[str]]:
    table: dict[str, frozenset[str]] = {}
    for line in _lines("overlaps"):
        kind, predicate = map(str.strip, line.split("|"))
        table[predicate] = table.get(predicate, frozenset()) | {kind}
    return table


def kinds_like(predicate: str) -> frozenset[str]:
    """The kinds of attributes that answer the same question as a relation with this predicate."""
    return _overlaps().get(phrase(predicate), frozenset())


def _lines(name: str) -> list[str]:
    return [*map(str.strip, word_lines(name))]
