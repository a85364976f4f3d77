"""Builds a unit from what an annotation says: things, where and when they are seen, what holds of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from stepc.ir import types as t
from stepc.ir.geometry import MARGIN
from stepc.ir.words import plain
from stepc.languages.base import noun_classes

SURE = t.Trust(votes=1, asked=1, verdict="yes")
MOVING = frozenset(["person", "animal", "vehicle"])
"""Classes of things that have a node in each keyframe, even if they do not move."""
Edges = tuple[float, float, float, float]
"""Left, top, right and bottom edge of a box."""


@dataclass(frozen=True)
class AnnotatedVideo:
    """The video or the picture that an annotation is about."""

    file: str
    width: int
    height: int
    duration: int
    """In ms."""
    rate: str = "25"
    """Frames per second, as in the IR."""
    sha256: str = ""
    """Of the file; without it, of its name, so that graphs of different videos differ."""

    def video(self) -> t.Video:
        sha256 = self.sha256 or hashlib.sha256(self.file.encode()).hexdigest()
        return t.Video(file=self.file, sha256=sha256, duration=self.duration, rate=self.rate,
                       width=self.width, height=self.height)  # fmt: skip


@dataclass
class _Thing:
    label: str
    at: dict[int, Edges | None] = field(default_factory=dict)
    """Keyframe in ms → its box, if it has one there."""


class AnnotatedScene:
    """One video, as one clip, or one still picture.

    Things are known by keys of the annotation. Facts about a thing where it is not seen are left out, and
    counted in `lost`.
    """

    def __init__(self, name: str, shown: AnnotatedVideo, source: str) -> None:
        """`source` is the name of the data set."""
        self.name, self.shown, self.source = name, shown, source
        self.things: dict[object, _Thing] = {}
        self.keyframes: set[int] = set()
        self.relations: dict[tuple[object, str, object, tuple[int, int] | None], set[int]] = {}
        self.attributes: dict[tuple[object, str, str], set[int]] = {}
        self.motions: list[tuple[object, str, int, int]] = []
        self.denied: set[tuple[object, str, object, int]] = set()
        self.tracks: dict[object, dict[int, Edges]] = {}
        """Thing → time in ms → its box, at other times than keyframes, too."""
        self.more: set[tuple[int, str]] = set()
        """(keyframe, label) of which there may be more."""
        self.called: dict[object, tuple[str, ...]] = {}
        """Thing → its other names."""
        self.told: set[object] = set()
        """Things all of whose motions are annotated: where there is none, they do nothing of that kind."""
        self.still = False
        """Whether it is a still picture, whose objects belong to its only keyframe."""
        self.lost = 0

    def see(self, key: object, label: str, at: int, box: Edges | None = None) -> None:
        """Note that a thing is seen in a keyframe. `box` has pixels."""
        self.keyframes.add(at)
        thing = self.things.setdefault(key, _Thing(label))
        thing.at[at] = box or thing.at.get(at)

    def relate(
        self, one: object, predicate: str, other: object, at: Iterable[int],
        during: tuple[int, int] | None = None,
    ) -> None:  # fmt: skip
        """Note a relation in some keyframes, where both things are seen."""
        ends = [self.things[x].at if x in self.things else {} for x in (one, other)]
        held = {x for x in at if x in ends[0] and x in ends[1]}
        if not held or one == other:
            self.lost += 1
        else:
            self.relations.setdefault((one, predicate, other, during), set()).update(held)

    def deny(self, one: object, predicate: str, other: object, at: int) -> None:
        """Note that a relation does not hold in a keyframe, where both things are seen."""
        if all(x in self.things and at in self.things[x].at for x in (one, other)):
            self.denied.add((one, predicate, other, at))

    def describe(self, key: object, kind: str, value: str, at: Iterable[int] | None = None) -> None:
        """Note a value of a thing, in all keyframes that show it or in some of them."""
        there = set(self.things[key].at) if key in self.things else set()
        held = there if at is None else there & set(at)
        if held:
            self.attributes.setdefault((key, kind, value), set()).update(held)
        else:
            self.lost += 1

    def move(self, key: object, motion: str, start: int, end: int) -> None:
        """Note what a thing does from one time to another."""
        self.motions.append((key, motion, start, end))

    def follow(self, key: object, at: int, box: Edges) -> None:
        """Note where a thing is at any time."""
        self.tracks.setdefault(key, {})[at] = box

    # --- the unit ------------------------------------------------------------------------

    def unit(self) -> t.Stsg | t.Fsg:
        """The graph at level stsg, or fsg for a still picture."""
        whole = self._whole()
        if not self.still:
            return whole
        fields = {name: getattr(whole, name) for name in t.Fsg.model_fields}
        gaps = tuple(g for g in whole.gaps if g.what not in ("motion", "event"))
        return t.Fsg.model_validate({**fields, "gaps": gaps})

    def _whole(self) -> t.Stsg:
        times = sorted(self.keyframes)
        frames = {at: f"c0.k{i}" for i, at in enumerate(times)}
        keyframes = tuple(t.Keyframe(id=frames[at], at=at) for at in times)
        end = max(self.shown.duration, (times[-1] if times else 0) + 1)
        clip = t.Clip(id="c0", start=0, end=end, keyframes=keyframes)
        numbers = {key: n for n, key in enumerate(self.things, 1)}
        made = _Nodes(self, frames)
        relations = self._relations(made, frames)
        motions, doing = self._motions(made)
        gaps = [t.Gap(where="c0", what="event")]
        gaps += [t.Gap(where=f, what="attr") for f in frames.values()] * (not self.attributes)
        gaps += [
            t.Gap(where=frames[at], what="object", word=w)
            for at, w in sorted(self.more)
            if at in frames
        ]
        gaps += [
            t.Gap(where=a, what="motion", other=b) for a, b in made.pairs() if (a, b) not in doing
        ]
        gaps += [t.Gap(where=x, what="motion") for x in made.alone()]
        if len(times) < 2:
            gaps = [g for g in gaps if g.what != "motion"] + [t.Gap(where="c0", what="motion")]
        video = self.shown.video().model_copy(update={"duration": max(end, self.shown.duration)})
        return t.Stsg(
            name=self.name,
            video=video,
            clips=(clip,) if times else (),
            objects=tuple(made.objects),
            attributes=tuple(self._attributes(made, frames)),
            relations=tuple(relations),
            motions=tuple(motions),
            denied=tuple(self._denied(made, frames)),
            gaps=tuple(gaps) if times else (),
            boxes=tuple(made.boxes(numbers)),
            tracks=tuple(self._tracks(numbers, end)),
        )

    @property
    def _origin(self) -> t.Origin:
        return t.Origin(source=f"annotation:{self.source}")

    def edges(self, box: Edges) -> tuple[int, int, int, int] | None:
        """A box in thousandths, within the picture; None if nothing of it is there."""
        wide, high = self.shown.width, self.shown.height
        left, top, right, bottom = (
            min(1000, max(0, round(1000 * e / whole)))
            for e, whole in zip(box, (wide, high, wide, high), strict=True)
        )
        return (left, top, right, bottom) if left < right and top < bottom else None

    def moves(self, key: object) -> bool:
        """Whether a thing is one that moves by itself, does something, or changes its place."""
        thing = self.things[key]
        if _class(thing.label) in MOVING or any(key == m[0] for m in self.motions):
            return True
        boxes = [e for b in (*thing.at.values(), *self.tracks.get(key, {}).values())
                 if b and (e := self.edges(b))]  # fmt: skip
        ways = [[(e[i] + e[i + 2]) / 2 for e in boxes] for i in (0, 1)]
        return any(max(way) - min(way) > 2 * MARGIN for way in ways) if boxes else False

    def _relations(self, made: _Nodes, frames: Mapping[int, str]) -> list[t.Relation]:
        held: dict[tuple[str, str, str], list[int]] = {}
        said: dict[tuple[str, str, str], tuple[str, list[tuple[int, int] | None]]] = {}
        for (one, predicate, other, during), at in self.relations.items():
            for when in sorted(at):
                key = (made.node(one, when), plain(predicate), made.node(other, when))
                if when not in held.setdefault(key, []):
                    held[key].append(when)
                    said.setdefault(key, (predicate, []))[1].append(during)
        relations = []
        for (one_, _, other_), at_ in held.items():
            predicate, spans = said[one_, _, other_]
            during = spans[0] if len({*spans}) == 1 else None
            relations.append(
                t.Relation(subject=one_, object=other_, predicate=predicate, trust=SURE,
                           frames=tuple(frames[x] for x in sorted(at_)), during=during,
                           origin=self._origin)
            )  # fmt: skip
        return relations

    def _denied(self, made: _Nodes, frames: Mapping[int, str]) -> list[t.Relation]:
        no = SURE.model_copy(update={"votes": 0, "verdict": "no"})
        stated = {
            (a, plain(p), b, at) for (a, p, b, _), held in self.relations.items() for at in held
        }
        held: dict[tuple[str, str, str], list[int]] = {}
        for one, predicate, other, at in sorted(self.denied, key=repr):
            if (one, plain(predicate), other, at) not in stated:
                key = made.node(one, at), predicate, made.node(other, at)
                held.setdefault(key, []).append(at)
        return [
            t.Relation(subject=a, predicate=p, object=b, trust=no, origin=self._origin,
                       frames=tuple(frames[x] for x in sorted(at)))
            for (a, p, b), at in held.items()
        ]  # fmt: skip

    def _attributes(self, made: _Nodes, frames: Mapping[int, str]) -> list[t.Attribute]:
        held: dict[tuple[str, str, str], set[int]] = {}
        for (key, kind, value), at in self.attributes.items():
            for when in at:
                held.setdefault((made.node(key, when), kind, value), set()).add(when)
        ids = t.ordinals(f"{owner}/{t.slug(value)}" for owner, _, value in held)
        return [
            t.Attribute(id=name, kind=t.slug(kind), value=value, trust=SURE, origin=self._origin,
                        frames=tuple(frames[x] for x in sorted(at)))
            for name, ((_, kind, value), at) in zip(ids, held.items(), strict=True)
        ]  # fmt: skip

    def _motions(self, made: _Nodes) -> tuple[list[t.Motion], set[tuple[str, str]]]:
        """Motions between neighbouring keyframes of a thing, which may do several things at a time."""
        edges: dict[tuple[str, str, str], t.Motion] = {}
        for key, motion, start, end in self.motions:
            times = sorted(self.things[key].at) if key in self.things else []
            inside = False
            for a, b in pairwise(times):
                if start <= a and b <= end:
                    inside = True
                    one, other = made.node(key, a), made.node(key, b)
                    edges[one, other, plain(motion)] = t.Motion(
                        source=one, target=other, motion=motion, start=a, end=b, trust=SURE,
                        origin=self._origin,
                    )  # fmt: skip
            self.lost += not inside
        return [*edges.values()], {(one, other) for one, other, _ in edges}

    def _tracks(self, numbers: Mapping[object, int], end: int) -> list[t.Track]:
        tracks = []
        for key, places in self.tracks.items():
            points = []
            for at, box in sorted(places.items()):
                edges = self.edges(box)
                if edges is not None and at < end:
                    left, top, right, bottom = edges
                    points.append(
                        t.TrackPoint(at=at, left=left, top=top, right=right, bottom=bottom)
                    )
            if points and key in numbers:
                tracks.append(
                    t.Track(clip="c0", number=numbers[key], source=f"annotation:{self.source}",
                            points=tuple(points))
                )  # fmt: skip
        return tracks


class _Nodes:
    """The nodes of the things of a scene: one for a thing that stays, one per keyframe for others."""

    def __init__(self, scene: AnnotatedScene, frames: Mapping[int, str]) -> None:
        self.scene, self.frames = scene, frames
        self.static: dict[object, str] = {}
        self.dynamic: dict[object, dict[int, str]] = {}
        self.objects: list[t.Object] = []
        keys = list(scene.things)
        names = dict(
            zip(keys, t.ordinals(t.slug(scene.things[k].label) for k in keys), strict=True)
        )
        for key in keys:
            thing, seen = scene.things[key], sorted(scene.things[key].at)
            nodes: list[tuple[str, tuple[str, ...]]] = []
            if scene.still or scene.moves(key):
                self.dynamic[key] = {at: f"{frames[at]}/{names[key]}" for at in seen}
                nodes += [(name, (frames[at],)) for at, name in self.dynamic[key].items()]
            else:
                self.static[key] = f"c0/{names[key]}"
                nodes += [(self.static[key], tuple(frames[at] for at in seen))]
            self.objects += [
                t.Object(op="dynamic" if scene.moves(key) else "static", id=name, label=thing.label,
                         called=scene.called.get(key, ()), frames=at, trust=SURE,
                         origin=scene._origin)
                for name, at in nodes
            ]  # fmt: skip

    def node(self, key: object, at: int) -> str:
        """The node of a thing in a keyframe that shows it."""
        return self.static[key] if key in self.static else self.dynamic[key][at]

    def pairs(self) -> list[tuple[str, str]]:
        """The nodes of moving things in neighbouring keyframes of theirs."""
        told = self.scene.told
        rows = [list(nodes.values()) for key, nodes in self.dynamic.items() if key not in told]
        return [pair for row in rows for pair in pairwise(row)]

    def alone(self) -> list[str]:
        """The nodes of moving things that are seen once."""
        return [next(iter(x.values())) for x in self.dynamic.values() if len(x) == 1]

    def boxes(self, numbers: Mapping[object, int]) -> list[t.Box]:
        made = []
        for key, thing in self.scene.things.items():
            for at, box in sorted(thing.at.items()):
                edges = self.scene.edges(box) if box else None
                if edges is not None:
                    left, top, right, bottom = edges
                    made.append(
                        t.Box(owner=self.node(key, at), frame=self.frames[at], left=left, top=top,
                              right=right, bottom=bottom, track=numbers[key],
                              source=f"annotation:{self.scene.source}")
                    )  # fmt: skip
        return made


def _class(label: str) -> str:
    return noun_classes("english").get(label.strip().lower(), "thing")


def spread(times: Sequence[int], apart: int) -> list[int]:
    """Some of the times, at least `apart` ms from each other: the first one, and then each that is due."""
    kept: list[int] = []
    for at in times:
        if not kept or at - kept[-1] >= apart:
            kept.append(at)
    return kept
