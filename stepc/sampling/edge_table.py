"""The steps that a graph offers to reasoning paths, as a table of numbers.

Each edge is a row for each way it can be taken; a row knows what it starts from, what it finds
and which rows read like it. Whether a step has one answer in a range of clips is a look-up, so
that drawing a path takes the same time in a graph of a hundred edges and of a million.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from stepc.ir import types as t
from stepc.ir.graph import graph
from stepc.ir.verify import entities, identities
from stepc.ir.words import inverse, joined_spans, normal, plain
from stepc.lang.schema import KINDS, WAYS

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
KIND = {k: i for i, k in enumerate(KINDS)}
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
    """All steps of an STSG."""

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
        size = len(set(self.entity.values()))
        self.entity_mask = [0] * size
        self.entity_clip = np.zeros(size, np.int64)
        self.entity_label = np.zeros(size, np.int64)
        self.identity = np.zeros(size, np.int64)
        for o in unit.objects:
            e = self.entity[o.id]
            self.entity_mask[e] |= self.mask(o.frames)
            self.entity_clip[e] = self.place[t.clip_of(o.id)]
            self.entity_label[e] = self.labels(normal(o.label))
            self.identity[e] = identity[e]
        self.edges: list[Any] = []
        self._rows: list[tuple[int, ...]] = []
        for edge in graph(unit).edges():
            if not isinstance(edge, t.Event):  # one row an object and one of its own
                self._edge(edge)
        self._events()
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

    # --- building ------------------------------------------------------------------------

    def _row(
        self,
        kind: t.EdgeKind,
        way: t.Way,
        word: str,
        near: int,
        far: int,
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
        label = int(self.entity_label[known]) if known != NONE else NONE
        said = self.words(word)
        to = found if found != NONE else (name, far_thing)
        reading = self.readings((kind, way, known, said, to))
        if reading == len(self.reading_mask):
            self.reading_mask.append(0)
        self.reading_mask[reading] |= mask
        self._rows.append(
            (KIND[kind], WAY[way], known, found, name, self.groups((kind, way, *group)), clip,
             label, far_label, said, near, far, edge, reading, drawn)
        )  # fmt: skip

    def _value(self, word: str) -> int:
        """The name of a value, different from all identities."""
        return len(self.identity) + self.words(word)

    def _edge(self, edge: Any) -> None:
        at = len(self.edges)
        self.edges.append(edge)
        match edge:
            case t.Attribute():
                e, word = self.entity[edge.owner], plain(edge.value)
                near, mask = self.index[edge.owner], self.mask(edge.frames)
                clip, label = int(self.entity_clip[e]), int(self.entity_label[e])
                self._row("attr", "=>", word, near, NONE, at, mask, known=e, clip=clip,
                          group=(label, edge.kind), name=self._value(word))  # fmt: skip
                self._row("attr", "<=", word, near, NONE, at, mask, found=e, clip=clip,
                          group=(edge.kind, word), name=int(self.identity[e]))  # fmt: skip
            case t.Relation():
                mask = self.mask(edge.frames)
                self._relation(edge.subject, plain(edge.predicate), edge.object, at, mask, True)
                back = inverse(edge.predicate)
                if back is not None:
                    self._relation(edge.object, back, edge.subject, at, mask, False)
            case t.Motion():
                self._motion(edge, at)
            case t.Reference():
                self._reference(edge, at)

    def _relation(
        self, subject: str, word: str, object_: str, at: int, mask: int, drawn: bool
    ) -> None:
        one, two = self.entity[subject], self.entity[object_]
        near, far = self.index[subject], self.index[object_]
        clip = int(self.entity_clip[one])
        labels = int(self.entity_label[one]), int(self.entity_label[two])
        self._row("rel", "=>", word, near, far, at, mask, known=one, found=two, clip=clip,
                  group=(labels[0], word), name=int(self.identity[two]), drawn=drawn)  # fmt: skip
        self._row("rel", "<=", word, near, far, at, mask, known=two, found=one, clip=clip,
                  group=(labels[1], word), name=int(self.identity[one]), drawn=drawn)  # fmt: skip
        self._row("rel", "--", word, near, far, at, mask, known=one, clip=clip, group=labels,
                  name=self._value(word), far_label=labels[1], far_thing=two, drawn=drawn)  # fmt: skip

    def _motion(self, edge: t.Motion, at: int) -> None:
        e, word = self.entity[edge.source], plain(edge.motion)
        clip = int(self.entity_clip[e])
        held = (k.id for k in self.unit.clips[clip].keyframes if edge.start <= k.at <= edge.end)
        mask, near, far = self.mask(held), self.index[edge.source], self.index[edge.target]
        label = int(self.entity_label[e])
        self._row("motion", "=>", word, near, far, at, mask, known=e, clip=clip,
                  group=(label,), name=self._value(word))  # fmt: skip
        self._row("motion", "<=", word, near, far, at, mask, found=e, clip=clip,
                  group=(word,), name=int(self.identity[e]))  # fmt: skip
        spans = self.spans[e, word]
        mine = next(i for i, (start, end) in enumerate(spans) if start <= edge.start <= end)
        self._row("motion", "--", word, near, far, at, mask, known=e, clip=clip,
                  group=(label, word), name=self.words((e, mine)))  # fmt: skip

    @cached_property
    def spans(self) -> dict[tuple[int, str], tuple[tuple[int, int], ...]]:
        """The time ranges of each thing's motions, those that touch joined."""
        all_: dict[tuple[int, str], list[tuple[int, int]]] = {}
        for m in self.unit.motions:
            key = (self.entity[m.source], plain(m.motion))
            all_.setdefault(key, []).append((m.start, m.end))
        return {key: joined_spans(spans) for key, spans in all_.items()}

    def _reference(self, edge: t.Reference, at: int) -> None:
        one, two = self.entity[edge.first], self.entity[edge.second]
        near, far = self.index[edge.first], self.index[edge.second]
        ways: tuple[tuple[t.Way, int, int], ...] = (("=>", one, two), ("<=", two, one))
        for way, known, found in ways:
            self._row("ref", way, "", near, far, at, self.entity_mask[found], known=known,
                      found=found, clip=int(self.entity_clip[known]), group=(known, found),
                      name=int(self.identity[found]))  # fmt: skip

    def _events(self) -> None:
        told = [e for c in self.clips if (e := self.events.get(c))]
        rows: dict[str, int] = {}
        for event in told:
            rows[event.clip] = len(self.edges)
            self.edges.append(event)
            clip, word = self.place[event.clip], plain(event.event)
            self._row("event", "--", word, NONE, NONE, rows[event.clip], 0, clip=clip,
                      group=(word,), name=clip)  # fmt: skip
        for o in self.objects:
            clip_id = t.clip_of(o.id)
            if clip_id in rows:
                thing, word = self.entity[o.id], plain(self.events[clip_id].event)
                self._row("event", "=>", word, self.index[o.id], NONE, rows[clip_id],
                          self.mask(o.frames), known=thing, clip=self.place[clip_id],
                          group=(int(self.entity_label[thing]),), name=self._value(word))  # fmt: skip
        for one, two in pairwise(told):
            for way, from_ in (("=>", one), ("<=", two)):
                at = len(self.edges)
                self.edges.append((one.clip, two.clip))
                clip, word = self.place[from_.clip], plain(from_.event)
                self._row("next", way, word, NONE, NONE, at, 0, clip=clip,  # type: ignore[arg-type]
                          group=(word,), name=clip)  # fmt: skip
        # a known event must be the only one so worded, not only among those with a next
        for event in told:
            word = plain(event.event)
            for way in ("=>", "<="):
                self._row("next", way, word, NONE, NONE, rows[event.clip], 0,  # type: ignore[arg-type]
                          clip=self.place[event.clip], group=(word,),
                          name=self.place[event.clip], drawn=False)  # fmt: skip

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
        edge = self.edges[self.edge[row]]
        way: t.Way = WAYS[self.way[row]]
        data: tuple[t.EdgeKind, str, str, str]
        match edge:
            case t.Attribute():
                data = ("attr", edge.owner, edge.id, edge.value)
            case t.Relation():
                data = ("rel", edge.subject, edge.object, edge.predicate)
                if not self.drawn[row]:  # the inverse reading: the same edge the other way round
                    way = {"=>": "<=", "<=": "=>", "--": "--"}[way]  # type: ignore[assignment]
            case t.Motion():
                data = ("motion", edge.source, edge.target, edge.motion)
            case t.Reference():
                data = ("ref", edge.first, edge.second, "")
            case t.Event():
                near = self.objects[self.near[row]].id if self.near[row] != NONE else edge.clip
                data = ("event", near, edge.clip, edge.event)
            case _:
                data = ("next", *edge, "")
        kind, one, two, word = data
        return t.Step.model_construct(edge=kind, near=one, far=two, word=word, way=way)

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
