"""sample: multi-step reasoning paths over the graph, as a `.step` spec declares.   stsg → paths"""

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


class SamplePaths(Pass[t.Stsg, t.Paths]):
    """Multi-step reasoning path sampling (section 3.2).

    A random connected pair gives the innermost question: its one end is found (A), its other
    end is open (Q). Then, a step at a time, the open node is expanded along one of its edges:
    it becomes an answer and is described by that edge, and the edge's other end is open in its
    place. At last an event may give the time range. One edge a step makes a path a chain, and
    the number of steps the number of edges; a dead end, an ambiguous step or a leaked answer is
    drawn anew.

    A block of the spec that says `enumerate` draws instead from all different paths there are,
    each as likely, none twice.
    """

    uses: ClassVar[frozenset[str]] = frozenset(["drawing", "seed"])

    def run(self, unit: t.Stsg, tools: Tools) -> t.Paths:
        """The unit with the paths of the spec's blocks."""
        spec = tools.the_spec()
        steps = EdgeTable(unit)
        made: list[t.Path] = []
        known: KeysSeen = set()
        for block in spec.blocks:
            walk = PathSampler(steps, spec, block)
            rng = tools.rng(unit, f"sample {block.name}", block.seed)
            drawn = walk.listed(rng, known) if block.enumerate else walk.drawn(rng, known)
            try:
                for path in drawn:
                    made.append(path.model_copy(update={"id": f"p{len(made)}"}))
            except TooMany:
                message = f"`{block.name}` has too many paths on this graph to enumerate"
                help = "leave `enumerate` out, or filter what paths may use"
                raise fail("P009", message, Place(unit.name), help) from None
            for what, n in walk.counts.items():
                tools.counts.add(what, n)
        return t.raise_to(t.Paths, unit, paths=tuple(made))


@dataclass
class Census:
    """How many different paths there are: by block, steps, kind of the last edge, and why not kept."""

    counts: Counter[tuple[str, int, str, str]] = field(default_factory=Counter)
    """(block, steps, kind, rule that drops it or nothing) → how many."""
    whole: bool = True
    """Whether all were counted."""


def census(unit: t.Stsg, spec: Spec, most: int) -> Census:
    """Count the different paths that `spec` allows on `unit`, `most` at most.

    Paths are the same if their queries and forms are; each is counted with every way to give
    it a time that its block draws, and without.
    """
    found = Census()
    try:
        for key in _listed(EdgeTable(unit), spec):
            if sum(found.counts.values()) >= most:
                raise TooMany
            found.counts[key] += 1
    except TooMany:
        found.whole = False
    return found


def _listed(table: EdgeTable, spec: Spec) -> Iterator[tuple[str, int, str, str]]:
    """Block, steps, kind of the last edge, and why not kept, of all different paths."""
    for block in spec.blocks:
        known: KeysSeen = set()
        for path, key, why in PathSampler(table, spec, block).census():
            if key not in known:
                known.add(key)
                yield block.name, len(path.steps), path.steps[-1].edge, why
