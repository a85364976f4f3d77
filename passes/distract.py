"""distract: fill up multiple-choice options with distractors from the corpus.   corpus → corpus"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from stepc.diagnostics import Statistics
from stepc.edges import EDGES
from stepc.ir import types as t
from stepc.ir.words import mentions, normal, plain
from stepc.passmanager.base import LinkPass
from stepc.passmanager.corpus import Corpus
from stepc.proof.facts import facts
from stepc.proof.solver import answers
from stepc.sampling.distractors import Category, apart, same_sort, words
from stepc.sampling.query_builder import QueryBuilder


class Distract(LinkPass):
    """Completes the options of multiple-choice questions whose block takes options `from corpus`.

    A distractor answers questions of the same kind about another video, and the solver must not find it
    as an answer on this one. A question with too few options is dropped and counted.
    """

    whole = True

    def run(self, corpus: Corpus, seed: int, counts: Statistics) -> Corpus:
        if not any(s.room for _, _, left in corpus.walk() for _, s in left):
            return corpus
        pools: dict[Category, dict[str, str]] = defaultdict(dict)
        for place, _, _ in corpus.walk():
            for kind, _, word in words(corpus.units.whole(place)):
                pools[kind].setdefault(plain(word), word)
        sorted_pools = {kind: [p[k] for k in sorted(p)] for kind, p in pools.items()}
        options: dict[int, tuple[str, ...]] = {}
        for place, _, left in corpus.walk():
            wanted = {s.id: number for number, s in left if s.room}
            if wanted:
                for id, made in self._unit(corpus.units.whole(place), seed, sorted_pools):
                    if id in wanted:
                        counts.add("choices completed" if made else "dropped: too few options")
                        options[wanted[id]] = made
        return replace(
            corpus.keeping(lambda _, number, s: not s.room or bool(options[number])),
            options=corpus.options | {number: made for number, made in options.items() if made},
        )

    def _unit(
        self, unit: t.Qras, seed: int, pools: dict[Category, list[str]]
    ) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield for each incomplete sample its id and all its options; no options if too few exist."""
        known, graph = facts(unit), QueryBuilder(unit)
        last = {p.id: p.steps[-1] for p in unit.paths}
        for s in unit.samples:
            if not s.room:
                continue
            rng = random.Random(f"{seed}/{unit.video.sha256}/{s.id}/{s.question}")
            kind = EDGES[last[s.path].edge].category(last[s.path], graph)
            right = answers(s.query, known)
            pool = [w for w in pools.get(kind, ()) if same_sort(kind, w, right[0], graph.language)]
            made = list(s.options)
            for word in rng.sample(pool, len(pool)):
                if len(made) == len(s.options) + s.room:
                    break
                alike = {plain(x) for x in right} | {normal(x) for x in right}
                if plain(word) in alike or normal(word) in alike:
                    continue
                if apart(word, [*made, *right]) and not mentions(s.question, word):
                    made.append(word)
            rng.shuffle(made)
            yield s.id, tuple(made) if len(made) == len(s.options) + s.room else ()
