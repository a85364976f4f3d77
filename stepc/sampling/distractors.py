"""Distractors: words of the same category in the graph, for wrong options and false claims."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from stepc.edges import EDGES
from stepc.ir import types as t
from stepc.ir.words import inverse, mentions, normal, plain, unfinished
from stepc.sampling.query_builder import QueryBuilder

Category = tuple[str, ...]


def words(unit: t.Stsg) -> Iterator[tuple[Category, str, str]]:
    """All words of a graph that can be answers, as (category, clip, word)."""
    for o in unit.objects:
        if not unfinished(o.label):
            yield ("label",), t.clip_of(o.id), o.label
    for kind in EDGES.values():
        for category, clip, word in kind.words(unit):
            if not unfinished(word):
                yield category, clip, word


def apart(word: str, others: Iterable[str]) -> bool:
    """Whether a word neither equals, contains nor is contained in one of `others`."""
    return not any(
        plain(word) == plain(x)
        or normal(word) == normal(x)
        or mentions(word, x)
        or mentions(x, word)
        for x in others
    )


class Distractors:
    """Draws distractors from one graph."""

    def __init__(self, unit: t.Stsg, graph: QueryBuilder) -> None:
        self.unit, self.graph = unit, graph

    def pool(self, kind: Category, clip: str = "") -> list[str]:
        """The different words of a category in a clip, or in the whole graph."""
        return self._pools.get((kind, clip), [])

    @cached_property
    def _pools(self) -> dict[tuple[Category, str], list[str]]:
        seen: dict[tuple[Category, str], dict[str, str]] = defaultdict(dict)
        for each, where, word in words(self.unit):
            for place in ("", where):
                seen[each, place].setdefault(plain(word), word)
        return {key: list(found.values()) for key, found in seen.items()}

    def options(
        self,
        step: t.Step,
        right: Sequence[str],
        question: str,
        count: int,
        sources: Sequence[str],
        rng: random.Random,
    ) -> list[str]:
        """Draw up to `count` different wrong options from the clip or the graph.

        None of them contains or is contained in a correct answer, and none occurs in the question.
        """
        kind, made = EDGES[step.edge].category(step, self.graph), list[str]()
        clip = t.clip_of(step.near)
        for source in sources:
            if source == "corpus":
                continue
            pool = self.pool(kind, clip if source == "clip" else "")
            for word in rng.sample(pool, len(pool)) if len(pool) < 200 else _some(pool, rng):
                if len(made) == count:
                    return made
                if apart(word, [*right, *made]) and not mentions(question, word):
                    made.append(word)
        return made

    def false(self, step: t.Step, others: Sequence[str], rng: random.Random) -> str | None:
        """Draw an answer that is false according to the graph, or return None if there is none.

        For a value: another value of its kind, since the step has only one. For an object: an
        object that the graph describes in the same respect but differently. `others` are correct
        answers too.
        """
        right = [self.graph.answer(step), *others]
        if self.graph.finds_value(step):
            kind, clip = EDGES[step.edge].category(step, self.graph), t.clip_of(step.near)
            near, far = self.pool(kind, clip), self.pool(kind)
            wrong = [w for w in near if apart(w, right)] or [w for w in far if apart(w, right)]
            if step.edge == "rel":
                wrong = [w for w in wrong if self._contradicts(step, w)]
            return rng.choice(wrong) if wrong else None
        if step.edge == "ref":
            return None
        entity = self.graph.entity
        if step.edge in ("attr", "motion"):
            kind_ = self.graph.kinds[step.far] if step.edge == "attr" else ""
            held = self._held.get((step.edge, kind_, t.clip_of(step.near)), [])
            word = plain(step.word)
            yes = {n for n, w in held if w == word}
            wrong_ids = {n for n, w in held if w != word} - yes
        else:
            known, way = entity[step.known], step.way
            pairs = self._related.get(known, ())
            yes = {n for n, w, there in pairs if w == plain(step.word) and there == way}
            wrong_ids = {n for n, w, there in pairs} - yes
        labels = sorted({self._labels[n] for n in wrong_ids})
        labels = [x for x in labels if apart(x, [*right, *(self._labels[n] for n in yes)])]
        return rng.choice(labels) if labels else None

    def _contradicts(self, step: t.Step, word: str) -> bool:
        """Whether the graph has relations between the two ends of a step, but not `word`."""
        one, two = self.graph.entity[step.near], self.graph.entity[step.far]
        said = {w for n, w, way in self._related.get(one, ()) if n == two and way == "=>"}
        return bool(said) and plain(word) not in said

    @cached_property
    def _held(self) -> dict[tuple[str, str, str], list[tuple[int, str]]]:
        """(edge kind, attribute kind or "", clip) → (entity, value or motion)."""
        held: dict[tuple[str, str, str], list[tuple[int, str]]] = defaultdict(list)
        entity = self.graph.entity
        for a in self.unit.attributes:
            held["attr", a.kind, t.clip_of(a.id)].append((entity[a.owner], plain(a.value)))
        for m in self.unit.motions:
            held["motion", "", t.clip_of(m.source)].append((entity[m.source], plain(m.motion)))
        return dict(held)

    @cached_property
    def _labels(self) -> dict[int, str]:
        return {self.graph.entity[o.id]: o.label for o in self.unit.objects}

    @cached_property
    def _related(self) -> dict[int, list[tuple[int, str, str]]]:
        """entity → (other entity, predicate, direction), including inverse readings."""
        made: dict[int, list[tuple[int, str, str]]] = defaultdict(list)
        entity = self.graph.entity
        for r in self.unit.relations:
            one, two = entity[r.subject], entity[r.object]
            readings = [(one, plain(r.predicate), two)]
            back = inverse(r.predicate)
            readings += [(two, back, one)] if back else []
            for a, word, b in readings:
                made[a].append((b, word, "=>"))
                made[b].append((a, word, "<="))
        return dict(made)


def _some(pool: list[str], rng: random.Random) -> Iterator[str]:
    """Up to 200 words drawn from a large pool, with repetition."""
    for _ in range(200):
        yield pool[rng.randrange(len(pool))]
