"""Benchmarks: their files as they are, their rules by hand, judges that fail, results side by side."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hearing import Heard
from speaking import Speaker
from test_golden import footage
from test_server import Proxy, free_port, llama  # noqa: F401  (a fixture)

from stepc.diagnostics import Diagnostic, StepcError
from stepc.eval.benchmarks import BENCHMARKS, title
from stepc.eval.benchmarks.mlvu import MLVU
from stepc.eval.benchmarks.mvbench import MVBENCH
from stepc.eval.comparison import compare, difference
from stepc.eval.records import EvalResult, EvalSettings, Record, load_result, read_records
from stepc.eval.run import _shown, evaluate
from stepc.eval.tables import (
    COLUMNS,
    figure,
    headline,
    interval,
    of_groups,
    official,
    paper,
    score,
    sentences,
    sound,
    summary,
    table,
    text,
)
from stepc.grading.items import Item, Reading, VideoIndex
from stepc.grading.judge import agreement, judged
from stepc.grading.reward import words
from stepc.grading.rules import RULES, chosen
from stepc.model.client import Call, ModelClient
from stepc.model.load import ModelConfig, load
from stepc.model.reply import last_json
from stepc.model.server_options import ServerOptions
from stepc.model.templates import Templates
from stepc.reporter import Reporter
from stepc.video.decode import Pictures
from stepc.video.probe import probe

Replies = dict[str, str]
YES, NO = '{"pred": "yes", "score": 4.8}', "{'pred': 'no', 'score': 1}"


def _speaking(replies: Replies) -> Callable[[Pictures], ModelClient]:
    """A model that says what is told of the question in the prompt, and nothing else."""

    def say(prompt: Call, seed: int) -> str:
        fitting = [q for q in replies if q in prompt.text]
        return replies[max(fitting, key=len)] if fitting else ""

    return lambda pictures: ModelClient(Speaker(say), Templates("default"), pictures)


def _write(folder: Path, name: str, data: Any) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data), "utf-8")


def _film(film: Path, folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(film, path)


def _run(
    name: str,
    folder: Path,
    replies: Replies,
    *judges: Callable[[Pictures], ModelClient],
    out: str = "result",
    **more: Any,
) -> tuple[EvalResult, list[Diagnostic]]:
    told: list[Diagnostic] = []
    settings = EvalSettings(name, frames=2, **more)
    made = evaluate(settings, [folder], folder / out, _speaking(replies), judges,
                    reporter=Heard(told.append))  # fmt: skip
    return made, told


# --- each benchmark's files, a hand count of its figure -----------------------------------


def _agqa(folder: Path, film: Path) -> None:
    def row(question: str, answer: str, steps: int, structure: str) -> dict[str, Any]:
        return {
            "question": question, "answer": answer, "video_id": "YSKX3", "global": ["exists", "obj-rel"],
            "local": "x", "ans_type": "binary", "steps": steps, "semantic": "object",
            "structural": structure, "novel_comp": 0, "more_steps": 0, "program": "", "sg_grounding": {},
        }  # fmt: skip

    rows = {
        "YSKX3-8": row("Were they holding a blanket?", "no", 5, "verify"),
        "YSKX3-9": row("What did they hold?", "pillow", 1, "query"),
        "YSKX3-1": row("What came first?", "a door", 2, "query"),
        "bad-1": {"question": "No video id?", "answer": "no", "global": [], "steps": 1},
        "bad-2": row("No steps?", "no", 0, "verify"),
    }
    _write(folder, "AGQA_balanced/test_balanced.txt", rows)
    _film(film, folder, "Charades/YSKX3.mp4")


def test_agqa_by_its_own_step_counts(tmp_path: Path, film: Path) -> None:
    _agqa(tmp_path, film)
    made, told = _run(
        "agqa", tmp_path, {"holding": "No.", "did they hold": "cup", "first": "the door"}
    )
    assert [r.right for r in made.records] == [True, False, True] and made.missing["all"] == 2
    assert [d.code for d in told] == ["E002"] * 2 and "`structural`" in told[0].message
    groups = of_groups(made.records)
    assert {k: official(v).value for k, v in groups["steps"].items()} == {"1": 0, "2": 1, "3": 1}
    assert groups["answers"].keys() == {"binary", "open"} and groups["type"]["exists"]
    assert headline(made) == {"accuracy": pytest.approx(200 / 3)}


def _star(folder: Path, film: Path) -> None:
    def row(id: str, question: str, right: int, **more: Any) -> dict[str, Any]:
        choices = [{"choice_id": i, "choice": f"The {w}.", "choice_program": []}
                   for i, w in enumerate(("closet", "window", "laptop", "door"))]  # fmt: skip
        return {
            "question_id": id, "question": question, "video_id": "WBS4I", "start": 0.0, "end": 1.0,
            "answer": choices[right]["choice"], "question_program": [], "choices": choices,
            "situations": {}, **more,
        }  # fmt: skip

    rows = [
        row("Interaction_T1_3772", "Which object was closed?", 0),
        row("Interaction_T4_1", "What did they do while under it?", 1),
        row("Sequence_T5_7", "What came after?", 2),
        row("Prediction_T9_7", "An unknown template?", 2),
        row("Prediction_T1_7", "From end to start?", 2, start=5.0, end=2.0),
        row("Feasibility_T1_7", "No such answer?", 2, answer="The moon."),
        row("Sequence_T5_7", "The same id?", 2),
    ]
    _write(folder, "STAR_val.json", rows)
    _film(film, folder, "WBS4I.mp4")


def test_star_open_and_as_a_choice(tmp_path: Path, film: Path) -> None:
    _star(tmp_path, film)
    replies = {"closed": "closet", "under": "B. The window.", "after": "I do not know."}
    made, told = _run("star", tmp_path, replies)
    assert [r.right for r in made.records] == [True, True, False]
    assert [r.steps for r in made.records] == [1, 3, 3] and [d.code for d in told] == ["E002"] * 4
    choice, _ = _run("star-choice", tmp_path, replies, out="choice")
    assert [r.right for r in choice.records] == [True, True, None]
    assert headline(choice) == {"accuracy": 50.0}  # the mean of Interaction 100 and Sequence 0
    assert sound(choice.records).unread == 1 and "unread" in text(choice)


def test_only_a_part_of_a_video_is_shown(tmp_path: Path, film: Path) -> None:
    _star(tmp_path, film)
    shown: list[tuple[int, ...]] = []

    def say(prompt: Call, seed: int) -> str:
        shown.append(tuple(f.at for f in prompt.frames))
        return "x"

    evaluate(EvalSettings("star", frames=4), [tmp_path], tmp_path / "o",
             lambda p: ModelClient(Speaker(say), Templates("default"), p), reporter=Reporter())  # fmt: skip
    assert probe(film).video.duration > 2000
    assert all(len(times) == 4 and max(times) < 1000 for times in shown)


def test_open_questions_of_three_datasets(tmp_path: Path, film: Path) -> None:
    _write(tmp_path, "msvd/test_qa.json", [
        {"answer": "guitar", "id": 1, "question": "what is a man playing?", "video_id": 1301},
        {"answer": "man", "id": 2, "question": "who is playing?", "video_id": 1302},
        {"answer": "", "id": 3, "question": "who?", "video_id": 1301},
    ])  # fmt: skip
    _write(tmp_path, "msvd/youtube_mapping.txt", "abc_1_2 vid1301\nodd line here\n")
    _film(film, tmp_path, "msvd/abc_1_2.avi", "msvd/vid1302.mp4")
    made, told = _run("msvd-qa", tmp_path / "msvd", {"what is": "a guitar", "who is": "woman"})
    assert [r.right for r in made.records] == [True, False] and "empty" in told[0].message
    assert set(of_groups(made.records)["type"]) == {"what", "who"}

    row = {"answer": "car", "category_id": 1, "id": 5, "question": "what moves?", "video_id": 7010}
    _write(tmp_path, "msrvtt/test_qa.json", [row])
    _film(film, tmp_path, "msrvtt/videos/video7010.mp4")
    made, told = _run("msrvtt-qa", tmp_path / "msrvtt", {"what moves": "Car"})
    assert headline(made) == {"accuracy": 100.0} and not told

    pair = tmp_path / "pair"  # as Video-ChatGPT's scripts take them
    _write(
        pair,
        "test_q.json",
        [{"video_name": "video7010", "question": "what moves?", "question_id": "v_1"}],
    )
    _write(pair, "test_a.json", [{"answer": "car", "question_id": "v_1"}])
    _film(film, pair, "video7010.mp4")
    assert _run("msrvtt-qa", pair, {"what": "car"})[0].records[0].right

    net = tmp_path / "net"
    _write(net, "test_q.json", [
        {"video_name": "1QIUV7WYKXg", "question": "is it red", "question_id": "v_1QIUV7WYKXg_3"},
        {"video_name": "1QIUV7WYKXg", "question": "where", "question_id": "v_1QIUV7WYKXg_4"},
    ])  # fmt: skip
    _write(
        net,
        "test_a.json",
        [{"answer": "yes", "type": 3, "question_id": "v_1QIUV7WYKXg_3"}, {"type": 1}],
    )
    _film(film, net, "v_1QIUV7WYKXg.mp4")
    made, told = _run("activitynet-qa", net, {"is it": "yes"})
    assert [r.groups for r in made.records] == [[("type", "yes/no")]] and len(told) == 2


def test_mvbench_finds_its_videos_by_folder_and_keeps_its_lenient_rule(
    tmp_path: Path, film: Path
) -> None:
    def row(question: str, answer: str, **more: Any) -> dict[str, Any]:
        return {"video": "video_1.mp4", "question": question, "candidates": ["red", "blue"],
                "answer": answer, **more}  # fmt: skip

    _write(
        tmp_path,
        "json/action_count.json",
        [row("one?", "red"), row("two?", "blue"), row("three?", "red")],
    )
    _write(tmp_path, "json/moving_count.json", [row("four?", "blue"), row("five?", "green")])
    _write(
        tmp_path,
        "json/episodic_reasoning.json",
        [row("six?", "red", video="clip_7", start=0, end=2)],
    )
    _film(film, tmp_path, "clevrer/video_validation/video_1.mp4", "perception/videos/video_1.mp4")
    frames = tmp_path / "tvqa/frames_fps3_hq/clip_7"
    frames.mkdir(parents=True)
    from PIL import Image

    for i in range(1, 10):
        Image.new("RGB", (64, 48), (20 * i, 0, 0)).save(frames / f"{i:05}.jpg")
    replies = {"one?": "(A) red", "two?": "(", "three?": "It may be red or blue", "four?": "Blue.",
               "six?": "A. red"}  # fmt: skip
    made, told = _run("mvbench", tmp_path, replies)
    rights = {r.question: (r.right, r.official) for r in made.records}
    assert rights["one?"] == (True, True) and rights["two?"] == (None, True)
    assert rights["three?"] == (None, False) and rights["four?"] == (True, False)
    assert rights["six?"] == (True, True)
    assert (
        headline(made)["accuracy"] == pytest.approx(60) and headline(made, sound)["accuracy"] == 60
    )
    assert sum("file not found" in d.message for d in told) == len(MVBENCH) - 3
    assert any("not one of the options" in d.message for d in told)
    videos = VideoIndex([tmp_path])
    assert (
        videos.find("clevrer/video_validation/video_1.mp4")
        == tmp_path / "clevrer/video_validation/video_1.mp4"
    )
    assert videos.find("video_1.mp4") is None and videos.find("video_2.mp4") is None
    (tmp_path / "parts").mkdir()
    part = tmp_path / "parts" / "BBB_21.4_37.mp4"
    part.write_bytes(film.read_bytes())
    videos = VideoIndex([tmp_path])
    assert videos.find("x/BBB.mp4") is None and videos.cut("x/BBB.mp4", (21.4, 37.0)) == part
    item = Item("i", "x/BBB.mp4", "q?", ("a",), "match", span=(21.4, 37.0))
    shown = _shown(Reading([item], []), videos, 2, Pictures(), tmp_path)
    assert len(shown["i"]) == 2, "the part is not cut again"


def test_picture_folders_of_one_name_have_films_of_their_own(tmp_path: Path) -> None:
    from PIL import Image

    from stepc.eval.run import _film as encoded

    folders = [tmp_path / name / "clip" for name in ("s1", "s2")]
    for folder, red in zip(folders, (20, 200), strict=True):
        folder.mkdir(parents=True)
        Image.new("RGB", (64, 48), (red, 0, 0)).save(folder / "1.png")
    one, other = (encoded(folder, tmp_path) for folder in folders)
    assert one != other and one.read_bytes() != other.read_bytes()
    assert encoded(folders[0], tmp_path) == one
    Image.new("RGB", (64, 48), (0, 200, 0)).save(folders[0] / "1.png")
    assert encoded(folders[0], tmp_path) != one, "the pictures have changed"


def test_tempcompass_in_its_four_forms(tmp_path: Path, film: Path) -> None:
    choice = "What happens?\nA. red\nB. blue"
    match = "Which one fits?\nCaption A: it is red\nCaption B: it is blue"

    def asked(form: str, dimension: str, **answers: str) -> None:
        rows = [{"question": q, "answer": a} for q, a in answers.items()]
        _write(tmp_path, f"questions/{form}.json", {"1": {dimension: rows}})

    asked("multi-choice", "action", **{choice: "A. red", "Q2?\nA. x\nB. y": "B. y"})
    asked("yes_no", "speed", **{"Is it fast?": "no", "Is it slow?": "yes"})
    asked("caption_matching", "order", **{match: "Caption B: it is blue"})
    asked("captioning", "action", **{"Describe it.": "it is red"})
    _film(film, tmp_path, "videos/1.mp4")
    replies = {"What happens?": "A. red", "Q2?": "I think y", "fast": "Nothing is", "slow": "it is",
               "Which one": "Caption B.", "Describe it.": "a red thing"}  # fmt: skip
    made, told = _run("tempcompass", tmp_path, replies)
    by = {r.question: (r.right, r.official) for r in made.records}
    assert by["What happens?"] == (True, True) and by["Q2?"] == (True, None)
    assert by["Is it fast?"] == (None, True) and by["Is it slow?"] == (None, None)
    assert by["Which one fits?"] == (True, True) and by["Describe it."] == (None, None) and not told
    judge = _speaking({"a red thing": '{"answer": "A. red"}', "I think y": YES, "it is": NO})
    made, _ = _run("tempcompass", tmp_path, replies, judge)
    by = {r.question: (r.right, r.official) for r in made.records}
    assert by["Describe it."] == (True, True) and by["Q2?"] == (True, True)
    assert by["Is it slow?"] == (None, False)
    forms = {k: official(v).value for k, v in of_groups(made.records)["form"].items()}
    assert forms == {"multi-choice": 1, "yes_no": 0.5, "caption_matching": 1, "captioning": 1}


def test_moviechat_in_both_modes(tmp_path: Path, film: Path) -> None:
    _write(tmp_path, "gt/AWA-1.json", {
        "info": {"video_path": "AWA-1.mp4", "fps": 24, "num_frame": 90, "class": "movie"},
        "caption": "x",
        "global": [{"question": "Is it a film?", "answer": "yes"}],
        "breakpoint": [{"time": 24, "question": "What now?", "answer": "rain"},
                       {"time": 0, "question": "At once?", "answer": "no"}],
    })  # fmt: skip
    _write(tmp_path, "other.json", {"info": 3})
    _film(film, tmp_path, "movies/AWA-1.mp4")
    made, told = _run("moviechat", tmp_path, {"film": "yes", "now": "rain"})
    modes = {k: sound(v).value for k, v in of_groups(made.records)["mode"].items()}
    assert modes == {"breakpoint": 1, "global": 1} and len(told) == 1
    items = BENCHMARKS.get("moviechat").read(tmp_path).items
    assert [i.span for i in items] == [None, (0.0, 1.0)]


def test_mlvu_means_of_tasks_and_of_scores(tmp_path: Path, film: Path) -> None:
    def row(question: str, answer: str) -> dict[str, Any]:
        return {"video": "ego_1.mp4", "duration": 5, "question": question, "candidates": ["red", "blue"],
                "answer": answer, "question_type": "x"}  # fmt: skip

    _write(tmp_path, "json/3_ego.json", [row("e1?", "red"), row("e2?", "red"), row("e3?", "blue")])
    _write(tmp_path, "json/4_count.json", [row("c1?", "red")])
    _write(tmp_path, "json/8_sub_scene.json", [
        {"video": "ego_1.mp4", "duration": 5, "question": "Tell the scene.", "answer": "long",
         "question_type": "subPlot", "scoring_points": ["a man", "a dog"]}])  # fmt: skip
    _write(tmp_path, "json/9_summary.json", [
        {"video": "ego_1.mp4", "duration": 5, "question": "Sum it up.", "answer": "all of it",
         "question_type": "summary"}])  # fmt: skip
    _film(film, tmp_path, "video/3_ego/ego_1.mp4")
    replies = {
        "e1?": "(A) red",
        "e2?": "A",
        "e3?": "A",
        "c1?": "(A",
        "scene": "a man",
        "Sum": "nothing",
    }
    judge = _speaking(
        {"a dog": '{"first": 3, "second": 4}', "all of it": "{'first': 1, 'second': 2.5}"}
    )
    made, told = _run("mlvu", tmp_path, replies, judge)
    assert headline(made) == {"M-Avg": pytest.approx((200 / 3 + 100) / 2), "G-Avg": 5.25}
    assert len(told) == len(MLVU) - 4
    assert score(made.records).count == 2 and sound(made.records).count == 4


def _small(name: str) -> tuple[dict[str, Any], str]:
    """Each benchmark's files with one question or two, and the name of the video."""
    choice = {"question": "What is it?", "candidates": ["red", "blue"], "answer": "red"}
    star = {"question_id": "Interaction_T1_1", "question": "Which object?", "video_id": "v", "start": 0,
            "end": 1, "answer": "The cup.", "question_program": [], "situations": {},
            "choices": [{"choice_id": 0, "choice": "The cup."},
                        {"choice_id": 1, "choice": "A door."}]}  # fmt: skip
    pair = {"test_q.json": [{"video_name": "v", "question": "what is it?", "question_id": "1"}],
            "test_a.json": [{"answer": "circle", "type": 5, "question_id": "1"}]}  # fmt: skip
    agqa = {"question": "What is it?", "answer": "circle", "video_id": "v", "global": "exists", "steps": 1,
            "structural": "query", "semantic": "object", "ans_type": "open"}  # fmt: skip
    asked = {"v": {"action": [{"question": "Is it red?", "answer": "no"}]}}
    film = {"info": {"video_path": "v.mp4", "fps": 24}, "global": [{"question": "Red?", "answer": "no"}],
            "breakpoint": [{"time": 30, "question": "Now?", "answer": "no"}]}  # fmt: skip
    return {
        "agqa": ({"test_balanced.txt": {"a": agqa}}, "v.mp4"),
        "star": ({"STAR_val.json": [star]}, "v.mp4"),
        "star-choice": ({"STAR_val.json": [star]}, "v.mp4"),
        "msvd-qa": (pair, "v.avi"),
        "msrvtt-qa": (pair, "v.mp4"),
        "activitynet-qa": (pair, "v_v.mkv"),
        "mvbench": (
            {"json/action_count.json": [{**choice, "video": "v.mp4"}]},
            "perception/videos/v.mp4",
        ),
        "tempcompass": ({"questions/yes_no.json": asked}, "v.mp4"),
        "moviechat": ({"1.json": film}, "v.mp4"),
        "mlvu": ({"json/4_count.json": [{**choice, "video": "v.mp4"}]}, "4_count/v.mp4"),
    }[name]  # type: ignore[return-value]


