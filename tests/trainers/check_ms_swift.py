"""Reads the exports for ms-swift with its own trainers.

Usage: python check_ms_swift.py EXPORT_ROOT. For `ms-swift`, `ms-swift-dpo`, `ms-swift-grounded`, `turns`
and `tool-calls`, `swift sft` or `swift rlhf` loads the files, and its template and collator make a batch.
Checked: the rows and videos of each set; the pixels are the frames of the right film, in order (or its
keyframes); the mask covers the replies and the ends of their turns, and nothing else; boxes are those of
the evidence, in pixels. One step is trained with `ms-swift` and `ms-swift-dpo`.

Videos are found in `ROOT_IMAGE_DIR`, ms-swift's option for relative paths. ms-swift 4.6.0 does not apply it
to lists of frames (`--media frames`): with those, it is started in the folder of the export.
"""

# ruff: noqa: E402, I001 (the shims come first)
from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import shims

os.environ.update(
    TRANSFORMERS_VERBOSITY="error",
    LOG_LEVEL="ERROR",
    ROOT_IMAGE_DIR="set for each export",
    VIDEO_MIN_TOKEN_NUM="4",
    VIDEO_MAX_TOKEN_NUM="16",
)  # small pictures
shims.torchvision()

import numpy as np
from PIL import Image
from decoded_batches import (
    PATCH,
    check_frames,
    check_split,
    films,
    readable,
    target,
    tiny_model,
    unpatched,
    versions,
)
from swift import RLHFArguments, SftArguments
from swift.pipelines.train import SwiftRLHF, SwiftSft
from swift.template.templates.qwen import Qwen2VLTemplate
from transformers import AutoTokenizer

root, work = Path(sys.argv[1]).resolve(), Path(tempfile.mkdtemp())
known = films(root)
versions("torch", "torchvision", "transformers", "datasets", "qwen-vl-utils", "decord", "ms-swift")
MODEL = tiny_model(work / "tiny")
TOKENS = AutoTokenizer.from_pretrained(MODEL)
# ms-swift knows Qwen's tokens by their numbers; those of the tiny model are others.
Qwen2VLTemplate.image_token_id = TOKENS.convert_tokens_to_ids("<|image_pad|>")
Qwen2VLTemplate.video_token_id = TOKENS.convert_tokens_to_ids("<|video_pad|>")
END = "<|im_end|>\n"


def opened(export: str, **more: object) -> SwiftSft:
    """ms-swift's trainer for an export."""
    os.environ["ROOT_IMAGE_DIR"] = str(root / export)
    os.chdir(root / export if export.endswith("-frames") else work)
    arguments = {
        "model": MODEL, "model_type": "qwen2_5_vl", "template": "qwen2_5_vl", "tuner_type": "full",
        "dataset": [str(root / export / "train.jsonl")], "dataset_shuffle": False, "max_length": 8192,
        "val_dataset": [str(root / export / "validation.jsonl")], "output_dir": str(work / export),
        "max_steps": 1, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 1, "report_to": [],
        "use_cpu": True, "bf16": False, "torch_dtype": "float32", "save_strategy": "no",
        "dataloader_num_workers": 0, **more,
    }  # fmt: skip
    return (
        SwiftRLHF(RLHFArguments(**arguments))
        if "rlhf_type" in more
        else SwiftSft(SftArguments(**arguments))
    )


def written(export: str, part: str) -> list[dict]:
    return [json.loads(line) for line in (root / export / f"{part}.jsonl").read_text().splitlines()]


def film(row: dict) -> str:
    """The name of a row's video, or of the folder of its frames."""
    video = row["videos"][0]
    return Path(video).name if isinstance(video, str) else Path(video[0]).parent.name


def batch_of(
    trainer: SwiftSft, export: str, numbers: list[int], needs: str = "id"
) -> tuple[dict, list[dict]]:
    """Rows of the set `train` as a batch, and as they were written; the sets are checked."""
    loaded = trainer._prepare_dataset()
    for part, rows in zip(("train", "validation"), loaded, strict=True):
        assert len(rows) == len(written(export, part)), (part, len(rows))
    for part in ("train", "validation", "test"):
        if "videos" in (rows := written(export, part))[0]:
            check_split(root, part, [film(row) for row in rows], needs)
    batch = trainer.template.data_collator([loaded[0][n] for n in numbers])
    print("batch:", {k: tuple(v.shape) for k, v in batch.items() if hasattr(v, "shape")})
    return batch, [written(export, "train")[n] for n in numbers]


