"""A video's lexicon: synonyms, kinds of things, and exclusions."""

from __future__ import annotations

import random

import drawn
import pytest
from test_patterns import KITCHEN

from stepc.driver.compile_video import split_pipeline
from stepc.ir import types as t
from stepc.ir.lexicon import Lexicon
from stepc.ir.text import read, write
from stepc.ir.verify import verify
from stepc.ir.words import normal, plain
from stepc.lang.resolve import read_spec
from stepc.lang.types import Spec
from stepc.passmanager.base import Tools
from stepc.passmanager.run import run
from stepc.proof import words
from stepc.proof.facts import facts
from stepc.proof.solver import answers
from stepc.video.decode import Pictures


def _entry(of: str, one: str, how: str, other: str) -> t.WordRelation:
    trust = t.Trust(votes=1, asked=1, verdict="yes")
    return t.WordRelation.model_validate(
        {"of": of, "one": one, "how": how, "other": other, "trust": trust}
    )


def test_kinds_are_followed_through_and_exclusions_hold_of_kinds() -> None:
    entries = [
        _entry("label", "van", "<", "car"),
        _entry("label", "Cars", "<", "vehicle"),
        _entry("label", "vehicle", "!", "animal"),
        _entry("label", "dog", "<", "animal"),
        _entry("rel", "on top of", "<", "on"),
    ]
    lexicon = Lexicon(entries, normal, plain)
    assert lexicon.broader("label", "the vans") == {"car", "vehicle"}
    assert lexicon.related("label", "car") == {"van", "vehicle"}
    assert lexicon.broader("rel", "van") == set()
    assert lexicon.excludes("label", "van", "dog") and not lexicon.excludes("label", "van", "car")
    assert lexicon.excluded("label", "van") == {"animal", "dog"}


def _asked(unit: t.Unit, spec: Spec, passes: str, seed: int = 0) -> t.Unit:
    *_, last = run(split_pipeline(passes)[0], unit, Tools(Pictures(), spec=spec, seed=seed))
    return last.unit


def test_a_wrong_option_is_no_kind_of_the_right_one() -> None:
    spec = """spec mine
import choice without paths
word attr "red" < "reddish"
paths { count 30 per video  steps 1  start attr =>  form choice  options 2  enumerate }
"""
    unit = read(KITCHEN.replace('color "blue"', 'color "reddish"')).unit
    made = _asked(unit, read_spec(spec), "canonicalize,sample,compose,check")
    assert isinstance(made, t.Qras)
    asked = [s for s in made.samples if s.answer in ("red", "reddish")]
    assert asked and not any({"red", "reddish"} <= {*s.options} for s in asked)


def test_an_exclusion_of_the_lexicon_refutes_a_claim() -> None:
    spec = """spec mine
import agqa-like without paths
word rel "holding" ! "on"
paths { count 30 per video  steps 1  start rel --  form claim  enumerate }
"""
    unit = read(KITCHEN).unit
    for text, wanted in ((spec, True), (spec.replace("word", "# word"), False)):
        told = set()
        for seed in range(8):
            made = _asked(unit, read_spec(text), "canonicalize,sample,compose,check", seed)
            assert isinstance(made, t.Qras)
            told |= {(s.question, s.answer) for s in made.samples}
        assert (("Is the cup holding the shelf?", "no") in told) == wanted


def _with_lexicon(unit: t.Stsg, rng: random.Random) -> t.Stsg:
    """A graph with entries about its own words: kinds of others and exclusions."""
    made: dict[tuple[str, str, str], t.WordRelation] = {}
    told = {
        "label": sorted({o.label for o in unit.objects}),
        "rel": sorted({r.predicate for r in unit.relations}),
        "motion": sorted({m.motion for m in unit.motions}),
        "attr": sorted({a.value for a in unit.attributes}),
    }
    for of, every in told.items():
        same = normal if of == "label" else plain
        for _ in range(2):
            if len(every) < 2:
                continue
            one, other = sorted(rng.sample(every, 2), key=same)
            if same(one) != same(other):
                made.setdefault(
                    (of, same(one), same(other)), _entry(of, one, rng.choice("<<!"), other)
                )
    return unit.evolve(lexicon=tuple(made.values()))


def _told(unit: t.Stsg) -> t.Stsg:
    """The graph with everything stated that its lexicon says of its relations."""
    lexicon = Lexicon(unit.lexicon, normal, plain)
    there = {(r.subject, r.object, plain(r.predicate), f) for r in unit.relations for f in r.frames}
    more = []
    for r in unit.relations:
        for word in sorted(lexicon.broader("rel", r.predicate)):
            frames = tuple(f for f in r.frames if (r.subject, r.object, word, f) not in there)
            there |= {(r.subject, r.object, word, f) for f in frames}
            if frames:
                more.append(r.model_copy(update={"predicate": word, "frames": frames}))
    return unit.evolve(relations=(*unit.relations, *more), lexicon=())


@pytest.mark.parametrize("part", range(4))
def test_what_the_lexicon_says_changes_no_answer(part: int) -> None:
    """Samples that are kept stay right in a graph that states what the lexicon says."""
    kept = changed = 0
    for seed in range(part * 70, part * 70 + 70):
        rng = random.Random(seed)
        unit, spec = _with_lexicon(drawn.graph(rng), rng), drawn.spec(rng)
        assert verify(unit) == []
        assert read(write(unit)).unit == unit
        made = _asked(unit, spec, "sample,compose,check", seed)
        assert isinstance(made, t.Qras) and verify(made) == []
        whole = _told(unit)
        known, lexicon = facts(whole), Lexicon(unit.lexicon, normal, plain)
        changed += whole != unit.evolve(lexicon=())
        for s in made.samples:
            kept += 1
            starts = [op.label for op in s.query if isinstance(op, t.Node | t.The)]
            for label in starts:
                there = lexicon.related("label", label)
                scope = {o.label for o in unit.objects if s.query[0] == t.During(event=None)}
                assert not there & {normal(x) for x in scope}, (seed, s.question)
            asks = [op for op in s.query if isinstance(op, t.To)]
            if s.form == "yes-no" or asks:
                continue
            found = set(map(words.phrase, answers(s.query, known)))
            assert found == {words.phrase(x) for x in (s.answer, *s.also)}, (seed, s.question)
    assert kept > 20 and changed > 5
