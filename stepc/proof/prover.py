"""Proves samples: derives every answer and sub-answer with the solver, and searches for leaks."""

from __future__ import annotations

from collections.abc import Iterable

from stepc.ir import types as t
from stepc.ir.verify import asks_yes_no, hidden
from stepc.languages import Language
from stepc.proof import words
from stepc.proof.facts import facts
from stepc.proof.solver import NoAnswer, NotKnown, Repeated, answers, called, refuted

UNKNOWN = "it depends on what is not known"
REPEATED = "its event also happens in another clip"
SEVERAL = "it names one of several"


class Prover:
    """Proves the samples of one unit."""

    def __init__(self, unit: t.Qras, language: Language | None = None) -> None:
        """Prove the samples of a unit in a language, by default in English."""
        self.known = facts(unit, language)
        self.language = self.known.language
        self.unique = {p.id: p.unique for p in unit.paths}
        self._proved: dict[int, tuple[t.Because, str, tuple[str, ...]]] = {}
        """`id` of a rationale step → (step, error or "", answers). Shared steps are proved once."""

    def objection(self, sample: t.Sample) -> str:
        """Why a sample cannot be proved, or "" if it is proved."""
        unique = self.unique.get(sample.path, True)
        try:
            found = answers(sample.query, self.known)
        except NotKnown:
            return UNKNOWN
        except Repeated:
            return REPEATED
        except NoAnswer as error:
            return "the question has more than one answer" if error.found else "it has no answer"
        if not found:
            return "it has no answer"
        if unique and len(found) > 1:
            return "the question has more than one answer"
        if wrong := _wrong_answer(sample, found, self.language):
            return wrong
        says_no = sample.form == "yes-no" and sample.answer == self.language.no
        if says_no and not isinstance(sample.query[-1], t.Exists) and not self._refuted(sample):
            return "nothing refutes its claim"
        for i, because in enumerate(sample.rationale, 1):
            wrong, got = self._step(because)
            if wrong:
                return wrong
            if len(got) > 1 and (unique or i < len(sample.rationale)):
                return "a step has more than one answer"
        named = (sample.claim,) if sample.form == "yes-no" else sample.options or found
        if self._one_of_several(sample.query, named):
            return SEVERAL
        leaks = any(
            words.mentions(sample.question, part)
            for answer in hidden(sample)
            for part in words.told_by(answer)
        )
        return "the question says an answer" if leaks else ""

    def _one_of_several(self, query: t.Query, labels: Iterable[str]) -> bool:
        """Whether one of these labels, such as "the cup", names several objects where a query ends."""
        last = query[-1]
        if not isinstance(last, t.Get) or last.what != "label":
            return False
        try:
            return any(called(label, query, self.known) > 1 for label in labels)
        except NotKnown:  # what a broader or a narrower word calls may be another one
            return True

    def _refuted(self, sample: t.Sample) -> bool:
        try:
            return refuted(sample.claim, sample.query, self.known)
        except NoAnswer:
            return False

    def _step(self, because: t.Because) -> tuple[str, tuple[str, ...]]:
        """Prove a rationale step. Returns (error or "", answers of its query)."""
        proved = self._proved.get(id(because))
        if proved is None:
            wrong = ""
            got: tuple[str, ...] = ()
            try:
                got = answers(because.query, self.known)
                if not got:
                    wrong = "a step has no answer"
                elif not _alike(because.query, (because.answer,)) <= _alike(because.query, got):
                    wrong = "a sub-answer is another"
                elif not asks_yes_no(because) and words.mentions(because.question, because.answer):
                    wrong = "a step's question says its answer"
                elif self._one_of_several(because.query, got):
                    wrong = SEVERAL
            except NotKnown:
                wrong = UNKNOWN
            except Repeated:
                wrong = REPEATED
            except NoAnswer as error:
                many = bool(error.found)
                wrong = "a step has more than one answer" if many else "a step has no answer"
            proved = self._proved[id(because)] = because, wrong, got
        return proved[1], proved[2]


def _alike(query: t.Query, found: Iterable[str]) -> set[str]:
    """Answers as they are compared: "cup" and "Cups" are two labels of one object."""
    last = query[-1]
    label = isinstance(last, t.Get) and last.what == "label"
    return set(map(words.label if label else words.phrase, found))


def _wrong_answer(sample: t.Sample, found: tuple[str, ...], language: Language) -> str:
    """Compare the recorded answer and options with the answers `found`. Returns the error or ""."""
    right = {words.phrase(x) for x in found}
    if sample.form in ("yes-no", "choice"):
        right |= {words.label(x) for x in found}

    def holds(text: str) -> bool:
        return words.phrase(text) in right or words.label(text) in right

    if sample.form == "yes-no":
        if holds(sample.claim) != (sample.answer == language.yes):
            return "the answer is another"
    elif _alike(sample.query, (sample.answer, *sample.also)) != _alike(sample.query, found):
        return "the answer is another"
    if sample.form == "choice":
        ticked = [x for x in sample.options if holds(x)]
        if ticked != [sample.answer]:
            return f"{len(ticked)} of its options are right"
    return ""
