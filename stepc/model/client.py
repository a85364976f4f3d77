"""The model client: sends typed requests to a Video-LLM in batches and returns typed answers.

A call's key is a hash of the request's name, the instruction, the keyframes and the sampling
parameters. A cassette can therefore be played back without the video, and equal requests are sent
only once.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from stepc.diagnostics import Diagnostic, Statistics
from stepc.ir.types import Clip, Frame, Fsg, Object, Origin, Trust, frame_of
from stepc.ir.words import normal
from stepc.model.reading import (
    CUT_OFF,
    EMPTY,
    FILTERED,
    NOTHING,
    ONLY_THOUGHT,
    REFUSED,
    TOO_LONG,
    TOO_LONG_A_PROMPT,
    TOO_MANY_PICTURES,
    UNREADABLE,
    ReadReply,
)
from stepc.model.reply import ModelReply
from stepc.model.requests import Mention, Request, Several
from stepc.runtime import watchdog as watch

if TYPE_CHECKING:
    from stepc.model.templates import Templates
    from stepc.video.decode import Pictures

Together = int | dict[str, int]
"""Maximum requests about the same keyframes per call: one number, or one per request name."""


def in_one(together: Together, request: str) -> int:
    """Return the maximum number of requests named `request` per call; 1 if not listed."""
    return together if isinstance(together, int) else together.get(request, 1)


@dataclass(frozen=True)
class Call:
    """One call: images, an instruction that follows them, and one seed per sample."""

    key: str
    request: str
    """The request's name."""
    text: str
    frames: tuple[Frame, ...]
    temperature: float
    """0 selects the most likely token (greedy decoding)."""
    seeds: tuple[int, ...]
    schema: dict[str, Any] | None = None
    """JSON schema of the reply; None if the template does not ask for JSON."""
    items: int = 1
    """Number of requests in the call."""
    video: bool = False
    """Whether the keyframes are sent as a video with time stamps instead of as images."""
    whole: str = ""
    """The full hash; `key` is its first 12 digits. Avoids collisions among millions of stored calls."""
    max_tokens: int = 64
    """Maximum tokens of the answer to each request that it holds."""
    failed: Callable[[ModelReply], bool] = field(default=lambda reply: False, compare=False)
    """Whether a reply is a failure, which is not cached: the next run asks again."""


@dataclass(frozen=True)
class Completion:
    """A completed call."""

    prompt: Call
    replies: tuple[ModelReply, ...]
    """One reply per seed."""
    seconds: float = 0.0
    """Duration of the call; for a call in a batch, its share of the batch's duration."""
    tokens_in: int = 0
    tokens_out: int = 0
    retries: int = 0
    """Number of retries."""
    asked: bool = True
    """Whether the model was called; False if the replies come from the cache."""
    tokens_cached: int = 0
    """Input tokens that the server had in its prefix cache, as far as it tells."""

    @classmethod
    def of(cls, prompt: Call, texts: Iterable[str]) -> Completion:
        """A completed call whose replies are plain texts that ended by themselves."""
        return cls(prompt, tuple(map(ModelReply, texts)))

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts of the replies."""
        return tuple(reply.text for reply in self.replies)


class Backend(Protocol):
    """Protocol of everything that answers calls: local models, servers, cassettes, caches."""

    identity: str
    """The model's name and a hash of its weights, as written to the manifest."""
    templates: str
    """The model's template set; used unless the user selects another."""
    together: Together
    """Number of requests about the same keyframes that the model answers reliably in one call."""

    def generate(
        self, prompts: Iterable[Call], pictures: Pictures, done: Callable[[Completion], None]
    ) -> None:
        """Answer each call, in any order, and pass each completion to `done` as soon as it is ready.

        The reply to a call must not depend on the other calls.
        """


FAILED = "votes lost to unreadable replies"
"""Count of replies that failed: a pass result that lacks them is not cached."""
FEW, SMALL = 3, 0.02
"""Fewer failed replies than this, or a smaller share, are not worth a warning."""
CURES = {
    CUT_OFF: "allow longer replies: --reply-tokens 2048; models that reason need several thousand",
    EMPTY: "allow longer replies with --reply-tokens, and see `stepc model check`",
    FILTERED: "the server or the model refuses these requests, often by a content filter",
    REFUSED: "see what the server says: --trace FILE, or the server's log",
    TOO_LONG_A_PROMPT: "use smaller pictures (--picture-size 768), or a longer context at the server",
    TOO_MANY_PICTURES: "allow more pictures per request at the server (vLLM: --limit-mm-per-prompt)",
    ONLY_THOUGHT: "turn off the server's reasoning parser, or the model's reasoning (--reasoning-effort)",
    UNREADABLE: "use a server that supports JSON schemas (see `stepc model check`), or other --templates",
    TOO_LONG: "the model repeats itself; limit its replies with --reply-tokens",
}
"""What helps against each cause."""


