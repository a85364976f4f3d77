"""Verifiable rewards for reinforcement learning on datasets written by `stepc export --to grpo`.

The functions have TRL's signature: `GRPOTrainer(reward_funcs=[answered, reasoned], …)`. A reward depends only
on the reply and the row's columns; no judge model is involved.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from stepc.grading.process import verdicts
from stepc.ir.words import Policy, answer_words
from stepc.model.reply import boxed
from stepc.model.reply import parted as reply_parted

_ANSWER = re.compile(r"\**\banswer\b *\**:\**", re.IGNORECASE)
_LEAD = re.compile(
    r"(?:the )?(?:(?:correct|right|best|final) )?(?:answer|option|choice)(?: is)?\b:?|(?:it|this|that) is\b",
    re.IGNORECASE,
)
_REASON = re.compile(r"[,;.]?\s+(?:because|since)\b")
_LETTER = re.compile(r"\(?([A-Za-z])(?:[.):]+\s*|\s*$)")


words = answer_words


def parted(reply: str) -> tuple[str, str]:
    r"""Split a reply into (reasoning, answer).

    The answer is what follows the reasoning (`<think>…</think>` and the like), in it the last
    `<answer>…</answer>`, `\boxed{…}` or what follows the last `Answer:`; all before it is the reasoning.
    Without any of these, the whole reply is the answer and the reasoning is empty.
    """
    thought, text = reply_parted(reply)
    inside = boxed(text)
    if inside is not None:
        before = text[: text.rfind(r"\boxed{")]
        return f"{thought}\n{_ANSWER.sub('', before)}".strip(), inside
    marks = list(_ANSWER.finditer(text))
    if marks:
        before = text[: marks[-1].start()]
        return f"{thought}\n{before}".strip(), text[marks[-1].end() :].strip()
    return thought, text


_BOX = re.compile(r"\[?\s*" + r"[,\s]+".join([r"(-?\d+(?:\.\d+)?)"] * 4) + r"\s*\]?\.?")
SAME_BOX = 0.5
"""The least IoU of a box with the true one that makes it right."""


def box_in(text: str) -> tuple[float, ...] | None:
    """The box that a text is, `[120, 80, 410, 990]` with or without brackets; None for another text."""
    found = _BOX.fullmatch(text.strip(" *\"'`()"))
    return tuple(map(float, found.groups())) if found else None


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """The intersection of two boxes (left, top, right, bottom) over their union, 0.0 to 1.0."""
    wide, high = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1))
    sizes = [max(0.0, x[2] - x[0]) * max(0.0, x[3] - x[1]) for x in (a, b)]
    shared = max(0.0, wide) * max(0.0, high)
    union = sum(sizes) - shared
    return shared / union if union > 0 else 0.0


def right(answer: str, accepted: Sequence[str]) -> bool:
    """Whether an answer has exactly the words of one of the accepted answers.

    Of `D. star`, the letter alone is right as well, and a wrong letter is wrong whatever follows. "The
    answer is", "It is" and a reason at the end ("because …") do not matter, nor does what follows `yes`
    or `no` after a comma. A box is right if its IoU with an accepted one is at least 0.5.
    """
    said = _LEAD.sub("", answer.strip(" *\"'`"), count=1).strip(" *:\"'`")
    said = _REASON.split(said, maxsplit=1)[0].strip(" *")
    true = [b for b in map(box_in, accepted) if b is not None]
    if true and len(true) == len(accepted):
        box = box_in(said)
        return box is not None and any(overlap(box, b) >= SAME_BOX for b in true)
    if accepted and all(words(a) in (("yes",), ("no",)) for a in accepted):
        said = re.split(r"[,.;!\n]", said, maxsplit=1)[0]
    letters = {m[1].upper() for a in accepted if (m := _LETTER.match(a)) and words(a[m.end() :])}
    letter = _LETTER.match(said)
    if letter and letters:
        rest = said[letter.end() :]
        if letter[1].upper() not in letters:
            return False
        return not words(rest) or _same(rest, accepted)
    bare = said[letter.end() :] if letter else said  # the letter of an option that nobody named
    return any(_same(text, accepted) for text in (said, bare, answer))


def _same(answer: str, accepted: Sequence[str]) -> bool:
    return bool(words(answer)) and any(
        Policy.ANSWER.same(answer, text) for a in accepted for text in (a, _without_letter(a))
    )


def _without_letter(answer: str) -> str:
    """`star` for `D. star`; other answers as they are."""
    letter = _LETTER.match(answer)
    rest = answer[letter.end() :] if letter else ""
    return rest if words(rest) else answer


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


LONG = 2.0
"""How many times the words of the true steps a reasoning may have before its reward falls."""


def text_of(completion: Any) -> str:
    """Text of a completion, which is a string or a list of messages; empty if it has none."""
    if isinstance(completion, str):
        return completion
    content = completion[-1].get("content") if completion else None
    if isinstance(content, str):
        return content
    return " ".join(part.get("text") or "" for part in content or () if isinstance(part, dict))


def answered(
    completions: Sequence[Any], answers: Sequence[Sequence[str]], **columns: Any
) -> list[float]:
    """Reward per completion: 1.0 if the answer is right, otherwise 0.0."""
    return [
        float(right(parted(text_of(c))[1], accepted))
        for c, accepted in zip(completions, answers, strict=True)
    ]


def reasoned(
    completions: Sequence[Any],
    steps: Sequence[Sequence[str]],
    facts: Sequence[Sequence[Mapping[str, Any]]] | None = None,
    **columns: Any,
) -> list[float]:
    """Reward per completion: the share of true steps in its reasoning, less that of false ones, 0.0 to 1.0.

    With the column `facts`, steps are compared by meaning, in any order and in other words
    (`stepc.grading.process`); a false fact that `wrong-steps` found costs as much as a step earns. Without
    it, the sentences themselves must occur, in order. No step counts twice.

    Long reasoning is penalised, so that listing everything does not pay off: if it has more than twice the
    words of the true steps, the reward is multiplied by twice their words over its words.
    """
    rewards = []
    rows: Sequence[Sequence[Mapping[str, Any]]] = facts if facts is not None else [()] * len(steps)
    for completion, true, known in zip(completions, steps, rows, strict=True):
        reasoning = parted(text_of(completion))[0]
        needed = sum(len(words(s)) for s in true)
        given = len(words(reasoning))
        if known:
            share = verdicts(reasoning, known).score
        else:
            share = held(reasoning, true) / len(true) if true else 0.0
        rewards.append(share * min(1.0, LONG * needed / given) if given else 0.0)
    return rewards
