"""The rules of one `paths` block: which rows of the edge table paths may use, and which walks are valid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

from stepc.edges import EDGES
from stepc.ir import types as t
from stepc.ir.words import excludes, mentions, normal, plain
from stepc.lang.conditions import Said
from stepc.lang.types import Block, EdgeRule, Filter, Spec
from stepc.sampling.edge_table import KIND, NONE, WAY, Bools, EdgeTable, Ints
from stepc.sampling.plan import PathKind
from stepc.sampling.query_builder import QueryBuilder

Expansion = tuple[int, Ints, Ints]
"""An expanding kind: its number, the rows that may describe a node by an object that is said by its label,
and those that may describe it by an object that is described itself."""
LABEL: tuple[Said, ...] = ("plain",)
DESCRIPTION: tuple[Said, ...] = ("short", "described")
FILTERED = {kind.filter: name for name, kind in EDGES.items() if kind.filter}
"""Word filter → the edge kind that it applies to."""


class PathRules:
    """One `paths` block on one graph: which steps its paths may take."""

    def __init__(self, table: EdgeTable, spec: Spec, block: Block, graph: QueryBuilder) -> None:
        self.table, self.spec, self.block, self.graph = table, spec, block, graph
        told = Counter(plain(e.event) for e in table.events.values())
        self.telling = {
            clip
            for clip, e in table.events.items()
            if e.trust.confidence >= block.confidence
            and all(f.keep == _says(e, f) for f in block.filters if f.what == "event")
        }
        """Clips whose event may be used."""
        whole = {c.id: (c.start, c.end) for c in table.unit.clips}
        self.timing = {
            c
            for c in self.telling
            if told[plain(table.events[c].event)] == 1
            and not self._elsewhere(c)
            and whole[c] == (table.events[c].start, table.events[c].end)
        }
        """Clips whose event may give a time range: no other clip shows it, and it fills the clip."""
        self._said: dict[tuple[int, str, str, Said], bool] = {}
        """Cache of `_has_wording`"""
        self._lines: dict[tuple[str, t.Way, str], list[EdgeRule]] = {}
        """Cache: (edge kind, direction, line or form) → the blocks that have it"""
        self.allowed = self._allowed()
        """Mask of the rows that the filters allow."""
        self.expanding = self._expanding()
        """Per expanding kind: (number of the kind, masks of the rows that may describe a node: those whose
        known end is said by its label, and those whose known end is described itself)."""

    @cached_property
    def contents(self) -> dict[str, list[str]]:
        """Clip → the labels of objects that only it shows, and only once, if no object may be missing."""
        table = self.table
        if any(gap.what == "object" for gap in table.unit.gaps):
            return {}
        there: dict[str, dict[int, str]] = {}
        for o in table.objects:
            there.setdefault(normal(o.label), {})[self.graph.entity[o.id]] = o.id
        made: dict[str, list[str]] = {}
        for entities in there.values():
            (name, *others) = entities.values()
            label = np.array([table.labels(normal(self.graph.labels[name]))])
            alone = table.one_label(label, 0 * label, 0 * label + len(table.clips))[0]
            if not others and alone and not self.spec.language.is_group(self.graph.labels[name]):
                made.setdefault(t.clip_of(name), []).append(self.graph.labels[name])
        return made

    def too_little(self, steps: Sequence[t.Step]) -> str:
        """Why the facts of a path are seen in too few clips or keyframes, or ""."""
        if not self.block.evidence:
            return ""
        demand = self.graph.demand(steps)
        few = next((what for what, least in self.block.evidence if demand[what] < least), "")
        return f"its evidence is in too few {few}" if few else ""

    # --- which rows ----------------------------------------------------------------------

    def _elsewhere(self, clip: str) -> bool:
        """Whether the motions of another clip show the event of this one."""
        event = self.table.events[clip].event
        named = {
            label: {m for m in motions if mentions(event, m)}
            for label, motions in self._moves.get(clip, {}).items()
            if mentions(event, label)
        }
        if not any(named.values()):
            return False
        wanted = [(label, m) for label, motions in named.items() for m in motions or {""}]
        return len(set.intersection(*(self._shown[pair] for pair in wanted))) > 1

    @cached_property
    def _moves(self) -> dict[str, dict[str, set[str]]]:
        """Clip → label → motions of the objects with this label."""
        made: dict[str, dict[str, set[str]]] = {}
        labels = {o.id: normal(o.label) for o in self.table.objects}
        for name, label in labels.items():
            made.setdefault(t.clip_of(name), {}).setdefault(label, set())
        for m in self.table.unit.motions:
            made[t.clip_of(m.source)][labels[m.source]].add(plain(m.motion))
        return made

    @cached_property
    def _shown(self) -> dict[tuple[str, str], set[str]]:
        """(label, motion) → clips in which such an object does this. The motion "" is that it is seen."""
        made: dict[tuple[str, str], set[str]] = {}
        for clip, labels in self._moves.items():
            for label, motions in labels.items():
                for motion in ("", *motions):
                    made.setdefault((label, motion), set()).add(clip)
        return made

    def _allowed(self) -> Bools:
        s, block = self.table, self.block
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
        if len(s.told) < 2:  # asking for the only event asks what happens in the video
            made &= (s.kind != KIND["event"]) | (s.way == WAY["--"])
        for f in block.filters:
            fits, about = self._filter(f)
            made &= ~about | (fits if f.keep else ~fits)
        return made

    def _filter(self, f: Filter) -> tuple[Bools, Bools]:
        """(mask of the rows that match a filter, mask of the rows that it applies to)."""
        s = self.table
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
                ends = np.array(
                    [*fit, f.keep], bool
                )  # NONE is the last: rows without the object pass
                both = (ends[s.near], ends[s.far])
                return (both[0] & both[1] if f.keep else both[0] | both[1]), rows
            case "predicate" | "value" | "motion":
                return np.isin(s.word, words), s.kind == KIND[FILTERED[f.what]]
            case "kind":
                named = {plain(w) for w in f.words}
                fit = [plain(getattr(e, "kind", "")) in named for e in s.edges]
                return np.array([*fit, False], bool)[s.edge], s.kind == KIND["attr"]
            case "clip":
                return _in_any(s.clip, [(a, b + 1) for a, b in f.ranges]), rows
            case "time":
                starts, ends_ = np.array(s.times() or [(0, 0)]).T
                fits = np.zeros(len(rows), bool)
                for a, b in f.ranges:
                    fits |= (starts[s.edge] >= a) & (ends_[s.edge] <= b)
                return fits, rows
            case _:
                return rows, ~rows

    @cached_property
    def whole(self) -> Bools:
        """Mask of the rows with one answer in the whole video; for references, in their clip."""
        s = self.table
        ref = s.kind == KIND["ref"]
        rows = np.arange(len(s.kind))
        return s.alone(rows, np.where(ref, s.clip, 0), np.where(ref, s.clip + 1, len(s.clips)))

    @cached_property
    def clip(self) -> Bools:
        """Mask of the rows with one answer in their clip; for event and next, in the whole video."""
        s = self.table
        told = np.isin(s.kind, [KIND["event"], KIND["next"]])
        rows = np.arange(len(s.kind))
        return s.alone(rows, np.where(told, 0, s.clip), np.where(told, len(s.clips), s.clip + 1))

    def one(self, time: t.When | None) -> Bools:
        """Mask of the rows with one answer, as far as known before the time range is drawn."""
        if time == "moment":
            return np.ones(len(self.table.kind), bool)
        return self.whole if time is None else self.clip

    def _begins(self, time: t.When | None) -> Bools:
        """Mask of the rows whose known end is exactly one object in scope."""
        s, rows = self.table, np.arange(len(self.table.kind))
        if time == "moment":
            return np.ones(len(rows), bool)
        if time is None:
            return s.begins(rows, 0 * s.clip, 0 * s.clip + len(s.clips))
        return s.begins(rows, s.clip, s.clip + 1)

    def _expanding(self) -> list[tuple[int, Bools, Bools]]:
        s, made = self.table, []
        for k in self.block.expand:
            plain_, described = (
                self.allowed
                & (s.found != NONE)
                & np.any([self.worded(k.kind, way, "name", "ask", said) for way in k.ways], axis=0)
                for said in (LABEL, DESCRIPTION)
            )
            made.append((KIND[k.kind], plain_, described))
        return made

    def worded(self, kind: str, way: t.Way, word: str, form: str, said: Sequence[Said]) -> Bools:
        """Mask of the rows of a kind and direction for which the spec has wordings of a line or form.

        `said`: how the known end may be said.
        """
        s = self.table
        rules = [rule for rule in self.spec.rules(kind) if rule.line(way, word)]
        rows: Bools = (s.kind == KIND[kind]) & (s.way == WAY[way]) & bool(rules)
        if all(rule.conditions for rule in rules):
            for row in np.flatnonzero(rows).tolist():
                rows[row] = any(self.fits(rules, s.step(row), form, how) for how in said)
        return rows

    def _has_wording(self, step: t.Step, word: str, form: str, said: Said) -> bool:
        """Whether the spec has a wording of a line for a step of the table."""
        key = id(step), word, form, said  # the table keeps its steps
        if key not in self._said:
            line = step.edge, step.way, word
            if line not in self._lines:
                rules = [r for r in self.spec.rules(step.edge) if r.line(step.way, word)]
                self._lines[line] = rules
            self._said[key] = self.fits(self._lines[line], step, form, said)
        return self._said[key]

    def fits(self, rules: Sequence[EdgeRule], step: t.Step, form: str, said: Said) -> bool:
        """Whether one of the rules fits a step whose known end is said so."""
        at = self.graph.occasion(step, form, self.block.name, said)
        return any(rule.fits(at) for rule in rules)

    def sayable(self, steps: Sequence[t.Step], form: str) -> bool:
        """Whether the spec has wordings for all steps of a path, as their known ends are said."""
        for i, step in enumerate(steps):
            last = i == len(steps) - 1
            word, asked = (form, form) if last else ("name", "ask")
            said = self.graph.said(steps, i)
            if step.edge in self.picky_kinds and not self._has_wording(step, word, asked, said):
                return False
        return True

    @cached_property
    def picky_kinds(self) -> set[str]:
        """Edge kinds whose wordings depend on how their known end is said."""
        return {
            rule.kind for rule in self.spec.edges if any(c.what == "said" for c in rule.conditions)
        }

    def expansions(self, kind: PathKind) -> list[Expansion]:
        """Per expanding kind: its number, and the rows that may describe a node in a step that counts."""
        fits_all = self.one(kind.time) & ~self.table.identity_only
        return [
            (number, np.flatnonzero(first & fits_all), np.flatnonzero(inner & fits_all))
            for number, first, inner in self.expanding
        ]

    def crossings(self, time: t.When | None) -> Ints:
        """The rows that lead to another clip without being a step."""
        fits_all = self.one(time) & self.table.identity_only
        named = np.zeros(len(fits_all), bool)
        for _, _, inner in self.expanding:
            named |= inner
        return np.flatnonzero(fits_all & named)

    @cached_property
    def references(self) -> float:
        """The share of paths that lead to another clip: a third, unless filters say all or none."""
        for f in self.block.filters:
            if f.what in ("same-clip", "across-clips"):
                return float(f.keep == (f.what == "across-clips"))
        times = {when for when, share in self.block.time if share > 0} | {None}
        return 1 / 3 if any(len(self.crossings(time)) for time in times) else 0.0

    def several(self, kind: PathKind) -> bool:
        """Whether the last step of such a path may find several answers."""
        return not kind.asked.compares and (kind.asked.several or not self.block.unique)

    def pool(self, kind: PathKind) -> list[tuple[float, Ints]]:
        """The possible last rows of such a path, one array per edge kind, each with the kind's weight."""
        s, made = self.table, []
        one = self._begins(kind.time) if self.several(kind) else self.one(kind.time)
        said = DESCRIPTION if kind.rows > 1 and not kind.asked.compares else LABEL
        for k in self.block.start:
            fits = self.allowed & one & ~s.identity_only
            fits &= np.any(
                [self.worded(k.kind, w, kind.form, kind.form, said) for w in k.ways],
                axis=0,
            )
            if k.kind == "event":  # `--` for forms that know the event, otherwise `=>`
                fits &= (s.way == WAY["--"]) == kind.asked.knows_event
            if kind.rows > 1 and not kind.asked.compares:
                fits &= s.known != NONE
            rows = np.flatnonzero(fits)
            if len(rows):
                made.append((k.weight, rows))
        return made

    # --- which walks ---------------------------------------------------------------------

    @cached_property
    def picky(self) -> bool:
        """Whether the block has more rules for whole paths than that no node is visited twice."""
        whats = {f.what for f in self.block.filters}
        return bool(self.block.no_revisit) or bool(whats & {"same-clip", "across-clips"})

    def visits_once(self, rows: Sequence[int]) -> bool:
        """Whether a path (answer first) visits no node twice and obeys `no-revisit` and clip filters."""
        s = self.table
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
        """Whether two rows can be compared with a clear answer."""
        s = self.table
        if one == other:
            return False
        if not kind.asked.time_compared:
            kinds = [s.edges[s.edge[r]].kind for r in (one, other)]
            named = [int(s.identity[s.known[r]]) for r in (one, other)]
            labels = [int(s.label[r]) for r in (one, other)]
            values = [s.edges[s.edge[r]].value for r in (one, other)]
            clear = plain(values[0]) == plain(values[1]) or excludes(values[0], values[1], kinds[0])
            apart = named[0] != named[1] and labels[0] != labels[1]
            return kinds[0] == kinds[1] and apart and clear
        if (
            s.kind[one] != s.kind[other]
        ):  # times of events and of motions are measured in different ways
            return False
        if s.group[one] == s.group[other] or self._overlap(s.step(one), s.step(other)):
            return False
        a, b = (self.graph.bounds(s.step(r)) for r in (one, other))
        return self.block.beats(kind.asked, a, b) or self.block.beats(kind.asked, b, a)

    def _overlap(self, one: t.Step, other: t.Step) -> bool:
        """Whether one of two events contains the other."""
        return one.edge == "event" and mentions(one.word, other.word)


def _in_any(values: Ints, ranges: Iterable[tuple[int, int]]) -> Bools:
    made = np.zeros(len(values), bool)
    for low, high in ranges:
        made |= (values >= low) & (values < high)
    return made


def _says(e: t.Event, f: Filter) -> bool:
    """Whether a filter names the event."""
    return plain(e.event) in {plain(w) for w in f.words}
