"""dedupe: drop duplicate questions about the same video.   corpus → corpus"""

from __future__ import annotations

from collections import Counter

from stepc.diagnostics import Statistics
from stepc.ir.words import words_of
from stepc.passmanager.base import LinkPass
from stepc.passmanager.corpus import Corpus, SampleSummary, UnitSummary


class Dedupe(LinkPass):
    """Drops samples whose question, in the same words, occurred before for the same video.

    Videos are the same if their contents are, whatever their names; the first name in order keeps its
    samples. The same question about two different videos is kept twice.
    """

    def run(self, corpus: Corpus, seed: int, counts: Statistics) -> Corpus:
        videos = Counter(card.sha256 for _, card, _ in corpus.walk())
        copied = {sha for sha, times in videos.items() if times > 1}
        before: dict[str, set[tuple[str, ...]]] = {sha: set() for sha in copied}
        seen: set[tuple[str, ...]] = set()
        now = ""

        def keep(card: UnitSummary, number: int, sample: SampleSummary) -> bool:
            nonlocal seen, now
            if card.name != now:
                seen, now = before.get(card.sha256, set()), card.name
            words = words_of(sample.question)
            new = words not in seen
            seen.add(words)
            if not new:
                counts.add("duplicates dropped")
            return new

        return corpus.keeping(keep)
