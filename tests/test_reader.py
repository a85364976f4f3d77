"""The reader finds in a text what was proved of it, and everything else that its words may mean."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import pytest
from speaking import Speaker

from stepc.driver.compile_video import split_pipeline
from stepc.ir import types as t
from stepc.ir.text import read
from stepc.lang.parse import builtin, shipped
from stepc.lang.resolve import read_spec
from stepc.lang.types import Spec
from stepc.model.client import Call, ModelClient
from stepc.model.templates import Templates
from stepc.passmanager.base import Tools
from stepc.passmanager.run import run
from stepc.proof.facts import facts
from stepc.reader.meanings import Meaning
from stepc.reader.prose import told
from stepc.reader.reader import OTHER, OTHER_STEP, UNTRUE, Reader, shipped_specs
from stepc.video.decode import Pictures
from stepc.world.ground_truth import truth
from stepc.world.scene import make_film

SHIPPED = tuple(shipped())
CHINESE = tuple(name for name in SHIPPED if name.endswith("-chinese"))
ENGLISH = tuple(name for name in SHIPPED if name not in CHINESE)
STREET = f"""stsg 1 "street"
video   "street.mp4" 20.000s 25fps 640x360 sha256:{"78" * 32}

clip    c0 0.000..10.000
frame   c0.k0 at 1.000
frame   c0.k1 at 9.000
event   c0 "a car stops" 0.000..10.000 [3/3 yes]
static  c0/cup "cup" at c0.k0 c0.k1 [6/6 yes]
static  c0/box "box" at c0.k0 c0.k1 [6/6 yes]
static  c0/table "table" at c0.k0 c0.k1 [6/6 yes]
dynamic c0.k0/man "man" [3/3 yes]
dynamic c0.k0/woman "woman" [3/3 yes]
dynamic c0.k1/man "man" [3/3 yes]
dynamic c0.k1/woman "woman" [3/3 yes]
attr    c0/cup/plain pattern "plain" at c0.k0 c0.k1 [6/6 yes]
attr    c0/box/plain texture "plain" at c0.k0 c0.k1 [6/6 yes]
attr    c0/table/brown color "brown" at c0.k0 c0.k1 [6/6 yes]
rel     c0.k0/man -> c0/cup "holding" [3/3 yes]
rel     c0/cup -> c0/table "on" at c0.k0 c0.k1 [3/3 yes]
rel     c0/box -> c0/table "under" at c0.k0 c0.k1 [3/3 yes]
motion  c0.k0/man -> c0.k1/man "walks" 1.000..9.000 [3/3 yes]
motion  c0.k0/woman -> c0.k1/woman "holding the cup" 1.000..9.000 [3/3 yes]

clip    c1 10.000..20.000
frame   c1.k0 at 11.000
frame   c1.k1 at 19.000
event   c1 "a dog barks" 10.000..20.000 [3/3 yes]
static  c1/cup "cup" at c1.k0 c1.k1 [6/6 yes]
static  c1/shelf "shelf" at c1.k0 c1.k1 [6/6 yes]
dynamic c1.k0/dog "dog" [3/3 yes]
dynamic c1.k1/dog "dog" [3/3 yes]
attr    c1/shelf/brown color "brown" at c1.k0 c1.k1 [6/6 yes]
rel     c1/cup -> c1/shelf "on" at c1.k0 c1.k1 [3/3 yes]
motion  c1.k0/dog -> c1.k1/dog "walking" 11.000..19.000 [3/3 yes]

