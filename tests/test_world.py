"""The rendered world: the same from a seed, true as told, and known by the embedded model."""

from __future__ import annotations

import random
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_golden import footage

from stepc.dataset.read import RationaleStep, TrainingSample
from stepc.driver.compile_video import CompileConfig, Compiler, split_pipeline
from stepc.ir import types as t
from stepc.ir.verify import verify
from stepc.lang.parse import builtin
from stepc.model import own_world
from stepc.model.load import load
from stepc.model.requests import REQUESTS, Ask, EventWords, Explained, Labels, Verdict
from stepc.passmanager.pipeline_text import DEFAULT
from stepc.passmanager.run import run
from stepc.video.decode import frames
from stepc.video.probe import probe
from stepc.video.source import digest
from stepc.world import render
from stepc.world.asking_examples import _at, asking
from stepc.world.examination import Examination, alike
from stepc.world.ground_truth import truth
from stepc.world.render import draw, write
from stepc.world.rewarded import RewardedArtifact
from stepc.world.scene import BACKGROUNDS, COLORS, STILL, make_film, predicates
from stepc.world.score import KINDS, compare, confident


def test_a_film_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("one.mp4", "two.mp4"):
        write(make_film(random.Random(4), 1), tmp_path / name)
    assert digest(tmp_path / "one.mp4") == digest(tmp_path / "two.mp4")


def test_a_film_shows_what_was_drawn(tmp_path: Path) -> None:
    film = make_film(random.Random(4), 2)
    write(film, tmp_path / "film.mp4")
    source = probe(tmp_path / "film.mp4")
    assert (source.video.width, source.video.height, source.video.rate) == (256, 256, "24")
    seen = [picture for _, picture in frames(source)]
    drawn = [draw(s, s.progress(i)) for s in film.shots for i in range(s.frames)]
    assert len(seen) == len(drawn) == film.frames
    errors = [abs(a.astype(int) - b).mean() for a, b in zip(seen, drawn, strict=True)]
    assert max(errors) < 6


@pytest.mark.parametrize("seed", range(30))
def test_films_have_what_the_world_promises(seed: int) -> None:
    film = make_film(random.Random(seed))
    assert 2 <= len(film.shots) <= 4
    shown: list[set[int]] = []
    for shot in film.shots:
        things = [a.thing for a in shot.actors]
        assert 3 <= len(things) <= 6
        assert {t.dynamic for t in things} == {True, False}
        assert any(a.motion != STILL for a in shot.actors) and shot.event()
        assert all(not a.motion or a.thing.dynamic or a.motion == STILL for a in shot.actors)
        shown.append({t.identity for t in things})
    unit = truth(film, "film", "film.mp4", "0" * 64)
    assert verify(unit) == []
    back = sum(bool(a & b) for i, a in enumerate(shown) for b in shown[i + 1 :])
    assert bool(unit.references) == bool(back)


def test_relations_read_the_same_both_ways() -> None:
    rng = random.Random(0)
    for _ in range(200):
        a, b = ((rng.uniform(0, 256), rng.uniform(0, 256)) for _ in range(2))
        back = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
        assert {back[p] for p in predicates(a, b)} == set(predicates(b, a))


def test_the_score_of_the_truth_is_one_and_of_nothing_is_none() -> None:
    true = truth(make_film(random.Random(8)), "film", "film.mp4", "0" * 64)
    whole = compare(true, true)
    assert all(whole.precision(k) == whole.recall(k) == 1 for k in KINDS)
    nothing = true.evolve(
        objects=(), attributes=(), relations=(), motions=(), references=(), events=(), boxes=()
    )
    assert all(compare(nothing, true).recall(k) == 0 for k in KINDS if whole.true[k])
    liar = true.evolve(
        attributes=tuple(
            a.model_copy(update={"value": "pink"}) if a.kind == "color" else a
            for a in true.attributes
        )
    )
    score = compare(liar, true)
    assert score.recall("attributes") == pytest.approx(2 / 3)
    assert score.recall("objects") == 1


@pytest.mark.embedded
def test_the_embedded_model_knows_its_world(tmp_path: Path) -> None:
    """An unseen film is induced nearly as it is; real numbers are in docs/explanation/world.md."""
    film = make_film(random.Random("unseen"), 2)
    write(film, tmp_path / "film.mp4")
    pipeline = DEFAULT.split(",sample")[0]
    compiler = Compiler(CompileConfig(pipeline, "", builtin("step"), "step.step"))
    unit: t.Unit = compiler.start(tmp_path / "film.mp4")
    for done in run(split_pipeline(pipeline)[0], unit, compiler.tools()):
        unit = done.unit
    assert isinstance(unit, t.Stsg)
    score = compare(unit, truth(film, "film", "film.mp4", digest(tmp_path / "film.mp4")))
    for kind in ("objects", "attributes", "relations", "motions"):
        assert score.precision(kind) >= 0.8, (kind, score.table())
        assert score.recall(kind) >= 0.8, (kind, score.table())


