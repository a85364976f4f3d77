"""Exports as Parquet: one function for each format."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from stepc.dataset.card import about
from stepc.dataset.formats import COLUMNS
from stepc.dataset.parquet import TEXT, WHOLE, fits, many, write_parquet
from stepc.dataset.read import TrainingData, TrainingSample
from stepc.model.templates import Templates
from stepc.runtime.atomic_files import write_whole
from stepc.runtime.escape import markdown, yaml
from stepc.train.media import Media
from stepc.train.rows import VIDEO, Thought, by_set, choices, messages, talks

LONGEST = 448
"""Maximum length of the longer side of a picture in Parquet, in pixels."""


PICTURED = 100
"""Number of rows with pictures held in memory at once."""


_CHAT = many({"role": TEXT, "content": TEXT})


PICTURES = many({"_type": "Image"})


def pictures(
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
    for name, samples in by_set(dataset).items():

        def rows(samples: list[TrainingSample] = samples) -> Iterator[dict[str, Any]]:
            for sample in samples:
                shown = pictures(dataset, sample)
                for task, asked, reply in talks(dataset, sample, templates, thought):
                    one, other = messages(asked, reply)
                    yield {"id": f"{sample.id}/{task}", "images": shown, "prompt": [one],
                           "completion": [other]}  # fmt: skip

        features = {"id": TEXT, "images": PICTURES, "prompt": _CHAT, "completion": _CHAT}
        write_parquet(name.below(out, ".parquet"), rows(), features, PICTURED)


def grpo(dataset: TrainingData, out: Path, templates: Templates, thought: Thought) -> None:
    """Write `SET.parquet` with `prompt`, `images`, `query`, and the reward columns `answers` and `steps`."""
    for name, samples in by_set(dataset).items():

        def rows(samples: list[TrainingSample] = samples) -> Iterator[dict[str, Any]]:
            for sample in samples:
                targets = dataset.rows(sample, templates, True)
                accepted = dict.fromkeys([sample.answer, sample.reply, *sample.answers])
                yield {
                    "id": sample.id,
                    "images": pictures(dataset, sample),
                    "prompt": [{"role": "user", "content": targets[-1].text}],
                    "answers": list(accepted),
                    "steps": [step.text for step in sample.rationale],
                    "facts": [f.model_dump() for f in sample.facts],
                    "query": sample.query,
                }

        features = {"id": TEXT, "images": PICTURES, "prompt": _CHAT, "answers": many(TEXT),
                    "steps": many(TEXT), "facts": COLUMNS["facts"], "query": TEXT}  # fmt: skip
        write_parquet(name.below(out, ".parquet"), rows(), features, PICTURED)


def dpo(dataset: TrainingData, out: Path, templates: Templates, thought: Thought) -> None:
    """Write `SET.parquet` with `images`, `prompt`, `chosen` and `rejected` (TRL's DPOTrainer, vision).

    There is a row for each wrong step that the pass `wrong-steps` made: the rejected rationale differs from
    the chosen one in it, and in what follows from it in the answer. `step` and `what` say where and how.
    """
    features = {"id": TEXT, "images": PICTURES, "prompt": _CHAT, "chosen": _CHAT, "rejected": _CHAT,
                "step": WHOLE, "what": TEXT}  # fmt: skip
    for name, samples in by_set(dataset).items():

        def rows(samples: list[TrainingSample] = samples) -> Iterator[dict[str, Any]]:
            for sample in samples:
                shown = pictures(dataset, sample)
                for wrong, asked, chosen, rejected in choices(dataset, sample, templates, thought):
                    one, other = messages(asked, chosen)
                    yield {"id": f"{sample.id}/{wrong.step}", "images": shown, "prompt": [one],
                           "chosen": [other], "rejected": [{**other, "content": rejected}],
                           "step": wrong.step, "what": wrong.what}  # fmt: skip

        write_parquet(name.below(out, ".parquet"), rows(), features, PICTURED)


def hf(dataset: TrainingData, out: Path, templates: Templates, thought: Thought) -> None:
    """Write `data/SET.parquet` and a dataset card, so that `datasets.load_dataset` can open the folder.

    A dataset of stepc keeps all columns; of another one, those that training needs are written. A value that
    is not of the type of its column is left out. With `--media frames`, `images` has the frames.
    """
    (out / "data").mkdir(exist_ok=True)
    framed = isinstance(dataset.media, Media) and dataset.media.kind == "frames"
    whole = dataset.own_columns()
    few = ("id", "video", "sha256", "question", "answer", "rationale", "options", "answers", "steps",
           "query")  # fmt: skip
    features = {k: kind for k, kind in COLUMNS.items() if (whole and k != "set") or k in few}
    features |= {"images": PICTURES} if framed else {}
    told = []
    for name, samples in by_set(dataset, words=True).items():

        def rows(samples: list[TrainingSample] = samples) -> Iterator[dict[str, Any]]:
            found = (
                dataset.records(samples)
                if whole
                else (sample.model_dump(mode="json") for sample in samples)
            )
            for sample, row in zip(samples, found, strict=True):
                kept = {k: v for k, v in row.items() if k in features and fits(v, features[k])}
                yield kept | ({"images": pictures(dataset, sample)} if framed else {})

        told.append(
            (name, write_parquet(name.below(out / "data", ".parquet"), rows(), features, PICTURED))
        )
    write_whole(out / "README.md", _card(told, framed).encode())


def _card(sets: Sequence[tuple[str, int]], framed: bool) -> str:
    files = "".join(
        f"  - split: {yaml(name)}\n    path: {yaml(f'data/{name}.parquet')}\n" for name, _ in sets
    )
    counts = "".join(f"| {markdown(name)} | {number} |\n" for name, number in sets)
    front = "\n".join(about(sum(number for _, number in sets)))
    return (
        f"---\n{front}\nconfigs:\n- config_name: default\n  data_files:\n{files}---\n\n"
        "# Questions, rationales and answers about videos\n\n"
        "Compiled with stepc from the videos' spatio-temporal scene graphs. `rationale` has a sub-question,"
        " its answer and a sentence for each step. `query` is the query that the answer was derived from."
        " `video` is the file name and `sha256` its hash; "
        f"{'`images` has frames of the video' if framed else 'the videos are not included'}.\n\n"
        f"| set | samples |\n| --- | ---: |\n{counts}"
    )


_JUDGED = """
    known = json.loads(ground_truth)
    right = answered([reply], [known["answers"]])[0]
    steps = reasoned([reply], [known["steps"]], [known["facts"]])[0]
"""
VERL_REWARD = f'''"""The reward for verl.

custom_reward_function.path=stepc_reward.py custom_reward_function.name=compute_score
"""

import json

from stepc.grading.reward import answered, reasoned


def compute_score(data_source, solution_str, ground_truth, extra_info=None, **more):
    reply = solution_str{_JUDGED}\
    return {{"score": right + 0.5 * steps, "answered": right, "reasoned": steps}}
'''
EASY_REWARD = f'''"""The reward for EasyR1: `reward_function=stepc_reward.py:compute_score`."""

import json

from stepc.grading.reward import answered, reasoned


def compute_score(reward_input, **more):
    reply, ground_truth = reward_input["response"], reward_input["ground_truth"]{_JUDGED}\
    return {{"overall": right + 0.5 * steps, "answered": right, "reasoned": steps}}
'''
"""The modules beside the rows, which the trainers call."""


def verl(dataset: TrainingData, out: Path, templates: Templates, thought: Thought) -> None:
    """Write `SET.parquet` for verl's `RLHFDataset`, and `stepc_reward.py`, its reward.

    The columns are `data_source`, `prompt` (with `<video>`), `videos`, `ability`, `reward_model` and
    `extra_info`. The ground truth is JSON: accepted answers, steps and facts.
    """
    features = {
        "data_source": TEXT, "prompt": _CHAT, "videos": many({"type": TEXT, "video": TEXT}), "ability": TEXT,
        "reward_model": {"style": TEXT, "ground_truth": TEXT},
        "extra_info": {"split": TEXT, "index": WHOLE, "id": TEXT, "question": TEXT, "answer": TEXT},
    }  # fmt: skip

    def row(
        sample: TrainingSample, name: str, index: int, asked: str, truth: str
    ) -> dict[str, Any]:
        return {
            "data_source": "stepc", "prompt": [{"role": "user", "content": f"{VIDEO}{asked}"}],
            "videos": [{"type": "video", "video": dataset.path(sample)}], "ability": "video",
            "reward_model": {"style": "rule", "ground_truth": truth},
            "extra_info": {"split": name, "index": index, "id": sample.id, "question": sample.question,
                           "answer": sample.answer},
        }  # fmt: skip

    _rewarded(dataset, out, templates, features, row)
    write_whole(out / "stepc_reward.py", VERL_REWARD.encode())


def easyr1(dataset: TrainingData, out: Path, templates: Templates, thought: Thought) -> None:
    """Write `SET.parquet` for EasyR1's `RLHFDataset` (`prompt`, `answer`, `videos`), and its reward."""
    features = {"id": TEXT, "prompt": TEXT, "answer": TEXT, "videos": many(TEXT)}

    def row(
        sample: TrainingSample, name: str, index: int, asked: str, truth: str
    ) -> dict[str, Any]:
        return {"id": sample.id, "prompt": f"{VIDEO}{asked}", "answer": truth,
                "videos": [dataset.path(sample)]}  # fmt: skip

    _rewarded(dataset, out, templates, features, row)
    write_whole(out / "stepc_reward.py", EASY_REWARD.encode())


def _rewarded(
    dataset: TrainingData,
    out: Path,
    templates: Templates,
    features: dict[str, Any],
    row: Callable[[TrainingSample, str, int, str, str], dict[str, Any]],
) -> None:
    """Write one row per sample, made from its set, number, instruction and ground truth."""
    for name, samples in by_set(dataset).items():

        def rows(
            name: str = name, samples: list[TrainingSample] = samples
        ) -> Iterator[dict[str, Any]]:
            for index, sample in enumerate(samples):
                accepted = dict.fromkeys([sample.answer, sample.reply, *sample.answers])
                truth = {"answers": [*accepted], "steps": [s.text for s in sample.rationale],
                         "facts": [f.model_dump() for f in sample.facts]}  # fmt: skip
                asked = dataset.rows(sample, templates, True)[-1].text
                yield row(sample, name, index, asked, orjson.dumps(truth).decode())

        write_parquet(name.below(out, ".parquet"), rows(), features, PICTURED)
