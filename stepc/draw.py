"""Draws many paths at once: every step of all of them is one indexing of the table of steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stepc.ir import types as t
from stepc.steps import KIND, NONE, Bools, Ints

if TYPE_CHECKING:
    from stepc.walk import Kind, Walk


class Batches:
    """Random paths of one kind, from the rows `pool` that they may end with, by kind of edge.

    As in the paper each kind of edge is as likely as any other that is there, and within it each
    edge.
    """

    def __init__(self, walk: Walk, kind: Kind, pool: list[Ints], seed: int) -> None:
        self.walk, self.kind, self.pool = walk, kind, pool
        self.rng = np.random.Generator(np.random.PCG64(seed))
        s, one = walk.steps, walk.one(kind.time)
        self.last: list[tuple[Ints, Ints]] = []
        """For each kind that expands: rows by the object they find, and where each object's begin."""
        self.inner: list[tuple[Ints, Ints]] = []
        """The same of those that lead on to another object."""
        entities = np.arange(len(s.entity_label) + 1)
        for number, fits in walk.expanding if kind.steps > 1 and kind.form not in t.PAIRS else ():
            rows = np.flatnonzero(fits & one)
            rows = rows[np.argsort(s.found[rows], kind="stable")]
            self.last.append((rows, np.searchsorted(s.found[rows], entities)))
            if number in (KIND["rel"], KIND["ref"]):
                on = rows[s.known[rows] != NONE]
                self.inner.append((on, np.searchsorted(s.found[on], entities)))

    def chains(self, n: int) -> Ints:
        """`n` draws; those that came to their length (found, steps), in reasoning order."""
        at = self._ends(n)
        for step in range(1, self.kind.steps):
            at = self._expanded(at, self.last if step + 1 == self.kind.steps else self.inner)
            at = at[self._new(at)]
        at = at[:, ::-1]
        at = at[self.walk.steps.meet(at)]
        if self.walk.picky:
            fits = [self.walk.visits_once(rows[::-1]) for rows in at.tolist()]
            at = at[np.array(fits, bool)]
        return at

    def _ends(self, n: int) -> Ints:
        """`n` last steps, as a column."""
        which = self.rng.integers(len(self.pool), size=n)
        made = np.empty((n, 1), np.int64)
        for i, rows in enumerate(self.pool):
            mine = which == i
            made[mine, 0] = rows[self.rng.integers(len(rows), size=int(mine.sum()))]
        return made

    def _expanded(self, at: Ints, tables: list[tuple[Ints, Ints]]) -> Ints:
        """Paths with one more step; those whose open node has one."""
        known = self.walk.steps.known[at[:, -1]]
        if not tables:
            return np.empty((0, at.shape[1] + 1), np.int64)
        counts = np.stack([starts[known + 1] - starts[known] for _, starts in tables])
        alive = counts.any(axis=0)
        at, known, counts = at[alive], known[alive], counts[:, alive]
        chosen = np.argmax(self.rng.random(counts.shape) * (counts > 0), axis=0)
        some = counts[chosen, np.arange(len(at))]
        offset = (self.rng.random(len(at)) * some).astype(np.int64)
        made = np.empty(len(at), np.int64)
        for i, (rows, starts) in enumerate(tables):
            mine = chosen == i
            made[mine] = rows[starts[known[mine]] + offset[mine]]
        return np.column_stack([at, made])

    def _new(self, at: Ints) -> Bools:
        """Whether the node that each path now knows is none of those it has."""
        s = self.walk.steps
        first, row = at[:, 0], at[:, -1]
        known = s.known[row]
        same = np.where(
            known == NONE,
            (s.found[first] == NONE) & (s.word[first] == s.word[row]),
            s.found[first] == known,
        )
        for before in range(at.shape[1] - 1):
            same |= (s.known[at[:, before]] == known) & (known != NONE)
        fresh: Bools = ~same
        return fresh

    def pairs(self, n: int) -> Ints:
        """`n` draws of two rows; those that can be compared."""
        rows = np.concatenate(self.pool)
        at = rows[self.rng.integers(len(rows), size=(n, 2))]
        fits = [a != b and self.walk.comparable(self.kind, a, b) for a, b in at.tolist()]
        made: Ints = at[np.array(fits, bool)]
        return made
