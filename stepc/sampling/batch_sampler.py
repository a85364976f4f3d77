"""Draws many paths at once. Each step of all paths is one NumPy indexing of the edge table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from stepc.sampling.edge_table import LEADS, NONE, Bools, EdgeTable, Ints

Judge = Callable[[list[int]], bool]
"""Decides whether the rows of a path, or of a pair, may be drawn."""


class BatchSampler:
    """Draws random paths of `length` rows.

    `pool` has the possible last rows, one array per edge kind, with weights. `expanding` has (kind number,
    rows that may describe a node, rows that may do so if their own known node is described). As in the
    paper, all available edge kinds are equally likely, unless weights say otherwise, and so are all edges
    of a kind. With `crossing`, one row of each path, neither the first nor the last, is one of those.
    `judge`, if given, rejects draws.
    """

    def __init__(
        self,
        steps: EdgeTable,
        length: int,
        pool: Sequence[tuple[float, Ints]],
        expanding: Sequence[tuple[int, Ints, Ints]],
        seed: int,
        judge: Judge | None = None,
        crossing: Ints | None = None,
    ) -> None:
        self.steps, self.length, self.judge = steps, length, judge
        self.pool = [rows for _, rows in pool]
        weights = np.array([weight for weight, _ in pool])
        self.weights = None if len(set(weights)) < 2 else weights / weights.sum()
        """Probability of each kind in `pool`; None if all are equal."""
        self.rng = np.random.Generator(np.random.PCG64(seed))
        self.last: list[tuple[Ints, Ints]] = []
        """Per expanding kind: rows sorted by found object, and the offset of each object."""
        self.inner: list[tuple[Ints, Ints]] = []
        """The same for kinds and rows that lead to another object."""
        for number, first, inner in expanding if length > 1 else ():
            self.last.append(self._by_found(first))
            if LEADS[number]:
                self.inner.append(self._by_found(inner[steps.known[inner] != NONE]))
        self.crossing = [] if crossing is None else [self._by_found(crossing)]

    def _by_found(self, rows: Ints) -> tuple[Ints, Ints]:
        """Rows sorted by found object, and the offset of each object."""
        rows = rows[np.argsort(self.steps.found[rows], kind="stable")]
        entities = np.arange(len(self.steps.entity_label) + 1)
        return rows, np.searchsorted(self.steps.found[rows], entities)

    def chains(self, n: int) -> Ints:
        """Draw `n` times. Returns the complete paths in reasoning order, shape (paths, steps)."""
        at, place = self._ends(n), np.zeros(n, np.int64)
        if self.crossing:
            place = self.rng.integers(1, self.length - 1, size=n)
        for step in range(1, self.length):
            free = self.last if step + 1 == self.length else self.inner
            grown = [
                self._expanded(at[mine], place[mine], tables)
                for mine, tables in ((place == step, self.crossing), (place != step, free))
                if mine.any()
            ]
            if not grown:
                return np.empty((0, self.length), np.int64)
            at = np.concatenate([rows for rows, _ in grown])
            place = np.concatenate([places for _, places in grown])
            new = self._new(at)
            at, place = at[new], place[new]
        at = at[:, ::-1]
        return self._judged(at[self.steps.meet(at)])

    def _judged(self, at: Ints) -> Ints:
        if self.judge is None:
            return at
        made: Ints = at[np.array([self.judge(rows) for rows in at.tolist()], bool)]
        return made

    def _ends(self, n: int) -> Ints:
        """Draw `n` last steps, shape (n, 1)."""
        which = (
            self.rng.integers(len(self.pool), size=n)
            if self.weights is None
            else self.rng.choice(len(self.pool), n, p=self.weights)
        )
        made = np.empty((n, 1), np.int64)
        for i, rows in enumerate(self.pool):
            mine = which == i
            made[mine, 0] = rows[self.rng.integers(len(rows), size=int(mine.sum()))]
        return made

    def _expanded(
        self, at: Ints, place: Ints, tables: list[tuple[Ints, Ints]]
    ) -> tuple[Ints, Ints]:
        """Extend paths by one step. Paths whose open node cannot be expanded are dropped."""
        known = self.steps.known[at[:, -1]]
        if not tables:
            return np.empty((0, at.shape[1] + 1), np.int64), place[:0]
        counts = np.stack([starts[known + 1] - starts[known] for _, starts in tables])
        alive = counts.any(axis=0)
        at, place, known, counts = at[alive], place[alive], known[alive], counts[:, alive]
        chosen = np.argmax(self.rng.random(counts.shape) * (counts > 0), axis=0)
        some = counts[chosen, np.arange(len(at))]
        offset = (self.rng.random(len(at)) * some).astype(np.int64)
        made = np.empty(len(at), np.int64)
        for i, (rows, starts) in enumerate(tables):
            mine = chosen == i
            made[mine] = rows[starts[known[mine]] + offset[mine]]
        return np.column_stack([at, made]), place

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
