"""The steps that a graph offers to reasoning paths, as a table of numbers.

Each edge is a row for each way it can be taken; a row knows what it starts from, what it finds
and which rows read like it. Whether a step has one answer in a range of clips is a look-up, so
that drawing a path takes the same time in a graph of a hundred edges and of a million.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from stepc.edges import EDGES, Edge
from stepc.ir import types as t
from stepc.ir.graph import entities, identities
from stepc.ir.spans import join_spans
from stepc.ir.words import inverse, normal, plain

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
KINDS = tuple(EDGES)
WAYS: tuple[t.Way, ...] = get_args(t.Way)
KIND = {k: i for i, k in enumerate(KINDS)}
LEADS = np.array([kind.leads for kind in EDGES.values()])
"""Of each kind, by number, whether it leads from one object to another."""
WAY = {w: i for i, w in enumerate(WAYS)}
NONE = -1
_COLUMNS = (
    "kind", "way", "known", "found", "name", "group", "clip", "label", "far_label", "word",
    "near", "far", "edge", "reading", "drawn",
)  # fmt: skip


class Numbering:
    """Numbers for hashable things, in the order they come."""

    def __init__(self) -> None:
        self.number: dict[Any, int] = {}

    def __call__(self, thing: Any) -> int:
        return self.number.setdefault(thing, len(self.number))

    def those(self, things: Iterable[Any]) -> list[int]:
        """The numbers of things that have one."""
        return [self.number[x] for x in things if x in self.number]


@dataclass
class SameNameIndex:
    """Whether all that is so grouped has one name, in any range of clips.

    Entries are sorted by group and clip; for each, `until` is where another name comes next, so
    that a range is of one name if its first entry's is not left before its last.
    """

    key: Ints
    until: Ints
    order: Ints
    """The entries' numbers, sorted."""
    clips: int

    @classmethod
    def of(cls, group: Ints, clip: Ints, name: Ints, clips: int) -> SameNameIndex:
        """Sort (group, clip, name) triples."""
        key = group * (clips + 1) + clip
        order = np.lexsort((name, key))
        key, name, group = key[order], name[order], group[order]
        new = np.empty(len(key), bool)
        new[:1] = False
        new[1:] = (name[1:] != name[:-1]) | (group[1:] != group[:-1])
        at = np.where(new, np.arange(len(key)), len(key))
        until = np.empty(len(key), np.int64)
        if len(key):
            after = np.append(at[1:], len(key))
            until = np.minimum.accumulate(after[::-1])[::-1]
        return cls(key, until, order, clips)

    def range(self, group: Any, low: Any, high: Any) -> tuple[Any, Any]:
        """Where the entries of each group in clips [low, high) begin and end in the order."""
        at = group * (self.clips + 1)
        return np.searchsorted(self.key, at + low), np.searchsorted(self.key, at + high)

    def __call__(self, group: Ints, low: Ints, high: Ints) -> Bools:
        """For each group, whether it has one name (and any) in clips [low, high)."""
        first, last = self.range(group, low, high)
        there = first < last
        made = np.zeros(len(first), bool)
        made[there] = self.until[first[there]] >= last[there]
        return made


