"""split-sets: assign each video to train, validation or test.   corpus → corpus"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Self

from pydantic import Field, model_validator

from stepc.diagnostics import Statistics
from stepc.passmanager.base import LinkPass
from stepc.passmanager.corpus import Corpus

SETS = ("train", "val", "test")


class SplitSets(LinkPass):
    """Assigns each video to one set by a hash of the seed and its content.

    All questions about a video are in the same set, also those about copies under other names. Adding
    videos never changes the set of another video.
    """

    val: float = Field(0.1, ge=0, le=1)
    """Fraction of the videos for validation."""
    test: float = Field(0.1, ge=0, le=1)
    """Fraction of the videos for testing."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.val + self.test > 1:
            raise ValueError("the sum of val and test must be at most 1")
        return self

    def run(self, corpus: Corpus, seed: int, counts: Statistics) -> Corpus:
        sets = bytearray()
        for _, card, _ in corpus.walk():
            key = f"{seed}/{card.sha256}".encode()
            at = int.from_bytes(hashlib.sha256(key).digest()[:8], "big") / 2**64
            name = "test" if at < self.test else "val" if at < self.test + self.val else "train"
            counts.add(f"videos in {name}")
            sets.append(SETS.index(name))
        return replace(corpus, sets=bytes(sets), names=SETS)
