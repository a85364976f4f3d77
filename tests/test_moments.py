"""Questions about one moment: how many of a label there are, where they are, and which is larger."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from stepc.dataset.formats import rows_of
from stepc.diagnostics import StepcError
from stepc.driver.compile_video import split_pipeline
from stepc.grading.reward import answered, right
from stepc.ir import types as t
from stepc.ir.spans import moments
from stepc.ir.text import read
from stepc.ir.words import mentions, words_of
from stepc.lang.resolve import read_spec
from stepc.lang.types import Spec
from stepc.passmanager.base import Tools
from stepc.passmanager.run import run
from stepc.proof.facts import facts
from stepc.proof.prover import Prover
from stepc.proof.solver import NoAnswer, answers
from stepc.reader.reader import Reader
from stepc.video.decode import Pictures
from stepc.world.ground_truth import truth
from stepc.world.scene import make_film

SPEC = """spec moments
import eyes without paths
paths how-many { count 20 per video  steps 1  start seen  form count  moment 1 }
paths box { count 20 per video  steps 1  start seen  form where-box }
paths where { count 10 per video  steps 1  start rel --  moment 1 }
pattern larger {
  count   6 per video
  moment  1
  where   a rel "larger in the picture than" => b
  exists
  ask     "Is {a} larger in the picture than {b}?"
}
"""


def asked(unit: t.Unit, spec: Spec, pipeline: str = "sample,compose,check") -> t.Qras:
    for done in run(split_pipeline(pipeline)[0], unit, Tools(Pictures(), spec=spec, seed=1)):
        unit = done.unit
    assert isinstance(unit, t.Qras)
    return unit


def film(seed: int) -> t.Stsg:
    return truth(make_film(random.Random(seed)), "film", "film.mp4", f"{seed:064x}")


def test_what_is_asked_of_films_is_what_their_boxes_show() -> None:
    spec, seen = read_spec(SPEC), Counter[str]()
    for seed in range(6):
        unit = asked(film(seed), spec, 'place(add="left larger"),sample,compose,check')
        at = {time: frame for frame, time in moments(unit).items()}
        there: dict[str, list[t.Box]] = {}
        for b in unit.boxes:
            there.setdefault(b.frame, []).append(b)
        label = {o.id: o.label for o in unit.objects}
        for s in unit.samples:
            scope = s.query[0]
            assert isinstance(scope, t.Moment)
            boxes = there[at[scope.at]]
            named = [b for b in boxes if mentions(s.question, label[b.owner])]
            if s.form == "count":
                assert s.answer == str(len(named)), s.question
                assert [b.text in s.rationale[0].text for b in named] == [True] * len(named)
            elif s.form == "box":
                assert [s.answer] == [b.text for b in named], s.question
            elif s.form == "yes-no":
                said = sorted(named, key=lambda b: s.question.index(label[b.owner]))
                one, other = ((b.right - b.left) * (b.bottom - b.top) for b in said)
                assert (s.answer == "yes") == (one > other), s.question
            seen[s.form if s.form != "count" else f"count {min(int(s.answer), 2)}"] += 1
    assert min(seen[x] for x in ("count 1", "box", "open", "yes-no")) > 3, seen


def test_evidence_is_the_keyframe_of_the_moment() -> None:
    unit = asked(film(3), read_spec(SPEC))
    scopes = {s.question: s.query[0] for s in unit.samples}
    for (row,) in rows_of("jsonl", unit, "m", "moments"):
        scope = scopes[row["question"]]
        assert isinstance(scope, t.Moment)
        assert row["time"]["how"] == "moment" and row["time"]["start"] == scope.at / 1000
        for e in row["evidence"]:
            (keyframe,) = e["keyframes"]
            assert abs(keyframe["at"] - scope.at / 1000) <= 0.05
            assert e["start"] == e["end"] == keyframe["at"]
            assert {b["at"] for b in e["boxes"]} == {keyframe["at"]}
            assert row["type"] != "box" or [*map(int, row["answer"][1:-1].split(","))] in [
                b["box"] for b in e["boxes"]
            ]


@pytest.mark.parametrize("change", ["box", "time", "number", "box of another"])
def test_a_sentence_that_says_another_box_time_or_number_is_refused(change: str) -> None:
    unit = asked(film(3), read_spec(SPEC))
    prover = Prover(unit)
    reader = Reader(unit, prover.known, read_spec(SPEC))
    tried = 0
    for s in (x for x in unit.samples if x.form == "count"):
        assert reader.objection(s) == ""
        (because,) = s.rationale
        text, box = because.text, because.text.partition("[")[2].partition("]")[0]
        scope = s.query[0]
        assert isinstance(scope, t.Moment)
        if change == "box":
            edge = box.split(", ")[0]
            text = text.replace(f"[{edge},", f"[{int(edge) + 1},", 1)
        elif change == "box of another":
            own = {b.text for b in unit.boxes if b.text in text}
            other = next(b.text for b in unit.boxes if b.text not in own)
            text = text.replace(f"[{box}]", other, 1)
        elif change == "time":
            others = [at for at in moments(unit).values() if at != scope.at]
            text = text.replace(f"At {scope.at / 1000:.1f} ", f"At {others[0] / 1000:.1f} ")
        else:
            text = text.replace(f"That makes {s.answer}", f"That makes {int(s.answer) + 1}")
        assert text != because.text
        told = s.model_copy(update={"rationale": (because.model_copy(update={"text": text}),)})
        tried += 1
        assert reader.objection(told) != "", text
    assert tried > 3


TWO = """stsg 2 "two"
video   "two.mp4" 4.000s 25fps 640x360 sha256:6666666666666666666666666666666666666666666666666666666666666666

