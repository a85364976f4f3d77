"""Conditions of `edge` blocks: for which edges, forms and `paths` blocks the wordings of a block are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from typing import Literal, get_args

from stepc.ir.elements import NounClass, Value
from stepc.ir.words import inverse, normal, plain
from stepc.languages import DEFAULT, LANGUAGES
from stepc.languages.base import Noun

Subject = Literal["near", "far", "edge", "kind", "form", "block"]
"""What a condition is about: an end, the predicate, the kind of an attribute, or the question."""
Test = Literal[
    "word", "noun", "op", "number", "name", "said", "verb", "inverse", "speech", "form", "block"
]
"""What of it is tested."""
Said = Literal["plain", "short", "described"]
"""How a known end is said: by its label, described by an attribute, or described in another way."""
WORDS: Mapping[str, Test] = {
    **dict.fromkeys(get_args(NounClass), "noun"), "static": "op", "dynamic": "op",
    "singular": "number", "plural": "number", "named": "name", "common": "name",
    "plain": "said", "short": "said", "described": "said", "verb": "verb", "place": "verb",
    "noun": "speech", "adjective": "speech", "reversible": "inverse", "oneway": "inverse",
}  # fmt: skip
"""Word of a condition → what it tests. `place` is a class of objects, and of predicates that are no verb."""


SORTS = frozenset(["verb", "inverse", "speech"])
"""Tests of a predicate or value that its words decide."""


def _sort(what: Test, word: str, language: str) -> str:
    """The sort of a predicate or of a value (`adjective` or `noun`) in a language.

    A predicate is `verb` or `place`, and it is `reversible` or `oneway`.
    """
    if what == "verb":
        return "verb" if LANGUAGES[language].takes_object(word) else "place"
    if what == "inverse":
        return "oneway" if inverse(word) is None else "reversible"
    return "adjective" if LANGUAGES[language].is_adjective(word) else "noun"


@dataclass(frozen=True)
class Described:
    """An object, as far as conditions look at it."""

    noun: Noun
    op: Literal["static", "dynamic"]


@dataclass(frozen=True)
class Occasion:
    """What a wording is needed for: a step, in a form, in a `paths` block."""

    near: Described | None
    far: Described | None
    word: str
    """Its predicate, value, motion or event."""
    kind: str = ""
    """The attribute kind."""
    form: str = ""
    block: str = ""
    known: Literal["near", "far", ""] = ""
    """The known end; empty if both are known."""
    said: Said = "plain"
    """How the known end is said."""


class Condition(Value):
    """One condition. It holds if one of its `tests` does."""

    subject: Subject
    what: Test
    tests: tuple[str, ...]
    language: str = DEFAULT
    """The language of its spec."""

    def holds(self, at: Occasion) -> bool:
        """Whether it holds of an occasion."""
        return not self.set.isdisjoint(self._facts(at))

    def compared(self, test: str) -> str:
        """A test as it is compared."""
        if self.what != "word":
            return test
        return normal(test) if self.subject in ("near", "far") else plain(test)

    def _facts(self, at: Occasion) -> tuple[str, ...]:
        if self.subject in ("form", "block"):
            return (at.form if self.subject == "form" else at.block,)
        if self.subject == "kind":
            return (plain(at.kind),)
        end = {"near": at.near, "far": at.far}.get(self.subject)
        if end is None:  # a predicate, or a value
            if self.what in SORTS:
                return (_sort(self.what, at.word, self.language),)
            return plain(at.word), normal(at.word)
        if self.what == "said":
            return (at.said if at.known == self.subject else "plain",)
        noun = end.noun
        return {
            "word": (normal(noun.label),),
            "noun": (noun.noun,),
            "op": (end.op,),
            "number": ("plural" if noun.plural else "singular",),
            "name": ("named" if noun.named else "common",),
        }[self.what]

    def within(self, other: Condition) -> bool:
        """Whether the other holds whenever this one does."""
        if self.subject != other.subject:
            return False
        mine = self.seen_as(other.what)
        return mine is not None and mine <= other.set

    def against(self, other: Condition) -> bool:
        """Whether no occasion fits both."""
        if self.subject != other.subject:
            return False
        mine, its = self.seen_as(other.what), other.seen_as(self.what)
        return (mine is not None and not mine & other.set) or (
            its is not None and not its & self.set
        )

    @cached_property
    def set(self) -> frozenset[str]:
        """The tests as they are compared."""
        return frozenset(map(self.compared, self.tests))

    def seen_as(self, what: Test) -> frozenset[str] | None:
        """What tests of another sort say of all that this condition allows; None if they say nothing sure."""
        if what == self.what:
            return self.set
        if self.what == "word" and what in SORTS:
            return frozenset(_sort(what, test, self.language) for test in self.tests)
        return None


Conditions = tuple[Condition, ...]


def narrower(one: Conditions, other: Conditions) -> bool:
    """Whether `one` holds only where `other` does."""
    return all(any(c.within(d) for c in one) for d in other)


def apart(one: Conditions, other: Conditions) -> bool:
    """Whether no occasion fits both."""
    return any(c.against(d) for c, d in product(one, other))


def precedence(conditions: Conditions, every: Iterable[Conditions]) -> int:
    """A sort key: what is narrower than more of the others comes first."""
    return -sum(narrower(conditions, x) and not narrower(x, conditions) for x in every)


def undecided(
    blocks: Iterable[tuple[Conditions, frozenset[str]]],
) -> tuple[Conditions, Conditions, str] | None:
    """Two blocks (conditions, lines) that may both fit, none of them narrower, and a line that both have.

    A third block that is narrower than both decides between them. None if there is no such pair.
    """
    every = list(blocks)
    for (one, mine), (other, its) in combinations(every, 2):
        if apart(one, other) or narrower(one, other) != narrower(other, one):
            continue
        decided = [
            lines
            for both, lines in every
            if all(narrower(both, x) and not narrower(x, both) for x in (one, other))
        ]
        left = (mine & its).difference(*decided)
        if left:
            return one, other, min(left)
    return None
