"""Verifiable rewards for reinforcement learning on datasets written by `stepc export --to grpo`.

The functions have TRL's signature: `GRPOTrainer(reward_funcs=[answered, reasoned], …)`. A reward depends only
on the reply and the row's columns; no judge model is involved.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from stepc.ir.words import Policy, answer_words

_THOUGHT = re.compile(r"<think>(.*?)</think>(.*)", re.DOTALL | re.IGNORECASE)
_ANSWER = re.compile(r"\banswer *:", re.IGNORECASE)


words = answer_words


def parted(reply: str) -> tuple[str, str]:
    """Split a reply into (reasoning, answer).

    The reasoning is the content of `<think>…</think>` and the answer is what follows, without a leading
    `Answer:`. Without `<think>` the reply is split at the last `Answer:`. Without either, the whole reply is
    the answer and the reasoning is empty.
    """
    thought = _THOUGHT.search(reply)
    if thought:
        return thought[1].strip(), _ANSWER.split(thought[2])[-1].strip()
    marks = list(_ANSWER.finditer(reply))
    if marks:
        return reply[: marks[-1].start()].strip(), reply[marks[-1].end() :].strip()
    return "", reply.strip()


def right(answer: str, accepted: Sequence[str]) -> bool:
    """Whether an answer has exactly the words of one of the accepted answers."""
    return bool(words(answer)) and any(Policy.ANSWER.same(answer, a) for a in accepted)


def held(reasoning: str, sentences: Sequence[str]) -> int:
    """Number of sentences that occur in the reasoning in the given order.

    A sentence out of order does not count, and no sentence counts twice.
    """
    rest = f" {' '.join(words(reasoning))} "
    count = 0
    for sentence in sentences:
        said = f" {' '.join(words(sentence))} "
        place = rest.find(said) if said.strip() else -1
        if place >= 0:
            count, rest = count + 1, rest[place + len(said) - 1 :]
    return count


def _text(completion: Any) -> str:
    """Text of a completion, which is a string or a list of messages."""
    if isinstance(completion, str):
        return completion
    content = completion[-1]["content"]
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content)


def answered(
    completions: Sequence[Any], answers: Sequence[Sequence[str]], **columns: Any
) -> list[float]:
    """Reward per completion: 1.0 if the answer is right, otherwise 0.0."""
    return [
        float(right(parted(_text(c))[1], accepted))
        for c, accepted in zip(completions, answers, strict=True)
    ]


def reasoned(
    completions: Sequence[Any], steps: Sequence[Sequence[str]], **columns: Any
) -> list[float]:
    """Reward per completion: the fraction of true steps that the reasoning contains in order, 0.0 to 1.0.

    Long reasoning is penalised, so that listing everything does not pay off: if it has more than 1.5 times
    the words of the true steps, the fraction is multiplied by 1.5 times their words over its words.
    """
    rewards = []
    for completion, true in zip(completions, steps, strict=True):
        reasoning = parted(_text(completion))[0]
        needed = sum(len(words(s)) for s in true)
        given = len(words(reasoning))
        share = held(reasoning, true) / len(true) if true else 0.0
        rewards.append(share * min(1.0, 1.5 * needed / given) if given else 0.0)
    return rewards