clip    c0 0.000..4.000
frame   c0.k0 at 1.000
frame   c0.k1 at 1.040
frame   c0.k2 at 3.000
static  c0/cup "cup" at c0.k0 c0.k1 c0.k2 [1/1 yes]
box     c0/cup at c0.k0 100 100 200 200 1.000 "annotation"
box     c0/cup at c0.k1 100 100 200 200 1.000 "annotation"
"""


def test_a_moment_is_one_keyframe() -> None:
    """Two keyframes in one tenth of a second cannot be told apart, and a missing box is not known."""
    unit = read(TWO).unit
    assert isinstance(unit, t.Stsg) and moments(unit) == {"c0.k2": 3000}
    known = facts(unit)
    cup = (t.Given(edge="seen", kind="", value="cup"), t.Follow(edge="seen", way="<=", word=""))
    for at, end in ((1000, t.Count()), (2000, t.Count()), (3000, t.Get(what="box"))):
        with pytest.raises(NoAnswer):
            answers((t.Moment(at=at), *cup, end), known)
    with pytest.raises(NoAnswer, match="0 answers"):  # a box of no moment
        answers((t.During(event=None), *cup, t.Get(what="box")), known)
    assert answers((t.Moment(at=3000), *cup, t.Count()), known) == ("1",)


def _codes(text: str) -> set[str]:
    with pytest.raises(StepcError) as error:
        read_spec(text)
    return {d.code for d in error.value.diagnostics}


def test_a_spec_that_asks_for_boxes_says_when() -> None:
    untimed = SPEC.replace("import eyes without paths", "import agqa-like without paths")
    seen = (
        'edge seen(o -> l) { find o { where-box "Where is the {l}?" because "{o} at {o.box}." } }'
    )
    paths = "paths { count 3 per video steps 1 start seen form where-box }"
    assert _codes(f"spec x\nuse english\n{paths}\n{seen}") == {"S310", "S328"}
    assert "S310" in _codes(untimed)
    assert _codes(SPEC.replace("start rel --", "start rel --  expand seen")) == {"S104"}
    order = SPEC.replace("exists\n", "find first a\n").replace("Is {a} larger", "What is larger")
    assert _codes(order) == {"S324"}
    assert _codes(SPEC + '\noverride edge seen(o -> l) { find l { because "{l}" } }') == {"S104"}


def test_a_box_is_right_if_it_covers_the_true_one() -> None:
    true = ["[100, 100, 300, 300]"]
    for reply in ("[100, 100, 300, 300]", "100,100,300,300", "The answer is [110, 90, 310, 305]."):
        assert right(reply, true), reply
    for reply in ("[300, 300, 500, 500]", "100", "", "the cup", "[100, 100, 120, 120]", "[1e9]"):
        assert not right(reply, true), reply
    rewards = answered(["<answer>[100, 100, 300, 290]</answer>", "[0, 0, 9, 9]"], [true, true])
    assert rewards == [1.0, 0.0]


def test_a_decimal_point_belongs_to_its_number() -> None:
    assert words_of("At 1.0 seconds, -2.5 and v1.2. 3. End") == (
        "at", "1.0", "seconds", "-2.5", "and", "v1", "2", "3", "end"
    )  # fmt: skip
    assert not mentions("At 1.0 seconds, how many?", "1") and mentions("He has 1.", "1")
