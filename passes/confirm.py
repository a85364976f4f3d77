"""confirm: ask whether each node and edge is in the video, and deny it if not.   fsg … stsg"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from stepc.ir import types as t
from stepc.ir.dependents import ends_of
from stepc.model.client import Mentions, in_one
from stepc.model.requests import (
    AttributeClaim,
    Claim,
    Confirm,
    DescribeTrack,
    EventClaim,
    MotionClaim,
    ObjectClaim,
    RelateAll,
    RelationClaim,
)
from stepc.passmanager.base import Pass, Tools

if TYPE_CHECKING:
    from stepc.model.plan import Plan, VideoStats


WHOLE = 6
"""Maximum keyframes of a clip that is shown whole."""


class ConfirmAll(Pass[t.Fsg, t.Fsg]):
    """The second half of dual verification (section 3.1), at any graph level.

    Asks only about elements that were not asked about before, and shows the element's keyframes. What
    the model denies becomes a denied fact; what depends on a denied object is dropped.

    Votes and verdict are weighed together. A "no" alone does not outweigh an element that all sampled
    answers had: the question is asked again, and only if no answer is yes is the element denied. A question
    whose reply could not be read is asked again, too, and most of the answers decide; without any answer,
    the element stays as it is. The paper asks once: `confirm(again=0)`.
    """

    uses: ClassVar[frozenset[str]] = frozenset(["model"])
    keeps_level: ClassVar[bool] = True
    frames: int = Field(2, ge=1)
    """Maximum keyframes shown for a question about a whole clip."""
    again: int = Field(2, ge=0)
    """Further answers where one is not enough: a "no" against all votes, and an unreadable reply."""
    temperature: float = Field(0.7, ge=0)
    """Sampling temperature of the further answers."""

    def plan(self, about: VideoStats, costs: Plan) -> None:
        a, k = about.assume, about.keyframes
        if self.name in costs.done:  # the second time: what came since, motions and events
            if in_one(a.together, Confirm.name) > 1 and a.asks(DescribeTrack):
                motions = about.pairs / max(1, about.clips) * a.objects * a.moving
                shown = round(about.keyframes / max(1, about.clips))
                costs.add(Confirm, about.clips, motions + 1, shown)
            else:
                costs.add(Confirm, about.pairs, a.objects * a.moving, 2)
                costs.add(Confirm, about.clips, 1, 2)
            return
        relations = a.objects * (a.objects - 1) / 2 * a.relations
        if a.asks(RelateAll):
            relations = min(relations, a.objects * a.related)
        costs.add(Confirm, k, a.objects * (1 + a.attributes) + relations, 1)

    def run(self, unit: t.Fsg, tools: Tools) -> t.Fsg:
        named = Mentions(unit)
        names = [name for name in _DEPENDENT if name in type(unit).model_fields]
        elements = [e for name in names for e in getattr(unit, name) if e.op != "ref"]
        objects, now = list(unit.objects), dict[int, t.Element]()
        at_once = in_one(tools.ask().together, Confirm.name) > 1
        if at_once:  # in lists, also about what may then depend on a denied object
            answered = self._answers(unit, [*objects, *elements], named, tools)
            objects, rest = answered[: len(objects)], answered[len(objects) :]
            now = {id(e): a for e, a in zip(elements, rest, strict=True)}
        else:
            objects = self._answers(unit, objects, named, tools)
        ids = {o.id for o in objects if o.trust.verdict != "no"}
        if not at_once:
            elements = [e for e in elements if ends_of(e) <= ids]
            answered = self._answers(unit, elements, named, tools)
            now = {id(e): a for e, a in zip(elements, answered, strict=True)}
        made = {
            name: [now.get(id(e), e) for e in getattr(unit, name) if ends_of(e) <= ids]
            for name in names
        }
        made["objects"] = objects
        denied = [e for e in unit.denied if ends_of(e) <= ids]
        denied += [e for es in made.values() for e in es if e.trust.verdict == "no"]
        kept = {name: tuple(e for e in es if e.trust.verdict != "no") for name, es in made.items()}
        gone = {o.id for o in objects} - ids
        gaps = tuple(g for g in unit.gaps if gone.isdisjoint((g.where, g.other)))
        boxes = tuple(b for b in unit.boxes if b.owner in ids)
        return unit.evolve(**kept, denied=tuple(denied), gaps=gaps, boxes=boxes)

    def _answers(
        self, unit: t.Fsg, elements: list[Any], named: Mentions, tools: Tools
    ) -> list[Any]:
        """Return each element with its verdict, `unasked` if the reply was unreadable."""
        whole = self._whole_clips(unit, tools)
        told: dict[int, tuple[list[bool], list[str]]] = {}
        window = {c.id: n for n, clips in enumerate(tools.ask().windows(unit.clips)) for c in clips}
        parts: list[list[Any]] = [[] for _ in range(len({*window.values()}))]
        for e in elements:
            if e.trust.verdict == "unasked":
                parts[window[_clip(e)]].append(e)
        for part in parts:
            requests = [
                Confirm(frames=self._shown(unit, e, whole), claim=_claim(e, named, whole))
                for e in part
            ]
            told |= self._told(part, requests, tools)
        changed: dict[int, Any] = {}
        for e in (e for e in elements if id(e) in told):
            answers, keys = told[id(e)]
            if not answers:
                tools.counts.add("kept without confirmation")
                continue
            kind = "object" if isinstance(e, t.Object) else e.op
            yes = any(answers) if self.again and _sure(e) else 2 * sum(answers) > len(answers)
            if yes and not answers[0]:
                tools.counts.add(f"{kind}: confirmed against the first answer")
            tools.counts.add(f"{kind}: {'confirmed' if yes else 'denied'}")
            asks = tuple(dict.fromkeys((*e.origin.asks, *keys)))
            origin = e.origin.model_copy(update={"asks": asks})
            trust = e.trust.model_copy(update={"verdict": "yes" if yes else "no"})
            changed[id(e)] = e.model_copy(update={"trust": trust, "origin": origin})
        return [changed.get(id(e), e) for e in elements]

    def _told(
        self, part: list[Any], requests: list[Confirm], tools: Tools
    ) -> dict[int, tuple[list[bool], list[str]]]:
        """Element, by its `id()` → the answers about it, and the keys of the calls."""
        replies = tools.ask().ask(requests)
        said = [[a.yes for a in reply.read] for reply in replies]
        calls = [[reply.key] for reply in replies]
        doubtful = [
            i
            for i, (e, yes) in enumerate(zip(part, said, strict=True))
            if self.again and (not yes or (not yes[0] and _sure(e)))
        ]
        once_more = tools.ask().ask(
            [requests[i] for i in doubtful], samples=self.again, temperature=self.temperature
        )
        for i, reply in zip(doubtful, once_more, strict=True):
            said[i] += [a.yes for a in reply.read]
            calls[i].append(reply.key)
        return {id(e): (said[i], calls[i]) for i, e in enumerate(part)}

    @staticmethod
    def _whole_clips(unit: t.Fsg, tools: Tools) -> dict[str, tuple[t.Keyframe, ...]]:
        """Clip → its keyframes, of clips that are shown whole: one list asks for all that happens in them."""
        asker = tools.ask()
        if in_one(asker.together, Confirm.name) == 1 or not asker.knows(DescribeTrack):
            return {}
        return {c.id: c.keyframes for c in unit.clips if 2 < len(c.keyframes) <= WHOLE}

    def _shown(
        self, unit: t.Fsg, e: Any, whole: Mapping[str, tuple[t.Keyframe, ...]]
    ) -> tuple[t.Frame, ...]:
        times = unit.keyframes
        if isinstance(e, t.Motion | t.Event) and (there := whole.get(_clip(e))):
            chosen = [k.at for k in there]
        elif isinstance(e, t.Motion):
            chosen = [e.start, e.end]
        elif isinstance(e, t.Event):
            chosen = [k.at for k in times.values() if t.clip_of(k.id) == e.clip]
            last = len(chosen) - 1
            n = min(self.frames, len(chosen))
            chosen = [chosen[round(i * last / max(1, n - 1))] for i in range(n)]
        else:
            chosen = [times[e.frames[0]].at]
        return tuple(t.Frame(video=unit.video.sha256, at=at) for at in chosen)


def _clip(e: t.Element) -> str:
    if isinstance(e, t.Event):
        return e.clip
    return t.clip_of(e.id if isinstance(e, t.Object) else next(iter(ends_of(e))))


def _sure(e: t.Element) -> bool:
    """Whether all of several sampled answers had an element."""
    return e.trust.votes == e.trust.asked > 1


_DEPENDENT = ("attributes", "relations", "motions", "references", "events")
"""Fields of a unit whose elements depend on objects, and events."""


def _claim(e: Any, named: Mentions, whole: Mapping[str, tuple[t.Keyframe, ...]]) -> Claim:
    match e:
        case t.Object():
            return ObjectClaim(target=named[e.id])
        case t.Attribute():
            return AttributeClaim(target=named.at(e.owner, e.frames[0]), kind=e.kind, value=e.value)
        case t.Relation():
            return RelationClaim(
                subject=named.at(e.subject, e.frames[0]),
                predicate=e.predicate,
                object=named.at(e.object, e.frames[0]),
            )
        case t.Motion():
            times = [k.at for k in whole.get(_clip(e), ())]
            first, last = (times.index(x) + 1 if times else 0 for x in (e.start, e.end))
            return MotionClaim(target=named[e.source], motion=e.motion, first=first, last=last)
        case _:
            return EventClaim(event=e.event)
