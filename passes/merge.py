"""merge: merge static objects within a clip, add motion edges for dynamic ones.   fsg → tsg"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pydantic import Field

from stepc.ir import types as t
from stepc.ir.coreference import (
    IdentityGroups,
    appearances,
    groups_by_track,
    match_up,
    pair_up,
)
from stepc.ir.evidence import origin_of, trust_of, verdict_of
from stepc.ir.spans import one_span
from stepc.ir.words import normal, plain, same_relation
from stepc.languages import normalised
from stepc.model.client import Mentions, Vote, vote
from stepc.model.individuals import FOUND, InventoryMatch, first_shown
from stepc.model.requests import (
    DescribeMotion,
    DescribeTrack,
    MatchObjects,
    MatchWords,
    SameObject,
)
from stepc.model.synonyms import WordGroups, group_words
from stepc.passmanager.base import Pass, Tools

if TYPE_CHECKING:
    from stepc.model.plan import Plan, VideoStats


SHOWN = 8
"""Maximum keyframes that are shown to tell what an object does."""


class Merge(Pass[t.Fsg, t.Tsg]):
    """Dynamic merging (section 3.1).

    Identical static objects in a clip's keyframes become one node, which takes over their attributes
    and edges. A dynamic object gets a motion edge, with its interval, between each two consecutive
    keyframes in which it appears.

    Objects whose boxes are of one track are identical, and those of two tracks are not. Others are identical
    for sure if they share a name with each other and with nothing else, and no attribute conflicts. Of the
    rest, the model is shown inventories: those of the keyframes of a clip, a few at a time, beside what the
    clip has had before, whatever the names are. A moving object's keyframes are shown together, and the model
    tells what it does, phase by phase. The paper asks about pairs: `merge(identity=doubt,motions=pairs)`.
    """

    uses: ClassVar[frozenset[str]] = frozenset(["model"])

    samples: int = Field(3, ge=1)
    """Samples per motion."""
    temperature: float = Field(0.7, ge=0)
    """Sampling temperature."""
    keep: float = Field(0.5, gt=0, le=1)
    """Minimum confidence of a motion."""
    identity: Literal["frames", "doubt", "label"] = "frames"
    """Unclear identities: `frames` compares the keyframes of a clip at once, `doubt` asks about each pair of
    objects with equal labels in neighbouring keyframes, `label` takes equal labels as identical."""
    motions: Literal["track", "pairs"] = "track"
    """Whether motions are asked for a whole `track`, or for `pairs` of its keyframes."""
    again: int = Field(4, ge=0)
    """Further samples of a track where no motion has enough votes."""

    def plan(self, about: VideoStats, costs: Plan) -> None:
        a = about.assume
        if self.motions == "pairs" or not a.asks(DescribeTrack):
            costs.add(DescribeMotion, about.pairs, a.objects * a.moving, 2, self.samples)
        else:
            shown = round(about.keyframes / max(1, about.clips))
            costs.add(DescribeTrack, about.clips, a.objects * a.moving, shown, self.samples)
            costs.add(MatchWords, 1, 1, 0, self.samples)
        if self.identity == "frames" and a.asks(MatchObjects):
            shown = round(about.keyframes / max(1, about.clips))
            costs.add(MatchObjects, about.clips, 1, shown, self.samples)
        elif self.identity != "label":
            costs.add(SameObject, about.pairs, a.doubtful, 2)

    def run(self, unit: t.Fsg, tools: Tools) -> t.Tsg:
        inventories = self.identity == "frames" and tools.ask().knows(MatchObjects)
        groups = (self._by_inventory if inventories else self._by_pair)(unit, tools)
        return self._motions(*self.merged(unit, groups, tools), tools)

    def merged(
        self, unit: t.Fsg, groups: IdentityGroups, tools: Tools
    ) -> tuple[t.Tsg, list[list[str]]]:
        """The unit with one node for each static object, and the nodes of each dynamic one."""
        tracks = groups.groups()
        ops = {o.id: o.op for o in unit.objects}
        kinds = {root: _kind([ops[m] for m in members]) for root, members in tracks.items()}
        static = [root for root in tracks if kinds[root] == "static"]
        made = t.ordinals(
            f"{t.clip_of(root)}/{root.split('/', 1)[1].split('.')[0]}" for root in static
        )
        names = {m: name for root, name in zip(static, made, strict=True) for m in tracks[root]}
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
            boxes=tuple(
                b.model_copy(update={"owner": names.get(b.owner, b.owner)}) for b in unit.boxes
            ),
        )
        moving = [members for root, members in tracks.items() if kinds[root] == "dynamic"]
        return tsg, moving

    def _by_inventory(self, unit: t.Fsg, tools: Tools) -> IdentityGroups:
        """Compare the keyframes of a clip, a few at a time, with each other and with those before."""
        look, named = appearances(unit), Mentions(unit)
        groups = groups_by_track(unit)
        frames = first_shown(unit)
        there: dict[str, list[str]] = {}
        for o in unit.objects:
            there.setdefault(o.frames[0], []).append(o.id)
        seen: dict[str, list[str]] = {c.id: [] for c in unit.clips}
        """Clip → the last sight of each of its individuals."""

        def again(old: str, new: str) -> bool:
            joined = groups.join(old, new)
            if joined and old in (mine := seen[t.clip_of(old)]):
                look[new] = look[new].with_looks_of(look[old])
                mine.remove(old)
            return joined

        for start in range(0, max((len(c.keyframes) for c in unit.clips), default=0), FOUND):
            compared: list[InventoryMatch] = []
            for clip in unit.clips:
                before = list(seen[clip.id])
                for keyframe in clip.keyframes[start : start + FOUND]:
                    found = there.get(keyframe.id, [])
                    for new in found:
                        for old in [x for x in seen[clip.id] if groups.root(x) == groups.root(new)]:
                            again(old, new)
                    for old, new in match_up(seen[clip.id], found, look):
                        again(old, new)
                    seen[clip.id] += found
                new_ones = [x for x in seen[clip.id] if x not in before]
                old_ones = [x for x in before if x in seen[clip.id]]
                compared += InventoryMatch.of_many(
                    old_ones, new_ones, look, frames, groups.may_join
                )
            requests = [c.request(named) for c in compared]
            tools.counts.add("clips whose keyframes are compared", len(requests))
            replies = tools.ask().ask(requests, samples=self.samples, temperature=self.temperature)
            for c, reply in zip(compared, replies, strict=True):
                for pair in c.said_same(reply, self.keep):
                    if not again(pair.known, pair.found):
                        tools.counts.add("identities refused: two of one keyframe")
        return groups

    def _by_pair(self, unit: t.Fsg, tools: Tools) -> IdentityGroups:
        look, named, groups = appearances(unit), Mentions(unit), groups_by_track(unit)
        doubtful: list[tuple[str, str]] = []
        there: dict[str, list[str]] = {f: [] for f in unit.keyframes}
        for o in unit.objects:
            there[o.frames[0]].append(o.id)
        for clip in unit.clips:
            frames = [k.id for k in clip.keyframes]
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
        shown_in = first_shown(unit)
        requests = [
            SameObject(frames=(shown_in[a], shown_in[b]), first=named[a], second=named[b])
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
            label, *called = _names(seen)
            if kinds[root] == "dynamic":
                same = {
                    "op": "dynamic",
                    "noun": _noun(seen),
                    "label": label,
                    "called": tuple(called),
                }
                objects += [o.model_copy(update=same) for o in seen]
                attributes += [a for o in seen for a in owned.get(o.id, ())]
                continue
            objects.append(
                t.Object(
                    op="static",
                    id=names[root],
                    label=label,
                    called=tuple(called),
                    noun=_noun(seen),
                    frames=tuple(o.frames[0] for o in seen),
                    trust=trust_of(seen),
                    origin=origin_of(seen),
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
                    verdict=verdict_of(found),
                ),
                origin=origin_of(found),
            )
            for i, found in zip(ids, kept, strict=True)
        ]

    def _motions(self, tsg: t.Tsg, moving: list[list[str]], tools: Tools) -> t.Tsg:
        """Add the motions.

        There is a gap where an object is seen once only, and where no motion got enough votes.
        """
        order = {k: i for i, k in enumerate(tsg.keyframes)}
        gaps = [t.Gap(where=c.id, what="motion") for c in tsg.clips if len(c.keyframes) < 2]
        short = {g.where for g in gaps}
        tracks = []
        for members in moving:
            if len(members) == 1 and t.clip_of(members[0]) not in short:
                gaps.append(t.Gap(where=members[0], what="motion"))
            tracks.append(sorted(members, key=lambda m: order[t.frame_of(m) or ""]))
        whole = self.motions == "track" and tools.ask().knows(DescribeTrack)
        ask = self._phases if whole else self._pairs
        times = {k.id: k.at for k in tsg.keyframes.values()}
        tracks = [x for x in tracks if len(x) > 1]
        told = {x.pair: x for x in ask(tsg, tracks, self.samples, tools)}
        groups = self._grouped(told.values(), tools)
        split = {x.pair for x in told.values() if not x.votes(groups, self.keep)}
        if whole and self.again and (doubtful := [x for x in tracks if split & {*pairwise(x)}]):
            for more in ask(tsg, doubtful, self.again, tools):
                told[more.pair] = told[more.pair].with_answers(more)
            groups = self._grouped(told.values(), tools)
            tools.counts.add("motions asked about again", len(split))
        made = []
        for pair in (pair for track in tracks for pair in pairwise(track)):
            answers = told.get(pair, Told(pair, (), self.samples))
            votes = answers.votes(groups, self.keep)
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
                    motion=groups.shown("motions", best.value),
                    start=times[t.frame_of(pair[0]) or ""],
                    end=times[t.frame_of(pair[1]) or ""],
                    trust=best.trust,
                    origin=best.origin,
                )
            )
        return tsg.evolve(
            motions=tuple(made),
            gaps=tuple(dict.fromkeys([*tsg.gaps, *gaps])),
            lexicon=(*tsg.lexicon, *groups.entries),
        )

    def _grouped(self, told: Iterable[Told], tools: Tools) -> WordGroups:
        """The motions of the video, grouped by what they mean."""
        if self.motions == "pairs":
            return WordGroups("motion", plain)
        said = Counter(word for x in told for word, _ in x.answers if word)
        return group_words(
            "motion", {"motions": said}, plain, tools.ask(), self.samples, self.temperature
        )

    def _pairs(
        self, tsg: t.Tsg, tracks: list[list[str]], samples: int, tools: Tools
    ) -> Iterator[Told]:
        """Ask what each object does between two keyframes, pair by pair."""
        named, times = Mentions(tsg), tsg.keyframes
        pairs = [pair for track in tracks for pair in pairwise(track)]
        requests = [
            DescribeMotion(
                frames=tuple(
                    t.Frame(video=tsg.video.sha256, at=times[t.frame_of(x) or ""].at) for x in pair
                ),
                target=named[pair[0]],
            )
            for pair in pairs
        ]
        replies = tools.ask().ask(requests, samples=samples, temperature=self.temperature)
        for pair, reply in zip(pairs, replies, strict=True):
            answers = tuple((normalised(a.motion), reply.key) for a in reply.read)
            yield Told(pair, answers, samples)

    def _phases(
        self, tsg: t.Tsg, tracks: list[list[str]], samples: int, tools: Tools
    ) -> Iterator[Told]:
        """Ask what each object does in all keyframes of its clip, as phases."""
        named = Mentions(tsg)
        by_clip: dict[str, list[list[str]]] = {}
        for track in tracks:
            by_clip.setdefault(t.clip_of(track[0]), []).append(track)
        parts: list[tuple[list[str], dict[str, int]]] = []
        """The sights of an object in some keyframes, and the numbers of these."""
        requests = []
        for window in (x for c in tsg.clips for x in _windows(c.keyframes)):
            number = {k.id: n for n, k in enumerate(window, 1)}
            shown = tuple(t.Frame(video=tsg.video.sha256, at=k.at) for k in window)
            for track in by_clip.get(t.clip_of(window[0].id), ()):
                part = [x for x in track if (t.frame_of(x) or "") in number]
                if len(part) > 1:
                    seen = number[t.frame_of(part[0]) or ""]
                    parts.append((part, number))
                    requests.append(DescribeTrack(frames=shown, target=named[part[0]], seen=seen))
        replies = tools.ask().ask(requests, samples=samples, temperature=self.temperature)
        for (part, number), reply in zip(parts, replies, strict=True):
            for pair in pairwise(part):
                first, last = (number[t.frame_of(x) or ""] for x in pair)
                said = (
                    next((p.motion for p in a.phases if p.first <= first and last <= p.last), "")
                    for a in reply.read
                )
                answers = tuple((normalised(x) if plain(x) else "", reply.key) for x in said)
                yield Told(pair, answers, samples)


def _windows(keyframes: Sequence[t.Keyframe]) -> Iterator[Sequence[t.Keyframe]]:
    """The keyframes of a clip, as many as are shown together; each window begins with the last one before."""
    for start in range(0, max(1, len(keyframes) - 1), SHOWN - 1):
        yield keyframes[start : start + SHOWN]


class Told(NamedTuple):
    """What an object does between two consecutive sights of it."""

    pair: tuple[str, str]
    answers: tuple[tuple[str, str], ...]
    """The motion in each answer, or "", and the key of its call."""
    asked: int
    """Number of answers that were asked for."""

    def with_answers(self, more: Told) -> Told:
        """These answers and others about the same."""
        return Told(self.pair, self.answers + more.answers, self.asked + more.asked)

    def votes(self, groups: WordGroups, keep: float) -> list[Vote]:
        """The motions that have enough votes, all words of a group together."""
        ballots = [[(groups.key("motions", plain(x)), x)] if x else [] for x, _ in self.answers]
        return vote(ballots, [key for _, key in self.answers], self.asked, keep)


def _kind(ops: Sequence[str]) -> str:
    return "dynamic" if 2 * ops.count("dynamic") >= len(ops) else "static"


def _noun(seen: Sequence[t.Object]) -> t.NounClass | None:
    """What most of the merged objects are said to be; the first of several."""
    told = Counter(o.noun for o in seen if o.noun)
    return told.most_common(1)[0][0] if told else None


def _names(seen: Sequence[t.Object]) -> list[str]:
    """The names of merged objects, the one by which most votes know them first."""
    votes: Counter[str] = Counter()
    said: dict[str, str] = {}
    for o in seen:
        votes[normal(o.label)] += o.trust.votes
        for name in (o.label, *o.called):
            votes[normal(name)] += 1
            said.setdefault(normal(name), name)
    return [said[name] for name, _ in votes.most_common()]


def _reattached(relations: Iterable[t.Relation], names: dict[str, str]) -> list[t.Relation]:
    """Rename the ends of relations; merge relations that become equal, with all their keyframes."""
    same: dict[tuple[str, str, str], list[t.Relation]] = {}
    for r in relations:
        ends = names.get(r.subject, r.subject), names.get(r.object, r.object)
        same.setdefault(same_relation(ends[0], r.predicate, ends[1]), []).append(r)
    return [
        t.Relation(
            subject=names.get(found[0].subject, found[0].subject),
            object=names.get(found[0].object, found[0].object),
            predicate=found[0].predicate,
            frames=tuple(f for r in found for f in r.frames),
            during=one_span(r.during for r in found),
            trust=trust_of(found),
            origin=origin_of(found),
        )
        for found in same.values()
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
            trust=trust_of(found),
            origin=origin_of(found),
        )
    yield from _reattached((r for r in unit.denied if isinstance(r, t.Relation)), names)
