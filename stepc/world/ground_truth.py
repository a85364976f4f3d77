"""Builds the ground-truth STSG of a rendered film, as IR."""

from __future__ import annotations

from stepc.ir import types as t
from stepc.world.render import extent
from stepc.world.scene import (
    FPS,
    PREDICATES,
    SIDE,
    Actor,
    Film,
    Shot,
    predicates,
    reading_order,
)

SURE = t.Trust(votes=1, asked=1, verdict="yes")


SOURCE = "annotation"
EVERY = 4
"""Frames from one point of a track to the next: six points per second."""


def _millis(frame: int) -> int:
    return round(frame * 1000 / FPS)


def truth(  # long: one loop over the shots makes the elements of all kinds
    film: Film, name: str, file: str, sha256: str
) -> t.Stsg:
    """Ground-truth STSG of `film`, with a keyframe in the first and in the last rest phase of every shot.

    It has the boxes of all things, and their tracks.
    """
    clips: list[t.Clip] = []
    objects: list[t.Object] = []
    attributes: list[t.Attribute] = []
    relations: list[t.Relation] = []
    motions: list[t.Motion] = []
    events: list[t.Event] = []
    boxes: list[t.Box] = []
    tracks: list[t.Track] = []
    at = 0
    for number, shot in enumerate(film.shots):
        c = f"c{number}"
        start, end = _millis(at), _millis(at + shot.frames)
        frames = (f"{c}.k0", f"{c}.k1")
        times = (_millis(at + shot.rest // 2), _millis(at + shot.frames - 1 - shot.rest // 2))
        keyframes = tuple(t.Keyframe(id=f, at=m) for f, m in zip(frames, times, strict=True))
        clips.append(t.Clip(id=c, start=start, end=end, keyframes=keyframes))
        nodes = {a: _nodes(a, c, frames) for a in shot.actors}
        for a in sorted(shot.actors, key=lambda a: reading_order(a.start)):
            objects += nodes[a]
            attributes += [x for o in nodes[a] for x in _attributes(a, o)]
            if a.thing.dynamic:
                motions.append(
                    t.Motion(
                        source=nodes[a][0].id,
                        target=nodes[a][1].id,
                        motion=a.motion,
                        start=times[0],
                        end=times[1],
                        trust=SURE,
                    )
                )
        relations += _relations(shot, nodes, frames)
        boxes += _boxes(nodes, frames)
        tracks += (_track(a, shot, c, at) for a in shot.actors)
        events.append(t.Event(clip=c, event=shot.event(), start=start, end=end, trust=SURE))
        at += shot.frames
    video = t.Video(
        file=file,
        sha256=sha256,
        duration=_millis(at),
        rate=str(FPS),
        width=SIDE,
        height=SIDE,
    )
    return t.Stsg(
        name=name,
        video=video,
        clips=tuple(clips),
        objects=tuple(objects),
        attributes=tuple(attributes),
        relations=tuple(relations),
        motions=tuple(motions),
        references=tuple(_references(film)),
        events=tuple(events),
        boxes=tuple(boxes),
        tracks=tuple(tracks),
    )


def _edges(a: Actor, progress: float) -> tuple[int, int, int, int]:
    """The edges of an actor's box in thousandths, within the picture."""
    x, y = a.at(progress)
    left, top, right, bottom = extent(a.thing.shape, a.thing.size)
    edges = (round(x) + left, round(y) + top, round(x) + right, round(y) + bottom)
    left, top, right, bottom = (min(1000, max(0, round(e * 1000 / SIDE))) for e in edges)
    return left, top, right, bottom


def _boxes(nodes: dict[Actor, list[t.Object]], frames: tuple[str, str]) -> list[t.Box]:
    made = []
    for a, objects in nodes.items():
        for i, frame in enumerate(frames):
            left, top, right, bottom = _edges(a, float(i))
            made.append(
                t.Box(owner=objects[i if a.thing.dynamic else 0].id, frame=frame, left=left,
                      top=top, right=right, bottom=bottom, source=SOURCE, track=a.thing.identity)
            )  # fmt: skip
    return made


def _track(a: Actor, shot: Shot, clip: str, first: int) -> t.Track:
    points = []
    for i in range(0, shot.frames, EVERY):
        left, top, right, bottom = _edges(a, shot.progress(i))
        at = _millis(first + i)
        points.append(t.TrackPoint(at=at, left=left, top=top, right=right, bottom=bottom))
    return t.Track(clip=clip, number=a.thing.identity, source=SOURCE, points=tuple(points))


def _nodes(a: Actor, clip: str, frames: tuple[str, str]) -> list[t.Object]:
    shape = a.thing.shape
    if a.thing.dynamic:
        return [
            t.Object(op="dynamic", id=f"{f}/{shape}", label=shape, frames=(f,), trust=SURE)
            for f in frames
        ]
    return [t.Object(op="static", id=f"{clip}/{shape}", label=shape, frames=frames, trust=SURE)]


def _attributes(a: Actor, o: t.Object) -> list[t.Attribute]:
    return [
        t.Attribute(id=f"{o.id}/{value}", kind=kind, value=value, frames=o.frames, trust=SURE)
        for kind, value in a.thing.attributes
    ]


def _relations(
    shot: Shot, nodes: dict[Actor, list[t.Object]], frames: tuple[str, str]
) -> list[t.Relation]:
    """Relations of each pair, once, in reading order.

    A relation between static things that holds in both keyframes becomes a single relation.
    """
    held: dict[tuple[str, str, str], list[str]] = {}
    for i, frame in enumerate(frames):
        actors = sorted(shot.actors, key=lambda a: reading_order(a.at(float(i))))
        for n, a in enumerate(actors):
            for b in actors[n + 1 :]:
                for p in predicates(a.at(float(i)), b.at(float(i))):
                    one, two = (nodes[x][i if x.thing.dynamic else 0].id for x in (a, b))
                    held.setdefault((one, p, two), []).append(frame)
    return [
        t.Relation(subject=s, predicate=p, object=o, frames=tuple(fs), trust=SURE)
        for (s, p, o), fs in held.items()
        if p in PREDICATES
    ]


def _references(film: Film) -> list[t.Reference]:
    made = []
    first: list[dict[int, str]] = []
    for number, shot in enumerate(film.shots):
        first.append(
            {
                a.thing.identity: (
                    f"c{number}.k0/{a.thing.shape}"
                    if a.thing.dynamic
                    else f"c{number}/{a.thing.shape}"
                )
                for a in shot.actors
            }
        )
    for i, earlier in enumerate(first):
        for later in first[i + 1 :]:
            made += [
                t.Reference(first=node, second=later[who], trust=SURE)
                for who, node in earlier.items()
                if who in later
            ]
    return made
