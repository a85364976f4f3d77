"""deny: ask the model for the negatives that questions need.   stsg → stsg"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pydantic import Field

from stepc.ir import types as t
from stepc.ir.graph import entities, statements
from stepc.ir.words import plain
from stepc.model.client import Mentions
from stepc.model.requests import (
    AttributeClaim,
    Claim,
    Confirm,
    MotionClaim,
    RelationClaim,
)
from stepc.passmanager.base import Pass, Tools
from stepc.sampling.edge_table import EdgeTable
from stepc.sampling.graph_facts import OpenFact
from stepc.sampling.unproved import unproved

if TYPE_CHECKING:
    from stepc.model.plan import Plan, VideoStats


FACTS = 6
"""Assumed questions to the model for each question that needs a negative."""


class Verifying(NamedTuple):
    """Whether a fact holds, at one keyframe or between two."""

    fact: OpenFact
    at: tuple[str, ...]
    """The keyframes that are shown."""
    ends: tuple[str, ...]
    """The objects that it is about: subject and object, or one object at each keyframe."""
    request: Confirm


class Deny(Pass[t.Stsg, t.Stsg]):
    """Verified negatives: "no" as a fact, with votes and the model's calls.

    A graph states what is the case. That it does not state something is no proof that it is not so, and no
    question is answered by "no" without a fact that says so. For each block of the spec with `deny`, this
    pass draws questions that need such facts, and asks the model about each of them at each keyframe. What
    all replies deny becomes a denied fact. What most replies affirm is a gap: the graph does not state it,
    but it may be so.
    """

    uses: ClassVar[frozenset[str]] = frozenset(["model", "seed", "drawing"])

    samples: int = Field(3, ge=1)
    """Replies per question. All of them must say no."""
    temperature: float = Field(0.7, ge=0)
    """Sampling temperature."""
    most: int = Field(100, ge=1)
    """Maximum number of questions about one video."""

    def plan(self, about: VideoStats, costs: Plan) -> None:
        facts = about.denials * FACTS
        costs.add(Confirm, 1, min(self.most, facts), 1, self.samples)

    def run(self, unit: t.Stsg, tools: Tools) -> t.Stsg:
        if not any(b.deny for b in tools.the_spec().blocks):
            return unit
        questions = self._questions(unit, tools)
        requests = [q.request for q in questions]
        replies = (
            tools.ask().ask(requests, samples=self.samples, temperature=self.temperature)
            if requests
            else []
        )
        denied: dict[tuple[OpenFact, tuple[str, ...]], list[tuple[Verifying, str]]] = {}
        gaps: list[t.Gap] = []
        for q, reply in zip(questions, replies, strict=True):
            said = [r.yes for r in reply.read]
            if len(said) == self.samples and not any(said):
                tools.counts.add("denied")
                denied.setdefault((q.fact, q.ends), []).append((q, reply.key))
            elif sum(said) * 2 > self.samples:
                tools.counts.add("affirmed, so not known")
                gaps.append(_gap(unit, q))
            else:
                tools.counts.add("not decided")
        taken = {a.id for a in (*unit.attributes, *unit.denied) if isinstance(a, t.Attribute)}
        made = [self._fact(unit, shown, taken) for shown in denied.values()]
        return unit.evolve(
            denied=(*unit.denied, *made), gaps=tuple(dict.fromkeys([*unit.gaps, *gaps]))
        )

    def _fact(self, unit: t.Stsg, shown: list[tuple[Verifying, str]], taken: set[str]) -> t.Denied:
        """The denied fact of questions about the same objects at several keyframes. `taken`: ids in use."""
        fact, ends = shown[0][0].fact, shown[0][0].ends
        frames = tuple(f for q, _ in shown for f in q.at)
        trust = t.Trust(votes=0, asked=self.samples, verdict="no")
        origin = t.Origin(asks=tuple(dict.fromkeys(key for _, key in shown)))
        if fact.edge == "rel":
            return t.Relation(subject=ends[0], object=ends[1], predicate=fact.word,
                              frames=frames, trust=trust, origin=origin)  # fmt: skip
        if fact.edge == "attr":
            name = f"{ends[0]}/{t.slug(fact.word)}"
            ids = (name, *(f"{name}.{i}" for i in range(2, 10_000)))
            taken.add(new := next(x for x in ids if x not in taken))
            return t.Attribute(id=new, kind=fact.kind, value=fact.word,
                               frames=frames, trust=trust, origin=origin)  # fmt: skip
        start, end = (unit.keyframes[f].at for f in frames)
        return t.Motion(source=ends[0], target=ends[1], motion=fact.word,
                        start=start, end=end, trust=trust, origin=origin)  # fmt: skip

    def _questions(self, unit: t.Stsg, tools: Tools) -> list[Verifying]:
        """What the blocks need, at most `most` questions."""
        spec = tools.the_spec()
        table = EdgeTable(unit, spec.language)
        ask = _Asking(unit)
        made: dict[tuple[object, ...], Verifying] = {}
        for block in (b for b in spec.blocks if b.deny):
            rng = tools.rng(unit, f"deny {block.name}", block.seed)
            wanted = 0
            for facts in unproved(table, spec, block, rng):
                new = [q for fact in facts for q in ask.about(fact)]
                whole = {q.fact for q in new} == {*facts}
                named = {(*q.fact[:3], plain(q.fact.word), q.fact.kind, q.at): q for q in new}
                if not whole or len(named.keys() | made.keys()) > self.most:
                    continue
                made = named | made
                wanted += 1
                if wanted == block.deny:
                    break
            tools.counts.add("questions that need a negative", wanted)
        return list(made.values())


class _Asking:
    """Makes verifying questions about the things of one graph."""

    def __init__(self, unit: t.Stsg) -> None:
        self.unit, self.named = unit, Mentions(unit)
        self.times = unit.keyframes
        self.seen: dict[int, dict[str, t.Object]] = {}
        """Entity → keyframe → the object there."""
        entity = entities(unit)
        for o in unit.objects:
            self.seen.setdefault(entity[o.id], {}).update(dict.fromkeys(o.frames, o))
        self.denied = {key for e in unit.denied for key in statements(e)}
        self.labels = {
            (t.clip_of(o.id), plain(o.label), e) for e, at in self.seen.items() for o in at.values()
        }

    def about(self, fact: OpenFact) -> list[Verifying]:
        """The questions whether a fact holds; none if it is about one of several things of one label."""
        near, far = self.seen[fact.near], self.seen.get(fact.far if fact.far is not None else -1)
        if not self._alone(fact.near) or (fact.far is not None and not self._alone(fact.far)):
            return []
        order = [f for f in self.times if f in near]
        if fact.edge == "motion":
            pairs = pairwise(order)
            made = [
                self._question(fact, pair, (near[pair[0]].id, near[pair[1]].id))
                for pair in pairs
                if all(near[f].op == "dynamic" for f in pair)
            ]
        elif far is None:
            made = [self._question(fact, (f,), (near[f].id,)) for f in order]
        else:
            both = [f for f in order if f in far]
            made = [self._question(fact, (f,), (near[f].id, far[f].id)) for f in both]
        return [
            q
            for q in made
            if (fact.edge, q.ends, plain(fact.word), fact.kind, q.at) not in self.denied
        ]

    def _alone(self, entity: int) -> bool:
        """Whether a thing has a label of its own in its clip, so that a question can name it."""
        mine = {x[:2] for x in self.labels if x[2] == entity}
        return not any(x[:2] in mine for x in self.labels if x[2] != entity)

    def _question(self, fact: OpenFact, at: tuple[str, ...], ends: tuple[str, ...]) -> Verifying:
        target = self.named.at(ends[0], at[0])
        claim: Claim
        if fact.edge == "rel":
            claim = RelationClaim(
                subject=target, predicate=fact.word, object=self.named.at(ends[1], at[0])
            )
        elif fact.edge == "attr":
            claim = AttributeClaim(target=target, kind=fact.kind, value=fact.word)
        else:
            claim = MotionClaim(target=target, motion=fact.word)
        frames = tuple(t.Frame(video=self.unit.video.sha256, at=self.times[f].at) for f in at)
        return Verifying(fact, at, ends, Confirm(frames=frames, claim=claim))


def _gap(unit: t.Stsg, q: Verifying) -> t.Gap:
    """The gap for what a question asks about."""
    frame = q.at[0]
    if q.fact.edge == "motion":
        return t.Gap(where=q.ends[0], what="motion", other=q.ends[1])
    parts = {o.id: [o.id, *o.origin.nodes] for o in unit.objects if o.id in q.ends}
    there = [next((n for n in parts[x] if t.frame_of(n) == frame), None) for x in q.ends]
    if q.fact.edge == "attr":
        return t.Gap(where=there[0] or frame, what="attr")
    if None in there:
        return t.Gap(where=frame, what="rel")
    return t.Gap(where=there[0] or frame, what="rel", other=there[1])
