"""What is shown for each probe, what is kept of the answers, and what they cost."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from speaking import Speaker
from test_blind import asked

from stepc.dataset.formats import rows_of
from stepc.dataset.parquet import read_rows, write_shards
from stepc.diagnostics import Statistics
from stepc.ir import types as t
from stepc.ir.sightings import Sightings
from stepc.ir.text import read, write
from stepc.lang.parse import builtin
from stepc.lang.resolve import read_spec
from stepc.model.client import Call, ModelClient
from stepc.model.plan import Assumptions, Plan, VideoStats
from stepc.model.templates import Templates
from stepc.passes.probe import Probe, _thinned
from stepc.passes.select import Select
from stepc.passmanager.base import Tools
from stepc.passmanager.corpus import Corpus
from stepc.passmanager.summaries import UnitsInMemory
from stepc.video.decode import Pictures


class Probing:
    """Answers a unit's questions as told, and keeps the calls."""

    def __init__(self, answer: str) -> None:
        self.calls: list[Call] = []

        def say(prompt: Call, seed: int) -> str:
            if prompt not in self.calls:
                self.calls.append(prompt)
            return answer

        self.client = ModelClient(Speaker(say), Templates("default"), Pictures())

    def of(self, unit: t.Qras, options: Probe) -> t.Qras:
        return options.run(unit, Tools(Pictures(), lambda: self.client))


@pytest.fixture(scope="module")
def films() -> list[t.Qras]:
    return asked(range(4), read_spec(builtin("step")))


def test_the_evidence_is_shown_first_and_never_without_a_step(films: list[t.Qras]) -> None:
    for unit in films:
        probing = Probing("x")
        made = probing.of(unit, Probe(samples=1, frames=3))
        assert [s.model_copy(update={"probes": ()}) for s in made.samples] == [*unit.samples]
        paths, seen = {p.id: p for p in unit.paths}, Sightings(unit)
        at = {k.at: k.id for k in unit.keyframes.values()}
        for s in unit.samples:
            evidence = {f for _, x in seen.of_path(paths[s.path]) for f in x.frames}
            calls = [c for c in probing.calls if c.text.startswith(f"{s.question}\n")]
            real = [c for c in calls if c.frames[0].video == unit.video.sha256]
            whole = max(real, key=lambda c: len(c.frames))
            shown = {at[f.at] for f in whole.frames}
            assert len(shown) == min(3, len(at)) and len(shown & evidence) == min(3, len(evidence))
            assert [*whole.frames] == sorted(whole.frames, key=lambda f: f.at)
            blank = [c for c in calls if c.frames[0].video.startswith("blank")]
            assert [f.at for f in blank[0].frames] == [f.at for f in whole.frames]
            for probe in (p.shown for x in made.samples if x.id == s.id for p in x.probes):
                if probe.startswith("without"):
                    gone = {f for n, x in seen.of_path(paths[s.path]) for f in x.frames
                            if n == int(probe.split()[1])}  # fmt: skip
                    left = {at[f.at] for f in whole.frames} - gone
                    assert any({at[f.at] for f in c.frames} == left for c in calls)


def test_what_is_counted_is_what_was_right(films: list[t.Qras]) -> None:
    answer = films[0].samples[0].answer
    made = Probing(f"It is {answer}.").of(films[0], Probe(samples=2))
    for s in made.samples:
        assert {(p.right, p.asked) for p in s.probes} == {(2 * (s.answer == answer), 2)}
    assert read(write(made)).unit == made and made.schema_version == 2
    assert t.from_json(made.to_json()) == made


def test_records_have_probes(films: list[t.Qras], tmp_path: Path) -> None:
    made = Probing("red").of(films[0], Probe(samples=2))
    rows = [row for of in rows_of("jsonl", made, "m", "s") for row in of]
    assert [r["probes"] for r in rows] == [[p.model_dump() for p in s.probes] for s in made.samples]
    from stepc.dataset.formats import COLUMNS

    write_shards(tmp_path, "qra", iter(rows), COLUMNS)
    assert [r["probes"] for r in read_rows([*tmp_path.glob("qra-*.parquet")])] == [
        r["probes"] for r in rows
    ]
    assert all("probes" not in r for of in rows_of("jsonl", films[0], "m", "s") for r in of)


def test_the_plan_knows_what_is_asked_at_most(films: list[t.Qras]) -> None:
    unit = films[0]
    probing = Probing("x")
    probing.of(unit, Probe(samples=3))
    about = VideoStats(len(unit.keyframes), len(unit.clips), 1, len(unit.samples), 0, Assumptions())
    plan = Plan(about.assume)
    Probe(samples=3).plan(about, plan)
    (cost,) = plan.asked.values()
    steps = sum(len(s.rationale) for s in unit.samples)
    assert len(probing.calls) <= 3 * len(unit.samples) + steps
    assert cost.requests == 5 * len(unit.samples)  # two steps each are assumed


def test_a_limit_of_one_keeps_everything(films: list[t.Qras]) -> None:
    made = [Probing("red").of(unit, Probe(samples=1)) for unit in films]
    counts = Statistics()
    every = Select(nothing=1.0).run(Corpus(UnitsInMemory(made)), 0, counts)
    assert dict(counts).keys() == {"kept"}
    strict = Select(nothing=0.0, keyframe=0.0, without=0.0).run(
        Corpus(UnitsInMemory(made)), 0, Statistics()
    )
    wrong = [s for u in made for s in u.samples if not any(p.right for p in s.probes[1:])]
    assert (
        sum(len(left) for _, _, left in strict.walk())
        == len(wrong)
        < sum(len(left) for _, _, left in every.walk())
    )
    told = every.measured["probe"]
    assert told["video"]["questions"] == sum(len(u.samples) for u in made)
    assert (
        sum(x["questions"] for x in told["video_by_keyframes"].values())
        == told["video"]["questions"]
    )
    assert told["suspicious"]["questions"] == sum(
        not s.probes[0].right for u in made for s in u.samples
    )
    assert json.dumps(told) and dataclasses.is_dataclass(every)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 40), st.sets(st.integers(0, 39)), st.integers(1, 20))
def test_frames_are_thinned_evenly(number: int, needed: set[int], most: int) -> None:
    frames = [f"c0.k{i}" for i in range(number)]
    wanted = {f"c0.k{i}" for i in needed if i < number}
    kept = _thinned(frames, wanted, most)
    assert len(kept) == min(number, most) and kept == [f for f in frames if f in kept]
    assert len(wanted.intersection(kept)) == min(len(wanted), most)
