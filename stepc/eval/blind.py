"""What can be answered without the video: by text, by the commonest answer, from blank pictures."""

from __future__ import annotations

from collections.abc import Sequence

from stepc.grading.items import Item, kinds
from stepc.grading.text_only import TextQuestion, fold_of, guessed
from stepc.ir.types import Frame
from stepc.ir.words import words_of
from stepc.video.decode import Pictures, blank

FOLDS = 5
LEAST = 20
"""Fewest questions from which answers are guessed."""
LONG = ("captioning", "points", "summary")
"""Rules of replies that are longer than an answer: nobody guesses them."""


def guesses(items: Sequence[Item], seed: int) -> dict[str, tuple[bool, bool]]:
    """Whether text, and the commonest answer, guess the answer of each question, by its id.

    A classifier learns from the questions about some of the videos and guesses those about the others, in
    turns (`stepc.grading.text_only`). Questions with the same skeleton, or else the same first three words,
    have a commonest answer. Empty if there are too few questions or videos.
    """
    asked = [item for item in items if item.rule not in LONG]
    texts = [
        TextQuestion.of(
            fold_of(item.sha256 or item.video, seed, FOLDS),
            item.question,
            item.answer,
            item.options,
            kind=" ".join([item.rule, *(f"{n}={v}" for n, v in kinds(0, item.groups))]),
            steps=item.steps,
            skeleton=item.skeleton or " ".join(words_of(item.question)[:3]),
        )
        for item in asked
    ]
    if len(texts) < LEAST or len({x.fold for x in texts}) < 2:
        return {}
    made = guessed(texts, FOLDS)
    both = zip(map(bool, made.right), map(bool, made.common), strict=True)
    return {item.id: pair for item, pair in zip(asked, both, strict=True)}


def blanked(frames: Sequence[Frame], pictures: Pictures) -> tuple[Frame, ...]:
    """As many grey pictures of the same size at the same times."""
    return tuple(blank(pictures.source(frame.video).video, frame.at) for frame in frames)
