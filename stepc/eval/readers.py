"""Readers that turn each benchmark's original files into questions.

A reader takes the folder with the files. Its docstring describes the expected format and names the source
of that description. A missing or invalid file raises StepcError (E001); malformed records are skipped and
reported (E002).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from stepc.dataset.read import read_samples
from stepc.diagnostics import Place, fail
from stepc.eval.items import Item, Reading, found, left_out, load_json, read_rows


def _text(value: Any, name: str) -> str:
    """Return a string or number as non-empty text. Raises ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"`{name}` is not text")
    if not str(value).strip():
        raise ValueError(f"`{name}` is empty")
    return str(value).strip()


def _span(row: dict[str, Any]) -> tuple[float, float]:
    start, end = float(row["start"]), float(row["end"])
    if not 0 <= start < end:
        raise ValueError(f"invalid time span {start:g} s to {end:g} s")
    return start, end


def _taken(answer: str, options: tuple[str, ...]) -> str:
    """Return `answer` if it is one of the options. Raises ValueError if it is not, or on duplicates."""
    if answer not in options:
        raise ValueError("the answer is not one of the options")
    if len(set(options)) != len(options):
        raise ValueError("duplicate options")
    return answer


def agqa(folder: Path) -> Reading:
    """AGQA 2.0, balanced (`test_balanced.txt` or `.json`): an object that maps question ids to records with
    `question`, `answer`, `video_id` (of Charades), `global` (reasoning types), `structural`,
    `semantic`, `ans_type`, `steps`. Source: the official AGQA_public_README.

    The released `ans_type` contains errors, so a question counts as open-ended if `structural` is `query`.
    The group of 3 steps holds questions with three or more, as in the paper's table 2.
    """
    data, file = load_json(folder, ["test_balanced.txt", "test_balanced.json"])
    reading = Reading()

    def make(pair: tuple[str, Any], number: int) -> Item:
        id, row = pair
        kinds = [row["global"]] if isinstance(row["global"], str) else row["global"]
        groups = [("type", str(k)) for k in kinds]
        groups += [("structure", str(row["structural"])), ("semantics", str(row["semantic"]))]
        groups.append(("answers", "open" if row["structural"] == "query" else "binary"))
        steps = int(row["steps"])
        if steps < 1:
            raise ValueError(f"`steps` is {steps}")
        answer = (_text(row["answer"], "answer"),)
        return Item(str(id), _text(row["video_id"], "video_id"), _text(row["question"], "question"),
                    answer, "judge", groups=tuple(groups), steps=steps)  # fmt: skip

    read_rows(list(_object(data, file).items()), file, make, reading)
    return reading


