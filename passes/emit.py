"""emit: select the samples that are written to the dataset.   corpus → corpus"""

from __future__ import annotations

from stepc.diagnostics import Statistics
from stepc.passmanager.base import LinkPass
from stepc.passmanager.corpus import Corpus, SampleSummary, UnitSummary


class Emit(LinkPass):
    """Keeps only samples that are proved by `check` and have all their options, in order of unit names."""

    unchecked: bool = False
    """Also emit samples that `check` has not proved."""

    def run(self, corpus: Corpus, seed: int, counts: Statistics) -> Corpus:
        for what in ("dropped: not proved", "dropped: too few options", "samples"):
            counts.add(what, 0)

        def keep(card: UnitSummary, number: int, sample: SampleSummary) -> bool:
            proved = sample.checked or self.unchecked
            whole = not sample.room or number in corpus.options
            why = "samples" if proved and whole else "dropped: too few options"
            counts.add(why if proved else "dropped: not proved")
            return proved and whole

        return corpus.keeping(keep)
