"""blind: measure, and limit, what the text of a question tells of its answer.   corpus → corpus"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pydantic import Field

from stepc.diagnostics import Statistics
from stepc.ir.words import plain, words_of
from stepc.passmanager.base import LinkPass
from stepc.passmanager.corpus import Corpus, SampleSummary
from stepc.runtime.lazy import LazyModule

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")

ANSWERS = 300
"""Maximum number of different answers that the classifier knows; rarer ones it never gives."""
STEP = 0.1
"""The share of the questions that the text guesses that one round of pruning drops at least."""


class Blind(LinkPass):
    """Guesses each answer from text alone: what the question, its form and its options say.

    A classifier (naive Bayes on words and pairs of words) is trained on the questions about some of
    the videos and guesses the answers of the others, in turns. Each sample gets the probability that its
    answer has by text, and the corpus the share of answers that are guessed, next to that of the commonest
    answer of each question skeleton. Data from which a model must learn to look leaves no more to the text
    (Brown et al., 2025, "Benchmark designers should train on the test set").

    The words of all samples are kept in memory, about 3 kB for each. With `most`, samples are dropped until
    the text guesses at most this much more than the commonest answers do, or only `least` are left: first
    those that the text is surest of.
    """

    folds: int = Field(5, ge=2, le=20)
    """In how many parts the videos are."""
    most: float = Field(1, ge=0, le=1)
    """By how much the text may guess more answers than the commonest answer does; 1 drops nothing."""
    least: int = Field(100, ge=1)
    """Minimum samples: a smaller corpus is not measured, and pruning stops there."""

    def run(self, corpus: Corpus, seed: int, counts: Statistics) -> Corpus:
        texts = [*_texts(corpus, seed, self.folds)]
        if len(texts) < self.least or len({x.fold for x in texts}) < 2:
            counts.add("too few samples to guess their answers", len(texts))
            return corpus
        before = now = _guessed(texts, self.folds)
        left = [*range(len(texts))]
        while now.accuracy > now.majority + self.most and len(left) > self.least:
            right = sorted(
                (i for i in range(len(left)) if now.right[i]), key=lambda i: -now.score[i]
            )
            too_many = (now.accuracy - now.majority - self.most) * len(left)
            drop = {left[i] for i in right[: max(1, int(max(STEP * len(right), too_many / 2)))]}
            left = [i for i in left if i not in drop]
            now = _guessed([texts[i] for i in left], self.folds)
        counts.add("samples whose answers were guessed", len(texts))
        counts.add("guessed by text", sum(before.right))
        counts.add("guessed by the commonest answer", sum(before.common))
        if self.most < 1:
            counts.add("dropped: the text tells the answer", len(texts) - len(left))
            counts.add("guessed by text among the rest", sum(now.right))
            counts.add("guessed by the commonest answer among the rest", sum(now.common))
        kept = {texts[i].number for i in left}
        notes = {
            texts[i].number: {"blind": {"score": round(score, 3), "right": bool(right)}}
            for i, score, right in zip(left, now.score, now.right, strict=True)
        }
        measured = {"blind": {"accuracy": round(now.accuracy, 4),
                              "majority": round(now.majority, 4), "samples": len(left),
                              "by_form": _by_form([texts[i] for i in left], now)}}  # fmt: skip
        return replace(
            corpus.keeping(lambda _, number, __: number in kept),
            notes=corpus.notes | notes,
            measured={**corpus.measured, **measured},
        )


@dataclass(frozen=True)
class _Text:
    """What a sample says without its video."""

    number: int
    fold: int
    form: str
    skeleton: str
    words: tuple[str, ...]
    """Features: words, pairs of words, and what the question is, each with a mark of its kind."""
    answer: str
    options: tuple[str, ...]


def _texts(corpus: Corpus, seed: int, folds: int) -> Iterator[_Text]:
    """What the samples of a corpus say; all questions about one video are in one fold."""
    for _, card, left in corpus.walk():
        key = hashlib.sha256(f"blind/{seed}/{card.sha256}".encode()).digest()
        fold = int.from_bytes(key[:8], "big") % folds
        for number, s in left:
            options = corpus.options.get(number, s.options)
            yield _Text(number, fold, s.kind.partition(" ")[0], s.skeleton,
                        (*_features(s, options),), plain(s.answer),
                        tuple(map(plain, options)))  # fmt: skip


def _features(s: SampleSummary, options: Sequence[str]) -> Iterator[str]:
    said = ("^", *words_of(s.question), "$")
    yield from said
    yield from (f"{a} {b}" for a, b in pairwise(said))
    yield f"kind={s.kind}"
    yield f"steps={s.steps}"
    yield f"skeleton={s.skeleton}"
    yield from (f"option={plain(x)}" for x in options)


@dataclass(frozen=True)
class _Guessed:
    """How well the answers of some samples can be guessed, sample by sample."""

    score: Sequence[float]
    """The probability of the right answer by the text, 0 to 1."""
    right: Sequence[bool]
    """Whether the text's first guess is right."""
    common: Sequence[bool]
    """Whether the commonest answer of the skeleton is right."""

    @property
    def accuracy(self) -> float:
        return sum(self.right) / len(self.right)

    @property
    def majority(self) -> float:
        return sum(self.common) / len(self.common)


def _guessed(texts: Sequence[_Text], folds: int) -> _Guessed:
    """Guess the answers of each fold from all others."""
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
    return _Guessed(score, right, common)


class _Commonest:
    """The commonest answer of each skeleton, and of each kind of question for those that are new."""

    def __init__(self, texts: Sequence[_Text]) -> None:
        self.count: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for x in texts:
            for key in (("skeleton", x.skeleton), ("form", x.form)):
                self.count[key][x.answer] += 1

    def of(self, text: _Text) -> str:
        """The answer of a text, one of its options if it has any; the first one if none is known."""
        for key in (("skeleton", text.skeleton), ("form", text.form)):
            there = self.count[key]
            allowed = [a for a in text.options or there if a in there]
            if allowed:
                return max(allowed, key=lambda a: (there[a], a))
        return min(text.options, default="")


def _chances(known: Sequence[_Text], asked: Sequence[_Text]) -> tuple[list[str], Any]:
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


def _by_form(texts: Sequence[_Text], made: _Guessed) -> dict[str, dict[str, float]]:
    """Form → share that is guessed by text, share by the commonest answer, and number."""
    forms: dict[str, list[int]] = defaultdict(list)
    for i, x in enumerate(texts):
        forms[x.form].append(i)
    return {
        form: {"accuracy": round(sum(made.right[i] for i in mine) / len(mine), 4),
               "majority": round(sum(made.common[i] for i in mine) / len(mine), 4),
               "samples": len(mine)}
        for form, mine in sorted(forms.items())
    }  # fmt: skip
