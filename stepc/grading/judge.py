"""Judge models that grade answers, with the protocols of Video-ChatGPT and MLVU.

A judge is any model that stepc can ask, usually behind an OpenAI-compatible server. Its replies are parsed
strictly. An unparsable reply is retried; if it stays unparsable, the answer counts as not judged. Verdicts
are never guessed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from stepc.grading.items import Item
from stepc.grading.rules import chosen
from stepc.model.client import ModelClient
from stepc.model.requests import Appraise, Infer, Judge, Request

AGAIN = (0.0, 0.5, 1.0)
"""Temperatures of the first attempt and of the retries."""


@dataclass(frozen=True)
class Judgement:
    """A judge's verdict on one reply; fields are None if the judge gave no parsable value."""

    right: bool | None = None
    score: float | None = None
    """0 to 5; for a long reply the sum of two scores from 1 to 5."""


def request_of(item: Item, reply: str) -> Request:
    """Build the request that asks a judge about a reply."""
    if item.rule == "captioning":
        return Infer(frames=(), description=reply, question=item.points[0])
    if item.rule in ("points", "summary"):
        wanted = item.points if item.rule == "points" else (item.answer,)
        return Appraise(frames=(), question=item.question, wanted=wanted, prediction=reply,
                        kind="points" if item.rule == "points" else "summary")  # fmt: skip
    return Judge(frames=(), question=item.question, truth=item.answer, prediction=reply)


def judged(asker: ModelClient, asked: Sequence[tuple[Item, str]]) -> list[Judgement]:
    """Judge each (question, reply), in order. Raises StepcError if the judge cannot be reached."""
    requests = [request_of(item, reply) for item, reply in asked]
    answers: list[object | None] = [None] * len(requests)
    for temperature in AGAIN:
        left = [i for i, a in enumerate(answers) if a is None]
        if not left:
            break
        replies = asker.ask([requests[i] for i in left], samples=1, temperature=temperature)
        for i, reply in zip(left, replies, strict=True):
            answers[i] = reply.answers[0]
    return [_judgement(item, a) for (item, _), a in zip(asked, answers, strict=True)]


def _judgement(item: Item, answer: object | None) -> Judgement:
    if answer is None:
        return Judgement()
    if item.rule == "captioning":
        return Judgement(_inferred(getattr(answer, "answer", ""), item))
    if item.rule in ("points", "summary"):
        total = getattr(answer, "first", math.nan) + getattr(answer, "second", math.nan)
        return Judgement(None, total)
    return Judgement(getattr(answer, "pred", "") == "yes", getattr(answer, "score", None))


def _inferred(said: str, item: Item) -> bool:
    """Whether the judge picked the gold option and no other when it answered from a caption.

    Follows `parse_llm_output` in TempCompass's eval_captioning.py.
    """
    named = sum(said.count(f"{letter}.") for letter in "ABCD")
    if named == 1:
        return said.split(". ")[0].strip() == item.answer.split(". ")[0]
    options = tuple(line.strip() for line in item.points[0].split("\n")[1:] if line.strip())
    taken = chosen(said, options) if not named else None
    return taken is not None and options[taken] == item.answer


def agreement(one: Sequence[bool | None], other: Sequence[bool | None]) -> tuple[float, float, int]:
    """Agreement of two judges: (fraction of equal verdicts, Cohen's kappa, number of replies both judged).

    The fraction is NaN without common replies. Kappa is NaN if there is only one verdict value.
    """
    from sklearn.metrics import cohen_kappa_score

    both = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
    if not both:
        return math.nan, math.nan, 0
    same = sum(a == b for a, b in both) / len(both)
    if len({x for pair in both for x in pair}) < 2:
        return same, math.nan, len(both)
    return same, float(cohen_kappa_score(*zip(*both, strict=True))), len(both)
