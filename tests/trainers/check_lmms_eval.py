"""Runs the tasks of `lmms-eval` with its evaluator and a tiny model.

Usage: python check_lmms_eval.py EXPORT_ROOT. Checked: there is a task for each set, and it asks the
questions of its set; the pixels that the model gets are the frames of the right film, in order, before the
question; three documents are asked and graded; the true answer is graded right, another one wrong.
"""

# ruff: noqa: E402 (the shims come first)
from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import shims

shims.torchvision()

import numpy as np
from decoded_batches import (
    SETS,
    check_frames,
    films,
    readable,
    samples,
    tiny_model,
    unpatched,
    versions,
)
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.models.chat.qwen2_5_vl import Qwen2_5_VL
from lmms_eval.tasks import TaskManager, get_task_dict

root, work = Path(sys.argv[1]), Path(tempfile.mkdtemp())
known = films(root)
versions(
    "torch", "torchvision", "transformers", "datasets", "av", "qwen-vl-utils", "lmms-eval", "stepc"
)
FRAMES, ASKED = 8, 3
tasks = {"stepc_train": "train", "stepc_validation": "validation", "stepc": "test"}
manager = TaskManager(include_path=str(root / "lmms-eval"))


class Seen:
    """A processor that keeps what it made."""

    def __init__(self, processor: object) -> None:
        self.processor, self.made = processor, []

    def __getattr__(self, name: str) -> object:
        return getattr(self.processor, name)

    def __call__(self, **inputs: object) -> object:
        self.made.append(self.processor(**inputs))
        return self.made[-1]


for name, part in tasks.items():
    print(f"\n# task {name}")
    task = get_task_dict([name], manager)[name]
    docs = task.test_docs()
    expected = [s["id"] for s in samples(root) if SETS[s["set"]] == part]
    assert sorted(docs["id"]) == sorted(expected), part
    doc = docs[0]
    for reply, right in ((doc["answer"], 1), (f"Answer: {doc['answer']}", 1), ("nothing", 0)):
        graded = task.process_results(doc, [reply])
        print(f"{len(docs)} questions;", repr(reply), "->", graded)
        assert graded["accuracy"] == right

print("\n# evaluation")
model = Qwen2_5_VL(
    pretrained=tiny_model(work / "tiny"), device="cpu", device_map="cpu", batch_size=1
)
model.processor = Seen(model.processor)
result = simple_evaluate(
    model=model,
    tasks=["stepc"],
    task_manager=manager,
    limit=ASKED,
    log_samples=True,
    bootstrap_iters=0,
)
asked = result["samples"]["stepc"]
assert len(asked) == len(model.processor.made) == ASKED
docs = get_task_dict(["stepc"], manager)["stepc"].test_docs()
for made in model.processor.made:  # longest first
    text = readable(made["input_ids"][0], model.tokenizer)
    (sample,) = [s for s in asked if docs[s["doc_id"]]["text"] in text]
    doc = docs[sample["doc_id"]]
    grids = np.asarray(made["image_grid_thw"])
    starts = np.concatenate([[0], np.cumsum(grids.prod(1))])
    pictures = np.stack(
        [unpatched(made["pixel_values"][starts[n] :], grid)[0] for n, grid in enumerate(grids)]
    )
    print("prompt:", text, "\nreply:", repr(sample["filtered_resps"]), "answer:", doc["answer"])
    assert len(grids) == FRAMES and text.count("image tokens]") == FRAMES
    assert text.rindex("image tokens]") < text.index(doc["text"])
    check_frames(pictures, doc["id"].split("/")[0] + ".mp4", known)
print("result:", {k: v for k, v in result["results"]["stepc"].items() if "stderr" not in k})
assert result["results"]["stepc"]["accuracy,none"] == sum(s["accuracy"] for s in asked) / ASKED
