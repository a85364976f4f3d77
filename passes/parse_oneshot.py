"""parse-oneshot: build a keyframe's graph by one request (the "w/o parsing" ablation).   clips → fsg"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from stepc.ir import types as t
from stepc.ir.words import normal, plain
from stepc.languages import normalised
from stepc.model.requests import DrawGraph, Sketch
from stepc.passmanager.base import Pass, Tools

if TYPE_CHECKING:
    from stepc.model.plan import Plan, VideoStats


class ParseOneshot(Pass[t.Clips, t.Fsg]):
    """Asks for the whole graph of a keyframe in one simplified request (section 4.4, w/o parsing)."""

    uses: ClassVar[frozenset[str]] = frozenset(["model"])

    objects: int = Field(12, ge=1)
    """Maximum objects per keyframe."""

    def plan(self, about: VideoStats, costs: Plan) -> None:
        costs.add(DrawGraph, about.keyframes, 1, 1)

    def run(self, unit: t.Clips, tools: Tools) -> t.Fsg:
        keyframes = list(unit.keyframes.values())
        requests = [
            DrawGraph(frames=(t.Frame(video=unit.video.sha256, at=k.at),)) for k in keyframes
        ]
        objects: list[t.Object] = []
        attributes: list[t.Attribute] = []
        relations: list[t.Relation] = []
        gaps: list[t.Gap] = []
        for keyframe, reply in zip(keyframes, tools.ask().ask(requests), strict=True):
            if not reply.read:
                tools.counts.add("keyframes without a readable graph")
                gaps.append(t.Gap(where=keyframe.id, what="object"))
                continue
            if len(reply.read[0].objects) > self.objects:
                gaps.append(t.Gap(where=keyframe.id, what="object"))
            parts = self._graph(keyframe.id, reply.read[0], reply.key, tools)
            objects += parts[0]
            attributes += parts[1]
            relations += parts[2]
        return t.raise_to(
            t.Fsg,
            unit,
            objects=tuple(objects),
            attributes=tuple(attributes),
            relations=tuple(relations),
            gaps=tuple(gaps),
        )

    def _graph(
        self, frame: str, sketch: Sketch, key: str, tools: Tools
    ) -> tuple[list[t.Object], list[t.Attribute], list[t.Relation]]:
        told: dict[str, Any] = {
            "frames": (frame,),
            "trust": t.Trust(votes=1, asked=1),
            "origin": t.Origin(asks=(key,)),
        }
        chosen = sketch.objects[: self.objects]
        names = t.ordinals(f"{frame}/{t.slug(o.label)}" for o in chosen)
        objects = [
            t.Object(op=o.kind, id=name, label=o.label, **told)
            for name, o in zip(names, chosen, strict=True)
        ]
        attributes: list[t.Attribute] = []
        for name, o in zip(names, chosen, strict=True):
            different = list({(t.slug(a.kind), plain(a.value)): a for a in o.attributes}.values())
            ids = t.ordinals(f"{name}/{t.slug(a.value)}" for a in different)
            attributes += [
                t.Attribute(id=i, kind=t.slug(a.kind), value=a.value, **told)
                for i, a in zip(ids, different, strict=True)
            ]
        ends: dict[str, str] = {}
        for name, o in zip(names, chosen, strict=True):
            ends.setdefault(normal(o.label), name)
        relations: dict[tuple[str, str, str], t.Relation] = {}
        for r in sketch.relations:
            one, two = ends.get(normal(r.subject)), ends.get(normal(r.object))
            if one is None or two is None or one == two:
                tools.counts.add("relations dropped: no such object")
                continue
            edge = t.Relation(subject=one, object=two, predicate=normalised(r.predicate), **told)
            relations.setdefault((one, plain(edge.predicate), two), edge)
        return objects, attributes, list(relations.values())
