"""Pipelines: text, levels, verification after each pass, and what passes may use."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import drawn
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from speaking import Speaker
from test_golden import GOLDEN

from stepc.diagnostics import StepcError
from stepc.driver.compile_video import split_pipeline
from stepc.forms import FORMS
from stepc.ir import types as t
from stepc.ir.spans import Bounds, around, within
from stepc.ir.text import read, write
from stepc.ir.verify import verify
from stepc.lang.parse import builtin
from stepc.lang.resolve import read_spec
from stepc.lang.types import Filter, Spec
from stepc.model.client import ModelClient
from stepc.model.templates import Templates
from stepc.ops.compare import Compare
from stepc.ops.pick import Pick
from stepc.passes.sample import census
from stepc.passmanager.base import Pass, Tools
from stepc.passmanager.pipeline_text import (
    DEFAULT,
    LINK,
    check_levels,
    parse_pipeline,
    pipeline_text,
)
from stepc.passmanager.registry import PASSES, option_lines, pass_names, pass_type
from stepc.passmanager.run import run
from stepc.proof.facts import facts
from stepc.proof.prover import REPEATED, SEVERAL, UNKNOWN, Prover
from stepc.proof.solver import answers
from stepc.proof.words import label, phrase
from stepc.reader.reader import Reader
from stepc.video.decode import Pictures
from stepc.world.ground_truth import truth
from stepc.world.scene import make_film

SPEC = read_spec(builtin("step"))


def _tools(**more: Any) -> Tools:
    return Tools(Pictures(), spec=SPEC, seed=3, **more)


def _truth(seed: int = 0) -> t.Stsg:
    return truth(make_film(random.Random(seed)), "film", "film.mp4", f"{seed:064x}")


def _code(error: pytest.ExceptionInfo[StepcError]) -> str:
    return error.value.diagnostics[0].code


def test_pipeline_text_is_canonical() -> None:
    text = "split( detector = hash ),keyframes(per_clip=3, every=2.0), lift , bridge-none,emit"
    made = parse_pipeline(text)
    shown = pipeline_text(made)
    assert shown == "split(detector=hash),keyframes(per_clip=3),lift,bridge-none,emit"
    assert pipeline_text(parse_pipeline(shown)) == shown
    assert parse_pipeline(shown) == made


def test_the_default_pipeline_ends_at_qra() -> None:
    units, links = split_pipeline(f"{DEFAULT},{LINK}")
    assert check_levels(units, t.Clips) is t.Qras
    assert [p.name for p in links] == LINK.split(",")


@pytest.mark.parametrize("name", pass_names())
def test_every_option_is_documented(name: str) -> None:
    kind = pass_type(name)
    assert kind.__doc__
    assert kind().text() == name
    for option, wanted, default, help in option_lines(kind):
        assert help.endswith("."), f"{option} has no help"
        assert wanted and (default or wanted == "str")


def test_a_pass_without_its_model_or_spec_is_told() -> None:
    unit = _truth()
    with pytest.raises(StepcError) as error:
        list(run(split_pipeline("confirm")[0], _unasked(unit), _tools()))
    assert _code(error) == "P006"
    with pytest.raises(StepcError) as error:
        list(run(split_pipeline("sample")[0], unit, Tools(Pictures())))
    assert _code(error) == "P007"


def _unasked(unit: t.Stsg) -> t.Stsg:
    open_ = t.Trust(votes=1, asked=1)
    return unit.evolve(objects=tuple(o.model_copy(update={"trust": open_}) for o in unit.objects))


class _Breaks(Pass[t.Stsg, t.Stsg]):
    """Loses its objects and keeps what hangs on them."""

    name = "breaks"

    def run(self, unit: t.Stsg, tools: Tools) -> t.Stsg:
        return unit.evolve(objects=())


def test_a_pass_that_breaks_a_rule_is_named() -> None:
    with pytest.raises(StepcError) as error:
        list(run([_Breaks()], _truth(), _tools()))
    codes = [d.code for d in error.value.diagnostics]
    assert codes[0] == "P008" and {"V021", "V022"} <= set(codes)
    assert "breaks" in error.value.diagnostics[0].message
    assert [d.unit for d in run([_Breaks()], _truth(), _tools(), verify_each=False)]


@pytest.mark.parametrize("seed", range(3))
def test_starting_from_a_dump_is_the_same_as_going_on(seed: int) -> None:
    passes = split_pipeline("sample,compose,check")[0]
    whole = [d.unit for d in run(passes, _truth(seed), _tools())]
    for i, unit in enumerate(whole[:-1]):
        again = read(write(unit)).unit
        rest = [d.unit for d in run(passes[i + 1 :], again, _tools())]
        assert write(rest[-1]) == write(whole[-1])


def test_what_is_drawn_depends_on_seed_and_video_alone() -> None:
    def drawn(unit: t.Stsg, seed: int) -> str:
        tools = Tools(Pictures(), spec=SPEC, seed=seed)
        return write(list(run(split_pipeline("sample")[0], unit, tools))[-1].unit)

    unit = _truth()
    renamed = unit.evolve(name="other")
    assert drawn(unit, 1) == drawn(unit, 1)
    assert drawn(unit, 1) != drawn(unit, 2)
    assert drawn(renamed, 1).replace('"other"', '"film"', 1) == drawn(unit, 1)


def test_every_sampled_question_of_true_graphs_is_proved() -> None:
    """The sampler and the solver share no code and agree; only "the cup" where there are two is dropped."""
    asked = proved = 0
    steps: set[int] = set()
    for seed in range(12):
        done = list(run(split_pipeline("sample,compose,check")[0], _truth(seed), _tools()))
        before, unit = done[1].unit, done[-1].unit
        assert isinstance(unit, t.Qras) and isinstance(before, t.Qras)
        prover = Prover(before)
        left = [prover.objection(s) for s in before.samples]
        assert set(left) <= {"", SEVERAL}
        asked += len(unit.paths)
        proved += len(unit.samples)
        assert len(unit.samples) == left.count("") and len(before.samples) == len(unit.paths)
        steps |= {len(s.rationale) for s in unit.samples}
    assert asked > 150 and proved > 0.85 * asked
    assert steps == {1, 2, 3}


def test_passes_are_found_by_their_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A new pass is one new file."""
    import stepc.passes

    (tmp_path / "rename_unit.py").write_text(
        '"""rename-unit: another name.   stsg → stsg"""\n'
        "from stepc.ir import types as t\n"
        "from stepc.passmanager.base import Pass, Tools\n\n\n"
        "class RenameUnit(Pass[t.Stsg, t.Stsg]):\n"
        '    """Another name."""\n\n'
        '    to: str = "renamed"\n'
        '    """The name."""\n\n'
        "    def run(self, unit: t.Stsg, tools: Tools) -> t.Stsg:\n"
        '        """Renamed."""\n'
        "        return unit.evolve(name=self.to)\n"
    )
    monkeypatch.setattr(stepc.passes, "__path__", [*stepc.passes.__path__, str(tmp_path)])
    monkeypatch.setattr(PASSES, "_loaded", dict(PASSES._loaded))
    done = list(run(split_pipeline("rename-unit(to=x)")[0], _truth(), _tools()))
    assert done[-1].unit.name == "x"


