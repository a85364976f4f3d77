"""Draws many paths at once. Each step of all paths is one NumPy indexing of the edge table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from stepc.sampling.edge_table import LEADS, NONE, Bools, EdgeTable, Ints

Judge = Callable[[list[int]], bool]
"""Decides whether the rows of a path, or of a pair, may be drawn."""


class BatchSampler:
    """Draws random paths of `length` steps.

    `pool` has the possible last rows, one array per edge kind. `expanding` has (kind number, rows that may
    describe a node). As in the paper, all available edge kinds are equally likely, and so are all
    edges of a kind. `judge`, if given, rejects draws.
    """

    def __init__(
        self,
        steps: EdgeTable,
        length: int,
        pool: Sequence[Ints],
        expanding: Sequence[tuple[int, Ints]],
        seed: int,
        judge: Judge | None = None,
    ) -> None:
        self.steps, self.length, self.pool, self.judge = steps, length, pool, judge
        self.rng = np.random.Generator(np.random.PCG64(seed))
        self.last: list[tuple[Ints, Ints]] = []
        """Per expanding kind: rows sorted by found object, and the offset of each object."""
        self.inner: list[tuple[Ints, Ints]] = []
        """The same for kinds and rows that lead to another object."""
        entities = np.arange(len(steps.entity_label) + 1)
        for number, rows in expanding if length > 1 else ():
            rows = rows[np.argsort(steps.found[rows], kind="stable")]
            self.last.append((rows, np.searchsorted(steps.found[rows], entities)))
            if LEADS[number]:
                on = rows[steps.known[rows] != NONE]
                self.inner.append((on, np.searchsorted(steps.found[on], entities)))

    def chains(self, n: int) -> Ints:
        """Draw `n` times. Returns the complete paths in reasoning order, shape (paths, steps)."""
        at = self._ends(n)
        for step in range(1, self.length):
            at = self._expanded(at, self.last if step + 1 == self.length else self.inner)
            at = at[self._new(at)]
        at = at[:, ::-1]
        return self._judged(at[self.steps.meet(at)])

    def _judged(self, at: Ints) -> Ints:
        if self.judge is None:
            return at
        made: Ints = at[np.array([self.judge(rows) for rows in at.tolist()], bool)]
        return made

    def _ends(self, n: int) -> Ints:
        """Draw `n` last steps, shape (n, 1)."""
        which = self.rng.integers(len(self.pool), size=n)
        made = np.empty((n, 1), np.int64)
        for i, rows in enumerate(self.pool):
            mine = which == i
            made[mine, 0] = rows[self.rng.integers(len(rows), size=int(mine.sum()))]
        return made

    def _expanded(self, at: Ints, tables: list[tuple[Ints, Ints]]) -> Ints:
        """Extend paths by one step. Paths whose open node cannot be expanded are dropped."""
        known = self.steps.known[at[:, -1]]
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
        """Whether the known node of the newest step is new in its path."""
        s = self.steps
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
        """Draw `n` pairs of rows. Returns those that may be compared, shape (pairs, 2)."""
        rows = np.concatenate(self.pool)
        return self._judged(rows[self.rng.integers(len(rows), size=(n, 2))])
