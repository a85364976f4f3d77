"""Turns rows into tensors: the instruction from the model's own processor, followed by the target.

A batch is `[padding | instruction][target | padding]`. The target's tokens are appended explicitly, so their
positions are known by construction; no text is searched for the start of a reply.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from stepc.dataset.read import TrainingRow
from stepc.model.client import Call

TASKS = ("answer", "rationale", "parse")
"""Kinds of targets; a batch refers to them by index."""


@dataclass
class Collator:
    """Turns the rows of several samples into one batch."""

    processor: Any
    inputs: Callable[[list[Call]], Any]
    """Applies the processor to prompts, with left padding."""

    def target(self, text: str) -> list[int]:
        """Token ids of a reply, including the end tokens of the chat template."""
        ids = self.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        return [*ids, *self.end]

    @functools.cached_property
    def end(self) -> list[int]:
        """Tokens after a reply: those of the chat template, or else the end-of-text token."""
        asked = {"role": "user", "content": [{"type": "text", "text": "x"}]}
        said = {"role": "assistant", "content": [{"type": "text", "text": "\ue000"}]}
        whole = self.processor.apply_chat_template([asked, said], tokenize=False)
        tokenizer = self.processor.tokenizer
        tail = whole.rpartition("\ue000")[2].rstrip()
        ids = tokenizer(tail, add_special_tokens=False)["input_ids"] if tail else []
        return list(ids) or [tokenizer.eos_token_id]

    def __call__(self, samples: Sequence[Sequence[TrainingRow]]) -> dict[str, Any]:
        """Collate the rows of samples into tensors.

        Adds to the model's inputs: `targets` (rows, length), the target token ids, with -100 for padding; the
        last instruction token predicts the first of them. `task` (rows,) is an index into `TASKS`.
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
                value = torch.cat([value, torch.zeros_like(targets)], 1)  # token types: 0 is text
            batch[name] = value
        batch["targets"] = targets
        batch["task"] = torch.tensor([TASKS.index(row.task) for row in rows])
        return batch
