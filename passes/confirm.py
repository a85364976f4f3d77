"""confirm: ask whether each node and edge is in the video, and deny it if not.   fsg … stsg"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from stepc.ir import types as t
from stepc.model.client import name_objects
from stepc.model.requests import (
    AttributeClaim,
    Claim,
    Confirm,
    EventClaim,
    Mention,
    MotionClaim,
    ObjectClaim,
    RelationClaim,
)
from stepc.passmanager.base import Pass, Tools

if TYPE_CHECKING:
    from stepc.model.plan import Plan, VideoStats


class ConfirmAll(Pass[t.Fsg, t.Fsg]):
    """The second half of dual verification (section 3.1), at any graph level.

    Asks only about elements that were not asked about before, and shows the element's keyframes. What
    the model denies becomes a denied fact; what depends on a denied object is dropped. An unreadable reply
    changes nothing.
    """

    uses: ClassVar[frozenset[str]] = frozenset(["model"])
    keeps_level: ClassVar[bool] = True
    frames: int = Field(2, ge=1)
    """Maximum keyframes shown for a question about a whole clip."""

    def plan(self, about: VideoStats, costs: Plan) -> None:
        a, k = about.assume, about.keyframes
        if self.name in costs.done:  # the second time: what came since, motions and events
            costs.add(Confirm, about.pairs, a.objects * a.moving, 2)
            costs.add(Confirm, about.clips, 1, 2)
            return
        costs.add(Confirm, k, a.objects, 1)
        costs.add(Confirm, k, a.objects * a.attributes, 1)
        costs.add(Confirm, k, a.objects * (a.objects - 1) / 2 * a.relations, 1)

    def run(self, unit: t.Fsg, tools: Tools) -> t.Fsg:
        named = name_objects(unit)
        objects = self._answers(unit, list(unit.objects), named, tools)
        ids = {o.id for o in objects if o.trust.verdict != "no"}
        names = [name for name in _DEPENDENT if name in type(unit).model_fields]
        fields = {name: [e for e in getattr(unit, name) if _ends(e) <= ids] for name in names}
        rest = [e for name in names for e in fields[name] if not isinstance(e, t.Reference)]
        answered = self._answers(unit, rest, named, tools)
        now = {id(e): a for e, a in zip(rest, answered, strict=True)}
        made = {name: [now.get(id(e), e) for e in fields[name]] for name in names}
        made["objects"] = objects
        denied = [e for e in unit.denied if _ends(e) <= ids]
        denied += [e for es in made.values() for e in es if e.trust.verdict == "no"]
        kept = {name: tuple(e for e in es if e.trust.verdict != "no") for name, es in made.items()}
        gone = {o.id for o in objects} - ids
        gaps = tuple(g for g in unit.gaps if gone.isdisjoint((g.where, g.other)))
        return unit.evolve(**kept, denied=tuple(denied), gaps=gaps)

    def _answers(
        self, unit: t.Fsg, elements: list[Any], named: dict[str, Mention], tools: Tools
    ) -> list[Any]:
        """Return each element with its verdict, `unasked` if the reply was unreadable."""
        open_ = [e for e in elements if e.trust.verdict == "unasked"]
        requests = [
            Confirm(frames=self._shown(unit, e), claim=_claim(unit, e, named)) for e in open_
        ]
        changed: dict[int, Any] = {}
        for e, reply in zip(open_, tools.ask().ask(requests), strict=True):
            if not reply.read:
                tools.counts.add("kept without confirmation")
                continue
            kind = "object" if isinstance(e, t.Object) else e.op
            yes = reply.read[0].yes
            tools.counts.add(f"{kind}: {'confirmed' if yes else 'denied'}")
            asks = tuple(dict.fromkeys((*e.origin.asks, reply.key)))
            origin = t.Origin(nodes=e.origin.nodes, asks=asks)
            trust = e.trust.model_copy(update={"verdict": "yes" if yes else "no"})
            changed[id(e)] = e.model_copy(update={"trust": trust, "origin": origin})
        return [changed.get(id(e), e) for e in elements]

    def _shown(self, unit: t.Fsg, e: Any) -> tuple[t.Frame, ...]:
        times = unit.keyframes
        if isinstance(e, t.Motion):
            chosen = [e.start, e.end]
        elif isinstance(e, t.Event):
            chosen = [k.at for k in times.values() if t.clip_of(k.id) == e.clip]
            last = len(chosen) - 1
            n = min(self.frames, len(chosen))
            chosen = [chosen[round(i * last / max(1, n - 1))] for i in range(n)]
        else:
            chosen = [times[e.frames[0]].at]
        return tuple(t.Frame(video=unit.video.sha256, at=at) for at in chosen)


_DEPENDENT = ("attributes", "relations", "motions", "references", "events")
"""Fields of a unit whose elements depend on objects, and events."""


def _ends(e: t.Element) -> set[str]:
    """The objects without which an element means nothing."""
    match e:
        case t.Attribute():
            return {e.owner}
        case t.Relation():
            return {e.subject, e.object}
        case t.Motion():
            return {e.source, e.target}
        case t.Reference():
            return {e.first, e.second}
        case _:
            return set()


def _claim(unit: t.Fsg, e: Any, named: dict[str, Mention]) -> Claim:
    match e:
        case t.Object():
            return ObjectClaim(target=named[e.id])
        case t.Attribute():
            return AttributeClaim(target=named[e.owner], kind=e.kind, value=e.value)
        case t.Relation():
            return RelationClaim(
                subject=named[e.subject], predicate=e.predicate, object=named[e.object]
            )
        case t.Motion():
            return MotionClaim(target=named[e.source], motion=e.motion)
        case _:
            return EventClaim(event=e.event)
