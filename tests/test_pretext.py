"""`stepc pretext`: edits that the pictures prove, and what is refused."""

from __future__ import annotations

import functools
import itertools
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from recipes import encode
from typer.testing import CliRunner

from stepc.cli import app
from stepc.dataset.read import read_samples
from stepc.diagnostics import StepcError
from stepc.ir.load import load
from stepc.ir.types import Stsg
from stepc.pretext.edits import EDITS, EditedPart, Footage, film, plan
from stepc.pretext.make import Editing, edited_videos, longest_shot
from stepc.pretext.proof import SmallFilm, objection
from stepc.video.probe import probe


def _moving(
    path: Path, tint: int, seconds: float = 14, still: tuple[float, float] = (0, 0)
) -> Path:
    """A film of a bright bar that wanders over a dark picture; between two times it stands still."""
    pictures = []
    for i in range(round(seconds * 25)):
        at = i / 25
        at -= min(max(at - still[0], 0), still[1] - still[0])
        picture = np.full((90, 160, 3), 30, np.uint8)
        picture[..., tint] = 70
        x = round(at / seconds * 140)
        picture[15:75, x : x + 20] = (250, 240, 60)
        pictures.append(picture)
    encode(path, pictures)
    return path


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    _moving(folder / "one.mp4", 0)
    _moving(folder / "two.mp4", 2)
    return folder


def test_what_the_graph_says_is_what_the_pictures_show(films: Path, tmp_path: Path) -> None:
    done = edited_videos([films], tmp_path, Editing(seed=3))
    assert done.made == 2 and not done.diagnostics
    own, other = (SmallFilm(probe(films / f"{x}.mp4")) for x in ("one", "two"))
    unit = load(tmp_path / "graphs" / "one.stsg")
    assert isinstance(unit, Stsg) and len(unit.clips) == 5
    facts = {(a.owner, a.kind): a.value for a in unit.attributes}
    edited = SmallFilm(probe(tmp_path / "videos" / "one.mp4"))
    firsts = {}
    for clip, object_ in zip(unit.clips, unit.objects, strict=True):
        shown = edited.shown[(edited.times >= clip.start) & (edited.times < clip.end)]
        times, near = own.nearest(shown)
        foreign = np.median(near) > np.median(other.nearest(shown)[1])
        assert (facts[object_.id, "source"] == "another video") == foreign
        if not foreign:
            assert (facts[object_.id, "direction"] == "backwards") == (times[-1] < times[0])
            fast = abs(times[-1] - times[0]) > 2500  # of a part of 2 seconds
            assert (facts[object_.id, "speed"] == "double") == fast
            firsts[times.min()] = facts[object_.id, "place"]
    assert [firsts[x] for x in sorted(firsts)] == [f"number {n}" for n in (1, 2, 3, 4)]


def _objection(
    films: Path, tmp_path: Path, claimed: list[EditedPart], shown: list[EditedPart]
) -> str:
    one, two = (longest_shot(films / f"{x}.mp4") for x in ("one", "two"))
    (tmp_path / "film.mp4").write_bytes(film(one, two, shown, 160))
    other = _small(two.source.path) if any(p.place is None for p in claimed) else None
    edited = SmallFilm(probe(tmp_path / "film.mp4"))
    return objection(edited, _small(one.source.path), other, claimed)


@functools.cache
def _small(path: Path) -> SmallFilm:
    return SmallFilm(probe(path))


def test_a_false_edit_is_not_proved(films: Path, tmp_path: Path) -> None:
    parts = [
        EditedPart(0, 2000, 0),
        EditedPart(4000, 6000, 2),
        EditedPart(2000, 4000, 1),
        EditedPart(8000, 10_000),
    ]
    assert _objection(films, tmp_path, parts, parts) == ""
    turned = [replace(parts[0], backwards=True), *parts[1:]]
    assert _objection(films, tmp_path, turned, parts) == "a part seems to be played in another way"
    fast = [EditedPart(0, 4000, 0, speed=2), *parts[1:]]
    assert _objection(films, tmp_path, fast, parts) == "a part seems to be played in another way"
    mixed = [parts[0], replace(parts[1], place=1), replace(parts[2], place=2), parts[3]]
    assert _objection(films, tmp_path, mixed, parts) == "the parts look like another order"
    lent = [*parts[:3], EditedPart(8000, 10_000, 3)]
    assert _objection(films, tmp_path, parts, lent) == "a part of another video looks like this one"
    own = [*parts[:3], EditedPart(8000, 10_000, 3)]
    twice = [*own[:3], EditedPart(0, 2000, 3)]
    assert _objection(films, tmp_path, own, twice) == "two parts look alike"


def test_a_part_that_stands_still_shows_no_direction(films: Path, tmp_path: Path) -> None:
    folder = tmp_path / "still"
    folder.mkdir()
    _moving(folder / "one.mp4", 0, still=(4, 10))
    _moving(folder / "two.mp4", 2)
    parts = [EditedPart(0, 2000, 0), EditedPart(6000, 8000, 1)]
    assert "a part" in _objection(folder, tmp_path, parts, parts)


@pytest.mark.parametrize("seed", range(20))
def test_a_plan_edits_what_it_should(films: Path, seed: int) -> None:
    shot = Footage(probe(films / "one.mp4"), 0, 14_000)
    parts = plan(shot, shot, EDITS, 4, 2000, random.Random(seed))
    own = [p for p in parts if p.place is not None]
    assert len(parts) == 5 and len(own) == 4 and sum(p.backwards for p in own) == 1
    assert [p.speed for p in own].count(2) == 1 and not any(
        p.backwards and p.speed > 1 for p in own
    )
    assert [p.place for p in own] != [0, 1, 2, 3] and {len(p.times()) for p in parts} == {24}
    ranges = sorted((p.start, p.end) for p in own)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(ranges))


def test_from_a_film_to_a_dataset(films: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("one.mp4", "two.mp4"):
        (tmp_path / "in" / name).write_bytes((films / name).read_bytes())
    _moving(tmp_path / "in" / "short.mp4", 1, seconds=2)
    run = CliRunner()
    done = run.invoke(app, ["pretext", str(tmp_path / "in"), "-o", str(tmp_path / "out")])
    assert done.exit_code == 0 and "2 edited videos" in done.output and "B028" in done.output
    order = [
        "compile",
        str(tmp_path / "out" / "graphs"),
        "-o",
        str(tmp_path / "data"),
        "--no-store",
    ]
    order += ["--pipeline", "split,keyframes,parse-none,merge,bridge-none,sample,compose,check"]
    done = run.invoke(app, [*order, "--spec", "edited"])
    assert done.exit_code == 0, done.output
    samples = read_samples(tmp_path / "data")[0]
    assert {s.steps for s in samples} == {1, 2}
    assert "Where was the part that is played backwards in the original order?" in {
        s.question for s in samples
    }


def test_nothing_to_edit_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    _moving(tmp_path / "in" / "short.mp4", 1, seconds=2)
    order = ["pretext", str(tmp_path / "in"), "-o", str(tmp_path / "out")]
    assert CliRunner().invoke(app, order).exit_code == 1
    error = CliRunner().invoke(app, [*order, "--edits", "place,speeed"]).exception
    assert isinstance(error, StepcError)
    assert error.diagnostics[0].help == "did you mean `speed`?"
