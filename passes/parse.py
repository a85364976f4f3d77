"""parse: build a frame scene graph per keyframe by sampled requests and voting.   clips → fsg"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from stepc.ir import types as t
from stepc.ir.words import inverse, normal, plain, same_relation
from stepc.languages import LANGUAGES, normalised
from stepc.model.client import Mentions, Reply, Vote, vote
from stepc.model.name_votes import (
    Labels,
    ballots_of,
    doubtful_names,
    joined_names,
    known_by,
    seen_beside,
)
from stepc.model.requests import (
    Classify,
    Describe,
    ListObjects,
    MatchNames,
    MatchWords,
    Narrate,
    Predicates,
    Relate,
    RelateAll,
    RelatedPairs,
    Request,
)
from stepc.model.synonyms import WordGroups, group_words
from stepc.passmanager.base import Pass, Tools

if TYPE_CHECKING:
    from stepc.model.plan import Plan, VideoStats


class Parse(Pass[t.Clips, t.Fsg]):
    """Semantics parsing (section 3.1): narrative, objects, kinds, attributes, relations.

    Every request is sampled. An element's confidence is the fraction of answers that contain it;
    elements below `keep` are dropped (the first half of dual verification). Where too few replies could be
    read for any element to be kept, the graph has a gap.

    A model calls one bus "bus" and "truck". Where the lists of a keyframe differ, it is asked which of their
    names mean the same object, and a vote for any of them counts for that object. It is displayed by the
    name that most lists give it, and keeps the others. The relations of a keyframe are asked for at once.
    The paper compares exact words and asks pair by pair: `parse(names=words,relate=pairs)`.
    """

    uses: ClassVar[frozenset[str]] = frozenset(["model"])

    samples: int = Field(3, ge=1)
    """Samples per request (the paper gives no number)."""
    temperature: float = Field(0.7, ge=0)
    """Sampling temperature; 0 makes all samples equal."""
    keep: float = Field(0.5, gt=0, le=1)
    """Minimum confidence of an element (the paper gives no number)."""
    faint: float = Field(0.3, gt=0, le=1)
    """Minimum confidence of an object that the keyframe before or after it in the clip shows with more votes.
    Whether it is there is for `confirm` to say."""
    objects: int = Field(12, ge=1)
    """Maximum objects per keyframe."""
    names: Literal["model", "words"] = "model"
    """What tells that two names mean one object: the `model`, or that they are the same `words`."""
    relate: Literal["frame", "pairs"] = "frame"
    """How relations are asked for: those of a whole `frame` in one request, or one request for each of its
    `pairs` of objects."""
    background: Literal["apart", "related"] = "apart"
    """Whether relations that are only places, such as "left of", are kept of background: sky, road, wall."""

    def plan(self, about: VideoStats, costs: Plan) -> None:
        a, k = about.assume, about.keyframes
        narratives = min(self.samples, a.narratives or self.samples)
        costs.add(Narrate, k, 1, 1, self.samples)
        costs.add(ListObjects, k, narratives, 1)
        costs.naive += k * (self.samples - narratives)
        costs.add(Classify, k, a.objects, 1, self.samples)
        costs.add(Describe, k, a.objects, 1, self.samples)
        if self.names == "model" and a.asks(MatchNames):
            costs.add(MatchNames, k, 1, 1, self.samples)
        if self.names == "model" and a.asks(MatchWords):
            costs.add(MatchWords, 3, 1, 0, self.samples)
        if self.relate == "pairs" or not a.asks(RelateAll):
            costs.add_pairs(Relate, k, a.objects, 1, self.samples)
        else:
            costs.add(RelateAll, k, 1, 1, self.samples)

    def run(self, unit: t.Clips, tools: Tools) -> t.Fsg:
        parts = [
            self._looked(unit.evolve(clips=clips), tools)
            for clips in tools.ask().windows(unit.clips)
        ]
        objects = [o for part in parts for o in part.objects]
        fsg = t.raise_to(
            t.Fsg,
            unit,
            objects=tuple(objects),
            gaps=tuple(
                g for gaps in ("few", "unknown") for part in parts for g in getattr(part, gaps)
            ),
        )
        unknown = sum(len(part.unknown) for part in parts)
        tools.counts.add("objects of unknown kind, taken as static", unknown)
        fsg = self._one_word(fsg, tools)
        fsg = self._attributes(fsg, [r for part in parts for r in part.described], tools)
        return self._relations(fsg, [x for part in parts for x in part.related], tools)

    def _ask(self, tools: Tools, requests: list[Request], samples: int | None = None) -> list[Any]:
        n = samples or self.samples
        return tools.ask().ask(requests, samples=n, temperature=self.temperature)

    def _unread(self, read: int) -> bool:
        """Whether so few replies of a request could be read that nothing can be kept."""
        return read < self.keep * self.samples

    def _looked(self, unit: t.Clips, tools: Tools) -> Looked:
        """Ask about some clips, as far as no question depends on what is seen in others."""
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
        matched = self._matched(
            {f: [labels for _, labels in answers] for f, answers in listed.items()}, frames, tools
        )
        known: dict[str, list[Vote]] = {}
        faint: dict[str, list[Vote]] = {}
        gaps: list[t.Gap] = []
        for frame_id, answers in listed.items():
            same, call = matched[frame_id]
            ballots = ballots_of([labels for _, labels in answers], same)
            votes = vote(
                [[(c, c) for c, _ in ballot] for ballot in ballots],
                [key for key, _ in answers],
                self.samples,
                min(self.faint, self.keep),
            )
            said: dict[object, Counter[str]] = {}
            for c, label in (x for ballot in ballots for x in ballot):
                said.setdefault(c, Counter())[label] += 1
            named = [known_by(v, said[v.value], call) for v in votes]
            sure = [v for v in named if v.trust.confidence >= self.keep]
            tools.counts.add("objects dropped: few votes", len(said) - len(sure))
            tools.counts.add("objects dropped: too many", max(0, len(sure) - self.objects))
            known[frame_id] = sure[: self.objects]
            faint[frame_id] = [v for v in named if v not in sure]
            if self._unread(len(answers)) or len(sure) > self.objects:
                gaps.append(t.Gap(where=frame_id, what="object"))
        found = self._with_faint(unit, known, faint, tools)
        names = t.ordinals(f"{frame_id}/{t.slug(v.value[0])}" for frame_id, v in found)
        nodes = [
            t.Object(
                op="static",
                id=name,
                label=v.value[0],
                called=v.value[1:],
                frames=(frame_id,),
                trust=v.trust,
                origin=v.origin,
            )
            for name, (frame_id, v) in zip(names, found, strict=True)
        ]
        return self._described(t.raise_to(t.Fsg, unit, objects=tuple(nodes)), gaps, tools)

    def _with_faint(
        self,
        unit: t.Clips,
        known: dict[str, list[Vote]],
        faint: dict[str, list[Vote]],
        tools: Tools,
    ) -> list[tuple[str, Vote]]:
        """(keyframe, object) for all that have enough votes, or that a keyframe beside shows for sure."""
        found: list[tuple[str, Vote]] = []
        for clip in unit.clips:
            shown = [k.id for k in clip.keyframes]
            for i, frame_id in enumerate(shown):
                beside = [known[f] for f in (*shown[max(0, i - 1) : i], *shown[i + 1 : i + 2])]
                more = seen_beside(faint[frame_id], known[frame_id], beside)
                more = more[: self.objects - len(known[frame_id])]
                tools.counts.add("objects kept: those of a keyframe beside", len(more))
                found += [(frame_id, v) for v in (*known[frame_id], *more)]
        return found

    def _matched(
        self, lists: dict[str, list[Labels]], frames: dict[str, t.Frame], tools: Tools
    ) -> dict[str, tuple[dict[str, str], str]]:
        """Keyframe → (name → the name that stands for all of its object, key of the call or "")."""
        made: dict[str, tuple[dict[str, str], str]] = {f: ({}, "") for f in lists}
        if self.names == "words" or not tools.ask().knows(MatchNames):
            return made
        doubtful = {f: doubtful_names(told) for f, told in lists.items()}
        doubtful = {f: names for f, names in doubtful.items() if names}
        requests: list[Request] = [
            MatchNames(frames=(frames[f],), names=tuple(names.values()))
            for f, names in doubtful.items()
        ]
        for (f, names), reply in zip(doubtful.items(), self._ask(tools, requests), strict=True):
            readings = [[frozenset(map(normal, g)) for g in a.same] for a in reply.read]
            same = joined_names(list(names), readings)
            tools.counts.add(
                "names of an object that has another", len(set(same) - {*same.values()})
            )
            made[f] = same, reply.key
        return made

    def _grouped(
        self,
        of: t.WordKind,
        said: dict[str, Counter[str]],
        compare: Callable[[str], str],
        tools: Tools,
    ) -> WordGroups:
        """The words of the whole video, grouped by what they mean."""
        if self.names == "words":
            return WordGroups(of, compare)
        return group_words(of, said, compare, tools.ask(), self.samples, self.temperature)

    def _one_word(self, fsg: t.Fsg, tools: Tools) -> t.Fsg:
        """Display objects of the same kind by the same word in the whole video."""
        said: Counter[str] = Counter()
        for o in fsg.objects:
            said[o.label] += 2
            said.update(o.called)
        groups = self._grouped("label", {"objects": said}, normal, tools)
        made = []
        for o in fsg.objects:
            names: dict[str, str] = {}
            for shown in (groups.shown("objects", x) for x in (o.label, *o.called)):
                names.setdefault(normal(shown), shown)
            label, *called = names.values()
            made.append(o.model_copy(update={"label": label, "called": tuple(called)}))
        return fsg.evolve(objects=tuple(made), lexicon=groups.entries)

    def _described(self, fsg: t.Fsg, few: list[t.Gap], tools: Tools) -> Looked:
        """Ask what the objects of some keyframes are, how they look, and how they are related."""
        named, sha, times = Mentions(fsg), fsg.video.sha256, fsg.keyframes
        frames = {f: t.Frame(video=sha, at=k.at) for f, k in times.items()}
        there: dict[str, list[t.Object]] = {}
        for o in fsg.objects:
            there.setdefault(o.frames[0], []).append(o)
        together: list[tuple[t.Object, ...]] = [tuple(x) for x in there.values() if len(x) > 1]
        if self._by_pair(tools):
            together = [pair for objects in together for pair in combinations(objects, 2)]
        classify: list[Request] = []
        describe: list[Request] = []
        for o in fsg.objects:
            shown, target = (frames[o.frames[0]],), named[o.id]
            classify.append(Classify(frames=shown, target=target))
            describe.append(Describe(frames=shown, target=target))
        relate = [self._relate(frames[x[0].frames[0]], x, named, tools) for x in together]
        replies = self._ask(tools, [*classify, *describe, *relate])
        at = len(fsg.objects)
        made, unknown = [], []
        for o, reply in zip(fsg.objects, replies[:at], strict=True):
            count = Counter(a.kind for a in reply.read)
            if not count:
                unknown.append(t.Gap(where=o.id, what="motion"))
            op = "dynamic" if count["dynamic"] > count["static"] else "static"
            origin = t.Origin(asks=tuple(dict.fromkeys((*o.origin.asks, reply.key))))
            nouns = Counter(a.noun for a in reply.read if a.noun)
            noun = nouns.most_common(1)[0][0] if nouns else None
            made.append(o.model_copy(update={"op": op, "noun": noun, "origin": origin}))
        ids = [tuple(o.id for o in x) for x in together]
        related = [*zip(ids, replies[2 * at :], strict=True)]
        return Looked(made, replies[at : 2 * at], related, few, unknown)

    def _by_pair(self, tools: Tools) -> bool:
        """Whether relations are asked for pair by pair."""
        return self.relate == "pairs" or not tools.ask().knows(RelateAll)

    def _relate(
        self, frame: t.Frame, objects: tuple[t.Object, ...], named: Mentions, tools: Tools
    ) -> Request:
        """The request for the relations of the objects of a keyframe, or of two of them."""
        ends = tuple(named[o.id] for o in objects)
        if self._by_pair(tools):
            return Relate(frames=(frame,), subject=ends[0], object=ends[1])
        return RelateAll(frames=(frame,), objects=ends)

    def _attributes(self, fsg: t.Fsg, replies: list[Reply], tools: Tools) -> t.Fsg:
        """The attributes of each object, from the replies about it."""
        made: list[t.Attribute] = []
        gaps = list(fsg.gaps)
        said: dict[str, Counter[str]] = {}
        for a in (a for reply in replies for x in reply.read for a in _plain_kinds(x.attributes)):
            said.setdefault(a.kind, Counter())[a.value] += 1
        groups = self._grouped("attr", said, plain, tools)
        for o, reply in zip(fsg.objects, replies, strict=True):
            if self._unread(len(reply.read)):
                gaps.append(t.Gap(where=o.id, what="attr"))
            ballots = [
                [(groups.key(a.kind, plain(a.value)), a) for a in _plain_kinds(answer.attributes)]
                for answer in reply.read
            ]
            votes = vote(ballots, [reply.key] * len(ballots), self.samples, self.keep)
            asked = {c for b in ballots for c, _ in b}
            tools.counts.add("attributes dropped: few votes", len(asked) - len(votes))
            values = [groups.shown(v.value.kind, v.value.value) for v in votes]
            names = t.ordinals(f"{o.id}/{t.slug(value)}" for value in values)
            made += [
                t.Attribute(
                    id=name,
                    kind=v.value.kind,
                    value=value,
                    frames=o.frames,
                    trust=v.trust,
                    origin=v.origin,
                )
                for name, value, v in zip(names, values, votes, strict=True)
            ]
        return fsg.evolve(
            attributes=tuple(made),
            gaps=tuple(dict.fromkeys(gaps)),
            lexicon=(*fsg.lexicon, *groups.entries),
        )

    def _relations(
        self, fsg: t.Fsg, related: list[tuple[tuple[str, ...], Reply]], tools: Tools
    ) -> t.Fsg:
        """The relations of each keyframe, from the replies about its objects, or about two of them.

        An inverse is the same relation.
        """
        made: list[t.Relation] = []
        frame = {o.id: o.frames[0] for o in fsg.objects}
        background = self._background(fsg)
        gaps = list(fsg.gaps)
        by_pair = self._by_pair(tools)
        told = Counter(p for _, reply in related for a in reply.read for _, p, _ in _said(a))
        groups = self._predicates(told, tools)
        for ids, reply in related:
            if self._unread(len(reply.read)):
                one, other = (ids[0], ids[1]) if by_pair else (frame[ids[0]], None)
                gaps.append(t.Gap(where=one, what="rel", other=other))
            ballots = [_related(answer, ids, groups) for answer in reply.read]
            votes = vote(ballots, [reply.key] * len(ballots), self.samples, self.keep)
            said = {c for ballot in ballots for c, _ in ballot}
            tools.counts.add("relations dropped: few votes", len(said) - len(votes))
            for v in votes:
                others = (x for x in votes if {x.value[0], x.value[2]} == {v.value[0], v.value[2]})
                if any(_opposes(v, other) for other in others):
                    tools.counts.add("relations dropped: contradicted by more votes")
                    continue
                subject, predicate, object_ = v.value
                if {subject, object_} & background and _is_place(predicate):
                    tools.counts.add("relations dropped: where background is")
                    continue
                made.append(
                    t.Relation(
                        subject=subject, predicate=predicate, object=object_,
                        frames=(frame[subject],), trust=v.trust, origin=v.origin,
                    )
                )  # fmt: skip
        return fsg.evolve(
            relations=tuple(made),
            gaps=tuple(dict.fromkeys(gaps)),
            lexicon=(*fsg.lexicon, *groups.entries),
        )

    def _predicates(self, told: Counter[str], tools: Tools) -> WordGroups:
        """The predicates of the video, grouped by what they mean."""
        if self._by_pair(tools):
            return WordGroups("rel", plain)
        return self._grouped("rel", {"relations": told}, plain, tools)

    def _background(self, fsg: t.Fsg) -> set[str]:
        """The objects that are background, unless it is to be related like other objects."""
        if self.background == "related":
            return set()
        known = LANGUAGES.values()
        return {
            o.id
            for o in fsg.objects
            if o.noun == "stuff" or any(x.is_background(o.label) for x in known)
        }


class Looked(NamedTuple):
    """What the model says of some clips."""

    objects: list[t.Object]
    described: list[Reply]
    """The replies about the looks of each object."""
    related: list[tuple[tuple[str, ...], Reply]]
    """Objects, and the replies about the relations between them."""
    few: list[t.Gap]
    """Keyframes that may show more objects."""
    unknown: list[t.Gap]
    """Objects that may be static or dynamic, for all that the model says."""


def _said(answer: RelatedPairs | Predicates) -> Iterator[tuple[int, str, int]]:
    """The relations of an answer: numbers of the subject and of the object, from 1, and the predicate."""
    if isinstance(answer, RelatedPairs):
        for r in answer.relations:
            yield r.subject, normalised(r.predicate), r.object
    else:
        for predicate in answer.predicates:
            yield 1, normalised(predicate), 2


def _related(
    answer: RelatedPairs | Predicates, ids: tuple[str, ...], groups: WordGroups
) -> list[tuple[tuple[str, str, str], tuple[str, str, str]]]:
    """The relations of an answer, by what is compared: a relation and its inverse are the same."""
    made = []
    for subject, said, object_ in _said(answer):
        if not all(1 <= n <= len(ids) for n in (subject, object_)) or subject == object_:
            continue
        ends = ids[subject - 1], ids[object_ - 1]
        predicate = groups.shown("relations", said)
        if plain(predicate):
            key = same_relation(ends[0], predicate, ends[1])
            made.append((key, (ends[0], predicate, ends[1])))
    return made


def _is_place(predicate: str) -> bool:
    return any(language.is_place(predicate) for language in LANGUAGES.values())


def _opposes(weak: Vote, strong: Vote) -> bool:
    """Whether `strong` states the inverse of an antisymmetric `weak`, of the same ends in the same order."""
    turned = weak.value[0] != strong.value[0]
    word = inverse(strong.value[1]) if turned else strong.value[1]
    back = inverse(weak.value[1])
    differs = back is not None and back != plain(weak.value[1]) and back == plain(word or "")
    return differs and strong.trust.votes >= weak.trust.votes


def _plain_kinds(attributes: tuple[Any, ...]) -> list[Any]:
    """Normalise the kind of each attribute to a lower-case slug."""
    return [a.model_copy(update={"kind": t.slug(a.kind)}) for a in attributes]