class EdgeTable:
    """All steps of an STSG. Edge kinds add their rows (`Edge.rows`)."""

    def __init__(self, unit: t.Stsg) -> None:
        self.unit = unit
        self.entity = entities(unit)
        identity = identities(unit)
        self.place = {c.id: i for i, c in enumerate(unit.clips)}
        self.clips = [c.id for c in unit.clips]
        self.objects = unit.objects
        self.index = {o.id: i for i, o in enumerate(unit.objects)}
        self.labels, self.words, self.groups = Numbering(), Numbering(), Numbering()
        self.readings = Numbering()
        self.reading_mask: list[int] = []
        self.bit = {k.id: 1 << i for c in unit.clips for i, k in enumerate(c.keyframes)}
        self.events = {e.clip: e for e in unit.events}
        self.told = [e for c in self.clips if (e := self.events.get(c))]
        """The events in the order of their clips."""
        self.event_edge: dict[str, int] = {}
        """The number of each event, by its clip."""
        size = len(set(self.entity.values()))
        self.entity_mask = [0] * size
        self.entity_clip = np.zeros(size, np.int64)
        self.entity_label = np.zeros(size, np.int64)
        self.identity = np.zeros(size, np.int64)
        for o in unit.objects:
            thing = self.entity[o.id]
            self.entity_mask[thing] |= self.mask(o.frames)
            self.entity_clip[thing] = self.place[t.clip_of(o.id)]
            self.entity_label[thing] = self.labels(normal(o.label))
            self.identity[thing] = identity[thing]
        self.edges: list[Any] = []
        self.kinds: list[Edge] = []
        """The kind of each edge."""
        self._rows: list[tuple[int, ...]] = []
        for self._building in EDGES.values():
            self._building.rows(unit, self)
        columns = np.array(self._rows, np.int64).reshape(-1, len(_COLUMNS)).T
        self._rows.clear()
        self.kind, self.way, self.known, self.found, self.name = columns[:5]
        self.group, self.clip, self.label, self.far_label, self.word = columns[5:10]
        self.near, self.far, self.edge, self.reading = columns[10:14]
        self.drawn = columns[14].astype(bool)
        clips = len(self.clips)
        self.one_group = SameNameIndex.of(self.group, self.clip, self.name, clips)
        self.one_label = SameNameIndex.of(self.entity_label, self.entity_clip, self.identity, clips)
        self._made: dict[int, t.Step] = {}

    def mask(self, frames: Iterable[str]) -> int:
        """Keyframes of one clip as bits."""
        made = 0
        for f in frames:
            made |= self.bit[f]
        return made

    # --- for edge kinds, while the table is built -----------------------------------------

    phrase = staticmethod(plain)
    """A predicate, motion, event or value as it is compared."""
    inverse = staticmethod(inverse)

    def add(self, edge: Any) -> int:
        """The number of an edge whose rows follow."""
        self.edges.append(edge)
        self.kinds.append(self._building)
        return len(self.edges) - 1

    def row(
        self,
        kind: str,
        way: t.Way,
        word: str,
        near: int | None,
        far: int | None,
        edge: int,
        mask: int,
        *,
        known: int = NONE,
        found: int = NONE,
        group: tuple[Any, ...],
        name: int,
        clip: int,
        far_label: int = NONE,
        far_thing: int = NONE,
        drawn: bool = True,
    ) -> None:
        """Add a row: one edge taken in one direction.

        `known` and `found` are entities, `group` is what reads alike, `name` is what tells the found ends
        of a group apart, `mask` are the keyframes in which it holds. A row that is not `drawn` only counts
        as an alternative of others.
        """
        label = int(self.entity_label[known]) if known != NONE else NONE
        said = self.words(word)
        to = found if found != NONE else (name, far_thing)
        reading = self.readings((kind, way, known, said, to))
        if reading == len(self.reading_mask):
            self.reading_mask.append(0)
        self.reading_mask[reading] |= mask
        ends = (NONE if near is None else near, NONE if far is None else far)
        self._rows.append(
            (KIND[kind], WAY[way], known, found, name, self.groups((kind, way, *group)), clip,
             label, far_label, said, *ends, edge, reading, drawn)
        )  # fmt: skip

    def value(self, word: str) -> int:
        """The name of a value, different from all identities."""
        return len(self.identity) + self.words(word)

    @cached_property
    def motion_spans(self) -> dict[tuple[int, str], tuple[tuple[int, int], ...]]:
        """The time ranges of each entity's motions; those that touch are joined."""
        ranges: dict[tuple[int, str], list[tuple[int, int]]] = {}
        for m in self.unit.motions:
            key = (self.entity[m.source], plain(m.motion))
            ranges.setdefault(key, []).append((m.start, m.end))
        return {key: join_spans(spans) for key, spans in ranges.items()}

    # --- for edge kinds, afterwards --------------------------------------------------------

    def near_object(self, row: int) -> str:
        """The id of a row's near object; empty if it has none."""
        return self.objects[self.near[row]].id if self.near[row] != NONE else ""

    def seen(self, frames: Sequence[str]) -> tuple[int, int]:
        """The times of the first and the last of some keyframes of a clip, in milliseconds."""
        keyframes = self.unit.clips[self.place[t.clip_of(frames[0])]].keyframes
        at = [k.at for k in keyframes if k.id in frames]
        return min(at), max(at)

    def from_to(self, one: str, other: str) -> tuple[int, int]:
        """From the start of a clip to the end of another, in milliseconds."""
        clips = [self.unit.clips[self.place[c]] for c in (one, other)]
        return clips[0].start, clips[1].end

    def times(self) -> list[tuple[int, int]]:
        """The time range in which each edge is seen, in milliseconds."""
        pairs = zip(self.kinds, self.edges, strict=True)
        return [kind.times(edge, self) for kind, edge in pairs]

    # --- asking --------------------------------------------------------------------------

    def alone(self, rows: Ints, low: Ints, high: Ints) -> Bools:
        """Whether each row is a question with one answer in clips [low, high)."""
        return self.begins(rows, low, high) & self.one_group(self.group[rows], low, high)

    def begins(self, rows: Ints, low: Ints, high: Ints) -> Bools:
        """Whether the labels that each row's question says are those of one object each.

        An event that it says is one clip's alone.
        """
        made = np.ones(len(rows), bool)
        events = (self.kind[rows] == KIND["next"]) | (
            (self.kind[rows] == KIND["event"]) & (self.known[rows] == NONE)
        )
        made[events] = self.one_group(self.group[rows[events]], low[events], high[events])
        for labels in (self.label[rows], self.far_label[rows]):
            told = labels != NONE
            made[told] &= self.one_label(labels[told], low[told], high[told])
        return made

    def meet(self, paths: Ints) -> Bools:
        """Whether the steps of each path (rows in reasoning order) are true at one time.

        A step over clips begins anew at the times of the object it comes to.
        """
        held = self._masks[paths[:, 0]] & self._begin_masks[paths[:, 0]]
        alive: Bools = held != 0
        for column in paths.T[1:]:
            anew = self.kind[column] == KIND["ref"]
            held = np.where(anew, self._masks[column], held & self._masks[column])
            alive &= held != 0
        return alive

    @cached_property
    def _masks(self) -> Ints:
        """The keyframes that each row's reading holds in, as bits; all where it has none."""
        masks = [mask or -1 for mask in self.reading_mask] or [-1]
        wide = max(masks).bit_length() > 62
        made: Ints = np.array(masks, object if wide else np.int64)[self.reading]
        return made

    @cached_property
    def _begin_masks(self) -> Ints:
        """The keyframes in which each row's known object is seen, as bits."""
        masks = [*self.entity_mask, -1]  # NONE is the last
        wide = max(masks).bit_length() > 62
        made: Ints = np.array(masks, object if wide else np.int64)[self.known]
        return made

    def step(self, row: int) -> t.Step:
        """A row as a step of a path."""
        if row not in self._made:
            self._made[row] = self._step(row)
        return self._made[row]

    def _step(self, row: int) -> t.Step:
        number = self.edge[row]
        kind, edge = self.kinds[number], self.edges[number]
        way: t.Way = WAYS[self.way[row]]
        if not self.drawn[row]:  # the inverse reading is the same edge the other way round
            way = {"=>": "<=", "<=": "=>", "--": "--"}[way]  # type: ignore[assignment]
        near, far, word = kind.ends(edge, self, row)
        return t.Step.model_construct(edge=kind.name, near=near, far=far, word=word, way=way)

    def alike(self, row: int, low: int, high: int, most: int) -> list[int] | None:
        """The rows that read like this one in clips [low, high); None if they are too many."""
        first, last = self.one_group.range(self.group[row], low, high)
        if last - first > most:
            return None
        return sorted(int(r) for r in self.one_group.order[first:last])

    def labelled(self, label: int, low: int, high: int) -> list[int]:
        """The things of a label in clips [low, high)."""
        first, last = self.one_label.range(label, low, high)
        return [int(e) for e in self.one_label.order[first:last]]
