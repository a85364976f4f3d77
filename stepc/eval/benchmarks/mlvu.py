"""The benchmark MLVU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stepc.eval.benchmarks._reading import Benchmark, option_of, read_tasks, text_of
from stepc.grading.items import Item, Reading

MLVU = {
    "plotQA": "1_plotQA.json", "needle": "2_needle.json", "ego": "3_ego.json",
    "count": "4_count.json", "order": "5_order.json", "anomaly_reco": "6_anomaly_reco.json",
    "topic_reasoning": "7_topic_reasoning.json", "subPlot": "8_sub_scene.json",
    "summary": "9_summary.json",
}  # fmt: skip
"""The files of MLVU's seven multiple-choice tasks (M) and two generation tasks (G)."""

GENERATION = ("subPlot", "summary")


def mlvu(folder: Path) -> Reading:
    """MLVU, dev: `json/N_TASK.json`, nine lists of records with `video`, `question`, `answer`; seven of them
    have `candidates`, 8_sub_scene has `scoring_points`. Source: JUNJIE99/MLVU.

    M-Avg is the mean of the seven multiple-choice tasks. G-Avg is the mean of the two generation tasks, where
    a judge gives each reply the sum of two scores from 1 to 5.
    """

    def make(task: str, row: Any, number: int) -> Item:
        video, question = text_of(row["video"], "video"), text_of(row["question"], "question")
        answer = text_of(row["answer"], "answer")
        groups = (("task", task),)
        folder_ = MLVU[task].removesuffix(".json")
        if task in GENERATION:
            points = row["scoring_points"] if task == "subPlot" else []
            told = tuple(
                text_of(p, "scoring_points")
                for p in ([points] if isinstance(points, str) else points)
            )
            return Item(f"{task}/{number}", f"{folder_}/{video}", question, (answer,),
                        "points" if task == "subPlot" else "summary", groups=groups, points=told)  # fmt: skip
        options = tuple(text_of(c, "candidates") for c in row["candidates"])
        return Item(f"{task}/{number}", f"{folder_}/{video}", question, (option_of(answer, options),), "mlvu",
                    options, groups)  # fmt: skip

    return read_tasks(folder, MLVU, make)


BENCHMARK = Benchmark("MLVU", mlvu, frames=16, mean="task")
