"""What a compile would ask a model: calls and tokens by kind of request, from the keyframes alone.

How many objects a keyframe holds and what is true of them is not known before a model is asked, so
it is assumed (`Assumed`); the rest follows from the passes and their options. With K keyframes in
C clips, n objects a keyframe of which m move, P = n(n-1)/2 pairs, a attributes an object,
r relations a pair, s samples, q questions, asking naively, one thing a call and every sample by
itself, takes

    narrate   K s         list_objects  K s             classify, describe  K n s each
    relate    K P s       confirm       K (n + a n + r P) + (K - C) m + C
    motion    (K - C) m s               event           C s
    same_object           s n n for each of the C (C - 1) / 2 pairs of clips
    reword, smooth        q each

calls. Fewer do: the samples of a call are made from one reading of it, equal requests are one,
requests about the same keyframes are asked together, and of two clips only objects of one label
are compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from stepc.ir import types as t
from stepc.model.client import Together, in_one
from stepc.model.requests import REQUESTS
from stepc.model.transformers import LENGTHS
from stepc.passmanager.base import Options

PICTURE_TOKENS = 256
"""Of one picture, where the model is not known better."""
TEXT_TOKENS = {"narrate": 60, "list_objects": 160, "relate": 110, "draw_graph": 220,
               "reword": 160, "smooth": 260}  # fmt: skip
"""Of an instruction of the default templates with what it names; 90 for others."""
WIDTHS = (12, 12, 12, 16, 15)
CALL_BYTES, TOKEN_BYTES = 150.0, 2.0
"""Of a call in the store, and of each token of its replies, compressed."""


@dataclass(frozen=True)
class Assumptions:
    """What is taken for so of a keyframe that no model has seen."""

    objects: float = 5.0
    attributes: float = 3.0
    """Attributes an object."""
    relations: float = 1.5
    """Relations a pair of objects."""
    moving: float = 0.5
    """Share of the objects that move."""
    back: float = 0.5
    """Share of the objects of a clip whose label is in another clip, too, for each other clip."""
    narratives: float | None = None
    """Different ones of a keyframe; without, as many as are sampled."""
    together: Together = 8
    """The most requests about the same keyframes in one call."""


@dataclass
class RequestCost:
    """Of one kind of request."""

    requests: float = 0.0
    calls: float = 0.0
    pictures: float = 0.0
    replies: float = 0.0
    """Answers to single requests: requests times samples."""


@dataclass
class Plan:
    """What is asked, by the name of the request."""

    assume: Assumptions
    asked: dict[str, RequestCost] = field(default_factory=dict)
    naive: float = 0.0
    """Calls if every request and every sample were one, and nothing pruned."""

    @property
    def calls(self) -> float:
        """All calls."""
        return sum(a.calls for a in self.asked.values())

    def add(
        self, request: str, places: float, each: float, pictures: int, samples: int = 1
    ) -> None:
        """`each` requests at every one of so many places, of so many pictures."""
        mine = self.asked.setdefault(request, RequestCost())
        most = min(in_one(self.assume.together, request), REQUESTS[request].listed)
        calls = places * _calls(each, most)
        mine.requests += places * each
        mine.calls += calls
        mine.pictures += calls * pictures
        mine.replies += places * each * samples
        self.naive += places * each * samples

    def tokens(self, request: str, picture: int = PICTURE_TOKENS) -> tuple[float, float]:
        """Tokens sent and, at most, received."""
        mine = self.asked[request]
        sent = mine.requests * TEXT_TOKENS.get(request, 90) + mine.pictures * picture
        return sent, mine.replies * LENGTHS.get(request, 64)


def _calls(each: float, most: int) -> float:
    """Calls for about so many requests that may be asked together, `most` in one."""
    if most == 1 or each <= 0:
        return each
    if each <= 1:
        return each
    low, high = math.floor(each), math.ceil(each)
    return math.ceil(low / most) + (each - low) * (math.ceil(high / most) - math.ceil(low / most))


def plan(
    clips: Sequence[t.Clip], passes: Sequence[Options], paths: int, assume: Assumptions
) -> Plan:
    """What `passes` would ask about a video of these clips, of which `paths` paths are drawn."""
    made = Plan(assume)
    keyframes = [len(c.keyframes) for c in clips]
    k, c, n = sum(keyframes), len(clips), assume.objects
    pairs = n * (n - 1) / 2
    steps = sum(max(0, x - 1) for x in keyframes)
    confirmed = False
    for each in passes:
        s = getattr(each, "samples", 1)
        match each.name:
            case "parse":
                told = min(s, assume.narratives or s)
                made.add("narrate", k, 1, 1, s)
                made.add("list_objects", k * told, 1, 1)
                made.naive += k * (s - told)
                made.add("classify", k, n, 1, s)
                made.add("describe", k, n, 1, s)
                _at_whole(made, "relate", k, n, 1, s)
            case "parse-oneshot":
                made.add("draw_graph", k, 1, 1)
            case "confirm" if not confirmed:
                made.add("confirm", k, n, 1)
                made.add("confirm", k, n * assume.attributes, 1)
                made.add("confirm", k, pairs * assume.relations, 1)
                confirmed = True
            case "confirm":
                made.add("confirm", steps, n * assume.moving, 2)
                made.add("confirm", c, 1, 2)
            case "merge":
                made.add("motion", steps, n * assume.moving, 2, s)
            case "bridge":
                couples = c * (c - 1) / 2
                made.add("same_object", couples, n * assume.back, 2, s)
                made.naive += couples * n * (n - assume.back) * s
                made.add("event", c, 1, 2, s)
            case "refine":
                made.add("reword", 1, paths * getattr(each, "questions", 1.0), 0)
                made.add("smooth", 1, paths * getattr(each, "rationales", 1.0), 0)
            case _:
                pass
    return made


def _at_whole(made: Plan, request: str, places: float, n: float, pictures: int, s: int) -> None:
    """Requests about all pairs of n objects; of a broken n, the calls of both whole ones."""
    low = math.floor(n)
    for whole, share in ((low, low + 1 - n), (low + 1, n - low)):
        made.add(request, places * share, whole * (whole - 1) / 2, pictures, s)


def shown(
    plans: Sequence[Plan], prices: tuple[float, float], rate: float, times: float = 1.0
) -> list[str]:
    """A table: calls, pictures and tokens by kind of request, what they cost, how long they take.

    All of it so many times, for a corpus of which the videos are a sample.
    """
    rows = [
        f"{'request':14}"
        + "".join(
            f" {name:>{w}}"
            for name, w in zip(
                ("requests", "calls", "pictures", "tokens in", "tokens out"), WIDTHS, strict=True
            )
        )
    ]
    total = [0.0] * 5
    for name in dict.fromkeys(name for p in plans for name in p.asked):
        mine = [(p.asked[name], p.tokens(name)) for p in plans if name in p.asked]
        row = [
            times * sum(x)
            for x in zip(
                *((a.requests, a.calls, a.pictures, sent, got) for a, (sent, got) in mine),
                strict=True,
            )
        ]
        rows.append(_row(name, row))
        total = [x + y for x, y in zip(total, row, strict=True)]
    rows.append(_row("all", total))
    naive = times * sum(p.naive for p in plans)
    rows.append(
        f"asked naively, one thing and one sample a call: {naive:,.0f} calls"
        + (f"; this is {total[1] / naive:.1%} of them" if naive else "")
    )
    kept = total[1] * CALL_BYTES + total[4] * TOKEN_BYTES
    rows.append(f"replies in the store: about {kept / 1e6:,.0f} MB")
    if any(prices):
        cost = (total[3] * prices[0] + total[4] * prices[1]) / 1e6
        rows.append(f"at {prices[0]:g}/{prices[1]:g} a million tokens: {cost:,.2f}")
    if rate:
        rows.append(f"at {rate:g} calls a second: {total[1] / rate / 3600:,.2f} hours")
    return rows


def _row(name: str, numbers: Sequence[float]) -> str:
    columns = (f"{round(x):{w},}" for x, w in zip(numbers, WIDTHS, strict=True))
    return f"{name:14} {' '.join(columns)}"
