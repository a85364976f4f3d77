"""Estimates the model calls and tokens of a compile, by kind of request, from the keyframes alone.

The number of objects per keyframe, their attributes and their relations are unknown before a model
is called, so they are assumed (`Assumptions`); the rest follows from the passes and their options.
Let K be the keyframes, C the clips, n the objects per keyframe, m the moving objects among them,
P = n(n-1)/2 the pairs, a the attributes per object, r the relations per pair, s the samples, and
q the questions. The naive scheme, one request and one sample per call, takes

    narrate   K s         list_objects  K s             classify, describe  K n s each
    relate    K P s       confirm       K (n + a n + r P) + (K - C) m + C
    motion    (K - C) m s               event           C s
    same_object           s n n for each of the C (C - 1) / 2 pairs of clips
    reword, smooth        q each

calls. The compiler needs fewer: all samples of a request come from one call, equal requests are
sent once, requests about the same keyframes share a call, and across clips only objects with equal
labels are compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol, runtime_checkable

from stepc.ir import types as t
from stepc.model.client import Together, in_one
from stepc.model.requests import Request

WIDTHS = (12, 12, 12, 16, 15)
CALL_BYTES, TOKEN_BYTES = 150.0, 2.0
"""Compressed size in the store: bytes per call, and bytes per reply token."""


@dataclass(frozen=True)
class Assumptions:
    """Assumed properties of a video that no model has parsed yet."""

    objects: float = 5.0
    """Objects per keyframe."""
    attributes: float = 3.0
    """Attributes per object."""
    relations: float = 1.5
    """Relations per pair of objects."""
    related: float = 1.5
    """Relations per object, if all of a keyframe are asked for at once."""
    moving: float = 0.5
    """Fraction of the objects that move."""
    back: float = 0.5
    """Fraction of a clip's objects whose label also occurs in another given clip."""
    doubtful: float = 0.5
    """Pairs of objects with the same label per two consecutive keyframes whose identity is unclear."""
    picture: int = 256
    """Tokens of a picture (see `picture_tokens`)."""
    narratives: float | None = None
    """Distinct narratives per keyframe; None assumes that all samples differ."""
    together: Together = 8
    """Maximum requests about the same keyframes per call."""
    lacking: frozenset[str] = frozenset()
    """The requests that the model's template set does not have; passes then ask others."""

    def asks(self, request: type[Request]) -> bool:
        """Whether the template set has a request."""
        return request.name not in self.lacking


@dataclass(frozen=True)
class VideoStats:
    """What is known of a video before a model parses it, and what is assumed."""

    keyframes: int
    clips: int
    pairs: int
    """Pairs of consecutive keyframes of a clip."""
    paths: int
    """Reasoning paths that the spec asks for."""
    denials: int
    """Questions that the spec lets the pass `deny` make answerable by no."""
    assume: Assumptions


@dataclass
class RequestCost:
    """The cost of one kind of request."""

    request: type[Request]
    requests: float = 0.0
    calls: float = 0.0
    pictures: float = 0.0
    new_pictures: float = 0.0
    """Pictures of requests that show several, counted once per place: what a prefix cache has to read."""
    replies: float = 0.0
    """Number of answers: requests times samples."""


