"""bridge: ask for reference edges across clips and for an event edge per clip.   tsg → stsg"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from stepc.ir import types as t
from stepc.ir.coreference import Appearance, IdentityGroups, appearances
from stepc.ir.graph import entities
from stepc.ir.words import plain
from stepc.model.client import Mentions, vote
from stepc.model.individuals import InventoryMatch, Register, first_shown
from stepc.model.requests import DescribeEvent, MatchObjects, SameObject
from stepc.passmanager.base import Pass, Tools

if TYPE_CHECKING:
    from stepc.model.plan import Plan, VideoStats


@dataclass(frozen=True)
class _Judged:
    """A pair of objects in two clips, and how many of the answers called them the same object."""

    first: str
    second: str
    yes: int
    asked: int
    key: str


class Bridge(Pass[t.Tsg, t.Stsg]):
    """Cross-clip bridging (section 3.1).

    Goes through the clips in order, with a register of the individuals that were seen so far. The model is
    shown those that an object of the clip may be, by class, names and attributes, and is asked which of them
    are in the clip again, under whatever name. So the calls grow with the clips, and not with their pairs.

    The paper asks about each pair of objects in two clips: `bridge(prune=none)`. Identity is an equivalence
    relation: answers are accepted in order of confidence. An answer that would merge two objects of one
    clip, or that contradicts an accepted answer, is rejected and counted.
    """

    uses: ClassVar[frozenset[str]] = frozenset(["model"])

    prune: Literal["register", "none", "label", "attributes"] = "register"
    """What is compared: a `register` of individuals with each clip, or pairs of objects. Of pairs, `label`
    skips those with different labels, `attributes` also those with conflicting attributes, `none` none."""
    samples: int = Field(3, ge=1)
    """Samples per pair and per event."""
    temperature: float = Field(0.7, ge=0)
    """Sampling temperature."""
    keep: float = Field(0.5, gt=0, le=1)
    """Minimum confidence of a reference."""
    frames: int = Field(4, ge=1)
    """Maximum keyframes shown for an event."""

    def plan(self, about: VideoStats, costs: Plan) -> None:
        a, couples = about.assume, about.clips * (about.clips - 1) / 2
        if self.prune == "register" and a.asks(MatchObjects):
            costs.add(MatchObjects, max(0, about.clips - 1), 1, 4, self.samples)
            costs.naive += couples * a.objects * a.objects * self.samples
        else:
            costs.add(SameObject, couples, a.objects * a.back, 2, self.samples)
            costs.naive += couples * a.objects * (a.objects - a.back) * self.samples
        costs.add(DescribeEvent, about.clips, 1, 2, self.samples)

    def run(self, unit: t.Tsg, tools: Tools) -> t.Stsg:
        lacking = not tools.ask().knows(MatchObjects)
        by_pair = lacking or self.prune != "register"
        find = self._references if by_pair else self._register
        references, events = find(unit, tools), self._events(unit, tools)
        told = {e.clip for e in events}
        gaps = [t.Gap(where=c.id, what="event") for c in unit.clips if c.id not in told]
        return t.raise_to(
            t.Stsg,
            unit,
            references=tuple(references),
            events=tuple(events),
            gaps=(*unit.gaps, *gaps),
        )

    def _register(self, unit: t.Tsg, tools: Tools) -> list[t.Reference]:
        """Compare each clip with a register of the individuals before it."""
        look, named, frames = appearances(unit), Mentions(unit), first_shown(unit)
        one_of = self._representatives(unit)
        groups = IdentityGroups((o, t.clip_of(o)) for o in one_of)
        there: dict[str, list[str]] = {}
        for o in one_of:
            there.setdefault(t.clip_of(o), []).append(o)
        register = Register(look)
        made = []
        for clip in unit.clips:
            found = there.get(clip.id, [])
            known = register.like(found)
            comparisons = InventoryMatch.of_many(known, found, look, frames)
            tools.counts.add("clips compared with those before", bool(comparisons))
            replies = tools.ask().ask(
                [c.request(named) for c in comparisons],
                samples=self.samples,
                temperature=self.temperature,
            )
            for c, reply in zip(comparisons, replies, strict=True):
                for pair in c.said_same(reply, self.keep):
                    if not groups.join(pair.known, pair.found):
                        tools.counts.add("answers refused: contradict surer ones")
                        continue
                    register.again(pair.known, pair.found)
                    trust = t.Trust(votes=pair.yes, asked=self.samples, verdict="yes")
                    origin = t.Origin(asks=(pair.key,))
                    made.append(
                        t.Reference(first=pair.known, second=pair.found, trust=trust, origin=origin)
                    )
            register.add(found)
        tools.counts.add("references", len(made))
        return made

    def _references(self, unit: t.Tsg, tools: Tools) -> list[t.Reference]:
        one_of = self._representatives(unit)
        look, named, times = appearances(unit), Mentions(unit), unit.keyframes
        candidates = []
        for a, b in self._pairs(one_of, look, tools):
            if self.prune == "attributes" and look[a].conflicts(look[b]):
                tools.counts.add("pairs pruned: conflicting attributes")
            else:
                candidates.append((a, b))
        at = {o.id: times[o.frames[0]].at for o in unit.objects}
        requests = [
            SameObject(
                frames=tuple(t.Frame(video=unit.video.sha256, at=at[x]) for x in pair),
                first=named[pair[0]],
                second=named[pair[1]],
            )
            for pair in candidates
        ]
        replies = tools.ask().ask(requests, samples=self.samples, temperature=self.temperature)
        judged = [
            _Judged(a, b, sum(x.yes for x in reply.read), len(reply.read), reply.key)
            for (a, b), reply in zip(candidates, replies, strict=True)
            if reply.read
        ]
        tools.counts.add("pairs asked about", len(candidates))
        return self._consistent(one_of, judged, tools)

    def _pairs(
        self, one_of: list[str], look: Mapping[str, Appearance], tools: Tools
    ) -> list[tuple[str, str]]:
        """The pairs of objects in two clips, with equal labels unless all are wanted."""
        clip, groups = {o: t.clip_of(o) for o in one_of}, dict[str, list[str]]()
        for o in one_of:
            groups.setdefault("" if self.prune == "none" else look[o].label, []).append(o)
        place = {o: i for i, o in enumerate(one_of)}
        pairs = [
            (a, b) for group in groups.values() for a, b in combinations(group, 2)
            if clip[a] != clip[b]
        ]  # fmt: skip
        there = Counter(clip.values())
        apart = (len(one_of) ** 2 - sum(n * n for n in there.values())) // 2
        tools.counts.add("pairs pruned: other label", apart - len(pairs))
        return sorted(pairs, key=lambda pair: (place[pair[0]], place[pair[1]]))

    def _representatives(self, unit: t.Tsg) -> list[str]:
        """Return the first node of each entity, in clip order."""
        entity = entities(unit)
        first: dict[int, str] = {}
        for o in unit.objects:
            first.setdefault(entity[o.id], o.id)
        return list(first.values())

    def _consistent(
        self, one_of: list[str], judged: list[_Judged], tools: Tools
    ) -> list[t.Reference]:
        groups = IdentityGroups((o, t.clip_of(o)) for o in one_of)
        taken: list[_Judged] = []
        judged = sorted(judged, key=lambda j: -abs(j.yes / j.asked - 0.5))
        for j in judged:
            if j.yes / j.asked < self.keep or 2 * j.yes <= j.asked:
                agreed = groups.part(j.first, j.second)
            elif agreed := groups.join(j.first, j.second):
                taken.append(j)
            if not agreed:
                tools.counts.add("answers refused: contradict surer ones")
        tools.counts.add("references", len(taken))
        place = {o: i for i, o in enumerate(one_of)}
        taken.sort(key=lambda j: (place[j.first], place[j.second]))
        return [
            t.Reference(
                first=j.first,
                second=j.second,
                trust=t.Trust(votes=j.yes, asked=self.samples, verdict="yes"),
                origin=t.Origin(asks=(j.key,)),
            )
            for j in taken
        ]

    def _events(self, unit: t.Tsg, tools: Tools) -> list[t.Event]:
        requests = []
        for clip in unit.clips:
            times = [k.at for k in clip.keyframes]
            n = min(self.frames, len(times))
            shown = [times[round(i * (len(times) - 1) / max(1, n - 1))] for i in range(n)]
            requests.append(
                DescribeEvent(frames=tuple(t.Frame(video=unit.video.sha256, at=at) for at in shown))
            )
        replies = tools.ask().ask(requests, samples=self.samples, temperature=self.temperature)
        made = []
        for clip, reply in zip(unit.clips, replies, strict=True):
            ballots = [[(plain(a.event), a.event)] for a in reply.read]
            votes = vote(ballots, [reply.key] * len(ballots), self.samples, 0.0)
            if not votes:
                tools.counts.add("clips without an event")
                continue
            best = max(votes, key=lambda v: v.trust.votes)
            made.append(
                t.Event(
                    clip=clip.id,
                    event=best.value,
                    start=clip.start,
                    end=clip.end,
                    trust=best.trust,
                    origin=best.origin,
                )
            )
        return made
