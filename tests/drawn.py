"""Graphs and specs drawn at random that are whole: graphs that verify, specs that can be read."""

from __future__ import annotations

import random
from itertools import combinations, pairwise
from pathlib import Path

from stepc.diagnostics import StepcError
from stepc.ir import types as t
from stepc.ir.graph import entities
from stepc.ir.words import excludes, inverse, mentions, normal, plain
from stepc.lang.resolve import read_spec
from stepc.lang.types import Spec

EVERYTHING = Path(__file__).with_name("everything.step").read_text("utf-8")
"""A spec's wordings of everything that can be asked; it has no block to draw from."""
LABELS = ["cup", "Cups", "man", "old table", "dog", "scissors", "cup holder", "a {thing}", "ねこ"]
PREDICATES = ["left of", "right of", "on", "near", "holding", "Left of"]
VALUES = {"color": ["red", "blue", "dark red"], "size": ["large", "small"]}
MOTIONS = ["walking", "sitting down", "walking to the cup", "is running"]
EVENTS = ["it is raining", "a dog comes by", "the man is walking", "It is raining"]


def graph(rng: random.Random) -> t.Stsg:
    """A graph that verifies: few labels and words, so that much is ambiguous."""
    clips, at = [], 0
    for c in range(rng.randint(1, 4)):
        start = at + rng.choice([0, 0, 700])
        times = sorted(rng.sample(range(start, start + 6000), rng.randint(1, 3)))
        at = start + 6000
        frames = tuple(t.Keyframe(id=f"c{c}.k{k}", at=x) for k, x in enumerate(times))
        clips.append(t.Clip(id=f"c{c}", start=start, end=at, keyframes=frames))
    objects: list[t.Object] = []
    motions: list[t.Motion] = []
    for clip in clips:
        ids = [k.id for k in clip.keyframes]
        for n in range(rng.randint(0, 4)):
            label = rng.choice(LABELS)
            if rng.random() < 0.5:
                seen = tuple(f for f in ids if rng.random() < 0.8) or (ids[0],)
                name = f"{clip.id}/{t.slug(label)}.s{n}"
                made = t.Object(op="static", id=name, label=label, called=_called(label, n),
                                frames=seen, trust=_sure(rng))  # fmt: skip
                objects.append(made)
                continue
            times = [f for f in ids if rng.random() < 0.8] or [ids[0]]
            row = [
                t.Object(op="dynamic", id=f"{f}/{t.slug(label)}.d{n}", label=label,
                         called=_called(label, n), frames=(f,), trust=_sure(rng))
                for f in times
            ]  # fmt: skip
            objects += row
            spans = {k.id: k.at for k in clip.keyframes}
            motions += [
                t.Motion(source=a.id, target=b.id, motion=rng.choice(MOTIONS), trust=_sure(rng),
                         start=spans[a.frames[0]], end=spans[b.frames[0]])
                for a, b in pairwise(row)
            ]  # fmt: skip
    attributes = []
    for o in objects:
        for kind in VALUES:
            if rng.random() < 0.5:
                value = rng.choice(VALUES[kind])
                attributes.append(
                    t.Attribute(id=f"{o.id}/{t.slug(value)}", kind=kind, value=value,
                                frames=o.frames, trust=_sure(rng))
                )  # fmt: skip
    relations: dict[tuple[str, str, str], t.Relation] = {}
    for a, b in combinations(objects, 2):
        one, two = rng.sample([a, b], 2)
        both = tuple(f for f in one.frames if f in two.frames)
        if both and rng.random() < 0.5:
            word = rng.choice(PREDICATES)
            relations[one.id, two.id, plain(word)] = t.Relation(
                subject=one.id, object=two.id, predicate=word, frames=both, trust=_sure(rng)
            )
    events = tuple(
        t.Event(clip=c.id, event=rng.choice(EVENTS), start=c.start, end=c.end, trust=_sure(rng))
        for c in clips
        if rng.random() < 0.9
    )
    unit = t.Stsg(
        name="drawn",
        video=t.Video(
            file="v.mp4",
            sha256=f"{rng.getrandbits(256):064x}",
            duration=at,
            rate="25",
            width=640,
            height=360,
        ),
        clips=tuple(clips),
        objects=tuple(objects),
        attributes=tuple(attributes),
        relations=tuple(relations.values()),
        motions=tuple(motions),
        events=events,
    )
    unit = unit.evolve(references=_references(unit, rng))
    unit = holed(unit, rng) if rng.random() < 0.5 else unit
    return boxed(unit, rng) if rng.random() < 0.5 else unit


