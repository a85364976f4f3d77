"""Exports as conversations, in JSON: one function for each format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import orjson

from stepc.dataset.read import TrainingData, TrainingSample
from stepc.ir.types import Frame
from stepc.model.templates import Templates
from stepc.runtime.atomic_files import write_whole
from stepc.train.rows import VIDEO, Thought, by_set, choices, lines, messages, talks


def ms_swift(dataset: TrainingData, out: Path, templates: Templates, thought: Thought) -> None:
    """Write `SET.jsonl` with `messages` and `videos` (ms-swift, Custom Dataset)."""
    for name, samples in by_set(dataset).items():
        rows = [x for s in samples for x in _swift_rows(dataset, s, templates, thought)]
        write_whole(name.below(out, ".jsonl"), lines(rows))


def _swift_rows(
    dataset: TrainingData, sample: TrainingSample, templates: Templates, thought: Thought
) -> list[dict[str, Any]]:
    return [
        {"messages": messages(VIDEO + asked, reply), "videos": [dataset.path(sample)]}
        for _, asked, reply in talks(dataset, sample, templates, thought)
    ]


def ms_swift_grounded(
    dataset: TrainingData, out: Path, templates: Templates, thought: Thought
) -> None:
    """Write `SET.jsonl` with `messages`, `images` and `objects` (ms-swift, Custom Dataset, grounding).

    A sample shows the keyframes of its evidence, and each step of its rationale names the boxes in them.
    ms-swift converts the boxes to the form and the coordinates of the model that it trains. A sample
    without boxes is written as for `ms-swift`.
    """
    for name, samples in by_set(dataset).items():
        rows: list[dict[str, Any]] = []
        for sample in samples:
            boxes = [b for seen in sample.evidence for b in seen.boxes]
            if not boxes:
                rows += _swift_rows(dataset, sample, templates, thought)
                continue
            times = sorted({b.at for b in boxes})
            images = [_keyframe(dataset, sample, at, out) for at in times]
            shown = "".join(f"{at:g} s: <image>\n" for at in times)
            for task, asked, reply in talks(dataset, _pointing(sample), templates, thought):
                named = boxes if task == "rationale" else []
                objects = {
                    "ref": [b.label for b in named],
                    "bbox": [[e / 1000 for e in b.box] for b in named],
                    "bbox_type": "norm1",
                    "image_id": [times.index(b.at) for b in named],
                }
                rows.append({"messages": messages(shown + asked, reply), "images": images,
                             **({"objects": objects} if named else {})})  # fmt: skip
        write_whole(name.below(out, ".jsonl"), lines(rows))


def _pointing(sample: TrainingSample) -> TrainingSample:
    """A sample whose rationale has ms-swift's marks for the boxes of each step."""
    steps = [
        step.model_copy(update={"text": " ".join([step.text, *_marks(sample, n)])})
        for n, step in enumerate(sample.rationale, 1)
    ]
    return sample.model_copy(update={"rationale": tuple(steps)})


def _marks(sample: TrainingSample, step: int) -> Iterator[str]:
    for seen in sample.evidence:
        if seen.step == step:
            yield from ("<ref-object><bbox>" for _ in seen.boxes)


def video_r1(dataset: TrainingData, out: Path, templates: Templates, thought: Thought) -> None:
    """Write `SET.json` as Video-R1 has it: `problem`, `options`, `process`, `solution`, `path` and more.

    `process` is the rationale in `<think>`, `solution` the answer in `<answer>`: a letter for a multiple
    choice. `problem_type` is `multiple choice`, `numerical` or `free-form`.
    """
    number = 0
    for name, samples in by_set(dataset).items():
        rows = []
        for sample in samples:
            number += 1
            thoughts = " ".join(step.text for step in sample.rationale)
            answer = sample.reply[0] if sample.options else sample.answer
            kind = "numerical" if answer.isdigit() else "free-form"
            rows.append({
                "problem_id": number,
                "problem": sample.question,
                "data_type": "video",
                "problem_type": "multiple choice" if sample.options else kind,
                "options": [f"{a}. {x}" for a, x in zip(ascii_uppercase, sample.options, strict=False)],
                "process": f"<think>{thoughts}</think>" if thoughts else "",
                "solution": f"<answer>{answer}</answer>",
                "path": dataset.path(sample),
                "data_source": f"stepc/{sample.id}",
            })  # fmt: skip
        write_whole(name.below(out, ".json"), orjson.dumps(rows, option=orjson.OPT_INDENT_2))


