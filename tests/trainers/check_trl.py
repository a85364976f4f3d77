"""Reads `trl`, `dpo` and `grpo` with TRL's own trainers and takes one step with each.

Usage: python check_trl.py EXPORT_ROOT. Checked: each set is its own file; the collator's pictures are the
frames of the right film, in order; the mask of SFTTrainer covers the reply and the end of the turn, and
nothing else; DPOTrainer sees both replies behind one prompt; the columns of a GRPO row reach the rewards of
stepc, and the right reply gets all of them.

`max_length=None`, since TRL's default of 1024 would cut the tokens of the frames off.
"""

# ruff: noqa: E402 (the shims come first)
from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import shims

shims.torchvision()

import numpy as np
from datasets import DatasetDict, load_dataset
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
from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration
from trl import (
    DPOConfig,
    DPOTrainer,
    GRPOConfig,
    GRPOTrainer,
    SFTConfig,
    SFTTrainer,
)

from stepc.grading.reward import answered, reasoned

root, work = Path(sys.argv[1]), Path(tempfile.mkdtemp())
known = films(root)
folder = tiny_model(work / "tiny")
processor = AutoProcessor.from_pretrained(folder)
words = processor.tokenizer
COMMON = {"per_device_train_batch_size": 2, "per_device_eval_batch_size": 2, "max_steps": 1, "report_to": [],
          "use_cpu": True, "bf16": False, "save_strategy": "no", "disable_tqdm": True}  # fmt: skip
FRAMES = 8


def model() -> Qwen2_5_VLForConditionalGeneration:
    return Qwen2_5_VLForConditionalGeneration.from_pretrained(folder)


def film(row: dict) -> str:
    return row["id"].split("/")[0] + ".mp4"


def opened(name: str, needs: str = "id") -> DatasetDict:
    """An export, with the videos of its sets checked."""
    sets = load_dataset(
        "parquet", data_files={p.stem: str(p) for p in (root / name).glob("*.parquet")}
    )
    assert set(sets) == {"train", "validation", "test"}, sets
    for part, rows in sets.items():
        check_split(root, part, [i.split("/")[0] + ".mp4" for i in rows["id"]], needs)
    return sets


def check_pictures(batch: dict, rows: list[dict]) -> None:
    """The frames of the rows, eight for each, one after another."""
    grids = np.asarray(batch["image_grid_thw"])
    assert len(grids) == FRAMES * len(rows), grids.shape
    starts = np.concatenate([[0], np.cumsum(grids.prod(1))])
    pictures = np.stack(
        [unpatched(batch["pixel_values"][starts[n] :], grid)[0] for n, grid in enumerate(grids)]
    )
    for n, row in enumerate(rows):
        check_frames(pictures[n * FRAMES : (n + 1) * FRAMES], film(row), known)


def sft() -> None:
    print("\n# SFTTrainer, `trl`")
    sets = opened("trl")
    trainer = SFTTrainer(
        model(), SFTConfig(str(work / "sft"), max_length=None, **COMMON), train_dataset=sets["train"],
        eval_dataset=sets["validation"], processing_class=processor,
    )  # fmt: skip
    for rows in (sets["train"], sets["validation"]):
        batch = next(iter(trainer.get_eval_dataloader(rows)))  # in their order
        first = [rows[0], rows[1]]
        for n, row in enumerate(first):
            ids = batch["input_ids"][n]
            reply = target(ids, batch["labels"][n], words)
            print("batch:", readable(ids, words))
            print("target:", repr(reply))
            assert reply == row["completion"][0]["content"] + "<|im_end|>\n"
            text = readable(ids, words)
            asked = row["prompt"][0]["content"]
            assert text.count("image tokens]") == FRAMES and text.index(
                "image tokens]"
            ) < text.index(asked)
        check_pictures(batch, first)
    print("loss:", trainer.train().training_loss)


def dpo() -> None:
    print("\n# DPOTrainer, `dpo`")
    sets = opened("dpo", "wrong_steps")
    trainer = DPOTrainer(
        model(), args=DPOConfig(str(work / "dpo"), max_length=None, **COMMON), train_dataset=sets["train"],
        eval_dataset=sets["validation"], processing_class=processor,
    )  # fmt: skip
    rows = [sets["train"][0], sets["train"][1]]
    batch = next(iter(trainer.get_eval_dataloader(sets["train"])))
    print("keys:", {k: tuple(v.shape) for k, v in batch.items()})
    for n, row in enumerate([*rows, *rows]):
        kind = "chosen" if n < len(rows) else "rejected"
        ids, mask = np.asarray(batch["input_ids"][n]), np.asarray(batch["completion_mask"][n])
        reply = target(ids, np.where(mask == 1, ids, -100), words)
        print(
            f"{kind}:", readable(ids[: mask.nonzero()[0][-1] + 1], words) if n == 0 else repr(reply)
        )
        assert reply == row[kind][0]["content"] + "<|im_end|>\n"
    assert all(row["chosen"] != row["rejected"] for row in sets["train"])
    check_pictures(batch, [*rows, *rows])
    print("loss:", trainer.train().training_loss)


def grpo() -> None:
    print("\n# GRPOTrainer, `grpo`")
    sets = opened("grpo")
    reached: list[dict] = []
    shown: list[dict] = []

    def looked(prompts: list, completions: list, **columns: list) -> list[float]:
        reached.append({"prompts": prompts, "completions": completions, **columns})
        return [0.0] * len(prompts)

    class Seen(GRPOTrainer):
        def _generate_and_score_completions(self, inputs: list) -> dict:
            made = super()._generate_and_score_completions(inputs)
            shown.append({"rows": inputs, **made})
            return made

    trainer = Seen(
        model(), reward_funcs=[answered, reasoned, looked], train_dataset=sets["train"],
        processing_class=processor,
        args=GRPOConfig(str(work / "grpo"), num_generations=2, max_completion_length=8, **COMMON),
    )  # fmt: skip
    trainer.train()
    got, made = reached[0], shown[0]
    row = made["rows"][0]
    print("prompt:", readable(made["prompt_ids"][0], words))
    print("reward columns:", {k: got[k][0] for k in ("answers", "steps", "query")})
    assert readable(made["prompt_ids"][0], words).count("image tokens]") == FRAMES
    assert got["facts"][0] == row["facts"] and got["answers"][0] == row["answers"]
    check_pictures(made, made["rows"])
    right = [
        [{"role": "assistant", "content": " ".join(row["steps"]) + f" Answer: {row['answers'][0]}"}]
    ]
    columns = {k: [row[k]] for k in ("answers", "steps", "facts", "query")}
    rewards = answered(right, **columns), reasoned(right, **columns)
    print("rewards of the right reply:", rewards)
    assert rewards == ([1.0], [1.0])


versions("torch", "torchvision", "transformers", "datasets", "trl", "stepc")
sft()
dpo()
grpo()
