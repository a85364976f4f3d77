"""The dataset card: what `datasets.load_dataset` and the hub need to know of an output folder."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import orjson

from stepc.dataset.parquet import Features
from stepc.runtime.escape import markdown, yaml

SPLITS = {"val": "validation"}
"""Sets that the hub calls otherwise."""
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
         (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"))  # fmt: skip
WORDS = frozenset(["true", "false", "null", "yes", "no", "on", "off"])
"""Names that YAML takes for something else."""
HUGE = "100M<n<1B"
SHOWN = {"video": "the video", "nothing": "nothing of the video", "keyframe": "one keyframe",
         "without": "the video without the evidence of one step"}  # fmt: skip
"""What a model was shown in a probe, as the card says it."""


RESERVED = frozenset(["all"])
"""Names that no split may have."""


def split_name(name: str, taken: Collection[str] = ()) -> str:
    """The hub's name of a set: one word, and none of those that are taken."""
    made = SPLITS.get(name, name)
    word = "".join(c if c.isalnum() or c == "_" else "_" for c in made) or "train"
    number, whole = 2, word
    while whole in taken or whole in RESERVED:
        number, whole = number + 1, f"{word}_{number}"
    return whole


def card(head: Mapping[str, Any], splits: Mapping[str, int], features: Features) -> str:
    """The text of `README.md`: metadata as YAML, and a description.

    `head` is the manifest's first part, `splits` has the number of samples of each split, whose file is
    `data/SPLIT.jsonl`. The metadata has the columns, so that they are of one type in all files.
    """
    front = [
        *about(sum(splits.values())),
        "configs:", "- config_name: default", "  data_files:",
        *(f"  - split: {yaml(name)}\n    path: {yaml(f'data/{name}.jsonl')}" for name in splits),
        "dataset_info:", "  features:",
        *(f"  {line}" for line in _features(features)),
    ]  # fmt: skip
    return "\n".join(["---", *front, "---", "", *_text(head, splits)]) + "\n"


def about(samples: int) -> list[str]:
    """Lines of metadata for a dataset of this many samples: licence, tasks, tags and size."""
    size = next((name for most, name in SIZES if samples < most), HUGE)
    return ["license: other", "license_name: unknown",
            "task_categories:", "- video-text-to-text", "- visual-question-answering",
            "tags:", "- stepc", "size_categories:", f"- {size}"]  # fmt: skip


def _features(features: Features) -> Iterator[str]:
    """The columns in the form of `datasets`: name and type, `list` or `struct`."""
    for name, kind in features.items():
        yield f"- name: {yaml(name) if name in WORDS else name}"
        yield from (f"  {line}" for line in _kind(kind))


def _kind(kind: Any) -> Iterator[str]:
    match kind:
        case {"_type": "List", "feature": {"_type": "Value", "dtype": dtype}}:
            yield f"list: {dtype}"
        case {"_type": "List", "feature": inner}:
            yield "list:"
            yield from (f"  {line}" for line in _features(inner))
        case {"_type": "Value", "dtype": dtype}:
            yield f"dtype: {dtype}"
        case _:
            yield "struct:"
            yield from (f"  {line}" for line in _features(kind))


def _text(head: Mapping[str, Any], splits: Mapping[str, int]) -> Iterator[str]:
    yield "# Questions, rationales and answers about videos"
    yield ""
    yield (
        "Compiled with stepc from spatio-temporal scene graphs of the videos. `rationale` has a sub-question,"
        " its answer and a sentence for each step; `query` is the query that the answer was derived from, and"
        " `evidence` says where each step is seen. `video` is the file name and `sha256` its hash; the videos"
        " are not included."
    )
    yield ""
    yield "| split | samples |\n| --- | ---: |"
    yield from (f"| {markdown(name)} | {number} |" for name, number in splits.items())
    yield ""
    yield "## How it was made\n"
    about = {
        "stepc": head.get("stepc"), "pipeline": head.get("pipeline"), "seed": head.get("seed"),
        "model": head.get("model") or "none", "spec": (head.get("spec") or {}).get("name"),
    }  # fmt: skip
    yield from (f"- {name}: {markdown(str(value))}" for name, value in about.items())
    yield ""
    if told := [*_measured(head.get("measured") or {})]:
        yield "## What was measured\n"
        yield from (f"- {line}" for line in told)
        yield ""
    yield "## Limits\n"
    yield (
        "Each answer is proved on the graph of its video, and each text was read back. What the graph has"
        " wrong of the video is wrong here, too. The licence of the videos, and that of the model, are not"
        " known to stepc: look them up before you publish this."
    )


def _measured(measured: Mapping[str, Any]) -> Iterator[str]:
    if blind := measured.get("blind"):
        yield (
            f"A classifier of texts guesses {blind['accuracy']:.1%} of the answers, the commonest answers"
            f" {blind['majority']:.1%}."
        )
    probe = measured.get("probe") or {}
    for shown, told in SHOWN.items():
        if shown in probe:
            yield f"Shown {told}, the model of the probe was right in {probe[shown]['right']:.1%}."
    if demand := measured.get("demand"):
        yield (
            f"The facts of a question are seen in {demand['clips']:.1f} clips and"
            f" {demand['keyframes']:.1f} keyframes on average; {demand['several_clips']:.1%} of the questions"
            " have facts of several clips."
        )
    if "entities" in measured:
        yield f"{measured['entities']:.1%} of the things in the graphs are asked about."
    if answers := measured.get("answers"):
        yield (
            f"There are {answers['different']} different answers (entropy {answers['entropy']:.1f} bits),"
            f" {measured['skeletons']} question skeletons, and {measured['distinct_2']:.1%} of the pairs of"
            " words in the questions are different."
        )
    if kinds := measured.get("kinds"):
        most = sorted(kinds, key=lambda kind: -kinds[kind])[:8]
        shown = ", ".join(f"{markdown(kind.strip())} ({kinds[kind]})" for kind in most)
        yield f"Most questions ask for: {shown}."


def schema(features: Features) -> bytes:
    """A JSON schema (draft 2020-12) of a record."""

    def of(kind: Any) -> dict[str, Any]:
        match kind:
            case {"_type": "List", "feature": inner}:
                return {"type": "array", "items": of(inner)}
            case {"_type": "Value", "dtype": dtype}:
                types = {
                    "string": "string",
                    "float64": "number",
                    "int64": "integer",
                    "bool": "boolean",
                }
                return {"type": types[dtype]}
        return {"type": "object", "properties": {name: of(inner) for name, inner in kind.items()}}

    needed = [
        "id",
        "video",
        "sha256",
        "question",
        "answer",
        "rationale",
        "steps",
        "query",
        "evidence",
        "set",
    ]
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A sample of stepc",
             **of(features), "required": needed}  # fmt: skip
    time = whole["properties"]["time"]
    time["type"] = ["object", "null"]
    return orjson.dumps(whole, option=orjson.OPT_INDENT_2)
