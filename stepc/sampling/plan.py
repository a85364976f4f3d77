"""Plans how many paths to draw per number of steps, form and kind of time range."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from stepc.forms import FORMS, Form
from stepc.ir import types as t
from stepc.lang.types import Block

_T = TypeVar("_T")


@dataclass(frozen=True)
class PathKind:
    """What paths of one kind share."""

    steps: int
    """Number of steps that count."""
    form: str
    time: t.When | None
    reference: bool = False
    """Whether one more edge, a reference that is no step, leads to another clip."""

    @property
    def can_cross(self) -> bool:
        """Whether a reference can lead to another clip: between two steps, of an object that is described."""
        return self.steps > 1 and not self.asked.compares

    @property
    def rows(self) -> int:
        """The number of edges."""
        return self.steps + self.reference

    @classmethod
    def of(cls, steps: int, form: str, time: t.When | None) -> PathKind:
        """The kind of a draw. A comparison has two steps and no time range."""
        if FORMS[form].compares:
            return cls(2, form, None)
        return cls(steps, form, "moment" if FORMS[form].momentary else time)

    @cached_property
    def asked(self) -> Form:
        return FORMS[self.form]


def plan(block: Block, rng: random.Random, references: float = 0.0) -> Counter[PathKind]:
    """The number of paths to draw per kind. Shares are rounded to whole numbers.

    `references` is the share of paths that lead to another clip.
    """
    times = [*block.time, (None, max(0.0, 1 - sum(share for _, share in block.time)))]
    columns = (
        shares([(n, w) for n, w in block.steps], block.count, rng),
        shares([(f, w) for f, w in block.form], block.count, rng),
        shares(times, block.count, rng),
    )
    drawn = [PathKind.of(n, form, time) for n, form, time in zip(*columns, strict=True)]
    if references:
        able = [i for i, kind in enumerate(drawn) if kind.can_cross]
        for i in rng.sample(able, min(len(able), round(references * len(drawn)))):
            drawn[i] = replace(drawn[i], reference=True)
    return Counter(drawn)


def kinds(block: Block) -> list[PathKind]:
    """All kinds of path that a block may draw."""
    times: list[t.When | None] = [when for when, share in block.time if share > 0]
    if sum(share for _, share in block.time) < 1:
        times.append(None)
    made = [
        PathKind.of(n, form, time)
        for n, weight in block.steps
        for form, share in block.form
        for time in times
        if weight > 0 and share > 0
    ]
    made += [replace(kind, reference=True) for kind in made if kind.can_cross]
    return list(dict.fromkeys(made))


def shares(weights: Sequence[tuple[_T, float]], count: int, rng: random.Random) -> list[_T]:
    """`count` items in proportion to their weights (rounded), shuffled."""
    total = sum(w for _, w in weights)
    exact = [w / total * count for _, w in weights]
    whole = [int(e) for e in exact]
    rest = sorted(range(len(exact)), key=lambda i: whole[i] - exact[i])
    for i in rest[: count - sum(whole)]:
        whole[i] += 1
    drawn = [x for (x, _), times in zip(weights, whole, strict=True) for _ in range(times)]
    rng.shuffle(drawn)
    return drawn