@dataclass
class Plan:
    """The estimated requests of a compile, by request name."""

    assume: Assumptions
    asked: dict[str, RequestCost] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    """Passes that ask a model and do not state their cost."""
    done: list[str] = field(default_factory=list)
    """The names of the passes estimated so far."""
    added: int = 0
    """Keyframes that a pass adds. A pass that ran before, and runs again, asks about these only."""
    naive: float = 0.0
    """Calls of the naive scheme: one per request and sample, without pruning."""
    keyframes: int = 0
    """Number of keyframes. A prefix cache reads each once, for all requests that show it alone."""
    passes: dict[str, float] = field(default_factory=dict)
    """Pass → the input tokens of its calls."""

    @property
    def calls(self) -> float:
        return sum(a.calls for a in self.asked.values())

    def add(
        self, request: type[Request], places: float, each: float, pictures: int, samples: int = 1
    ) -> None:
        """Add `each` requests with `pictures` images each, at each of `places` places."""
        mine = self.asked.setdefault(request.name, RequestCost(request))
        most = min(in_one(self.assume.together, request.name), request.listed)
        calls = places * _calls(each, most)
        mine.requests += places * each
        mine.calls += calls
        mine.pictures += calls * pictures
        mine.new_pictures += places * pictures if pictures > 1 and each else 0
        mine.replies += places * each * samples
        self.naive += places * each * samples

    def add_pairs(
        self, request: type[Request], places: float, objects: float, pictures: int, samples: int = 1
    ) -> None:
        """Add a request about each pair of objects; a fractional number of objects is interpolated."""
        low = math.floor(objects)
        for whole, share in ((low, low + 1 - objects), (low + 1, objects - low)):
            self.add(request, places * share, whole * (whole - 1) / 2, pictures, samples)

    def tokens(self, request: str) -> tuple[float, float]:
        """Return the input tokens and the maximum output tokens."""
        mine = self.asked[request]
        sent = mine.requests * mine.request.typical_tokens + mine.pictures * self.assume.picture
        return sent, mine.replies * mine.request.max_tokens

    @property
    def sent(self) -> float:
        """All input tokens."""
        return sum(self.tokens(name)[0] for name in self.asked)

    @property
    def read(self) -> float:
        """The input tokens that a server reads whose prefix cache holds a video's keyframes."""
        alone = any(a.pictures > a.new_pictures for a in self.asked.values())
        pictures = (self.keyframes if alone else 0) + sum(
            a.new_pictures for a in self.asked.values()
        )
        text = sum(a.requests * a.request.typical_tokens for a in self.asked.values())
        return text + pictures * self.assume.picture


def _calls(each: float, most: int) -> float:
    """Return the calls for an average of `each` requests, with at most `most` requests per call."""
    if most == 1 or each <= 0:
        return each
    if each <= 1:
        return each
    low, high = math.floor(each), math.ceil(each)
    return math.ceil(low / most) + (each - low) * (math.ceil(high / most) - math.ceil(low / most))


@runtime_checkable
class Priced(Protocol):
    """A pass that states what it asks a model."""

    name: ClassVar[str]

    def plan(self, about: VideoStats, costs: Plan) -> None:
        """Add what the pass will ask to an estimate."""


def plan(
    clips: Sequence[t.Clip],
    passes: Sequence[Any],
    paths: int,
    assume: Assumptions,
    denials: int = 0,
) -> Plan:
    """Estimate what `passes` ask about a video with these clips, when `paths` paths are sampled.

    `denials` is how many questions the pass `deny` may make answerable by no.

    Each pass states its own cost (`Pass.plan`).
    """
    keyframes = [len(c.keyframes) for c in clips]
    pairs = sum(max(0, n - 1) for n in keyframes)
    about = VideoStats(sum(keyframes), len(clips), pairs, paths, denials, assume)
    made = Plan(assume, keyframes=about.keyframes)
    again = frozenset[str]()
    for each in passes:
        if isinstance(each, Priced):
            more = made.added
            here = replace(about, keyframes=about.keyframes + more, pairs=about.pairs + more)
            if each.name in again:
                here = replace(about, keyframes=more, pairs=2 * more)
            before = made.sent
            each.plan(here, made)
            made.passes[each.name] = made.passes.get(each.name, 0.0) + made.sent - before
            if made.added > more:
                again = frozenset(made.done)
        made.done.append(each.name)
    return made


COLUMNS = ("requests", "calls", "pictures", "tokens in", "tokens out")


