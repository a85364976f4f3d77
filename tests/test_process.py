"""Wrong steps, rewards that compare steps by meaning, and preferences between the two."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from test_blind import asked

from stepc.dataset.formats import rows_of
from stepc.dataset.read import TrainingSample, load_dataset
from stepc.diagnostics import StepcError
from stepc.grading.process import verdicts
from stepc.grading.reward import reasoned
from stepc.ir import types as t
from stepc.lang.parse import builtin
from stepc.lang.resolve import read_spec
from stepc.lang.types import Spec
from stepc.model.templates import Templates
from stepc.passes.wrong_steps import WrongSteps
from stepc.passmanager.base import Tools
from stepc.train.export import export
from stepc.video.decode import Pictures

MAN: dict[str, Any] = {
    "step": 1, "true": True, "denied": False, "subject": ["man", "person"], "relation": ["behind"],
    "inverse": ["in front of"], "object": ["table", "desk"], "answer": [],
}  # fmt: skip
CHAIR = {**MAN, "true": False, "object": ["chair"]}
WOODEN: dict[str, Any] = {
    "step": 2, "true": True, "denied": False, "subject": ["table", "desk"], "relation": [], "inverse": [],
    "object": ["wooden"], "answer": [],
}  # fmt: skip
METAL = {**WOODEN, "true": False, "object": ["metal"]}
FACTS = [MAN, CHAIR, WOODEN, METAL]


@pytest.mark.parametrize(
    ("reasoning", "right", "wrong"),
    [
        ("The man is behind the table. The table is wooden.", {1, 2}, set()),
        ("A person stands behind the desk, which is wooden.", {1, 2}, set()),
        ("The table is wooden. The man is behind it.", {1, 2}, set()),
        ("The desk is in front of the man. It is wooden.", {1, 2}, set()),
        ("Behind the table there is a man.", {1}, set()),
        ("In front of the man is a table.", {1}, set()),
        ("First, the men are behind the tables.\nSecond: wooden tables.", {1, 2}, set()),
        ("The table is behind the man.", set(), set()),
        ("The man is in front of the table.", set(), set()),
        ("The man is not behind the table. The table isn't wooden.", set(), set()),
        ("The man is behind the chair. The table is wooden.", {2}, {1}),
        ("The man is behind the table. The man is behind the chair.", set(), {1}),
        ("The man is behind the table, the chair and the lamp.", set(), {1}),
        ("The table is wooden. The table is wooden. The table is wooden.", {2}, set()),
        ("The table is metal.", set(), {2}),
        ("The table is not metal but it is wooden.", {2}, set()),
        ("The man is old. He is wooden.", set(), set()),
        ("man table wooden behind", {2}, set()),  # a value needs no verb
        ("", set(), set()),
        ("The table is wooden, not metal.", {2}, set()),
        ("No doubt, the table is wooden.", {2}, set()),
        ("Is the table wooden?", set(), set()),
        ("Perhaps the table is wooden.", set(), set()),
        ("It is false that the table is wooden. Nobody says the table is wooden.", set(), set()),
        ("The man is staring at a wooden tab.", set(), set()),
    ],
)
def test_steps_are_compared_by_meaning(reasoning: str, right: set[int], wrong: set[int]) -> None:
    made = verdicts(reasoning, FACTS)
    assert (made.right, made.wrong, made.steps) == (right, wrong, 2)


def _fact(**parts: Any) -> dict[str, Any]:
    names = ("subject", "relation", "inverse", "object", "answer")
    empty: dict[str, Any] = {name: [] for name in names}
    return {"step": 1, "true": True, "denied": False, **empty, **parts}


@pytest.mark.parametrize(
    ("fact", "said", "unsaid"),
    [
        (_fact(subject=["dog"], object=["running"]), "The dog runs.", "The dog sleeps."),
        (_fact(subject=["dog"], object=["bark"], denied=True), "The dog does not bark.", "The dog barks."),
        (_fact(object=["a man is making coffee in the kitchen"]),
         "In the kitchen, a man makes coffee.", "A man is in the kitchen."),
        (_fact(subject=["dog"], object=["barking"], answer=["2.0 to 6.0 seconds"]),
         "Between 2.3 and 5.8 seconds the dog is barking.", "The dog is barking from 7.0 to 9.0 seconds."),
        (_fact(subject=["男人"], object=["红色"]), "男人是红色的。", "男人不是红色的。"),
    ],
)  # fmt: skip
def test_other_words_times_and_scripts(fact: dict[str, Any], said: str, unsaid: str) -> None:
    assert verdicts(said, [fact]).right == {1}
    assert verdicts(unsaid, [fact]).right == set()


def test_facts_of_others_that_are_no_facts_are_ignored() -> None:
    odd: list[Any] = [{}, {"step": None}, {"step": 1}, {"step": 1, "subject": [None]}, None, 7,
                      {"step": 1, "subject": "table", "object": ["wooden"]}]  # fmt: skip
    assert verdicts("The table is wooden. Blah.", [*odd, WOODEN]).right == {2}
    assert reasoned(["Blah. Answer: x"], [["The table is wooden."]], facts=[odd]) == [0.0]


def test_times_are_those_that_are_said() -> None:
    fact = _fact(subject=["dog"], object=["barking"], answer=["4.0 to 9.0 seconds"])
    assert verdicts("The dog is barking from 4 s to 9 s.", [fact]).right == {1}
    for wrong in ("from 9.0 to 4.0", "from 4.0 to 12.0", "at 1.0, 4.0, 7.0, 9.0"):
        assert verdicts(f"The dog is barking {wrong} seconds.", [fact]).right == set()


def test_a_count_needs_all_that_it_counts() -> None:
    two = [_fact(subject=["cup"], object=["red"]), _fact(subject=["box"], object=["red"])]
    assert verdicts("The cup is red. The box is red, too. That makes 2.", two).right == {1}
    assert verdicts("The cup is red. That makes 2.", two).right == set()


def test_a_paraphrase_earns_and_a_list_of_everything_does_not() -> None:
    steps = [["The man is behind the table.", "The table is wooden."]]

    def earns(reasoning: str) -> float:
        return reasoned(
            [f"{reasoning} Answer: wooden"], steps, facts=[FACTS], answers=[["wooden"]]
        )[0]

    assert earns("The person stands behind the desk. It is wooden.") == 1.0
    assert earns("The table is wooden.") == 0.5
    assert earns("The table is wooden. " * 2) == 0.5 > earns("The table is wooden. " * 8) > 0
    assert earns("The man is behind the chair. The table is wooden.") == 0.0
    guess = "The man is behind the table, the chair, the lamp. The table is wooden, metal, plastic."
    assert earns(guess) == 0.0
    assert reasoned(["Answer: wooden"], steps, facts=[FACTS]) == [0.0]
    assert reasoned(["The man is behind the table. Answer: x"], steps) == [0.5]  # without facts


# --- of graphs ---------------------------------------------------------------------------


def _wrong(units: list[t.Qras], spec: Spec) -> list[t.Qras]:
    return [WrongSteps().run(u, Tools(Pictures(), spec=spec, seed=1)) for u in units]


@pytest.mark.parametrize("name", ["step", "agqa-like", "star-like", "order", "grounded", "choice"])
def test_true_rationales_earn_everything_and_a_wrong_step_costs(name: str) -> None:
    spec = read_spec(builtin(name))
    found = 0
    for unit in _wrong(asked(range(4), spec), spec):
        labels = {o.label for o in unit.objects}
        for s, (row,) in zip(unit.samples, rows_of("jsonl", unit, "m", "s"), strict=True):
            texts = [b.text for b in s.rationale]
            true = verdicts(" ".join(texts), row["facts"])
            assert len(true.right) == true.steps == len(texts) and not true.wrong, (texts, row)
            for w in s.wrong:
                found += 1
                told = [*texts[: w.step - 1], w.text, *texts[w.step :]]
                assert sum(a != b for a, b in zip(texts, told, strict=True)) == 1
                said = verdicts(" ".join(told), row["facts"])
                assert w.step in said.wrong and w.step not in said.right, (w, row["facts"])
                assert w.what != "object" or w.instead in labels
                if w.step < len(texts):
                    assert w.answer == s.answer
    assert found > 10


def test_a_film_shows_no_wrong_step() -> None:
    """The true graphs of rendered films are whole: what is false in them is false of the film."""
    spec = read_spec(builtin("step"))
    for unit in _wrong(asked(range(6), spec), spec):
        values = {(a.owner, a.kind): a.value for a in unit.attributes}
        labels: dict[str, list[str]] = {}
        for o in unit.objects:
            labels.setdefault(o.label, []).append(o.id)
        paths = {p.id: p for p in unit.paths}
        for s in unit.samples:
            for w in s.wrong:
                step = [x for x in paths[s.path].told if x.edge != "ref"][w.step - 1]
                if w.what == "value" and step.edge == "attr":
                    kind = next(a.kind for a in unit.attributes if a.id == step.far)
                    assert values[step.near, kind] != w.instead
                if w.what == "object" and step.edge == "attr":
                    kind = next(a.kind for a in unit.attributes if a.id == step.far)
                    there = [o for o in labels[w.instead] if t.clip_of(o) == t.clip_of(step.near)]
                    assert all(values.get((o, kind)) != step.word for o in there)
                if w.what in ("relation", "order"):
                    ends = (step.near, step.far) if w.what == "relation" else (step.far, step.near)
                    said = {(r.subject, r.object, r.predicate) for r in unit.relations}
                    assert (*ends, w.instead or step.word) not in said


# --- preferences -------------------------------------------------------------------------


@pytest.fixture
def preferring(tmp_path: Path, film: Path) -> Path:
    row = {
        "id": "film/q0", "video": film.name, "question": "What is the man behind?", "answer": "desk",
        "options": ["chair", "desk"], "steps": 1, "set": "train",
        "rationale": [{"question": "q", "answer": "desk", "text": "The man is behind the desk."}],
        "wrong_steps": [{"step": 1, "what": "object", "text": "The man is behind the chair.",
                         "answer": "chair"},
                        {"step": 1, "what": "relation", "text": "The man is on the desk.", "answer": "desk"}],
    }  # fmt: skip
    plain = {k: v for k, v in row.items() if k != "wrong_steps"} | {"id": "film/q1"}
    (tmp_path / "qra.jsonl").write_text("\n".join(map(json.dumps, (row, plain))), "utf-8")
    return tmp_path


def test_preferences_differ_in_one_step(preferring: Path, film: Path, tmp_path: Path) -> None:
    data = load_dataset(preferring / "qra.jsonl", [film], 2)
    export(data, "dpo", tmp_path / "dpo", Templates("default"), "apart")
    import pyarrow.parquet as pq

    rows = pq.read_table(tmp_path / "dpo" / "train.parquet").to_pylist()
    assert [(r["step"], r["what"]) for r in rows] == [(1, "object"), (1, "relation")]
    assert {r["chosen"][0]["content"] for r in rows} == {
        "The man is behind the desk. Answer: B. desk"
    }
    assert [r["rejected"][0]["content"] for r in rows] == [
        "The man is behind the chair. Answer: A. chair", "The man is on the desk. Answer: B. desk",
    ]  # fmt: skip
    assert all("Reason step by step" in r["prompt"][0]["content"] for r in rows)
    assert all(len(r["images"]) == 2 for r in rows)
    export(data, "ms-swift-dpo", tmp_path / "swift", Templates("default"), "block")
    lines = [
        json.loads(x) for x in (tmp_path / "swift" / "train.jsonl").read_text("utf-8").splitlines()
    ]
    assert (
        lines[0]["rejected_response"] == "<think>\nThe man is behind the chair.\n</think>\nA. chair"
    )
    assert (
        lines[0]["messages"][1]["content"]
        == "<think>\nThe man is behind the desk.\n</think>\nB. desk"
    )
    assert lines[0]["messages"][0]["content"].startswith("<video>") and len(lines[0]["videos"]) == 1


def test_without_wrong_steps_there_is_nothing_to_prefer(
    preferring: Path, film: Path, tmp_path: Path
) -> None:
    data = load_dataset(preferring / "qra.jsonl", [film], 2)
    data.samples = [s for s in data.samples if not s.wrong_steps]
    with pytest.raises(StepcError) as error:
        export(data, "dpo", tmp_path / "dpo", Templates("default"), "apart")
    assert (
        error.value.diagnostics[0].code == "T003"
        and not (tmp_path / "dpo" / "train.parquet").exists()
    )


def test_a_dpo_trainer_takes_the_rows(preferring: Path, film: Path, tmp_path: Path) -> None:
    """`datasets` opens the file as TRL does: pictures decoded, chosen and rejected as conversations."""
    data = load_dataset(preferring / "qra.jsonl", [film], 2)
    export(data, "dpo", tmp_path / "dpo", Templates("default"), "apart")
    datasets = pytest.importorskip("datasets")
    rows = datasets.load_dataset("parquet", data_files=str(tmp_path / "dpo" / "train.parquet"), split="train",
                                 cache_dir=str(tmp_path / "cache"))  # fmt: skip
    assert rows[0]["images"][0].size[0] > 0 and rows[0]["chosen"][0]["role"] == "assistant"


def test_a_random_reasoning_is_judged_without_error() -> None:
    rng = random.Random(0)
    words = ["the", "man", "not", "behind", "table", ".", "it", "wooden", "2.0", "\n", "，", "不"]
    for _ in range(300):
        made = verdicts(" ".join(rng.choices(words, k=rng.randint(0, 40))), FACTS)
        assert made.right.isdisjoint(made.wrong) and 0 <= made.score <= 1


def test_a_sample_without_an_answer_of_its_own_keeps_the_letter() -> None:
    sample = TrainingSample(id="q", video="v", question="?", answer="b", options=("a", "b"))
    assert sample.reply == "B. b"


def test_one_sentence_gets_one_step_wrong() -> None:
    """It may be false of two steps; the one that is stated elsewhere is not lost by it."""

    def fact(step: int, of: str, value: str, true: bool = True) -> dict[str, Any]:
        return {"step": step, "true": true, "subject": [of], "object": [value]}

    facts = [fact(1, "cross", "large"), fact(2, "diamond", "small"), fact(3, "ring", "red"),
             fact(1, "diamond", "large", False), fact(2, "diamond", "large", False)]  # fmt: skip
    made = verdicts("The diamond is large. The diamond is small. The ring is red.", facts)
    assert (made.right, made.wrong) == ({2, 3}, {1}) and made.score == pytest.approx(1 / 3)
    both = verdicts("The diamond is large. The ring is red.", facts)
    assert (both.right, both.wrong) == ({3}, {1})


def test_a_longer_relation_does_not_say_the_shorter_one() -> None:
    true = {
        "step": 1,
        "true": True,
        "subject": ["man"],
        "relation": ["in front of"],
        "object": ["car"],
    }
    false = {**true, "true": False, "relation": ["in"]}
    made = verdicts("The man is in front of the car.", [true, false])
    assert (made.right, made.wrong) == ({1}, set())
    assert verdicts("The man is in the car.", [true, false]).wrong == {1}
