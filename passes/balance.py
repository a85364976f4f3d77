"""balance: no number of steps and no answer outweighs the rest.   corpus → corpus"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict

from pydantic import Field

from stepc.diagnostics import Statistics
from stepc.ir import types as t
from stepc.ir.meaning import plain
from stepc.pipeline import Corpus, LinkPass


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
        everything = [(u, s) for u in corpus.units for s in u.samples]
        ranked = sorted(everything, key=lambda us: _rank(seed, us[0], us[1]))
        kept = self._answers(ranked, counts)
        kept = self._mix(kept, counts) if self.mix else self._steps(kept, counts)
        kept = self._most(kept, counts) if self.most else kept
        chosen = {(u.name, s.id) for u, s in kept}
        units = tuple(
            u.evolve(samples=tuple(s for s in u.samples if (u.name, s.id) in chosen))
            for u in corpus.units
        )
        return corpus.model_copy(update={"units": units})

    def _steps(
        self, ranked: list[tuple[t.Qras, t.Sample]], counts: Statistics
    ) -> list[tuple[t.Qras, t.Sample]]:
        count = Counter(len(s.rationale) for _, s in ranked)
        if not self.steps or len(ranked) < self.least or not count:
            return ranked
        most = int(self.steps * min(count.values()))
        seen: Counter[int] = Counter()
        kept = []
        for u, s in ranked:
            seen[len(s.rationale)] += 1
            if seen[len(s.rationale)] <= most:
                kept.append((u, s))
            else:
                counts.add(f"dropped: too many of {len(s.rationale)} steps")
        return kept

    def _mix(
        self, ranked: list[tuple[t.Qras, t.Sample]], counts: Statistics
    ) -> list[tuple[t.Qras, t.Sample]]:
        """As many as there are in the target's proportions, however few the corpus has."""
        parts = (part.split(":") for part in self.mix.split(";"))
        wanted = {int(n): float(share) for n, share in parts}
        count = Counter(len(s.rationale) for _, s in ranked)
        whole = min((count[n] / share for n, share in wanted.items() if share > 0), default=0.0)
        seen: Counter[int] = Counter()
        kept = []
        for u, s in ranked:
            n = len(s.rationale)
            seen[n] += 1
            if seen[n] <= round(whole * wanted.get(n, 0.0)):
                kept.append((u, s))
            else:
                counts.add(f"dropped: too many of {n} steps")
        return kept

    def _most(
        self, ranked: list[tuple[t.Qras, t.Sample]], counts: Statistics
    ) -> list[tuple[t.Qras, t.Sample]]:
        seen: Counter[str] = Counter()
        kept = []
        for u, s in ranked:
            seen[u.name] += 1
            if seen[u.name] <= self.most:
                kept.append((u, s))
            else:
                counts.add("dropped: too many of one video")
        return kept

    def _answers(
        self, ranked: list[tuple[t.Qras, t.Sample]], counts: Statistics
    ) -> list[tuple[t.Qras, t.Sample]]:
        kinds: dict[tuple[str, ...], list[tuple[int, t.Sample]]] = defaultdict(list)
        for rank, (_, s) in enumerate(ranked):
            kinds[_kind(s)].append((rank, s))
        kept = []
        for kind in sorted(kinds):
            group = kinds[kind]
            count = Counter(plain(s.answer) for _, s in group)
            (common, times), *_ = count.most_common(1)
            rest = len(group) - times
            most = times
            if self.answer < 1 and len(group) >= self.least and len(count) > 1:
                most = min(times, int(rest * self.answer / (1 - self.answer)))
            seen = 0
            for rank, s in group:
                seen += plain(s.answer) == common
                if plain(s.answer) != common or seen <= most:
                    kept.append(rank)
                else:
                    counts.add(f"dropped: too often {s.answer!r}")
        return [ranked[rank] for rank in sorted(kept)]


def _kind(s: t.Sample) -> tuple[str, ...]:
    """What a question asks for: its form, the last edge and the attribute's kind."""
    last = next((op for op in reversed(s.query) if isinstance(op, t.Follow)), None)
    if last is None:
        return (s.form,)
    return (s.form, last.edge, last.way, last.word if last.edge == "attr" else "")


def _rank(seed: int, u: t.Qras, s: t.Sample) -> bytes:
    return hashlib.sha256(f"{seed}/{u.video.sha256}/{s.id}/{s.question}".encode()).digest()
