"""Reads `llamafactory` with LLaMA-Factory's own loader, template and collator, then trains one step.

Usage: python check_llamafactory.py EXPORT_ROOT. Checked: the sets named in `dataset_info.json`; the
relative paths of the videos are found in `dataset_dir` (the default of `media_dir`), wherever the folder
is; the pixels of a batch are the frames of the right film, in order; the mask covers the reply and the end
of the turn, and nothing else. `llamafactory-frames` (`--media frames`) is read the same way.

Without a GPU: `torchaudio` is an empty module, since its builds need another torch, and only sounds need
it.
"""

# ruff: noqa: E402 (the shims come first)
from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path

import shims

os.environ.update(LLAMAFACTORY_VERBOSITY="ERROR", TRANSFORMERS_VERBOSITY="error")
shims.torchvision()
shims.empty("torchaudio")

import numpy as np
from decoded_batches import (
    check_frames,
    check_split,
    films,
    readable,
    target,
    tiny_model,
    unpatched,
    versions,
)
from llamafactory.data import (
    SFTDataCollatorWith4DAttentionMask,
    get_dataset,
    get_template_and_fix_tokenizer,
)
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer
from llamafactory.train.tuner import run_exp

root, work = Path(sys.argv[1]), Path(tempfile.mkdtemp())
known = films(root)
versions("torch", "torchvision", "transformers", "datasets", "av", "llamafactory")
ARGUMENTS = {
    "model_name_or_path": tiny_model(work / "tiny"), "template": "qwen2_vl", "stage": "sft", "do_train": True,
    "finetuning_type": "full", "dataset": "stepc_train", "eval_dataset": "stepc_validation",
    "cutoff_len": 4096, "video_max_pixels": 112 * 112, "output_dir": str(work / "out"),
    "per_device_train_batch_size": 2,
    "max_steps": 1, "report_to": "none", "use_cpu": True, "bf16": False, "save_strategy": "no",
}  # fmt: skip


def film(row: dict) -> str:
    """The name of a row's video, or of the folder of its frames."""
    video = row["videos"][0]
    return Path(video).name if isinstance(video, str) else Path(video[0]).parent.name


def batches(folder: Path, evaluated: str) -> None:
    """The first two rows of each set as a batch."""
    arguments = {**ARGUMENTS, "dataset_dir": str(folder), "eval_dataset": f"stepc_{evaluated}"}
    model_args, data_args, training_args, _, _ = get_train_args(arguments)
    tools = load_tokenizer(model_args)
    words = tools["tokenizer"]
    template = get_template_and_fix_tokenizer(words, data_args)
    with contextlib.redirect_stdout(
        io.StringIO()
    ):  # it prints an example, with each token of the video
        sets = get_dataset(template, model_args, data_args, training_args, stage="sft", **tools)
    collate = SFTDataCollatorWith4DAttentionMask(template=template, **tools)
    for part, rows in (("train", sets["train_dataset"]), (evaluated, sets["eval_dataset"])):
        written = json.loads((folder / f"{part}.json").read_text())
        assert len(rows) == len(written)
        check_split(root, part, [film(row) for row in rows])
        batch = collate([dict(rows[0]), dict(rows[1])])
        print(
            {name: tuple(value.shape) for name, value in batch.items() if hasattr(value, "shape")}
        )
        print(
            "seconds between pairs of frames:",
            [float(x) for x in batch.get("second_per_grid_ts", [])],
        )
        start = 0
        for n, grid in enumerate(batch["video_grid_thw"]):
            reply = target(batch["input_ids"][n], batch["labels"][n], words)
            if n:
                print("batch:", readable(batch["input_ids"][n], words), "\ntarget:", repr(reply))
            asked, answer = (m["content"] for m in written[n]["messages"])
            assert reply == answer + "<|im_end|>\n"
            text = readable(batch["input_ids"][n], words)
            assert text.index("video tokens]") < text.index(asked.removeprefix("<video>"))
            pictures = unpatched(batch["pixel_values_videos"][start:], grid)
            start += int(np.prod(np.asarray(grid)))
            check_frames(pictures, film(written[n]), known)


print("\n# `llamafactory`, train and validation")
batches(root / "llamafactory", "validation")
print("\n# `llamafactory`, test")
batches(root / "llamafactory", "test")
print("\n# `llamafactory` with --media frames")
batches(root / "llamafactory-frames", "validation")
print("\n# one step")
with contextlib.redirect_stdout(io.StringIO()):
    run_exp({**ARGUMENTS, "dataset_dir": str(root / "llamafactory")})
print((work / "out" / "train_results.json").read_text())
