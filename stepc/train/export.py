"""Exports a dataset in the formats of other trainers.

`trl`: TRL's prompt and completion with pictures, Parquet. `llamafactory`: sharegpt messages and
`dataset_info.json`. `ms-swift`: messages and videos, JSON lines; `ms-swift-grounded`: the keyframes of
the evidence, and rationales that say where in them the objects are. `llava`: conversations, JSON. `hf`: the
samples as Parquet, with a dataset card. `grpo`: prompts with pictures, accepted answers and ground-truth
steps for `stepc.grading.reward`, Parquet. `lmms-eval`: a task for that evaluation harness.
"""

# Long: a function for each format, which belong beside each other.
from __future__ import annotations

import io
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from dataclasses import replace as changed
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import orjson

from stepc.dataset.formats import COLUMNS
from stepc.dataset.parquet import TEXT, WHOLE, fits, many, write_parquet
from stepc.dataset.read import MANY, TrainingData, TrainingSample, left_out, spread
from stepc.diagnostics import Diagnostic, Place, StepcError, fail, printable
from stepc.ir.types import Frame
from stepc.model.templates import Templates
from stepc.plugins import Plugin, Registry
from stepc.runtime.atomic_files import read_regular, write_whole
from stepc.runtime.escape import markdown, yaml
from stepc.runtime.names import Name
from stepc.runtime.output_folder import OutputFolder
from stepc.video.decode import decoded_frames
from stepc.video.source import VideoSource, decoding_errors

Thought = Literal["apart", "block"]
"""Layout of answer and rationale: two separate conversations, or one with a thinking block."""
VIDEO = "<video>"
LONGEST = 448
"""Maximum length of the longer side of a picture in Parquet, in pixels."""


def talks(
    dataset: TrainingData, sample: TrainingSample, templates: Templates, thought: Thought
) -> Iterator[tuple[str, str, str]]:
    """Yield (task, instruction, reply) for each conversation of a sample.

    With `block`, the rationale is between `<think>` and `</think>` and the answer follows.
    """
    rows = {row.task: row for row in dataset.rows(sample, templates, True)}
    if thought == "block" and "rationale" in rows:
        reasoning = " ".join(step.text for step in sample.rationale)
        reply = f"<think>\n{reasoning}\n</think>\n{sample.reply}"
        yield "rationale", rows["rationale"].text, reply
        return
    for task, row in rows.items():
        yield task, row.text, row.target


def _messages(asked: str, reply: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": reply}]


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)


def _set(name: Name) -> Name:
    """The name other tools use for a set."""
    return Name("validation") if name == "val" else name


TAKEN = frozenset(["dataset_info", "export", "manifest"])
"""Names of files that are no set's."""


def _by_set(dataset: TrainingData, words: bool = False) -> dict[Name, list[TrainingSample]]:
    """The samples by the name of their set's file.

    Names that other files have, or that are too long, are changed; with `words`, also those that are not
    one word.
    """
    sets: dict[Name, list[TrainingSample]] = {}
    for sample in dataset.samples:
        sets.setdefault(_set(sample.set), []).append(sample)
    made: dict[Name, list[TrainingSample]] = {}
    for name, samples in sets.items():
        file = Name(re.sub(r"\W+", "_", name) if words else name)
        file = Name(file.below(Path()).name)
        while file in TAKEN or file in made or (file != name and file in sets):
            file = Name(f"{file}_2" if words else f"{file}-2")
        made[file] = samples
    return made


def ms_swift(dataset: TrainingData, out: Path, templates: Templates, thought: Thought) -> None:
    """Write `SET.jsonl` with `messages` and `videos` (ms-swift, Custom Dataset)."""
    for name, samples in _by_set(dataset).items():
        rows = [x for s in samples for x in _swift_rows(dataset, s, templates, thought)]
        write_whole(name.below(out, ".jsonl"), _lines(rows))