@pytest.mark.embedded
@pytest.mark.parametrize("name", sorted(set(BENCHMARKS.names()) - {"world"}))
def test_the_embedded_model_answers_every_benchmark_about_real_footage(
    name: str, tmp_path: Path
) -> None:
    files, video = _small(name)
    for file, data in files.items():
        _write(tmp_path, file, data)
    _film(footage("bikes.mp4"), tmp_path, video)
    told: list[Diagnostic] = []
    made = evaluate(
        EvalSettings(name, frames=2), [tmp_path], tmp_path / "out",
        lambda p: load(ModelConfig(), p), reporter=Heard(told.append),
    )  # fmt: skip
    assert len(made.records) == (2 if name == "moviechat" else 1) and made.model.startswith(
        "embedded@"
    )
    assert all(r.reply for r in made.records)  # it says something, in the words of its own world
    by_hand = {
        "judge": lambda r: words(r.reply) == words(r.answer),
        "yes_no": lambda r: r.reply.lower().startswith(r.answer),
        "choice": lambda r: "cup" in words(r.reply),
        "mvbench": lambda r: r.reply[0].lower() in "(a",
        "mlvu": lambda r: r.reply.split(")")[0] == "A",
    }
    counted = 100 * sum(by_hand[r.rule](r) for r in made.records) / len(made.records)
    figures = headline(made)
    assert figures["M-Avg" if name == "mlvu" else "accuracy"] == pytest.approx(counted)
    assert text(made) and summary(made)["all"]