ref     c0/cup == c1/cup [3/3 yes]
"""


@cache
def _spec(name: str) -> Spec:
    return read_spec(builtin(name))


def _truth(seed: int) -> t.Stsg:
    return truth(make_film(random.Random(seed)), "film", "film.mp4", f"{seed:064x}")


def _street() -> t.Stsg:
    unit = read(STREET).unit
    assert isinstance(unit, t.Stsg)
    return unit


def _asked(unit: t.Stsg, spec: Spec, passes: str = "sample,compose", seed: int = 0) -> t.Qras:
    *_, last = run(split_pipeline(passes)[0], unit, Tools(Pictures(), spec=spec, seed=seed))
    assert isinstance(last.unit, t.Qras)
    return last.unit


def _reader(unit: t.Stsg, *specs: Spec) -> Reader:
    specs = specs or (_spec("agqa-like"),)
    return Reader(unit, facts(unit, specs[0].language), *specs)


def _queries(readings: list[Meaning]) -> set[str]:
    return {
        " | ".join(op.text() for op in r.query) + (f" {r.claim}?" * bool(r.claim)) for r in readings
    }


@pytest.mark.parametrize("name", ENGLISH)
def test_every_text_of_the_shipped_specs_is_read_as_what_was_proved(name: str) -> None:
    texts = 0
    for seed in range(6):
        graph = _street() if seed == 0 else _truth(seed)
        unit = _asked(graph, _spec(name), "sample,compose,check", seed)
        reader = _reader(unit, _spec(name))
        for sample in unit.samples:
            own = " | ".join(op.text() for op in sample.query).casefold()
            read = reader.question(sample.question)
            if sample.form not in ("yes-no", "compare") and "between" not in own:
                assert own in {" | ".join(op.text() for op in r.query).casefold() for r in read}
            assert reader.objection(sample) == "", sample.question
            texts += 1 + 2 * len(sample.rationale)
        assert reader.unread == []
    assert texts > 40


@pytest.mark.parametrize("seed", range(4))
def test_a_question_about_something_else_is_not_taken_for_the_proved_one(seed: int) -> None:
    unit = _asked(_truth(seed), _spec("step"), "sample,compose,check", seed)
    reader = _reader(unit, _spec("step"))
    labels = sorted({o.label for o in unit.objects})
    changed = 0
    for sample in unit.samples:
        own = " | ".join(op.text() for op in sample.query)
        for label in labels:
            for other in labels:
                if other != label and f"the {label}" in sample.question:
                    text = sample.question.replace(f"the {label}", f"the {other}")
                    assert own not in _queries(reader.question(text))
                    changed += 1
    assert changed > 20


@pytest.mark.parametrize(
    ("text", "answer", "meanings"),
    [
        ("While a car stops, what is on the table?", "cup", 1),
        ("Which object is plain?", "cup", 2),  # its pattern, or its texture
        ("Who is holding the cup?", "man", 2),  # a relation, or what the woman does
        ("Which person is walking?", "man", 2),  # the man walks, and the dog is walking
        ("What is seen while a car stops and also, while a dog barks, as the cup?", "cup", 2),
        ("While a dog barks, what is the dog doing?", "walking", 1),
        (
            "Which happens first: the man is walking, or the dog is walking?",
            "the man is walking",
            4,
        ),
    ],
)
def test_all_meanings_are_found(text: str, answer: str, meanings: int) -> None:
    reader = _reader(_street())
    read = reader.question(text)
    assert len(read) == meanings, _queries(read)
    assert answer in [found for _, found in reader.readings(text)]


@pytest.mark.parametrize(
    "text", ["What?", "Which cup is happy?", "While a cow flies, what is on the table?", ""]
)
def test_what_is_in_other_words_has_no_meaning(text: str) -> None:
    assert _reader(_street()).question(text) == []


def _sample(question: str, query: str, answer: str, **more: Any) -> t.Sample:
    """A sample of one step with this question, as `because` says it."""
    text = more.pop("text", "The cup is on the table.")
    unit = read(
        STREET.replace("stsg 1", "qra 1")
        + f'\npath    p0 wanted 1\nstep    rel c0/cup <= c0/table "on"\nquery   {query}\n'
        + f'\nsample  q0 of p0 open template unchecked\nquestion "{question}"\nanswer  "{answer}"\n'
        + f'query   {query}\nbecause "{question}" "{answer}" "{text}"\nquery   {query}\n'
    ).unit
    assert isinstance(unit, t.Qras)
    return unit.samples[0].model_copy(update=more)


ON_TABLE = 'during "a car stops" | node "table" | unique | follow rel <= "on" | unique | get label'


@pytest.mark.parametrize(
    ("sample", "objection"),
    [
        (_sample("While a car stops, what is on the table?", ON_TABLE, "cup"), ""),
        (_sample("While a dog barks, what is on the shelf?", ON_TABLE, "cup"), ""),  # as true, if another
        (_sample("While a car stops, what is under the table?", ON_TABLE, "cup"), OTHER),
        (_sample("What is on the shelf?", ON_TABLE, "box"), OTHER),
        (_sample("While a car stops, what is on the table?", ON_TABLE, "cup",
                 text="The cup is under the table."), UNTRUE),
        (_sample("While a car stops, what is on the table?", ON_TABLE, "cup",
                 text="The box is on the table. The cup is on the table."), UNTRUE),
        (_sample("While a car stops, what is on the table?", ON_TABLE, "cup",
                 text="First, the cup is on the table."), ""),
        (_sample("While a car stops, what is on the table?", ON_TABLE, "cup", text="It is so."), ""),
    ],
)  # fmt: skip
def test_a_text_that_says_something_else_is_an_objection(sample: t.Sample, objection: str) -> None:
    assert _reader(_street()).objection(sample) == objection


def test_a_step_is_read_as_the_question_is() -> None:
    sample = _sample("While a car stops, what is on the table?", ON_TABLE, "cup")
    wrong = sample.rationale[0].model_copy(update={"question": "What is under the table?"})
    assert (
        _reader(_street()).objection(sample.model_copy(update={"rationale": (wrong,)}))
        == OTHER_STEP
    )


def test_a_number_of_things_is_counted_again() -> None:
    count = _asked(_truth(1), _spec("agqa-like"), "sample,compose,check", 1)
    reader = _reader(count)
    counts = [s for s in count.samples if "That makes" in s.rationale[-1].text]
    assert counts
    for sample in counts:
        because = sample.rationale[-1]
        told_ = because.text.replace(
            f"makes {because.answer}.", f"makes {int(because.answer) + 1}."
        )
        assert reader.tells(because) is True
        assert reader.tells(because.model_copy(update={"text": told_})) is False


def test_what_the_shipped_specs_can_say_is_read_in_the_texts_of_other_specs() -> None:
    reader = _reader(_street(), _spec("reworded"))
    assert [a for _, a in reader.readings("While a car stops, what is on the table?")] == ["cup"]
    yes = "While a car stops, is it true that the cup is on the table?"
    assert [a for _, a in reader.readings(yes)] == ["yes"]
    assert {s.name for s in shipped_specs("english")} == set(ENGLISH)
    assert {s.name for s in shipped_specs("chinese")} == set(CHINESE)


# --- refine ------------------------------------------------------------------------------


def test_what_refine_cannot_read_is_answered_from_the_facts() -> None:
    """A reworded question is kept if a model that sees only the facts gives the same answer."""
    unit = _asked(_street(), _spec("step"), "sample,compose,check", 2)
    answers = {f"So tell me: {s.question}": s.answer for s in unit.samples}
    wrong = {next(iter(answers))}
    asked: list[str] = []

    def say(call: Call, seed: int) -> str:
        if call.request == "reword":
            question = call.text.split("Question: ")[1].split("\n")[0]
            return f'{{"text": "So tell me: {question}"}}'
        if call.request == "smooth":
            return "nothing"
        question = call.text.split("Question: ")[1].split("\n")[0]
        assert call.request == "from_facts" and " of the video, " in call.text
        asked.append(question)
        return f'{{"answer": "{"cow" if question in wrong else answers[question]}"}}'

    asker = ModelClient(Speaker(say), Templates("default"), Pictures(), 2)
    passes = split_pipeline("refine(yes_no=0,rationales=0),check")[0]
    tools = Tools(Pictures(), spec=_spec("step"), seed=2, model=lambda: asker)
    refined, checked = (done.unit for done in run(passes, unit, tools))
    assert isinstance(refined, t.Qras) and isinstance(checked, t.Qras)
    made = {s.question for s in refined.samples}
    assert set(asked) == set(answers) and len(answers) > 3
    assert made == (set(answers) - wrong) | {q.removeprefix("So tell me: ") for q in wrong}
    assert len(checked.samples) == len(unit.samples)


def test_facts_are_told_clip_by_clip() -> None:
    unit = _street()
    assert told(unit, facts(unit), ["c1"]) == [
        "Part 2 of the video, 10.0 to 20.0 seconds, while a dog barks:",
        "The color of the shelf is brown.",
        "The cup is on the shelf.",
        "The dog is walking, 11.0 to 19.0 seconds.",
        "The cup is the cup of part 1.",
    ]
    two = unit.evolve(
        objects=(*unit.objects, unit.objects[0].model_copy(update={"id": "c0/cup.2"}))
    )
    said = told(two, facts(two), ["c0"])
    assert "The cup (number 1) is on the table." in said
