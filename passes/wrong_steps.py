"""wrong-steps: for each sample, rationales in which exactly one step is false.   qra → qra"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from stepc.edges import EDGES
from stepc.ir import types as t
from stepc.ir.graph import identities_only, numbered
from stepc.ir.spans import seconds
from stepc.ir.words import plain
from stepc.passmanager.base import Pass, Tools
from stepc.proof.facts import facts
from stepc.reader.reader import Reader
from stepc.sampling.distractors import Distractors
from stepc.sampling.query_builder import QueryBuilder

TRIES = 4
"""Number of draws of a false answer to a step."""
APART = 1000
"""Least time between a true range and a false one, in ms."""

Change = tuple[t.WrongKind, list[str], list[str], str, str]
"""What is wrong, phrases of the text, what they become, what the step then finds, the word said instead."""


class WrongSteps(Pass[t.Qras, t.Qras]):
    """Makes one step of a rationale provably false, for preferences and for rewards.

    A step is false in what it finds (another object, another value), in its relation, in who stands in it to
    whom (order), or in its time. The graph refutes the false fact: by a denied fact, or by a stated one that
    excludes it. Then the sentence is read back, and must not be true. All other steps stay as they are, and
    so does the answer, unless it is what the false step finds. What nothing refutes gets no wrong step.

    Rejected replies that differ from the right one in one known step teach which step matters (Lai et al.,
    2024, "Step-DPO"). `stepc export --to dpo` writes the pairs.
    """

    uses: ClassVar[frozenset[str]] = frozenset(["seed", "wording"])

    most: int = Field(4, ge=1)
    """Maximum wrong steps per sample; each step of the rationale has its turn first."""

    def run(self, unit: t.Qras, tools: Tools) -> t.Qras:
        paths = {p.id: p for p in unit.paths}
        makes = _Wrong(unit, tools)
        made = []
        for index, s in enumerate(unit.samples):
            found = makes.of(paths[s.path], s, tools.rng(unit, "wrong-steps", index))
            wrong = _in_turn(found, self.most)
            for each in wrong:
                tools.counts.add(f"{each.what} made wrong")
            tools.counts.add("samples with a wrong step" if wrong else "samples without")
            made.append(s.model_copy(update={"wrong": tuple(wrong)}))
        return unit.evolve(samples=tuple(made))


def _in_turn(found: list[t.WrongStep], most: int) -> list[t.WrongStep]:
    """The first wrong steps of all steps, then the second ones, and so on; in the order of the steps."""
    turn: dict[int, int] = {}
    ranked = []
    for i, each in enumerate(found):
        turn[each.step] = turn.get(each.step, -1) + 1
        ranked.append((turn[each.step], each.step, i))
    kept = sorted(ranked)[:most]
    return [found[i] for i in sorted(i for _, _, i in kept)]


class _Wrong:
    """Makes the wrong steps of one unit's samples."""

    def __init__(self, unit: t.Qras, tools: Tools) -> None:
        spec = tools.the_spec()
        self.language = spec.language
        self.graph = QueryBuilder(unit, self.language)
        self.distractors = Distractors(unit, self.graph)
        self.reader = Reader(unit, facts(unit, self.language), spec)
        self.identity = identities_only(unit)
        self.duration = unit.video.duration

    def of(self, path: t.Path, s: t.Sample, rng: random.Random) -> list[t.WrongStep]:
        """All wrong steps that were drawn and that the reader does not find true."""
        steps = {n: step for n, step in numbered(path, self.identity) if not self.identity(step)}
        made: dict[str, t.WrongStep] = {}
        for number, because in enumerate(s.rationale, 1):
            step = steps.get(number)
            if step is None or step.denied:
                continue
            last = number == len(s.rationale)
            for what, old, new, found, instead in self._changes(path, step, because, last, rng):
                text = _replaced(because.text, old, new)
                answer = self._answer(s, because, found) if last and found else s.answer
                if (
                    not text
                    or not answer
                    or self.language.disagrees(text, [found or because.answer])
                ):
                    continue
                changed = because.model_copy(
                    update={"text": text, "answer": found or because.answer}
                )
                if self.reader.tells(changed, path.unique or not last) is False:
                    wrong = t.WrongStep(
                        step=number, what=what, text=text, answer=answer, instead=instead
                    )
                    made.setdefault(text, wrong)
        return [*made.values()]

    def _changes(
        self, path: t.Path, step: t.Step, because: t.Because, last: bool, rng: random.Random
    ) -> Iterator[Change]:
        """The changes that make a step false."""
        right = self.graph.answer(step)
        also = [self.graph.answer(x) for x in path.also] if last else []
        if plain(right) == plain(because.answer):
            value = self.graph.finds_value(step)
            kind: t.WrongKind = "value" if value else "object"
            kind = "relation" if step.way == "--" else kind
            words = (self.distractors.false(step, also, rng) for _ in range(TRIES))
            for word in dict.fromkeys(w for w in words if w and self._agree(step, right, w)):
                yield kind, [self._noun(step, right)], [self._noun(step, word)], word, word
        if step.edge == "rel" and step.way != "--":
            ends = [self.graph.the_label(self.graph.labels[x]) for x in (step.near, step.far)]
            for word in self._relations(step, rng):
                yield (
                    "relation",
                    [self._framed(step, step.word)],
                    [self._framed(step, word)],
                    "",
                    word,
                )
            labels = (self.graph.labels[x] for x in (step.near, step.far))
            if self.distractors.refutation.refuted_order(step) and self._agree(None, *labels):
                yield "order", ends, ends[::-1], "", ""
        if last and EDGES[step.edge].timed:
            yield from self._times(step, because)

    def _relations(self, step: t.Step, rng: random.Random) -> list[str]:
        """Predicates that two objects certainly do not have."""
        refutation = self.distractors.refutation
        pool = [
            *self.distractors.pool(("rel",), t.clip_of(step.near)),
            *refutation.excluded_words(step),
        ]
        words = [w for w in dict.fromkeys(pool) if refutation.refuted_relation(step, w)]
        return rng.sample(words, min(TRIES, len(words)))

    def _times(self, step: t.Step, because: t.Because) -> Iterator[Change]:
        """Ranges of time before and after that of a step, with as long as possible between them."""
        spans = self.graph.spans(step)
        if len(spans) != 1:
            return
        (start, end), long = spans[0], max(APART, spans[0][1] - spans[0][0])
        old = [*seconds(start, end)[:2]]
        later, earlier = (end + APART, end + APART + long), (start - APART - long, start - APART)
        for begin, stop in (later, earlier):
            if begin >= 0 and stop <= self.duration:
                new = [*seconds(begin, stop)[:2]]
                yield "time", old, new, _replaced(because.answer, old, new), ""

    def _answer(self, s: t.Sample, because: t.Because, found: str) -> str:
        """What a reply answers after a last step that finds something else; "" if there is no such answer."""
        if s.form == "yes-no":
            yes = plain(found) == plain(s.claim)
            return self.language.yes if yes else self.language.no
        if s.form == "choice":
            return next((x for x in s.options if plain(x) == plain(found)), "")
        same = plain(s.answer) == plain(because.answer)
        return found if same else ""

    def _agree(self, step: t.Step | None, one: str, other: str) -> bool:
        """Whether two words can stand in the same place: two labels are both singular, or both plural."""
        if step is not None and self.graph.finds_value(step):
            return True
        return self.language.is_plural(one) == self.language.is_plural(other)

    def _noun(self, step: t.Step, found: str) -> str:
        """A found end as it stands in a sentence: an object with its article, a value as it is said."""
        return (
            self._framed(step, found)
            if self.graph.finds_value(step)
            else self.graph.the_label(found)
        )

    def _framed(self, step: t.Step, word: str) -> str:
        return self.language.framed(EDGES[step.edge].frame, word)


def _replaced(text: str, old: list[str], new: list[str]) -> str:
    """A text in which each old phrase, said exactly once, has become the new one; "" if one is not."""
    marks = []
    for i, phrase in enumerate(old):
        whole = rf"(?<![A-Za-z0-9.]){re.escape(phrase)}(?![A-Za-z0-9]|\.\d)"
        text, count = re.subn(whole, f"\0{i}\0", text, flags=re.IGNORECASE)
        if count != 1:
            return ""
        marks.append((f"\0{i}\0", new[i]))
    for mark, phrase in marks:
        text = text.replace(mark, phrase)
    return text[:1].upper() + text[1:]
