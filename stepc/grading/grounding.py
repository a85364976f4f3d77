"""Rewards for rationales that say where and when: boxes, times and their form. With TRL's signature.

The columns are those of the format `open-o3` (`stepc.dataset.formats`); the tags are those of Open-o3 Video.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from stepc.grading.reward import overlap, parted, text_of, words

_TIME = r"<t>\s*(\d+(?:\.\d+)?)\s*(?:(?:-|to)\s*(\d+(?:\.\d+)?)\s*)?</t>"
_TIMES = re.compile(_TIME)
_EDGE = r"(-?\d+(?:\.\d+)?)"
_BOXES = re.compile(
    rf"<obj>([^<]*)</obj>\s*<box>\s*\[?\s*{_EDGE}[,\s]+{_EDGE}[,\s]+{_EDGE}[,\s]+{_EDGE}\s*\]?\s*"
    rf"</box>\s*(?:at)?\s*(?:{_TIME})?"
)
NEAR = 0.5
"""Seconds by which the time of a box may differ from the true one, and by which a moment is widened."""


def timed(
    completions: Sequence[Any], spans: Sequence[Sequence[Sequence[float]]], **columns: Any
) -> list[float]:
    """Reward per completion: how well the times in its reasoning are those of the true steps, 0.0 to 1.0.

    For each true range (start and end in seconds) the best temporal IoU with a time of the reasoning counts,
    which is `<t>1.2</t>`, a moment, or `<t>1.2 to 3.4</t>`. A moment is right if it lies in the range, give
    or take half a second. With more than twice as many times as ranges, the mean is divided accordingly.
    """
    rewards = []
    for completion, true in zip(completions, spans, strict=True):
        found = _TIMES.findall(parted(text_of(completion))[0])
        said = [(float(a), float(b or a)) for a, b in found]
        best = [
            max((_overlap(s, (float(a), float(b))) for s in said), default=0.0) for a, b in true
        ]
        share = sum(best) / len(best) if best else 0.0
        rewards.append(share * min(1.0, 2 * len(best) / len(said)) if said else 0.0)
    return rewards


def _overlap(said: tuple[float, float], true: tuple[float, float]) -> float:
    """Temporal IoU of two ranges; of a moment and a range, whether it lies in it."""
    if said[0] == said[1]:
        return float(true[0] - NEAR <= said[0] <= true[1] + NEAR)
    if true[0] == true[1]:
        true = true[0] - NEAR, true[1] + NEAR
    shared = min(said[1], true[1]) - max(said[0], true[0])
    union = max(said[1], true[1]) - min(said[0], true[0])
    return max(0.0, shared) / union if union > 0 else 0.0


def located(
    completions: Sequence[Any], boxes: Sequence[Sequence[dict[str, Any]]], **columns: Any
) -> list[float]:
    """Reward per completion: how well the boxes in its reasoning are the true ones, 0.0 to 1.0.

    For each true box (`label`, `at` in seconds, `box` with its edges) the best IoU counts of a box of the
    reasoning with this label, and at this time if it has one:
    `<obj>dog</obj><box>[1,2,3,4]</box>at<t>1.2</t>s`, in the unit of the column. With more boxes than true
    ones, the mean is divided accordingly.
    """
    rewards = []
    for completion, true in zip(completions, boxes, strict=True):
        said = []
        for label, x1, y1, x2, y2, at, _ in _BOXES.findall(parted(text_of(completion))[0]):
            edges = [float(x) for x in (x1, y1, x2, y2)]
            said.append((words(label), edges, float(at) if at else None))
        best = [
            max(
                (
                    overlap(edges, [float(e) for e in b["box"]])
                    for label, edges, at in said
                    if label == words(b["label"]) and (at is None or abs(at - b["at"]) <= NEAR)
                ),
                default=0.0,
            )
            for b in true
        ]
        share = sum(best) / len(best) if best else 0.0
        rewards.append(share * min(1.0, len(best) / len(said)) if said else 0.0)
    return rewards


def formed(completions: Sequence[Any], **columns: Any) -> list[float]:
    """Reward per completion: 1.0 if it is a reasoning and then an answer with whole tags, otherwise 0.0.

    That is `<think>…</think><answer>…</answer>`, with each `<obj>`, `<box>` and `<t>` closed.
    """
    rewards = []
    for completion in completions:
        m = re.fullmatch(
            r"\s*<think>(.*?)</think>\s*<answer>(.*?)</answer>\s*", text_of(completion), re.DOTALL
        )
        whole = m is not None and bool(m[2].strip()) and "<think>" not in m[1] + m[2]
        for tag in ("obj", "box", "t"):
            whole = (
                whole
                and m is not None
                and len(re.findall(rf"<{tag}>[^<]*</{tag}>", m[1]))
                == len(re.findall(rf"</?{tag}>", m[1])) / 2
            )
        rewards.append(float(whole))
    return rewards
