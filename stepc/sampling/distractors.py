"""Distractors: words of the same category in the graph, for wrong options and false claims."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import get_args

from stepc.edges import EDGES
from stepc.ir import types as t
from stepc.ir.geometry import is_comparison
from stepc.ir.lexicon import Lexicon
from stepc.ir.words import mentions, normal, plain, unfinished
from stepc.languages.base import Language
from stepc.sampling.graph_facts import OpenFact
from stepc.sampling.query_builder import QueryBuilder
from stepc.sampling.refutation import Refutation

Category = tuple[str, ...]
WORDS = get_args(t.WordKind)
"""Categories whose words the lexicon may relate."""


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


def same_sort(kind: Category, word: str, right: str, language: Language) -> bool:
    """Whether a word can be an option beside a right answer: no verb, and no comparison, beside a place."""
    return kind != ("rel",) or (
        language.takes_object(word) == language.takes_object(right)
        and is_comparison(word) == is_comparison(right)
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

        None of them contains or is contained in a correct answer, and none occurs in the question. Objects
        of the answer's class come first: people for a person. Beside a place stand places only.
        """
        kind, made = EDGES[step.edge].category(step, self.graph), list[str]()
        clip = t.clip_of(step.near)
        for source in sources:
            if source == "corpus":
                continue
            pool = self.pool(kind, clip if source == "clip" else "")
            pool = [w for w in pool if same_sort(kind, w, right[0], self.graph.language)]
            drawn = rng.sample(pool, len(pool)) if len(pool) < 200 else [*_some(pool, rng)]
            if kind == ("label",):
                sort = self.graph.noun(right[0]).noun
                drawn.sort(key=lambda word: self.graph.noun(word).noun != sort)
            for word in drawn:
                if len(made) == count:
                    return made
                if self.apart(kind, word, [*right, *made]) and not mentions(question, word):
                    made.append(word)
        return made

    def false(self, step: t.Step, others: Sequence[str], rng: random.Random) -> str | None:
        """Draw an answer that the graph refutes, or return None if there is none.

        Words of the clip, and those that the model denied there, are preferred to words of the rest of the
        video, and these to words that the video does not have. `others` are correct answers too.
        """
        right = [self.graph.answer(step), *others]
        if self.graph.finds_value(step):
            kind, clip = EDGES[step.edge].category(step, self.graph), t.clip_of(step.near)
            false = self.refutation
            near = [*self.pool(kind, clip), *false.denied_words(step)]
            places = [near, self.pool(kind), false.excluded_words(step)]
        else:
            kind, places = ("label",), [[*self.refutation.labels(step)]]
        for words_ in places:
            wrong = [
                w
                for w in dict.fromkeys(words_)
                if self.apart(kind, w, right) and self.refutation.refuted(step, w)
            ]
            if wrong and not self.graph.finds_value(step):
                sort = self.graph.noun(right[0]).noun
                alike = [w for w in wrong if self.graph.noun(w).noun == sort]
                return rng.choice(alike or wrong)
            if wrong:
                return rng.choice(wrong)
        return None

    def apart(self, kind: Category, word: str, others: Iterable[str]) -> bool:
        """Whether a word of a category is apart from others, and not a kind of one of them or the reverse."""
        related = self._lexicon.related(kind[0], word) if kind[0] in WORDS else set()
        return apart(word, others) and related.isdisjoint(
            self._lexicon.key(kind[0], x) for x in (others if related else ())
        )

    @cached_property
    def _lexicon(self) -> Lexicon:
        return Lexicon(self.unit.lexicon, normal, plain)

    def unproved(
        self, step: t.Step, others: Sequence[str], rng: random.Random
    ) -> tuple[OpenFact, ...]:
        """What would make a drawn answer false if the graph knew that it is not so; none if there is none."""
        right = [self.graph.answer(step), *others]
        if self.graph.finds_value(step):
            kind = EDGES[step.edge].category(step, self.graph)
            pools = [self.pool(kind, t.clip_of(step.near)), self.pool(kind)]
        else:
            kind, pools = ("label",), [[*self.refutation.labels(step)]]
        for pool in pools:
            drawn = rng.sample(pool, len(pool))
            if not self.graph.finds_value(step):
                sort = self.graph.noun(right[0]).noun
                drawn.sort(key=lambda word: self.graph.noun(word).noun != sort)
            for word in drawn:
                if self.apart(kind, word, right) and (made := self.refutation.open(step, word)):
                    return made
        return ()

    @cached_property
    def refutation(self) -> Refutation:
        """Which claims the graph refutes."""
        return Refutation(self.unit, self.graph)


def _some(pool: list[str], rng: random.Random) -> Iterator[str]:
    """Up to 200 words drawn from a large pool, with repetition."""
    for _ in range(200):
        yield pool[rng.randrange(len(pool))]