@pytest.mark.embedded
def test_the_world_is_the_same_twice(tmp_path: Path) -> None:
    from stepc.lang.parse import builtin
    from stepc.world.films import make_films
    from stepc.world.questions import true_questions

    make_films(tmp_path / "films", 1, 5)
    true_questions(tmp_path / "films", tmp_path, (builtin("step"), "step.step", None), 0)
    told: list[Diagnostic] = []
    for out in ("one", "two"):
        evaluate(EvalSettings("world", "reasoned", 2), [tmp_path], tmp_path / out,
                 lambda p: load(ModelConfig(), p), reporter=Heard(told.append))  # fmt: skip
    one, two = (load_result(tmp_path / x) for x in ("one", "two"))
    assert one.records == two.records and one.model.startswith("embedded@")
    assert {d.code for d in told} <= {"M011"}  # it gives some rationales without an answer
    assert len(one.records) > 10 and set(of_groups(one.records)["steps"]) >= {"1", "2"}
    assert (tmp_path / "one/records.jsonl").read_bytes() == (
        tmp_path / "two/records.jsonl"
    ).read_bytes()
    assert all(r.steps_right is not None for r in one.records if r.rationale)
    assert (tmp_path / "one/records.parquet").exists()


def test_the_world_by_steps_and_sentences(tmp_path: Path, film: Path) -> None:
    colors = ("red", "blue", "green")
    rows = [
        {"id": f"q{i}", "video": "film.mp4", "question": f"Which color has thing {i}?", "steps": 1 + i % 3,
         "answer": colors[i % 3],
         "rationale": [{"text": "It stands there."}, {"text": f"So it is {colors[i % 3]}."}]}
        for i in range(6)
    ]  # fmt: skip
    rows[5] |= {"answers": ["green", "lime"]}
    rows.append({**rows[0], "id": "other", "sha256": "0" * 64})
    _write(tmp_path, "qra.jsonl", "\n".join(map(json.dumps, rows)))
    _film(film, tmp_path, "film.mp4")
    said = dict(enumerate(("A RED.", "blue", "red", "", "a blue one", "lime")))
    direct, told = _run("world", tmp_path, {f"thing {i}": text for i, text in said.items()})
    assert [bool(r.right) for r in direct.records] == [True, True, False, False, False, True]
    assert {n: sound(of).value for n, of in of_groups(direct.records)["steps"].items()} == {
        "1": 0.5, "2": 0.5, "3": 0.5
    }  # fmt: skip
    assert [d.code for d in told] == ["E003"] and "not the file" in told[0].message
    why = "it stands there . so it is red . answer : red"
    reasoned, _ = _run("world", tmp_path, {"thing": why}, out="reasoned", how="reasoned")
    assert [r.right for r in reasoned.records] == [True, False, False, True, False, False]
    assert [r.steps_right for r in reasoned.records] == [2, 1, 1, 2, 1, 1]
    assert sentences(reasoned.records) == pytest.approx(8 / 12) and "66.7%" in text(reasoned)


