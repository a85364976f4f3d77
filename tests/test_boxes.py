"""Boxes: what follows from them, and the passes that use them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from stepc.cli import app
from stepc.diagnostics import Statistics
from stepc.ir import types as t
from stepc.ir.geometry import (
    MOVEMENTS,
    RELATIONS,
    holds,
    iou,
    movement,
    movement_of,
    relation_of,
    word_for,
)
from stepc.ir.text import read, write
from stepc.ir.verify import verify
from stepc.ir.words import inverse
from stepc.languages import LANGUAGES
from stepc.model.client import Mentions
from stepc.passes.lift import Lift
from stepc.passes.place import PlaceByBoxes
from stepc.passmanager.base import Tools
from stepc.video.decode import Pictures
from stepc.world.ground_truth import truth
from stepc.world.scene import PREDICATES, make_film
from stepc.world.score import compare

SIDES = st.tuples(st.integers(0, 1000), st.integers(0, 1000)).filter(lambda x: x[0] < x[1])


@st.composite
def areas(draw: st.DrawFn) -> t.TrackPoint:
    (left, right), (top, bottom) = draw(SIDES), draw(SIDES)
    return t.TrackPoint(at=0, left=left, top=top, right=right, bottom=bottom)


def area(left: int, top: int, right: int, bottom: int) -> t.TrackPoint:
    return t.TrackPoint(at=0, left=left, top=top, right=right, bottom=bottom)


@given(areas(), areas(), st.integers(0, 100))
def test_what_boxes_tell_agrees_with_itself(a: t.TrackPoint, b: t.TrackPoint, margin: int) -> None:
    told = {name: tells(a, b, margin) for name, tells in RELATIONS.items()}
    back = {name: tells(b, a, margin) for name, tells in RELATIONS.items()}
    for one, other in (("left", "right"), ("above", "below"), ("larger", "smaller"),
                       ("nearer", "farther"), ("inside", "around")):  # fmt: skip
        assert told[one] == back[other]
        assert not (told[one] and told[other])
        if told[one] and one != "inside":
            assert back[one] is False, "what is left of a thing does not have it on its left"
    assert told["overlapping"] == back["overlapping"]
    assert told["touching"] is not True and told["inside"] is not True
    if told["touching"] is False:
        assert told["inside"] is False and told["overlapping"] is False and iou(a, b) == 0
    for name, tells in RELATIONS.items():  # a wider margin only makes it say less
        wide = tells(a, b, margin + 50)
        if margin and name not in ("larger", "smaller", "inside", "around"):
            assert wide is None or wide == told[name] or (wide is False and told[name] is None), (
                name
            )


@pytest.mark.parametrize(
    ("predicate", "a", "b", "expected"),
    [
        ("left of", area(0, 0, 100, 100), area(200, 0, 300, 100), True),
        ("to the right of", area(0, 0, 100, 100), area(200, 0, 300, 100), False),
        ("left of", area(0, 0, 100, 100), area(0, 200, 100, 300), False),
        ("left of", area(0, 0, 100, 100), area(60, 200, 160, 300), None),
        ("left of", area(300, 0, 500, 900), area(200, 300, 900, 900), None),
        ("above", area(0, 0, 100, 100), area(0, 200, 100, 300), True),
        ("on", area(0, 0, 100, 100), area(0, 119, 100, 300), None),
        ("on", area(0, 0, 100, 100), area(0, 120, 100, 300), False),
        ("holding", area(0, 0, 100, 100), area(90, 90, 300, 300), None),
        ("in", area(0, 0, 100, 100), area(60, 0, 300, 300), False),
        ("in", area(0, 0, 100, 100), area(40, 0, 300, 300), None),
        ("overlapping", area(0, 0, 100, 100), area(60, 60, 300, 300), True),
        ("larger in the picture than", area(0, 0, 200, 100), area(300, 0, 400, 100), True),
        ("larger in the picture than", area(0, 0, 140, 100), area(300, 0, 400, 100), None),
        ("nearer to the camera than", area(0, 0, 200, 900), area(300, 200, 400, 500), True),
        ("larger than", area(0, 0, 200, 100), area(300, 0, 400, 100), None),
        ("looking at", area(0, 0, 200, 100), area(300, 0, 400, 100), None),
    ],
)
def test_what_two_boxes_tell(
    predicate: str, a: t.TrackPoint, b: t.TrackPoint, expected: bool | None
) -> None:
    assert holds(predicate, a, b) is expected


def path(*middles: tuple[int, int], size: int = 40) -> list[t.TrackPoint]:
    return [area(x - size, y - size, x + size, y + size) for x, y in middles]


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (path((500, 500), (505, 495), (500, 500)), "still"),
        (path((500, 500), (450, 500), (300, 510)), "moving-left"),
        (path((300, 500), (450, 500), (500, 510)), "moving-right"),
        (path((300, 500), (300, 400), (310, 100)), "moving-up"),
        (path((300, 100), (300, 400)), "moving-down"),
        (path((300, 500), (700, 500), (300, 500)), None),
        (path((300, 500), (600, 500), (550, 500)), None),
        (path((300, 300), (600, 600)), None),
        (path((300, 300), (325, 300)), None),
        (path((500, 500), size=40) + path((500, 500), size=60) + path((500, 500), size=90),
         "approaching"),
        (path((500, 500), size=90) + path((500, 500), size=40), "leaving"),
        ([area(0, 300, 100, 900), area(0, 100, 100, 900)], None),
        ([area(0, 100, 600, 500), area(100, 100, 700, 500)], None),
        (path((500, 500)), None),
        ([], None),
    ],
)  # fmt: skip
def test_what_a_track_tells(points: list[t.TrackPoint], expected: str | None) -> None:
    assert movement(points) == expected


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_words_of_a_language_for_what_boxes_tell(language: str) -> None:
    """Each word is that of one relation, and the opposites that stepc writes are inverse to each other."""
    for name in RELATIONS:
        word = word_for(name, language)
        assert word is None or relation_of(word) == name
    for name in MOVEMENTS:
        word = word_for(name, language)
        assert word is not None and movement_of(word) == name
    for one, other in (("left", "right"), ("above", "below")):
        words = [word_for(name, language) for name in (one, other)]
        assert words[0] is not None and inverse(words[0]) == words[1]
    if language == "english":
        for one, other in (("larger", "smaller"), ("nearer", "farther"), ("overlapping",) * 2):
            assert inverse(word_for(one, language) or "") == word_for(other, language)


def rendered(seed: int) -> t.Stsg:
    return truth(make_film(random.Random(seed)), "film", "film.mp4", f"{seed:064x}")


def place(unit: t.Fsg, **options: object) -> t.Stsg:
    made = PlaceByBoxes.model_validate(options).run(unit, Tools(Pictures()))
    assert isinstance(made, t.Stsg) and verify(made) == []
    return made


@pytest.mark.parametrize("seed", range(40))
def test_true_boxes_give_the_true_relations_and_movements(seed: int) -> None:
    true = rendered(seed)
    assert verify(true, warnings=True) == []
    made = place(true.evolve(relations=(), motions=()), add="left above")
    score = compare(made, true)
    assert score.precision("relations") == score.recall("relations") == 1
    assert score.precision("boxes") == score.recall("boxes") == 1
    said = {(m.source, m.target): movement_of(m.motion) for m in made.motions}
    assert said == {(m.source, m.target): movement_of(m.motion) for m in true.motions}


def test_boxes_raise_the_precision_of_wrong_relations() -> None:
    """A model that says the opposite every fourth time, and says that things are on each other."""
    before, after = [], []
    for seed in range(10):
        rng, true = random.Random(seed), rendered(seed)
        said: list[t.Relation] = []
        for r in true.relations:
            word = inverse(r.predicate) if rng.random() < 0.25 else r.predicate
            said.append(r.model_copy(update={"predicate": word}))
            if rng.random() < 0.2:
                said.append(r.model_copy(update={"predicate": "on"}))
        wrong = true.evolve(relations=tuple(said))
        made = place(wrong, add="left above")
        before.append(compare(wrong, true).precision("relations"))
        score = compare(made, true)
        after.append(score.precision("relations"))
        assert score.recall("relations") == 1
        kept = place(wrong, refuted="keep", add="")
        assert compare(kept, true).precision("relations") == before[-1]
    assert max(before) < 0.8 and min(after) == 1, (before, after)


def test_a_shifted_box_is_no_right_box() -> None:
    true = rendered(1)
    shifted = tuple(
        b.model_copy(update={"left": b.left // 2, "right": b.right // 2 + 1}) for b in true.boxes
    )
    score = compare(true.evolve(boxes=shifted), true)
    assert score.recall("boxes") < 0.5 and score.induced["boxes"] == len(true.boxes)


STREET = """fsg 2 "street"
video   "street.mp4" 4.000s 25fps 640x360 sha256:{0}