def holed(unit: t.Stsg, rng: random.Random) -> t.Stsg:
    """The graph with gaps, and with some of its facts denied instead of stated."""
    denied: list[t.Denied] = []
    kept: dict[str, list[t.Element]] = {}
    few = rng.choice([0.0, 0.1, 0.3])
    no = t.Trust(votes=1, asked=3, verdict="no")
    for name in ("attributes", "relations", "motions", "events"):
        for e in getattr(unit, name):
            if rng.random() < few:
                denied.append(e.model_copy(update={"trust": no}))
            else:
                kept.setdefault(name, []).append(e)
    gaps: list[t.Gap] = []
    some = rng.choice([0.0, 0.05, 0.2])
    for clip in unit.clips:
        for what in ("motion", "event"):
            if rng.random() < some:
                gaps.append(t.Gap(where=clip.id, what=what))  # type: ignore[arg-type]
        for k in clip.keyframes:
            for what in ("object", "attr", "rel"):
                if rng.random() < some:
                    word = rng.choice([None, *LABELS]) if what == "object" else None
                    gaps.append(t.Gap(where=k.id, what=what, word=word))  # type: ignore[arg-type]
    for o in unit.objects:
        if t.frame_of(o.id):
            what = rng.choice(["attr", "motion"])
            if rng.random() < some:
                gaps.append(t.Gap(where=o.id, what=what))  # type: ignore[arg-type]
            for other in unit.objects:
                if (
                    t.frame_of(other.id) == t.frame_of(o.id)
                    and other.id > o.id
                    and rng.random() < some
                ):
                    word = rng.choice([None, *PREDICATES])
                    gaps.append(t.Gap(where=o.id, what="rel", other=other.id, word=word))
    blind = {g.where for g in gaps if g.what == "event"}
    kept["events"] = [e for e in kept.get("events", ()) if e.place not in blind]
    fields = {
        name: tuple(kept.get(name, ())) for name in ("attributes", "relations", "motions", "events")
    }
    return unit.evolve(**fields, denied=tuple(denied), gaps=tuple(gaps))


def boxed(unit: t.Stsg, rng: random.Random) -> t.Stsg:
    """A graph with boxes of some of its objects; those of some individuals of a clip have a track."""
    entity = entities(unit)
    tracked = {n for n in entity.values() if rng.random() < 0.5}
    boxes = []
    for o in unit.objects:
        for frame in o.frames:
            left, right = sorted(rng.sample(range(1001), 2))
            top, bottom = sorted(rng.sample(range(1001), 2))
            track = entity[o.id] if entity[o.id] in tracked else None
            box = t.Box(owner=o.id, frame=frame, left=left, top=top, right=right, bottom=bottom,
                        score=rng.randrange(1001), source="annotation", track=track)  # fmt: skip
            boxes += [box] if rng.random() < 0.7 else []
    tracks = []
    for clip, number in sorted(
        {(t.clip_of(b.owner), b.track) for b in boxes if b.track is not None}
    ):
        start = next(c.start for c in unit.clips if c.id == clip)
        times = sorted(rng.sample(range(start, start + 6000), 3))
        points = tuple(t.TrackPoint(at=x, left=rng.randrange(500), top=rng.randrange(500),
                                    right=rng.randrange(501, 1001), bottom=rng.randrange(501, 1001))
                       for x in times)  # fmt: skip
        tracks.append(t.Track(clip=clip, number=number, source="annotation", points=points))
    return unit.evolve(boxes=tuple(boxes), tracks=tuple(tracks))


def completed(unit: t.Stsg, rng: random.Random) -> t.Stsg:
    """A graph without gaps that agrees with everything `unit` knows."""
    whole = _Completion(unit, rng)
    # who was said to move stays one object, and what does not stand so still does not
    still = tuple(e for e in unit.denied if isinstance(e, t.Motion | t.Relation))
    return unit.evolve(**whole.fields(), denied=still, gaps=())


