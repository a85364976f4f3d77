"""check: derive every answer and every sub-answer again; drop what is not so.   qra → qra"""

from __future__ import annotations

from stepc.ir import types as t
from stepc.ir.words import mentions, normal, plain
from stepc.passmanager.base import Pass, Tools
from stepc.proof.solver import Facts, NoAnswer, answers, facts
from stepc.sampling.query_builder import says_answer


class Check(Pass[t.Qras, t.Qras]):
    """Proof of every question by a solver that shares no code with the sampler.

    A sample survives only if its query has exactly one answer on the STSG (or, drawn as
    `ambiguous`, just the answers recorded), that answer is the one recorded, of its options just
    one is right, the same holds for the query of every step of its rationale, and no question
    says its answer. (The paper does not guard this; AGQA and STAR do.)
    """

    def run(self, unit: t.Qras, tools: Tools) -> t.Qras:
        """The unit with the samples that were proved, each marked as checked."""
        known = facts(unit)
        unique = {p.id: p.unique for p in unit.paths}
        kept = []
        for sample in unit.samples:
            wrong = wrong_with(sample, known, unique.get(sample.path, True))
            tools.counts.add(f"dropped: {wrong}" if wrong else "proved")
            if not wrong:
                kept.append(sample.model_copy(update={"checked": True}))
        return unit.evolve(samples=tuple(kept))


def wrong_with(sample: t.Sample, known: Facts, unique: bool) -> str:
    """Why a sample is not proved, or nothing."""
    try:
        found = answers(sample.query, known)
    except NoAnswer as error:
        return "the question has more than one answer" if error.found else "it has no answer"
    if not found:
        return "it has no answer"
    if unique and len(found) > 1:
        return "the question has more than one answer"
    right = {plain(x) for x in found}
    if sample.form in ("yes-no", "choice"):
        right |= {normal(x) for x in found}
    if sample.form == "yes-no":
        if (plain(sample.claim) in right or normal(sample.claim) in right) != (
            sample.answer == "yes"
        ):
            return "the answer is another"
    elif {plain(sample.answer), *map(plain, sample.also)} != set(map(plain, found)):
        return "the answer is another"
    if sample.form == "choice":
        ticked = [x for x in sample.options if plain(x) in right or normal(x) in right]
        if ticked != [sample.answer]:
            return f"{len(ticked)} of its options are right"
    for i, because in enumerate(sample.rationale, 1):
        _, wrong, got = _proved(because, known)
        if wrong:
            return wrong
        if len(got) > 1 and (unique or i < len(sample.rationale)):
            return "a step has more than one answer"
    return "the question says an answer" if says_answer(sample) else ""


def _proved(because: t.Because, known: Facts) -> tuple[t.Because, str, tuple[str, ...]]:
    """What is wrong with a sentence, or nothing, and its query's answers."""
    found = known.proved.get(id(because))
    if found is None:
        wrong = ""
        got: tuple[str, ...] = ()
        try:
            got = answers(because.query, known)
            if not got:
                wrong = "a step has no answer"
            elif plain(because.answer) not in map(plain, got):
                wrong = "a sub-answer is another"
            elif mentions(because.question, because.answer):
                wrong = "a step's question says its answer"
        except NoAnswer as error:
            wrong = "a step has more than one answer" if error.found else "a step has no answer"
        found = known.proved[id(because)] = because, wrong, got
    return found
