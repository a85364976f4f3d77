"""Constrained decoding: llguidance restricts a local model's reply to JSON of the request's schema.

llguidance is a single package of 8 MB; xgrammar, the alternative, pulls in a gigabyte of
dependencies.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

COMPACT: Any = {"whitespace_flexible": False}
"""Forbids extra white space, so that a model cannot fill its reply with blanks."""


class Grammars:
    """Compiles JSON schemas for one tokenizer. Each schema is compiled once."""

    def __init__(self, tokenizer: Any, words: int, ends: Sequence[int]) -> None:
        import llguidance.hf

        self.ends = [token for token in ends if token < words]
        """Tokens that end a reply."""
        self.tokenizer = llguidance.hf.from_tokenizer(tokenizer, n_vocab=words)
        self.words = words
        self.compiled: dict[str, str] = {}

    def steer(self, schemas: Sequence[dict[str, Any] | None], start: int) -> Steer:
        """Return a logits processor that constrains each row of a batch to its schema.

        None leaves a row unconstrained. `start` is the position of the first reply token.
        """
        return Steer(self, [self._matcher(s) if s else None for s in schemas], start)

    def _matcher(self, schema: dict[str, Any]) -> Any:
        from llguidance import LLMatcher

        text = json.dumps(schema, sort_keys=True)
        if text not in self.compiled:
            self.compiled[text] = LLMatcher.grammar_from_json_schema(text, overrides=COMPACT)
        return LLMatcher(self.tokenizer, self.compiled[text])


class Steer:
    """A logits processor that masks tokens that cannot continue to JSON of the row's schema.

    After the JSON only tokens that end the reply are left.
    """

    def __init__(self, grammars: Grammars, matchers: list[Any], start: int) -> None:
        import llguidance.numpy

        self.matchers, self.start, self.ends = matchers, start, grammars.ends
        self.numpy: Any = llguidance.numpy
        self.mask = self.numpy.allocate_token_bitmask(len(matchers), grammars.words)

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        import numpy as np
        import torch

        if input_ids.shape[1] > self.start:
            for matcher, token in zip(self.matchers, input_ids[:, -1].tolist(), strict=True):
                if matcher is not None and not matcher.is_stopped():
                    matcher.consume_token(token)
        self.mask[:] = -1
        over = []
        for row, matcher in enumerate(self.matchers):
            if matcher is not None and not matcher.is_stopped():
                self.numpy.fill_next_token_bitmask(matcher, self.mask, row)
            elif matcher is not None and self.ends:
                over.append(row)
        bits = np.unpackbits(self.mask.view(np.uint8), axis=1, bitorder="little").astype(bool)
        bits[over] = False
        for token in self.ends:
            bits[over, token] = True
        allowed = torch.from_numpy(bits[:, : scores.shape[1]]).to(scores.device)
        return scores.masked_fill(~allowed, float("-inf"))


def grammars(tokenizer: Any, model: Any) -> Grammars | None:
    """Return the grammars of a model; None if llguidance does not support its tokenizer.

    Replies are then generated without constraints.
    """
    words = model.get_output_embeddings().weight.shape[0]
    ends = model.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    try:
        return Grammars(tokenizer, int(words), [t for t in ends if t is not None])
    except (ImportError, AttributeError, TypeError, ValueError, RuntimeError):
        return None
