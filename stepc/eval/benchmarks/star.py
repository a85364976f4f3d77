"""The benchmark STAR."""

from __future__ import annotations

from pathlib import Path

from stepc.eval.benchmarks._reading import Benchmark, read_star
from stepc.grading.items import Reading


def star(folder: Path) -> Reading:
    """STAR (`STAR_val.json`): a list of records with `question_id` (`TYPE_Tn_NUMBER`), `question`, `video_id`
    (of Charades), `start`, `end` (seconds), `answer`, `choices` (each with `choice`).
    Source: csbobby/STAR_Benchmark.

    Questions are asked open-ended, as in the paper. `star_steps.json` has the steps of each template.
    """
    return read_star(folder, "judge")


BENCHMARK = Benchmark("STAR", star)
