"""A video's lexicon: which of its words mean the same, are kinds of others, or exclude each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from stepc.ir.elements import WordRelation


class Lexicon:
    """Looks up words, compared by the functions `label` (of labels) and `phrase` (of all others).

    `of` is what a word is: `label`, `rel`, `motion` or `attr`.
    """

    def __init__(
        self,
        entries: Iterable[WordRelation],
        label: Callable[[str], str],
        phrase: Callable[[str], str],
    ) -> None:
        self.label, self.phrase = label, phrase
        self._broader: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._narrower: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._excluded: dict[tuple[str, str], set[str]] = defaultdict(set)
        self.displayed: dict[tuple[str, str], str] = {}
        """(what a word is, word) → the word that is displayed in its place."""
        for e in entries:
            one, other = self.key(e.of, e.one), self.key(e.of, e.other)
            if e.how == "<":
                self._broader[e.of, one].add(other)
                self._narrower[e.of, other].add(one)
            elif e.how == "!":
                self._excluded[e.of, one].add(other)
                self._excluded[e.of, other].add(one)
            else:
                self.displayed.setdefault((e.of, other), e.one)

    def key(self, of: str, word: str) -> str:
        """A word as it is compared."""
        return self.label(word) if of == "label" else self.phrase(word)

    def broader(self, of: str, word: str) -> set[str]:
        """All words that are true of what a word is true of: "vehicle" for "van"."""
        return self._closure(self._broader, of, word)

    def narrower(self, of: str, word: str) -> set[str]:
        """All words that a word is true of as well: "van" for "vehicle"."""
        return self._closure(self._narrower, of, word)

    def related(self, of: str, word: str) -> set[str]:
        """The words that may name the same, though they are not the same word."""
        return self.broader(of, word) | self.narrower(of, word)

    def excludes(self, of: str, one: str, other: str) -> bool:
        """Whether two words cannot both be true of a thing at a time, or of two things."""
        mine = {self.key(of, one), *self.broader(of, one)}
        theirs = {self.key(of, other), *self.broader(of, other)}
        return any(not self._excluded[of, word].isdisjoint(theirs) for word in mine)

    def excluded(self, of: str, word: str) -> set[str]:
        """The words that a word excludes."""
        mine = {self.key(of, word), *self.broader(of, word)}
        there = {x for one in mine for x in self._excluded[of, one]}
        return there | {y for x in there for y in self.narrower(of, x)}

    def display(self, of: str, word: str) -> str:
        """The word that is displayed in place of a word."""
        return self.displayed.get((of, self.key(of, word)), word)

    def _closure(self, table: dict[tuple[str, str], set[str]], of: str, word: str) -> set[str]:
        found: set[str] = set()
        if not table:
            return found
        start = self.key(of, word)
        todo = [start]
        while todo:
            new = table.get((of, todo.pop()), set()) - found - {start}
            found |= new
            todo += new
        return found
