"""Process rewards: which steps of a proof a reasoning states, compared by meaning.

The facts are the column `facts` of a dataset of stepc: each step of the rationale with all names of what it
is about, and the false facts that `wrong-steps` made. No model is asked.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stepc.ir.words import needle, row

NEAR = 0.5
"""Seconds by which a time may differ from the true one."""
CLAUSE = 4
"""Number of words from which a phrase is a clause."""
SMALL = frozenset(["a", "an", "the", "is", "are", "and", "while", "be"])
"""Words of a clause that need not be said."""
_ENDS = re.compile(
    r"(?<=[.!?;。！？；])\s*(?:\s|$|(?<=[。！？；]))|\n+|,?\s+\b(?:but|while|whereas)\b\s+|,\s+(?=not\b)"
)
_NOT = re.compile(
    r"\b(?:not|no|never|neither|nor|without|cannot|nobody|nothing|none|hardly|false|wrong)\b|n[’']t\b|[不没]"
)
_DOUBT = re.compile(r"\b(?:perhaps|maybe|if|whether|might)\b")
"""Words of sentences that state nothing."""
_IDIOMS = re.compile(r"\b(?:no doubt|without (?:a )?doubt),?", re.IGNORECASE)
_PRONOUN = re.compile(r"\b(?:it|its|he|she|they|his|her|their|this|that|these|those)\b|[它他她]")


@dataclass(frozen=True)
class StatedFact:
    """A fact that a reasoning may state, in all words in which it may name the parts."""

    step: int
    """The step of the rationale that it is, or that it is false for."""
    true: bool
    denied: bool
    """Whether the step says that it is not so."""
    subject: tuple[str, ...]
    relation: tuple[str, ...]
    inverse: tuple[str, ...]
    """The relation as the object has it: `below` for `above`."""
    object: tuple[str, ...]
    answer: tuple[str, ...] = ()
    """A number or a time that is said as well."""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> StatedFact:
        """The fact of a row of the column `facts`. Raises ValueError if it states nothing."""
        parts: dict[str, tuple[str, ...]] = {}
        for name in ("subject", "relation", "inverse", "object", "answer"):
            words = data.get(name) or ()
            if isinstance(words, str) or not all(isinstance(x, str) for x in words):
                raise ValueError(f"`{name}` is no list of words")
            parts[name] = tuple(words)
        step = data.get("step")
        if not isinstance(step, int) or not any(parts.values()):
            raise ValueError("it is about no step, or states nothing")
        true, denied = bool(data.get("true", True)), bool(data.get("denied"))
        return cls(step, true, denied, **parts)

    def said_in(self, sentence: str, before: str = "", relations: Iterable[str] = ()) -> bool:
        """Whether a sentence states the fact. A pronoun may stand for what the sentence before names.

        `relations`: those of other facts; "in front of" does not say "in".
        """
        said = sentence.strip().lower()
        if said.endswith(("?", "？")) or _DOUBT.search(said):
            return False
        if bool(_NOT.search(said)) is not self.denied:
            return False
        here = _tokens(sentence)
        if self.answer and not any(_answered(sentence, here, x) for x in self.answer):
            return False
        subject, object_ = _places(here, self.subject), _places(here, self.object)
        pronoun = bool(_PRONOUN.search(sentence.lower()))
        earlier = _tokens(before) if pronoun else []
        if self.subject and not subject and not _places(earlier, self.subject):
            return False
        if self.object and not object_ and not (self.relation and _places(earlier, self.object)):
            return False
        if not self.relation:
            return True
        ways = [(self.relation, subject, object_), (self.inverse, object_, subject)]
        return any(_between(words, one, other, here, relations) for words, one, other in ways)


def _answered(sentence: str, here: Sequence[str], answer: str) -> bool:
    """Whether a sentence says an answer. It says its times and no others, give or take half a second."""
    times = [float(x) for x in re.findall(r"\d+\.\d+", answer)]
    if not times:
        return bool(_places(here, [answer]))
    said = [float(x) for x in re.findall(r"\d+(?:\.\d+)?", sentence)]
    near = len(said) == len(times) and all(
        abs(x - y) <= NEAR for x, y in zip(said, times, strict=True)
    )
    return near


def _between(
    words: Sequence[str],
    one: Sequence[int],
    other: Sequence[int],
    here: Sequence[str],
    relations: Iterable[str],
) -> bool:
    """Whether one of the words stands between the one and the other, or begins: "behind the bus is a man"."""
    longer = _within(words, relations, here)
    for at in (place for place in _places(here, words) if place not in longer):
        if (not one or min(one) < at) and (not other or at < max(other)):
            return True
        if one and other and at < min(other) < max(one) and at < min(one):
            return True
    return False


def _within(words: Sequence[str], relations: Iterable[str], here: Sequence[str]) -> set[int]:
    """Where one of the words stands as a part of a longer relation: "in" of "in front of"."""
    made = set()
    for relation in relations:
        whole = _sought(relation)[0]
        for part in (_sought(word)[0] for word in words):
            inside = range(len(whole) - len(part) + 1) if len(part) < len(whole) else ()
            offsets = [i for i in inside if whole[i : i + len(part)] == part]
            if offsets:
                made |= {at + i for at in _places(here, [relation]) for i in offsets}
    return made


@functools.lru_cache(1 << 14)
def _stem(word: str) -> str:
    """A word without its ending, so that "moves" and "moving" are one."""
    for end in ("ing", "ed", "es", "s"):
        if word.endswith(end) and len(word) - len(end) >= 3:
            word = word.removesuffix(end)
            break
    word = word[:-1] if len(word) > 3 and word[-1] == word[-2] else word
    return word.removesuffix("e") if len(word) > 3 else word


def _tokens(text: str) -> list[str]:
    return row(text).split()


@functools.lru_cache(1 << 14)
def _sought(phrase: str) -> tuple[tuple[str, ...], bool]:
    """The words of a phrase, and whether verbs are among them, which are compared without their endings."""
    part = needle(phrase).split()
    verbs = len(part) >= CLAUSE or any(len(word) > 4 and word.endswith("ing") for word in part)
    return tuple(map(_stem, part) if verbs else part), verbs


def _places(tokens: Sequence[str], phrases: Iterable[str]) -> list[int]:
    """Where one of the phrases begins. Of a clause, such as an event, the words may stand in any order."""
    made = []
    for phrase in phrases:
        part, verbs = _sought(phrase)
        here = [_stem(word) for word in tokens] if verbs else tokens
        if len(part) >= CLAUSE and (words := {*part} - SMALL) <= {*here}:
            made.append(min(map(here.index, words), default=0))
        elif part:
            ends = range(len(here) - len(part) + 1)
            made += [i for i in ends if tuple(here[i : i + len(part)]) == part]
    return made


@dataclass(frozen=True)
class StepVerdicts:
    """What a reasoning says of the steps of a proof, by their numbers."""

    right: frozenset[int]
    wrong: frozenset[int]
    """Steps that the reasoning gets wrong."""
    steps: int

    @property
    def score(self) -> float:
        """The share of the steps that are stated, less that of the wrong ones; 0.0 to 1.0."""
        return max(0.0, (len(self.right) - len(self.wrong)) / self.steps) if self.steps else 0.0


def verdicts(reasoning: str, facts: Sequence[Mapping[str, Any]]) -> StepVerdicts:
    """Which steps a reasoning states, in any order, and which it gets wrong.

    A step counts once, however often it is said. A step with several facts, such as a count, needs them all.
    A sentence gets one step wrong at most: one that the reasoning does not state, if there is one.
    """
    known = []
    for data in facts:
        with contextlib.suppress(ValueError, AttributeError, TypeError):  # rows of others
            known.append(StatedFact.of(data))
    sentences = [s for s in _ENDS.split(_IDIOMS.sub(" ", reasoning)) if s and s.strip()]
    relations = {word for fact in known for word in (*fact.relation, *fact.inverse)}
    each = [
        {fact for fact in known if fact.said_in(sentence, before, relations)}
        for before, sentence in zip(["", *sentences], sentences, strict=False)
    ]
    said = {fact for facts in each for fact in facts}
    steps = {f.step for f in known if f.true}
    left = {f.step for f in known if f.true and f not in said}
    wrong: set[int] = set()
    for facts_said in each:
        false = {f.step for f in facts_said if not f.true}
        if false:
            wrong.add(min(false & left or false))
    return StepVerdicts(frozenset(steps - left - wrong), frozenset(wrong), len(steps))
