"""Asking a Video-LLM: requests in, typed answers out, n samples each, in batches.

A call's key is a hash of what is asked (request, instruction, keyframes, sampling), so that a
cassette can be played without the video, and so that equal questions are asked once.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import orjson

from stepc.diagnostics import Statistics
from stepc.ir.types import Frame, Fsg, Origin, Trust
from stepc.ir.words import normal
from stepc.model.requests import Mention, Request, Several
from stepc.model.templates import Templates
from stepc.video.decode import Pictures

Together = int | dict[str, int]
"""The most requests about the same keyframes in one call; by their name, where that differs."""


def in_one(together: Together, request: str) -> int:
    """How many of these requests may be asked in one call."""
    return together if isinstance(together, int) else together.get(request, 1)


@dataclass(frozen=True)
class Call:
    """One call: an instruction behind pictures, and a seed for each sample wanted."""

    key: str
    request: str
    """The request's name."""
    text: str
    frames: tuple[Frame, ...]
    temperature: float
    """0 takes the likeliest token."""
    seeds: tuple[int, ...]
    schema: dict[str, Any] | None = None
    """The JSON schema of a reply, where the template asks for JSON."""
    items: int = 1
    """How many requests of that name it holds."""
    video: bool = False
    """Whether the keyframes are shown as a video, with their times, instead of pictures."""
    whole: str = ""
    """The hash that the key begins: in a store of many millions of calls no two are the same."""


@dataclass(frozen=True)
class Completion:
    """A call that was answered."""

    prompt: Call
    texts: tuple[str, ...]
    """One a seed."""
    seconds: float = 0.0
    """How long it took; of a call in a batch, its share."""
    tokens_in: int = 0
    tokens_out: int = 0
    retries: int = 0
    """How often it had to be made again."""
    asked: bool = True
    """Whether the model was asked; else the replies were there from before."""


class Backend(Protocol):
    """Anything that answers prompts with texts."""

    identity: str
    """What the manifest calls the model: its name and a hash of its weights."""
    templates: str
    """The set of templates it is spoken to with, unless the user names another."""
    together: Together
    """How many requests about the same keyframes it answers well in one call."""

    def generate(
        self, prompts: Iterable[Call], pictures: Pictures, done: Callable[[Completion], None]
    ) -> None:
        """Answer each prompt, in whatever order; `done` is told of each as soon as it is.

        A prompt's texts depend on nothing but it.
        """


@dataclass
class Usage:
    """What a model was asked so far."""

    calls: int = 0
    left: int = 0
    """Calls that are waiting."""
    replies: int = 0
    unread: int = 0
    """Replies that could not be read."""
    retries: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    """Spent waiting for the model."""
    kept: int = 0
    """Calls whose replies were there from before."""

    def add(self, other: Usage) -> None:
        """Count what another counted."""
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def cost(self, prices: tuple[float, float]) -> float:
        """At prices of a million tokens sent and received."""
        return (self.tokens_in * prices[0] + self.tokens_out * prices[1]) / 1e6

    def text(self, prices: tuple[float, float] = (0.0, 0.0)) -> str:
        """In words: calls done and left, tokens, their speed, cost, errors."""
        parts = [f"{self.calls:,} calls"]
        if self.kept:
            parts.append(f"{self.kept:,} known from before")
        if self.left:
            parts.append(f"{self.left:,} left")
        parts.append(f"{self.tokens_in:,} tokens in, {self.tokens_out:,} out")
        if self.seconds > 0:
            parts.append(f"{(self.tokens_in + self.tokens_out) / self.seconds:,.0f} tokens/s")
        if any(prices):
            parts.append(f"a cost of {self.cost(prices):.2f}")
        if self.retries:
            share = self.retries / (self.calls + self.retries)
            parts.append(f"{self.retries:,} made again ({share:.1%})")
        if self.unread:
            parts.append(f"{self.unread / self.replies:.1%} of the replies unreadable")
        return ", ".join(parts)


@dataclass(frozen=True)
class Reply:
    """The typed answers to one request; None for a sample that could not be read."""

    key: str
    """Of the call that gave them."""
    answers: tuple[Any, ...]

    @property
    def read(self) -> list[Any]:
        """The answers that could be read."""
        return [a for a in self.answers if a is not None]