def _object(data: Any, file: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise fail("E001", f"expected an object, found {type(data).__name__}", Place(file))
    return data


def _star(folder: Path, rule: str) -> Reading:
    data, file = load_json(folder, ["STAR_val.json", "STAR_test.json"])
    steps = orjson.loads((files("stepc.eval") / "star_steps.json").read_bytes())["templates"]
    reading = Reading()

    def make(row: Any, number: int) -> Item:
        id = _text(row["question_id"], "question_id")
        template = id.rpartition("_")[0]
        if template not in steps:
            raise ValueError(f"`{template}` is not a STAR template")
        options = tuple(_text(c["choice"], "choice") for c in row["choices"])
        answer = _taken(_text(row["answer"], "answer"), options)
        return Item(id, _text(row["video_id"], "video_id"), _text(row["question"], "question"), (answer,),
                    rule, options if rule == "choice" else (), (("type", template.partition("_")[0]),
                    ("template", template)), steps[template]["steps"], _span(row))  # fmt: skip

    read_rows(data, file, make, reading)
    return reading


def star(folder: Path) -> Reading:
    """STAR (`STAR_val.json`): a list of records with `question_id` (`TYPE_Tn_NUMBER`), `question`, `video_id`
    (of Charades), `start`, `end` (seconds), `answer`, `choices` (each with `choice`).
    Source: csbobby/STAR_Benchmark.

    Questions are asked open-ended, as in the paper. `star_steps.json` has the steps of each template.
    """
    return _star(folder, "judge")


def star_choice(folder: Path) -> Reading:
    """STAR as its authors score it: multiple choice with four options, averaged over question types."""
    return _star(folder, "choice")


def _pairs(folder: Path, asked: str, answered: str, types: dict[int, str]) -> Reading:
    """Read questions and answers from two separate files (MILVLG/activitynet-qa, dataset/README.md)."""
    questions, file = load_json(folder, [asked])
    answers, answer_file = load_json(folder, [answered])
    reading = Reading()
    known: dict[str, Any] = {}

    def remember(row: Any, number: int) -> list[Item]:
        known[str(row["question_id"])] = row
        return []

    read_rows(answers, answer_file, remember, reading)

    def make(row: Any, number: int) -> Item:
        id = str(row["question_id"])
        if id not in known:
            raise ValueError(f"no answer in {answer_file}")
        kind = known[id].get("type")
        name = types.get(kind, str(kind)) if kind is not None else ""
        return Item(id, _text(row["video_name"], "video_name"), _text(row["question"], "question"),
                    (_text(known[id]["answer"], "answer"),), "judge",
                    groups=(("type", name),) if name else ())  # fmt: skip

    read_rows(questions, file, make, reading)
    return reading


ACTIVITYNET_TYPES = {
    0: "motion", 1: "spatial relationship", 2: "temporal relationship", 3: "yes/no", 4: "color",
    5: "object", 6: "location", 7: "number", 8: "other",
}  # fmt: skip
"""Question type by its number in the file."""


def activitynet_qa(folder: Path) -> Reading:
    """ActivityNet-QA: `test_q.json` with `video_name`, `question`, `question_id`, and `test_a.json` with
    `answer`, `type`, `question_id`. Source: MILVLG/activitynet-qa. Video files are named `v_NAME`.
    """
    made = _pairs(folder, "test_q.json", "test_a.json", ACTIVITYNET_TYPES)
    made.items = [replace(i, video=f"v_{i.video.removeprefix('v_')}") for i in made.items]
    return made


def _first_word(question: str) -> str:
    """Question type as MSVD-QA and MSRVTT-QA define it: what, who, how, when, where, or other."""
    first = question.split()[0].lower() if question.split() else ""
    return first if first in ("what", "who", "how", "when", "where") else "other"


def _one_file(folder: Path, name: Callable[[Any], str]) -> Reading:
    """Read `test_qa.json`, or the two files that Video-ChatGPT's scripts use.

    `name` turns the benchmark's video id into a video name.
    """
    if found(folder, "test_qa.json") is None and found(folder, "test_q.json") is not None:
        reading = _pairs(folder, "test_q.json", "test_a.json", {})
        reading.items = [
            replace(i, groups=(("type", _first_word(i.question)),)) for i in reading.items
        ]
        return reading
    data, file = load_json(folder, ["test_qa.json"])
    reading = Reading()

    def make(row: Any, number: int) -> Item:
        question = _text(row["question"], "question")
        return Item(str(row["id"]), name(row["video_id"]), question, (_text(row["answer"], "answer"),),
                    "judge", groups=(("type", _first_word(question)),))  # fmt: skip

    read_rows(data, file, make, reading)
    return reading


def msvd_qa(folder: Path) -> Reading:
    """MSVD-QA: `test_qa.json`, a list of records with `id`, `question`, `answer`, `video_id` (a number), and
    `youtube_mapping.txt`, which maps a YouTube name to `vidNUMBER` on each line
    (xudejing/video-question-answering). Alternatively Video-ChatGPT's `test_q.json` and `test_a.json`,
    which contain the video names.
    """
    path = found(folder, "youtube_mapping.txt")
    lines = path.read_text("utf-8").splitlines() if path is not None else []
    names = {two[1]: two[0] for two in (line.split() for line in lines) if len(two) == 2}
    return _one_file(folder, lambda number: names.get(f"vid{number}", f"vid{number}"))


def msrvtt_qa(folder: Path) -> Reading:
    """MSRVTT-QA: `test_qa.json`, a list of records with `id`, `question`, `answer`, `video_id`,
    `category_id`; videos are named `videoNUMBER`. Alternatively Video-ChatGPT's `test_q.json` and
    `test_a.json`.
    """
    return _one_file(folder, lambda number: f"video{number}")


MVBENCH = {
    "Action Sequence": ("action_sequence", "star/Charades_v1_480", True),
    "Action Prediction": ("action_prediction", "star/Charades_v1_480", True),
    "Action Antonym": ("action_antonym", "ssv2_video", False),
    "Fine-grained Action": ("fine_grained_action", "Moments_in_Time_Raw/videos", False),
    "Unexpected Action": ("unexpected_action", "FunQA_test/test", False),
    "Object Existence": ("object_existence", "clevrer/video_validation", False),
    "Object Interaction": ("object_interaction", "star/Charades_v1_480", True),
    "Object Shuffle": ("object_shuffle", "perception/videos", False),
    "Moving Direction": ("moving_direction", "clevrer/video_validation", False),
    "Action Localization": ("action_localization", "sta/sta_video", True),
    "Scene Transition": ("scene_transition", "scene_qa/video", False),
    "Action Count": ("action_count", "perception/videos", False),
    "Moving Count": ("moving_count", "clevrer/video_validation", False),
    "Moving Attribute": ("moving_attribute", "clevrer/video_validation", False),
    "State Change": ("state_change", "perception/videos", False),
    "Fine-grained Pose": ("fine_grained_pose", "nturgbd", False),
    "Character Order": ("character_order", "perception/videos", False),
    "Egocentric Navigation": ("egocentric_navigation", "vlnqa", False),
    "Episodic Reasoning": ("episodic_reasoning", "tvqa/frames_fps3_hq", True),
    "Counterfactual Inference": ("counterfactual_inference", "clevrer/video_validation", False),
}
"""The 20 tasks of MVBench: file name, video folder, and whether a question shows only part of the video."""


def _several(
    folder: Path, tasks: dict[str, str], make: Callable[[str, Any, int], Item | list[Item]]
) -> Reading:
    """Read one file per task. Reports missing files (E002); raises StepcError (E001) if all are missing."""
    reading = Reading()
    present = {task: name for task, name in tasks.items() if found(folder, name) is not None}
    if not present:
        load_json(folder, list(tasks.values()))
    for task, name in tasks.items():
        if task not in present:
            reading.wrong.append(left_out(name, "all questions", "file not found"))
            continue
        data, file = load_json(folder, [name])
        read_rows(data, file, lambda row, number, task=task: make(task, row, number), reading)  # type: ignore[misc]
    return reading


def mvbench(folder: Path) -> Reading:
    """MVBench: `json/TASK.json`, 20 lists of records with `video`, `question`, `candidates`, `answer`, and in
    five tasks `start` and `end` (seconds). Source: OpenGVLab/Ask-Anything, video_chat2/mvbench.ipynb.
    The videos of Episodic Reasoning are folders of pictures at 3 fps, numbered from 1.
    """

    def make(task: str, row: Any, number: int) -> Item:
        _, place, part = MVBENCH[task]
        options = tuple(_text(c, "candidates") for c in row["candidates"])
        answer = _taken(_text(row["answer"], "answer"), options)
        return Item(f"{task}/{number}", f"{place}/{_text(row['video'], 'video')}",
                    _text(row["question"], "question"), (answer,), "mvbench", options,
                    (("task", task),), span=_span(row) if part else None)  # fmt: skip

    return _several(folder, {task: f"{v[0]}.json" for task, v in MVBENCH.items()}, make)


TEMPCOMPASS = ("multi-choice", "yes_no", "caption_matching", "captioning")
"""The four answer forms of TempCompass."""


def tempcompass(folder: Path) -> Reading:
    """TempCompass: four files `questions/FORM.json`. Each maps a video and then a dimension to a list of
    records with `question` and `answer`; the question text lists the options, one per line.
    `meta_info.json` is not needed. Source: llyx97/TempCompass.

    To grade a caption, a judge that sees only the caption answers the video's multiple-choice question of
    that dimension.
    """
    reading = Reading()
    questions: dict[str, Any] = {}
    for form in TEMPCOMPASS:
        if found(folder, f"{form}.json") is None:
            reading.wrong.append(left_out(f"{form}.json", "all questions", "file not found"))
        else:
            questions[form] = _object(*load_json(folder, [f"{form}.json"]))
    if not questions:
        load_json(folder, [f"{form}.json" for form in TEMPCOMPASS])

    def make(row: tuple[str, str, str, int, Any], number: int) -> Item:
        form, video, dimension, place, told = row
        asked = _text(told["question"], "question")
        answer = _text(told["answer"], "answer")
        lines = asked.split("\n")
        options: tuple[str, ...] = ()
        points: tuple[str, ...] = ()
        rule = {"yes_no": "yes_no", "caption_matching": "caption"}.get(form, "letters")
        if form in ("multi-choice", "caption_matching"):
            options = tuple(line.strip() for line in lines[1:] if line.strip())
            asked = lines[0].strip()
            _taken(answer, options)
            if form == "caption_matching" and not all(": " in o for o in options):
                raise ValueError("an option has no `NAME: ` prefix")
        if form == "captioning":
            first = questions["multi-choice"][video][dimension][0]
            rule, answer = "captioning", _text(first["answer"], "answer")
            points = (_text(first["question"], "question"),)
        return Item(f"{form}/{video}/{dimension}/{place}", video, asked, (answer,), rule, options,
                    (("form", form), ("dimension", dimension)), points=points)  # fmt: skip

    for form, data in questions.items():
        rows = [
            (form, str(video), str(dimension), place, told)
            for video, by_dimension in data.items()
            for dimension, asked in _object(by_dimension, f"{form}.json").items()
            for place, told in enumerate(asked)
        ]
        read_rows(rows, f"{form}.json", make, reading)
    return reading


def moviechat(folder: Path) -> Reading:
    """MovieChat-1K: one JSON file per film with `info` (`video_path`, `fps`), `global` (a list of records
    with `question`, `answer`) and `breakpoint` (the same plus `time`, a frame number; only the part of the
    film before that frame is shown).
    Source: rese1f/MovieChat, eval_code/result_prepare/run_inference_qa_moviechat.py.
    """
    reading = Reading()
    paths = sorted(p for p in folder.rglob("*.json"))
    films = [p for p in paths if _is_film(p)]
    if not films:
        load_json(folder, ["FILM.json"])
    for path in films:
        data = orjson.loads(path.read_bytes())

        def make(
            row: tuple[str, int, Any], number: int, data: Any = data, path: Path = path
        ) -> Item:
            mode, place, told = row
            span = None
            if mode == "breakpoint":
                end = float(told["time"]) / float(data["info"]["fps"])
                if end <= 0:
                    raise ValueError("`time` must be greater than 0")
                span = (0.0, end)
            return Item(f"{path.stem}/{mode}/{place}", _text(data["info"]["video_path"], "video_path"),
                        _text(told["question"], "question"), (_text(told["answer"], "answer"),), "judge",
                        groups=(("mode", mode),), span=span)  # fmt: skip

        rows = [
            (mode, place, told)
            for mode in ("global", "breakpoint")
            for place, told in enumerate(data.get(mode) or [])
        ]
        read_rows(rows, path.name, make, reading)
    return reading


def _is_film(path: Path) -> bool:
    try:
        data = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return (
        isinstance(data, dict)
        and isinstance(data.get("info"), dict)
        and "video_path" in data["info"]
    )


MLVU = {
    "plotQA": "1_plotQA.json", "needle": "2_needle.json", "ego": "3_ego.json",
    "count": "4_count.json", "order": "5_order.json", "anomaly_reco": "6_anomaly_reco.json",
    "topic_reasoning": "7_topic_reasoning.json", "subPlot": "8_sub_scene.json",
    "summary": "9_summary.json",
}  # fmt: skip
"""The files of MLVU's seven multiple-choice tasks (M) and two generation tasks (G)."""
GENERATION = ("subPlot", "summary")


def mlvu(folder: Path) -> Reading:
    """MLVU, dev: `json/N_TASK.json`, nine lists of records with `video`, `question`, `answer`; seven of them
    have `candidates`, 8_sub_scene has `scoring_points`. Source: JUNJIE99/MLVU.

    M-Avg is the mean of the seven multiple-choice tasks. G-Avg is the mean of the two generation tasks, where
    a judge gives each reply the sum of two scores from 1 to 5.
    """

    def make(task: str, row: Any, number: int) -> Item:
        video, question = _text(row["video"], "video"), _text(row["question"], "question")
        answer = _text(row["answer"], "answer")
        groups = (("task", task),)
        folder_ = MLVU[task].removesuffix(".json")
        if task in GENERATION:
            points = row["scoring_points"] if task == "subPlot" else []
            told = tuple(
                _text(p, "scoring_points")
                for p in ([points] if isinstance(points, str) else points)
            )
            return Item(f"{task}/{number}", f"{folder_}/{video}", question, (answer,),
                        "points" if task == "subPlot" else "summary", groups=groups, points=told)  # fmt: skip
        options = tuple(_text(c, "candidates") for c in row["candidates"])
        return Item(f"{task}/{number}", f"{folder_}/{video}", question, (_taken(answer, options),), "mlvu",
                    options, groups)  # fmt: skip

    return _several(folder, MLVU, make)


def world(folder: Path) -> Reading:
    """The rendered world's questions (`qra.jsonl`), as written by `stepc world ask`, or any stepc dataset."""
    samples, wrong = read_samples(folder)
    items = [
        Item(s.id, s.video, s.question, (s.answer, *s.answers, s.reply),
             "choice" if s.options else "match", s.options, (), max(s.steps, 1),
             rationale=tuple(step.text for step in s.rationale), sha256=s.sha256)
        for s in samples
    ]  # fmt: skip
    return Reading(items, wrong)


@dataclass(frozen=True)
class Benchmark:
    """How a benchmark is read and scored."""

    read: Callable[[Path], Reading]
    frames: int = 8
    """Default number of frames per question."""
    mean: str = ""
    """Group over which the headline figure is averaged; if empty, all questions count equally."""


BENCHMARKS = {
    "agqa": Benchmark(agqa),
    "star": Benchmark(star),
    "star-choice": Benchmark(star_choice, mean="type"),
    "msvd-qa": Benchmark(msvd_qa),
    "msrvtt-qa": Benchmark(msrvtt_qa),
    "activitynet-qa": Benchmark(activitynet_qa),
    "mvbench": Benchmark(mvbench, 16),
    "tempcompass": Benchmark(tempcompass),
    "moviechat": Benchmark(moviechat, 32),
    "mlvu": Benchmark(mlvu, 16, mean="task"),
    "world": Benchmark(world, 4),
}
"""Benchmarks by their name on the `stepc eval` command line."""
