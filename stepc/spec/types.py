"""A resolved and checked spec: what `sample` and `compose` are driven by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from stepc.ir.types import EdgeKind, Value

End = Literal["near", "far"]


class Hole(Value):
    """A placeholder of a wording: `{o}` or `{v.kind}`."""

    name: str
    field: str = ""


class Wording(Value):
    """A text with holes."""

    parts: tuple[str | Hole, ...]

    def fill(self, values: Mapping[tuple[str, str], str]) -> str:
        """The text with each hole filled by (name, field)."""
        return "".join(p if isinstance(p, str) else values[p.name, p.field] for p in self.parts)


class Find(Value):
    """The wordings of an edge one end of which is found."""

    end: End
    ask: tuple[Wording, ...]
    """The step as a question; one of them is drawn."""
    name: tuple[Wording, ...] = ()
    """What stands for the found node inside a longer question."""
    because: tuple[Wording, ...] = ()
    """The step's sentence of the rationale."""


class EdgeRule(Value):
    """How one kind of edge is worded."""

    kind: EdgeKind
    near: str
    far: str
    finds: tuple[Find, ...]

    def find(self, end: End) -> Find | None:
        """The wordings for finding `end`, or None."""
        return next((f for f in self.finds if f.end == end), None)


class Filter(Value):
    """Which edges paths may use: only those that fit, or only those that do not."""

    keep: bool
    """`only` keeps what fits, `forbid` drops it."""
    what: Literal["label", "predicate", "motion", "kind", "value", "event", "static", "dynamic"]
    words: tuple[str, ...] = ()
    """Compared as the solver compares; empty for `static` and `dynamic`."""


class Sampling(Value):
    """What paths are sampled (section 3.2)."""

    count: int = 18
    """Paths a video."""
    steps: tuple[tuple[int, float], ...] = ((1, 1.0), (2, 1.0), (3, 1.0))
    """Numbers of steps and their weights."""
    start: tuple[EdgeKind, ...] = ("attr", "rel", "motion", "ref", "event")
    """Kinds of the initial connected pair."""
    expand: tuple[EdgeKind, ...] = ("attr", "rel", "motion", "ref")
    """Kinds along which a node is expanded."""
    during: float = 1.0
    """Share of the paths that are given an event's time range."""
    unique: bool = True
    """Whether every step must have exactly one answer."""
    confidence: float = 0.0
    """The lowest confidence of an edge that a path uses, and of the objects it joins."""
    filters: tuple[Filter, ...] = ()
    """What paths may use; whether an answer is unique is judged on the whole graph all the same."""
    tries: int = 60
    """How often a path is drawn anew before it is given up."""


class Spec(Value):
    """A whole spec."""

    name: str
    title: str = ""
    sampling: Sampling
    edges: tuple[EdgeRule, ...]
    before: tuple[Wording, ...]
    """How a question is given its time range."""

    def rule(self, kind: str) -> EdgeRule | None:
        """The rule of a kind of edge, or None."""
        return next((e for e in self.edges if e.kind == kind), None)
