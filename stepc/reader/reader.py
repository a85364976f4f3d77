"""Compares what the texts of a sample say with what was proved of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache, cached_property, lru_cache
from importlib.resources import files

from stepc.ir import types as t
from stepc.lang.resolve import read_spec
from stepc.lang.source import spec_text
from stepc.lang.types import Spec
from stepc.proof import words
from stepc.proof.facts import Facts
from stepc.proof.solver import NoAnswer, NotKnown, answers, called, refuted, stated
from stepc.reader.lexicon import GraphWords
from stepc.reader.meanings import Meaning, Total
from stepc.reader.parser import Parser
from stepc.reader.patterns import Patterns, patterns

OTHER = "its question has another reading with another answer"
OTHER_STEP = "a step's question has another reading with another answer"
UNTRUE = "a sentence says what is not so, or not known"


@cache
def shipped_specs(language: str) -> tuple[Spec, ...]:
    """The specs that come with stepc in a language."""
    names = sorted(f.name for f in files("stepc.specs").iterdir() if f.name.endswith(".step"))
    texts = (spec_text(name.removesuffix(".step")) for name in names)
    return tuple(read_spec(*text) for text in texts if f"\nuse {language}\n" in text[0])


@lru_cache(8)
def _patterns(specs: tuple[Spec, ...]) -> Patterns:
    return patterns(*specs)


class Reader:
    """Reads the texts of one unit by the wordings of specs."""

    def __init__(self, unit: t.Stsg, known: Facts, *specs: Spec) -> None:
        self.known, self.language = known, specs[0].language
        self.lexicon = GraphWords(unit, self.language)
        self.specs = specs
        self.patterns = self.lexicon.live(_patterns(specs))
        self._questions: dict[str, list[Meaning]] = {}
        self._sentences: dict[str, list[tuple[Meaning | Total, ...]]] = {}
        self._steps: dict[tuple[int, bool], tuple[t.Because, str]] = {}
        """Cache: (`id` of a rationale step, whether its answer is the only one) → (step, objection)."""
        self.unread: list[str] = []
        """The texts that have no meaning by the wordings of the specs."""

    @cached_property
    def _shipped(self) -> Patterns:
        """The patterns of the specs that come with stepc besides: for what a model has reworded."""
        return self.lexicon.live(_patterns((*self.specs, *shipped_specs(self.language.name))))

    @property
    def read(self) -> int:
        """How many different texts were read."""
        return sum(bool(x) for x in (*self._questions.values(), *self._sentences.values()))

    # --- readings ------------------------------------------------------------------------

    def question(self, text: str) -> list[Meaning]:
        """All meanings of a question. Empty if it is in other words than those of the specs."""
        if text not in self._questions:
            made = Parser(text, self.patterns, self.lexicon).question()
            made = made or Parser(text, self._shipped, self.lexicon).question()
            self._questions[text] = made
        return self._questions[text]

    def sentences(self, text: str) -> list[tuple[Meaning | Total, ...]]:
        """All meanings of a text of the rationale, each as a sequence of sentences."""
        if text not in self._sentences:
            made = Parser(text, self.patterns, self.lexicon).sentences()
            made = made or Parser(text, self._shipped, self.lexicon).sentences()
            self._sentences[text] = made
        return self._sentences[text]

    def answers(self, reading: Meaning, unique: bool = True) -> tuple[str, ...]:
        """The answers to a reading of a question. Raises NoAnswer.

        Without `unique`, several objects may fit a description.
        """
        query = reading.query if unique else _any_of(reading.query)
        if reading.form != "yes-no" or isinstance(query[-1], t.Exists):
            return answers(query, self.known)
        with suppress(NotKnown):  # a gap beside a denied fact
            if self._holds(reading, query):
                return (self.language.yes,)
        if refuted(reading.claim, query, self.known):
            return (self.language.no,)
        raise NotKnown

    def readings(self, text: str) -> Iterator[tuple[Meaning, str]]:
        """Each meaning of a question, with its answer or why it has none."""
        for reading in self.question(text):
            try:
                yield reading, " or ".join(self.answers(reading)) or "nothing"
            except NotKnown:
                yield reading, "not known"
            except NoAnswer as error:
                yield reading, f"several ({', '.join(error.found)})" if error.found else "nothing"

    def _holds(self, reading: Meaning, query: t.Query) -> bool:
        """Whether a claim is among the answers to its query. Raises NoAnswer if it names several objects."""
        query = _without_last(query)
        found = stated(query, self.known)
        label = _finds_label(query[-1])
        if label and called(reading.claim, query, self.known) > 1:
            raise NoAnswer((reading.claim, reading.claim))
        same = words.label if label else words.phrase
        return same(reading.claim) in map(same, found)

    # --- samples -------------------------------------------------------------------------

    def objection(self, sample: t.Sample, unique: bool = True) -> str:
        """Why a text of a proved sample does not say what was proved, or "" if all of them do.

        `unique`: whether each step of its path has one answer. Texts in other words than the specs' are no
        objection; they are added to `unread`.
        """
        if self._told(sample.question, self.asks(sample, unique)) is False:
            return OTHER
        numbers = iter(self._numbers(sample))
        for i, because in enumerate(sample.rationale, 1):
            only = unique or i < len(sample.rationale)
            key = id(because), only
            if key not in self._steps:
                says_number = any(
                    isinstance(x, Total) for said in self.sentences(because.text) for x in said
                )
                number = next(numbers, "") if says_number else ""
                self._steps[key] = because, self._step(because, sample, only, number)
            if objection := self._steps[key][1]:
                return objection
        return ""

    def _numbers(self, sample: t.Sample) -> list[str]:
        """The numbers that the rationale of a sample says, in its order: those of what its query counts."""
        ends = [i for i, op in enumerate(sample.query) if isinstance(op, t.Count)]
        scope, begins = sample.query[:1], [1, *(i + 1 for i in ends)]
        parts = (sample.query[begin : end + 1] for begin, end in zip(begins, ends, strict=False))
        try:
            return [n for part in parts for n in answers((*scope, *part), self.known)]
        except NoAnswer:
            return []

    def _step(self, because: t.Because, sample: t.Sample, unique: bool, number: str) -> str:
        right = (because.answer,) if unique else (because.answer, *sample.also)
        asked = self._asks(because.question, because.query, right, "", unique)
        if self._told(because.question, asked) is False:
            return OTHER_STEP
        told = self.tells(because, unique, number or because.answer)
        return UNTRUE if self._told(because.text, told) is False else ""

    def _told(self, text: str, verdict: bool | None) -> bool | None:
        if verdict is None:
            self.unread.append(text)
        return verdict

    def asks(self, sample: t.Sample, unique: bool = True) -> bool | None:
        """Whether all meanings of a sample's question have the proved answer; None if it has no meaning."""
        claim = sample.claim if sample.form == "yes-no" else ""
        right = (sample.answer, *sample.also)
        return self._asks(sample.question, sample.query, right, claim, unique)

    def tells(
        self, because: t.Because, unique: bool = True, number: str | None = None
    ) -> bool | None:
        """Whether the graph knows all that the text of a rationale step says, where its question asks.

        `number` is how many it may say that there are, by default its answer. None: the text has no meaning.
        """
        read = self.sentences(because.text)
        number = because.answer if number is None else number
        scope = because.query[0]
        return any(self._true(said, scope, unique, number) for said in read) if read else None

    def _asks(
        self, text: str, query: t.Query, right: Iterable[str], claim: str, unique: bool
    ) -> bool | None:
        own = _key(query, claim, unique)
        right = [*right]
        readings = self.question(text)
        meant = False
        for reading in readings:
            if _key(reading.query, reading.claim, unique) == own:
                meant = True
                continue
            same = words.label if _finds_label(reading.ops[-1]) else words.phrase
            wanted = {same(x) for x in right}
            try:
                found = {same(x) for x in self.answers(reading, unique)}
            except NotKnown:
                if right == [self.language.yes]:
                    continue  # it is so in one meaning, and may be so in the other
                return False
            except NoAnswer as error:
                # Nobody reads a question in a way in which it speaks of what is not there.
                if error.found and set(error.found) <= set(self._last(reading)):
                    return False
                continue
            if found and found != wanted:
                return False
            meant = meant or bool(found)
        return meant if readings else None

    def _last(self, reading: Meaning) -> tuple[str, ...]:
        """All answers to a reading, if only its last operation does not tell which of them is right."""
        end = reading.ops[-1]
        if isinstance(end, t.Compare):
            return end.one, end.other
        try:
            return answers(_without_last(reading.query), self.known)
        except NoAnswer:
            return ()

    def _true(
        self, said: tuple[Meaning | Total, ...], scope: t.Op, unique: bool, number: str
    ) -> bool:
        """Whether all sentences of a rationale step are known to be true in a scope."""
        for each in said:
            if isinstance(each, Total):
                if str(each.number) != number:
                    return False
                continue
            if (
                isinstance(each.scope, t.Moment)
                and isinstance(scope, t.Moment)
                and each.scope != scope
            ):
                return False  # what it says of another moment does not matter
            query = (each.scope or scope, *each.ops)
            query = query if unique else _any_of(query)
            try:
                so = (
                    refuted(each.claim, query, self.known)
                    if each.denies
                    else self._holds(each, query)
                )
                if not so or not all(box in answers(ask, self.known) for ask, box in each.boxes):
                    return False
            except NoAnswer:
                return False
        return True


def _finds_label(op: t.Op) -> bool:
    return isinstance(op, t.Get) and op.what == "label"


def _any_of(query: t.Query) -> t.Query:
    return tuple(op for op in query if not isinstance(op, t.Unique))


def _without_last(query: t.Query) -> t.Query:
    """A query without a `unique` before its last operation."""
    return (*query[:-2], query[-1]) if isinstance(query[-2], t.Unique) else query


def _key(query: t.Query, claim: str, unique: bool) -> tuple[str, ...]:
    """What two queries that mean the same have in common."""
    ops = query if unique else _any_of(query)
    return (words.label(claim), *map(_text, ops))


@lru_cache(1 << 14)
def _text(op: t.Op) -> str:
    return op.text().casefold()
