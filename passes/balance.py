"""balance: no number of steps and no answer outweighs the rest.   corpus → corpus"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from pydantic import Field

from stepc.diagnostics import Statistics
from stepc.ir.words import plain
from stepc.passmanager.base import LinkPass
from stepc.passmanager.corpus import Corpus


class Balance(LinkPass):
    """Drops samples of what there is too much of (section 4.4: a balanced step mix trains best).

    Which of the samples go depends on the seed, the video and the question alone.
    """

    steps: float = Field(2.0, ge=0)
    """The most samples of one number of steps, in times the fewest; 0 leaves the mix alone."""
    mix: str = Field("", pattern=r"^(\d+:\d+(\.\d+)?(;\d+:\d+(\.\d+)?)*)?$")
    """The target mix of numbers of steps instead: `1:0.5;2:0.5`; what has none of it goes."""
    most: int = Field(0, ge=0)
    """The most samples of one video; 0 leaves it alone."""
    answer: float = Field(0.5, ge=0, le=1)
    """The largest share of one answer among questions of one kind; 1 leaves answers alone."""
    least: int = Field(100, ge=0)
    """A corpus, or a kind of question, with fewer samples is left alone."""

    def run(self, corpus: Corpus, seed: int, counts: Statistics) -> Corpus:
        """The corpus, balanced."""
        pool = _Pool(corpus, seed)
        left = self._answers(pool, counts)
        left = self._mix(pool, left, counts) if self.mix else self._steps(pool, left, counts)
        left = self._most(pool, left, counts) if self.most else left
        stays = bytearray(max(pool.numbers, default=-1) + 1)
        for i in left:
            stays[pool.numbers[i]] = 1
        return corpus.keeping(lambda _, number, __: bool(stays[number]))

    def _steps(self, pool: _Pool, left: Sequence[int], counts: Statistics) -> Sequence[int]:
        count = Counter(pool.steps[i] for i in left)
        if not self.steps or len(left) < self.least or not count:
            return left
        most = int(self.steps * min(count.values()))
        return _first(left, pool.steps, lambda n: most, counts, "{} steps")

    def _mix(self, pool: _Pool, left: Sequence[int], counts: Statistics) -> Sequence[int]:
        """As many as there are in the target's proportions, however few the corpus has."""
        parts = (part.split(":") for part in self.mix.split(";"))
        wanted = {int(n): float(share) for n, share in parts}
        count = Counter(pool.steps[i] for i in left)
        whole = min((count[n] / share for n, share in wanted.items() if share > 0), default=0.0)
        return _first(
            left, pool.steps, lambda n: round(whole * wanted.get(n, 0.0)), counts, "{} steps"
        )

    def _most(self, pool: _Pool, left: Sequence[int], counts: Statistics) -> Sequence[int]:
        return _first(left, pool.units, lambda unit: self.most, counts, "one video")

    def _answers(self, pool: _Pool, counts: Statistics) -> Sequence[int]:
        """Of each kind of question the commonest answer no more often than its share."""
        count: dict[int, Counter[int]] = defaultdict(Counter)
        for i in pool.order:
            count[pool.kinds[i]][pool.plain[pool.answers[i]]] += 1
        most: dict[tuple[int, int], int] = {}
        for kind, answers in count.items():
            (common, times), *_ = answers.most_common(1)
            rest = answers.total() - times
            if self.answer < 1 and rest + times >= self.least and rest:
                most[kind, common] = min(times, int(rest * self.answer / (1 - self.answer)))
        seen: Counter[tuple[int, int]] = Counter()
        left = array("Q")
        for i in pool.order:
            key = pool.kinds[i], pool.plain[pool.answers[i]]
            seen[key] += key in most
            if key in most and seen[key] > most[key]:
                counts.add(f"dropped: too often {pool.words[pool.answers[i]]!r}")
            else:
                left.append(i)
        return left


class _Pool:
    """What balancing needs of all samples, in arrays: some thirty bytes of each."""

    def __init__(self, corpus: Corpus, seed: int) -> None:
        ranks, self.numbers, self.units = array("Q"), array("Q"), array("L")
        self.steps, self.kinds, self.answers = array("H"), array("L"), array("L")
        kinds: dict[str, int] = {}
        words: dict[str, int] = {}
        for place, card, left in corpus.walk():
            for number, s in left:
                key = f"{seed}/{card.sha256}/{s.id}/{s.question}".encode()
                ranks.append(int.from_bytes(hashlib.sha256(key).digest()[:8], "big"))
                self.numbers.append(number)
                self.units.append(place)
                self.steps.append(s.steps)
                self.kinds.append(kinds.setdefault(s.kind, len(kinds)))
                self.answers.append(words.setdefault(s.answer, len(words)))
        self.words = list(words)
        simple: dict[str, int] = {}
        self.plain = [simple.setdefault(plain(word), len(simple)) for word in words]
        """For each answer the number of what it is without its small words."""
        self.order = array("Q", np.argsort(np.asarray(ranks), kind="stable").tolist())
        """Samples in the order of their ranks, which depends on seed, video and question alone."""


def _first(
    left: Sequence[int],
    groups: Sequence[int],
    most: Callable[[int], int],
    counts: Statistics,
    what: str,
) -> Sequence[int]:
    """Of each group the first ones, so many."""
    seen: Counter[int] = Counter()
    kept = array("Q")
    for i in left:
        group = groups[i]
        seen[group] += 1
        if seen[group] <= most(group):
            kept.append(i)
        else:
            counts.add(f"dropped: too many of {what.format(group)}")
    return kept
