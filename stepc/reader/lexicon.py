"""The words of a graph, by the forms in which wordings say them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace

from stepc.edges import EDGES, ELEMENTS
from stepc.ir import types as t
from stepc.lang.conditions import Occasion
from stepc.lang.types import EdgeRule
from stepc.languages.base import Language, NoWording
from stepc.proof import words
from stepc.reader.patterns import Patterns, WordingPattern

_BOX = re.compile(r"\[\d{1,4}, \d{1,4}, \d{1,4}, \d{1,4}\]")


class WordTable:
    """Texts → their meanings, found at a place of a text."""

    def __init__(self, entries: Iterable[tuple[str, str]]) -> None:
        self.meanings: dict[str, tuple[str, ...]] = {}
        for text, meaning in entries:
            known = self.meanings.get(text := " ".join(text.lower().split()), ())
            if text and meaning not in known:
                self.meanings[text] = (*known, meaning)
        self.lengths = sorted({*map(len, self.meanings)}, reverse=True)

    def at(self, text: str, place: int) -> Iterator[tuple[int, str]]:
        """(end, meaning) of all entries that begin at a place of a text and end where a word ends."""
        for length in self.lengths:
            end = place + length
            for meaning in self.meanings.get(text[place:end], ()):
                if ends_word(text, end):
                    yield end, meaning


def ends_word(text: str, end: int) -> bool:
    """Whether a word ends at a place of a text. In scripts without spaces, any character may."""
    before, after = text[end - 1 : end], text[end : end + 1]
    if not (before.isalnum() and after.isalnum()):
        return True
    return any(low <= before <= high for low, high in words.SPACELESS)


def number_at(text: str, place: int) -> Iterator[tuple[int, str]]:
    """(end, number) of the number at a place of a text, if there is one."""
    end = place
    while end < len(text) and (
        text[end].isdigit() or (text[end] == "." and text[end + 1 : end + 2].isdigit())
    ):
        end += 1
    if end > place:
        yield end, text[place:end]


def box_at(text: str, place: int) -> Iterator[tuple[int, str]]:
    """(end, box) of the box at a place of a text, if there is one: `[120, 80, 410, 990]`."""
    if found := _BOX.match(text, place):
        yield found.end(), found[0]


class GraphWords:
    """The words of one graph: those that it states or denies, and those that they exclude."""

    def __init__(self, unit: t.Stsg, language: Language) -> None:
        self.language = language
        self.kinds: dict[str, list[str]] = {}
        """Normalised value of an attribute → its kinds."""
        told: dict[str, dict[str, str]] = {name: {} for name in EDGES}
        """Edge kind → normalised word → word"""
        self.said: dict[str, dict[str, str]] = {name: {} for name in EDGES}
        """Edge kind → word as the graph has it → the first of the same normalised form"""
        stated = [*self._stated(unit)]
        for edge, kind, word in stated:
            self._add(told, edge, kind, word)
        for edge, kind, word in stated:
            also = [*words.excluded_by(word, kind)]
            if edge == "rel":
                also += [x for x in map(words.inverse, (word, *also)) if x]
            for each in also:
                self._add(told, edge, kind, each)
        self.told = {name: [*each.values()] for name, each in told.items()}
        self.labels = [*dict.fromkeys(o.label for o in unit.objects)]
        self.every_kind = [*dict.fromkeys(a.kind for a in unit.attributes)]
        self.tables: dict[tuple[str, tuple[str, ...]], WordTable] = {}
        self.objects = WordTable(self._labelled())
        """Labels as they are said, with and without article."""

    @staticmethod
    def _stated(unit: t.Stsg) -> Iterator[tuple[str, str, str]]:
        """(edge kind, kind of attribute or "", word) of each fact that the graph states or denies."""
        for name, edge in EDGES.items():
            for category, _, word in edge.words(unit):
                yield name, category[1] if len(category) > 1 else "", word
        for e in unit.denied:
            if (kind := ELEMENTS.get(type(e))) is not None:
                fields = e.model_dump()
                word = next(
                    fields[x] for x in ("value", "predicate", "motion", "event") if x in fields
                )
                yield kind.name, str(fields.get("kind", "")), word

    def _labelled(self) -> Iterator[tuple[str, str]]:
        """(text, label) of each label as it is said."""
        for label in self.labels:
            yield self.language.the(self.language.noun(label)), label
            yield label, label

    def _add(self, told: dict[str, dict[str, str]], edge: str, kind: str, word: str) -> None:
        self.said[edge][word] = told[edge].setdefault(words.phrase(word), word)
        if edge == "attr":
            kinds = self.kinds.setdefault(words.phrase(word), [])
            if kind not in kinds:
                kinds.append(kind)

    def words(self, of: str, filters: tuple[str, ...]) -> WordTable:
        """The words of an edge kind, or the kinds of attributes (`kind`), after filters."""
        key = of, filters
        if key not in self.tables:
            if of == "kind":
                entries = [(kind.replace("_", " "), kind) for kind in self.every_kind]
            else:
                entries = [*self._framed(of)]
            self.tables[key] = WordTable(self._filtered(entries, filters))
        return self.tables[key]

    def live(self, patterns: Patterns) -> Patterns:
        """The patterns without those of attribute kinds that the graph does not have."""

        def kept(each: list[WordingPattern]) -> list[WordingPattern]:
            return [p for p in each if p.edge.name != "attr" or self._kinds_of(p.rule)]

        return replace(
            patterns,
            questions=kept(patterns.questions),
            names=kept(patterns.names),
            sentences=kept(patterns.sentences),
        )

    def _kinds_of(self, rule: EdgeRule) -> list[str]:
        """The attribute kinds for which a block has wordings."""
        about = [c for c in rule.conditions if c.subject == "kind"]
        at = {kind: Occasion(None, None, "", kind) for kind in self.every_kind}
        return [kind for kind in at if all(c.holds(at[kind]) for c in about)]

    def named(self, filters: tuple[str, ...]) -> WordTable:
        """The labels after filters such as `bare` and `plural`."""
        key = "label", filters
        if key not in self.tables:
            self.tables[key] = WordTable(self._filtered(self._labelled(), filters))
        return self.tables[key]

    def forms(self, texts: tuple[str, ...], filters: tuple[str, ...]) -> WordTable:
        """Fixed texts after filters."""
        key = "/".join(texts), filters
        if key not in self.tables:
            self.tables[key] = WordTable(self._filtered([(x, x) for x in texts], filters))
        return self.tables[key]

    def _framed(self, of: str) -> Iterator[tuple[str, str]]:
        for said, word in self.said[of].items():
            with suppress(NoWording):
                yield self.language.framed(EDGES[of].frame, said), word

    def _filtered(
        self, entries: Iterable[tuple[str, str]], filters: tuple[str, ...]
    ) -> Iterator[tuple[str, str]]:
        for text, meaning in entries:
            with suppress(NoWording):
                for name in filters:
                    text = self.language.filters[name](text)
                yield text, meaning
