"""Process rewards: which steps of a proof a reasoning states, compared by meaning.

The facts are the column `facts` of a dataset of stepc: each step of the rationale with all names of what it
is about, and the false facts that `wrong-steps` made. No model is asked.
"""

from __future__ import annotations

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
_ENDS = re.compile(r"(?<=[.!?;])\s+|[\n。！？；]+|,?\s+\b(?:but|while|whereas)\b\s+")
_NOT = re.compile(r"\b(?:not|no|never|neither|nor|without|cannot)\b|n[’']t\b|[不没]")
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
        """The fact of a row of the column `facts`."""
        parts = {k: tuple(data.get(k) or ()) for k in
                 ("subject", "relation", "inverse", "object", "answer")}  # fmt: skip
        true, denied = bool(data.get("true", True)), bool(data.get("denied"))
        return cls(int(data["step"]), true, denied, **parts)

    def said_in(self, sentence: str, before: str = "") -> bool:
        """Whether a sentence states the fact. A pronoun may stand for what the sentence before names."""
        if bool(_NOT.search(sentence.lower())) is not self.denied:
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
        return any(_between(words, one, other, here) for words, one, other in ways)


def _answered(sentence: str, here: Sequence[str], answer: str) -> bool:
    """Whether a sentence says an answer. Of times it says all, give or take half a second."""
    times = numbers(answer)
    said = numbers(sentence)
    if times:
        return all(any(abs(x - y) <= NEAR for y in said) for x in times)
    return bool(_places(here, [answer]))


def numbers(text: str) -> list[float]:
    """The numbers with a point in a text, which are times in seconds."""
    return [float(x) for x in re.findall(r"\d+\.\d+", text)]


def _between(
    words: Sequence[str], one: Sequence[int], other: Sequence[int], here: Sequence[str]
) -> bool:
    """Whether one of the words stands between the one and the other, or begins: "behind the bus is a man"."""
    for at in _places(here, words):
        if (not one or min(one) < at) and (not other or at < max(other)):
            return True
        if one and other and at < min(other) < max(one) and at < min(one):
            return True
    return False


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
    return [_stem(word) for word in row(text).split()]


@functools.lru_cache(1 << 14)
def _sought(phrase: str) -> tuple[str, ...]:
    return tuple(_stem(word) for word in needle(phrase).split())


def _places(tokens: Sequence[str], phrases: Iterable[str]) -> list[int]:
    """Where one of the phrases begins. Of a clause, such as an event, the words may stand in any order."""
    made = []
    for phrase in phrases:
        part = _sought(phrase)
        if len(part) >= CLAUSE and (words := {*part} - SMALL) <= {*tokens}:
            made.append(min(map(tokens.index, words), default=0))
        elif part:
            ends = range(len(tokens) - len(part) + 1)
            made += [i for i in ends if tuple(tokens[i : i + len(part)]) == part]
    return made


@dataclass(frozen=True)
class StepVerdicts:
    """What a reasoning says of the steps of a proof, by their numbers."""

    right: frozenset[int]
    wrong: frozenset[int]
    """Steps in place of which something false is said."""
    steps: int

    @property
    def score(self) -> float:
        """The share of the steps that are stated, less that of the wrong ones; 0.0 to 1.0."""
        return max(0.0, (len(self.right) - len(self.wrong)) / self.steps) if self.steps else 0.0


def verdicts(reasoning: str, facts: Sequence[Mapping[str, Any]]) -> StepVerdicts:
    """Which steps a reasoning states, in any order, and in place of which it says something false.

    A step counts once, however often it is said. A step with several facts, such as a count, needs them all.
    """
    known = [StatedFact.of(row_) for row_ in facts]
    sentences = [s for s in _ENDS.split(reasoning) if s and s.strip()]
    said = {
        fact
        for before, sentence in zip(["", *sentences], sentences, strict=False)
        for fact in known
        if fact.said_in(sentence, before)
    }
    steps = {f.step for f in known if f.true}
    left = {f.step for f in known if f.true and f not in said}
    wrong = {f.step for f in said if not f.true}
    return StepVerdicts(frozenset(steps - left - wrong), frozenset(wrong), len(steps))
