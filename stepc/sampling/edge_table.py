"""All possible steps of reasoning paths in a graph, as a table of numbers.

There is one row per edge and direction. A row has the known end, the found end, and a group shared by
all rows with the same question. Whether a step has one answer in a range of clips is a binary search,
so the time to draw a path hardly depends on the size of the graph.
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
from stepc.ir.geometry import is_comparison
from stepc.ir.graph import entities, identities
from stepc.ir.lexicon import Lexicon
from stepc.ir.spans import join_spans
from stepc.ir.words import excludes, inverse, normal, plain, same_name
from stepc.languages import DEFAULT, LANGUAGES, Language

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
KINDS = tuple(EDGES)
WAYS: tuple[t.Way, ...] = get_args(t.Way)
KIND = {k: i for i, k in enumerate(KINDS)}
LEADS = np.array([kind.leads for kind in EDGES.values()])
"""Number of kind → whether it leads from one object to another."""
WAY = {w: i for i, w in enumerate(WAYS)}
NONE = -1
_COLUMNS = (
    "kind", "way", "known", "found", "name", "group", "clip", "label", "far_label", "word",
    "near", "far", "edge", "reading", "drawn",
)  # fmt: skip


class Numbering:
    """Numbers hashable things from 0, in the order of their first use."""

    def __init__(self) -> None:
        self.number: dict[Any, int] = {}

    def __call__(self, thing: Any) -> int:
        return self.number.setdefault(thing, len(self.number))

    def those(self, things: Iterable[Any]) -> list[int]:
        """The numbers of those `things` that have one."""
        return [self.number[x] for x in things if x in self.number]


@dataclass
class SameNameIndex:
    """Answers whether all entries of a group have the same name in a range of clips.

    Entries are sorted by group and clip. `until` of an entry is the next position with another name,
    so a range has one name if `until` of its first entry is not before the end of the range.
    """

    key: Ints
    until: Ints
    order: Ints
    """The original numbers of the sorted entries."""
    clips: int

    @classmethod
    def of(cls, group: Ints, clip: Ints, name: Ints, clips: int) -> SameNameIndex:
        """Build the index of (group, clip, name) triples."""
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
        """The positions [first, last) of the entries of each group in clips [low, high)."""
        at = group * (self.clips + 1)
        return np.searchsorted(self.key, at + low), np.searchsorted(self.key, at + high)

    def __call__(self, group: Ints, low: Ints, high: Ints) -> Bools:
        """For each group, whether its entries in clips [low, high) have exactly one name."""
        first, last = self.range(group, low, high)
        there = first < last
        made = np.zeros(len(first), bool)
        made[there] = self.until[first[there]] >= last[there]
        return made


class EdgeTable:
    """All steps of an STSG. The rows are added by the edge kinds (`Edge.rows`).

    The language tells which labels are those of groups.
    """

    def __init__(self, unit: t.Stsg, language: Language = LANGUAGES[DEFAULT]) -> None:
        self.unit, self.language = unit, language
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
        """Clip → number of its event edge."""
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
        self.identity_only = self._identities()
        """Mask of the rows that only say that a thing is itself, and so are no steps of reasoning."""
        clips = len(self.clips)
        self.one_group = SameNameIndex.of(self.group, self.clip, self.name, clips)
        self.by_label = SameNameIndex.of(self.entity_label, self.entity_clip, self.identity, clips)
        self.one_label = self._calls(clips)
        """Whether a label calls one thing that is no group, and no word may call another one the same."""
        self._made: dict[int, t.Step] = {}

    def _identities(self) -> Bools:
        made = np.zeros(len(self.kind), bool)
        labels = {self.entity[o.id]: o.label for o in self.objects}
        for row in np.flatnonzero(self.kind == KIND["ref"]).tolist():
            made[row] = same_name(labels[self.known[row]], labels[self.found[row]])
        return made

    def _calls(self, clips: int) -> SameNameIndex:
        lexicon = self._lexicon = Lexicon(self.unit.lexicon, normal, plain)
        things = self._said = {self.entity[o.id]: o.label for o in self.objects}
        also = [
            (self.labels(word), thing)
            for thing, label in things.items()
            for word in lexicon.related("label", label)
        ]
        also += [
            (self.labels(normal(x)), self.entity[o.id]) for o in self.objects for x in o.called
        ]
        groups = [thing for thing, label in things.items() if self.language.is_group(label)]
        self._calling = self.identity, np.arange(len(self.identity))
        if not also and not groups:
            return self.by_label
        labels, which = np.array(also, np.int64).reshape(-1, 2).T
        more = np.array(groups, np.int64)  # a group is at least two things: itself and another one
        names = np.concatenate([self.identity, self.identity[which], NONE - more])
        self._calling = names, np.concatenate([self._calling[1], which, more])
        return SameNameIndex.of(
            np.concatenate([self.entity_label, labels, self.entity_label[more]]),
            np.concatenate([self.entity_clip, self.entity_clip[which], self.entity_clip[more]]),
            names,
            clips,
        )

    def mask(self, frames: Iterable[str]) -> int:
        """Keyframes of one clip as a bit mask."""
        made = 0
        for f in frames:
            made |= self.bit[f]
        return made

    # --- for edge kinds, while the table is built -----------------------------------------

    phrase = staticmethod(plain)
    """The normalised form of a predicate, motion, event or value."""
    inverse = staticmethod(inverse)

    def add(self, edge: Any) -> int:
        """Add an edge, before its rows. Returns its number."""
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

        `known` and `found` are entities. Rows with the same `group` have the same question, and `name`
        identifies their answer. `mask` has the keyframes in which the step holds. A row with `drawn=False` is
        never drawn; it is only an alternative answer of other rows.
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

    @staticmethod
    def is_comparison(predicate: str) -> bool:
        """Whether a predicate compares two things, so that it is no answer to where or what."""
        return is_comparison(predicate)

    def value(self, word: str) -> int:
        """The name of a value. It differs from the names of all identities."""
        return len(self.identity) + self.words(word)

    @cached_property
    def motion_spans(self) -> dict[tuple[int, str], tuple[tuple[int, int], ...]]:
        """(entity, motion) → time ranges in ms; overlapping or touching ranges are joined."""
        ranges: dict[tuple[int, str], list[tuple[int, int]]] = {}
        for m in self.unit.motions:
            key = (self.entity[m.source], plain(m.motion))
            ranges.setdefault(key, []).append((m.start, m.end))
        return {key: join_spans(spans) for key, spans in ranges.items()}

    # --- for edge kinds, afterwards --------------------------------------------------------

    def near_object(self, row: int) -> str:
        """The id of the near object of a row, or ""."""
        return self.objects[self.near[row]].id if self.near[row] != NONE else ""

    def seen(self, frames: Sequence[str]) -> tuple[int, int]:
        """The times of the first and the last of the given keyframes of one clip, in milliseconds."""
        keyframes = self.unit.clips[self.place[t.clip_of(frames[0])]].keyframes
        at = [k.at for k in keyframes if k.id in frames]
        return min(at), max(at)

    def from_to(self, one: str, other: str) -> tuple[int, int]:
        """The start of one clip and the end of another, in milliseconds."""
        clips = [self.unit.clips[self.place[c]] for c in (one, other)]
        return clips[0].start, clips[1].end

    def times(self) -> list[tuple[int, int]]:
        """The time range in which each edge is visible, in milliseconds."""
        pairs = zip(self.kinds, self.edges, strict=True)
        return [kind.times(edge, self) for kind, edge in pairs]

    # --- lookups -------------------------------------------------------------------------

    def alone(self, rows: Ints, low: Ints, high: Ints) -> Bools:
        """Whether the question of each row has exactly one answer in clips [low, high)."""
        return self.begins(rows, low, high) & self.one_group(self.group[rows], low, high)

    def begins(self, rows: Ints, low: Ints, high: Ints) -> Bools:
        """Whether each label in the question of a row names exactly one object in clips [low, high).

        An event in the question must occur in exactly one clip.
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

    def alone_at(self, row: int, shown: int) -> bool:
        """Whether the question of a row has exactly one answer in keyframes of its clip (a mask)."""
        clip = int(self.clip[row])
        first, last = self.one_group.range(self.group[row], clip, clip + 1)
        rows = self.one_group.order[first:last]
        masks = [self.reading_mask[x] or -1 for x in self.reading[rows]]
        names = {int(self.name[r]) for r, mask in zip(rows, masks, strict=True) if mask & shown}
        return len(names) == 1 and self.begins_at(row, shown)

    def begins_at(self, row: int, shown: int) -> bool:
        """Whether each label in the question of a row names exactly one object in keyframes of its clip."""
        clip = int(self.clip[row])
        labels = (int(x[row]) for x in (self.label, self.far_label))
        return all(self.one_called(x, clip, shown) for x in labels if x != NONE)

    def one_called(self, label: int, clip: int, shown: int) -> bool:
        """Whether a label calls exactly one object in keyframes of a clip (a mask)."""
        names, entities = self._calling
        first, last = self.one_label.range(label, clip, clip + 1)
        there = self.one_label.order[first:last]
        return (
            len({int(names[x]) for x in there if self.entity_mask[int(entities[x])] & shown}) == 1
        )

    def only_called(self, row: int, low: int, high: int, shown: int) -> bool:
        """Whether nothing else in clips [low, high) may be called like what a row finds, as a man "person".

        `shown` is a mask of keyframes, of one clip.
        """
        own, number = self._said[self.found[row]], int(self.entity_label[self.found[row]])
        names, entities = self._calling
        first, last = self.one_label.range(number, low, high)
        for x in self.one_label.order[first:last].tolist():
            e = int(entities[x])
            other = (
                self.entity_label[e] != number or names[x] < 0
            )  # it has another name, or is a group
            if other and self.entity_mask[e] & shown:
                return False
        noun = self.language.class_of(own)
        if noun not in ("person", "animal", "vehicle"):
            return True
        return not any(
            low <= self.entity_clip[e] < high
            and self.entity_mask[e] & shown
            and self.language.class_of(label) == noun
            and normal(label) != normal(own)
            and not excludes(normal(label), normal(own), "label")
            and not self._lexicon.excludes("label", label, own)
            for e, label in self._said.items()
        )

    def meet(self, paths: Ints) -> Bools:
        """Whether the steps of each path hold at a common time. `paths`: rows in reasoning order.

        A step to another clip restarts with the times of the object that it finds.
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
        """The keyframes in which the reading of each row holds, as bit masks; all bits if it has none."""
        masks = [mask or -1 for mask in self.reading_mask] or [-1]
        wide = max(masks).bit_length() > 62
        made: Ints = np.array(masks, object if wide else np.int64)[self.reading]
        return made

    @cached_property
    def _begin_masks(self) -> Ints:
        """The keyframes in which the known object of each row is visible, as bit masks."""
        masks = [*self.entity_mask, -1]  # NONE is the last
        wide = max(masks).bit_length() > 62
        made: Ints = np.array(masks, object if wide else np.int64)[self.known]
        return made

    def step(self, row: int) -> t.Step:
        """The step of a row."""
        if row not in self._made:
            self._made[row] = self._step(row)
        return self._made[row]

    def _step(self, row: int) -> t.Step:
        number = self.edge[row]
        kind, edge = self.kinds[number], self.edges[number]
        way: t.Way = WAYS[self.way[row]]
        if not self.drawn[row]:  # an inverse reading: the same edge in the other direction
            way = {"=>": "<=", "<=": "=>", "--": "--"}[way]  # type: ignore[assignment]
        near, far, word = kind.ends(edge, self, row)
        return t.Step.model_construct(edge=kind.name, near=near, far=far, word=word, way=way)

    def alike(self, row: int, low: int, high: int, most: int) -> list[int] | None:
        """The rows in the group of `row` in clips [low, high), or None if there are more than `most`."""
        first, last = self.one_group.range(self.group[row], low, high)
        if last - first > most:
            return None
        return sorted(int(r) for r in self.one_group.order[first:last])

    def labelled(self, label: int, low: int, high: int) -> list[int]:
        """The entities with a label in clips [low, high)."""
        first, last = self.by_label.range(label, low, high)
        return [int(e) for e in self.by_label.order[first:last]]
