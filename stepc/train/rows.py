"""What the writers of exports share: conversations, the names of sets, lines of JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import orjson

from stepc.dataset.read import TrainingData, TrainingSample, WrongText
from stepc.model.templates import Templates
from stepc.runtime.names import Name

Thought = Literal["apart", "block"]
"""Layout of answer and rationale: two separate conversations, or one with a thinking block."""


VIDEO = "<video>"


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


def messages(asked: str, reply: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": reply}]


def lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)


def _set(name: Name) -> Name:
    """The name other tools use for a set."""
    return Name("validation") if name == "val" else name


TAKEN = frozenset(["dataset_info", "export", "manifest"])
"""Names of files that are no set's."""


def by_set(dataset: TrainingData, words: bool = False) -> dict[Name, list[TrainingSample]]:
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


def choices(
    dataset: TrainingData, sample: TrainingSample, templates: Templates, thought: Thought
) -> Iterator[tuple[WrongText, str, str, str]]:
    """Yield (wrong step, instruction, chosen reply, rejected reply)."""
    asked = dataset.rows(sample, templates, True)[-1].text
    for wrong in (w for w in sample.wrong_steps if w.step <= len(sample.rationale)):
        told = [sample.told, sample.untold(wrong)]
        if thought == "block":
            told = [
                f"<think>\n{a}\n</think>\n{b}"
                for a, _, b in (x.rpartition(" Answer: ") for x in told)
            ]
        yield wrong, asked, told[0], told[1]
