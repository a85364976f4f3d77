"""A dataset format and an export."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from stepc.dataset.formats import Format
from stepc.dataset.read import TrainingData
from stepc.ir.types import Qras
from stepc.train.export import Export


def _questions(unit: Qras, model: str, spec: str) -> list[list[dict[str, Any]]]:
    return [[{"id": f"{unit.name}/{s.id}", "question": s.question}] for s in unit.samples]


def _csv(dataset: TrainingData, out: Path, templates: Any, thought: str) -> None:
    with (out / "samples.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["video", "question", "answer"])
        rows.writerows([s.video, s.question, s.reply] for s in dataset.samples)


QUESTIONS = Format("questions.jsonl", _questions)
"""Questions alone, without answers: a spec may say `formats jsonl, questions`."""
CSV = Export(_csv)
"""`stepc export --to csv`."""