def test_an_interval_holds_the_mean() -> None:
    low, high = interval([1.0] * 60 + [0.0] * 40)
    assert low < 0.6 < high and 0.15 < high - low < 0.25


def test_every_benchmark_has_a_title_and_every_column_a_benchmark() -> None:
    assert all(title(name) for name in BENCHMARKS.names())
    assert {b for columns in COLUMNS.values() for b, _ in columns.values()} <= set(
        BENCHMARKS.names()
    )
    for row in paper():
        assert set(row["figures"]) == set(COLUMNS[row["table"]])


@pytest.mark.parametrize("name", sorted(set(BENCHMARKS.names()) - {"world"}))
def test_a_folder_without_a_benchmarks_files_is_said(name: str, tmp_path: Path) -> None:
    with pytest.raises(StepcError) as error:
        _run(name, tmp_path, {})
    assert error.value.diagnostics[0].code == "E001"
    for file in ("test_balanced.txt", "STAR_val.json", "test_qa.json", "test_q.json", "test_a.json",
                 "json/action_count.json", "questions/yes_no.json", "1_plotQA.json"):  # fmt: skip
        _write(tmp_path, file, '"a text"')
    with pytest.raises(StepcError) as error:
        _run(name, tmp_path, {})
    assert error.value.diagnostics[0].code == "E001"


