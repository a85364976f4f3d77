"""A benchmark: `two-choices.json`, a list of records with `video`, `question`, `right` and `wrong`."""

from __future__ import annotations

import json
from pathlib import Path

from stepc.eval.benchmarks import Benchmark
from stepc.grading.items import Item, Reading


def read(folder: Path) -> Reading:
    rows = json.loads((folder / "two-choices.json").read_text("utf-8"))
    items = [
        Item(
            str(n),
            row["video"],
            row["question"],
            (row["right"],),
            "choice",
            (row["right"], row["wrong"]),
        )
        for n, row in enumerate(rows)
    ]
    return Reading(items)


TWO_CHOICES = Benchmark("Two choices", read, frames=2)
