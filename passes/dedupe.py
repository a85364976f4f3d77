"""dedupe: no question twice about one video.   corpus → corpus"""

from __future__ import annotations

from stepc.diagnostics import Statistics
from stepc.ir import types as t
from stepc.ir.meaning import words_of
from stepc.pipeline import Corpus, LinkPass


class Dedupe(LinkPass):
    """Drops a sample whose question (in the same words) was asked of the same video before.

    Videos are the same if their bytes are, whatever their names; the first name in order keeps
    its samples. One question about two videos is two samples.
    """

    def run(self, corpus: Corpus, seed: int, counts: Statistics) -> Corpus:
        """The corpus with different samples."""
        seen: set[tuple[str, tuple[str, ...]]] = set()
        units = []
        for unit in corpus.units:
            kept: list[t.Sample] = []
            for s in unit.samples:
                key = (unit.video.sha256, words_of(s.question))
                if key in seen:
                    counts.add("duplicates dropped")
                else:
                    seen.add(key)
                    kept.append(s)
            units.append(unit.evolve(samples=tuple(kept)))
        return corpus.model_copy(update={"units": tuple(units)})
