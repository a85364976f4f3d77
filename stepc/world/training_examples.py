"""Training examples ("lessons"): requests about rendered pictures, with ground-truth replies.

The requests have the same types that the passes send. The replies have the form that the `compact` templates
ask for.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from stepc.ir.types import Sample as Qra
from stepc.ir.types import Stsg
from stepc.lang.parse import builtin
from stepc.lang.resolve import read_spec
from stepc.lang.types import Placeholder, Spec, Wording
from stepc.model.requests import (
    AttributeClaim,
    Classify,
    Confirm,
    Describe,
    DescribeEvent,
    DescribeMotion,
    DrawGraph,
    EventClaim,
    ListObjects,
    Mention,
    MotionClaim,
    Narrate,
    ObjectClaim,
    Relate,
    RelationClaim,
    Request,
    Reword,
    SameObject,
    Several,
    Smooth,
)
from stepc.passes.compose import Compose
from stepc.passes.sample import SamplePaths
from stepc.passmanager.base import Tools
from stepc.video.decode import Pictures
from stepc.world import inventories
from stepc.world.ground_truth import truth
from stepc.world.render import Picture, draw
from stepc.world.scene import (
    CLEAR,
    COLORS,
    DYNAMIC,
    MOTIONS,
    PREDICATES,
    SIDE,
    SIZES,
    STATIC,
    STILL,
    TEXTURES,
    Actor,
    Shot,
    make_film,
    place,
    predicates,
    reading_order,
)

Lesson = tuple[Request, str]
NOTHING = "nothing known ."


@dataclass(frozen=True)
class Pack:
    """Questions about one sequence of pictures, trained together behind one prefix."""

    pictures: tuple[Picture, ...]
    lessons: tuple[Lesson, ...]
    inventories: tuple[Lesson, ...] = ()
    """Lessons for an exam only (`stepc.world.inventories`)."""


def _mention(actor: Actor) -> Mention:
    return Mention(label=actor.thing.shape)


def several(lessons: list[Lesson], rng: random.Random, share: float) -> list[Lesson]:
    """Lessons plus lists: with probability `share` per batchable kind, a list of two to eight of them."""
    made = list(lessons)
    kinds: dict[str, list[Lesson]] = {}
    for request, reply in lessons:
        kinds.setdefault(request.name, []).append((request, reply))
    for same in kinds.values():
        most = min(len(same), same[0][0].listed, 8)
        if most > 1 and rng.random() < share:
            chosen = rng.sample(same, rng.randint(2, most))
            items = tuple(request for request, _ in chosen)
            reply = " | ".join(f"{_about(request)}{reply}" for request, reply in chosen)
            made.append((Several(frames=(), items=items), reply))
    return made


def _about(request: Request) -> str:
    """Prefix of an answer in a list: its subject, so that the answer can be matched to its question."""
    match request:
        case Reword() | Smooth():
            return ""
        case SameObject(first=one, second=other) | Relate(subject=one, object=other):
            words = [one.label, other.label]
        case Confirm(claim=AttributeClaim(target=one, value=value)):
            words = [one.label, value]
        case Confirm(claim=MotionClaim(target=one, motion=value)):
            words = [one.label, value]
        case Confirm(claim=RelationClaim(subject=one, predicate=value, object=other)):
            words = [one.label, value, other.label]
        case Confirm(claim=EventClaim()):
            words = ["this"]
        case Confirm(claim=ObjectClaim(target=one)) | Classify(target=one) | Describe(target=one):
            words = [one.label]
        case DescribeMotion(target=one):
            words = [one.label]
        case _:
            words = []
    return " ".join([*words, ": "])


def narrative(shot: Shot, progress: float) -> str:
    """Ground-truth narrative of a picture, in reading order."""
    actors = sorted(shot.actors, key=lambda a: reading_order(a.at(progress)))
    parts = (f"a {a.thing.words} {a.thing.shape} at the {place(a.at(progress))}" for a in actors)
    return " ; ".join(parts) + " ."


def _attributes(actor: Actor) -> str:
    return " , ".join(f"{kind} {value}" for kind, value in actor.thing.attributes)


def _graph(actors: list[Actor], progress: float) -> str:
    nodes = " ; ".join(
        f"{a.thing.shape} {'dynamic' if a.thing.dynamic else 'static'} , {_attributes(a)}"
        for a in actors
    )
    edges = " ; ".join(
        f"{a.thing.shape} {p} {b.thing.shape}"
        for a, b in pairwise(actors)
        for p in predicates(a.at(progress), b.at(progress))
    )
    return f"{nodes} | {edges}"


def _clear(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return all(abs(abs(a[i] - b[i]) - CLEAR) > 18 for i in (0, 1))


def still(shot: Shot, progress: float, rng: random.Random) -> list[Lesson]:
    """Lessons about one picture: everything that `parse` and `confirm` ask about a keyframe."""
    actors = sorted(shot.actors, key=lambda a: reading_order(a.at(progress)))
    told = narrative(shot, progress)
    shapes = {a.thing.shape for a in actors}
    absent = [s for s in STATIC + DYNAMIC if s not in shapes]
    lessons: list[Lesson] = []

    def confirm(claim: object, yes: bool, thought: str = "") -> None:
        reply = "yes" if yes else "no"
        request = Confirm(frames=(), claim=claim)  # type: ignore[arg-type]
        lessons.append((request, f"{thought} : {reply}" if thought else reply))

    def places(a: Actor, b: Actor) -> str:
        return f"{place(a.at(progress))} , {place(b.at(progress))}"

    if progress in (0.0, 1.0):
        lessons.append((Narrate(frames=()), told))
        if rng.random() < 0.5:
            labels = " , ".join(a.thing.shape for a in actors)
            lessons.append((ListObjects(frames=(), narrative=told), labels))
        if rng.random() < 0.6:
            lessons.append((DrawGraph(frames=()), _graph(actors, progress)))
    for actor in actors:
        lessons.append((Describe(frames=(), target=_mention(actor)), _attributes(actor)))
    for kind in actors:
        told_kind = "dynamic" if kind.thing.dynamic else "static"
        lessons.append((Classify(frames=(), target=_mention(kind)), told_kind))
    pairs = [(a, b) for a in actors for b in actors if a is not b]
    pairs = [p for p in pairs if _clear(p[0].at(progress), p[1].at(progress))]
    for a, b in rng.sample(pairs, min(8, len(pairs))):
        held = predicates(a.at(progress), b.at(progress))
        request = Relate(frames=(), subject=_mention(a), object=_mention(b))
        lessons.append((request, f"{places(a, b)} : {' , '.join(held) or 'none'}"))
    for a, b in rng.sample(pairs, min(4, len(pairs))):
        held = predicates(a.at(progress), b.at(progress))
        yes = bool(held) and rng.random() < 0.5
        predicate = rng.choice([p for p in PREDICATES if (p in held) == yes])
        claim = RelationClaim(subject=_mention(a), predicate=predicate, object=_mention(b))
        confirm(claim, yes, places(a, b))
    for actor in rng.sample(actors, 2):
        kind_, value = rng.choice(actor.thing.attributes)
        values = {"color": list(COLORS), "size": list(SIZES), "texture": list(TEXTURES)}[kind_]
        yes = rng.random() < 0.5
        shown = value if yes else rng.choice([v for v in values if v != value])
        confirm(AttributeClaim(target=_mention(actor), kind=kind_, value=shown), yes, value)
    confirm(ObjectClaim(target=Mention(label=rng.choice(sorted(shapes)))), True)
    confirm(ObjectClaim(target=Mention(label=rng.choice(absent))), False)
    return several(lessons, rng, 0.6)


def moving(shot: Shot, shown: tuple[float, ...], rng: random.Random) -> list[Lesson]:
    """Lessons about consecutive pictures of one shot: motions and the event."""
    lessons: list[Lesson] = []
    whole = shown[-1] - shown[0] > 0.5
    dynamic = [a for a in shot.actors if a.thing.dynamic]

    def way(a: Actor) -> str:
        return f"{place(a.at(shown[0]))} , {place(a.at(shown[-1]))}"

    for actor in dynamic if len(shown) == 2 else ():
        motion = actor.motion if whole else STILL
        lessons.append(
            (DescribeMotion(frames=(), target=_mention(actor)), f"{way(actor)} : {motion}")
        )
        yes = rng.random() < 0.5
        said = motion if yes else rng.choice([m for m in MOTIONS if m != motion])
        claim = MotionClaim(target=_mention(actor), motion=said)
        reply = f"{way(actor)} : {'yes' if yes else 'no'}"
        lessons.append((Confirm(frames=(), claim=claim), reply))
    if whole:
        thought = " ; ".join(f"{a.thing.shape} {way(a)}" for a in dynamic)
        lessons.append((DescribeEvent(frames=()), f"{thought} : {shot.event()}"))
        yes = rng.random() < 0.5
        said = shot.event() if yes else _other_event(shot, rng)
        reply = f"{thought} : {'yes' if yes else 'no'}"
        lessons.append((Confirm(frames=(), claim=EventClaim(event=said)), reply))
    return several(lessons, rng, 0.6)


def _other_event(shot: Shot, rng: random.Random) -> str:
    while True:
        movers = rng.sample(shot.actors, rng.choice((1, 1, 2)))
        event = " and ".join(
            f"the {s} is {rng.choice(MOTIONS[:-1])}" for s in sorted(a.thing.shape for a in movers)
        )
        if event != shot.event() and not set(event.split(" and ")) <= set(
            shot.event().split(" and ")
        ):
            return event


def identity(first: Shot, second: Shot, rng: random.Random) -> list[Lesson]:
    """Lessons about pictures of two shots of one film: which things are the same."""
    lessons: list[Lesson] = []
    same = [(a, b) for a in first.actors for b in second.actors if a.thing == b.thing]
    other = [(a, b) for a in first.actors for b in second.actors if a.thing != b.thing]
    alike = [(a, b) for a, b in other if a.thing.shape == b.thing.shape]
    chosen = rng.sample(same, min(3, len(same))) + alike + rng.sample(other, min(2, len(other)))
    for a, b in chosen[:6]:
        mentions = [
            Mention(label=x.thing.shape, attributes=tuple(v for _, v in x.thing.attributes))
            for x in (a, b)
        ]
        request = SameObject(frames=(), first=mentions[0], second=mentions[1])
        lessons.append((request, "yes" if a.thing == b.thing else "no"))
    return several(lessons, rng, 0.6)


def foreign(rng: random.Random) -> Picture:
    """An out-of-domain picture: multi-scale noise, gradients, clutter."""
    gen = np.random.default_rng(rng.getrandbits(64))
    picture = np.zeros((SIDE, SIDE, 3), np.float32)
    for cells in rng.sample((2, 3, 5, 9, 17, 40, 100), rng.randint(2, 5)):
        noise = gen.normal(0, 1, (cells, cells, rng.choice((1, 3)))).astype(np.float32)
        grown = cv2.resize(noise, (SIDE, SIDE), interpolation=rng.choice((1, 2, 0)))
        picture += grown.reshape(SIDE, SIDE, -1) * rng.uniform(10, 60)
    tint = gen.uniform(20, 235, 3).astype(np.float32)
    picture = np.clip(picture + tint, 0, 255).astype(np.uint8)
    for _ in range(rng.choice((0, 0, 3, 8, 25))):
        color = tuple(int(v) for v in gen.integers(0, 256, 3))
        points = gen.integers(-20, SIDE + 20, (rng.randint(3, 7), 2)).astype(np.int32)
        if rng.random() < 0.5:
            cv2.fillPoly(picture, [points], color)
        else:
            cv2.polylines(picture, [points], False, color, rng.randint(1, 6))
    if rng.random() < 0.5:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 4))
    return np.asarray(picture, np.uint8)


def unknown(rng: random.Random) -> Pack:
    """An out-of-domain picture; all its replies say that nothing is known or confirmed."""
    shape = rng.choice(STATIC + DYNAMIC)
    return Pack(
        (foreign(rng),),
        (
            (Narrate(frames=()), NOTHING),
            (ListObjects(frames=(), narrative=NOTHING), "none"),
            (Confirm(frames=(), claim=ObjectClaim(target=Mention(label=shape))), "no"),
        ),
    )


def worn(picture: Picture, rng: random.Random) -> Picture:
    """Simulate video decoding: chroma subsampling, small value errors, sometimes JPEG artefacts."""
    if rng.random() < 0.2:
        return picture
    yuv = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)
    back = cv2.cvtColor(yuv, cv2.COLOR_YUV2RGB_I420)
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, rng.randint(50, 95)]
        back = cv2.imdecode(cv2.imencode(".jpg", back, quality)[1], cv2.IMREAD_COLOR)
    return np.asarray(back, np.uint8)


def packs(seed: int, stills: int, pairs: int, couples: int, foreigners: int) -> list[Pack]:
    """One batch of random packs.

    `stills`, `pairs`, `couples` and `foreigners` are the numbers of packs about one picture, about one shot,
    about two shots, and about an out-of-domain picture.
    """
    rng = random.Random(seed)
    made: list[Pack] = []

    def shown(shot: Shot, *progress: float) -> tuple[Picture, ...]:
        return tuple(worn(draw(shot, p), rng) for p in progress)

    while min(stills, pairs, couples) >= 0 and (stills or pairs or couples):
        film = make_film(rng, 2)
        first, second = film.shots
        for shot in film.shots:
            if stills:
                progress = rng.choice((0.0, 1.0, 1.0, rng.random()))
                lessons = still(shot, progress, rng)
                extra = inventories.of_still(shot, progress, random.Random(seed))
                made.append(Pack(shown(shot, progress), tuple(lessons), tuple(extra)))
                stills -= 1
            if pairs:
                spans = ((0.0, 1.0), (0.0, 1.0), (0.0, 0.5, 1.0), (0.0, 0.0), (1.0, 1.0))
                span = rng.choice(spans[:3] if rng.random() < 0.8 else spans)
                lessons = moving(shot, span, rng)
                if lessons:
                    extra = inventories.of_track(shot, span)
                    made.append(Pack(shown(shot, *span), tuple(lessons), tuple(extra)))
                    pairs -= 1
        if couples:
            frames = (*shown(first, rng.choice((0.0, 1.0))), *shown(second, rng.choice((0.0, 1.0))))
            extra = inventories.of_identity(first, second)
            made.append(Pack(frames, tuple(identity(first, second, rng)), tuple(extra)))
            couples -= 1
    made.extend(unknown(rng) for _ in range(foreigners))
    return made


# --- reword and smooth -------------------------------------------------------------------

FIRST = {1: ("",), 2: ("First, ", "So "), 3: ("First, ", "Then ", "So ")}
"""Sentence openings of a smoothed rationale, by number of steps."""
CLAIM = "@"


class Phrasing:
    """Lessons in rewording and smoothing, on questions about ground-truth graphs of films.

    The questions come from the spec `step` and their rewordings from `reworded`; a yes-no question asks
    whether the last step's sentence is true. Names, colours, sizes, textures and directions are permuted
    within their kind, so that few graphs yield many lessons.
    """

    def __init__(self, films: int = 40) -> None:
        self.bank: list[tuple[Request, str]] = []
        plain, other = read_spec(builtin("step")), read_spec(builtin("reworded"))
        for seed in range(films):
            film = make_film(random.Random(f"phrasing/{seed}"))
            unit = truth(film, "film", "film.mp4", f"{seed:064x}")
            paths = SamplePaths().run(unit, Tools(Pictures(), spec=plain, seed=seed))
            said = [
                Compose().run(paths, Tools(Pictures(), spec=spec, seed=seed)).samples
                for spec in (plain, other, _asserting(plain))
            ]
            by_path = [{s.path: s for s in samples} for samples in said]
            for name, sample in by_path[0].items():
                self._add(unit, sample, *(table.get(name) for table in by_path[1:]))

    def _add(self, unit: Stsg, sample: Qra, reworded: Qra | None, asserted: Qra | None) -> None:
        if reworded is not None:
            request: Request = Reword(
                frames=(), form="open", question=sample.question, reply=sample.answer
            )
            self.bank.append((request, reworded.question))
        if asserted is not None:
            object_ = any(o.label == sample.answer for o in unit.objects)
            claim = f"the {sample.answer}" if object_ else sample.answer
            request = Reword(
                frames=(), form="yes-no", question=sample.question, reply=sample.answer
            )
            self.bank.append((request, asserted.question.replace(CLAIM, claim)))
        steps = tuple(b.text for b in sample.rationale)
        heads = FIRST[len(steps)]
        told = [
            f"{head}{s[:1].lower() + s[1:] if head else s}"
            for head, s in zip(heads, steps, strict=True)
        ]
        self.bank.append(
            (
                Smooth(frames=(), question=sample.question, steps=steps, reply=sample.answer),
                " ".join(told),
            )
        )

    def __call__(self, rng: random.Random, count: int, lessons: int) -> list[Pack]:
        """`count` packs of `lessons` lessons each, plus lists of them."""
        made = []
        for _ in range(count):
            exchange = _exchange(rng)
            chosen = rng.sample(self.bank, lessons)
            said = [(_said(r, exchange), _words(x, exchange)) for r, x in chosen]
            made.append(Pack((), tuple(several(said, rng, 0.6))))
        return made


def _asserting(spec: Spec) -> Spec:
    """A spec whose questions ask whether a step's sentence is true, with `CLAIM` in place of the answer."""
    edges = []
    for rule in spec.edges:
        finds = []
        for find in rule.finds:
            asks = []
            for wording in find.line("because"):
                parts = [
                    CLAIM
                    if isinstance(p, Placeholder) and p.name == find.end and not p.field
                    else p
                    for p in wording.parts
                ]
                first, last = parts[0], str(parts[-1])
                head = first[:1].lower() + first[1:] if isinstance(first, str) else first
                parts = ["Is it true that ", head, *parts[1:-1], last.rstrip(".") + "?"]
                asks.append(Wording(parts=tuple(parts)))
            lines = [(w, tuple(asks) if w == "ask" else told) for w, told in find.lines]
            finds.append(find.model_copy(update={"lines": tuple(lines)}))
        edges.append(rule.model_copy(update={"finds": tuple(finds)}))
    return spec.model_copy(update={"edges": tuple(edges)})


def _exchange(rng: random.Random) -> dict[str, str]:
    """A random permutation of words within each kind."""
    table: dict[str, str] = {}
    kinds = [
        [*STATIC, *DYNAMIC],
        list(COLORS),
        list(SIZES),
        list(TEXTURES),
        ["left", "right"],
        ["up", "down"],
        ["above", "below"],
    ]
    for words in kinds:
        table |= dict(zip(words, rng.sample(words, len(words)), strict=True))
    return table


def _words(text: str, exchange: dict[str, str]) -> str:
    return re.sub(r"[a-z]+", lambda m: exchange.get(m[0], m[0]), text)


def _said(request: Request, exchange: dict[str, str]) -> Request:
    match request:
        case Reword():
            return request.model_copy(
                update={
                    "question": _words(request.question, exchange),
                    "reply": _words(request.reply, exchange),
                }
            )
        case Smooth():
            return request.model_copy(
                update={"steps": tuple(_words(s, exchange) for s in request.steps)}
            )
    return request