def test_a_benchmark_may_be_json_lines(tmp_path: Path, film: Path) -> None:
    _film(film, tmp_path, "video1.mp4")
    row = {"question": "what moves?", "answer": "car", "video_id": 1}
    rows = [json.dumps({**row, "id": 1}), json.dumps({**row, "id": 2, "answer": "\u22123"})]
    (tmp_path / "test_qa.json").write_text("\n".join(rows) + "\n", "utf-8")
    made, told = _run("msrvtt-qa", tmp_path, {"what moves": "-3"})
    assert [r.right for r in made.records] == [False, True] and told == []
    (tmp_path / "test_qa.json").write_text("\n".join([rows[0], rows[1][:-5]]), "utf-8")
    with pytest.raises(StepcError, match="not valid JSON"):
        _run("msrvtt-qa", tmp_path, {}, out="other")


def test_a_benchmark_without_a_usable_question(tmp_path: Path, film: Path) -> None:
    """The reasons are reported before the error. NaN is neither a text nor an answer."""
    _film(film, tmp_path, "video1.mp4")
    row = {"id": 1, "question": "what moves?", "answer": "car", "video_id": 1}
    rows = [{**row, "question": " "}, {**row, "answer": math.nan}, {"id": 3}]
    (tmp_path / "test_qa.json").write_text(json.dumps(rows), "utf-8")
    told: list[Diagnostic] = []
    with pytest.raises(StepcError) as error:
        evaluate(EvalSettings("msrvtt-qa"), [tmp_path], tmp_path / "o", _speaking({}),
                 reporter=Heard(told.append))  # fmt: skip
    found = error.value.diagnostics[0]
    assert found.code == "E001" and "no question that can be used" in found.message
    assert [d.code for d in told] == ["E002"] * 3
    assert "is empty" in told[0].message and "is nan" in told[1].message
    assert "missing field" in told[2].message and not (tmp_path / "o" / "result.json").exists()


