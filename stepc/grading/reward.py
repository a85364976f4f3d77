"""Verifiable rewards for reinforcement learning on what `stepc export --to grpo` writes.

In TRL's form: `GRPOTrainer(reward_funcs=[answered, reasoned], …)`. A reward looks at the reply and at the
row's columns alone; no model judges.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_THOUGHT = re.compile(r"<think>(.*?)</think>(.*)", re.DOTALL | re.IGNORECASE)
_ANSWER = re.compile(r"\banswer *:", re.IGNORECASE)


def words(text: str) -> tuple[str, ...]:
    """The words of a text without marks, capitals and articles."""
    found = re.findall(r"[^\W_]+(?:['-][^\W_]+)*", text.lower())
    return tuple(w for w in found if w not in ("a", "an", "the"))


def parted(reply: str) -> tuple[str, str]:
    """Reasoning and answer of a reply: `<think>…</think>` and what follows, or what is behind the
    last `Answer:`, or no reasoning at all."""
    thought = _THOUGHT.search(reply)
    if thought:
        return thought[1].strip(), _ANSWER.split(thought[2])[-1].strip()
    marks = list(_ANSWER.finditer(reply))
    if marks:
        return reply[: marks[-1].start()].strip(), reply[marks[-1].end() :].strip()
    return "", reply.strip()


def right(answer: str, accepted: Sequence[str]) -> bool:
    """Whether an answer says one of the accepted ones, and nothing else."""
    said = words(answer)
    return bool(said) and any(said == words(a) for a in accepted)


def held(reasoning: str, sentences: Sequence[str]) -> int:
    """How many of the sentences stand in the reasoning, each behind the one before.

    A sentence out of order counts no more than one that is missing, and none counts twice.
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
    """The words of a completion: a text, or a list of messages."""
    if isinstance(completion, str):
        return completion
    content = completion[-1]["content"]
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content)


def answered(
    completions: Sequence[Any], answers: Sequence[Sequence[str]], **columns: Any
) -> list[float]:
    """1.0 where the answer is right, 0.0 where it is not; a reply a row."""
    return [
        float(right(parted(_text(c))[1], accepted))
        for c, accepted in zip(completions, answers, strict=True)
    ]


def reasoned(
    completions: Sequence[Any], steps: Sequence[Sequence[str]], **columns: Any
) -> list[float]:
    """The share of the true steps that stand in the reasoning in order, 0.0 to 1.0.

    What is said beyond them costs: the share is multiplied by the words of the true steps over those of
    the reasoning, where it is longer, so that saying everything earns nothing.
    """
    rewards = []
    for completion, true in zip(completions, steps, strict=True):
        reasoning = parted(_text(completion))[0]
        needed = sum(len(words(s)) for s in true)
        given = len(words(reasoning))
        share = held(reasoning, true) / len(true) if true else 0.0
        rewards.append(share * min(1.0, 1.5 * needed / given) if given else 0.0)
    return rewards
