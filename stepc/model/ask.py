"""Asking a Video-LLM: requests in, typed answers out, n samples each, in batches.

A call's key is a hash of what is asked (request, instruction, keyframes, sampling), so that a
cassette can be played without the video, and so that equal questions are asked once.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import orjson

from stepc.diagnostics import Statistics
from stepc.ir.meaning import normal
from stepc.ir.types import Frame, Fsg, Origin, Trust
from stepc.model.prompts import Templates
from stepc.model.requests import Answer, Mention, Request
from stepc.video import Pictures


@dataclass(frozen=True)
class Prompt:
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


class Backend(Protocol):
    """Anything that answers prompts with texts."""

    identity: str
    """What the manifest calls the model: its name and a hash of its weights."""
    templates: str
    """The set of templates it is spoken to with, unless the user names another."""

    def generate(self, prompts: Sequence[Prompt], pictures: Pictures) -> list[list[str]]:
        """For each prompt one text a seed; a prompt's texts depend on nothing but it."""


@dataclass(frozen=True)
class Reply:
    """The typed answers to one request; None for a sample that could not be read."""

    key: str
    answers: tuple[Any, ...]

    @property
    def read(self) -> list[Any]:
        """The answers that could be read."""
        return [a for a in self.answers if a is not None]


@dataclass
class Asker:
    """A model as passes see it."""

    backend: Backend
    templates: Templates
    pictures: Pictures
    seed: int = 0
    counts: Statistics = field(default_factory=Statistics)
    trace: Path | None = None
    """A file of JSON lines: each call, what it was about, how long it took, what became of it."""

    def ask(
        self, requests: Sequence[Request], *, samples: int = 1, temperature: float = 0.0
    ) -> list[Reply]:
        """The replies, in order. Raises StepcError if the model cannot be asked at all."""
        prompts = [self._prompt(r, samples, temperature) for r in requests]
        different = list({p.key: p for p in prompts}.values())
        texts: dict[str, list[str]] = {}
        began = time.perf_counter()
        if different:
            given = self.backend.generate(different, self.pictures)
            texts = {p.key: t for p, t in zip(different, given, strict=True)}
        self.counts.add("model calls", sum(len(p.seeds) for p in different))
        replies = []
        for request, prompt in zip(requests, prompts, strict=True):
            answers: list[Answer | None] = [
                self.templates.read(request, text) for text in texts[prompt.key]
            ]
            lost = sum(a is None for a in answers)
            if lost:
                self.counts.add("votes lost to unreadable replies", lost)
            replies.append(Reply(prompt.key, tuple(answers)))
        if self.trace is not None and different:
            self._traced(different, replies, time.perf_counter() - began)
        return replies

    def _traced(self, prompts: list[Prompt], replies: list[Reply], seconds: float) -> None:
        """Write a line for each call; of a server its own time, else the batch's share."""
        unread = {r.key: sum(a is None for a in r.answers) for r in replies}
        calls: dict[str, dict[str, Any]] = getattr(self.backend, "calls", {})
        with (self.trace or Path()).open("ab") as file:
            for p in prompts:
                row = {
                    "key": p.key,
                    "request": p.request,
                    "pictures": len(p.frames),
                    "samples": len(p.seeds),
                    "unread": unread[p.key],
                    "seconds": round(seconds / len(prompts), 6),
                    **calls.pop(p.key, {}),
                }
                file.write(orjson.dumps(row) + b"\n")

    def _prompt(self, request: Request, samples: int, temperature: float) -> Prompt:
        text = self.templates.render(request)
        asked = {
            "request": request.name,
            "text": text,
            "frames": [[f.video, f.at] for f in request.frames],
            "samples": samples,
            "temperature": temperature,
            "seed": self.seed,
        }
        whole = hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()
        seeds = tuple(
            int(hashlib.sha256(f"{whole}/{i}".encode()).hexdigest()[:15], 16)
            for i in range(samples)
        )
        schema = self.templates.schema(request)
        return Prompt(whole[:12], request.name, text, request.frames, temperature, seeds, schema)


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
