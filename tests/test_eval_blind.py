"""What needs no video: blank pictures, texts and commonest answers beside a result, pairs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from speaking import Speaker
from test_eval import NO, YES, _film, _speaking, _write

from stepc.eval.blind import LEAST, guesses
from stepc.eval.records import EvalResult, EvalSettings, load_result, read_records
from stepc.eval.run import evaluate
from stepc.eval.tables import pairs, sound, summary, text, without_video
from stepc.grading.items import Item
from stepc.ir.types import Frame
from stepc.model.client import Call, ModelClient
from stepc.model.templates import Templates
from stepc.reporter import Reporter
from stepc.video.decode import GREY, Pictures, blank
from stepc.video.probe import probe


def _looking(replies: dict[str, str], otherwise: str) -> Callable[[Pictures], ModelClient]:
    """A model that answers from pictures that are not grey, and else says always the same."""

    def made(pictures: Pictures) -> ModelClient:
        def say(prompt: Call, seed: int) -> str:
            grey = all(np.ptp(pictures.at(f)) == 0 for f in prompt.frames)
            fitting = (reply for question, reply in replies.items() if question in prompt.text)
            return otherwise if grey else next(fitting)

        return ModelClient(Speaker(say), Templates("default"), pictures)

    return made


def _quiz(folder: Path, film: Path) -> dict[str, str]:
    """Six questions about two films; two of them are a pair. Returns the answers by question."""
    answers = {"thing 0": "red", "thing 1": "blue", "thing 2": "red"}
    rows: list[dict[str, Any]] = []
    for name in ("a.mp4", "b.mp4"):
        for i, (thing, answer) in enumerate(answers.items()):
            rows.append({"id": f"{name}/{i}", "video": name, "question": f"What color is {thing}?",
                         "answer": answer, "steps": 1 + i, "rationale": []})  # fmt: skip
    rows[0]["pair"], rows[4]["pair"] = "b.mp4/1", "a.mp4/0"
    rows[1]["pair"] = "not in this file"
    _write(folder, "qra.jsonl", "\n".join(map(json.dumps, rows)))
    _film(film, folder, "a.mp4", "b.mp4")
    return answers


def _evaluated(
    folder: Path, model: Callable[[Pictures], ModelClient], *judges: Any, **more: Any
) -> EvalResult:
    settings = EvalSettings("world", frames=2, **more)
    return evaluate(settings, [folder], folder / "result", model, judges, reporter=Reporter())


def test_a_model_that_looks_gains_by_looking(tmp_path: Path, film: Path) -> None:
    answers = _quiz(tmp_path, film)
    made = _evaluated(tmp_path, _looking(answers, "red"))
    assert [r.right for r in made.records] == [True] * 6
    assert [r.blank_reply for r in made.records] == ["red"] * 6
    assert [r.blank for r in made.records] == [True, False, True] * 2
    figures = without_video(made.records)
    assert figures["blank"].value == 4 / 6 and figures["gain"].value == 2 / 6
    assert math.isnan(figures["text"].value)  # too few questions
    assert pairs(made.records) == (1, 1.0, 0.0)
    told = summary(made)["all"]
    assert told["without video"].keys() == {"blank", "gain"}
    assert told["pairs"] == {"count": 1, "both right": 1.0, "both right, blank": 0.0}
    shown = text(made)
    assert "1 minimal pairs: both answers right in 100.0% (0.0% from blank pictures)" in shown
    assert "66.7" in shown and "blank, the model from blank pictures; gain, sound" in shown
    again = load_result(tmp_path / "result")
    assert [(r.blank, r.pair) for r in again.records] == [(r.blank, r.pair) for r in made.records]


def test_a_model_that_does_not_look_gains_nothing(tmp_path: Path, film: Path) -> None:
    _quiz(tmp_path, film)
    made = _evaluated(tmp_path, _speaking({"color": "red"}))
    assert sound(made.records).value == 4 / 6
    assert without_video(made.records)["gain"].value == 0
    assert pairs(made.records) == (1, 0.0, 0.0)


def test_blank_pictures_are_asked_for_later_and_not_twice(tmp_path: Path, film: Path) -> None:
    answers = _quiz(tmp_path, film)
    first = _evaluated(tmp_path, _looking(answers, "red"), blank=False)
    assert {r.blank for r in first.records} == {None} and "gain" not in text(first)
    asked: list[int] = []

    def counted(pictures: Pictures) -> ModelClient:
        def say(prompt: Call, seed: int) -> str:
            asked.append(len(prompt.frames))
            return "blue"

        return ModelClient(Speaker(say), Templates("default"), pictures)

    second = _evaluated(tmp_path, counted)
    assert asked == [2, 2, 2]  # one film is like the other when it is grey
    assert [r.right for r in second.records] == [True] * 6
    assert [r.blank for r in second.records] == [False, True, False] * 2
    _evaluated(tmp_path, counted)
    assert len(asked) == 3
    assert len(read_records(tmp_path / "result")) == 6


def test_a_judge_grades_answers_to_blank_pictures(tmp_path: Path, film: Path) -> None:
    rows = [{"video_name": "a", "question": f"What is there {i}", "question_id": f"q{i}", "answer": "dog",
             "type": "3"} for i in range(2)]  # fmt: skip
    _write(
        tmp_path,
        "test_q.json",
        [{k: r[k] for k in ("video_name", "question", "question_id")} for r in rows],
    )
    _write(
        tmp_path,
        "test_a.json",
        [{k: r[k] for k in ("question_id", "answer", "type")} for r in rows],
    )
    _film(film, tmp_path, "v_a.mp4")
    judge = _speaking({"a puppy": YES, "a cat": NO})
    settings = EvalSettings("activitynet-qa", frames=2)
    model = _looking({"there 0": "a puppy", "there 1": "a cat"}, "a puppy")
    made = evaluate(settings, [tmp_path], tmp_path / "result", model, [judge], reporter=Reporter())
    assert [r.right for r in made.records] == [True, False]
    assert [r.exact for r in made.records] == [False, False]
    assert [r.blank for r in made.records] == [True, True]
    assert {r.blank_judge for r in made.records} == {"speaker@1"}


def _item(video: int, number: int, answer: str, question: str = "What color is the cup?") -> Item:
    return Item(f"{video}/{number}", f"v{video}", question, (answer,), "match")


def test_text_and_commonest_answers_guess_what_they_can() -> None:
    told = [_item(v, 0, "red") for v in range(10)]
    told += [_item(v, 1, "wood", "What is the box made of?") for v in range(10)]
    made = guesses(told, 0)
    assert len(made) == 20 and all(text and common for text, common in made.values())
    mixed = [_item(v, 0, ("red", "blue")[v % 2]) for v in range(40)]
    share = sum(text for text, _ in guesses(mixed, 0).values()) / 40
    assert share < 0.7
    assert guesses(told[: LEAST - 1], 0) == {}  # too few
    assert guesses([replace(item, video="v", sha256="ab") for item in told], 0) == {}  # one video
    assert guesses([replace(item, rule="summary") for item in told], 0) == {}


def test_words_that_a_question_is_about_are_no_part_of_its_skeleton() -> None:
    """The cup is red and the ball is blue: the commonest answer tells neither, the text tells both."""
    items = []
    for v in range(20):
        for n, (thing, answer) in enumerate((("cup", "red"), ("ball", "blue"))):
            item = _item(v, n, answer, f"What color is the {thing}?")
            items.append(replace(item, skeleton="what color is the _?"))
    made = guesses(items, 0)
    assert all(text for text, _ in made.values())
    assert sum(common for _, common in made.values()) == 20


def test_a_blank_picture_has_the_size_of_the_video(film: Path) -> None:
    pictures = Pictures()
    source = probe(film)
    pictures.add(source)
    frame = Frame(video=source.video.sha256, at=0)
    assert np.ptp(pictures.at(frame)) > 0
    grey = pictures.at(blank(source.video, 0))
    assert grey.shape == (source.video.height, source.video.width, 3) and grey.dtype == np.uint8
    assert (grey == GREY).all()