clip    c0 0.000..4.000
frame   c0.k0 at 1.000
dynamic c0.k0/man "man" [1/1 yes]
dynamic c0.k0/man.2 "man" [1/1 yes]
dynamic c0.k0/man.3 "man" [1/1 yes]
rel     c0.k0/man -> c0.k0/man.2 "left of" [1/1 yes]
box     c0.k0/man 700 200 800 900 0.930 "detect:eyes"
box     c0.k0/man.2 100 200 200 900 0.910 "detect:eyes"
""".replace("{0}", "5" * 64)


def test_objects_of_one_name_are_numbered_from_left_to_right_by_their_boxes() -> None:
    unit = read(STREET).unit
    assert isinstance(unit, t.Fsg)
    names = ["c0.k0/man", "c0.k0/man.2", "c0.k0/man.3"]
    assert [Mentions(unit)[x].number for x in names] == [1, 2, 3], "one has no box"
    box = t.Box(owner=names[2], frame="c0.k0", left=300, top=0, right=350, bottom=9, source="x")
    boxed = unit.evolve(boxes=(*unit.boxes, box))
    assert [Mentions(boxed)[x].number for x in names] == [3, 1, 2]
    assert {Mentions(boxed)[x].of for x in names} == {3}


def test_check_warns_of_a_relation_that_boxes_contradict(tmp_path: Path) -> None:
    file = tmp_path / "street.fsg"
    file.write_text(STREET, "utf-8")
    done = CliRunner().invoke(app, ["check", str(file)])
    assert done.exit_code == 0 and "warning[V009]" in done.output and ":9:1" in done.output
    assert verify(read(STREET).unit) == []


def test_what_place_is_asked_for_must_be_told_by_boxes() -> None:
    for option, wrong in (("add", "left beside"), ("language", "klingon")):
        with pytest.raises(ValueError, match=wrong.split()[-1]):
            PlaceByBoxes.model_validate({option: wrong})


def test_place_counts_what_it_does() -> None:
    unit = read(STREET).unit
    assert isinstance(unit, t.Fsg)
    tools = Tools(Pictures(), counts=Statistics())
    made = PlaceByBoxes().run(unit, tools)
    assert tools.counts.counts["relations that boxes refute"] == 1
    assert [(r.subject, r.predicate, r.object) for r in made.relations] == [
        ("c0.k0/man.2", "left of", "c0.k0/man")
    ]
    assert PlaceByBoxes().run(unit.evolve(boxes=()), tools) == unit.evolve(boxes=())


def _goes_left(m: t.Motion) -> bool:
    return movement_of(m.motion) == "moving-left"


def test_of_two_motions_of_an_object_only_the_wrong_one_is_denied() -> None:
    true = next(u for u in map(rendered, range(99)) if any(_goes_left(m) for m in u.motions))
    moved = next(m for m in true.motions if _goes_left(m))
    others = (moved.model_copy(update={"motion": said}) for said in ("moving right", "spinning"))
    made = place(true.evolve(motions=(*true.motions, *others)))
    pair = moved.source, moved.target
    assert {m.motion for m in made.motions if (m.source, m.target) == pair} == {
        moved.motion,
        "spinning",
    }
    assert [m.motion for m in made.denied if isinstance(m, t.Motion)] == ["moving right"]


def test_in_clips_of_one_keyframe_there_are_no_tracks() -> None:
    flat = t.Fsg.model_validate(
        {n: getattr(rendered(3), n) for n in ("name", "video", "clips", "tracks")}
    )
    made = Lift().run(flat, Tools(Pictures()))
    assert made.tracks == () and verify(made) == []


def test_relations_of_the_rendered_world_are_told_by_boxes() -> None:
    assert {relation_of(p) for p in PREDICATES} == {"left", "right", "above", "below"}
    assert write(rendered(0)).startswith("stsg 2 ")
