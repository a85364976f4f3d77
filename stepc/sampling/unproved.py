"""What a block would ask about if the graph knew that it is not so."""

from __future__ import annotations

import random
from collections.abc import Iterator

from stepc.lang.types import Block, Spec
from stepc.sampling.distractors import Distractors
from stepc.sampling.edge_table import EdgeTable
from stepc.sampling.graph_facts import OpenFact
from stepc.sampling.negatives import PatternNegatives
from stepc.sampling.paths import PathSampler
from stepc.sampling.patterns import PatternSampler

TRIES = 4
"""Paths that are drawn for each question that a block may have."""


def unproved(
    table: EdgeTable, spec: Spec, block: Block, rng: random.Random
) -> Iterator[tuple[OpenFact, ...]]:
    """For each question of a block, in random order, the facts that would have to be false."""
    if block.pattern is not None:
        yield from PatternNegatives(PatternSampler(table, spec, block)).unproved(rng)
        return
    claims = {"form": (("claim", 1.0),), "count": TRIES * block.deny}
    walk = PathSampler(table, spec, block.model_copy(update=claims))
    words = Distractors(table.unit, walk.rules.graph)
    for path in walk.drawn(rng, set()):
        others = [words.graph.answer(x) for x in path.also]
        if facts := words.unproved(path.steps[-1], others, rng):
            yield facts
