"""A tiny model as GGUF files with random weights, and llama.cpp's server around it.

`python tests/llama.py FOLDER PORT` makes the files and serves them until it is stopped.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from tokenizers import pre_tokenizers

WIDTH, LAYERS, HEADS, HIDDEN = 64, 2, 2, 128
SIDE, PATCH = 56, 14
CHAT = (
    "{% for message in messages %}{% if message.content is string %}{{ message.content }}{% else %}"
    "{% for part in message.content %}{{ part.text }}{% endfor %}{% endif %}{% endfor %}:"
)


class _Weights:
    """Adds random matrices, rows first, and vectors of ones and zeros."""

    def __init__(self, writer: Any) -> None:
        self.writer, self.rng = writer, np.random.default_rng(0)

    def matrix(self, name: str, *shape: int, first: Any = None) -> None:
        """The `first` row, or column where it is a dictionary, is given."""
        values = self.rng.normal(0, 0.3, shape).astype(np.float32)
        if isinstance(first, dict):
            values[:, 0] = [first.get(i, first[None]) for i in range(shape[0])]
        elif first is not None:
            values[0] = first
        self.writer.add_tensor(name, values)

    def vector(self, name: str, size: int, value: float) -> None:
        self.writer.add_tensor(name, np.full(size, value, np.float32))


def language(path: Path) -> None:
    """A Llama of two layers with a tokenizer of bytes, that likes to end strings and brackets.

    The first channel is the same for every token and nothing adds to it: a bias.
    """
    w = gguf.GGUFWriter(str(path), "llama")
    tokens = ["<pad>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    w.add_name("tiny")
    w.add_context_length(8192)
    w.add_embedding_length(WIDTH)
    w.add_block_count(LAYERS)
    w.add_feed_forward_length(HIDDEN)
    w.add_head_count(HEADS)
    w.add_head_count_kv(HEADS)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_dimension_count(WIDTH // HEADS)
    w.add_vocab_size(len(tokens))
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(tokens)
    w.add_token_types([gguf.TokenType.CONTROL] * 2 + [gguf.TokenType.NORMAL] * (len(tokens) - 2))
    w.add_token_merges(["a b"])
    w.add_bos_token_id(1)
    w.add_eos_token_id(1)
    w.add_pad_token_id(0)
    w.add_add_bos_token(False)
    w.add_chat_template(CHAT)
    weights = _Weights(w)
    weights.matrix("token_embd.weight", len(tokens), WIDTH, first={None: 2.0})
    for i in range(LAYERS):
        for name in ("attn_q", "attn_k", "attn_v"):
            weights.matrix(f"blk.{i}.{name}.weight", WIDTH, WIDTH)
        weights.matrix(f"blk.{i}.attn_output.weight", WIDTH, WIDTH, first=0.0)
        weights.matrix(f"blk.{i}.ffn_gate.weight", HIDDEN, WIDTH)
        weights.matrix(f"blk.{i}.ffn_up.weight", HIDDEN, WIDTH)
        weights.matrix(f"blk.{i}.ffn_down.weight", WIDTH, HIDDEN, first=0.0)
        weights.vector(f"blk.{i}.attn_norm.weight", WIDTH, 1)
        weights.vector(f"blk.{i}.ffn_norm.weight", WIDTH, 1)
    weights.vector("output_norm.weight", WIDTH, 1)
    liked = {tokens.index(c): 12.0 for c in '"}]:,'} | {tokens.index("</s>"): 4.0, None: 0.0}
    weights.matrix("output.weight", len(tokens), WIDTH, first=liked)
    _write(w)


def sight(path: Path) -> None:
    """CLIP's tower of two layers and a projector, as LLaVA has them."""
    w = gguf.GGUFWriter(str(path), "clip")
    w.add_bool("clip.has_vision_encoder", True)
    w.add_string("clip.projector_type", "mlp")
    w.add_bool("clip.use_gelu", False)
    for name, value in (
        ("image_size", SIDE), ("patch_size", PATCH), ("embedding_length", WIDTH),
        ("feed_forward_length", HIDDEN), ("projection_dim", WIDTH), ("block_count", LAYERS),
        ("attention.head_count", HEADS),
    ):  # fmt: skip
        w.add_uint32(f"clip.vision.{name}", value)
    w.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    w.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    w.add_array("clip.vision.image_std", [0.25, 0.25, 0.25])
    weights = _Weights(w)
    weights.matrix("v.patch_embd.weight", WIDTH, 3, PATCH, PATCH)
    weights.matrix("v.position_embd.weight", (SIDE // PATCH) ** 2 + 1, WIDTH)
    weights.vector("v.class_embd", WIDTH, 0.1)
    names = ["v.pre_ln", "v.post_ln"]
    for i in range(LAYERS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            weights.matrix(f"v.blk.{i}.{name}.weight", WIDTH, WIDTH)
            weights.vector(f"v.blk.{i}.{name}.bias", WIDTH, 0)
        weights.matrix(f"v.blk.{i}.ffn_up.weight", HIDDEN, WIDTH)
        weights.vector(f"v.blk.{i}.ffn_up.bias", HIDDEN, 0)
        weights.matrix(f"v.blk.{i}.ffn_down.weight", WIDTH, HIDDEN)
        weights.vector(f"v.blk.{i}.ffn_down.bias", WIDTH, 0)
        names += [f"v.blk.{i}.ln1", f"v.blk.{i}.ln2"]
    for name in names:
        weights.vector(f"{name}.weight", WIDTH, 1)
        weights.vector(f"{name}.bias", WIDTH, 0)
    for name in ("mm.0", "mm.2"):
        weights.matrix(f"{name}.weight", WIDTH, WIDTH)
        weights.vector(f"{name}.bias", WIDTH, 0)
    _write(w)


def _write(writer: Any) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main(folder: Path, port: int) -> None:
    """Serve the tiny model on loopback."""
    import xllamacpp

    language(folder / "tiny.gguf")
    sight(folder / "sight.gguf")
    p = xllamacpp.CommonParams()
    p.model.path = str(folder / "tiny.gguf")
    p.mmproj.path = str(folder / "sight.gguf")
    p.hostnames, p.port = ["127.0.0.1"], port
    p.n_ctx, p.n_parallel, p.warmup = 16384, 2, False
    p.cpuparams.n_threads = 1
    server = xllamacpp.Server(p)
    print(server.listening_address, flush=True)
    while True:
        time.sleep(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
