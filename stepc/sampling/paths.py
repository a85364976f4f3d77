"""Reasoning paths as walks over a graph's steps: which a block of a spec allows, and drawing them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, TypeVar

import numpy as np

from stepc.ir import types as t
from stepc.ir.words import any_mentions, mentions, normal, plain
from stepc.lang.types import Block, Filter, Spec
from stepc.sampling.batch_sampler import BatchSampler
from stepc.sampling.edge_table import KIND, NONE, WAY, Bools, EdgeTable, Ints
from stepc.sampling.query_builder import WHOLE, QueryBuilder, words_of_op

_T = TypeVar("_T")
BATCH = 1 << 14
"""Paths proposed at once, at most."""
MOST = 2_000_000
"""Walks, whole or not, that are looked at where all paths are listed."""
ENOUGH = 1 << 11
"""A batch of more draws without a new path is the last."""
MANY = 20
"""The most things that a question counts or picks from."""
CLEAR = 0.1
"""How much longer, as a share of the longer one, one of two times must be to be told longer."""
KeysSeen = set[object]
"""What was asked already: keys of questions."""


@dataclass(frozen=True)
class PathKind:
    """What is drawn together: paths of so many steps, asked so, with a time given so."""

    steps: int
    form: t.Form
    time: t.When | None

    @classmethod
    def of(cls, steps: int, form: t.Form, time: t.When | None) -> PathKind:
        """What a draw is; a comparison is of two edges in the whole video."""
        return cls(2, form, None) if form in t.PAIRS else cls(steps, form, time)


def plan(block: Block, rng: random.Random) -> Counter[PathKind]:
    """How many paths of each kind a block draws, its shares met as whole numbers allow."""
    times = [*block.time, (None, max(0.0, 1 - sum(share for _, share in block.time)))]
    columns = (
        _shares([(n, w) for n, w in block.steps], block.count, rng),
        _shares([(f, w) for f, w in block.form], block.count, rng),
        _shares(times, block.count, rng),
    )
    made: Counter[PathKind] = Counter()
    for n, form, time in zip(*columns, strict=True):
        made[PathKind.of(n, form, time)] += 1
    return made


def _shares(weights: Sequence[tuple[_T, float]], count: int, rng: random.Random) -> list[_T]:
    """`count` things in the proportions of their weights, as nearly as whole numbers allow."""
    total = sum(w for _, w in weights)
    exact = [w / total * count for _, w in weights]
    whole = [int(e) for e in exact]
    rest = sorted(range(len(exact)), key=lambda i: whole[i] - exact[i])
    for i in rest[: count - sum(whole)]:
        whole[i] += 1
    drawn = [x for (x, _), times in zip(weights, whole, strict=True) for _ in range(times)]
    rng.shuffle(drawn)
    return drawn


Time = tuple[t.When | None, str | None, tuple[int, int]]
"""How a path is given its time: how, by which clip, and the range of clips left in scope."""


class TooMany(Exception):
    """A block has more paths than can be listed."""


class PathSampler:
    """One block of a spec on one graph: which steps it may take, and the paths it draws."""

    def __init__(self, steps: EdgeTable, spec: Spec, block: Block) -> None:
        self.steps, self.spec, self.block = steps, spec, block
        self.said = QueryBuilder(steps.unit)
        self.counts: Counter[str] = Counter()
        told = Counter(plain(e.event) for e in steps.events.values())
        self.telling = {
            clip
            for clip, e in steps.events.items()
            if e.trust.confidence >= block.confidence
            and all(f.keep == _says(e, f) for f in block.filters if f.what == "event")
        }
        """Clips whose event may be asked about."""
        self.timing = {c for c in self.telling if told[plain(steps.events[c].event)] == 1}
        """Clips whose event may give a time: no other event reads the same."""
        self.allowed = self._allowed()
        self.expanding = self._expanding()
        """For each kind that expands: its number and the rows that a node may be described by."""

    # --- which steps ---------------------------------------------------------------------

    def _allowed(self) -> Bools:
        """Rows that the block's filters let paths use."""
        s, block = self.steps, self.block
        made: Bools = s.drawn.copy()
        if block.confidence > 0 and len(s.edges):
            sure = np.array(
                [e.trust.confidence if isinstance(e, t.Element) else 1.0 for e in s.edges]
            )
            made &= sure[s.edge] >= block.confidence
            there = np.array([*(o.trust.confidence for o in s.objects), 1.0])  # NONE is the last
            made &= (there[s.near] >= block.confidence) & (there[s.far] >= block.confidence)
        timed, told = (
            np.array([c in clips for c in s.clips], bool) for clips in (self.timing, self.telling)
        )
        at = s.kind == KIND["ref"]
        if at.any():
            made[at] &= timed[s.clip[at]] & timed[s.entity_clip[s.found[at]]]
        for row in np.flatnonzero(made & np.isin(s.kind, [KIND["event"], KIND["next"]])).tolist():
            edge = s.edges[s.edge[row]]
            clips = (edge.clip,) if isinstance(edge, t.Event) else edge
            made[row] = all(told[s.place[c]] for c in clips)
        for f in block.filters:
            fits, about = self._filter(f)
            made &= ~about | (fits if f.keep else ~fits)
        return made

    def _filter(self, f: Filter) -> tuple[Bools, Bools]:
        """The rows that fit a filter, and those it is about."""
        s = self.steps
        rows = np.ones(len(s.kind), bool)
        words = np.array(s.words.those(plain(w) for w in f.words), np.int64)
        match f.what:
            case "label" | "static" | "dynamic":
                fit = [
                    normal(o.label) in {normal(w) for w in f.words}
                    if f.what == "label"
                    else o.op == f.what
                    for o in s.objects
                ]
                ends = np.array([*fit, f.keep], bool)  # NONE is the last: no object, no matter
                both = (ends[s.near], ends[s.far])
                return (both[0] & both[1] if f.keep else both[0] | both[1]), rows
            case "predicate" | "value" | "motion":
                kinds: dict[str, t.EdgeKind] = {"predicate": "rel", "value": "attr"}
                return np.isin(s.word, words), s.kind == KIND[kinds.get(f.what, "motion")]
            case "kind":
                named = {plain(w) for w in f.words}
                fit = [plain(getattr(e, "kind", "")) in named for e in s.edges]
                return np.array([*fit, False], bool)[s.edge], s.kind == KIND["attr"]
            case "clip":
                return _in_any(s.clip, [(a, b + 1) for a, b in f.ranges]), rows
            case "time":
                spans = [self._when(e) for e in s.edges]
                starts, ends_ = np.array([(a, b) for a, b in spans] or [(0, 0)]).T
                fits = np.zeros(len(rows), bool)
                for a, b in f.ranges:
                    fits |= (starts[s.edge] >= a) & (ends_[s.edge] <= b)
                return fits, rows
            case _:
                return rows, ~rows

    def _when(self, e: Any) -> tuple[int, int]:
        """The time an edge is seen in, milliseconds."""
        s = self.steps
        if isinstance(e, t.Motion | t.Event):
            return e.start, e.end
        if isinstance(e, t.Attribute | t.Relation):
            keyframes = s.unit.clips[s.place[t.clip_of(e.frames[0])]].keyframes
            at = [k.at for k in keyframes if k.id in e.frames]
            return min(at), max(at)
        ids = (e.first, e.second) if isinstance(e, t.Reference) else e
        clips = [s.unit.clips[s.place[t.clip_of(i)]] for i in ids]
        return clips[0].start, clips[-1].end

    @cached_property
    def whole(self) -> Bools:
        """Rows that have one answer in the whole video; of a reference, in the clips it names."""
        s = self.steps
        ref = s.kind == KIND["ref"]
        rows = np.arange(len(s.kind))
        return s.alone(rows, np.where(ref, s.clip, 0), np.where(ref, s.clip + 1, len(s.clips)))

    @cached_property
    def clip(self) -> Bools:
        """Rows that have one answer in their clip; between events, in the whole video."""
        s = self.steps
        told = np.isin(s.kind, [KIND["event"], KIND["next"]])
        rows = np.arange(len(s.kind))
        return s.alone(rows, np.where(told, 0, s.clip), np.where(told, len(s.clips), s.clip + 1))

    def _expanding(self) -> list[tuple[int, Bools]]:
        s, made = self.steps, []
        for k in self.block.expand:
            fits = self.allowed & (s.kind == KIND[k.kind]) & (s.found != NONE)
            rule = self.spec.rule(k.kind)
            ways = [w for w in k.ways if rule and (find := rule.find(w)) and find.line("name")]
            made.append((KIND[k.kind], fits & np.isin(s.way, [WAY[w] for w in ways])))
        return made

    def one(self, time: t.When | None) -> Bools:
        """Rows with one answer, as far as that is known before a clip is drawn."""
        return self.whole if time is None else self.clip

    def _many(self, kind: PathKind) -> bool:
        """Whether the last step of a path of a kind may find several things."""
        if kind.form in t.PAIRS:
            return False
        return kind.form == "count" or kind.form in t.PICKS or not self.block.unique

    def _begins(self, time: t.When | None) -> Bools:
        """Rows whose known end is one object in scope."""
        s, rows = self.steps, np.arange(len(self.steps.kind))
        if time is None:
            return s.begins(rows, 0 * s.clip, 0 * s.clip + len(s.clips))
        return s.begins(rows, s.clip, s.clip + 1)

    def pool(self, kind: PathKind) -> list[Ints]:
        """The rows that a path of a kind may end with, by kind of edge."""
        s, made = self.steps, []
        one = self._begins(kind.time) if self._many(kind) else self.one(kind.time)
        for k in self.block.start:
            ways = [w for w in k.ways if self.spec.words(kind.form, k.kind, w)]
            fits = self.allowed & one & (s.kind == KIND[k.kind])
            fits &= np.isin(s.way, [WAY[w] for w in ways])
            if k.kind == "event":  # known itself, unless an object of its clip is known
                itself = kind.form in ("when", "how-long") or kind.form in t.PAIRS
                fits &= (s.way == WAY["--"]) == itself
            if kind.steps > 1 and kind.form not in t.PAIRS:
                fits &= s.known != NONE
            rows = np.flatnonzero(fits)
            if len(rows):
                made.append(rows)
        return made

    # --- drawing -------------------------------------------------------------------------

    def drawn(self, rng: random.Random, known: KeysSeen) -> Iterator[t.Path]:
        """The block's paths, drawn at random; those not known yet.

        Where a whole large batch holds no new one, few are left, and the rest is given up.
        """
        for kind, wanted in plan(self.block, rng).items():
            made = 0
            for size, batch in self.proposed(kind, wanted * self.block.tries, rng):
                before = made
                for path, key, why in (x for rows in batch for x in self.finished(kind, rows, rng)):
                    if not why and key in known:
                        why = "the same question"
                    if why:
                        self.counts[f"drawn anew: {why}"] += 1
                        continue
                    known.add(key)
                    made += 1
                    yield path
                    if made >= wanted:
                        break
                if made >= wanted or (made == before and size > ENOUGH):
                    break
            self._told(kind, made, wanted)

    def proposed(
        self, kind: PathKind, tries: int, rng: random.Random
    ) -> Iterator[tuple[int, list[list[int]]]]:
        """Batches of draws, `tries` at most: how many, and the paths' rows in reasoning order."""
        draw, size = self.batches(kind, rng.getrandbits(64)), 64
        if not draw.pool:
            return
        while tries > 0:
            n = min(size, tries, BATCH)
            tries, size = tries - n, size * 4
            made = draw.pairs(n) if kind.form in t.PAIRS else draw.chains(n)
            self.counts["drawn anew: dead end"] += n - len(made)
            yield n, made.tolist()

    def batches(self, kind: PathKind, seed: int) -> BatchSampler:
        """What draws many paths of a kind at once."""
        one = self.one(kind.time)
        if kind.form in t.PAIRS:
            return BatchSampler(
                self.steps, 1, self.pool(kind), (), seed, lambda rows: self.comparable(kind, *rows)
            )
        expanding = [(number, np.flatnonzero(fits & one)) for number, fits in self.expanding]
        judge = (lambda rows: self.visits_once(rows[::-1])) if self.picky else None
        return BatchSampler(self.steps, kind.steps, self.pool(kind), expanding, seed, judge)

    def listed(self, rng: random.Random, known: KeysSeen) -> Iterator[t.Path]:
        """The block's paths, drawn without repetition from all there are (a reservoir)."""
        for kind, wanted in plan(self.block, rng).items():
            held: list[tuple[t.Path, object]] = []
            new: KeysSeen = set()
            for rows in self.every(kind):
                for path, key, why in self.finished(kind, rows):
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
            self._told(kind, len(held), wanted)

    def _told(self, kind: PathKind, made: int, wanted: int) -> None:
        self.counts[f"paths of {kind.steps} steps"] += made
        self.counts[f"given up: {kind.steps} steps"] += wanted - made

    def kinds(self) -> list[PathKind]:
        """All kinds of path that the block may draw."""
        times: list[t.When | None] = [when for when, share in self.block.time if share > 0]
        if sum(share for _, share in self.block.time) < 1:
            times.append(None)
        made = [
            PathKind.of(n, form, time)
            for n, weight in self.block.steps
            for form, share in self.block.form
            for time in times
            if weight > 0 and share > 0
        ]
        return list(dict.fromkeys(made))

    def every(self, kind: PathKind) -> Iterator[list[int]]:
        """The rows of all paths of a kind, in reasoning order, whatever they say.

        Raises TooMany after `MOST` walks.
        """
        looked = 0
        starts = [int(r) for rows in self.pool(kind) for r in rows]
        if kind.form in t.PAIRS:
            for looked, pair in enumerate(combinations(starts, 2)):
                if looked > MOST:
                    raise TooMany
                if self.comparable(kind, *pair):
                    yield list(pair)
            return
        s = self.steps
        into: dict[int, list[int]] = {}
        for _, fits in self.expanding:
            for row in np.flatnonzero(fits & self.one(kind.time)).tolist():
                into.setdefault(int(s.found[row]), []).append(row)

        def grow(rows: list[int]) -> Iterator[list[int]]:
            nonlocal looked
            looked += 1
            if looked > MOST:
                raise TooMany
            if len(rows) == kind.steps:
                if self.visits_once(rows) and s.meet(np.array([rows[::-1]]))[0]:
                    yield rows[::-1]
                return
            for row in into.get(int(s.known[rows[-1]]), ()):
                last = len(rows) + 1 == kind.steps
                if (last or s.known[row] != NONE) and self.visits_once([*rows, row]):
                    yield from grow([*rows, row])

        for start in starts:
            yield from grow([start])

    @cached_property
    def picky(self) -> bool:
        """Whether the block says more of paths than that no node is visited twice."""
        whats = {f.what for f in self.block.filters}
        return bool(self.block.no_revisit) or bool(whats & {"same-clip", "across-clips"})

    def visits_once(self, rows: Sequence[int]) -> bool:
        """Whether a path (answer first) comes to no node twice, nor to what the block says."""
        s = self.steps
        ends = [("found", int(s.found[rows[0]]), int(s.name[rows[0]]))]
        ends += [("known", int(s.known[r]), int(s.word[r])) for r in rows]
        nodes = [n if n != NONE else ("value", v) for _, n, v in ends]
        if len(set(nodes)) < len(nodes):
            return False
        for what in self.block.no_revisit:
            if what == "labels":
                labels = [int(s.entity_label[n]) for _, n, _ in ends if n != NONE]
                if len(set(labels)) < len(labels):
                    return False
            elif what == "kinds" and len({int(s.kind[r]) for r in rows}) < len(rows):
                return False
        across = any(s.kind[r] == KIND["ref"] for r in rows)
        for f in self.block.filters:
            if f.what in ("same-clip", "across-clips"):
                fits = across == (f.what == "across-clips")
                if fits != f.keep:
                    return False
        return True

    def comparable(self, kind: PathKind, one: int, other: int) -> bool:
        """Whether two rows can be compared, and the answer is clear."""
        s = self.steps
        if one == other:
            return False
        if kind.form == "same":
            kinds = [s.edges[s.edge[r]].kind for r in (one, other)]
            named = [int(s.identity[s.known[r]]) for r in (one, other)]
            labels = [int(s.label[r]) for r in (one, other)]
            return kinds[0] == kinds[1] and named[0] != named[1] and labels[0] != labels[1]
        (a, b), (c, d) = (self.said.spans(s.step(r))[0] for r in (one, other))
        if s.group[one] == s.group[other] or self._overlap(s.step(one), s.step(other)):
            return False
        if kind.form in ("which-first", "which-last"):
            return (a < c and b < d) or (c < a and d < b)
        return abs((b - a) - (d - c)) >= CLEAR * max(b - a, d - c, 1)

    def _overlap(self, one: t.Step, other: t.Step) -> bool:
        """Whether one of two facts says the other: an event, what somebody in it does."""
        if one.edge == other.edge:
            return mentions(one.word, other.word) and one.edge == "event"
        event, motion = (one, other) if one.edge == "event" else (other, one)
        words = (motion.word, self.said.labels[motion.near])
        return all(mentions(event.word, w) for w in words)

    # --- finishing -----------------------------------------------------------------------

    def finished(
        self, kind: PathKind, rows: list[int], rng: random.Random | None = None
    ) -> Iterator[tuple[t.Path, object, str]]:
        """The paths of rows in reasoning order: path, key, and why it is not kept, or nothing.

        There is one for each clip that may give its time; with `rng`, one of them is drawn.
        """
        times = list(self._times(kind, rows))
        if not times:
            nowhere: Time = (None, None, (0, len(self.steps.clips)))
            yield (*self._path(kind, rows, nowhere)[:2], "nothing gives it a time")
        elif rng is not None and len(times) > 1:
            times = [rng.choice(times)]
        for time in times:
            path, key, why = self._path(kind, rows, time)
            if why == "says its answer" and time[0] == "during" and not self._crosses(rows):
                whole = self._path(kind, rows, (None, None, (0, len(self.steps.clips))))
                path, key, why = (path, key, why) if whole[2] else whole
            yield path, key, why

    def _times(self, kind: PathKind, rows: list[int]) -> Iterator[Time]:
        """How a path may be given its time."""
        s = self.steps
        here, last = int(s.clip[rows[-1]]), s.kind[rows[-1]]
        whole: Time = (None, None, (0, len(s.clips)))
        if kind.form in t.PAIRS:
            yield whole
        elif self._crosses(rows):  # a question over clips has the time of the last
            end = int(s.entity_clip[s.found[rows[-1]]]) if s.found[rows[-1]] != NONE else here
            first = int(s.clip[rows[0]])
            yield "during", s.clips[end], (first, first + 1)
        elif kind.time is None or last == KIND["next"]:
            yield whole
        elif last == KIND["event"] and kind.time in ("during", "span"):
            yield whole  # its own time would say it
        elif kind.time == "span" or (kind.time == "during" and s.clips[here] in self.timing):
            yield kind.time, s.clips[here], (here, here + 1)
        elif kind.time == "during":
            yield whole
        else:
            for clip in (c for c in s.clips if c in self.timing):
                at = s.place[clip]
                if kind.time == "before" and here < at:
                    yield "before", clip, (0, at)
                elif kind.time == "after" and here > at:
                    yield "after", clip, (at + 1, len(s.clips))

    def _crosses(self, rows: list[int]) -> bool:
        return self._references and any(self.steps.kind[r] == KIND["ref"] for r in rows)

    @cached_property
    def _references(self) -> bool:
        return bool((self.allowed & (self.steps.kind == KIND["ref"])).any())

    def _path(self, kind: PathKind, rows: list[int], time: Time) -> tuple[t.Path, object, str]:
        """A path, what tells it from others, and why it is not kept, or nothing."""
        s, unique = self.steps, self.block.unique
        how, clip, scope = time
        why = self._judge(kind, rows, time)
        also: tuple[t.Step, ...] = ()
        if self._many(kind):
            within = None if self._crosses(rows) else scope
            found = self._reached(rows, within)
            alone = self._reached(rows[-1:], within)
            if found is None or alone is None:
                why = why or "too many to tell"
            elif {s.name[r] for r in found} != {s.name[r] for r in alone}:
                why = why or "its last step alone finds others"
            elif kind.form in t.PICKS:
                best = self._best(kind.form, found)
                why = why or ("" if best is not None else "no one of several is it")
                rows = [*rows[:-1], best if best is not None else rows[-1]]
            also = tuple(s.step(r) for r in found or () if s.name[r] != s.name[rows[-1]])
        steps = tuple([s.step(r) for r in rows])
        if also and not self._worded(kind, steps[-1], also):
            why = why or "not all of it can be said"
        if kind.form in t.PAIRS:
            one, other = steps
            says = ("yes", "no") if kind.form == "same" else (self._fact(one), self._fact(other))
            query = self.said.compare(kind.form, one, other, WHOLE, says)
        else:
            op = self.said.scope(how, clip)
            if self._crosses(rows):
                op = self.said.scope("during", s.clips[scope[0]])
            query = self.said.build(steps, op, kind.form, unique)
        path = t.Path.model_construct(
            id="p0",
            block=self.block.name,
            form=kind.form,
            wanted=kind.steps,
            time=how,
            clip=clip,
            steps=steps,
            also=also,
            unique=unique,
            query=query,
        )
        key: object = (kind.form, query)
        if unique:  # the groups of its rows say as much, and are told apart faster
            groups = [int(s.group[r]) for r in rows]
            if kind.form in t.PAIRS:  # one and the other, whichever comes first
                groups.sort()
            key = (kind.form, how, clip, *groups)
        return path, key, why or ("says its answer" if self.leaks(path) else "")

    def _worded(self, kind: PathKind, last: t.Step, also: tuple[t.Step, ...]) -> bool:
        """Whether the spec has words for all that a last step finds, some by the inverse."""
        rule = self.spec.rule(last.edge)
        return (
            rule is not None
            and bool(rule.words(kind.form, last.way))
            and all(rule.find(x.way) is not None for x in also)
        )

    def _fact(self, step: t.Step) -> str:
        """A step as a fact in plain words, by which an answer is told from the other."""
        if step.edge == "event":
            return step.word
        return f"{self.said.labels[step.near]} {step.word}"

    def _judge(self, kind: PathKind, rows: list[int], time: Time) -> str:
        """Why steps do not make a path, apart from what they say, or nothing."""
        s = self.steps
        how, _, (low, high) = time
        if kind.form in t.PAIRS:
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
        if self._many(kind):
            fits[-1] = s.begins(array[-1:], lows[-1:], highs[-1:])[0]
        return "" if fits.all() else "more than one answer"

    def _reached(
        self, rows: list[int], scope: tuple[int, int] | None
    ) -> dict[int, list[tuple[int, int]]] | None:
        """What a path's last step finds: for each name a row, and all its rows with the keyframes
        they hold in.

        None if that is too much. Without a scope each step looks in its own clip. Each step is
        taken from all that the one before comes to.
        """
        s = self.steps
        first = int(s.known[rows[0]])
        at: dict[int, int] = {}

        def within(row: int) -> tuple[int, int]:
            return scope or (int(s.clip[row]), int(s.clip[row]) + 1)

        if first != NONE:
            for e in s.labelled(int(s.label[rows[0]]), *within(rows[0])):
                at[e] = s.entity_mask[e]
        found: dict[int, list[tuple[int, int]]] = {}
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

    def _best(self, form: t.Form, found: dict[int, list[tuple[int, int]]] | None) -> int | None:
        """The row that a form picks; None if there is but one, or two are as much so."""
        if not found or len(found) < 2:
            return None
        ranked = sorted(((self._rank(form, rows), r) for r, rows in found.items()), reverse=True)
        return ranked[0][1] if ranked[0][0] > ranked[1][0] else None

    def _rank(self, form: t.Form, rows: list[tuple[int, int]]) -> float:
        """How much so something is, by all its rows; the most is picked."""
        s = self.steps
        spans: list[tuple[int, int]] = []
        for row, mask in rows:
            if s.kind[row] == KIND["motion"]:
                spans += self.said.spans(s.step(row))
            else:
                frames = s.unit.clips[int(s.clip[row])].keyframes
                spans += [(k.at, k.at) for i, k in enumerate(frames) if mask >> i & 1]
        start, end = min(a for a, _ in spans), max(b for _, b in spans)
        longest = max(b - a for a, b in spans)
        return {"first": -start, "last": end, "longest": longest, "shortest": -longest}[form]

    def leaks(self, path: t.Path) -> bool:
        """Whether what the question will say contains an answer or a sub-answer."""
        if path.form in t.PAIRS:
            return False
        said = [text for op in path.query if (text := words_of_op(op))]
        if path.time == "during" and path.clip is not None:
            said.append(self.said.events[path.clip])
        answers = [self.said.answer(x) for x in path.steps[:-1]]
        if path.form not in ("when", "how-long", "claim", "count"):
            answers += [self.said.answer(x) for x in (path.steps[-1], *path.also)]
        elif path.form == "count" or path.form == "claim":
            answers += [self.said.answer(path.steps[-1])]
        return any_mentions(said, answers)


def _in_any(values: Ints, ranges: Iterable[tuple[int, int]]) -> Bools:
    made = np.zeros(len(values), bool)
    for low, high in ranges:
        made |= (values >= low) & (values < high)
    return made


def _says(e: t.Event, f: Filter) -> bool:
    """Whether an event's words are among those of a filter."""
    return plain(e.event) in {plain(w) for w in f.words}