@dataclass(frozen=True)
class Estimate:
    """The estimated cost of compiling a corpus."""

    rows: dict[str, tuple[float, ...]]
    """Per kind of request, the numbers that `COLUMNS` names."""
    total: tuple[float, ...]
    naive: float
    """Calls of the naive scheme: one per request and sample, without pruning."""
    prices: tuple[float, float]
    """Prices per million input and output tokens; zero if unknown."""
    rate: float
    """Calls per second; 0 if unknown."""
    unknown: tuple[str, ...] = ()
    """Passes that ask a model and do not state their cost."""
    cached: float = 0.0
    """Input tokens that a server with a prefix cache reads."""
    passes: dict[str, float] = field(default_factory=dict)
    """Pass → the input tokens of its calls, the most expensive one first."""

    @property
    def store_bytes(self) -> float:
        """Approximate size of the replies in the store."""
        return self.total[1] * CALL_BYTES + self.total[4] * TOKEN_BYTES

    @property
    def cost(self) -> float | None:
        """Cost of all tokens, or None if the prices are unknown."""
        sent, received = self.prices
        if not any(self.prices):
            return None
        return (self.total[3] * sent + self.total[4] * received) / 1e6

    @property
    def hours(self) -> float | None:
        """Duration of all calls, or None if the rate is unknown."""
        return self.total[1] / self.rate / 3600 if self.rate else None

    def data(self) -> dict[str, object]:
        """The estimate as a JSON-serialisable dictionary."""
        keys = [c.replace(" ", "_") for c in COLUMNS]
        rows = {"all": self.total} | self.rows
        numbers = {n: dict(zip(keys, map(round, row), strict=True)) for n, row in rows.items()}
        total = numbers.pop("all")
        return {
            "requests": [{"request": name, **row} for name, row in numbers.items()],
            "total": total,
            "tokens_in_with_prefix_cache": round(self.cached),
            "passes": [{"pass": name, "tokens_in": round(n)} for name, n in self.passes.items()],
            "naive_calls": round(self.naive),
            "store_bytes": round(self.store_bytes),
            "cost": self.cost,
            "hours": self.hours,
            "not_estimated": list(self.unknown),
        }

    def text(self) -> list[str]:
        """The lines of a table of calls, images and tokens per kind of request."""
        heads = (f" {name:>{w}}" for name, w in zip(COLUMNS, WIDTHS, strict=True))
        lines = [f"{'request':14}{''.join(heads)}"]
        lines += [_row(name, row) for name, row in self.rows.items()]
        lines.append(_row("all", self.total))
        lines.append(
            f"naive scheme, one request and one sample per call: {self.naive:,.0f} calls"
            + (f"; this plan needs {self.total[1] / self.naive:.1%} of them" if self.naive else "")
        )
        if self.total[3]:
            most, tokens = next(iter(self.passes.items()))
            lines.append(
                f"tokens in, if a prefix cache holds the keyframes of a video: {self.cached:,.0f}"
            )
            lines.append(f"most are those of `{most}`: {tokens / self.total[3]:.0%}")
        for name in self.unknown:
            lines.append(f"not estimated: `{name}` asks a model and does not state its cost")
        lines.append(f"size of the replies in the store: about {self.store_bytes / 1e6:,.0f} MB")
        if self.cost is not None:
            sent, received = self.prices
            lines.append(f"at {sent:g}/{received:g} per million tokens: {self.cost:,.2f}")
        if self.hours is not None:
            lines.append(f"at {self.rate:g} calls per second: {self.hours:,.2f} hours")
        return lines


def estimate(
    plans: Sequence[Plan], prices: tuple[float, float], rate: float, times: float = 1.0
) -> Estimate:
    """Add up plans of single videos.

    `prices` are per million input and output tokens, `rate` is in calls per second. All numbers are
    multiplied by `times`, to extrapolate from a sample of videos to a corpus.
    """
    rows, total = {}, [0.0] * len(COLUMNS)
    for name in dict.fromkeys(name for p in plans for name in p.asked):
        mine = [(p.asked[name], p.tokens(name)) for p in plans if name in p.asked]
        numbers = ((a.requests, a.calls, a.pictures, sent, got) for a, (sent, got) in mine)
        rows[name] = tuple(times * sum(x) for x in zip(*numbers, strict=True))
        total = [x + y for x, y in zip(total, rows[name], strict=True)]
    unknown = tuple(dict.fromkeys(name for p in plans for name in p.unknown))
    naive = times * sum(p.naive for p in plans)
    passes: dict[str, float] = {}
    for name, tokens in ((name, n) for p in plans for name, n in p.passes.items() if n):
        passes[name] = passes.get(name, 0.0) + times * tokens
    read = times * sum(p.read for p in plans)
    most = dict(sorted(passes.items(), key=lambda x: -x[1]))
    return Estimate(rows, tuple(total), naive, prices, rate, unknown, read, most)


def _row(name: str, numbers: Sequence[float]) -> str:
    columns = (f"{round(x):{w},}" for x, w in zip(numbers, WIDTHS, strict=True))
    return f"{name:14} {' '.join(columns)}"
