"""Units of every level, drawn by hypothesis: any label, any script, any number of elements."""

from __future__ import annotations

from typing import get_args

from hypothesis import strategies as st

from stepc.edges import EDGES
from stepc.forms import FORMS
from stepc.ir import types as t
from stepc.ir.words import normal

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)
"""Any text: quotes, backslashes, newlines, tabs, every script."""
CALLED = st.lists(WORDS, max_size=2, unique_by=normal)
MAYBE = st.one_of(st.just(""), WORDS)
TRUST = st.builds(
    lambda votes, more, verdict: t.Trust(votes=votes, asked=votes + more, verdict=verdict),
    st.integers(0, 9),
    st.integers(1, 9),
    st.sampled_from(["yes", "no", "unasked"]),
)
SHARE = st.integers(0, 1000)
SPAN = st.tuples(st.integers(0, 10**6), st.integers(0, 10**6))
SOURCE = st.one_of(st.none(), WORDS)
POINT = st.builds(
    t.TrackPoint, at=st.integers(0, 10**6), left=SHARE, top=SHARE, right=SHARE, bottom=SHARE
)
ASKS = st.lists(st.from_regex(r"\A[0-9a-f]{12}\Z"), max_size=2).map(tuple)
OP = st.one_of(
    st.builds(t.During, event=st.one_of(st.none(), WORDS)),
    st.builds(t.Beyond, op=st.sampled_from(["before", "after"]), event=WORDS),
    st.builds(t.Between, start=st.integers(0, 10**6), end=st.integers(0, 10**6)),
    st.builds(t.Node, label=WORDS),
    st.builds(t.Happens, event=WORDS),
    st.builds(t.To, label=WORDS),
    st.builds(t.Where, value=WORDS),
    st.just(t.Count()),
    st.builds(t.Pick, which=st.sampled_from(get_args(t.Superlative))),
    st.builds(
        t.Compare,
        how=st.sampled_from(["first", "last", "longer", "shorter", "same"]),
        one=WORDS,
        other=WORDS,
    ),
    st.builds(t.Given, edge=st.sampled_from(["attr", "motion"]), kind=MAYBE, value=WORDS),
    st.builds(
        t.Follow,
        edge=st.sampled_from(list(EDGES)),
        way=st.sampled_from(get_args(t.Way)),
        word=MAYBE,
    ),
    st.builds(t.The, variable=st.sampled_from("abc"), label=WORDS),
    st.builds(
        t.Fact,
        op=st.sampled_from(["fact", "no"]),
        near=st.sampled_from("abc"),
        edge=st.sampled_from(["attr", "rel", "motion"]),
        word=MAYBE,
        far=st.sampled_from("abc"),
    ),
    st.builds(
        t.Fact, near=st.just("a"), edge=st.sampled_from(["attr", "motion"]), word=MAYBE, value=WORDS
    ),
    st.builds(t.FindVariable, variable=st.sampled_from("abc")),
    st.just(t.LaterMoment()),
    st.just(t.Exists()),
    st.just(t.Unique()),
    st.builds(t.Get, what=st.sampled_from(["label", "value", "span", "duration"])),
)
QUERY = st.lists(OP, min_size=1, max_size=5).map(tuple)