def test_no_video_at_all_and_no_folder(tmp_path: Path, film: Path) -> None:
    _star(tmp_path, film)
    (tmp_path / "WBS4I.mp4").write_bytes(b"no video")
    with pytest.raises(StepcError) as error:
        _run("star", tmp_path, {})
    assert error.value.diagnostics[0].code == "E003"
    with pytest.raises(StepcError) as error:
        _run("star", tmp_path / "nowhere", {})
    assert error.value.diagnostics[0].code == "E001"


# --- rules -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "taken"),
    [
        ("B", 1), ("(B)", 1), ("b", 1), ("B.", 1), ("B. a blue car", 1), ("The answer is B", 1),
        ("Answer: (B) because it is", 1), ("Best option: (B", 1), ("a blue car", 1), ("A blue car", 1),
        ("It is a blue car.", 1), ("B. a red car", None), ("a car", None), ("red car or blue car", None),
        ("", None), ("Z", None), ("A man walks", None), ("the tree", 2), ("none of them", None),
        ("the big tree", 3), ("C", 2), ("E", None),
    ],
)  # fmt: skip
def test_which_option_is_taken(reply: str, taken: int | None) -> None:
    assert chosen(reply, ("a red car", "a blue car", "tree", "big tree")) == taken


def test_the_official_rules_by_hand() -> None:
    def both(rule: str, reply: str, **more: Any) -> tuple[bool | None, bool | None]:
        item = Item("i", "v", "q", ("blue",), rule, ("red", "blue"), **more)
        verdict = RULES[rule](reply, item)
        return verdict.right, verdict.official

    assert both("mvbench", "B) blue") == (True, True)
    assert both("mvbench", "b") == (True, True)
    assert both("mvbench", "a") == (False, False)
    assert both("mlvu", "B) blue") == (True, True)
    assert both("mlvu", "B. blue") == (True, False)
    assert both("choice", "green") == (None, False)


# --- judges ------------------------------------------------------------------------------


def _judge_of(answers: list[str]) -> tuple[ModelClient, list[float]]:
    left, temperatures = list(answers), list[float]()

    def say(prompt: Call, seed: int) -> str:
        temperatures.append(prompt.temperature)
        return left.pop(0)

    return ModelClient(Speaker(say), Templates("default"), Pictures()), temperatures


