"""From the rows of a walk to a finished path: its time, its query, and why it is not kept."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from stepc.forms.comparisons import Comparison
from stepc.ir import types as t
from stepc.ir.words import any_mentions
from stepc.sampling.edge_table import KIND, NONE, EdgeTable
from stepc.sampling.path_rules import PathRules
from stepc.sampling.plan import PathKind
from stepc.sampling.query_builder import WHOLE, QueryBuilder

MANY = 20
"""The most things that a question counts or picks from."""
Time = tuple[t.When | None, str | None, tuple[int, int]]
"""How a path is given its time: how, by which clip, and the range of clips left in scope."""
Found = dict[int, list[tuple[int, int]]]
"""What a step finds: for each name a row, and all its rows with the keyframes they hold in."""


class Finisher:
    """Finishes the walks of one block on one graph."""

    def __init__(self, rules: PathRules) -> None:
        self.rules = rules
        self.table: EdgeTable = rules.table
        self.graph: QueryBuilder = rules.graph

    def finished(
        self, kind: PathKind, rows: list[int], rng: random.Random | None = None
    ) -> Iterator[tuple[t.Path, object, str]]:
        """The paths of rows in reasoning order: path, key, and why it is not kept, or nothing.

        There is one for each clip that may give its time; with `rng`, one of them is drawn.
        """
        everywhere: Time = (None, None, (0, len(self.table.clips)))
        times = list(self._times(kind, rows))
        if not times:
            yield (*self._path(kind, rows, everywhere)[:2], "nothing gives it a time")
        elif rng is not None and len(times) > 1:
            times = [rng.choice(times)]
        for time in times:
            path, key, why = self._path(kind, rows, time)
            if why == "says its answer" and time[0] == "during" and not self._crosses(rows):
                whole = self._path(kind, rows, everywhere)
                path, key, why = (path, key, why) if whole[2] else whole
            yield path, key, why

    def _times(self, kind: PathKind, rows: list[int]) -> Iterator[Time]:
        """How a path may be given its time."""
        s, timing = self.table, self.rules.timing
        here, last = int(s.clip[rows[-1]]), s.kind[rows[-1]]
        whole: Time = (None, None, (0, len(s.clips)))
        if kind.asked.compares:
            yield whole
        elif self._crosses(rows):  # a question over clips has the time of the last
            end = int(s.entity_clip[s.found[rows[-1]]]) if s.found[rows[-1]] != NONE else here
            first = int(s.clip[rows[0]])
            yield "during", s.clips[end], (first, first + 1)
        elif kind.time is None or last == KIND["next"]:
            yield whole
        elif last == KIND["event"] and kind.time in ("during", "span"):
            yield whole  # its own time would say it
        elif kind.time == "span" or (kind.time == "during" and s.clips[here] in timing):
            yield kind.time, s.clips[here], (here, here + 1)
        elif kind.time == "during":
            yield whole
        else:
            for clip in (c for c in s.clips if c in timing):
                at = s.place[clip]
                if kind.time == "before" and here < at:
                    yield "before", clip, (0, at)
                elif kind.time == "after" and here > at:
                    yield "after", clip, (at + 1, len(s.clips))

    def _crosses(self, rows: list[int]) -> bool:
        return self._references and any(self.table.kind[r] == KIND["ref"] for r in rows)

    @cached_property
    def _references(self) -> bool:
        return bool((self.rules.allowed & (self.table.kind == KIND["ref"])).any())

    def _path(self, kind: PathKind, rows: list[int], time: Time) -> tuple[t.Path, object, str]:
        """A path, what tells it from others, and why it is not kept, or nothing."""
        s, block = self.table, self.rules.block
        how, clip, scope = time
        why = self._judge(kind, rows, time)
        also: tuple[t.Step, ...] = ()
        if self.rules.several(kind):
            rows, also, wrong = self._several(kind, rows, scope)
            why = why or wrong
        steps = tuple([s.step(r) for r in rows])
        if also and not self._worded(kind, steps[-1], also):
            why = why or "not all of it can be said"
        path = t.Path.model_construct(
            id="p0",
            block=block.name,
            form=kind.form,
            wanted=kind.steps,
            time=how,
            clip=clip,
            steps=steps,
            also=also,
            unique=block.unique,
            query=self._query(kind, rows, steps, time),
        )
        why = why or ("says its answer" if self._leaks(path, kind) else "")
        return path, self._key(kind, rows, path), why

    def _query(
        self, kind: PathKind, rows: list[int], steps: Sequence[t.Step], time: Time
    ) -> t.Query:
        how, clip, scope = time
        form = kind.asked
        if isinstance(form, Comparison):
            one, other = steps
            options = form.alternatives(one, other, self.graph)
            return self.graph.compare(form, one, other, WHOLE, options)
        op = self.graph.scope(how, clip)
        if self._crosses(rows):
            op = self.graph.scope("during", self.table.clips[scope[0]])
        return self.graph.build(steps, op, form, self.rules.block.unique)

    def _key(self, kind: PathKind, rows: list[int], path: t.Path) -> object:
        """What tells a path from others: its form and query, or what says as much and is faster."""
        if not path.unique:
            return kind.form, path.query
        groups = [int(self.table.group[r]) for r in rows]
        if kind.asked.compares:  # one and the other, whichever comes first
            groups.sort()
        return (kind.form, path.time, path.clip, *groups)

    def _judge(self, kind: PathKind, rows: list[int], time: Time) -> str:
        """Why steps do not make a path, apart from what they say, or nothing."""
        s = self.table
        how, _, (low, high) = time
        if kind.asked.compares:
            return ""
        crosses = self._crosses(rows)
        if (how in ("during", "span") or crosses) and kind.time is not None:
            return ""  # drawn from what has one answer in its clip
        if how is None and kind.time is None:
            return ""  # and here in the whole video
        array = np.array(rows)
        if crosses:
            lows, highs = s.clip[array], s.clip[array] + 1
        else:
            lows, highs = np.full(len(rows), low), np.full(len(rows), high)
        fits = s.alone(array, lows, highs)
        if self.rules.several(kind):
            fits[-1] = s.begins(array[-1:], lows[-1:], highs[-1:])[0]
        return "" if fits.all() else "more than one answer"

    # --- several answers -----------------------------------------------------------------

    def _several(
        self, kind: PathKind, rows: list[int], scope: tuple[int, int]
    ) -> tuple[list[int], tuple[t.Step, ...], str]:
        """The rows with the last one that is asked for, what else is found, and what is wrong."""
        s, why = self.table, ""
        within = None if self._crosses(rows) else scope
        found = self._reached(rows, within)
        alone = self._reached(rows[-1:], within)
        if found is None or alone is None:
            why = "too many to tell"
        elif {s.name[r] for r in found} != {s.name[r] for r in alone}:
            why = "its last step alone finds others"
        elif kind.asked.rank([(0, 0)]) is not None:
            best = self._best(kind, found)
            why = "" if best is not None else "no one of several is it"
            rows = [*rows[:-1], best if best is not None else rows[-1]]
        also = tuple(s.step(r) for r in found or () if s.name[r] != s.name[rows[-1]])
        return rows, also, why

    def _reached(self, rows: list[int], scope: tuple[int, int] | None) -> Found | None:
        """What a path's last step finds; None if that is too much.

        Without a scope each step looks in its own clip. Each step is taken from all that the one before
        comes to.
        """
        s = self.table
        first = int(s.known[rows[0]])
        at: dict[int, int] = {}

        def within(row: int) -> tuple[int, int]:
            return scope or (int(s.clip[row]), int(s.clip[row]) + 1)

        if first != NONE:
            for e in s.labelled(int(s.label[rows[0]]), *within(rows[0])):
                at[e] = s.entity_mask[e]
        found: Found = {}
        for row in rows:
            alike = s.alike(row, *within(row), 8 * MANY)
            if alike is None:
                return None
            found = {}
            names: dict[int, int] = {}
            to: dict[int, int] = {}
            for r in alike:
                known = int(s.known[r])
                mask = s.reading_mask[s.reading[r]]
                if known != NONE:
                    mask &= at.get(known, 0)
                if not mask and s.kind[r] not in (KIND["ref"], KIND["next"]):
                    continue
                found.setdefault(names.setdefault(int(s.name[r]), r), []).append((r, mask))
                to[int(s.found[r])] = to.get(int(s.found[r]), 0) | mask
            at = to
        mine = next((r for r in found if s.name[r] == s.name[rows[-1]]), None)
        if mine is not None and mine != rows[-1]:  # the path's own row stands for its name
            found[int(rows[-1])] = found.pop(mine)
        return found if len(found) <= MANY else None

    def _best(self, kind: PathKind, found: Found) -> int | None:
        """The row that a form picks; None if there is but one, or two are as much so."""
        if len(found) < 2:
            return None
        ranked = sorted(((self._rank(kind, rows), r) for r, rows in found.items()), reverse=True)
        return ranked[0][1] if ranked[0][0] > ranked[1][0] else None

    def _rank(self, kind: PathKind, rows: list[tuple[int, int]]) -> float:
        """How much so something is, by all its rows."""
        s = self.table
        spans: list[tuple[int, int]] = []
        for row, mask in rows:
            if s.kinds[s.edge[row]].timed:
                spans += self.graph.spans(s.step(row))
            else:
                frames = s.unit.clips[int(s.clip[row])].keyframes
                spans += [(k.at, k.at) for i, k in enumerate(frames) if mask >> i & 1]
        rank = kind.asked.rank(spans)
        assert rank is not None
        return rank

    # --- words ---------------------------------------------------------------------------

    def _worded(self, kind: PathKind, last: t.Step, also: tuple[t.Step, ...]) -> bool:
        """Whether the spec has words for all that a last step finds, some by the inverse."""
        rule = self.rules.spec.rule(last.edge)
        return (
            rule is not None
            and bool(rule.words(kind.form, last.way))
            and all(rule.find(x.way) is not None for x in also)
        )

    def _leaks(self, path: t.Path, kind: PathKind) -> bool:
        """Whether what the question will say contains an answer or a sub-answer."""
        hidden = kind.asked.hides(path, self.graph)
        if hidden is None:
            return False
        said = [op.words for op in path.query if op.words]
        if path.time == "during" and path.clip is not None:
            said.append(self.graph.events[path.clip])
        return any_mentions(said, hidden)
