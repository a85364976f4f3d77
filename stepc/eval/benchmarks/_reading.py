"""What the readers of benchmarks share.

A reader takes the folder with the benchmark's own files. A missing or invalid file raises StepcError (E001);
malformed records are skipped and reported (E002).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from stepc.diagnostics import Place, fail
from stepc.grading.items import Item, Reading, found, load_json, read_rows


def text_of(value: Any, name: str) -> str:
    """Return a string or number as non-empty text. Raises ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"`{name}` is not text")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"`{name}` is {value}")
    if not str(value).strip():
        raise ValueError(f"`{name}` is empty")
    return str(value).strip()


def span_of(row: dict[str, Any]) -> tuple[float, float]:
    start, end = float(row["start"]), float(row["end"])
    if not 0 <= start < end:
        raise ValueError(f"invalid time span {start:g} s to {end:g} s")
    return start, end


def option_of(answer: str, options: tuple[str, ...]) -> str:
    """Return `answer` if it is one of the options. Raises ValueError if it is not, or on duplicates."""
    if answer not in options:
        raise ValueError("the answer is not one of the options")
    if len(set(options)) != len(options):
        raise ValueError("duplicate options")
    return answer


def object_of(data: Any, file: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise fail("E001", f"expected an object, found {type(data).__name__}", Place(file))
    return data


def read_star(folder: Path, rule: str) -> Reading:
    data, file = load_json(folder, ["STAR_val.json", "STAR_test.json"])
    steps = orjson.loads((files("stepc.eval") / "star_steps.json").read_bytes())["templates"]
    reading = Reading()

    def make(row: Any, number: int) -> Item:
        id = text_of(row["question_id"], "question_id")
        template = id.rpartition("_")[0]
        if template not in steps:
            raise ValueError(f"`{template}` is not a STAR template")
        options = tuple(text_of(c["choice"], "choice") for c in row["choices"])
        answer = option_of(text_of(row["answer"], "answer"), options)
        return Item(id, text_of(row["video_id"], "video_id"), text_of(row["question"], "question"), (answer,),
                    rule, options if rule == "choice" else (), (("type", template.partition("_")[0]),
                    ("template", template)), steps[template]["steps"], span_of(row))  # fmt: skip

    read_rows(data, file, make, reading)
    return reading


def read_pairs(folder: Path, asked: str, answered: str, types: dict[int, str]) -> Reading:
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
        return Item(id, text_of(row["video_name"], "video_name"), text_of(row["question"], "question"),
                    (text_of(known[id]["answer"], "answer"),), "judge",
                    groups=(("type", name),) if name else ())  # fmt: skip

    read_rows(questions, file, make, reading)
    return reading


def _first_word(question: str) -> str:
    """Question type as MSVD-QA and MSRVTT-QA define it: what, who, how, when, where, or other."""
    first = question.split()[0].lower() if question.split() else ""
    return first if first in ("what", "who", "how", "when", "where") else "other"


def read_one_file(folder: Path, name: Callable[[Any], str]) -> Reading:
    """Read `test_qa.json`, or the two files that Video-ChatGPT's scripts use.

    `name` turns the benchmark's video id into a video name.
    """
    if found(folder, "test_qa.json") is None and found(folder, "test_q.json") is not None:
        reading = read_pairs(folder, "test_q.json", "test_a.json", {})
        reading.items = [
            replace(i, groups=(("type", _first_word(i.question)),)) for i in reading.items
        ]
        return reading
    data, file = load_json(folder, ["test_qa.json"])
    reading = Reading()

    def make(row: Any, number: int) -> Item:
        question = text_of(row["question"], "question")
        return Item(str(row["id"]), name(row["video_id"]), question, (text_of(row["answer"], "answer"),),
                    "judge", groups=(("type", _first_word(question)),))  # fmt: skip

    read_rows(data, file, make, reading)
    return reading


def read_tasks(
    folder: Path,
    tasks: dict[str, str],
    make: Callable[[str, Any, int], Item | list[Item]],
    each: int = 0,
) -> Reading:
    """Read one file per task, of `each` questions (0: unknown).

    Reports missing files (E002); raises StepcError (E001) if all are missing.
    """
    reading = Reading()
    present = {task: name for task, name in tasks.items() if found(folder, name) is not None}
    if not present:
        load_json(folder, list(tasks.values()))
    for task, name in tasks.items():
        if task not in present:
            reading.file_missing(name, each)
            continue
        data, file = load_json(folder, [name])
        read_rows(data, file, lambda row, number, task=task: make(task, row, number), reading)  # type: ignore[misc]
    return reading


@dataclass(frozen=True)
class Benchmark:
    """How a benchmark is read and scored."""

    title: str
    read: Callable[[Path], Reading]
    """Reads the benchmark's own files from a folder. Raises StepcError (E001)."""
    frames: int = 8
    """Default number of frames per question."""
    mean: str = ""
    """Group over which the headline figure is averaged; if empty, all questions count equally."""
