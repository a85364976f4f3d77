"""check: derive every answer and every sub-answer again; drop what has not exactly one.   qra → qra"""

from __future__ import annotations

from stepc.ir import types as t
from stepc.ir.meaning import normal, plain
from stepc.pipeline import Pass, Tools
from stepc.query import query_leaks
from stepc.solver import Facts, NoAnswer, facts, solve


class Check(Pass[t.Qras, t.Qras]):
    """Proof of every question by a solver that shares no code with the sampler.

    A sample survives only if its query has exactly one answer on the STSG, that answer is the
    one recorded, the same holds for the query of every step of its rationale, and no question
    says its answer. (The paper does not guard this; AGQA and STAR do.)
    """

    def run(self, unit: t.Qras, tools: Tools) -> t.Qras:
        """The unit with the samples that were proved, each marked as checked."""
        known = facts(unit)
        kept = []
        for sample in unit.samples:
            wrong = _wrong(sample, known)
            tools.counts.add(f"dropped: {wrong}" if wrong else "proved")
            if not wrong:
                kept.append(sample.model_copy(update={"checked": True}))
        return unit.evolve(samples=tuple(kept))


def _wrong(sample: t.Sample, known: Facts) -> str:
    """Why a sample is not proved, or nothing."""
    try:
        found = solve(sample.query, known)
    except NoAnswer as error:
        return "the question has more than one answer" if error.found else "it has no answer"
    if sample.form == "open" and plain(found) != plain(sample.answer):
        return "the answer is another"
    if sample.form == "yes-no":
        same = normal(found) == normal(sample.claim) or plain(found) == plain(sample.claim)
        if same != (sample.answer.lower() == "yes"):
            return "the answer is another"
    for because in sample.rationale:
        try:
            if plain(solve(because.query, known)) != plain(because.answer):
                return "a sub-answer is another"
        except NoAnswer as error:
            return "a step has more than one answer" if error.found else "a step has no answer"
    return query_leaks(sample)
