"""What each step of a rationale states, in all words in which it may be said: for process rewards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stepc.ir import types as t
from stepc.ir.graph import numbered
from stepc.ir.sightings import Sightings
from stepc.ir.words import inverse, mentions, plain
from stepc.runtime.word_lists import forms

YES_NO = frozenset(forms("yes") + forms("no"))
"""Answers that no sentence need say."""


def _fact(number: int, true: bool, denied: bool, parts: dict[str, list[str]]) -> dict[str, Any]:
    every = ("subject", "relation", "inverse", "object", "answer")
    fact: dict[str, Any] = {"step": number, "true": true, "denied": denied}
    return fact | {name: parts.get(name, []) for name in every}


def _changed(
    step: t.Step, parts: dict[str, list[str]], w: t.WrongStep, right: str
) -> dict[str, list[str]]:
    """The parts of a fact that a wrong step states in place of the right sentence."""
    match w.what:
        case "relation":
            back = inverse(w.instead)
            return {**parts, "relation": [w.instead], "inverse": [back] if back else []}
        case "order":
            return {**parts, "subject": parts["object"], "object": parts["subject"]}
        case "time":
            return {
                **parts,
                "answer": [" ".join(x for x in w.text.split() if x not in right.split())],
            }
    found = "subject" if step.way == "<=" else "object"
    return {**parts, found: [w.instead]}


class StepFacts:
    """The facts of a unit's paths, as rows of the column `facts`."""

    def __init__(self, unit: t.Qras, seen: Sightings) -> None:
        self.seen, self.lexicon = seen, unit.lexicon

    def of(self, path: t.Path, s: t.Sample) -> Iterator[dict[str, Any]]:
        """What each step says, with all names of what it is about; then what its wrong steps say."""
        steps = [*numbered(path, self.seen.identity)]
        said: dict[int, tuple[t.Step, dict[str, Any]]] = {}
        for number, step in steps:
            if self.seen.identity(step) or number > len(s.rationale):
                continue
            parts = self._parts(step)
            answer = s.rationale[number - 1].answer
            named = [word for words in parts.values() for word in words]
            told = answer in YES_NO or answer.isdigit()  # said by all facts together
            if not told and not any(mentions(word, answer) for word in named):
                parts["answer"] = [answer]
            said[number] = step, parts
            yield _fact(number, True, step.denied, parts)
        if path.unique:
            for other in path.also:
                yield _fact(len(s.rationale), True, other.denied, self._parts(other))
        for w in s.wrong:
            if w.step in said:
                step, parts = said[w.step]
                right = s.rationale[w.step - 1].text
                yield _fact(w.step, False, step.denied, _changed(step, parts, w, right))

    def _parts(self, step: t.Step) -> dict[str, list[str]]:
        """The names of the parts of a step's fact."""
        match self.seen.facts(step):
            case [t.Attribute() as a]:
                return {"subject": self._names(a.owner), "object": self._words("attr", a.value)}
            case [t.Relation() as r]:
                words = self._words("rel", r.predicate)
                back = [x for word in words if (x := inverse(word)) is not None]
                return {"subject": self._names(r.subject), "relation": words, "inverse": back,
                        "object": self._names(r.object)}  # fmt: skip
            case [t.Motion() as m]:
                return {"subject": self._names(m.source), "object": self._words("motion", m.motion)}
            case [t.Object() as o]:
                return {"object": self._names(o.id)}
            case [t.Event() as e]:
                return {"object": [e.event]}
            case [t.Event() as e, t.Event() as other]:
                return {"subject": [e.event], "object": [other.event]}
        return {}

    def _names(self, object_: str) -> list[str]:
        same = self.seen.alike[self.seen.entity[object_]]
        labels = [x for o in same for x in (o.label, *o.called)]
        return [*dict.fromkeys([*labels, *(y for x in labels for y in self._others("label", x))])]

    def _words(self, of: t.WordKind, word: str) -> list[str]:
        return [*dict.fromkeys([word, *self._others(of, word)])]

    def _others(self, of: t.WordKind, word: str) -> Iterator[str]:
        """Other words of the video's lexicon that mean the same, or are true of it as well."""
        for e in self.lexicon:
            if e.of == of and e.how == "~" and plain(word) in (plain(e.one), plain(e.other)):
                yield from (e.one, e.other)
            elif e.of == of and e.how == "<" and plain(e.one) == plain(word):
                yield e.other
