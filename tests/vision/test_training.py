"""Training a model of the Qwen-VL kind, whose positions and kinds of tokens are its own."""

from __future__ import annotations

import json
from pathlib import Path

import families
from test_train import _sample

from stepc.dataset.read import load_dataset
from stepc.train.loop import Recipe, train


def test_a_tiny_qwen_learns_with_an_adapter(film: Path, tmp_path: Path) -> None:
    rows = [json.dumps(_sample(i, film)) for i in range(4)]
    (tmp_path / "qra.jsonl").write_text("\n".join(rows), "utf-8")
    dataset = load_dataset(tmp_path, [film], 2)
    recipe = Recipe(frames=2, steps=30, rate=3e-2, batch=4, lora=8, more=(("logging_steps", 5),))
    where = families.make("qwen2.5-vl", tmp_path / "tiny")
    made = train(dataset, where, tmp_path / "out", recipe)
    losses = [row["loss"] for row in made.history if "loss" in row]
    assert losses[-1] < 0.7 * losses[0]
