"""What the checks share: the films, a tiny model, and how a batch is read back."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

PATCH, MERGE = 14, 2
"""Side of a patch of the tiny model, and of the squares of patches that it merges."""
SETS = {"train": "train", "val": "validation", "test": "test"}
"""Names of sets, and what other tools call them."""
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for part in m.content %}{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part.type == 'video' %}<|vision_start|><|video_pad|><|vision_end|>{% else %}{{ part.text }}"
    "{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Qwen2.5-VL's chat template, without its system prompt."""


def versions(*packages: str) -> None:
    print("versions:", ", ".join(f"{name} {version(name)}" for name in packages))


def samples(root: Path) -> list[dict[str, Any]]:
    """The samples of the dataset that was exported."""
    return [json.loads(line) for line in (root / "out" / "qra.jsonl").read_text().splitlines()]


def check_split(root: Path, name: str, videos: list[str], needs: str = "id") -> None:
    """The rows of a set are about its videos, all of them."""
    own = {s["video"] for s in samples(root) if SETS[s["set"]] == name and s.get(needs)}
    assert own and {Path(v).name for v in videos} == own, (name, own, set(videos))
    print(f"{name}: {len(videos)} rows about {len(own)} videos")


def films(root: Path) -> dict[str, np.ndarray]:
    """All frames of each film, [frames, height, width, 3]."""
    import av

    found = {}
    for path in sorted((root / "films").glob("*.mp4")):
        with av.open(str(path)) as file:
            found[path.name] = np.stack(
                [f.to_ndarray(format="rgb24") for f in file.decode(video=0)]
            )
    return found


def check_frames(shown: np.ndarray, name: str, known: dict[str, np.ndarray]) -> None:
    """The pictures, [number, height, width, 3] from 0 to 255, are of this film, in order, from all of it."""
    assert len(shown) >= 2 and shown.std() > 10, "no pictures"
    apart = {film: _apart(shown, frames) for film, frames in known.items()}
    nearest = min(apart, key=lambda film: float(apart[film].min(1).mean()))
    mine = apart[name]
    best = float(mine.min(1).mean())
    assert nearest == name and best < 4, f"pictures of {nearest}, not of {name} ({best:.1f})"
    assert (mine.min(1) < 6).all(), f"a picture that is not of {name}"
    assert _in_order(mine) < best + 0.5, "not in the order of time"
    assert _in_order(mine[::-1]) > _in_order(mine) + 1, "cannot tell the order of time"
    first, last = mine[0].argmin() / mine.shape[1], mine[-1].argmin() / mine.shape[1]
    assert first < 0.4 and last > 0.6, f"not of the whole film: from {first:.0%} to {last:.0%}"
    print(f"frames: {len(shown)} of {shown.shape[2]}x{shown.shape[1]} pixels are those of {name} in order "
          f"(differ by {best:.1f} of 255; in reverse by {_in_order(mine[::-1]):.1f})")  # fmt: skip


def _apart(shown: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Mean difference of each picture from each frame, shrunk to its size."""
    from PIL import Image

    size = (shown.shape[2], shown.shape[1])
    small = [np.asarray(Image.fromarray(f).resize(size, Image.Resampling.BICUBIC)) for f in frames]
    return np.stack([np.abs(np.stack(small) - picture).mean((1, 2, 3)) for picture in shown])


def _in_order(apart: np.ndarray) -> float:
    """The least mean difference if each picture is the same frame as the one before, or a later one."""
    cost = apart[0]
    for row in apart[1:]:
        cost = row + np.minimum.accumulate(cost)
    return float(cost.min() / len(apart))


def unpatched(pixels: Any, grid: Any) -> np.ndarray:
    """The pictures that the patches of Qwen's processor hold, from 0 to 255; two for each of its times."""
    times, high, wide = (int(n) for n in grid)
    blocks = (times, high // MERGE, wide // MERGE, MERGE, MERGE, 3, 2, PATCH, PATCH)
    array = np.asarray(pixels, dtype=np.float32)[: times * high * wide].reshape(blocks)
    array = array.transpose(0, 6, 1, 3, 7, 2, 4, 8, 5)
    array = array.reshape(times * 2, high * PATCH, wide * PATCH, 3)
    mean, spread = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    return (array * spread + mean) * 255


def target(ids: Any, labels: Any, tokenizer: Any) -> str:
    """The text that is learnt: one run of tokens, each its own label."""
    ids, labels = np.asarray(ids), np.asarray(labels)
    learnt = np.flatnonzero(labels != -100)
    assert len(learnt) and (np.diff(learnt) == 1).all(), "no target, or several"
    assert (ids[learnt] == labels[learnt]).all(), "labels are not the tokens"
    return str(tokenizer.decode(ids[learnt]))


def readable(ids: Any, tokenizer: Any) -> str:
    """A text with the number of tokens of each picture, without padding."""
    import re

    text = tokenizer.decode(np.asarray(ids)).replace("<|endoftext|>", "")
    return re.sub(
        r"(<\|(image|video)_pad\|>)+", lambda m: f"[{m[0].count('<|')} {m[2]} tokens]", text
    )


def tiny_model(folder: Path, weights: bool = True) -> str:
    """A Qwen2.5-VL of two small layers with random weights, and a tokenizer of bytes."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import (
        PreTrainedTokenizerFast,
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
    )
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor
    from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
               "<|image_pad|>", "<|video_pad|>"]  # fmt: skip
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(
        models.BPE(vocab={c: i for i, c in enumerate([*special, *alphabet])}, merges=[])
    )
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(special)
    words = PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<|endoftext|>", eos_token="<|im_end|>",
        clean_up_tokenization_spaces=False,
        extra_special_tokens={"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"},
    )  # fmt: skip
    token = {name: words.convert_tokens_to_ids(f"<|{name}|>") for name in
             ("image_pad", "video_pad", "vision_start", "vision_end")}  # fmt: skip
    size = {"shortest_edge": 56 * 56, "longest_edge": 112 * 112}
    how = {"patch_size": PATCH, "merge_size": MERGE, "temporal_patch_size": 2, "size": size}
    processor = Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(**how), tokenizer=words,
        video_processor=Qwen2VLVideoProcessor(**how), chat_template=TEMPLATE,
    )  # fmt: skip
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(words), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 8192,
            "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 2,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2]},
        },
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 32,
            "patch_size": PATCH, "spatial_merge_size": MERGE, "temporal_patch_size": 2, "window_size": 56,
            "fullatt_block_indexes": [1],
        },
        image_token_id=token["image_pad"], video_token_id=token["video_pad"],
        vision_start_token_id=token["vision_start"], vision_end_token_id=token["vision_end"],
    )  # fmt: skip
    torch.manual_seed(0)
    processor.save_pretrained(folder)
    config.architectures = ["Qwen2_5_VLForConditionalGeneration"]
    config.save_pretrained(folder)
    if weights:
        Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder)
    return str(folder)
