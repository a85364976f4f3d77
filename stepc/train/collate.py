"""Rows as tensors: the instruction through the model's own processor, the target behind it.

A batch is `[padding | instruction][target | padding]`. What is learnt is known by construction,
since the target's tokens are put there one by one; no text is searched for where a reply begins.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from stepc.dataset.read import TrainingRow
from stepc.model.client import Call

TASKS = ("answer", "rationale", "parse")
"""What a target is of; its place here stands for it in a batch."""


@dataclass
class Collator:
    """Turns the targets of some samples into one batch."""

    processor: Any
    inputs: Callable[[list[Call]], Any]
    """What the processor makes of prompts, padded on the left."""

    def target(self, text: str) -> list[int]:
        """Token ids of a reply as the model's chat template ends it."""
        ids = self.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        return [*ids, *self.end]

    @functools.cached_property
    def end(self) -> list[int]:
        """The tokens behind a reply: what the chat template puts there, or the end of text."""
        asked = {"role": "user", "content": [{"type": "text", "text": "x"}]}
        said = {"role": "assistant", "content": [{"type": "text", "text": "\ue000"}]}
        whole = self.processor.apply_chat_template([asked, said], tokenize=False)
        tokenizer = self.processor.tokenizer
        tail = whole.rpartition("\ue000")[2].rstrip()
        ids = tokenizer(tail, add_special_tokens=False)["input_ids"] if tail else []
        return list(ids) or [tokenizer.eos_token_id]

    def __call__(self, samples: Sequence[Sequence[TrainingRow]]) -> dict[str, Any]:
        """Tensors of the rows of samples.

        Besides what the model takes: `targets` (rows, length), the token to be said at each place
        from the last of the instruction on, -100 for padding; `task` (rows,), an index in `TASKS`.
        """
        import torch

        rows = [row for sample in samples for row in sample]
        read = self.inputs([Call("", r.task, r.text, r.frames, 0.0, (0,)) for r in rows])
        said = [self.target(row.target) for row in rows]
        longest = max(len(ids) for ids in said)
        pad = self.processor.tokenizer.pad_token_id

        def padded(fill: int) -> Any:
            return torch.tensor([ids + [fill] * (longest - len(ids)) for ids in said])

        targets = padded(-100)
        there = (targets != -100).long()
        shape = read["input_ids"].shape
        batch: dict[str, Any] = {}
        for name, value in read.items():
            if name == "input_ids":
                value = torch.cat([value, padded(pad)], 1)
            elif name == "attention_mask":
                value = torch.cat([value, there], 1)
            elif torch.is_tensor(value) and value.shape == shape and not value.is_floating_point():
                value = torch.cat([value, torch.zeros_like(targets)], 1)  # kinds of tokens: text
            batch[name] = value
        batch["targets"] = targets
        batch["task"] = torch.tensor([TASKS.index(row.task) for row in rows])
        return batch
