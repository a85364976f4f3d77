"""distract: wrong options from the rest of the corpus, where a graph has too few.   corpus → corpus"""

from __future__ import annotations

import random
from collections import defaultdict

from stepc.diagnostics import Statistics
from stepc.ir import types as t
from stepc.ir.meaning import mentions, normal, plain
from stepc.pipeline import Corpus, LinkPass
from stepc.query import Said
from stepc.rivals import Category, apart, category, words
from stepc.solver import answers, facts


class Distract(LinkPass):
    """Completes multiple choices whose block takes options `from corpus`.

    Such an option answers questions of the same kind on another video; on this one the solver
    must not find it. A choice that stays too small is dropped and counted.
    """

    def run(self, corpus: Corpus, seed: int, counts: Statistics) -> Corpus:
        """The corpus with whole choices."""
        pools: dict[Category, dict[str, str]] = defaultdict(dict)
        if any(s.room for u in corpus.units for s in u.samples):
            for unit in corpus.units:
                for kind, _, word in words(unit):
                    pools[kind].setdefault(plain(word), word)
        sorted_pools = {kind: [p[k] for k in sorted(p)] for kind, p in pools.items()}
        units = tuple(
            self._unit(u, seed, sorted_pools, counts) if any(s.room for s in u.samples) else u
            for u in corpus.units
        )
        return corpus.model_copy(update={"units": units})

    def _unit(
        self, unit: t.Qras, seed: int, pools: dict[Category, list[str]], counts: Statistics
    ) -> t.Qras:
        known, said = facts(unit), Said(unit)
        last = {p.id: p.steps[-1] for p in unit.paths}
        kept = []
        for s in unit.samples:
            if s.room:
                rng = random.Random(f"{seed}/{unit.video.sha256}/{s.id}/{s.question}")
                pool = pools.get(category(last[s.path], said), [])
                right = answers(s.query, known)
                made = list(s.options)
                for word in rng.sample(pool, len(pool)):
                    if len(made) == len(s.options) + s.room:
                        break
                    alike = {plain(x) for x in right} | {normal(x) for x in right}
                    if plain(word) in alike or normal(word) in alike:
                        continue
                    if apart(word, [*made, *right]) and not mentions(s.question, word):
                        made.append(word)
                if len(made) < len(s.options) + s.room:
                    counts.add("dropped: too few options")
                    continue
                counts.add("choices completed")
                rng.shuffle(made)
                s = s.model_copy(update={"options": tuple(made), "room": 0})
            kept.append(s)
        return unit.evolve(samples=tuple(kept))
