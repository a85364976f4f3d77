"""bridge: ask for reference edges across clips and for an event edge per clip.   tsg → stsg"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from stepc.ir import types as t
from stepc.ir.coreference import IdentityGroups, appearances
from stepc.ir.graph import entities
from stepc.ir.words import plain
from stepc.model.client import name_objects, vote
from stepc.model.requests import DescribeEvent, SameObject
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

    For each pair of objects in two clips, shows the model both keyframes, labels and attributes, and
    asks whether they are the same object. Identity is an equivalence relation: answers are accepted in
    order of confidence. An answer that would merge two objects of one clip, or that contradicts an
    accepted answer, is rejected and counted.
    """

    uses: ClassVar[frozenset[str]] = frozenset(["model"])

    prune: Literal["none", "label", "attributes"] = "label"
    """Pairs to skip: `label` with different labels, `attributes` also with conflicting attributes."""
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
        costs.add(SameObject, couples, a.objects * a.back, 2, self.samples)
        costs.naive += couples * a.objects * (a.objects - a.back) * self.samples
        costs.add(DescribeEvent, about.clips, 1, 2, self.samples)

    def run(self, unit: t.Tsg, tools: Tools) -> t.Stsg:
        references, events = self._references(unit, tools), self._events(unit, tools)
        told = {e.clip for e in events}
        gaps = [t.Gap(where=c.id, what="event") for c in unit.clips if c.id not in told]
        return t.raise_to(
            t.Stsg,
            unit,
            references=tuple(references),
            events=tuple(events),
            gaps=(*unit.gaps, *gaps),
        )

    def _references(self, unit: t.Tsg, tools: Tools) -> list[t.Reference]:
        one_of = self._representatives(unit)
        look, named, times = appearances(unit), name_objects(unit), unit.keyframes
        candidates = []
        for i, a in enumerate(one_of):
            for b in one_of[i + 1 :]:
                if t.clip_of(a) == t.clip_of(b):
                    continue
                other = look[a].label != look[b].label
                if self.prune != "none" and other:
                    tools.counts.add("pairs pruned: other label")
                elif self.prune == "attributes" and look[a].conflicts(look[b]):
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
        apart: list[tuple[str, str]] = []
        taken: list[_Judged] = []
        judged = sorted(judged, key=lambda j: -abs(j.yes / j.asked - 0.5))
        for j in judged:
            a, b = groups.root(j.first), groups.root(j.second)
            if j.yes / j.asked < self.keep or 2 * j.yes <= j.asked:
                if a == b:
                    tools.counts.add("answers refused: contradict surer ones")
                apart.append((j.first, j.second))
                continue
            told_apart = any({groups.root(x), groups.root(y)} == {a, b} for x, y in apart)
            if (a != b and told_apart) or not groups.join(j.first, j.second):
                tools.counts.add("answers refused: contradict surer ones")
                continue
            taken.append(j)
        tools.counts.add("references", len(taken))
        order = {(j.first, j.second): i for i, j in enumerate(judged)}
        taken.sort(
            key=lambda j: (one_of.index(j.first), one_of.index(j.second), order[j.first, j.second])
        )
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