class _Babble(Speaker):
    """A model that answers every request with a random mixture of what it was told."""

    def __init__(self, seed: int) -> None:
        super().__init__(lambda p, _: self._say(p.text))
        self.rng = random.Random(seed)

    def _say(self, told: str) -> str:
        lines = [line.strip(" -*\"'") for line in told.splitlines() if line.strip()]
        said = self.rng.sample(lines, self.rng.randint(1, min(4, len(lines))))
        text = " ".join(said)
        if self.rng.random() < 0.4:
            text = "Is it true that " + text.rstrip(".?") + "?"
        return json.dumps({"text": text}) if self.rng.random() < 0.9 else text


@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_model_says_refining_keeps_the_rules(seed: int) -> None:
    asker = ModelClient(_Babble(seed), Templates("default"), Pictures(), seed)
    passes = split_pipeline("sample,compose,check,refine(yes_no=0.5),check")[0]
    done = list(run(passes, _truth(seed), _tools(model=lambda: asker)))
    before, after = done[2].unit, done[4].unit
    assert isinstance(before, t.Qras) and isinstance(after, t.Qras)
    assert len(after.samples) == len(before.samples)
    assert all(s.checked for s in after.samples)


@settings(
    max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(st.integers(0, 1 << 32))
def test_whatever_the_graph_and_the_spec_every_question_is_sound(seed: int) -> None:
    """The sampler draws nothing that the solver does not prove; no question is asked twice.

    Only this is left to `check`: what a text says beyond the query, such as "the cup" where there are two,
    or an event that another clip shows; what the graph does not know; and claims about objects of several
    clips.
    """
    rng = random.Random(seed)
    unit, spec = drawn.graph(rng), drawn.spec(rng)
    assert verify(unit) == []
    passes = split_pipeline("sample,compose,check")[0]
    _, asked, proved = (d.unit for d in run(passes, unit, Tools(Pictures(), spec=spec, seed=seed)))
    assert isinstance(asked, t.Qras) and isinstance(proved, t.Qras)
    prover = Prover(asked)
    reader = Reader(asked, prover.known, spec)
    unique = {p.id: p.unique for p in asked.paths}
    objections = {s.id: prover.objection(s) for s in asked.samples}
    allowed = {"", SEVERAL, REPEATED, "nothing refutes its claim"}
    assert set(objections.values()) <= allowed | ({UNKNOWN} if unit.gaps or unit.denied else set())
    for s in asked.samples:
        objections[s.id] = objections[s.id] or reader.objection(s, unique[s.path])
    assert reader.unread == []
    assert [s.id for s in proved.samples] == [id for id, why in objections.items() if not why]
    known, by_path = facts(unit), {p.id: p for p in asked.paths}
    for s in proved.samples:
        right = set(map(phrase, answers(s.query, known)))
        if s.form == "choice":
            assert [o for o in s.options if phrase(o) in right] == [s.answer]
            assert len(s.options) == spec.block(by_path[s.path].block).options
        if by_path[s.path].unique:
            assert len(right) == 1
    forms = [(by_path[s.path].form, s.query, s.claim) for s in proved.samples]
    assert len(set(forms)) == len(forms)
    assert read(write(proved)).unit == proved


def test_what_cannot_be_listed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepc.sampling.paths.MOST", 50)
    tools = Tools(Pictures(), spec=_with(enumerate=True))
    with pytest.raises(StepcError) as error:
        list(run(split_pipeline("sample")[0], _truth(), tools))
    assert _code(error) == "P009"
    assert not census(_truth(), SPEC, 100_000).whole


def test_a_block_that_asks_for_more_than_there_is_ends() -> None:
    began = time.process_time()
    tools = Tools(Pictures(), spec=_with(count=10**6, steps=((1, 1.0), (2, 1.0))))
    made = list(run(split_pipeline("sample")[0], _truth(), tools))[-1].unit
    assert isinstance(made, t.Paths) and made.paths
    assert time.process_time() - began < 60


def _with(**changes: Any) -> Spec:
    """The built-in spec with its block changed."""
    return SPEC.model_copy(update={"blocks": (SPEC.blocks[0].model_copy(update=changes),)})


def test_the_census_counts_what_sampling_can_draw() -> None:
    """With as many draws as anyone wants, sampling finds what is counted and nothing else."""
    unit = read((GOLDEN / "sample" / "kitchen" / "input.stsg").read_text("utf-8")).unit
    assert isinstance(unit, t.Stsg)
    found = census(unit, SPEC, 100_000)
    assert found.whole
    kept = {
        n: sum(c for (_, m, _, why), c in found.counts.items() if m == n and not why)
        for n in (1, 2, 3)
    }
    spec = _with(count=3000, tries=60)
    done = next(run(split_pipeline("sample")[0], unit, Tools(Pictures(), spec=spec, seed=1)))
    assert isinstance(done.unit, t.Paths)
    drawn = {n: sum(p.wanted == n for p in done.unit.paths) for n in (1, 2, 3)}
    assert drawn == kept
    few = census(unit, SPEC, 5)
    assert not few.whole and sum(few.counts.values()) == 5


@pytest.mark.parametrize("seed", range(6))
def test_filtered_paths_use_only_what_they_may(seed: int) -> None:
    unit = _truth(seed)
    sure, unsure = t.Trust(votes=3, asked=3, verdict="yes"), t.Trust(votes=1, asked=3)
    rng = random.Random(seed)
    unit = unit.evolve(
        **{
            name: tuple(
                e.model_copy(update={"trust": rng.choice([sure, sure, sure, unsure])})
                for e in getattr(unit, name)
            )
            for name in ("objects", "attributes", "relations", "motions", "references", "events")
        }
    )
    event = unit.events[0].event
    filters = (
        Filter(keep=False, what="label", words=("Circle", "squares")),
        Filter(keep=True, what="predicate", words=("left of", "above")),
        Filter(keep=False, what="value", words=("red",)),
        Filter(keep=True, what="kind", words=("color", "size")),
        Filter(keep=False, what="motion", words=("staying still",)),
        Filter(keep=False, what="event", words=(event,)),
    )
    spec = _with(filters=filters, confidence=0.5, count=40)
    done = next(run(split_pipeline("sample")[0], unit, Tools(Pictures(), spec=spec, seed=seed)))
    assert isinstance(done.unit, t.Paths) and done.unit.paths
    objects = {o.id: o for o in unit.objects}
    elements = [*unit.attributes, *unit.relations, *unit.motions, *unit.references, *unit.events]
    named = {e.clip: e for e in unit.events}
    for path in done.unit.paths:
        assert path.clip is None or named[path.clip].trust == sure
        assert not any(getattr(op, "event", None) == event for op in path.query)
        for step in path.steps:
            for end in (step.near, step.far):
                if end in objects:
                    assert objects[end].label not in ("circle", "square")
                    assert objects[end].trust == sure
            edges = [e for e in elements if _is(e, step)]
            assert edges and all(e.trust == sure for e in edges)
            assert step.edge != "rel" or step.word in ("left of", "above")
            assert step.word not in ("red", "staying still")
            assert all(e.kind in ("color", "size") for e in edges if isinstance(e, t.Attribute))


def _is(e: t.Element, s: t.Step) -> bool:
    match e:
        case t.Attribute():
            return s.edge == "attr" and e.id == s.far
        case t.Relation():
            mine = (e.subject, e.object, e.predicate)
            return s.edge == "rel" and mine == (s.near, s.far, s.word)
        case t.Motion():
            return s.edge == "motion" and (e.source, e.target) == (s.near, s.far)
        case t.Reference():
            return s.edge == "ref" and (e.first, e.second) == (s.near, s.far)
        case t.Event():
            return s.edge == "event" and e.clip == s.far
    return False


@pytest.mark.parametrize("what, moving", [("static", False), ("dynamic", True)])
def test_only_static_leaves_no_motion(what: str, moving: bool) -> None:
    only = Filter.model_validate({"keep": True, "what": what})
    found = census(_truth(2), _with(filters=(only,)), 100_000)
    assert any(kind == "motion" for _, _, kind, _ in found.counts) is moving


def _drawn_bounds(rng: random.Random) -> Bounds:
    """What may be known of something: its begin and its end, each in a range, in tenths of a second."""
    times = sorted(rng.randrange(40) * 100 for _ in range(4))
    if rng.random() < 0.3:
        return within((times[0], times[3]))
    return around((times[1], times[2]), (times[0], times[1], times[2], times[3]), (0, 5000))


def _possible(known: Bounds, rng: random.Random) -> tuple[int, int]:
    """Times that are possible."""
    while True:
        begin, end = (rng.randint(*ends) for ends in known)
        if begin <= end:
            return begin, end


TRUE: dict[str, Callable[[list[tuple[int, int]], list[tuple[int, int]]], bool]] = {
    "first": lambda a, b: min(x for x, _ in a) <= min(x for x, _ in b),
    "last": lambda a, b: max(y for _, y in a) >= max(y for _, y in b),
    "longest": lambda a, b: sum(y - x for x, y in a) > sum(y - x for x, y in b),
    "shortest": lambda a, b: sum(y - x for x, y in a) < sum(y - x for x, y in b),
}
"""Whether one answer wins at certain times."""
NAMES = {"which-first": "first", "which-last": "last", "which-longer": "longest",
         "which-shorter": "shortest"}  # fmt: skip


@pytest.mark.parametrize("form", [*TRUE, *NAMES])
def test_no_possible_times_change_an_answer(form: str) -> None:
    """The sampler's rule and the solver's agree, and hold for all times that the graph allows."""
    rng, won = random.Random(form), 0
    for _ in range(3000):
        many = 1 if form in NAMES else rng.randint(1, 2)
        one, other = ([_drawn_bounds(rng) for _ in range(many)] for _ in range(2))
        beats = FORMS[form].beats(one, other)
        if form in NAMES:
            how: Any = form.removeprefix("which-")
            proved = Compare(how=how, one="a", other="b")._wins(one[0], other[0])
        else:
            which: Any = form
            proved = Pick(which=which)._wins(one, other)
        assert proved or not beats
        if form in NAMES or not proved:
            assert form in ("which-first", "which-last") or beats == proved
        won += beats
        for _ in range(10) if proved else ():
            times = [[_possible(known, rng) for known in side] for side in (one, other)]
            assert TRUE[NAMES.get(form, form)](*times), (one, other, times)
    assert won > 20


@pytest.mark.parametrize("seed", range(60))
def test_nothing_that_is_not_known_changes_an_answer(seed: int) -> None:
    """Whatever is the case in the gaps, and in place of what is denied, each sample stays right."""
    rng = random.Random(seed)
    unit = drawn.holed(drawn.graph(rng).evolve(denied=(), gaps=()), rng)
    spec = drawn.spec(rng)
    done = list(
        run(
            split_pipeline("sample,compose,check")[0], unit, Tools(Pictures(), spec=spec, seed=seed)
        )
    )[-1]
    assert isinstance(done.unit, t.Qras)
    for _ in range(8):
        whole = drawn.completed(unit, rng)
        assert not verify(whole)
        known = facts(whole)
        for sample in done.unit.samples:
            found = set(map(phrase, answers(sample.query, known)))
            if sample.form == "yes-no":
                claim = {phrase(sample.claim), label(sample.claim)}
                said = {*found, *map(label, found)}
                assert (sample.answer == "yes") == bool(claim & said), sample.question
            else:
                assert found == {phrase(x) for x in (sample.answer, *sample.also)}, sample.question
            for step in sample.rationale:
                assert phrase(step.answer) in set(map(phrase, answers(step.query, known)))