@dataclass
class Usage:
    """Usage of a model so far: calls, replies, tokens, time."""

    calls: int = 0
    left: int = 0
    """Pending calls."""
    replies: int = 0
    unread: int = 0
    """Replies without an answer."""
    why: dict[str, int] = field(default_factory=dict)
    """Number of replies without an answer, by `REQUEST: cause` (see `stepc.model.reading`)."""
    asked: dict[str, int] = field(default_factory=dict)
    """Number of replies by request."""
    retries: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    """Time spent waiting for the model."""
    kept: int = 0
    """Calls answered from the cache."""
    tokens_cached: int = 0
    """Input tokens that the server had in its prefix cache, as far as it tells."""

    def add(self, other: Usage) -> None:
        """Add the counts of `other`."""
        for name, value in vars(other).items():
            mine = getattr(self, name)
            total = Counter(mine) + Counter(value) if isinstance(value, dict) else mine + value
            setattr(self, name, dict(total) if isinstance(total, Counter) else total)

    def losses(self) -> Iterator[Diagnostic]:
        """Yield a warning (M011) per request and cause that left many replies without an answer."""
        for key, lost in sorted(self.why.items()):
            request, _, why = key.partition(": ")
            share = lost / self.asked[request]
            if why == NOTHING or lost < FEW or share < SMALL:
                continue
            message = (
                f"{share:.0%} of the replies to `{request}` have no answer: {why}"
                f" ({lost} of {self.asked[request]})"
            )
            yield Diagnostic("M011", message, None, CURES.get(why, ""), "warning")

    @property
    def unanswered(self) -> bool:
        """Whether no reply to some kind of request has an answer."""
        lost: Counter[str] = Counter()
        for key, number in self.why.items():
            request, _, why = key.partition(": ")
            lost[request] += number * (why != NOTHING)
        return any(n >= FEW and n == self.asked[request] for request, n in lost.items())

    def cost(self, prices: tuple[float, float]) -> float:
        """Return the cost, given prices per million input tokens and per million output tokens."""
        return (self.tokens_in * prices[0] + self.tokens_out * prices[1]) / 1e6

    def text(self, prices: tuple[float, float] = (0.0, 0.0)) -> str:
        """Format as one line: calls done, cached and pending, tokens, throughput, cost, errors."""
        parts = [f"{self.calls:,} calls"]
        if self.kept:
            parts.append(f"{self.kept:,} cached")
        if self.left:
            parts.append(f"{self.left:,} left")
        parts.append(f"{self.tokens_in:,} tokens in, {self.tokens_out:,} out")
        if self.seconds > 0:
            parts.append(f"{(self.tokens_in + self.tokens_out) / self.seconds:,.0f} tokens/s")
        if any(prices):
            parts.append(f"a cost of {self.cost(prices):.2f}")
        if self.retries:
            share = self.retries / (self.calls + self.retries)
            parts.append(f"{self.retries:,} retried ({share:.1%})")
        if self.unread:
            parts.append(f"{self.unread / self.replies:.1%} of the replies without an answer")
        return ", ".join(parts)


@dataclass(frozen=True)
class Reply:
    """The typed answers to one request; None for a sample whose reply could not be parsed."""

    key: str
    """Key of the call that produced the answers."""
    answers: tuple[Any, ...]

    @property
    def read(self) -> list[Any]:
        """The answers that could be parsed."""
        return [a for a in self.answers if a is not None]


