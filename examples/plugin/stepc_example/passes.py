"""Two passes: one looks at the graph, one asks a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from stepc import Pass, Stsg, Tools
from stepc.ir.types import Frame
from stepc.model.requests import Answer, Request

if TYPE_CHECKING:
    from stepc.model.plan import Plan, VideoStats


class DropSmall(Pass[Stsg, Stsg]):
    """Drops objects that are seen in fewer than `least` keyframes, and everything that is said of them."""

    least: int = Field(2, ge=1)
    """Keyframes in which an object must be seen."""

    def run(self, unit: Stsg, tools: Tools) -> Stsg:
        small = {o.id for o in unit.objects if o.op == "static" and len(o.frames) < self.least}
        tools.counts.add("objects dropped", len(small))
        return unit.evolve(
            objects=tuple(o for o in unit.objects if o.id not in small),
            attributes=tuple(a for a in unit.attributes if a.owner not in small),
            relations=tuple(r for r in unit.relations if not {r.subject, r.object} & small),
            references=tuple(r for r in unit.references if not {r.first, r.second} & small),
        )


class Number(Answer):
    """How many objects there are."""

    objects: int


class CountObjects(Request):
    """How many objects does a keyframe show? The request brings its template along."""

    name = "count_objects"
    answer = Number
    max_tokens = 16
    typical_tokens = 20
    template = '{#- answer: json -#}\nHow many objects are there? Answer as {"objects": 3}.'

    def words(self, text: str) -> Any:
        return {"objects": int(text.strip(" ."))}


class Recount(Pass[Stsg, Stsg]):
    """Counts the keyframes in which the model sees another number of objects than the graph has."""

    uses: ClassVar[frozenset[str]] = frozenset(["model"])

    samples: int = Field(1, ge=1)
    """Samples per keyframe."""

    def plan(self, about: VideoStats, costs: Plan) -> None:
        costs.add(CountObjects, about.keyframes, 1, 1, self.samples)

    def run(self, unit: Stsg, tools: Tools) -> Stsg:
        keyframes = unit.keyframes.values()
        requests = [
            CountObjects(frames=(Frame(video=unit.video.sha256, at=k.at),)) for k in keyframes
        ]
        replies = tools.ask().ask(requests, samples=self.samples)
        for keyframe, reply in zip(keyframes, replies, strict=True):
            there = sum(keyframe.id in o.frames for o in unit.objects)
            if any(answer.objects != there for answer in reply.read):
                tools.counts.add("keyframes with another number of objects")
        return unit