@dataclass
class ModelClient:
    """A model as passes see it."""

    backend: Backend
    templates: Templates
    pictures: Pictures
    seed: int = 0
    counts: Statistics = field(default_factory=Statistics)
    trace: Path | None = None
    """A file of JSON lines: each call, what it was about, how long it took, what became of it."""
    together: Together = 1
    """The most requests of one kind about the same keyframes that are asked in one call."""
    video: bool = False
    """Whether keyframes of one clip are shown as a video."""
    tally: Usage = field(default_factory=Usage)
    told: Callable[[Usage], None] | None = None
    """Is told of each call that is done."""
    _known: dict[str, Reply] = field(default_factory=dict)

    def ask(
        self, requests: Sequence[Request], *, samples: int = 1, temperature: float = 0.0
    ) -> list[Reply]:
        """The replies, in order. Raises StepcError if the model cannot be asked at all.

        What was asked before in a pass is not asked again. Requests about the same
        keyframes are asked together; those whose answer could not be read then, by themselves.
        """
        prompts = [self._prompt(r, samples, temperature) for r in requests]
        new = {p.key: r for p, r in zip(prompts, requests, strict=True) if p.key not in self._known}
        self.counts.add("calls spared: asked before", len(prompts) - len(new))
        single = {p.key: p for p in prompts if p.key in new}
        lists = self._lists(new)
        calls: dict[str, tuple[Request, Call]] = {}
        inside: dict[str, list[str]] = {}
        for keys in lists:
            several = Several(frames=new[keys[0]].frames, items=tuple(new[k] for k in keys))
            prompt = self._prompt(several, samples, temperature)
            calls[prompt.key], inside[prompt.key] = (several, prompt), keys
        listed = {key for keys in lists for key in keys}
        calls |= {key: (r, single[key]) for key, r in new.items() if key not in listed}
        again: dict[str, tuple[Request, Call]] = {}
        for key, answers in self._call(calls).items():
            for i, one in enumerate(inside.get(key, [key])):
                if key not in inside:
                    self._known[one] = Reply(key, answers)
                elif any(a is None or a.items[i] is None for a in answers):
                    again[one] = new[one], single[one]
                else:
                    self._known[one] = Reply(key, tuple(a.items[i] for a in answers))
        self.counts.add("asked again by themselves", len(again))
        self._known |= {key: Reply(key, answers) for key, answers in self._call(again).items()}
        replies = [self._known[p.key] for p in prompts]
        for key in new:
            lost = sum(a is None for a in self._known[key].answers)
            self.counts.add("votes lost to unreadable replies", lost)
        return replies

    def forget(self) -> None:
        """Begin another pass: what was asked is not kept any longer."""
        self._known.clear()

    def _lists(self, new: dict[str, Request]) -> list[list[str]]:
        """Keys of requests that are asked together: as many as may be, and at least two."""
        groups: dict[tuple[str, str, tuple[Frame, ...]], list[str]] = {}
        for key, r in new.items():
            groups.setdefault((r.name, r.sort, r.frames), []).append(key)
        lists = []
        for keys in groups.values():
            first = new[keys[0]]
            most = min(in_one(self.together, first.name), self.templates.most(first))
            count = -(-len(keys) // most)
            size = -(-len(keys) // count)  # lists of about the same length
            lists += [keys[i : i + size] for i in range(0, len(keys), size)]
        return [keys for keys in lists if len(keys) > 1]

    def _call(self, calls: dict[str, tuple[Request, Call]]) -> dict[str, tuple[Any, ...]]:
        """The answers to each sample of each call, by its key."""
        given: dict[str, tuple[Any, ...]] = {}
        began = time.perf_counter()
        waited = self.tally.seconds
        self.tally.left += len(calls)

        def done(call: Completion) -> None:
            request, prompt = calls[call.prompt.key]
            given[prompt.key] = tuple(self.templates.read(request, text) for text in call.texts)
            unread = sum(a is None for a in given[prompt.key])
            self.tally.add(Usage(int(call.asked), -1, len(call.texts), unread, call.retries,
                                 call.tokens_in, call.tokens_out, kept=not call.asked))  # fmt: skip
            self.tally.seconds = waited + time.perf_counter() - began
            if self.trace is not None and call.asked:
                self._trace(call, unread)
            if self.told is not None:
                self.told(self.tally)

        if calls:  # all that is asked of some keyframes comes together: servers keep the prefix
            order = sorted((p for _, p in calls.values()), key=lambda p: _shown(p.frames))
            try:
                self.backend.generate(order, self.pictures, done)
            finally:
                self.tally.left = 0
        self.counts.add("model calls", len(calls))
        self.counts.add("model replies", sum(len(p.seeds) for _, p in calls.values()))
        return given

    def _trace(self, call: Completion, unread: int) -> None:
        p = call.prompt
        row = {
            "key": p.key,
            "request": p.request,
            "items": p.items,
            "pictures": len(p.frames),
            "samples": len(p.seeds),
            "unread": unread,
            "seconds": round(call.seconds, 6),
            "tokens_in": call.tokens_in,
            "tokens_out": call.tokens_out,
            "retries": call.retries,
        }
        with (self.trace or Path()).open("ab") as file:
            file.write(orjson.dumps(row) + b"\n")

    def _prompt(self, request: Request, samples: int, temperature: float) -> Call:
        text = self.templates.render(request)
        items = request.items if isinstance(request, Several) else (request,)
        video = self.video and request.clip and len(request.frames) > 1
        asked = {
            "request": request.name,
            "text": text,
            "frames": [[f.video, f.at] for f in request.frames],
            "samples": samples,
            "temperature": temperature,
            "seed": self.seed,
            **({"video": True} if video else {}),
        }
        whole = hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()
        seeds = tuple(
            int(hashlib.sha256(f"{whole}/{i}".encode()).hexdigest()[:15], 16)
            for i in range(samples)
        )
        schema = self.templates.schema(request)
        return Call(whole[:12], items[0].name, text, request.frames, temperature, seeds, schema,
                      len(items), video, whole)  # fmt: skip


def _shown(frames: tuple[Frame, ...]) -> tuple[tuple[str, int], ...]:
    return tuple((f.video, f.at) for f in frames)


@dataclass(frozen=True)
class Vote:
    """One thing that sampled answers agree on."""

    value: Any
    trust: Trust
    origin: Origin


def vote(
    ballots: Sequence[Sequence[tuple[Hashable, Any]]],
    keys: Sequence[str],
    asked: int,
    keep: float,
) -> list[Vote]:
    """Count ballots: each holds (what is compared, value) pairs, counted once a ballot.

    A value's confidence is the share of the `asked` samples that hold it; those below `keep`
    are left out. The order is that of first appearance; the first wording stays.
    """
    count: Counter[Hashable] = Counter()
    first: dict[Hashable, Any] = {}
    origin: dict[Hashable, dict[str, None]] = {}
    for ballot, key in zip(ballots, keys, strict=True):
        for compared, value in dict(ballot).items():
            count[compared] += 1
            first.setdefault(compared, value)
            origin.setdefault(compared, {})[key] = None
    return [
        Vote(first[c], Trust(votes=n, asked=asked), Origin(asks=tuple(origin[c])))
        for c, n in count.items()
        if n / asked >= keep
    ]


def name_objects(unit: Fsg) -> dict[str, Mention]:
    """How requests name each object: label, number among its keyframe's equals, attributes."""
    attributes: dict[str, list[str]] = {}
    for a in unit.attributes:
        attributes.setdefault(a.owner, []).append(a.value)
    alike: dict[tuple[str, str], list[str]] = {}
    for o in unit.objects:
        alike.setdefault((o.id.split("/", 1)[0], normal(o.label)), []).append(o.id)
    labels = {o.id: o.label for o in unit.objects}
    return {
        o: Mention(
            label=labels[o],
            number=number,
            of=len(group),
            attributes=tuple(attributes.get(o, ())),
        )
        for group in alike.values()
        for number, o in enumerate(group, 1)
    }
