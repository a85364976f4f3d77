"""Draws or enumerates the reasoning paths of a `paths` block on a graph."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np

from stepc.ir import types as t
from stepc.lang.types import Block, Spec
from stepc.sampling.batch_sampler import BatchSampler
from stepc.sampling.edge_table import NONE, EdgeTable
from stepc.sampling.finish import Finisher
from stepc.sampling.path_rules import PathRules
from stepc.sampling.plan import PathKind, kinds, plan
from stepc.sampling.query_builder import QueryBuilder

BATCH = 1 << 14
"""Maximum number of paths per batch."""
MOST = 2_000_000
"""Maximum number of (partial) walks when paths are enumerated."""
ENOUGH = 1 << 11
"""Drawing stops after a batch of more than this many draws without a new path."""
KeysSeen = set[object]
"""Keys of the questions that are already in use."""


class TooMany(Exception):
    """A block has too many paths to enumerate."""


class PathSampler:
    """Draws the paths of one `paths` block on one graph (section 3.2 of the paper)."""

    def __init__(self, table: EdgeTable, spec: Spec, block: Block) -> None:
        self.table, self.block = table, block
        self.rules = PathRules(table, spec, block, QueryBuilder(table.unit, spec.language))
        self.finisher = Finisher(self.rules)
        self.counts: Counter[str] = Counter()

    def drawn(self, rng: random.Random, known: KeysSeen) -> Iterator[t.Path]:
        """Draw paths at random, without questions in `known`. New keys are added to `known`.

        After a large batch without a new path, the remaining paths of this kind are given up.
        """
        todo = self._plan(rng)
        for kind, wanted in todo:
            made = 0
            for size, batch in self.proposed(kind, wanted * self.block.tries, rng):
                before = made
                for path, key, why in (self.finisher.drawn(kind, x, rng, known) for x in batch):
                    if not why and key in known:
                        why = "the same question"
                    if why or path is None:
                        self.counts[f"drawn anew: {why}"] += 1
                        continue
                    known.add(key)
                    made += 1
                    yield path
                    if made >= wanted:
                        break
                if made >= wanted or (made == before and size > ENOUGH):
                    break
            self._told(kind, made, wanted, todo)

    def proposed(
        self, kind: PathKind, tries: int, rng: random.Random
    ) -> Iterator[tuple[int, list[list[int]]]]:
        """Draw batches, at most `tries` draws in total. Yields (number of draws, rows of the paths).

        Rows are in reasoning order.
        """
        draw, size = self.batches(kind, rng.getrandbits(64)), 64
        if not draw.pool:
            return
        while tries > 0:
            n = min(size, tries, BATCH)
            tries, size = tries - n, size * 4
            made = draw.pairs(n) if kind.asked.compares else draw.chains(n)
            self.counts["drawn anew: dead end"] += n - len(made)
            yield n, made.tolist()

    def batches(self, kind: PathKind, seed: int) -> BatchSampler:
        """The batch sampler for a kind of path."""
        rules = self.rules
        if kind.asked.compares:
            return BatchSampler(
                self.table, 1, rules.pool(kind), (), seed,
                lambda rows: rules.comparable(kind, *rows),
            )  # fmt: skip
        judge = (lambda rows: rules.visits_once(rows[::-1])) if rules.picky else None
        crossing = rules.crossings(kind.time) if kind.reference else None
        none_there = crossing is not None and not len(crossing)
        return BatchSampler(
            self.table, kind.rows, [] if none_there else rules.pool(kind),
            rules.expansions(kind), seed, judge, crossing,
        )  # fmt: skip

    def listed(self, rng: random.Random, known: KeysSeen) -> Iterator[t.Path]:
        """Draw paths uniformly without repetition from all possible paths (reservoir sampling).

        Raises TooMany after `MOST` walks of a kind.
        """
        todo = self._plan(rng)
        for kind, wanted in todo:
            held: list[tuple[t.Path, object]] = []
            new: KeysSeen = set()
            for rows in self.every(kind):
                for path, key, why in self.finisher.finished(kind, rows):
                    if why or key in known or key in new:
                        continue
                    new.add(key)
                    if len(held) < wanted:
                        held.append((path, key))
                    elif (at := rng.randrange(len(new))) < wanted:
                        held[at] = path, key
            self.counts[f"different paths of {kind.steps} steps"] += len(new)
            rng.shuffle(held)
            for path, key in held:
                known.add(key)
                yield path
            self._told(kind, len(held), wanted, todo)

    def census(self) -> Iterator[tuple[t.Path, object, str]]:
        """All paths that the block may draw, as (path, key, reason for rejection or "").

        Raises TooMany after `MOST` walks of a kind.
        """
        for kind in kinds(self.block):
            for rows in self.every(kind):
                yield from self.finisher.finished(kind, rows)

    def _plan(self, rng: random.Random) -> list[tuple[PathKind, int]]:
        """The kinds of paths to draw, and how many of each."""
        self.counts["references that are no step"] += int(self.table.identity_only.sum()) // 2
        return list(plan(self.block, rng, self.rules.references).items())

    def _told(
        self, kind: PathKind, made: int, wanted: int, todo: list[tuple[PathKind, int]]
    ) -> None:
        """Count what was drawn. What has no reference to another clip is drawn without one."""
        self.counts[f"paths of {kind.steps} steps"] += made
        if kind.reference and made < wanted and self.rules.references < 1:
            todo.append((replace(kind, reference=False), wanted - made))
        else:
            self.counts[f"given up: {kind.steps} steps"] += wanted - made

    def every(self, kind: PathKind) -> Iterator[list[int]]:
        """The rows of all paths of a kind in reasoning order, before checks of words and answers.

        Raises TooMany after `MOST` walks.
        """
        looked, rules, s = 0, self.rules, self.table
        starts = [int(r) for _, rows in rules.pool(kind) for r in rows]
        if kind.asked.compares:
            for looked, pair in enumerate(combinations(starts, 2)):
                if looked > MOST:
                    raise TooMany
                if rules.comparable(kind, *pair):
                    yield list(pair)
            return
        first: dict[int, list[int]] = {}
        inner: dict[int, list[int]] = {}
        """Node → the rows that describe it, as the first step of reasoning and as a later one."""
        crossing = rules.crossings(kind.time).tolist() if kind.reference else []
        for _, plain, described in rules.expansions(kind):
            for into, rows in ((first, plain.tolist()), (inner, described.tolist())):
                for row in rows:
                    into.setdefault(int(s.found[row]), []).append(row)
        for row in crossing:
            inner.setdefault(int(s.found[row]), []).append(row)

        def grow(rows: list[int]) -> Iterator[list[int]]:
            nonlocal looked
            looked += 1
            if looked > MOST:
                raise TooMany
            if len(rows) == kind.rows:
                if kind.reference and not s.identity_only[rows].any():
                    return
                if rules.visits_once(rows) and s.meet(np.array([rows[::-1]]))[0]:
                    yield rows[::-1]
                return
            crossed = kind.reference and bool(s.identity_only[rows].any())
            last = len(rows) + 1 == kind.rows
            for row in (first if last else inner).get(int(s.known[rows[-1]]), ()):
                if s.identity_only[row] and crossed:
                    continue
                if (last or s.known[row] != NONE) and rules.visits_once([*rows, row]):
                    yield from grow([*rows, row])

        for start in starts:
            yield from grow([start])
