"""Reads `verl` with verl's own dataset, loader and reward manager, without a cluster.

Usage: python check_verl.py EXPORT_ROOT. Checked: verl's default configuration takes the files; the place of
the video in the prompts; the pixels that its agent loop makes are the frames of the right film, in order;
the reward manager loads `stepc_reward.py`, gives the right reply all, and less for a wrong answer or a
wrong step.

verl has no option for the folder of the videos: it is started in the folder of the export. The default of
`data.max_prompt_length` is 512 tokens, which few videos fit in, so it is set.
"""

# ruff: noqa: E402 (the shims come first)
from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

import shims

shims.torchvision()

import torch
from decoded_batches import (
    check_frames,
    check_split,
    films,
    readable,
    samples,
    tiny_model,
    unpatched,
    versions,
)
from hydra import compose, initialize_config_module
from torchdata.stateful_dataloader import StatefulDataLoader
from verl import DataProto
from verl.experimental.reward_loop.reward_loop import migrate_legacy_reward_impl
from verl.trainer.ppo.reward import load_reward_manager
from verl.trainer.ppo.utils import create_rl_dataset, create_rl_sampler
from verl.utils import hf_processor, hf_tokenizer
from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn
from verl.utils.tokenizer import build_multimodal_processor_inputs

root, work = Path(sys.argv[1]).resolve(), Path(tempfile.mkdtemp())
known = films(root)
versions(
    "torch", "torchvision", "transformers", "datasets", "qwen-vl-utils", "decord", "verl", "stepc"
)
folder = tiny_model(work / "tiny", weights=False)
words, processor = hf_tokenizer(folder), hf_processor(folder)
os.chdir(root / "verl")
with initialize_config_module("verl.trainer.config", version_base=None):
    config = compose("ppo_trainer", [
        "data.train_files=train.parquet", "data.val_files=validation.parquet", "data.max_prompt_length=4096",
        "data.filter_overlong_prompts=true", "data.shuffle=false",
        f"+data.cache_dir={work}", "data.train_batch_size=2", "custom_reward_function.path=stepc_reward.py",
        "custom_reward_function.name=compute_score",
    ])  # fmt: skip
config = migrate_legacy_reward_impl(config)  # as its main program does


async def shown(row: dict) -> None:
    """What the agent loop makes of a row before the model is asked."""
    messages = row["raw_prompt"]
    images, videos, _ = await RLHFDataset.process_multi_modal_info(messages, 14, config.data)
    text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    made = build_multimodal_processor_inputs(processor, text=[text], images=images, videos=videos)
    print("prompt:", readable(made["input_ids"][0], words))
    print({name: tuple(value.shape) for name, value in made.items() if hasattr(value, "shape")})
    pictures = unpatched(made["pixel_values_videos"], made["video_grid_thw"][0])
    check_frames(pictures, row["extra_info"]["id"].split("/")[0] + ".mp4", known)


async def reward(row: dict, reply: str) -> dict:
    """What the reward manager gives for a reply."""
    asked, told = (torch.tensor([words(t)["input_ids"]]) for t in ("?", reply + "<|im_end|>"))
    data = DataProto.from_dict(
        {"prompts": asked, "responses": told, "attention_mask": torch.ones_like(torch.cat([asked, told], 1))},
        {name: [row[name]] for name in ("data_source", "reward_model", "extra_info")},
    )  # fmt: skip
    return await load_reward_manager(config, words).run_single(data)


async def main() -> None:
    for name in ("train", "validation", "test"):
        print(f"\n# `verl`, {name}")
        rows = create_rl_dataset([f"{name}.parquet"], config.data, words, processor)
        loader = StatefulDataLoader(rows, batch_size=2, sampler=create_rl_sampler(config.data, rows),
                                    collate_fn=collate_fn)  # fmt: skip
        batches = list(loader)
        infos = [info for batch in batches for info in batch["extra_info"]]
        assert {info["split"] for info in infos} == {name}
        check_split(root, name, [info["id"].split("/")[0] + ".mp4" for info in infos])
        batch = batches[0]
        print("batch:", {key: len(value) for key, value in batch.items()})
        first = {key: batch[key][0] for key in batch}
        await shown(first)
        truth = json.loads(first["reward_model"]["ground_truth"])
        steps = truth["steps"]
        (sample,) = [s for s in samples(root) if s["id"] == first["extra_info"]["id"]]
        wrong = sample["wrong_steps"][0]
        false = [wrong["text"] if n == wrong["step"] else step for n, step in enumerate(steps, 1)]
        right = f"Answer: {truth['answers'][0]}"
        for told, answer, answered, least, most in (
            (steps, right, 1, 1, 1), (steps, "Answer: nothing", 0, 1, 1),
            (false, right, 1, 0, 0.9), ([], right, 1, 0, 0),
        ):  # fmt: skip
            reply = " ".join([*told, answer])
            got = (await reward(first, reply))["reward_extra_info"]
            print(repr(reply), "->", got)
            assert got["answered"] == answered and least <= got["reasoned"] <= most
            assert got["score"] == got["answered"] + 0.5 * got["reasoned"]


asyncio.run(main())
