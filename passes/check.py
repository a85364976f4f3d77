"""check: prove every answer and sub-answer, and drop samples that fail.   qra → qra"""

from __future__ import annotations

from stepc.ir import types as t
from stepc.passmanager.base import Pass, Tools
from stepc.proof.prover import Prover


class Check(Pass[t.Qras, t.Qras]):
    """Proof of every sample by a solver with its own facts, graph traversal and word comparison.

    A sample is kept only if its query has exactly one answer on the STSG, namely the recorded one (with
    `ambiguous`: exactly the recorded answers). The same must hold for the query of every rationale step.
    Exactly one option of a multiple choice must be correct, and no question may contain its answer.
    The paper has no such check; AGQA and STAR have one.
    """

    def run(self, unit: t.Qras, tools: Tools) -> t.Qras:
        prover = Prover(unit)
        kept = []
        for sample in unit.samples:
            objection = prover.objection(sample)
            tools.counts.add(f"dropped: {objection}" if objection else "proved")
            if not objection:
                kept.append(sample.model_copy(update={"checked": True}))
        return unit.evolve(samples=tuple(kept))
