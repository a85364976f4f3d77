"""confirm: ask whether each node and edge is in the video, and drop it if not.   fsg … stsg"""

from __future__ import annotations

from collections.abc import Sequence
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

    Asks only about elements that were not asked about before, and shows the element's keyframes. An
    element that depends on a dropped one is dropped too. An unreadable reply drops nothing.
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
        objects = self._asked(unit, unit.objects, named, tools)
        ids = {o.id for o in objects}
        fields: dict[str, tuple[Any, ...]] = {"objects": tuple(objects)}
        fields["attributes"] = tuple(a for a in unit.attributes if a.owner in ids)
        fields["relations"] = tuple(r for r in unit.relations if {r.subject, r.object} <= ids)
        if isinstance(unit, t.Tsg):
            fields["motions"] = tuple(m for m in unit.motions if {m.source, m.target} <= ids)
        if isinstance(unit, t.Stsg):
            fields["references"] = tuple(r for r in unit.references if {r.first, r.second} <= ids)
            fields["events"] = unit.events
        rest = [
            e
            for name in ("attributes", "relations", "motions", "events")
            for e in fields.get(name, ())
        ]
        kept = {
            id(e): a for e, a in zip(rest, self._answers(unit, rest, named, tools), strict=True)
        }
        for name in ("attributes", "relations", "motions", "events"):
            if name in fields:
                fields[name] = tuple(kept[id(e)] for e in fields[name] if kept[id(e)] is not None)
        return unit.evolve(**fields)

    def _asked(
        self, unit: t.Fsg, elements: Sequence[t.Object], named: dict[str, Mention], tools: Tools
    ) -> list[t.Object]:
        answers = self._answers(unit, list(elements), named, tools)
        return [a for a in answers if a is not None]

    def _answers(
        self, unit: t.Fsg, elements: list[Any], named: dict[str, Mention], tools: Tools
    ) -> list[Any]:
        """Return each element with its verdict; None for an element that was denied."""
        open_ = [e for e in elements if e.trust.verdict == "unasked"]
        requests = [
            Confirm(frames=self._shown(unit, e), claim=_claim(unit, e, named)) for e in open_
        ]
        verdicts: dict[int, Any] = {}
        for e, reply in zip(open_, tools.ask().ask(requests), strict=True):
            if not reply.read:
                tools.counts.add("kept without confirmation")
                continue
            kind = "object" if isinstance(e, t.Object) else e.op
            yes = reply.read[0].yes
            tools.counts.add(f"{kind}: {'confirmed' if yes else 'denied'}")
            origin = t.Origin(
                nodes=e.origin.nodes, asks=tuple(dict.fromkeys((*e.origin.asks, reply.key)))
            )
            trust = e.trust.model_copy(update={"verdict": "yes"})
            changed = e.model_copy(update={"trust": trust, "origin": origin})
            verdicts[id(e)] = changed if yes else None
        return [verdicts.get(id(e), e) for e in elements]

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
