"""check: derive every answer and every sub-answer again; drop what is not so.   qra → qra"""

from __future__ import annotations

from stepc.ir import types as t
from stepc.passmanager.base import Pass, Tools
from stepc.proof.prover import Prover


class Check(Pass[t.Qras, t.Qras]):
    """Proof of every question by a solver that shares only the IR's types with the sampler.

    A sample survives only if its query has exactly one answer on the STSG (or, drawn as `ambiguous`,
    exactly the answers recorded), that answer is the one recorded, exactly one of its options is
    right, the same holds for the query of every step of its rationale, and no question contains its
    answer. (The paper has no such guard; AGQA and STAR do.)
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