def test_a_judge_is_read_strictly_and_asked_again() -> None:
    item = Item("i", "v", "q", ("blue",), "judge")
    wrong = ['{"pred": "maybe", "score": 3}', '{"pred": "yes", "score": 9}']
    asker, temperatures = _judge_of([*wrong, YES])
    assert vars(judged(asker, [(item, "a")])[0]) == {"right": True, "score": 4.8}
    assert temperatures == [0.0, 0.5, 1.0]
    asker, _ = _judge_of(["nonsense", "yes", "{"])
    assert vars(judged(asker, [(item, "a")])[0]) == {"right": None, "score": None}


def test_a_reply_as_python_writes_it_is_read_unless_it_has_no_order() -> None:
    assert last_json("So: {'pred': 'no', 'score': 1}.") == {"pred": "no", "score": 1}
    for reply in ("{'red', 'cup'}", "{'objects': {'red', 'cup'}}", "{oops}"):
        with pytest.raises(ValueError, match="no JSON"):
            last_json(reply)


def test_what_a_judge_does_not_say_changes_no_figure_silently(tmp_path: Path, film: Path) -> None:
    _agqa(tmp_path, film)
    replies = {"holding": "nope", "did they hold": "cushion", "first": "wall"}
    judge = _speaking({"nope": YES, "cushion": "I cannot say", "wall": NO})
    made, _ = _run("agqa", tmp_path, replies, judge)
    assert [r.official for r in made.records] == [True, None, False]
    assert [r.score for r in made.records] == [4.8, None, 1]
    assert official(made.records).value == 0.5 and official(made.records).unread == 1
    assert sound(made.records).unread == 1 and sound(made.records).count == 2
    assert headline(made) == {"accuracy": 50.0, "score": 2.5}  # 4.8 is cut to 4
    assert summary(made)["all"]["score"]["value"] == pytest.approx(2.9)
    assert "1 open answers excluded" in text(made) and "exact match, not" not in text(made)
    assert [r.exact for r in made.records] == [False] * 3
    again, _ = _run("agqa", tmp_path, replies, _speaking({"cushion": YES, "nope": NO}))
    assert [r.official for r in again.records] == [True, True, False]  # only the one left is asked


def test_a_judge_that_is_not_there_is_said_and_the_replies_are_kept(
    tmp_path: Path, film: Path
) -> None:
    _agqa(tmp_path, film)
    gone = ModelConfig(
        "openai:judge", server=ServerOptions(f"http://127.0.0.1:{free_port()}/v1", wait=0.01)
    )
    made, told = _run("agqa", tmp_path, {"holding": "no"}, lambda p: load(gone, p))
    assert "M008" in [d.code for d in told] and len(read_records(tmp_path / "result")) == 3
    assert "graded by exact match, not by a judge" in text(made)
    assert made.records[0].reply == "no" and made.records[0].judge == ""


def test_a_slow_judge_that_answers_nonsense_first(tmp_path: Path, film: Path) -> None:
    class Grader(Proxy):
        def stub(self, asked: dict[str, Any]) -> tuple[int, bytes]:
            said = YES if asked["temperature"] else "hm"
            choices = [{"index": 0, "message": {"role": "assistant", "content": said}}]
            return 200, json.dumps({"id": "x", "choices": choices}).encode()

    _agqa(tmp_path, film)
    proxy = Grader(None, ways=("503", "garbage", "empty", "drop"), often=0.4)
    choice = ModelConfig("openai:judge", server=ServerOptions(proxy.url, wait=0.001, attempts=30))
    made, told = _run("agqa", tmp_path, {}, lambda p: load(choice, p), lambda p: load(choice, p))
    assert [r.official for r in made.records] == [True] * 3 and made.judge == "openai:judge"
    assert [r.second for r in made.records] == [True] * 3
    assert "agrees with the second judge on 100.0% of 3" in text(made)
    assert sorted(d.code for d in told) == ["E002", "E002", "M011"]


def test_a_real_server_is_the_judge(tmp_path: Path, film: Path, llama: int) -> None:  # noqa: F811
    """llama.cpp with a tiny random model, held to the schema: what it says is read, whatever it is."""
    _agqa(tmp_path, film)
    server = ServerOptions(f"http://127.0.0.1:{llama}/v1", at_once=2, wait=0.01)
    made, _ = _run(
        "agqa",
        tmp_path,
        {"holding": "no"},
        lambda p: load(ModelConfig("openai:t", server=server), p),
    )
    said = [r for r in made.records if r.official is not None]
    assert all(r.score is not None and 0 <= r.score <= 5 and r.judge == "openai:t" for r in said)
    assert official(made.records).count + official(made.records).unread == 3


def test_agreement_of_two() -> None:
    same, kappa, count = agreement(
        [True, True, False, False, None], [True, False, False, False, True]
    )
    assert (same, count) == (0.75, 4) and kappa == pytest.approx(0.5)
    assert agreement([True], [True])[0] == 1 and math.isnan(agreement([None], [True])[0])


# --- results -----------------------------------------------------------------------------