@dataclass
class ModelClient:
    """The model as passes use it: renders requests, batches and deduplicates calls, parses replies."""

    backend: Backend
    templates: Templates
    pictures: Pictures
    seed: int = 0
    counts: Statistics = field(default_factory=Statistics)
    trace: Path | None = None
    """JSONL file that receives one line per call: request, duration, tokens, unreadable replies."""
    together: Together = 1
    """Maximum requests of one kind about the same keyframes per call."""
    video: bool = False
    """Whether the keyframes of one clip are sent as a video."""
    window: int | None = None
    """Maximum keyframes that passes ask about before they go on to others (see `windows`)."""
    usage: Usage = field(default_factory=Usage)
    told: Callable[[Usage], None] | None = None
    """Called with the usage after each completed call."""
    _known: dict[str, Reply] = field(default_factory=dict)

    def ask(
        self, requests: Sequence[Request], *, samples: int = 1, temperature: float = 0.0
    ) -> list[Reply]:
        """Return one reply per request, in order. Raises StepcError if the model cannot be called.

        A request that was already answered in this pass is not sent again. Requests of one kind about
        the same keyframes share a call; those whose answer cannot be parsed are sent again in lists of half
        the length, and then one by one.
        """
        prompts = [self._prompt(r, samples, temperature) for r in requests]
        new = {p.key: r for p, r in zip(prompts, requests, strict=True) if p.key not in self._known}
        self.counts.add("calls spared: asked before", len(prompts) - len(new))
        single = {p.key: p for p in prompts if p.key in new}
        failed = 0
        for parts in (1, 2, 0):
            lists = self._lists(new, parts)
            calls: dict[str, tuple[Request, Call]] = {}
            inside: dict[str, list[str]] = {}
            for keys in lists:
                several = Several(frames=new[keys[0]].frames, items=tuple(new[k] for k in keys))
                prompt = self._prompt(several, samples, temperature)
                calls[prompt.key], inside[prompt.key] = (several, prompt), keys
            listed = {key for keys in lists for key in keys}
            calls |= {key: (r, single[key]) for key, r in new.items() if key not in listed}
            again: dict[str, Request] = {}
            for key, readings in self._call(calls).items():
                answers: list[Any] = [reading.answer for reading in readings]
                if key not in inside:
                    self._known[key] = Reply(key, tuple(answers))
                    failed += sum(reading.failed for reading in readings)
                for i, one in enumerate(inside.get(key, ())):
                    if any(a is None or a.items[i] is None for a in answers):
                        again[one] = new[one]
                    else:
                        self._known[one] = Reply(key, tuple(a.items[i] for a in answers))
            if parts:
                self.counts.add("asked again in shorter lists", len(again))
            new = again
        self.counts.add(FAILED, failed)
        return [self._known[p.key] for p in prompts]

    def windows(self, clips: Sequence[Clip]) -> Iterator[tuple[Clip, ...]]:
        """Consecutive clips with at most `window` keyframes, or one clip with more; all clips without it.

        What is asked about a keyframe later finds its picture in the server's prefix cache.
        """
        part: list[Clip] = []
        for clip in clips:
            number = sum(len(c.keyframes) for c in (*part, clip))
            if part and self.window is not None and number > self.window:
                yield tuple(part)
                part = []
            part.append(clip)
        yield tuple(part)

    def knows(self, request: type[Request]) -> bool:
        """Whether the model was made for a request: its built-in template set has it."""
        return request.name not in self.templates.lacking

    def forget(self) -> None:
        """Forget the replies of the previous pass. Call this when a pass starts."""
        self._known.clear()

    def _lists(self, new: dict[str, Request], parts: int) -> list[list[str]]:
        """Group the keys of requests that share a call. Groups of one are left out.

        Requests that could share a call are sent in at least so many `parts`, or each alone with 0.
        """
        groups: dict[tuple[str, tuple[Frame, ...]], list[str]] = {}
        for key, r in new.items():
            groups.setdefault((r.name, r.frames), []).append(key)
        lists = []
        for keys in groups.values():
            first = new[keys[0]]
            most = min(in_one(self.together, first.name), self.templates.most(first))
            count = max(-(-len(keys) // most), parts or len(keys))
            size = -(-len(keys) // count)  # groups of about equal size
            lists += [keys[i : i + size] for i in range(0, len(keys), size)]
        return [keys for keys in lists if len(keys) > 1]

    def _call(self, calls: dict[str, tuple[Request, Call]]) -> dict[str, list[ReadReply]]:
        """Send calls; return by key the reply of each sample, as read."""
        given: dict[str, list[ReadReply]] = {}
        began = time.perf_counter()
        waited = self.usage.seconds
        self.usage.left += len(calls)

        def done(call: Completion) -> None:
            watch.alive()  # a reply is progress, however long the pass takes
            request, prompt = calls[call.prompt.key]
            readings = [self.templates.reading(request, r, prompt.text) for r in call.replies]
            given[prompt.key] = readings
            unread = sum(reading.answer is None for reading in readings)
            why = dict(Counter(f"{prompt.request}: {r.why}" for r in readings if r.why))
            self.usage.add(
                Usage(int(call.asked), -1, len(readings), unread, why,
                      {prompt.request: len(readings)}, call.retries,
                      call.tokens_in, call.tokens_out, kept=not call.asked,
                      tokens_cached=call.tokens_cached)
            )  # fmt: skip
            self.usage.seconds = waited + time.perf_counter() - began
            if self.trace is not None and call.asked:
                self._trace(call, unread)
            if self.told is not None:
                self.told(self.usage)

        if calls:  # calls with equal keyframes are adjacent, so that servers can cache the prefix
            order = sorted((p for _, p in calls.values()), key=lambda p: _shown(p.frames))
            try:
                self.backend.generate(order, self.pictures, done)
            finally:
                self.usage.left = 0
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
            "began": round(time.time() - call.seconds, 6),
            "seconds": round(call.seconds, 6),
            "tokens_in": call.tokens_in,
            "tokens_cached": call.tokens_cached,
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

        def failed(reply: ModelReply) -> bool:
            return self.templates.reading(request, reply, text).failed

        return Call(whole[:12], items[0].name, text, request.frames, temperature, seeds, schema,
                      len(items), video, whole, items[0].max_tokens, failed)  # fmt: skip


def _shown(frames: tuple[Frame, ...]) -> tuple[tuple[str, int], ...]:
    return tuple((f.video, f.at) for f in frames)


@dataclass(frozen=True)
class Vote:
    """A value on which sampled answers agree, with its confidence and provenance."""

    value: Any
    trust: Trust
    origin: Origin


def vote(
    ballots: Sequence[Sequence[tuple[Hashable, Any]]],
    keys: Sequence[str],
    asked: int,
    keep: float,
) -> list[Vote]:
    """Count votes. Each ballot is one sampled answer: a list of (comparison key, value) pairs.

    Values with equal comparison keys are the same; each counts once per ballot. `keys` are the call
    keys of the ballots. A value's confidence is the share of the `asked` samples that contain it;
    values below `keep` are dropped. The result is in order of first appearance and keeps the first
    wording of each value.
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


class Mentions:
    """How requests refer to the objects of a graph, in each of the keyframes that show them.

    An object is called by its label and, if others of the keyframe have it too, by its number among them:
    from left to right if all have boxes, and else in the order in which the model listed them.
    """

    def __init__(self, unit: Fsg) -> None:
        self.attributes: dict[str, list[str]] = {}
        for a in unit.attributes:
            self.attributes.setdefault(a.owner, []).append(a.value)
        self.objects = {o.id: o for o in unit.objects}
        self.there: dict[str, list[Object]] = {}
        """Keyframe → its objects"""
        self.across = {(b.owner, b.frame): b.left + b.right for b in unit.boxes}
        for o in unit.objects:
            for frame in o.frames:
                self.there.setdefault(frame, []).append(o)

    def __getitem__(self, name: str) -> Mention:
        """How an object is mentioned in the first keyframe that shows it."""
        return self.at(name, self.objects[name].frames[0])

    def at(self, name: str, frame: str) -> Mention:
        """How an object is mentioned in a keyframe that shows it."""
        o, there = self.objects[name], self.there[frame]
        attributes = tuple(self.attributes.get(name, ()))
        alike = [x for x in there if normal(x.label) == normal(o.label)]
        alike.sort(key=lambda x: _listed(x, frame))
        if all((x.id, frame) in self.across for x in alike):
            alike.sort(key=lambda x: self.across[x.id, frame])
        number = alike.index(o) + 1
        return Mention(label=o.label, number=number, of=len(alike), attributes=attributes)


def _listed(o: Object, frame: str) -> tuple[str, int]:
    """The place of an object among those of a keyframe with its label, before anything was merged."""
    name = next((n for n in o.origin.nodes if frame_of(n) == frame), o.id)
    stem, _, number = name.partition("/")[2].rpartition(".")
    return (stem, int(number)) if number.isdecimal() and stem else (name.partition("/")[2], 1)
