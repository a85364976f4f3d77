"""The benchmark MVBench."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stepc.eval.benchmarks._reading import Benchmark, option_of, read_tasks, span_of, text_of
from stepc.grading.items import Item, Reading

MVBENCH = {
    "Action Sequence": ("action_sequence", "star/Charades_v1_480", True),
    "Action Prediction": ("action_prediction", "star/Charades_v1_480", True),
    "Action Antonym": ("action_antonym", "ssv2_video", False),
    "Fine-grained Action": ("fine_grained_action", "Moments_in_Time_Raw/videos", False),
    "Unexpected Action": ("unexpected_action", "FunQA_test/test", False),
    "Object Existence": ("object_existence", "clevrer/video_validation", False),
    "Object Interaction": ("object_interaction", "star/Charades_v1_480", True),
    "Object Shuffle": ("object_shuffle", "perception/videos", False),
    "Moving Direction": ("moving_direction", "clevrer/video_validation", False),
    "Action Localization": ("action_localization", "sta/sta_video", True),
    "Scene Transition": ("scene_transition", "scene_qa/video", False),
    "Action Count": ("action_count", "perception/videos", False),
    "Moving Count": ("moving_count", "clevrer/video_validation", False),
    "Moving Attribute": ("moving_attribute", "clevrer/video_validation", False),
    "State Change": ("state_change", "perception/videos", False),
    "Fine-grained Pose": ("fine_grained_pose", "nturgbd", False),
    "Character Order": ("character_order", "perception/videos", False),
    "Egocentric Navigation": ("egocentric_navigation", "vlnqa", False),
    "Episodic Reasoning": ("episodic_reasoning", "tvqa/frames_fps3_hq", True),
    "Counterfactual Inference": ("counterfactual_inference", "clevrer/video_validation", False),
}
"""The 20 tasks of MVBench: file name, video folder, and whether a question shows only part of the video."""


def mvbench(folder: Path) -> Reading:
    """MVBench: `json/TASK.json`, 20 lists of records with `video`, `question`, `candidates`, `answer`, and in
    five tasks `start` and `end` (seconds). Source: OpenGVLab/Ask-Anything, video_chat2/mvbench.ipynb.
    The videos of Episodic Reasoning are folders of pictures at 3 fps, numbered from 1.
    """

    def make(task: str, row: Any, number: int) -> Item:
        _, place, part = MVBENCH[task]
        options = tuple(text_of(c, "candidates") for c in row["candidates"])
        answer = option_of(text_of(row["answer"], "answer"), options)
        return Item(f"{task}/{number}", f"{place}/{text_of(row['video'], 'video')}",
                    text_of(row["question"], "question"), (answer,), "mvbench", options,
                    (("task", task),), span=span_of(row) if part else None)  # fmt: skip

    return read_tasks(folder, {task: f"{v[0]}.json" for task, v in MVBENCH.items()}, make, 200)


BENCHMARK = Benchmark("MVBench", mvbench, frames=16)
