"""balance: limit over-represented step counts and answers.   corpus → corpus"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from stepc.diagnostics import Statistics
from stepc.ir.words import plain
from stepc.passmanager.base import LinkPass
from stepc.passmanager.corpus import Corpus
from stepc.runtime.lazy import LazyModule

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")


class Balance(LinkPass):
    """Drops samples of over-represented groups (section 4.4: a balanced step mix trains best).

    Which samples are dropped depends only on the seed, the video and the question.
    """

    steps: float = Field(2.0, ge=0)
    """Maximum samples per step count, as a multiple of the rarest step count; 0 disables this limit."""
    mix: str = Field("", pattern=r"^(\d+:\d+(\.\d+)?(;\d+:\d+(\.\d+)?)*)?$")
    """Target mix of step counts, such as `1:0.5;2:0.5`; replaces `steps`, drops unlisted step counts."""
    most: int = Field(0, ge=0)
    """Maximum samples per video; 0 disables this limit."""
    answer: float = Field(0.5, ge=0, le=1)
    """Maximum fraction of one answer among questions of one kind, and among those of one skeleton (the same
    question about other things); 1 disables this limit."""
    least: int = Field(100, ge=0)
    """Minimum samples in the corpus, or per kind or skeleton, for the limits to apply."""

    def run(self, corpus: Corpus, seed: int, counts: Statistics) -> Corpus:
        pool = _Pool(corpus, seed)
        left = self._answers(pool, pool.order, pool.kinds, counts)
        left = self._answers(pool, left, pool.skeletons, counts)
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
        """Keep as many samples as the target proportions allow; `least` does not apply."""
        parts = (part.split(":") for part in self.mix.split(";"))
        wanted = {int(n): float(share) for n, share in parts}
        count = Counter(pool.steps[i] for i in left)
        whole = min((count[n] / share for n, share in wanted.items() if share > 0), default=0.0)
        return _first(
            left, pool.steps, lambda n: round(whole * wanted.get(n, 0.0)), counts, "{} steps"
        )

    def _most(self, pool: _Pool, left: Sequence[int], counts: Statistics) -> Sequence[int]:
        return _first(left, pool.units, lambda unit: self.most, counts, "one video")

    def _answers(
        self, pool: _Pool, before: Sequence[int], groups: Sequence[int], counts: Statistics
    ) -> Sequence[int]:
        """Limit the most frequent answer of each group of questions to the fraction `answer`."""
        count: dict[int, Counter[int]] = defaultdict(Counter)
        for i in before:
            count[groups[i]][pool.plain[pool.answers[i]]] += 1
        most: dict[tuple[int, int], int] = {}
        for kind, answers in count.items():
            (common, times), *_ = answers.most_common(1)
            rest = answers.total() - times
            if self.answer < 1 and rest + times >= self.least and rest:
                most[kind, common] = min(times, int(rest * self.answer / (1 - self.answer)))
        seen: Counter[tuple[int, int]] = Counter()
        left = array("Q")
        for i in before:
            key = groups[i], pool.plain[pool.answers[i]]
            seen[key] += key in most
            if key in most and seen[key] > most[key]:
                counts.add(f"dropped: too often {pool.words[pool.answers[i]]!r}")
            else:
                left.append(i)
        return left


class _Pool:
    """The data that balancing needs, in arrays of about 30 bytes per sample."""

    def __init__(self, corpus: Corpus, seed: int) -> None:
        ranks, self.numbers, self.units = array("Q"), array("Q"), array("L")
        self.steps, self.kinds, self.answers = array("H"), array("L"), array("L")
        self.skeletons = array("L")
        kinds: dict[str, int] = {}
        skeletons: dict[tuple[str, str], int] = {}
        words: dict[str, int] = {}
        for place, card, left in corpus.walk():
            for number, s in left:
                key = f"{seed}/{card.sha256}/{s.id}/{s.question}".encode()
                ranks.append(int.from_bytes(hashlib.sha256(key).digest()[:8], "big"))
                self.numbers.append(number)
                self.units.append(place)
                self.steps.append(s.steps)
                self.kinds.append(kinds.setdefault(s.kind, len(kinds)))
                same = (s.kind, s.skeleton)
                self.skeletons.append(skeletons.setdefault(same, len(skeletons)))
                self.answers.append(words.setdefault(s.answer, len(words)))
        self.words = list(words)
        simple: dict[str, int] = {}
        self.plain = [simple.setdefault(plain(word), len(simple)) for word in words]
        """For each answer, the number of its normalised form."""
        self.order = array("Q", np.argsort(np.asarray(ranks), kind="stable").tolist())
        """Samples in order of their ranks, which depend only on seed, video and question."""


def _first(
    left: Sequence[int],
    groups: Sequence[int],
    most: Callable[[int], int],
    counts: Statistics,
    what: str,
) -> Sequence[int]:
    """Keep the first `most(group)` samples of each group."""
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