def test_a_stopped_run_goes_on_and_another_is_refused(tmp_path: Path, film: Path) -> None:
    _agqa(tmp_path, film)
    first, _ = _run("agqa", tmp_path, {"holding": "no"}, limit=1)
    assert len(first.records) == 1
    with (tmp_path / "result/records.jsonl").open("ab") as file:
        file.write(b'{"id": "YSKX3-9", "cut sho')
    asked: list[str] = []

    def say(prompt: Call, seed: int) -> str:
        asked.append(prompt.text)
        return "x"

    evaluate(EvalSettings("agqa", frames=2), [tmp_path], tmp_path / "result",
             lambda p: ModelClient(Speaker(say), Templates("default"), p), reporter=Reporter())  # fmt: skip
    assert len(asked) == 4 and not any("holding" in a for a in asked)  # two of them without video
    assert [r.reply for r in read_records(tmp_path / "result")] == ["no", "x", "x"]
    few, _ = _run("agqa", tmp_path, {}, limit=1)  # nothing that is there is lost
    assert len(few.records) == 1 and len(read_records(tmp_path / "result")) == 3
    with pytest.raises(StepcError) as error:
        _run("agqa", tmp_path, {}, seed=3)
    assert (
        error.value.diagnostics[0].code == "E004" and "seed" in error.value.diagnostics[0].message
    )


def _result(name: str, rights: dict[str, bool], steps: int = 1) -> EvalResult:
    records = [
        Record(id, "v", "q", "a", "match", steps, right=r, official=r) for id, r in rights.items()
    ]
    return EvalResult(EvalSettings(name), "m", records)


def test_two_results_side_by_side() -> None:
    one = _result("agqa", {f"q{i}": i < 4 for i in range(10)})
    other = _result("agqa", {f"q{i}": i >= 2 for i in range(12)})
    d = difference(one.records, other.records[:10])
    assert (d.only_first, d.only_second, d.first, d.second) == (2, 6, 0.4, 0.8)
    assert (
        d.p == pytest.approx(0.2890625) and d.low <= 0.4 <= d.high
    )  # 2 of 8 tosses or fewer, twice
    shown = compare(one, other).text()
    assert "+40.0" in shown and "2 questions excluded" in shown and "steps 1" in shown
    for wrong in (_result("star", {"q1": True}), _result("agqa", {"z": True})):
        with pytest.raises(StepcError) as error:
            compare(one, wrong)
        assert error.value.diagnostics[0].code == "E006"


def test_what_a_judge_did_not_say_counts_in_no_comparison() -> None:
    """Neither as right nor as wrong; other judges, and kinds that are missing whole, are told."""

    def judged(rights: dict[str, bool | None], judge: str) -> EvalResult:
        records = [
            Record(id, "v", "q", "a", "judge", 1, reply="x", right=r) for id, r in rights.items()
        ]
        return EvalResult(EvalSettings("agqa"), "m", records, judge=judge)

    one = judged({"a": True, "b": None, "c": False}, "gpt")
    other = judged({"a": True, "b": False, "c": True}, "")
    other.missing = {"all": 2, "steps 3": 2}
    shown = compare(one, other).text()
    assert shown.splitlines()[1].split()[:4] == ["all", "2", "50.0", "100.0"]
    assert "1 questions excluded" in shown and "by gpt and by exact match" in shown
    gone = next(line for line in shown.splitlines() if line.startswith("steps 3"))
    assert gone.split()[2:] == ["0", "-", "-", "-", "-", "0,", "2"]
    assert "steps 3" in text(other) and "; 2 missing" in text(other)
    with pytest.raises(StepcError):
        compare(judged({"a": None}, "gpt"), other)


def test_the_papers_tables_with_rows_of_ours(tmp_path: Path) -> None:
    mine = _result("agqa", {"a": True, "b": False}, steps=4)
    made = table(2, [("mine", [mine])])
    rows = made.markdown().splitlines()
    assert rows[-1].startswith("| mine | - | - | 50.0 | 50.0 |") and len(rows) == 2 + 8 + 1
    assert r"| VideoChat2\* STEP (paper) | 58.5 | 36.7 | 30.0 | 39.2 | 47.7 |" in made.markdown()
    assert made.csv().splitlines()[-1] == "mine,,,50.000,50.000,,,,,"
    mine.missing = {"all": 7, "steps 3": 5}
    short = table(2, [("mine", [mine])])
    assert "| mine | - | - | 50.0 (5 missing) | 50.0 (7 missing) | - |" in short.markdown()
    assert short.csv().splitlines()[-1].endswith(",AGQA 3: 5; AGQA all: 7")
    row = compare(mine, _result("agqa", {"a": True}, steps=4)).text().splitlines()[1:]
    assert [line.split()[-2:] for line in row[:2]] == [["7,", "0"], ["5,", "0"]]
    assert (
        len(table(1, []).rows) == 12
        and len(table(3, []).rows) == 10
        and len(table(4, []).rows) == 5
    )
    made.plot(tmp_path / "t.svg")
    assert b"</svg>" in (tmp_path / "t.svg").read_bytes()
    assert figure([]).text() == "-" and figure([1.0, 0.0]).text().startswith("50.0 (")


def test_what_is_no_result_is_said(tmp_path: Path) -> None:
    with pytest.raises(StepcError) as error:
        load_result(tmp_path)
    assert error.value.diagnostics[0].code == "E005"
