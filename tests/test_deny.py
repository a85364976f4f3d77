"""deny: negatives that the model verifies, and the questions that they answer."""

from __future__ import annotations

import random
from collections import Counter

import drawn
import pytest
from speaking import Speaker
from test_patterns import KITCHEN

from stepc.dataset.formats import records
from stepc.driver.compile_video import split_pipeline
from stepc.ir import types as t
from stepc.ir.text import read, write
from stepc.ir.verify import verify
from stepc.lang.resolve import read_spec
from stepc.lang.source import spec_text
from stepc.lang.types import Spec
from stepc.model.client import ModelClient
from stepc.model.templates import Templates
from stepc.passmanager.base import Tools
from stepc.passmanager.run import run
from stepc.proof.facts import Facts, facts
from stepc.proof.prover import REPEATED, SEVERAL, UNKNOWN, Prover
from stepc.proof.solver import NotKnown, answers
from stepc.proof.words import label, phrase
from stepc.reader.reader import Reader
from stepc.video.decode import Pictures

ANYTHING = """
spec mine
import agqa-like without paths
pattern p if r verb {
  count 9 per video
  during 1
  deny 9 per video
  where s rel(r) => o
  exists
  ask "{s|is|cap} {s} {r} anything?"
}
"""


def _tools(spec: Spec, share: float, seed: int = 0) -> Tools:
    """Tools whose model answers yes to a share of the questions, and the same to the same question."""

    def say(call: object, sample: int) -> str:
        key = getattr(call, "key", "")
        return (
            '{"yes": true}' if random.Random(f"{seed}{key}").random() < share else '{"yes": false}'
        )

    client = ModelClient(Speaker(say), Templates("default"), Pictures(), seed)
    return Tools(Pictures(), lambda: client, spec, seed)


def _kitchen() -> t.Stsg:
    unit = read(KITCHEN.replace("holding the cup", "sitting")).unit
    assert isinstance(unit, t.Stsg)
    return unit


def _ran(passes: str, unit: t.Stsg, tools: Tools) -> t.Unit:
    *_, last = run(split_pipeline(passes)[0], unit, tools)
    return last.unit


def test_what_the_model_denies_answers_a_question_with_no() -> None:
    spec = read_spec(ANYTHING)
    before = _ran("sample,compose,check", _kitchen(), _tools(spec, 0))
    after = _ran("deny,sample,compose,check", _kitchen(), _tools(spec, 0))
    assert isinstance(before, t.Qras) and isinstance(after, t.Qras)
    told = {s.question: s for s in after.samples}
    no = told["While a car stops, is the woman holding anything?"]
    assert no.question not in {s.question for s in before.samples}
    assert no.answer == "no"
    assert "The woman is not holding the cup." in [b.text for b in no.rationale]
    assert {b.answer for b in no.rationale} == {"no"}
    made = [e for e in after.denied if isinstance(e, t.Relation)]
    assert all((e.trust.votes, e.trust.asked) == (0, 3) and e.origin.asks for e in made)


def test_one_that_affirms_leaves_it_open() -> None:
    spec = read_spec(ANYTHING)
    unit = _ran("deny", _kitchen(), _tools(spec, 1))
    assert isinstance(unit, t.Stsg)
    assert not [e for e in unit.denied if e not in _kitchen().denied]
    assert unit.gaps and verify(unit) == []


def test_a_spec_without_deny_asks_nothing() -> None:
    spec = read_spec(ANYTHING.replace("deny 9 per video", ""))
    tools = _tools(spec, 0)
    assert _ran("deny", _kitchen(), tools) == _kitchen()
    assert tools.model is not None and tools.model().usage.calls == 0


def test_no_more_is_asked_than_is_allowed() -> None:
    spec = read_spec(ANYTHING)
    for most in (1, 5, 100):
        tools = _tools(spec, 0)
        _ran(f"deny(most={most},samples=2)", _kitchen(), tools)
        assert tools.model is not None
        assert tools.model().usage.replies <= 2 * most


def test_what_is_known_to_be_false_is_not_asked_again() -> None:
    spec = read_spec(ANYTHING)
    once = _ran("deny", _kitchen(), _tools(spec, 0))
    tools = _tools(spec, 0)
    assert isinstance(once, t.Stsg)
    assert _ran("deny", once, tools) == once
    assert tools.model is not None and tools.model().usage.calls == 0