def turns(dataset: TrainingData, out: Path, templates: Templates, thought: Thought) -> None:
    """Write `SET.jsonl` with `messages` and `videos`: each sample is a dialogue of its sub-questions.

    The answers are the sentences of the rationale; the last turn is the question itself.
    """
    for name, samples in by_set(dataset).items():
        rows = []
        for sample in samples:
            parts = [(step.question, step.text) for step in sample.rationale if step.question]
            asked = dataset.rows(sample, templates, False)[0].text
            if len(parts) == 1:
                parts = []
            said = [m for part in [*parts, (asked, sample.reply)] for m in messages(*part)]
            said[0] = {**said[0], "content": VIDEO + said[0]["content"]}
            rows.append({"messages": said, "videos": [dataset.path(sample)]})
        write_whole(name.below(out, ".jsonl"), lines(rows))


TOOL = {
    "type": "function",
    "function": {
        "name": "crop_video",
        "description": "Crop a video to a time range.",
        "parameters": {
            "type": "object",
            "properties": {
                "video_path": {"type": "string", "description": "Path to the video file"},
                "start_time": {"type": "number", "description": "Start time in seconds"},
                "end_time": {
                    "type": "number",
                    "description": "End time in seconds, after start_time",
                },
            },
            "required": ["video_path", "start_time", "end_time"],
        },
    },
}
"""The tool of the export `tool-calls`, with the names of LongVT's."""
SHORTEST = 1.0
"""Length in seconds of the shortest part that is cropped."""


def tool_calls(dataset: TrainingData, out: Path, templates: Templates, thought: Thought) -> None:
    """Write `SET.jsonl` with `messages`, `videos`, `images` and `tools`: traces of calls of `crop_video`.

    Each step asks its sub-question in `<think>` and crops the video to its evidence in `<tool_call>`; the
    response shows the keyframes of the evidence, and the next turn begins with the sentence of the step.
    Chat templates put `<tool_response>` around what a tool says. The last turn ends with `<answer>` (LongVT).
    Samples without evidence have no calls.
    """
    for name, samples in by_set(dataset).items():
        rows = [_trace(dataset, sample, templates, out) for sample in samples]
        write_whole(name.below(out, ".jsonl"), lines(rows))


def _trace(
    dataset: TrainingData, sample: TrainingSample, templates: Templates, out: Path
) -> dict[str, Any]:
    path = dataset.path(sample)
    film = path if isinstance(path, str) else sample.video
    asked = dataset.rows(sample, templates, False)[0].text
    made = [{"role": "user", "content": f"{VIDEO}{asked}\n{film}"}]
    images: list[str] = []
    known = ""
    for number, step in enumerate(sample.rationale, 1):
        seen = [e for e in sample.evidence if e.step == number]
        if not seen:
            known = f"{known} {step.text}".strip()
            continue
        start, end = _cropped(dataset, sample, min(e.start for e in seen), max(e.end for e in seen))
        called = {"name": "crop_video", "arguments": {"video_path": film, "start_time": start,
                                                       "end_time": end}}  # fmt: skip
        call = f"<tool_call>\n{orjson.dumps(called).decode()}\n</tool_call>"
        thought = f"<think>{f'{known} {step.question}'.strip()}</think>"
        times = sorted({k.at for e in seen for k in e.keyframes})
        images += [_keyframe(dataset, sample, at, out) for at in times]
        shown = "".join(f"{at:g} s: <image>" for at in times)
        made += [{"role": "assistant", "content": f"{thought}{call}"},
                 {"role": "tool", "content": shown}]  # fmt: skip
        known = step.text
    last = f"<think>{known}</think>" if known else ""
    made.append({"role": "assistant", "content": f"{last}<answer>{sample.reply}</answer>"})
    return {"messages": made, "videos": [path], "images": images,
            "tools": orjson.dumps([TOOL]).decode()}  # fmt: skip