class _Completion:
    """Adds facts at random where the graph knows nothing, and others in place of denied ones."""

    def __init__(self, unit: t.Stsg, rng: random.Random) -> None:
        self.unit, self.rng = unit, rng
        self.objects, self.events = list(unit.objects), list(unit.events)
        self.attributes, self.relations = list(unit.attributes), list(unit.relations)
        self.motions = list(unit.motions)
        self.seen = {n: o for o in unit.objects for n in (o.id, *o.origin.nodes)}
        for gap in unit.gaps:
            if gap.what == "object":
                for _ in range(rng.randint(0, 2)):
                    self.object(gap.where, gap.word)
        for gap in unit.gaps:
            frame = t.frame_of(gap.where) or ""
            there = [o for o in self.objects if frame in o.frames]
            if gap.what == "attr":
                for o in there if "/" not in gap.where else [self.seen[gap.where]]:
                    self.attribute(o, frame, rng.choice([*VALUES]))
            elif gap.what == "rel" and gap.other:
                self.relation(self.seen[gap.where], self.seen[gap.other], frame, gap.word)
            elif gap.what == "rel":
                for one, two in combinations(there, 2):
                    self.relation(one, two, frame)
            elif gap.what == "motion":
                self.motion(gap.where)
            elif gap.what == "event":
                self.event(gap.where)
        for e in unit.denied:
            if isinstance(e, t.Attribute):
                for f in e.frames:
                    if not any(
                        a.owner == e.owner and a.kind == e.kind and f in a.frames
                        for a in unit.attributes
                    ):
                        self.attribute(self.seen[e.owner], f, e.kind)
            elif isinstance(e, t.Motion):
                if not any(m.source == e.source for m in unit.motions):
                    self.motion(e.source)
            elif isinstance(e, t.Event):
                self.event(e.clip)

    def fields(self) -> dict[str, tuple[t.Element, ...]]:
        names = ("objects", "attributes", "relations", "motions", "events")
        return {name: tuple(getattr(self, name)) for name in names}

    def object(self, frame: str, label: str | None = None) -> None:
        rng = self.rng
        label = label or rng.choice(LABELS)
        name = f"{frame}/{t.slug(label)}.new{len(self.objects)}"
        made = t.Object(op="dynamic", id=name, label=label, frames=(frame,), trust=_sure(rng))
        self.objects.append(made)
        for kind in VALUES:
            self.attribute(made, frame, kind)
        for other in self.objects:
            if other is not made and frame in other.frames:
                self.relation(made, other, frame)

    def attribute(self, o: t.Object, frame: str, kind: str) -> None:
        value = self.rng.choice(VALUES[kind])
        true = [
            a for a in self.attributes if (a.owner, a.kind) == (o.id, kind) and frame in a.frames
        ]
        false = [a for a in self.unit.denied if isinstance(a, t.Attribute) and a.owner == o.id]
        if any(excludes(a.value, value, kind) or plain(a.value) == plain(value) for a in true):
            return
        if any(
            a.kind == kind and plain(a.value) == plain(value) and frame in a.frames for a in false
        ):
            return
        name = f"{o.id}/new{len(self.attributes)}"
        self.attributes.append(
            t.Attribute(id=name, kind=kind, value=value, frames=(frame,), trust=_sure(self.rng))
        )

    def relation(self, one: t.Object, two: t.Object, frame: str, word: str | None = None) -> None:
        one, two = self.rng.sample([one, two], 2) if word is None else (one, two)
        word = word or self.rng.choice(PREDICATES)
        back = inverse(word)
        for r in (*self.relations, *self.unit.denied):
            if not isinstance(r, t.Relation):
                continue
            same, turned = (
                (r.subject, r.object) == (one.id, two.id),
                (r.object, r.subject) == (one.id, two.id),
            )
            said = plain(word) if same else plain(back) if turned and back else ""
            if said == plain(r.predicate) or (said and excludes(said, r.predicate)):
                return
            if turned and plain(r.predicate) == plain(word) and back != plain(word):
                return
        self.relations.append(
            t.Relation(
                subject=one.id,
                object=two.id,
                predicate=word,
                frames=(frame,),
                trust=_sure(self.rng),
            )
        )

    def motion(self, where: str) -> None:
        """Something else that is done in a clip, or by an object from a keyframe on."""
        for known in [
            m for m in (*self.unit.motions, *self.unit.denied) if isinstance(m, t.Motion)
        ]:
            if where not in (known.source, t.clip_of(known.source)):
                continue
            word = self.rng.choice(MOTIONS)
            others = [
                m
                for m in (*self.motions, *self.unit.denied)
                if isinstance(m, t.Motion) and m.source == known.source
            ]
            if any(plain(m.motion) == plain(word) or excludes(m.motion, word) for m in others):
                continue
            self.motions.append(known.model_copy(update={"motion": word, "trust": _sure(self.rng)}))

    def does(self, label: str, event: str, clip: str) -> bool:
        """Whether an object of a clip does what an event says that it does, if it says so."""
        said = {plain(m) for m in MOTIONS if mentions(event, m)}
        done = {
            plain(m.motion)
            for m in self.motions
            if t.clip_of(m.source) == clip and normal(self.label(m.source)) == normal(label)
        }
        return not said or bool(said & done)

    def label(self, name: str) -> str:
        return next(o.label for o in self.objects if o.id == name)

    def event(self, clip: str) -> None:
        """What happens in a clip whose event is not known; its words name only what is there."""
        if any(e.clip == clip for e in self.events):
            return
        there = {normal(o.label) for o in self.objects if t.clip_of(o.id) == clip}
        false = {
            plain(e.event) for e in self.unit.denied if isinstance(e, t.Event) and e.clip == clip
        }
        fits = [
            e
            for e in EVENTS
            if plain(e) not in false
            and all(normal(label) in there for label in LABELS if mentions(e, label))
            and all(self.does(label, e, clip) for label in LABELS if mentions(e, label))
        ]
        if fits:
            made = next(c for c in self.unit.clips if c.id == clip)
            self.events.append(
                t.Event(
                    clip=clip,
                    event=self.rng.choice(fits),
                    start=made.start,
                    end=made.end,
                    trust=_sure(self.rng),
                )
            )