@st.composite
def units(draw: st.DrawFn, level: str) -> t.Unit:
    """A unit of `level` that its types allow (not one that verifies)."""
    clips, frames, at = [], [], 0
    for number in range(draw(st.integers(0, 3))):
        start = at + draw(st.integers(0, 2000))
        at = start + draw(st.integers(1, 10**7))
        keyframes = tuple(
            t.Keyframe(id=f"c{number}.k{k}", at=start + k) for k in range(draw(st.integers(0, 3)))
        )
        frames += [k.id for k in keyframes]
        clips.append(t.Clip(id=f"c{number}", start=start, end=at, keyframes=keyframes))
    video = t.Video(
        file=draw(WORDS),
        sha256=draw(st.from_regex(r"\A[0-9a-f]{64}\Z")),
        duration=at + draw(st.integers(0, 10)),
        rate=draw(st.sampled_from(["25", "30000/1001"])),
        width=draw(st.integers(1, 9999)),
        height=draw(st.integers(1, 9999)),
    )
    data: dict[str, object] = {"name": draw(WORDS), "video": video, "clips": tuple(clips)}
    if level != "clips":
        data |= draw(_graph(frames, level, at))
    if level in ("paths", "qra"):
        nodes = [o.id for o in data["objects"]]  # type: ignore[attr-defined]
        data["paths"] = tuple(draw(_path(i, nodes)) for i in range(draw(st.integers(0, 2))))
    if level == "qra":
        data["samples"] = tuple(draw(_sample(i)) for i in range(draw(st.integers(0, 2))))
    return t.LEVELS[level].model_validate(data)


@st.composite
def _graph(draw: st.DrawFn, frames: list[str], level: str, end: int) -> dict[str, object]:
    def believed(nodes: list[str] = []) -> dict[str, object]:  # noqa: B006
        origin = t.Origin(nodes=tuple(nodes), asks=draw(ASKS), source=draw(SOURCE))
        return {"trust": draw(TRUST), "origin": origin}

    def some(of: list[str]) -> tuple[str, ...]:
        return tuple(f for f in of if draw(st.booleans())) or (of[0],)

    objects: list[t.Object] = []
    for frame in frames:
        labels = draw(st.lists(WORDS, max_size=3))
        for name, label in zip(t.ordinals(t.slug(x) for x in labels), labels, strict=True):
            whole = level != "fsg" and draw(st.booleans())
            place = t.clip_of(frame) if whole else frame
            seen = [f for f in frames if t.clip_of(f) == t.clip_of(frame)] if whole else [frame]
            op = "static" if whole else draw(st.sampled_from(["static", "dynamic"]))
            made = t.Object(
                op=op,  # type: ignore[arg-type]
                id=f"{place}/{name}",
                label=label,
                called=tuple(x for x in draw(CALLED) if normal(x) != normal(label)),
                frames=some(seen),
                **believed([f"{frame}/{name}"] if whole else []),  # type: ignore[arg-type]
            )
            if made.id not in {o.id for o in objects}:
                objects.append(made)
    attributes = [
        t.Attribute(
            id=f"{o.id}/{t.slug(value)}",
            kind=draw(st.sampled_from(["color", "größe", "state"])),
            value=value,
            frames=some(list(o.frames)),
            **believed(),  # type: ignore[arg-type]
        )
        for o in objects
        for value in draw(st.lists(WORDS, max_size=1))
    ]
    pairs = [(a, b) for a in objects for b in objects if a is not b]

    def edges(of: list[tuple[t.Object, t.Object]]) -> list[tuple[t.Object, t.Object]]:
        return draw(st.lists(st.sampled_from(of), max_size=3)) if of else []

    near = [p for p in pairs if t.clip_of(p[0].id) == t.clip_of(p[1].id)]
    relations = tuple(
        t.Relation(
            subject=a.id,
            object=b.id,
            predicate=draw(WORDS),
            frames=some([*a.frames, *b.frames]),
            during=draw(st.one_of(st.none(), SPAN)),
            **believed(),  # type: ignore[arg-type]
        )
        for a, b in edges(near)
    )
    gaps = tuple(
        t.Gap(where=a.id, what="rel", other=b.id, word=draw(st.one_of(st.none(), WORDS)))
        for a, b in edges(near)
    )
    tracks = tuple(
        t.Track(clip=t.clip_of(f), number=draw(st.integers(0, 9)), source=draw(WORDS),
                points=tuple(draw(st.lists(POINT, min_size=1, max_size=3))))
        for f in frames
        if draw(st.booleans())
    )  # fmt: skip
    boxes = [
        t.Box(
            owner=o.id,
            frame=draw(st.sampled_from(o.frames)),
            **{edge: draw(SHARE) for edge in ("left", "top", "right", "bottom", "score")},
            source=draw(WORDS),
            track=draw(st.one_of(st.none(), st.integers(0, 9))),
        )
        for o in objects
        if draw(st.booleans())
    ]
    data: dict[str, object] = {
        "objects": tuple(objects),
        "attributes": tuple(attributes),
        "relations": relations,
        "boxes": tuple(boxes) if draw(st.booleans()) else (),
        "tracks": tracks if draw(st.booleans()) else (),
        "gaps": gaps,
    }
    if level != "fsg":
        data["motions"] = tuple(
            t.Motion(source=a.id, target=b.id, motion=draw(WORDS), start=1, end=end, **believed())  # type: ignore[arg-type]
            for a, b in edges(near)
        )
    if level not in ("fsg", "tsg"):
        far = [p for p in pairs if t.clip_of(p[0].id) != t.clip_of(p[1].id)]
        data["references"] = tuple(
            t.Reference(first=a.id, second=b.id, **believed())  # type: ignore[arg-type]
            for a, b in edges(far)
        )
        data["events"] = tuple(
            t.Event(clip=c, event=draw(WORDS), start=0, end=end, **believed())  # type: ignore[arg-type]
            for c in sorted({t.clip_of(f) for f in frames})
        )
    return data


