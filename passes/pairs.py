"""pairs: join questions that are asked twice and have different answers.   corpus → corpus"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from stepc.diagnostics import Statistics
from stepc.ir.words import plain, words_of
from stepc.passmanager.base import LinkPass
from stepc.passmanager.corpus import Corpus


class Pairs(LinkPass):
    """Joins samples into minimal pairs: one question about two videos, or two clips, with two answers.

    Questions about two videos have the same words; questions about two clips of a video may differ in their
    time. A model that answers from the words alone gets at most one of the two right (Krojer et al., 2025,
    MVP). The record of each names the other. A sample is in one pair at most. After `split-sets`, both are of
    the same set, so that pass comes first. Two multiple choices are a pair only if each offers both answers.
    """

    only: bool = False
    """Whether samples that are in no pair are dropped."""

    def run(self, corpus: Corpus, seed: int, counts: Statistics) -> Corpus:
        groups: dict[tuple[object, ...], list[_Asked]] = defaultdict(list)
        for place, card, left in corpus.walk():
            for number, s in left:
                options = frozenset(map(plain, corpus.options.get(number, s.options)))
                rank = hashlib.sha256(f"pairs/{seed}/{card.sha256}/{s.id}".encode()).digest()
                asked = _Asked(rank, number, f"{card.name}/{s.id}", plain(s.answer), options,
                               words_of(s.question), card.sha256)  # fmt: skip
                groups[corpus.set_of(place), s.kind, s.asks].append(asked)
        notes: dict[int, dict[str, object]] = {}
        for group in groups.values():
            for one, other in _joined(group):
                notes[one.number], notes[other.number] = {"pair": other.id}, {"pair": one.id}
        counts.add("pairs", len(notes) // 2)
        merged = {n: {**corpus.notes.get(n, {}), **note} for n, note in notes.items()}
        made = replace(corpus, notes=corpus.notes | merged)
        if not self.only:
            return made
        made = made.keeping(lambda _, number, __: number in notes)
        before, after = (sum(len(x) for _, _, x in c.walk()) for c in (corpus, made))
        counts.add("dropped: in no pair", before - after)
        return made


@dataclass(frozen=True, order=True)
class _Asked:
    """A sample of a group that asks the same."""

    rank: bytes
    number: int
    id: str
    answer: str
    options: frozenset[str]
    said: tuple[str, ...]
    video: str

    def fits(self, other: _Asked) -> bool:
        """Whether the two are a pair: their answers differ, and options offer both."""
        both = {self.answer, other.answer}
        alike = self.said == other.said or self.video == other.video
        return (
            alike
            and len(both) == 2
            and all(not x.options or both <= x.options for x in (self, other))
        )


def _joined(group: list[_Asked]) -> Iterator[tuple[_Asked, _Asked]]:
    """Join as many as possible: each time, one with the commonest answer that is left and another one."""
    left: dict[str, list[_Asked]] = defaultdict(list)
    for asked in sorted(group, reverse=True):
        left[asked.answer].append(asked)
    while len(left) > 1:
        common = min(left, key=lambda answer: (-len(left[answer]), answer))
        one = left[common].pop()
        others = sorted((a for a in left if a != common), key=lambda a: (-len(left[a]), a))
        other = next((x for a in others for x in reversed(left[a]) if one.fits(x)), None)
        if other is not None:
            left[other.answer].remove(other)
            yield one, other
        for answer in [a for a, rest in left.items() if not rest]:
            del left[answer]