def _cropped(
    dataset: TrainingData, sample: TrainingSample, start: float, end: float
) -> tuple[float, float]:
    """A range of time that is not too short, within the video."""
    whole = dataset.pictures.source(dataset.frames[sample.video][0].video).video.duration / 1000
    more = max(0.0, SHORTEST - (end - start)) / 2
    return round(max(0.0, start - more), 2), round(min(whole, end + more), 2)


def _keyframe(dataset: TrainingData, sample: TrainingSample, at: float, out: Path) -> str:
    """Write a keyframe of a sample's video as a JPEG file, unless it is there; return its path."""
    from PIL import Image

    frame = Frame(video=dataset.frames[sample.video][0].video, at=round(at * 1000))
    file = out / "pictures" / f"{frame.video[:16]}-{frame.at}.jpg"
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(dataset.pictures.at(frame)).save(file, "JPEG", quality=95)
    return f"pictures/{file.name}"


def llamafactory(dataset: TrainingData, out: Path, templates: Templates, thought: Thought) -> None:
    """Write `SET.json` with `messages` and `videos`, and `dataset_info.json` (LLaMA-Factory, data/README)."""
    info = {}
    for name, samples in by_set(dataset).items():
        rows = [
            {"messages": messages(VIDEO + asked, reply), "videos": [dataset.path(sample)]}
            for sample in samples
            for _, asked, reply in talks(dataset, sample, templates, thought)
        ]
        write_whole(name.below(out, ".json"), orjson.dumps(rows, option=orjson.OPT_INDENT_2))
        info[f"stepc_{name}"] = {
            "file_name": f"{name}.json",
            "formatting": "sharegpt",
            "columns": {"messages": "messages", "videos": "videos"},
            "tags": {
                "role_tag": "role",
                "content_tag": "content",
                "user_tag": "user",
                "assistant_tag": "assistant",
            },
        }
    write_whole(out / "dataset_info.json", orjson.dumps(info, option=orjson.OPT_INDENT_2))


def llava(dataset: TrainingData, out: Path, templates: Templates, thought: Thought) -> None:
    """Write `SET.json` with `video` and `conversations` of `human` and `gpt` (lmms-finetune's format)."""
    for name, samples in by_set(dataset).items():
        rows = [
            {
                "id": f"{sample.id}/{task}",
                "video": dataset.path(sample),
                "conversations": [
                    {"from": "human", "value": f"{VIDEO}\n{asked}"},
                    {"from": "gpt", "value": reply},
                ],
            }
            for sample in samples
            for task, asked, reply in talks(dataset, sample, templates, thought)
        ]
        write_whole(name.below(out, ".json"), orjson.dumps(rows, option=orjson.OPT_INDENT_2))


def ms_swift_dpo(dataset: TrainingData, out: Path, templates: Templates, thought: Thought) -> None:
    """Write `SET.jsonl` with `messages`, `rejected_response` and `videos` (ms-swift, RLHF), as `dpo` does."""
    for name, samples in by_set(dataset).items():
        rows = [
            {"messages": messages(VIDEO + asked, chosen), "rejected_response": rejected,
             "videos": [dataset.path(sample)]}
            for sample in samples
            for _, asked, chosen, rejected in choices(dataset, sample, templates, thought)
        ]  # fmt: skip
        write_whole(name.below(out, ".jsonl"), lines(rows))
