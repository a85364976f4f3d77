"""The benchmark ActivityNet-QA."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stepc.eval.benchmarks._reading import Benchmark, read_pairs
from stepc.grading.items import Reading

ACTIVITYNET_TYPES = {
    0: "motion", 1: "spatial relationship", 2: "temporal relationship", 3: "yes/no", 4: "color",
    5: "object", 6: "location", 7: "number", 8: "other",
}  # fmt: skip
"""Question type by its number in the file."""


def activitynet_qa(folder: Path) -> Reading:
    """ActivityNet-QA: `test_q.json` with `video_name`, `question`, `question_id`, and `test_a.json` with
    `answer`, `type`, `question_id`. Source: MILVLG/activitynet-qa. Video files are named `v_NAME`.
    """
    made = read_pairs(folder, "test_q.json", "test_a.json", ACTIVITYNET_TYPES)
    made.items = [replace(i, video=f"v_{i.video.removeprefix('v_')}") for i in made.items]
    return made


BENCHMARK = Benchmark("ActivityNet-QA", activitynet_qa)