def _called(label: str, number: int) -> tuple[str, ...]:
    """Other names of an object; most have none."""
    rng = random.Random(f"{label}/{number}")
    return (
        (rng.choice([x for x in LABELS if normal(x) != normal(label)]),)
        if rng.random() < 0.1
        else ()
    )


def _sure(rng: random.Random) -> t.Trust:
    return t.Trust(votes=rng.randint(1, 3), asked=3, verdict="yes")


def _references(unit: t.Stsg, rng: random.Random) -> tuple[t.Reference, ...]:
    """References that agree: objects of one label, at most one of each clip."""
    groups: list[list[str]] = []
    joined = {m.target for m in unit.motions}  # the first time stands for the object
    for o in unit.objects:
        if o.id in joined:
            continue
        fits = [
            g
            for g in groups
            if t.clip_of(g[-1]) != t.clip_of(o.id)
            and normal(_label(unit, g[0])) == normal(o.label)
            and int(t.clip_of(g[-1])[1:]) < int(t.clip_of(o.id)[1:])
        ]
        if fits and rng.random() < 0.7:
            rng.choice(fits).append(o.id)
        else:
            groups.append([o.id])
    return tuple(
        t.Reference(first=a, second=b, trust=_sure(rng)) for g in groups for a, b in pairwise(g)
    )


def _label(unit: t.Stsg, name: str) -> str:
    return next(o.label for o in unit.objects if o.id == name)


def spec(rng: random.Random) -> Spec:
    """A spec that can be read: a block or two of clauses drawn until they fit together."""
    while True:
        blocks = [_block(rng, f"b{i}") for i in range(rng.randint(1, 2))]
        blocks += [_pattern(rng, f"p{i}") for i in range(rng.randint(0, 3))]
        try:
            return read_spec("spec drawn\n" + "\n".join(blocks) + EVERYTHING)
        except StepcError as error:
            if {d.code for d in error.diagnostics} - {
                "S315",
                "S317",
                "S210",
                "S206",
                "S209",
                "S305",
                "S324",
                "S311",
            }:
                raise


def _block(rng: random.Random, name: str) -> str:
    kinds = [
        "attr",
        "attr =>",
        "attr <=",
        "rel",
        "rel --",
        "rel <=",
        "motion",
        "motion --",
        "ref",
        "event",
        "next",
        "seen",
    ]
    forms = ["ask", "claim", "choice", "count", "first", "last", "longest", "shortest", "when",
             "how-long", "which-first", "which-last", "which-longer", "which-shorter", "is-first",
             "is-longer", "is-shorter", "same", "where-box"]  # fmt: skip
    some = rng.sample(forms, rng.randint(1, 3))
    rows = [
        f"count {rng.randint(6, 14)} per video",
        f"steps {rng.choice(['1', '2', '3', '1..2', '1..3', '2..3'])}",
        "start " + ", ".join(["attr", "rel", "motion", "ref", "event", "next", "seen"] if rng.random() < 0.7
                             else dict.fromkeys(rng.sample(kinds, rng.randint(1, 6)))),
        "expand attr, rel, motion, ref",
        "form " + ", ".join(some),
        f"options {rng.randint(2, 4)} from {rng.choice(['graph', 'clip', 'clip, graph'])}",
        f"tries {rng.choice([5, 30])}",
    ]  # fmt: skip
    optional = [
        "ambiguous", "enumerate", "no-revisit labels", "no-revisit labels, kinds", "forbid static",
        "only dynamic", 'forbid label "cup"', 'only kind "color"', "require confidence >= 1/2",
        "only same-clip", "only across-clips", "only clip 0..1", "only time 0s..9s",
        'forbid event "it is raining"',
        'only predicate "left of", "on"', "seed 3",
    ]  # fmt: skip
    chosen = rng.sample(optional, rng.choice([0, 0, 1, 2]))
    rows += {" ".join(row.split()[:2]): row for row in chosen}.values()
    if rng.random() < 0.7:
        times = rng.sample(
            ["during", "before", "after", "span", "scene", "showing", "moment"], rng.randint(1, 3)
        )
        rows += [f"{when} 1/{len(times) + rng.randint(0, 1)}" for when in times]
    return f"paths {name} {{\n" + "".join(f"  {row}\n" for row in rows) + "}\n"


