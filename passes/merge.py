"""merge: merge static objects within a clip, add motion edges for dynamic ones.   fsg → tsg"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from stepc.ir import types as t
from stepc.ir.coreference import IdentityGroups, appearances, pair_up
from stepc.ir.words import plain
from stepc.languages import normalised
from stepc.model.client import name_objects, vote
from stepc.model.requests import DescribeMotion, SameObject
from stepc.passmanager.base import Pass, Tools

if TYPE_CHECKING:
    from stepc.model.plan import Plan, VideoStats


class Merge(Pass[t.Fsg, t.Tsg]):
    """Dynamic merging (section 3.1).

    Identical static objects in a clip's keyframes become one node, which takes over their attributes
    and edges. A dynamic object gets a motion edge, with its interval, between each two consecutive
    keyframes in which it appears.
    """

    uses: ClassVar[frozenset[str]] = frozenset(["model"])

    samples: int = Field(3, ge=1)
    """Samples per motion."""
    temperature: float = Field(0.7, ge=0)
    """Sampling temperature."""
    keep: float = Field(0.5, gt=0, le=1)
    """Minimum confidence of a motion."""
    identity: Literal["doubt", "label"] = "doubt"
    """Unclear pairs of objects with equal labels: `doubt` asks the model, `label` takes them as identical."""

    def plan(self, about: VideoStats, costs: Plan) -> None:
        a = about.assume
        costs.add(DescribeMotion, about.pairs, a.objects * a.moving, 2, self.samples)
        if self.identity == "doubt":
            costs.add(SameObject, about.pairs, a.doubtful, 2)

    def run(self, unit: t.Fsg, tools: Tools) -> t.Tsg:
        groups = self._identify(unit, tools)
        tracks = groups.groups()
        ops = {o.id: o.op for o in unit.objects}
        kinds = {root: _kind(ops[m] for m in members) for root, members in tracks.items()}
        names: dict[str, str] = {}
        for root, members in tracks.items():
            if kinds[root] == "static":
                clip = t.clip_of(root)
                taken = set(names.values())
                name = f"{clip}/{root.split('/', 1)[1].split('.')[0]}"
                made = next(
                    n for n in (name, *(f"{name}.{i}" for i in range(2, 10_000))) if n not in taken
                )
                names |= dict.fromkeys(members, made)
        tools.counts.add("static nodes merged into another", sum(
            len(m) - 1 for r, m in tracks.items() if kinds[r] == "static"))  # fmt: skip
        objects, attributes = self._nodes(unit, tracks, kinds, names, tools)
        tsg = t.raise_to(
            t.Tsg,
            unit,
            objects=tuple(objects),
            attributes=tuple(attributes),
            relations=tuple(_reattached(unit.relations, names)),
            denied=tuple(_denied(unit, names)),
        )
        moving = [members for root, members in tracks.items() if kinds[root] == "dynamic"]
        return self._motions(tsg, moving, tools)

    def _identify(self, unit: t.Fsg, tools: Tools) -> IdentityGroups:
        look, named, times = appearances(unit), name_objects(unit), unit.keyframes
        groups = IdentityGroups((o.id, o.frames[0]) for o in unit.objects)
        doubtful: list[tuple[str, str]] = []
        for clip in unit.clips:
            frames = [k.id for k in clip.keyframes]
            there = {f: [o.id for o in unit.objects if o.frames[0] == f] for f in frames}
            for i, later in enumerate(frames):
                for earlier in reversed(frames[:i]):
                    sure, doubt = pair_up(there[earlier], there[later], look)
                    for one, other in sure:
                        groups.join(one, other)
                    if earlier == frames[i - 1]:
                        doubtful += doubt
        if self.identity == "label":
            for one, other in doubtful:
                groups.join(one, other)
            return groups
        doubtful = [(a, b) for a, b in doubtful if groups.root(a) != groups.root(b)]
        requests = [
            SameObject(
                frames=tuple(
                    t.Frame(video=unit.video.sha256, at=times[t.frame_of(x) or ""].at)
                    for x in (a, b)
                ),
                first=named[a],
                second=named[b],
            )
            for a, b in doubtful
        ]
        for (a, b), reply in zip(doubtful, tools.ask().ask(requests), strict=True):
            tools.counts.add("identities asked about")
            if reply.read and reply.read[0].yes and not groups.join(a, b):
                tools.counts.add("identities refused: two of one keyframe")
        return groups

    def _nodes(
        self,
        unit: t.Fsg,
        tracks: dict[str, list[str]],
        kinds: dict[str, str],
        names: dict[str, str],
        tools: Tools,
    ) -> tuple[list[t.Object], list[t.Attribute]]:
        by_id = {o.id: o for o in unit.objects}
        owned: dict[str, list[t.Attribute]] = {}
        for a in unit.attributes:
            owned.setdefault(a.owner, []).append(a)
        order = {k: i for i, k in enumerate(unit.keyframes)}
        objects: list[t.Object] = []
        attributes: list[t.Attribute] = []
        for root, members in tracks.items():
            seen = sorted((by_id[m] for m in members), key=lambda o: order[o.frames[0]])
            if kinds[root] == "dynamic":
                noun = _noun(seen)
                objects += [o.model_copy(update={"op": "dynamic", "noun": noun}) for o in seen]
                attributes += [a for o in seen for a in owned.get(o.id, ())]
                continue
            objects.append(
                t.Object(
                    op="static",
                    id=names[root],
                    label=seen[0].label,
                    noun=_noun(seen),
                    frames=tuple(o.frames[0] for o in seen),
                    trust=_together(seen),
                    origin=_origin(seen),
                )
            )
            attributes += self._attributes(names[root], seen, owned, tools)
        place = {o.id: i for i, o in enumerate(objects)}
        objects.sort(key=lambda o: (order[o.frames[0]], place[o.id]))
        return objects, attributes

    def _attributes(
        self,
        name: str,
        seen: list[t.Object],
        owned: dict[str, list[t.Attribute]],
        tools: Tools,
    ) -> list[t.Attribute]:
        """Merge the attributes of a node: adds up votes, and resolves contradictions by votes."""
        asked = sum(o.trust.asked for o in seen)
        same: dict[tuple[str, str], list[t.Attribute]] = {}
        for o in seen:
            for a in owned.get(o.id, ()):
                same.setdefault((a.kind, plain(a.value)), []).append(a)
        votes = {key: sum(a.trust.votes for a in found) for key, found in same.items()}
        kept = []
        for key, found in same.items():
            frames = {f for a in found for f in a.frames}
            contenders = [
                other
                for other, theirs in same.items()
                if other[0] == key[0]
                and other != key
                and not frames & {f for a in theirs for f in a.frames}
            ]
            if any((votes[r], key) > (votes[key], r) for r in contenders):
                tools.counts.add("attributes dropped: another keyframe's has more votes")
            else:
                kept.append(found)
        ids = t.ordinals(f"{name}/{t.slug(found[0].value)}" for found in kept)
        return [
            t.Attribute(
                id=i,
                kind=found[0].kind,
                value=found[0].value,
                frames=tuple(f for a in found for f in a.frames),
                trust=t.Trust(
                    votes=sum(a.trust.votes for a in found),
                    asked=asked,
                    verdict=_verdict(found),
                ),
                origin=_origin(found),
            )
            for i, found in zip(ids, kept, strict=True)
        ]

    def _motions(self, tsg: t.Tsg, moving: list[list[str]], tools: Tools) -> t.Tsg:
        """Add the motions.

        There is a gap where an object is seen once only, and where no motion got enough votes.
        """
        order = {k: i for i, k in enumerate(tsg.keyframes)}
        named, times = name_objects(tsg), tsg.keyframes
        pairs = []
        gaps = [t.Gap(where=c.id, what="motion") for c in tsg.clips if len(c.keyframes) < 2]
        short = {g.where for g in gaps}
        for members in moving:
            if len(members) == 1 and t.clip_of(members[0]) not in short:
                gaps.append(t.Gap(where=members[0], what="motion"))
            track = sorted(members, key=lambda m: order[t.frame_of(m) or ""])
            pairs += list(pairwise(track))
        spans = [tuple(times[t.frame_of(x) or ""].at for x in pair) for pair in pairs]
        requests = [
            DescribeMotion(
                frames=tuple(t.Frame(video=tsg.video.sha256, at=at) for at in span),
                target=named[pair[0]],
            )
            for pair, span in zip(pairs, spans, strict=True)
        ]
        replies = tools.ask().ask(requests, samples=self.samples, temperature=self.temperature)
        made = []
        for pair, span, reply in zip(pairs, spans, replies, strict=True):
            ballots = [[(plain(normalised(a.motion)), normalised(a.motion))] for a in reply.read]
            votes = vote(ballots, [reply.key] * len(ballots), self.samples, self.keep)
            if not votes:
                tools.counts.add("motions dropped: few votes")
                gaps.append(t.Gap(where=pair[0], what="motion", other=pair[1]))
                continue
            best = max(votes, key=lambda v: v.trust.votes)
            tools.counts.add("motion edges")
            made.append(
                t.Motion(
                    source=pair[0],
                    target=pair[1],
                    motion=best.value,
                    start=span[0],
                    end=span[1],
                    trust=best.trust,
                    origin=best.origin,
                )
            )
        return tsg.evolve(motions=tuple(made), gaps=tuple(dict.fromkeys([*tsg.gaps, *gaps])))


def _kind(ops: Iterable[str]) -> str:
    count = Counter(ops)
    return "dynamic" if count["dynamic"] >= count["static"] else "static"


def _verdict(elements: Iterable[t.Element]) -> Literal["yes", "no", "unasked"]:
    """The verdict on merged elements: all of them are denied, or none."""
    verdicts = {e.trust.verdict for e in elements}
    return "no" if "no" in verdicts else "yes" if "yes" in verdicts else "unasked"


def _together(seen: Sequence[t.Element]) -> t.Trust:
    return t.Trust(
        votes=sum(e.trust.votes for e in seen),
        asked=sum(e.trust.asked for e in seen),
        verdict=_verdict(seen),
    )


def _noun(seen: Sequence[t.Object]) -> t.NounClass | None:
    """What most of the merged objects are said to be; the first of several."""
    told = Counter(o.noun for o in seen if o.noun)
    return told.most_common(1)[0][0] if told else None


def _origin(elements: Sequence[t.Object | t.Attribute | t.Relation]) -> t.Origin:
    return t.Origin(
        nodes=tuple(e.id for e in elements if not isinstance(e, t.Relation)),
        asks=tuple(dict.fromkeys(k for e in elements for k in e.origin.asks)),
    )


def _reattached(relations: Iterable[t.Relation], names: dict[str, str]) -> list[t.Relation]:
    """Rename the ends of relations; merge relations that become equal, with all their keyframes."""
    same: dict[tuple[str, str, str], list[t.Relation]] = {}
    for r in relations:
        ends = names.get(r.subject, r.subject), names.get(r.object, r.object)
        same.setdefault((ends[0], plain(r.predicate), ends[1]), []).append(r)
    return [
        t.Relation(
            subject=subject,
            object=object_,
            predicate=found[0].predicate,
            frames=tuple(f for r in found for f in r.frames),
            trust=_together(found),
            origin=_origin(found),
        )
        for (subject, _, object_), found in same.items()
    ]


def _denied(unit: t.Fsg, names: dict[str, str]) -> Iterator[t.Denied]:
    """The denied facts about the merged nodes; equal ones are merged, with all their keyframes."""
    yield from (e for e in unit.denied if isinstance(e, t.Object))
    same: dict[tuple[str, str, str], list[t.Attribute]] = {}
    for a in unit.denied:
        if isinstance(a, t.Attribute):
            owner = names.get(a.owner, a.owner)
            same.setdefault((owner, a.kind, plain(a.value)), []).append(a)
    ids = t.ordinals(f"{owner}/{t.slug(found[0].value)}" for (owner, *_), found in same.items())
    for name, found in zip(ids, same.values(), strict=True):
        yield t.Attribute(
            id=name,
            kind=found[0].kind,
            value=found[0].value,
            frames=tuple(f for a in found for f in a.frames),
            trust=_together(found),
            origin=_origin(found),
        )
    yield from _reattached((r for r in unit.denied if isinstance(r, t.Relation)), names)
