"""The benchmark MSRVTT-QA."""

from __future__ import annotations

from pathlib import Path

from stepc.eval.benchmarks._reading import Benchmark, read_one_file
from stepc.grading.items import Reading


def msrvtt_qa(folder: Path) -> Reading:
    """MSRVTT-QA: `test_qa.json`, a list of records with `id`, `question`, `answer`, `video_id`,
    `category_id`; videos are named `videoNUMBER`. Alternatively Video-ChatGPT's `test_q.json` and
    `test_a.json`.
    """
    return read_one_file(folder, lambda number: f"video{number}")


BENCHMARK = Benchmark("MSRVTT-QA", msrvtt_qa)
