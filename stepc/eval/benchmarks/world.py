"""The rendered world's questions, or any stepc dataset, as a benchmark."""

from __future__ import annotations

from pathlib import Path

from stepc.dataset.read import read_samples
from stepc.eval.benchmarks._reading import Benchmark
from stepc.grading.items import Item, Reading


def world(folder: Path) -> Reading:
    """The rendered world's questions (`qra.jsonl`), as written by `stepc world ask`, or any stepc dataset."""
    samples, wrong = read_samples(folder)
    items = [
        Item(s.id, s.video, s.question, (s.answer, *s.answers, s.reply),
             "choice" if s.options else "match", s.options, (), max(s.steps, 1),
             rationale=tuple(step.text for step in s.rationale), sha256=s.sha256,
             skeleton=s.skeleton, pair=s.pair or "", facts=tuple(f.model_dump() for f in s.facts))
        for s in samples
    ]  # fmt: skip
    return Reading(items, wrong)


BENCHMARK = Benchmark("world", world, frames=4)
