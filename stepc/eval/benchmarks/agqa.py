"""The benchmark AGQA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stepc.eval.benchmarks._reading import Benchmark, object_of, text_of
from stepc.grading.items import Item, Reading, load_json, read_rows


def agqa(folder: Path) -> Reading:
    """AGQA 2.0, balanced (`test_balanced.txt` or `.json`): an object that maps question ids to records with
    `question`, `answer`, `video_id` (of Charades), `global` (reasoning types), `structural`,
    `semantic`, `ans_type`, `steps`. Source: the official AGQA_public_README.

    The released `ans_type` contains errors, so a question counts as open-ended if `structural` is `query`.
    The group of 3 steps holds questions with three or more, as in the paper's table 2.
    """
    data, file = load_json(folder, ["test_balanced.txt", "test_balanced.json"])
    reading = Reading()

    def make(pair: tuple[str, Any], number: int) -> Item:
        id, row = pair
        kinds = [row["global"]] if isinstance(row["global"], str) else row["global"]
        groups = [("type", str(k)) for k in kinds]
        groups += [("structure", str(row["structural"])), ("semantics", str(row["semantic"]))]
        groups.append(("answers", "open" if row["structural"] == "query" else "binary"))
        steps = int(row["steps"])
        if steps < 1:
            raise ValueError(f"`steps` is {steps}")
        answer = (text_of(row["answer"], "answer"),)
        return Item(str(id), text_of(row["video_id"], "video_id"), text_of(row["question"], "question"),
                    answer, "judge", groups=tuple(groups), steps=steps)  # fmt: skip

    read_rows(list(object_of(data, file).items()), file, make, reading)
    return reading


BENCHMARK = Benchmark("AGQA", agqa)
