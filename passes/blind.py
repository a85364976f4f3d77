"""blind: measure, and limit, what the text of a question tells of its answer.   corpus → corpus"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field

from stepc.diagnostics import Statistics
from stepc.grading.text_only import Guesses, TextQuestion, fold_of, guessed
from stepc.passmanager.base import LinkPass
from stepc.passmanager.corpus import Corpus

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
        numbers, texts = [], []
        for _, card, left in corpus.walk():
            fold = fold_of(card.sha256, seed, self.folds)
            for number, s in left:
                options = corpus.options.get(number, s.options)
                numbers.append(number)
                texts.append(TextQuestion.of(fold, s.question, s.answer, options, kind=s.kind,
                                             steps=s.steps, skeleton=s.skeleton))  # fmt: skip
        if len(texts) < self.least or len({x.fold for x in texts}) < 2:
            counts.add("too few samples to guess their answers", len(texts))
            return corpus
        before = now = guessed(texts, self.folds)
        stays = [*range(len(texts))]
        while now.accuracy > now.majority + self.most and len(stays) > self.least:
            right = sorted(
                (i for i in range(len(stays)) if now.right[i]), key=lambda i: -now.score[i]
            )
            too_many = (now.accuracy - now.majority - self.most) * len(stays)
            drop = {stays[i] for i in right[: max(1, int(max(STEP * len(right), too_many / 2)))]}
            stays = [i for i in stays if i not in drop]
            now = guessed([texts[i] for i in stays], self.folds)
        counts.add("samples whose answers were guessed", len(texts))
        counts.add("guessed by text", sum(before.right))
        counts.add("guessed by the commonest answer", sum(before.common))
        if self.most < 1:
            counts.add("dropped: the text tells the answer", len(texts) - len(stays))
            counts.add("guessed by text among the rest", sum(now.right))
            counts.add("guessed by the commonest answer among the rest", sum(now.common))
        kept = {numbers[i] for i in stays}
        notes = {
            numbers[i]: {"blind": {"score": round(score, 3), "right": bool(right)}}
            for i, score, right in zip(stays, now.score, now.right, strict=True)
        }
        measured = {"blind": {"accuracy": round(now.accuracy, 4),
                              "majority": round(now.majority, 4), "samples": len(stays),
                              "by_form": _by_form([texts[i] for i in stays], now)}}  # fmt: skip
        return replace(
            corpus.keeping(lambda _, number, __: number in kept),
            notes=corpus.notes | notes,
            measured={**corpus.measured, **measured},
        )


def _by_form(texts: Sequence[TextQuestion], made: Guesses) -> dict[str, dict[str, float]]:
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
