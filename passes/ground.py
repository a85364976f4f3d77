"""ground: boxes for the objects of keyframes, by the model itself.   fsg … fsg"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from statistics import median_low
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from stepc.boxes.detection import Detection
from stepc.boxes.matching import SAME_PLACE
from stepc.diagnostics import fail
from stepc.ir import types as t
from stepc.ir.geometry import iou
from stepc.ir.words import normal
from stepc.model.client import Mentions, in_one
from stepc.model.coordinates import SaidBox, System, in_thousandths_of
from stepc.model.picture_tokens import boxes_of, seen_by
from stepc.model.requests import Locate, PlacedObjects
from stepc.passmanager.base import Pass, Tools

if TYPE_CHECKING:
    from stepc.model.client import ModelClient
    from stepc.model.plan import Plan, VideoStats

SHARED = 0.8
"""Intersection over union from which two objects of one label have the same box."""


class GroundObjects(Pass[t.Fsg, t.Fsg]):
    """Asks the model where the objects of each keyframe are.

    A model that answers lists is asked about all of them in one request, any other one by one. The request is
    sampled. A box counts for the samples whose boxes cover the same place (an intersection over union of at
    least a half), its edges are the medians of theirs, and their share is its score. An object about which
    the samples do not agree gets no box, nor do two objects of one label that are said to be in one place.
    Background is not asked for, nor what has a box already.
    """

    uses: ClassVar[frozenset[str]] = frozenset(["model"])

    samples: int = Field(3, ge=1)
    """Samples per request."""
    temperature: float = Field(0.7, ge=0)
    """Sampling temperature; 0 makes all samples equal."""
    keep: float = Field(0.5, gt=0, le=1)
    """Minimum share of the samples that agree on a box."""
    coordinates: Literal["auto", "pixels", "thousandths", "fractions"] = "auto"
    """What the model's coordinates count: `pixels` of the picture that it sees, as Qwen2.5-VL does,
    `thousandths`, as Qwen3-VL and InternVL do, or `fractions` of the picture. `auto`: by the model's name."""

    def plan(self, about: VideoStats, costs: Plan) -> None:
        a = about.assume
        each = 1 if in_one(a.together, Locate.name) > 1 else a.objects
        costs.add(Locate, about.keyframes, each, 1, self.samples)

    def run(self, unit: t.Fsg, tools: Tools) -> t.Fsg:
        asker = tools.ask()
        system = self._system(asker)
        named, boxed = Mentions(unit), {(b.owner, b.frame) for b in unit.boxes}
        wanted: dict[str, list[t.Object]] = defaultdict(list)
        for o in unit.objects:
            if o.noun != "stuff" and (o.id, o.frames[0]) not in boxed:
                wanted[o.frames[0]].append(o)
        one_by_one = in_one(asker.together, Locate.name) == 1
        lists = (
            [[o] for there in wanted.values() for o in there] if one_by_one else [*wanted.values()]
        )
        requests = [
            Locate(
                frames=(t.Frame(video=unit.video.sha256, at=unit.keyframes[part[0].frames[0]].at),),
                objects=tuple(named[o.id] for o in part),
            )
            for part in lists
        ]
        size = seen_by(asker.backend, unit.video.width, unit.video.height)
        replies = asker.ask(requests, samples=self.samples, temperature=self.temperature)
        boxes: list[t.Box] = []
        for part, reply in zip(lists, replies, strict=True):
            for i, o in enumerate(part, 1):
                said = [_box(a, i, system, size) for a in reply.read]
                best = _agreed([b for b in said if b is not None])
                if not best or len(best) < self.keep * len(said):
                    tools.counts.add("objects whose place is not known")
                    continue
                boxes.append(_median(o, best, round(1000 * len(best) / len(said))))
        apart = _apart(unit, boxes)
        tools.counts.add("objects with a box", len(apart))
        tools.counts.add("boxes that two objects share", len(boxes) - len(apart))
        return unit.evolve(boxes=(*unit.boxes, *apart))

    def _system(self, asker: ModelClient) -> System:
        """What the coordinates count. Raises StepcError (P013) if that is not known."""
        if self.coordinates != "auto":
            return self.coordinates
        system = boxes_of(asker.backend)
        if system is None:
            name = asker.backend.identity.partition("@")[0]
            message = f"nobody knows which coordinates `{name}` uses for boxes"
            help = "say so: ground(coordinates=thousandths), or pixels or fractions"
            raise fail("P013", message, help=help)
        return system


def _box(
    answer: PlacedObjects, number: int, system: System, size: tuple[int, int]
) -> Detection | None:
    """The only box that an answer has for an object."""
    said = [SaidBox("", b.edges, b.whole) for b in answer.boxes if b.object == number]
    edges = in_thousandths_of(said[0], system, size) if len(said) == 1 else None
    return Detection("", *edges) if edges is not None else None


def _agreed(boxes: Sequence[Detection]) -> list[Detection]:
    """The most boxes that cover the same place as one of them."""
    alike = ([b for b in boxes if iou(a, b) >= SAME_PLACE] for a in boxes)
    return max(alike, key=len, default=[])


def _median(o: t.Object, boxes: Sequence[Detection], score: int) -> t.Box:
    """The box of an object whose edges are the medians of these."""
    left, top, right, bottom = (
        median_low(getattr(b, edge) for b in boxes) for edge in ("left", "top", "right", "bottom")
    )
    return t.Box(owner=o.id, frame=o.frames[0], left=left, top=top, right=right, bottom=bottom,
                 score=score, source="ground")  # fmt: skip


def _apart(unit: t.Fsg, boxes: Sequence[t.Box]) -> list[t.Box]:
    """The boxes without those that two objects of one label share."""
    label = {o.id: normal(o.label) for o in unit.objects}
    shared = {
        x
        for a, b in combinations(boxes, 2)
        if a.frame == b.frame and label[a.owner] == label[b.owner] and iou(a, b) >= SHARED
        for x in (a.owner, b.owner)
    }
    return [b for b in boxes if b.owner not in shared]
