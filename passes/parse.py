"""parse: build a frame scene graph per keyframe by sampled requests and voting.   clips → fsg"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from stepc.ir import types as t
from stepc.ir.words import inverse, normal, plain
from stepc.languages import normalised
from stepc.model.client import Vote, name_objects, vote
from stepc.model.requests import Classify, Describe, ListObjects, Narrate, Relate, Request
from stepc.passmanager.base import Pass, Tools

if TYPE_CHECKING:
    from stepc.model.plan import Plan, VideoStats


class Parse(Pass[t.Clips, t.Fsg]):
    """Semantics parsing (section 3.1): narrative, objects, kinds, attributes, relations.

    Every request is sampled. An element's confidence is the fraction of answers that contain it;
    elements below `keep` are dropped (the first half of dual verification). Where too few replies could be
    read for any element to be kept, the graph has a gap.
    """

    uses: ClassVar[frozenset[str]] = frozenset(["model"])

    samples: int = Field(3, ge=1)
    """Samples per request (the paper gives no number)."""
    temperature: float = Field(0.7, ge=0)
    """Sampling temperature; 0 makes all samples equal."""
    keep: float = Field(0.5, gt=0, le=1)
    """Minimum confidence of an element (the paper gives no number)."""
    objects: int = Field(12, ge=1)
    """Maximum objects per keyframe; the number of pairs grows quadratically."""

    def plan(self, about: VideoStats, costs: Plan) -> None:
        a, k = about.assume, about.keyframes
        narratives = min(self.samples, a.narratives or self.samples)
        costs.add(Narrate, k, 1, 1, self.samples)
        costs.add(ListObjects, k * narratives, 1, 1)
        costs.naive += k * (self.samples - narratives)
        costs.add(Classify, k, a.objects, 1, self.samples)
        costs.add(Describe, k, a.objects, 1, self.samples)
        costs.add_pairs(Relate, k, a.objects, 1, self.samples)

    def run(self, unit: t.Clips, tools: Tools) -> t.Fsg:
        fsg = self._objects(unit, tools)
        fsg = self._attributes(fsg, tools)
        return self._relations(fsg, tools)

    def _ask(self, tools: Tools, requests: list[Request], samples: int | None = None) -> list[Any]:
        n = samples or self.samples
        return tools.ask().ask(requests, samples=n, temperature=self.temperature)

    def _unread(self, read: int) -> bool:
        """Whether so few replies of a request could be read that nothing can be kept."""
        return read < self.keep * self.samples

    def _objects(self, unit: t.Clips, tools: Tools) -> t.Fsg:
        frames = {k.id: t.Frame(video=unit.video.sha256, at=k.at) for k in unit.keyframes.values()}
        told = self._ask(tools, [Narrate(frames=(f,)) for f in frames.values()])
        lists: list[Request] = []
        whose: list[str] = []
        for frame_id, reply in zip(frames, told, strict=True):
            for answer in reply.read:
                whose.append(frame_id)
                lists.append(ListObjects(frames=(frames[frame_id],), narrative=answer.narrative))
        listed: dict[str, list[tuple[str, tuple[str, ...]]]] = {f: [] for f in frames}
        for frame_id, reply in zip(whose, self._ask(tools, lists, 1), strict=True):
            for answer in reply.read:
                listed[frame_id].append((reply.key, answer.objects))
        found: list[tuple[str, Vote]] = []
        gaps: list[t.Gap] = []
        for frame_id, answers in listed.items():
            votes = vote(
                [_numbered(labels) for _, labels in answers],
                [key for key, _ in answers],
                self.samples,
                self.keep,
            )
            asked = {c for _, labels in answers for c, _ in _numbered(labels)}
            tools.counts.add("objects dropped: few votes", len(asked) - len(votes))
            tools.counts.add("objects dropped: too many", max(0, len(votes) - self.objects))
            found += [(frame_id, v) for v in votes[: self.objects]]
            if self._unread(len(answers)) or len(votes) > self.objects:
                gaps.append(t.Gap(where=frame_id, what="object"))
        names = t.ordinals(f"{frame_id}/{t.slug(v.value)}" for frame_id, v in found)
        nodes = [
            t.Object(
                op="static",
                id=name,
                label=v.value,
                frames=(frame_id,),
                trust=v.trust,
                origin=v.origin,
            )
            for name, (frame_id, v) in zip(names, found, strict=True)
        ]
        fsg = t.raise_to(t.Fsg, unit, objects=tuple(nodes), gaps=tuple(gaps))
        return self._kinds(fsg, frames, tools)

    def _kinds(self, fsg: t.Fsg, frames: dict[str, t.Frame], tools: Tools) -> t.Fsg:
        named = name_objects(fsg)
        requests: list[Request] = [
            Classify(frames=(frames[o.frames[0]],), target=named[o.id]) for o in fsg.objects
        ]
        made = []
        gaps = list(fsg.gaps)
        for o, reply in zip(fsg.objects, self._ask(tools, requests), strict=True):
            count = Counter(a.kind for a in reply.read)
            if not count:
                tools.counts.add("objects of unknown kind, taken as static")
                gaps.append(t.Gap(where=o.id, what="motion"))
            op = "dynamic" if count["dynamic"] > count["static"] else "static"
            origin = t.Origin(asks=tuple(dict.fromkeys((*o.origin.asks, reply.key))))
            nouns = Counter(a.noun for a in reply.read if a.noun)
            noun = nouns.most_common(1)[0][0] if nouns else None
            made.append(o.model_copy(update={"op": op, "noun": noun, "origin": origin}))
        return fsg.evolve(objects=tuple(made), gaps=tuple(dict.fromkeys(gaps)))

    def _attributes(self, fsg: t.Fsg, tools: Tools) -> t.Fsg:
        named, times = name_objects(fsg), fsg.keyframes
        requests: list[Request] = [
            Describe(
                frames=(t.Frame(video=fsg.video.sha256, at=times[o.frames[0]].at),),
                target=named[o.id],
            )
            for o in fsg.objects
        ]
        made: list[t.Attribute] = []
        gaps = list(fsg.gaps)
        for o, reply in zip(fsg.objects, self._ask(tools, requests), strict=True):
            if self._unread(len(reply.read)):
                gaps.append(t.Gap(where=o.id, what="attr"))
            ballots = [
                [((a.kind, plain(a.value)), a) for a in _plain_kinds(answer.attributes)]
                for answer in reply.read
            ]
            votes = vote(ballots, [reply.key] * len(ballots), self.samples, self.keep)
            said = {c for b in ballots for c, _ in b}
            tools.counts.add("attributes dropped: few votes", len(said) - len(votes))
            names = t.ordinals(f"{o.id}/{t.slug(v.value.value)}" for v in votes)
            made += [
                t.Attribute(
                    id=name,
                    kind=v.value.kind,
                    value=v.value.value,
                    frames=o.frames,
                    trust=v.trust,
                    origin=v.origin,
                )
                for name, v in zip(names, votes, strict=True)
            ]
        return fsg.evolve(attributes=tuple(made), gaps=tuple(dict.fromkeys(gaps)))

    def _relations(self, fsg: t.Fsg, tools: Tools) -> t.Fsg:
        named, times = name_objects(fsg), fsg.keyframes
        pairs = [
            (a, b)
            for i, a in enumerate(fsg.objects)
            for b in fsg.objects[i + 1 :]
            if a.frames == b.frames
        ]
        requests: list[Request] = [
            Relate(
                frames=(t.Frame(video=fsg.video.sha256, at=times[a.frames[0]].at),),
                subject=named[a.id],
                object=named[b.id],
            )
            for a, b in pairs
        ]
        made: list[t.Relation] = []
        gaps = list(fsg.gaps)
        for (a, b), reply in zip(pairs, self._ask(tools, requests), strict=True):
            if self._unread(len(reply.read)):
                gaps.append(t.Gap(where=a.id, what="rel", other=b.id))
            ballots = [
                [(plain(normalised(p)), normalised(p)) for p in answer.predicates if plain(p)]
                for answer in reply.read
            ]
            votes = vote(ballots, [reply.key] * len(ballots), self.samples, self.keep)
            said = {c for ballot in ballots for c, _ in ballot}
            tools.counts.add("relations dropped: few votes", len(said) - len(votes))
            for v in votes:
                if any(_contradicts(v, other) for other in votes):
                    tools.counts.add("relations dropped: contradicted by more votes")
                    continue
                made.append(
                    t.Relation(
                        subject=a.id,
                        object=b.id,
                        predicate=v.value,
                        frames=a.frames,
                        trust=v.trust,
                        origin=v.origin,
                    )
                )
        return fsg.evolve(relations=tuple(made), gaps=tuple(dict.fromkeys(gaps)))


def _numbered(labels: tuple[str, ...]) -> list[tuple[tuple[str, int], str]]:
    """Number equal labels, so that two cups are two objects."""
    count: Counter[str] = Counter()
    numbered = []
    for label in labels:
        count[normal(label)] += 1
        numbered.append(((normal(label), count[normal(label)]), label))
    return numbered


def _plain_kinds(attributes: tuple[Any, ...]) -> list[Any]:
    """Normalise the kind of each attribute to a lower-case slug."""
    return [a.model_copy(update={"kind": t.slug(a.kind)}) for a in attributes]


def _contradicts(weak: Vote, strong: Vote) -> bool:
    """Whether `strong` states the inverse of an antisymmetric `weak` with at least as many votes."""
    back = inverse(weak.value)
    differs = back is not None and back != plain(weak.value) and back == plain(strong.value)
    return differs and strong.trust.votes >= weak.trust.votes