def _compared(rng: random.Random, name: str) -> list[str]:
    """The lines of a pattern that compares two numbers, of objects beside one and of those with a value."""
    facts = [
        ("rel(r{0}) => s", "r{0}", "s"),
        ("attr(k{0}) => v{0}", "v{0}", ""),
        ("motion => m{0}", "m{0}", ""),
    ]
    rows, said = list[str](), dict[str, None]()
    for i, x in enumerate("ab"):
        fact, *more = rng.choice(facts)
        rows.append(f"where {x} {fact.format(i)}")
        said |= dict.fromkeys(y.format(i) for y in more if y)
    told = [f"{x} is {{{x}}}" for x in said]
    rows += [f"count a {rng.choice('<=>')} b", f'ask "Of {name}, {", ".join(told)}?"']
    return [*rows, 'total "That makes {n}."']


def _pattern(rng: random.Random, name: str) -> str:
    """A pattern of one to three facts about two objects, in up to three moments."""
    rows, said, ends = list[str](), dict[str, None](), dict[str, None]()
    for i in range(rng.randint(1, 3)):
        kind, near = rng.choice(["attr", "rel", "motion"]), rng.choice("ab")
        far = rng.choice("vw") + kind[0] if kind != "rel" else "ab"[near == "a"]
        link = "" if kind == "motion" else rng.choice([f"({kind[0]}{i})", f"({kind[0]}x)", ""])
        if kind == "attr" and rng.random() < 0.3:
            link = f'"{rng.choice(["color", "size"])}"'
        if kind == "rel" and not link:
            link = f'"{rng.choice(PREDICATES)}"'
        if kind == "rel" and link.startswith("("):
            said[link[1:-1]] = None
        refuse = "not " * (rng.random() < 0.2 and {near, far} <= ends.keys())
        rows += ["then"] if rows and rng.random() < 0.2 else []
        rows.append(f"where {refuse}{near} {kind}{link} => {far}")
        ends |= dict.fromkeys([near, far])
        if not refuse and rng.random() < 0.3:
            other, end = rng.choice(
                [("attr", f"u{i}"), ("motion", f"u{i}"), ("rel", "c"), (kind, far)]
            )
            link = f"(q{i})" if other == "rel" else ""
            rows[-1] += f" or {near} {other}{link} => {end}"
            said |= dict.fromkeys([far, end] if far != end or rng.random() < 0.5 else [])
            said |= {link[1:-1]: None} if link else {}
            ends |= {end: None}
    result = rng.choice(["find", "find", "count", "exists", "either"])
    free = [x for x in ends if x not in said] or [*ends]
    target = rng.choice(free) if result != "exists" else ""
    said |= {x: None for x in ends if x != target and rng.random() < 0.6}
    if result == "find" and rng.random() < 0.6:
        result = f"find {rng.choice(['first', 'second', 'last'])}"
    otherwise = ' or "nothing of the kind"' * (result == "find" and rng.random() < 0.5)
    told = [f"{x} is {{{x}}}" for x in said] or ["all of it"]
    told += ["{either}"] * (result == "either")
    rows += [f"{result} {target}{otherwise}", f'ask "Of {name}, {", ".join(told)}?"']
    rows += ['total "That makes {n}."'] if result == "count" else []
    times = rng.choice(
        ["", "during 1", "during 1/2", "span 1", "scene 1", "showing 1/2", "moment 1/2"]
    )
    if rng.random() < 0.25:
        rows = _compared(rng, name)
    return (
        f"pattern {name} {{\n  count 5 per video\n  {times}\n"
        + "".join(f"  {r}\n" for r in rows)
        + "}\n"
    )


assert inverse("left of") == "right of"  # what makes readings the other way round
