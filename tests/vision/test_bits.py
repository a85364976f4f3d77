"""Weights in 8 and in 4 bits, by bitsandbytes."""

from __future__ import annotations

from pathlib import Path

import families
import pytest
from speaking import said

from stepc.model.client import Call
from stepc.model.transformers import LocalOptions, TransformersModel


@pytest.mark.parametrize(("bits", "kind"), [(8, "Linear8bitLt"), (4, "Linear4bit")])
def test_weights_in_few_bits(
    bits: int, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layers as wide as a block of weights: on some processors bitsandbytes takes no smaller ones."""
    monkeypatch.setitem(families.TEXT, "hidden_size", 64)
    where = families.make("llava", tmp_path / "tiny")
    model = TransformersModel(where, LocalOptions(bits=bits))
    layer = model.model.model.language_model.layers[0].mlp.up_proj
    assert type(layer).__name__ == kind and model.identity.endswith(f"+{bits}bit")
    prompts = [Call("0", "classify", "what is it?", (), 1.0, (1, 2))]
    assert all(said(model, prompts)[0])