@st.composite
def _path(draw: st.DrawFn, number: int, nodes: list[str]) -> t.Path:
    ends = st.sampled_from(nodes) if nodes else st.just("c0.k0/x")
    kinds = st.sampled_from(list(EDGES))
    ways = st.sampled_from(get_args(t.Way))
    step = st.builds(t.Step, edge=kinds, near=ends, far=ends, word=MAYBE, way=ways)
    return t.Path(
        id=f"p{number}",
        wanted=draw(st.integers(1, 5)),
        block=draw(st.sampled_from(["paths", "of-mine"])),
        form=draw(st.sampled_from(list(FORMS))),
        also=tuple(draw(st.lists(step, max_size=2))),
        unique=draw(st.booleans()),
        **draw(st.sampled_from([{}, *({"time": w, "clip": "c0"} for w in get_args(t.When))])),
        steps=tuple(draw(st.lists(step, max_size=3))),
        query=draw(QUERY),
    )


@st.composite
def _sample(draw: st.DrawFn, number: int) -> t.Sample:
    shown = st.sampled_from(["video", "nothing", "keyframe", "without 1", "without 12"])
    probe = st.builds(t.ProbeResult, shown=shown, right=st.integers(0, 9), asked=st.integers(1, 9))
    kinds = st.sampled_from(get_args(t.WrongKind))
    wrong = st.builds(t.WrongStep, step=st.integers(1, 3), what=kinds, text=MAYBE, answer=MAYBE,
                      instead=MAYBE)  # fmt: skip
    because = st.builds(t.Because, question=MAYBE, answer=MAYBE, text=MAYBE, query=QUERY)
    return t.Sample(
        id=f"q{number}",
        path=f"p{number}",
        form=draw(st.sampled_from(["open", "yes-no", "choice", "count", "time", "compare"])),
        options=tuple(draw(st.lists(MAYBE, max_size=3))),
        room=draw(st.integers(0, 2)),
        also=tuple(draw(st.lists(MAYBE, max_size=2))),
        wording=draw(st.sampled_from(["template", "refined"])),
        checked=draw(st.booleans()),
        question=draw(MAYBE),
        answer=draw(MAYBE),
        claim=draw(MAYBE),
        query=draw(QUERY),
        rationale=tuple(draw(st.lists(because, max_size=3))),
        wrong=tuple(draw(st.lists(wrong, max_size=2))),
        probes=tuple(draw(st.lists(probe, max_size=2))),
    )