def _swift_rows(
    dataset: TrainingData, sample: TrainingSample, templates: Templates, thought: Thought
) -> list[dict[str, Any]]:
    return [
        {"messages": _messages(VIDEO + asked, reply), "videos": [dataset.path(sample)]}
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
    for name, samples in _by_set(dataset).items():
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
                rows.append({"messages": _messages(shown + asked, reply), "images": images,
                             **({"objects": objects} if named else {})})  # fmt: skip
        write_whole(name.below(out, ".jsonl"), _lines(rows))


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
    for name, samples in _by_set(dataset).items():
        rows = [
            {"messages": _messages(VIDEO + asked, reply), "videos": [dataset.path(sample)]}
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
    for name, samples in _by_set(dataset).items():
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


# --- Parquet -----------------------------------------------------------------------------


PICTURED = 100
"""Number of rows with pictures held in memory at once."""
_CHAT = many({"role": TEXT, "content": TEXT})
_PICTURES = many({"_type": "Image"})


def _pictures(
    dataset: TrainingData, sample: TrainingSample, exact: bool = False
) -> list[dict[str, Any]]:
    """The frames shown of a sample's video, as JPEG, or as lossless PNG if `exact`."""
    from PIL import Image

    from stepc.video.decode import shrink

    shown = []
    for frame in dataset.frames[sample.video]:
        file = io.BytesIO()
        picture = shrink(dataset.pictures.at(frame), LONGEST)
        Image.fromarray(picture).save(file, "PNG" if exact else "JPEG", quality=95)
        shown.append({"bytes": file.getvalue(), "path": None})
    return shown


def trl(dataset: TrainingData, out: Path, templates: Templates, thought: Thought) -> None:
    """Write `SET.parquet` with `images`, `prompt` and `completion` (TRL's SFTTrainer, vision)."""
    for name, samples in _by_set(dataset).items():

        def rows(samples: list[TrainingSample] = samples) -> Iterator[dict[str, Any]]:
            for sample in samples:
                shown = _pictures(dataset, sample)
                for task, asked, reply in talks(dataset, sample, templates, thought):
                    one, other = _messages(asked, reply)
                    yield {"id": f"{sample.id}/{task}", "images": shown, "prompt": [one],
                           "completion": [other]}  # fmt: skip

        features = {"id": TEXT, "images": _PICTURES, "prompt": _CHAT, "completion": _CHAT}
        write_parquet(name.below(out, ".parquet"), rows(), features, PICTURED)


def grpo(dataset: TrainingData, out: Path, templates: Templates, thought: Thought) -> None:
    """Write `SET.parquet` with `prompt`, `images`, `query`, and the reward columns `answers` and `steps`."""
    for name, samples in _by_set(dataset).items():

        def rows(samples: list[TrainingSample] = samples) -> Iterator[dict[str, Any]]:
            for sample in samples:
                targets = dataset.rows(sample, templates, True)
                accepted = dict.fromkeys([sample.answer, sample.reply, *sample.answers])
                yield {
                    "id": sample.id,
                    "images": _pictures(dataset, sample),
                    "prompt": [{"role": "user", "content": targets[-1].text}],
                    "answers": list(accepted),
                    "steps": [step.text for step in sample.rationale],
                    "query": sample.query,
                }

        features = {"id": TEXT, "images": _PICTURES, "prompt": _CHAT, "answers": many(TEXT),
                    "steps": many(TEXT), "query": TEXT}  # fmt: skip
        write_parquet(name.below(out, ".parquet"), rows(), features, PICTURED)


def hf(dataset: TrainingData, out: Path, templates: Templates, thought: Thought) -> None:
    """Write `data/SET.parquet` and a dataset card, so that `datasets.load_dataset` can open the folder.

    A dataset of stepc keeps all columns; of another one, those that training needs are written. A value that
    is not of the type of its column is left out.
    """
    (out / "data").mkdir(exist_ok=True)
    whole = dataset.own_columns()
    few = ("id", "video", "sha256", "question", "answer", "rationale", "options", "answers", "steps",
           "query")  # fmt: skip
    features = {k: kind for k, kind in COLUMNS.items() if (whole and k != "set") or k in few}
    told = []
    for name, samples in _by_set(dataset, words=True).items():

        def rows(samples: list[TrainingSample] = samples) -> Iterator[dict[str, Any]]:
            found = (
                dataset.records(samples)
                if whole
                else (sample.model_dump(mode="json") for sample in samples)
            )
            for row in found:
                yield {k: v for k, v in row.items() if k in features and fits(v, features[k])}

        told.append(
            (name, write_parquet(name.below(out / "data", ".parquet"), rows(), features, PICTURED))
        )
    write_whole(out / "README.md", _card(told).encode())


TASK = """dataset_path: parquet
dataset_kwargs:
  data_files:
    test: {file}
task: {task}
test_split: test
output_type: generate_until
doc_to_visual: !function {module}.visual
doc_to_text: !function {module}.asked
doc_to_messages: !function {module}.messages
doc_to_target: answer
generation_kwargs:
  max_new_tokens: 64
  temperature: 0
  do_sample: false
process_results: !function {module}.graded
metric_list:
{metrics}"""
METRIC = """  - metric: {name}
    aggregation: !function {module}.share
    higher_is_better: true
"""
FUNCTIONS = '''"""What lmms-eval calls for the task `stepc`. Needs `pip install stepc`, which is light."""

from stepc.grading.reward import parted, right


def visual(doc):
    return [picture.convert("RGB") for picture in doc["images"]]


def asked(doc, lmms_eval_specific_kwargs=None):
    return doc["text"]


def messages(doc, lmms_eval_specific_kwargs=None):
    shown = [{"type": "image", "url": picture} for picture in visual(doc)]
    return [{"role": "user", "content": [*shown, {"type": "text", "text": doc["text"]}]}]


def graded(doc, results):
    verdict = float(right(parted(str(results[0]))[1], doc["answers"]))
    steps = min(max(doc["steps"], 1), 3)
    return {"accuracy": verdict, f"accuracy_{steps}": verdict}


def share(verdicts):
    return sum(verdicts) / len(verdicts) if verdicts else float("nan")
'''
"""The module beside the task."""


def lmms_eval(dataset: TrainingData, out: Path, templates: Templates, thought: Thought) -> None:
    """Write a task for lmms-eval 0.7: `stepc.yaml`, its functions, and Parquet with frames and questions.

    The task `stepc` asks the samples of the set `test`, and each other set has a task of its own, such as
    `stepc_train`. Of questions without sets, such as an exam, `stepc` asks all. They grade like `stepc eval
    world`, and per number of steps (3 means three or more). Run one with `--include_path OUT --tasks stepc`.
    """
    module = "stepc_task"
    divided = any("set" in s.model_fields_set for s in dataset.samples)
    sets = _by_set(dataset, words=True) if divided else {Name("test"): dataset.samples}
    for name, samples in sets.items():
        _task(dataset, samples, out, name, templates, module)
    write_whole(out / f"{module}.py", FUNCTIONS.encode())


def _task(
    dataset: TrainingData, samples: list[TrainingSample], out: Path, name: Name,
    templates: Templates, module: str,
) -> None:  # fmt: skip
    """Write the task of one set for lmms-eval, and its Parquet file."""
    file, task = name.below(out, ".parquet"), "stepc" if name == "test" else f"stepc_{name}"

    def rows() -> Iterator[dict[str, Any]]:
        for sample in samples:
            accepted = dict.fromkeys([sample.answer, sample.reply, *sample.answers])
            yield {
                "id": sample.id,
                "images": _pictures(dataset, sample, exact=True),
                "text": dataset.rows(sample, templates, False)[0].text,
                "answer": sample.answer,
                "answers": list(accepted),
                "steps": sample.steps,
            }

    features = {**dict.fromkeys(("id", "text", "answer"), TEXT), "images": _PICTURES,
                "answers": many(TEXT), "steps": WHOLE}  # fmt: skip
    write_parquet(file, rows(), features, PICTURED)
    names = ["accuracy", *(f"accuracy_{n}" for n in (1, 2, 3))]
    metrics = "".join(METRIC.format(name=name, module=module) for name in names)
    place = yaml(str(OutputFolder.place(file).resolve()))
    text = TASK.format(file=place, task=task, module=module, metrics=metrics)
    write_whole(Name(task).below(out, ".yaml"), text.encode())


def _card(sets: Sequence[tuple[str, int]]) -> str:
    files = "".join(
        f"  - split: {yaml(name)}\n    path: {yaml(f'data/{name}.parquet')}\n" for name, _ in sets
    )
    counts = "".join(f"| {markdown(name)} | {number} |\n" for name, number in sets)
    return (
        "---\ntask_categories: [video-text-to-text, visual-question-answering]\ntags: [stepc]\n"
        f"configs:\n- config_name: default\n  data_files:\n{files}---\n\n"
        "# Questions, rationales and answers about videos\n\n"
        "Compiled with stepc from the videos' spatio-temporal scene graphs. `rationale` has a sub-question,"
        " its answer and a sentence for each step. `query` is the query that the answer was derived from."
        " `video` is the file name and `sha256` its hash; the videos are not included.\n\n"
        f"| set | samples |\n| --- | ---: |\n{counts}"
    )


@dataclass(frozen=True)
class Export:
    """A way to write a dataset for another trainer or evaluator."""

    write: Callable[[TrainingData, Path, Templates, Thought], None]
    """Writes the dataset to a folder that exists. Raises StepcError (T005) if a package is missing."""
    least_frames: int = 1
    """Least number of frames of a video. Trainers that decode a video themselves take at least two."""


class _Exports(Registry[Export]):
    def _concerns(self, plugin: Plugin) -> bool:
        return plugin.is_of(Export)


EXPORTS = _Exports(
    "stepc.formats",
    lambda: {
        "trl": lambda: Export(trl),
        "llamafactory": lambda: Export(llamafactory, least_frames=2),
        "ms-swift": lambda: Export(ms_swift, least_frames=2),
        "ms-swift-grounded": lambda: Export(ms_swift_grounded, least_frames=2),
        "llava": lambda: Export(llava, least_frames=2),
        "hf": lambda: Export(hf),
        "grpo": lambda: Export(grpo),
        "lmms-eval": lambda: Export(lmms_eval),
    },
)
"""All exports."""


def _frames(source: VideoSource, most: int) -> int:
    """The number of frames of a video, counted up to `most`."""
    try:
        return sum(1 for _ in islice(decoded_frames(source), most))
    except decoding_errors():
        return 0


def _long_enough(dataset: TrainingData, least: int) -> TrainingData:
    """The samples whose videos have at least `least` frames, and a warning (T002) for each other one."""
    fit, short = [], []
    for sample in dataset.samples:
        source = dataset.pictures.source(dataset.frames[sample.video][0].video)
        if len(spread(source, least)) < least and (number := _frames(source, least)) < least:
            why = f"its video has {number} frame, and trainers that read this format take {least}"
            short.append(left_out(sample.video, sample.line, why))
        else:
            fit.append(sample)
    if not fit:
        raise StepcError(*short[:MANY], Diagnostic("T003", "no sample's video is long enough"))
    return changed(dataset, samples=fit, left_out=short)


RECORD = "export.json"
"""The file that tells what an export holds."""


@dataclass(frozen=True)
class _Record:
    """What an export holds."""

    to: str = ""
    """Its format; empty if there is no export."""
    videos: dict[str, int] = field(default_factory=dict)
    """The samples of each video."""
    files: list[str] = field(default_factory=list)
    """Its files, as paths below the folder."""

    @classmethod
    def read(cls, out: Path) -> _Record:
        """The record in a folder; empty if there is none, or it cannot be read."""
        try:
            told = orjson.loads(read_regular(out / RECORD))
            files = [str(Name(name)) for name in told["files"]]
            return cls(
                str(told["to"]), {str(name): int(n) for name, n in told["videos"].items()}, files
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def lost(self, to: str, videos: Mapping[str, int]) -> str:
        """What would be lost if an export of these videos replaced this one; empty if nothing."""
        if self.to not in ("", to):
            return f"the folder holds one for `{printable(self.to)}`"
        gone = [f"`{printable(name)}`" for name in self.videos if name not in videos]
        rest = f" and {len(gone) - 3} more" if len(gone) > 3 else ""
        return f"this one has no samples of {', '.join(gone[:3])}{rest}" if gone else ""


def export(
    dataset: TrainingData,
    to: str,
    out: Path,
    templates: Templates,
    thought: Thought,
    replace: bool = False,
) -> TrainingData:
    """Write a dataset to the folder `out` in the format `to`, a name in `EXPORTS`.

    An export that `out` already holds stays as it is until the new one is complete. It is not replaced by
    one in another format, or without some of its videos (B023), unless `replace` is set. Returns what was
    written: the samples whose videos are long enough for the format, and in `left_out` a warning (T002)
    for each other one. Raises StepcError: B014 if `out` cannot be written, B023 if it holds a dataset or
    an export that would be lost, B024 if another process writes to it, T003 if no video is long enough,
    T005 if a package is missing.
    """
    place = Place(printable(str(out)))
    if (out / "manifest.json").exists():
        raise fail("B023", "this folder holds a dataset", place, "name another folder with -o")
    try:
        with OutputFolder(out, RECORD, apart=True) as folder, EXPORTS.guarded(to, "`write`"):
            chosen = EXPORTS.get(to)
            written = _long_enough(dataset, chosen.least_frames)
            before = _Record.read(out)
            videos = dict(sorted(Counter(s.video for s in written.samples).items()))
            help = "to replace it anyway, use --replace; or name another folder with -o"
            if lost := "" if replace else before.lost(to, videos):
                raise fail("B023", f"the export was not replaced: {lost}", place, help)
            chosen.write(written, folder.work, templates, thought)
            files = folder.files()
            own = {*before.files, RECORD} if before.to else {*before.files}
            foreign = [name for name in (*files, RECORD) if name not in own]
            if not replace and (there := [name for name in foreign if os.path.lexists(out / name)]):
                message = f"`{printable(there[0])}` is there, and {RECORD} does not list it"
                raise fail("B023", message, place, help)
            now = _Record(to, videos, files)
            write_whole(folder.work / RECORD, orjson.dumps(asdict(now), option=orjson.OPT_INDENT_2))
            folder.commit([out / name for name in before.files if name not in files])
            return written
    except OSError as error:
        raise fail("B014", f"cannot be written ({error.strerror})", place) from error