@pytest.mark.embedded
def test_the_embedded_model_passes_its_exam() -> None:
    exam = Examination(3)
    asker = load("embedded", exam.pictures)
    marks = dict(exam.ask(asker))
    assert set(marks) == set(REQUESTS) - asker.templates.lacking
    assert set(exam.questions()) == set(REQUESTS)
    assert all(m.asked == m.read == 3 and m.right > 2.5 for m in marks.values())


def test_lessons_ask_about_a_film_what_its_pictures_show() -> None:
    made = asking(random.Random(5), 6, 10)
    assert len(made) == 6 and {len(pack.pictures) for pack in made} == {4, 8}
    for number, pack in enumerate(made):
        assert 0 < len(pack.lessons) <= 10
        assert all(isinstance(r, Ask) and reply for r, reply in pack.lessons), number
    film = make_film(random.Random(1))
    whole = [_at(film, i) for i in range(film.frames)]
    assert [*dict.fromkeys(shot for shot, _ in whole)] == [*film.shots]
    drawn = [draw(shot, progress) for shot, progress in whole]
    assert all(np.array_equal(a, b) for a, b in zip(drawn, render.frames(film), strict=True))


def test_facts_are_counted_by_confidence() -> None:
    film = make_film(random.Random(3))
    true = truth(film, "film", "film.mp4", "0" * 64)
    first, *rest = true.events
    wrong = first.model_copy(
        update={"event": "the moon is rising", "trust": t.Trust(votes=1, asked=3)}
    )
    unsure = true.model_copy(update={"events": (wrong, *rest)})
    assert compare(unsure, true).precision("events") == 1 - 1 / len(true.events)
    assert compare(confident(unsure, 0.5), true).precision("events") == 1
    assert compare(confident(unsure, 0.5), true).recall("events") == 1 - 1 / len(true.events)


def test_the_best_of_several_rationales_is_kept() -> None:
    steps = (
        RationaleStep(text="The ring is red."),
        RationaleStep(text="The ring is moving left."),
    )
    sample = TrainingSample(id="q", video="v", question="?", answer="moving left", rationale=steps)
    replies = [
        Explained(rationale="The ring is red.", text="moving left"),
        Explained(rationale="The ring is red. The ring is moving left.", text="moving left"),
        Explained(rationale="The ring is red. The ring is moving left.", text="moving up"),
    ]
    assert RewardedArtifact._best(sample, replies) == replies[1]
    assert RewardedArtifact._best(sample, replies[2:]) is None


def test_an_exam_tells_how_right_an_answer_is() -> None:
    assert alike(Labels(objects=("cup", "cup", "man")), Labels(objects=("man", "Cups"))) == 0.8
    assert alike(Verdict(yes=True), Verdict(yes=False)) == 0
    assert (
        alike(EventWords(event="a dog is running"), EventWords(event="a dog is sleeping")) == 2 / 3
    )
    assert alike(Labels(objects=()), Labels(objects=())) == 1


def test_pictures_of_the_world_are_told_from_all_others(tmp_path: Path) -> None:
    """The guard of the embedded model: measured on rendered films and on real footage."""
    assert list(own_world.PAINTS) == list(COLORS.values())
    assert list(own_world.GROUNDS) == list(BACKGROUNDS.values())
    for seed in range(6):
        film = make_film(random.Random(f"guard/{seed}"), 3)
        shown = list(render.frames(film))
        looks = [own_world.look(p) for p in shown[::9]]
        assert min(one.known for one in looks) > own_world.SHARE + 0.1
        assert min(one.ground for one in looks) > own_world.GROUND + 0.1
        assert max(one.foreign for one in looks) < own_world.FOREIGN / 4
        assert all(0.94 < one.fade < 0.965 for one in looks)
    exam = Examination(3)
    assert exam.questions()
    assert all(own_world.belongs(p) for p in exam.pictures.drawn.values())
    for name in ("bikes", "bigbuckbunny", "carphone_pristine", "carphone_distorted"):
        seen = [p for _, p in frames(probe(footage(f"{name}.mp4")))][::40]
        assert max(own_world.look(p).known for p in seen) < own_world.SHARE - 0.2
        for grey in (25, 200, 206):  # inside a flat border, as in a video call
            framed = np.full((480, 640, 3), grey, np.uint8)
            framed[120:330, 170:450] = cv2.resize(seen[0], (280, 210), interpolation=cv2.INTER_AREA)
            assert not own_world.belongs(framed)
    rng = np.random.default_rng(0)
    odd = [np.zeros((64, 64, 3)), np.full((64, 64, 3), 255), rng.integers(0, 256, (64, 64, 3))]
    assert not any(own_world.belongs(p.astype(np.uint8)) for p in odd)
    for ground in own_world.GROUNDS:  # slides in the colours of the world
        slide = np.full((480, 640, 3), ground, np.uint8)
        for i, paint in enumerate(own_world.PAINTS[:3]):
            cv2.rectangle(slide, (100 + 120 * i, 200), (180 + 120 * i, 420), paint, -1)
        cv2.putText(
            slide, "Quarterly results", (60, 90), cv2.FONT_HERSHEY_SIMPLEX, 1.4, (25, 25, 25), 3
        )
        assert not own_world.belongs(slide)