def check_videos(batch: dict, rows: list[dict]) -> None:
    print("seconds between pairs of frames:", [float(x) for x in batch["second_per_grid_ts"]])
    start = 0
    for grid, row in zip(batch["video_grid_thw"], rows, strict=True):
        check_frames(unpatched(batch["pixel_values_videos"][start:], grid), film(row), known)
        start += int(np.prod(np.asarray(grid)))


def said(row: dict) -> list[str]:
    return [m["content"] + END for m in row["messages"] if m["role"] == "assistant"]


def learnt(batch: dict, n: int) -> list[str]:
    """The texts that are learnt: runs of tokens, each its own label."""
    ids, labels = np.asarray(batch["input_ids"][n]), np.asarray(batch["labels"][n])
    kept = np.flatnonzero(labels != -100)
    return [
        target(ids[run], labels[run], TOKENS)
        for run in np.split(kept, np.flatnonzero(np.diff(kept) > 1) + 1)
    ]


def sft(export: str) -> None:
    print(f"\n# swift sft, `{export}`")
    trainer = opened(export)
    batch, rows = batch_of(trainer, export, [0, 1])
    for n, row in enumerate(rows):
        print("text:", readable(batch["input_ids"][n], TOKENS), "\ntargets:", learnt(batch, n))
        assert learnt(batch, n) == said(row)
    check_videos(batch, rows)
    if export == "ms-swift":
        print("loss:", trainer.run()["log_history"][-1]["train_loss"])


def dpo(export: str) -> None:
    print(f"\n# swift rlhf --rlhf_type dpo, `{export}`")
    trainer = opened(export, rlhf_type="dpo")
    batch, rows = batch_of(trainer, export, [0, 1], "wrong_steps")
    replies = [said(row)[0] for row in rows] + [row["rejected_response"] + END for row in rows]
    print(
        "text:",
        readable(batch["input_ids"][0], TOKENS),
        "\ntargets:",
        [learnt(batch, n) for n in range(4)],
    )
    assert [learnt(batch, n) for n in range(4)] == [[reply] for reply in replies]
    check_videos(batch, [*rows, *rows])
    print("loss:", trainer.run()["log_history"][-1]["train_loss"])


def grounded(export: str) -> None:
    print(f"\n# swift sft, `{export}`")
    trainer = opened(export)
    batch, (row,) = batch_of(trainer, export, [1])
    reply = said(row)[0]
    grids = batch["image_grid_thw"]
    for name, box, n in zip(*(row["objects"][k] for k in ("ref", "bbox", "image_id")), strict=True):
        sizes = (int(grids[n][2]) * PATCH, int(grids[n][1]) * PATCH) * 2  # Qwen2.5-VL takes pixels
        x, y, right, low = (round(e * size) for e, size in zip(box, sizes, strict=True))
        reply = reply.replace("<ref-object>", f"<|object_ref_start|>{name}<|object_ref_end|>", 1)
        reply = reply.replace("<bbox>", f"<|box_start|>({x},{y}),({right},{low})<|box_end|>", 1)
    print("text:", readable(batch["input_ids"][0], TOKENS), "\ntargets:", learnt(batch, 0))
    assert learnt(batch, 0) == [reply], reply
    check_keyframes(batch, row, export)


def check_keyframes(batch: dict, row: dict, export: str) -> None:
    """The pictures are those that the row names, in order."""
    start = 0
    assert len(batch["image_grid_thw"]) == len(row["images"])
    for grid, name in zip(batch["image_grid_thw"], row["images"], strict=True):
        picture = unpatched(batch["pixel_values"][start:], grid)[0]
        start += int(np.prod(np.asarray(grid)))
        made = Image.open(root / export / name).resize(picture.shape[1::-1])
        assert np.abs(picture - np.asarray(made)).mean() < 4, name
    print("pictures:", row["images"])


def tools(export: str) -> None:
    print(f"\n# swift sft, `{export}`")
    trainer = opened(export, agent_template="hermes")
    batch, (row,) = batch_of(trainer, export, [0])
    print("text:", readable(batch["input_ids"][0], TOKENS), "\ntargets:", learnt(batch, 0))
    assert learnt(batch, 0) == said(row)
    assert "crop_video" in readable(batch["input_ids"][0], TOKENS).split("<|im_start|>user")[0], (
        "no tools"
    )
    check_videos(batch, [row])
    check_keyframes(batch, row, export)
    text = readable(batch["input_ids"][0], TOKENS)
    assert "<tool_response>\n<tool_response>" not in text, (
        "the marks of a tool's reply are there twice"
    )


sft("ms-swift")
sft("ms-swift-frames")
sft("turns")
sft("turns-frames")
dpo("ms-swift-dpo")
grounded("ms-swift-grounded")
tools("tool-calls")
