"""Guesses answers without the video: from the text of a question, and by the commonest answer."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from stepc.ir.words import plain, words_of
from stepc.runtime.lazy import LazyModule

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")

ANSWERS = 300
"""Maximum number of different answers that the classifier knows; rarer ones it never gives."""


@dataclass(frozen=True)
class TextQuestion:
    """What a question says without its video."""

    fold: int
    """The part of the questions that it is in; all questions about one video are in one part."""
    form: str
    skeleton: str
    """The question without the words that it is about: "what color is the _?"."""
    words: tuple[str, ...]
    """Features: words, pairs of words, and what the question is, each with a mark of its kind."""
    answer: str
    options: tuple[str, ...]

    @classmethod
    def of(
        cls,
        fold: int,
        question: str,
        answer: str,
        options: Sequence[str] = (),
        *,
        kind: str = "",
        steps: int = 0,
        skeleton: str = "",
    ) -> TextQuestion:
        """A question and its answer in the plainest form; `kind` begins with the form of the question."""
        shown = tuple(map(plain, options))
        features = (*_features(question, shown), f"kind={kind}", f"steps={steps}",
                    f"skeleton={skeleton}")  # fmt: skip
        return cls(fold, kind.partition(" ")[0], skeleton, features, plain(answer), shown)


def fold_of(video: str, seed: int, folds: int) -> int:
    """Which of so many parts the questions about a video are in."""
    key = hashlib.sha256(f"blind/{seed}/{video}".encode()).digest()[:8]
    return int.from_bytes(key, "big") % folds


def _features(question: str, options: Sequence[str]) -> Iterator[str]:
    said = ("^", *words_of(question), "$")
    yield from said
    yield from (f"{a} {b}" for a, b in pairwise(said))
    yield from (f"option={x}" for x in options)


@dataclass(frozen=True)
class Guesses:
    """How well the answers to some questions can be guessed, question by question."""

    score: Sequence[float]
    """The probability of the right answer by the text, 0 to 1."""
    right: Sequence[bool]
    """Whether the text's first guess is right."""
    common: Sequence[bool]
    """Whether the commonest answer of the skeleton is right."""

    @property
    def accuracy(self) -> float:
        """The share that the text guesses."""
        return sum(self.right) / len(self.right)

    @property
    def majority(self) -> float:
        """The share that the commonest answers guess."""
        return sum(self.common) / len(self.common)


def guessed(texts: Sequence[TextQuestion], folds: int) -> Guesses:
    """Guess the answers of each fold from all others.

    The text's guess is that of naive Bayes on words and pairs of words, the other one the commonest answer
    to the same skeleton; both keep to the options. Questions in the only fold that there is are never
    guessed.
    """
    score, right, common = [0.0] * len(texts), [False] * len(texts), [False] * len(texts)
    for fold in range(folds):
        mine = [i for i, x in enumerate(texts) if x.fold == fold]
        others = [x for x in texts if x.fold != fold]
        if not mine or not others:
            continue
        known = _Commonest(others)
        answers, chances = _chances(others, [texts[i] for i in mine])
        place = {a: n for n, a in enumerate(answers)}
        for row, i in enumerate(mine):
            text = texts[i]
            allowed = [place[a] for a in text.options or answers if a in place]
            weights = {answers[n]: float(chances[row, n]) for n in allowed}
            total = sum(weights.values())
            best = max(weights, key=lambda a: weights[a]) if total else known.of(text)
            score[i] = weights.get(text.answer, 0.0) / total if total else 0.0
            right[i], common[i] = best == text.answer, known.of(text) == text.answer
    return Guesses(score, right, common)


class _Commonest:
    """The commonest answer of each skeleton, and of each kind of question for those that are new."""

    def __init__(self, texts: Sequence[TextQuestion]) -> None:
        self.count: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for x in texts:
            for key in (("skeleton", x.skeleton), ("form", x.form)):
                self.count[key][x.answer] += 1

    def of(self, text: TextQuestion) -> str:
        """The answer of a text, one of its options if it has any; the first one if none is known."""
        for key in (("skeleton", text.skeleton), ("form", text.form)):
            there = self.count[key]
            allowed = [a for a in text.options or there if a in there]
            if allowed:
                return max(allowed, key=lambda a: (there[a], a))
        return min(text.options, default="")


def _chances(known: Sequence[TextQuestion], asked: Sequence[TextQuestion]) -> tuple[list[str], Any]:
    """(answers, probability of each of them for each text that is asked), learned from known texts."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.naive_bayes import MultinomialNB

    count = Counter(x.answer for x in known)
    often = {a for a, _ in sorted(count.items(), key=lambda x: (-x[1], x[0]))[:ANSWERS]}
    used = [x for x in known if x.answer in often]
    answers = sorted({x.answer for x in used})
    if len(answers) < 2:
        return answers, np.ones((len(asked), len(answers)))
    vectors = TfidfVectorizer(analyzer=lambda x: x.words, min_df=2 if len(used) > 50 else 1)
    # As good as logistic regression on our questions, and 15 to 70 times as fast.
    model = MultinomialNB(alpha=0.1)
    model.fit(vectors.fit_transform(used), [x.answer for x in used])
    chances = model.predict_proba(vectors.transform(asked))
    return [*map(str, model.classes_)], chances
