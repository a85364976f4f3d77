"""Turns the rows of a walk into a path: its time range, its query, and why it is rejected, if so."""

from __future__ import annotations

import operator
import random
from collections.abc import Iterator, Sequence, Set
from functools import cached_property, partial, reduce

import numpy as np

from stepc.edges import EDGES
from stepc.forms.comparisons import ComparisonForm
from stepc.ir import types as t
from stepc.ir.spans import Bounds
from stepc.ir.words import any_mentions, normal
from stepc.sampling.edge_table import KIND, KINDS, NONE, EdgeTable
from stepc.sampling.path_rules import PathRules
from stepc.sampling.plan import PathKind
from stepc.sampling.query_builder import WHOLE, QueryBuilder

MANY = 20
"""Maximum number of answers that a question counts or picks from."""
Time = tuple[t.When | None, str | None, tuple[int, int], str]
"""(kind of time range, clip that gives it, range of clips in scope, label that `showing` names or keyframe of
a `moment`)."""
CLIPWISE = ("during", "span", "scene", "showing", "moment")
"""Kinds of time ranges that are those of one clip."""
Found = dict[int, list[tuple[int, int]]]
"""What a step finds. Row that represents a name → all (row, keyframe mask) of this name."""


class Finisher:
    """Finishes the walks of one block on one graph."""

    def __init__(self, rules: PathRules) -> None:
        self.rules = rules
        self.table: EdgeTable = rules.table
        self.graph: QueryBuilder = rules.graph
        self._alone: dict[tuple[int, tuple[int, int] | None], bool] = {}
        """Cache of `_one_label`"""

    def finished(self, kind: PathKind, rows: list[int]) -> Iterator[tuple[t.Path, object, str]]:
        """Make paths from rows in reasoning order. Yields (path, key, reason for rejection or "").

        There is one path per clip that may give the time range.
        """
        times = list(self._times(kind, rows))
        if not times:
            yield (*self._path(kind, rows, self._everywhere)[:2], "nothing gives it a time")
        for time in times:
            yield self._timed(kind, rows, time)

    def drawn(
        self, kind: PathKind, rows: list[int], rng: random.Random, known: Set[object]
    ) -> tuple[t.Path | None, object, str]:
        """Make one path from rows in reasoning order: (path, key, reason for rejection or "").

        `known` are the keys of paths that there are. There may be no path if it is rejected.
        """
        times = list(self._times(kind, rows))
        if not times:
            return None, None, "nothing gives it a time"
        time = rng.choice(times) if len(times) > 1 else times[0]
        if not self.rules.several(kind):  # its rows are known, and so is its key
            key = self._row_key(kind, rows, time)
            why = "the same question" if key in known else self._judge(kind, rows, time)
            if why:
                return None, key, why
        return self._timed(kind, rows, time)

    @cached_property
    def _everywhere(self) -> Time:
        return None, None, (0, len(self.table.clips)), ""

    def _timed(self, kind: PathKind, rows: list[int], time: Time) -> tuple[t.Path, object, str]:
        """The path with a time range, or without it if the event would say an answer."""
        path, key, why = self._path(kind, rows, time)
        if why == "says its answer" and time[0] == "during" and not self._crosses(rows):
            whole = self._path(kind, rows, self._everywhere)
            path, key, why = (path, key, why) if whole[2] else whole
        return path, key, why

    def _times(self, kind: PathKind, rows: list[int]) -> Iterator[Time]:
        """The possible time ranges of a path."""
        s, timing = self.table, self.rules.timing
        here, last = int(s.clip[rows[-1]]), s.kind[rows[-1]]
        whole: Time = (None, None, (0, len(s.clips)), "")
        if kind.asked.compares or (
            len(s.clips) == 1 and kind.time in CLIPWISE and kind.time != "moment"
        ):
            yield whole  # the time of the only clip narrows nothing
        elif self._crosses(rows):  # a path across clips has the time of its last clip
            end = int(s.entity_clip[s.found[rows[-1]]]) if s.found[rows[-1]] != NONE else here
            first = int(s.clip[rows[0]])
            yield "during", s.clips[end], (first, first + 1), ""
        elif kind.time is None or last == KIND["next"]:
            yield whole
        elif last == KIND["event"] and kind.time in CLIPWISE:
            yield whole  # the time of the event would reveal it
        elif kind.time == "moment":
            for frame in self._held(rows):
                yield "moment", s.clips[here], (here, here + 1), frame
        elif kind.time == "showing":
            said = {normal(o) for r in rows for o in self._labels(r)}
            labels = (
                x for x in self.rules.contents.get(s.clips[here], ()) if normal(x) not in said
            )
            made: list[Time] = [("showing", s.clips[here], (here, here + 1), x) for x in labels]
            yield from made or [whole]
        elif (
            kind.time == "span"
            or (kind.time == "during" and s.clips[here] in timing)
            or (kind.time == "scene" and here < len(self.graph.language.ordinals))
        ):
            yield kind.time, s.clips[here], (here, here + 1), ""
        elif kind.time in CLIPWISE:
            yield whole
        else:
            for clip in (c for c in s.clips if c in timing):
                at = s.place[clip]
                if kind.time == "before" and here < at:
                    yield "before", clip, (0, at), ""
                elif kind.time == "after" and here > at:
                    yield "after", clip, (at + 1, len(s.clips)), ""

    def _held(self, rows: list[int]) -> list[str]:
        """The keyframes in which all steps of a path hold, as far as a question can name their times."""
        s = self.table
        masks = [s.reading_mask[s.reading[r]] for r in rows]
        masks += [s.entity_mask[e] for r in rows for e in (s.known[r], s.found[r]) if e != NONE]
        held = reduce(operator.and_, masks)
        keyframes = s.unit.clips[int(s.clip[rows[-1]])].keyframes
        return [k.id for k in keyframes if held & s.bit[k.id] and k.id in self.graph.moments]

    def _labels(self, row: int) -> list[str]:
        """The labels of the objects of a row."""
        step = self.table.step(row)
        return [self.graph.labels[x] for x in (step.near, step.far) if x in self.graph.labels]

    def _crosses(self, rows: list[int]) -> bool:
        return self._references and any(self.table.kind[r] == KIND["ref"] for r in rows)

    @cached_property
    def _references(self) -> bool:
        return bool((self.rules.allowed & (self.table.kind == KIND["ref"])).any())

    def _path(self, kind: PathKind, rows: list[int], time: Time) -> tuple[t.Path, object, str]:
        """The path with a time range, its key, and the reason for rejection or ""."""
        s, block = self.table, self.rules.block
        how, clip, scope, _ = time
        why = self._judge(kind, rows, time)
        others: list[int] = []
        if self.rules.several(kind):
            rows, others, wrong = self._several(kind, rows, time)
            why = why or wrong
        shown = s.bit[time[3]] if how == "moment" else None
        seen = [r for r in (*rows, *others) if s.kind[r] == KIND["seen"]]
        if not all(s.only_called(r, *scope, shown or -1) for r in seen):
            why = why or "something else may be called so"
        if not kind.asked.compares and not self._told_apart(rows, others, scope, shown):
            why = why or "it names one of several"
        steps, also = (tuple([s.step(r) for r in part]) for part in (rows, others))
        if how == "moment":
            at = partial(self.graph.shown_at, frame=time[3])
            steps, also = tuple(map(at, steps)), tuple(map(at, also))
        why = why or kind.asked.not_asked(steps[-1], self.graph)
        why = why or self.rules.too_little((*steps, *also))
        if not kind.asked.compares and not self.rules.sayable(steps, kind.form):
            why = why or "no wording for a description in it"
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
        return path, self._key(kind, rows, path, time), why

    def _query(
        self, kind: PathKind, rows: list[int], steps: Sequence[t.Step], time: Time
    ) -> t.Query:
        how, clip, scope, label = time
        form = kind.asked
        if isinstance(form, ComparisonForm):
            one, other = steps
            options = form.alternatives(one, other, self.graph)
            return self.graph.compare(form, one, other, WHOLE, options)
        op = self.graph.scope(how, clip, label)
        if self._crosses(rows):
            op = self.graph.scope("during", self.table.clips[scope[0]])
        return self.graph.build(steps, op, form, self.rules.block.unique)

    def _key(self, kind: PathKind, rows: list[int], path: t.Path, time: Time) -> object:
        """A key that identifies the question: its form and query, or an equivalent that is faster."""
        if not path.unique and not kind.asked.compares:
            return kind.form, path.query
        told = time[3] if path.time == "moment" else ""
        return self._row_key(kind, rows, (path.time, path.clip, (0, 0), told))

    def _row_key(self, kind: PathKind, rows: list[int], time: Time) -> object:
        """The key of a path whose rows and time range are known."""
        groups = [int(self.table.group[r]) for r in rows]
        if kind.asked.compares:  # the order of the two does not matter
            groups.sort()
        told = time[3] if time[0] == "moment" else ""
        return (kind.form, *time[:2], told, *groups)

    def _judge(self, kind: PathKind, rows: list[int], time: Time) -> str:
        """Why the steps do not make a path, apart from their words, or ""."""
        s = self.table
        how, _, (low, high), told = time
        if kind.asked.compares:
            return ""
        if how == "moment":
            last = s.begins_at if self.rules.several(kind) else s.alone_at
            asked = [*((s.alone_at, r) for r in rows[:-1]), (last, rows[-1])]
            clear = all(only(r, s.bit[told]) for only, r in asked)
            return "" if clear else "more than one answer"
        crosses = self._crosses(rows)
        if (how in CLIPWISE or crosses) and kind.time is not None:
            return ""  # the pool has only rows with one answer in their clip
        if how is None and kind.time is None:
            return ""  # and here with one answer in the whole video
        array = np.array(rows)
        if crosses:
            lows, highs = s.clip[array], s.clip[array] + 1
        else:
            lows, highs = np.full(len(rows), low), np.full(len(rows), high)
        fits = s.alone(array, lows, highs)
        if self.rules.several(kind):
            fits[-1] = s.begins(array[-1:], lows[-1:], highs[-1:])[0]
        return "" if fits.all() else "more than one answer"

    def _told_apart(
        self, rows: list[int], others: list[int], scope: tuple[int, int], shown: int | None
    ) -> bool:
        """Whether the label of each object that is found, such as "the cup", names no other one in scope.

        `shown` is the mask of the keyframe of a moment.
        """
        crosses = self._crosses(rows)
        named = [r for r in (*rows, *others) if EDGES[KINDS[self.table.kind[r]]].names_found]
        if shown is not None:
            s = self.table
            found = [int(s.found[r]) for r in named if s.found[r] != NONE]
            return all(s.one_called(int(s.entity_label[e]), scope[0], shown) for e in found)
        return all(self._one_label(row, None if crosses else scope) for row in named)

    def _one_label(self, row: int, scope: tuple[int, int] | None) -> bool:
        """Whether the label of what a row finds names nothing else in scope, or in the clip of the thing."""
        s, found = self.table, int(self.table.found[row])
        if found == NONE:
            return True
        key = found, scope
        if key not in self._alone:
            label, clip = s.entity_label[[found]], int(s.entity_clip[found])
            low, high = scope or (clip, clip + 1)
            self._alone[key] = bool(s.one_label(label, 0 * label + low, 0 * label + high)[0])
        return self._alone[key]

    # --- several answers -----------------------------------------------------------------

    def _several(
        self, kind: PathKind, rows: list[int], time: Time
    ) -> tuple[list[int], list[int], str]:
        """For a last step with several answers: (rows, rows of other answers, reason for rejection or "").

        The last of the returned rows is the answer, for example the one that the form picks.
        """
        s, why = self.table, ""
        within = None if self._crosses(rows) else time[2]
        shown = s.bit[time[3]] if time[0] == "moment" else -1  # all keyframes
        found = self._reached(rows, within, shown)
        alone = self._reached(rows[-1:], within, shown)
        if found is None or alone is None:
            why = "too many to tell"
        elif {s.name[r] for r in found} != {s.name[r] for r in alone}:
            why = "its last step alone finds others"
        elif kind.asked.picks:
            best = self._best(kind, found)
            why = "" if best is not None else "no one of several is it"
            rows = [*rows[:-1], best if best is not None else rows[-1]]
        return rows, [r for r in found or () if s.name[r] != s.name[rows[-1]]], why

    def _reached(self, rows: list[int], scope: tuple[int, int] | None, shown: int) -> Found | None:
        """What the last step of a path finds, or None if that is more than `MANY`.

        Each step starts from everything that the previous step finds. Without a scope, each step is
        limited to its own clip. `shown` is the mask of the keyframes in scope.
        """
        s = self.table
        first = int(s.known[rows[0]])
        at: dict[int, int] = {}

        def within(row: int) -> tuple[int, int]:
            return scope or (int(s.clip[row]), int(s.clip[row]) + 1)

        if first != NONE:
            for e in s.labelled(int(s.label[rows[0]]), *within(rows[0])):
                at[e] = s.entity_mask[e] & shown
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
                mask = s.reading_mask[s.reading[r]] & shown
                if known != NONE:
                    mask &= at.get(known, 0)
                if not mask and s.kind[r] not in (KIND["ref"], KIND["next"]):
                    continue
                found.setdefault(names.setdefault(int(s.name[r]), r), []).append((r, mask))
                to[int(s.found[r])] = to.get(int(s.found[r]), 0) | mask
            at = to
        mine = next((r for r in found if s.name[r] == s.name[rows[-1]]), None)
        if mine is not None and mine != rows[-1]:  # the row of the path represents its name
            found[int(rows[-1])] = found.pop(mine)
        return found if len(found) <= MANY else None

    def _best(self, kind: PathKind, found: Found) -> int | None:
        """The row that the form picks, or None if there is only one, or no clear winner."""
        if len(found) < 2:
            return None
        ranges = {r: self._ranges(rows) for r, rows in found.items()}
        for r, mine in ranges.items():
            rest = (its for other, its in ranges.items() if other != r)
            if all(self.rules.block.beats(kind.asked, mine, its) for its in rest):
                return r
        return None

    def _ranges(self, rows: list[tuple[int, int]]) -> list[Bounds]:
        """What is known of the times of an answer, from all its rows."""
        s = self.table
        made: dict[Bounds, None] = {}
        for row, mask in rows:
            if s.kinds[s.edge[row]].timed:
                made |= dict.fromkeys(self.graph.bounds(s.step(row)))
                continue
            clip = s.unit.clips[int(s.clip[row])]
            shown = [k.at for i, k in enumerate(clip.keyframes) if mask >> i & 1]
            if shown:
                made[self.graph.around(clip.id, (shown[0], shown[-1]))] = None
        return list(made)

    # --- words ---------------------------------------------------------------------------

    def _worded(self, kind: PathKind, last: t.Step, also: tuple[t.Step, ...]) -> bool:
        """Whether the spec has wordings for everything that the last step finds, including inverses."""
        rules = self.rules.spec.rules(last.edge)
        return any(rule.line(last.way, kind.form) for rule in rules) and all(
            x.way == "--" or any(rule.find(x.way) is not None for rule in rules) for x in also
        )

    def _leaks(self, path: t.Path, kind: PathKind) -> bool:
        """Whether the words of the question will contain an answer or sub-answer."""
        hidden = kind.asked.hides(path, self.graph)
        if hidden is None:
            return False
        said = [op.words for op in path.query if op.words]
        if path.time == "during" and path.clip is not None:
            said.append(self.graph.events[path.clip])
        return any_mentions(said, hidden)
