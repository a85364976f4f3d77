"""What a compile would ask a model: calls and tokens by kind of request, from the keyframes alone.

How many objects a keyframe holds and what is true of them is not known before a model is asked, so
it is assumed (`Assumed`); the rest follows from the passes and their options:

    narrate     K s           list_objects  K s          classify, describe  K n s
    relate      K n(n-1)/2 s  confirm       K n (1 + a) + K r n(n-1)/2, then motions and events
    same_object pairs of a label in two clips, s each     motion  m (K - C) s    event  C s
    reword, smooth  one each a question

with K keyframes, C clips, n objects a keyframe, s samples, a attributes an object, r relations a
pair, m moving objects a keyframe. Asked one by one, once for every pair and with nothing pruned,
identities alone would be (Kn)^2/2: that is the naive count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from stepc.ir import types as t
from stepc.model.transformers import LENGTHS
from stepc.pipeline import Options

PICTURE_TOKENS = 256
"""Of one picture, where the model is not known better."""
TEXT_TOKENS = {"narrate": 60, "list_objects": 160, "relate": 110, "draw_graph": 220,
               "reword": 160, "smooth": 260}  # fmt: skip
"""Of an instruction of the default templates with what it names; 90 for others."""


@dataclass(frozen=True)
class Assumed:
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


@dataclass
class Plan:
    """Calls by the name of their request."""

    calls: Counter[str] = field(default_factory=Counter)
    pictures: Counter[str] = field(default_factory=Counter)
    naive: int = 0
    """Calls without pruning and without merging what is asked about."""

    def add(self, request: str, calls: float, pictures: int) -> None:
        """So many calls more, of so many pictures each."""
        self.calls[request] += round(calls)
        self.pictures[request] += round(calls) * pictures

    def tokens(self, request: str, picture: int = PICTURE_TOKENS) -> tuple[int, int]:
        """Tokens sent and, at most, received."""
        sent = self.calls[request] * TEXT_TOKENS.get(request, 90) + self.pictures[request] * picture
        return sent, self.calls[request] * LENGTHS.get(request, 64)


def plan(clips: Sequence[t.Clip], passes: Sequence[Options], paths: int, assume: Assumed) -> Plan:
    """What `passes` would ask about a video of these clips, of which `paths` paths are drawn."""
    made = Plan()
    keyframes = [len(c.keyframes) for c in clips]
    k, c, n = sum(keyframes), len(clips), assume.objects
    pairs = n * (n - 1) / 2
    moves = assume.moving * n * sum(max(0, x - 1) for x in keyframes)
    things = c * n  # after merging, one of each clip
    confirmed: set[str] = set()
    for each in passes:
        s = getattr(each, "samples", 1)
        match each.name:
            case "parse":
                made.add("narrate", k * s, 1)
                made.add("list_objects", k * s, 1)
                made.add("classify", k * n * s, 1)
                made.add("describe", k * n * s, 1)
                made.add("relate", k * pairs * s, 1)
            case "parse-oneshot":
                made.add("draw_graph", k, 1)
            case "confirm" if "graph" not in confirmed:
                made.add(
                    "confirm", k * n * (1 + assume.attributes) + k * pairs * assume.relations, 1
                )
                confirmed.add("graph")
            case "confirm":
                made.add("confirm", moves + c, 2)
            case "merge":
                made.add("motion", moves * s, 2)
            case "bridge":
                couples = c * (c - 1) / 2
                made.add("same_object", couples * n * assume.back * s, 2)
                made.add("event", c * s, 2)
                made.naive += round((things * (things - 1) / 2 - couples * n * assume.back) * s)
            case "refine":
                made.add("reword", paths * getattr(each, "questions", 1.0), 0)
                made.add("smooth", paths * getattr(each, "rationales", 1.0), 0)
            case _:
                pass
    made.naive += sum(made.calls.values())
    return made


def shown(plans: Sequence[Plan], prices: tuple[float, float], rate: float) -> list[str]:
    """A table: calls, pictures and tokens by kind of request, what they cost, how long they take."""
    total: Counter[str] = Counter()
    rows = [f"{'request':14} {'calls':>10} {'pictures':>10} {'tokens in':>13} {'tokens out':>12}"]
    names: dict[str, Any] = {name: None for p in plans for name in p.calls}
    for name in names:
        calls = sum(p.calls[name] for p in plans)
        pictures = sum(p.pictures[name] for p in plans)
        tokens = [sum(x) for x in zip(*(p.tokens(name) for p in plans), strict=True)]
        rows.append(f"{name:14} {calls:10,} {pictures:10,} {tokens[0]:13,} {tokens[1]:12,}")
        total.update(calls=calls, pictures=pictures, sent=tokens[0], got=tokens[1])
    rows.append(f"{'all':14} {total['calls']:10,} {total['pictures']:10,} {total['sent']:13,}"
                f" {total['got']:12,}")  # fmt: skip
    rows.append(f"asked without pruning: {sum(p.naive for p in plans):,} calls")
    if any(prices):
        cost = (total["sent"] * prices[0] + total["got"] * prices[1]) / 1e6
        rows.append(f"at {prices[0]:g}/{prices[1]:g} a million tokens: {cost:,.2f}")
    if rate:
        rows.append(f"at {rate:g} calls a second: {total['calls'] / rate / 3600:,.2f} hours")
    return rows
