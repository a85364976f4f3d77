"""Graphs and specs drawn at random that are whole: graphs that verify, specs that can be read."""

from __future__ import annotations

import random
from itertools import combinations, pairwise
from pathlib import Path

from stepc.diagnostics import StepcError
from stepc.ir import types as t
from stepc.ir.words import inverse, normal, plain
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
                made = t.Object(op="static", id=name, label=label, frames=seen, trust=_sure(rng))
                objects.append(made)
                continue
            times = [f for f in ids if rng.random() < 0.8] or [ids[0]]
            row = [
                t.Object(op="dynamic", id=f"{f}/{t.slug(label)}.d{n}", label=label, frames=(f,),
                         trust=_sure(rng))
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
    return unit.evolve(references=_references(unit, rng))


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
    ]
    forms = ["ask", "claim", "choice", "count", "first", "last", "longest", "shortest", "when",
             "how-long", "which-first", "which-last", "which-longer", "which-shorter", "same"]  # fmt: skip
    some = rng.sample(forms, rng.randint(1, 3))
    rows = [
        f"count {rng.randint(6, 14)} per video",
        f"steps {rng.choice(['1', '2', '3', '1..2', '1..3', '2..3'])}",
        "start " + ", ".join(["attr", "rel", "motion", "ref", "event", "next"] if rng.random() < 0.7
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
        times = rng.sample(["during", "before", "after", "span"], rng.randint(1, 3))
        rows += [f"{when} 1/{len(times) + rng.randint(0, 1)}" for when in times]
    return f"paths {name} {{\n" + "".join(f"  {row}\n" for row in rows) + "}\n"


assert inverse("left of") == "right of"  # what makes readings the other way round
