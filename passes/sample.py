"""sample: sample multi-step reasoning paths in the graph, as the spec declares.   stsg → paths"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from stepc.diagnostics import Place, fail
from stepc.ir import types as t
from stepc.lang.types import Spec
from stepc.passmanager.base import Pass, Tools
from stepc.sampling.edge_table import EdgeTable
from stepc.sampling.paths import KeysSeen, PathSampler, TooMany
from stepc.sampling.patterns import PatternSampler


class SamplePaths(Pass[t.Stsg, t.Paths]):
    """Multi-step reasoning path sampling (section 3.2 of the paper).

    A random connected pair gives the innermost question: one end is the answer (A), the other end is
    open (Q). In each further step, the open node is expanded along one of its edges: it becomes an
    answer described by that edge, and the other end of the edge becomes the open node. Finally, an
    event may give the time range. Each step adds one edge, so a path is a chain. A dead end, an
    ambiguous step or a leaked answer causes another draw.

    A reference between objects of one label leads to another clip, but is no step: it says that the circle
    is the circle. A third of the paths use one between two steps, as far as there are any.

    With `enumerate`, a block draws uniformly and without repetition from all possible paths.
    """

    uses: ClassVar[frozenset[str]] = frozenset(["drawing", "seed"])

    def run(self, unit: t.Stsg, tools: Tools) -> t.Paths:
        spec = tools.the_spec()
        steps = EdgeTable(unit, spec.language)
        made: list[t.Path] = []
        known: KeysSeen = set()
        for block in spec.blocks:
            walk: PathSampler | PatternSampler = (
                PatternSampler(steps, spec, block)
                if block.pattern
                else PathSampler(steps, spec, block)
            )
            rng = tools.rng(unit, f"sample {block.name}", block.seed)
            if isinstance(walk, PathSampler) and block.enumerate:
                drawn = walk.listed(rng, known)
            else:
                drawn = walk.drawn(rng, known)
            try:
                for path in drawn:
                    made.append(path.model_copy(update={"id": f"p{len(made)}"}))
            except TooMany:
                message = f"`{block.name}` has too many paths on this graph to enumerate"
                help = "remove `enumerate`, or filter what paths may use"
                raise fail("P009", message, Place(unit.name), help) from None
            for what, n in walk.counts.items():
                tools.counts.add(what, n)
        return t.raise_to(t.Paths, unit, paths=tuple(made))


@dataclass
class Census:
    """The number of different paths, and why some of them are rejected."""

    counts: Counter[tuple[str, int, str, str]] = field(default_factory=Counter)
    """(block, number of steps, kind of the last edge, reason for rejection or "") → number of paths."""
    whole: bool = True
    """Whether all paths were counted."""


def census(unit: t.Stsg, spec: Spec, most: int) -> Census:
    """Count the different paths that `spec` allows on `unit`, up to `most`.

    Paths are the same if their queries and forms are the same. A path with different time ranges counts
    once for each.
    """
    found = Census()
    try:
        for key in _listed(EdgeTable(unit, spec.language), spec):
            if sum(found.counts.values()) >= most:
                raise TooMany
            found.counts[key] += 1
    except TooMany:
        found.whole = False
    return found


def _listed(table: EdgeTable, spec: Spec) -> Iterator[tuple[str, int, str, str]]:
    """(block, steps, kind of the last edge, reason for rejection or "") of all different paths."""
    for block in spec.blocks:
        known: KeysSeen = set()
        kind = PatternSampler if block.pattern else PathSampler
        walk = kind(table, spec, block)
        for path, key, why in walk.census():
            if key not in known:
                known.add(key)
                yield block.name, path.wanted, path.steps[-1].edge, why