def _answers(query: t.Query, known: Facts) -> set[str]:
    """The answers in a graph that states all that is so, and denies nothing."""
    try:
        return set(map(phrase, answers(query, known)))
    except NotKnown:
        assert isinstance(query[-1], t.Exists)
        return {"no"}


def _denying(rng: random.Random) -> Spec:
    """A drawn spec, or one that is shipped, whose blocks use verified negatives as far as they can."""
    spec = drawn.spec(rng) if rng.random() < 0.5 else read_spec(*spec_text("agqa-like"))
    return spec.model_copy(
        update={"blocks": tuple(b.model_copy(update={"deny": 6}) for b in spec.blocks)}
    )


@pytest.mark.parametrize("part", range(4))
def test_whatever_the_model_denies_every_question_is_sound(part: int) -> None:
    """The graph stays valid, the proofs hold, and no completion of what is not known changes an answer."""
    counts: Counter[str] = Counter()
    for seed in range(part * 15, part * 15 + 15):
        rng = random.Random(seed)
        unit, spec = drawn.graph(rng), _denying(rng)
        denied = _ran("deny", unit, _tools(spec, 0.1, seed))
        assert isinstance(denied, t.Stsg)
        assert verify(denied) == [], seed
        assert read(write(denied)).unit == denied
        counts["denied"] += len(denied.denied) - len(unit.denied)
        counts["gaps"] += len(denied.gaps) - len(unit.gaps)
        asked = _ran("sample,compose", denied, _tools(spec, 0, seed))
        assert isinstance(asked, t.Qras)
        assert verify(asked) == [], seed
        prover = Prover(asked)
        reader = Reader(asked, prover.known, spec)
        unique = {p.id: p.unique for p in asked.paths}
        kept = []
        for s in asked.samples:
            objection = prover.objection(s)
            patterned = any(p.pattern for p in asked.paths if p.id == s.path)
            allowed = {"", SEVERAL, REPEATED, UNKNOWN}
            assert objection in allowed or not patterned, (seed, s.question, objection)
            if not objection and not reader.objection(s, unique[s.path]):
                kept.append(s)
                counts[f"{s.form}: {s.answer}" if s.form == "yes-no" else s.form] += 1
        assert reader.unread == [], seed
        for _ in range(2):
            known = facts(drawn.completed(denied, rng))
            for s in kept:
                found = _answers(s.query, known)
                if s.form == "yes-no":
                    claim = {phrase(s.claim), label(s.claim)}
                    yes = bool(claim & {*found, *map(label, found)})
                    assert (s.answer == "yes") == yes, (seed, s.question)
                else:
                    assert found == {phrase(x) for x in (s.answer, *s.also)}, (seed, s.question)
    assert counts["denied"] > 20 and counts["gaps"] > 3, counts
    assert counts["yes-no: no"] > 0, counts


def test_denied_facts_are_evidence() -> None:
    unit = _ran("deny,sample,compose,check", _kitchen(), _tools(read_spec(ANYTHING), 0))
    assert isinstance(unit, t.Qras)
    rows = [row for sample in records(unit, "m", "s") for row in sample]
    no = next(row for row in rows if row["answer"] == "no")
    assert {e["step"] for e in no["evidence"]} == {*range(1, no["steps"] + 1)}
    assert no["evidence"][0]["nodes"] == ["c0.k0/woman", "c0/cup"]


@pytest.mark.parametrize(
    "facts",
    [
        "where s rel(r) => o and not p rel(r) => o",  # only the question says `p`
        "where s rel(r) => o and not s rel(r) => p",
        'where s attr(k) => v and not s attr(k) => "blue"',
        "where s motion => m and not p motion => m",
    ],
)
def test_a_fact_with_not_may_be_about_what_only_the_question_says(facts: str) -> None:
    said = [x for x in "spo" if f" {x} " in f"{facts} "]
    words = (
        "{r}" * ("(r)" in facts) + "{m}" * ("=> m" in facts) + "{v} {v.kind}" * ("=> v" in facts)
    )
    text = f"""spec mine
import agqa-like without paths
pattern q if p person {{
  count 9 per video
  deny 9 per video
  {facts}
  exists
  ask "Is it so of {", ".join(f"{{{x}}}" for x in said)}: {words}?"
}}
"""
    spec = read_spec(text if " p " in facts else text.replace(" if p person", ""))
    made = _ran("deny,sample,compose,check", _kitchen(), _tools(spec, 0))
    assert isinstance(made, t.Qras) and verify(made) == []
