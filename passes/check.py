"""check: prove every answer, read every text back, and drop samples that fail.   qra → qra"""

from __future__ import annotations

from typing import ClassVar

from stepc.ir import types as t
from stepc.passmanager.base import Pass, Tools
from stepc.proof.prover import Prover
from stepc.reader.reader import Reader


class Check(Pass[t.Qras, t.Qras]):
    """Proof of every sample by a solver with its own facts, graph traversal and word comparison.

    A sample is kept only if its query has exactly one answer on the STSG, namely the recorded one (with
    `ambiguous`: exactly the recorded answers). The same must hold for the query of every rationale step.
    Exactly one option of a multiple choice must be correct, and no question may contain its answer.

    Then its texts are read back: with the wordings of the spec and the words of the graph, a reader that
    knows nothing of the queries finds everything that a question may mean. A sample is dropped if one of
    its questions has another meaning with another answer, or if a sentence of its rationale says what the
    graph does not know. Texts in other words than the specs' are counted, and not read.

    The paper has no such check; AGQA and STAR prove answers, but not texts.
    """

    uses: ClassVar[frozenset[str]] = frozenset(["wording"])

    def run(self, unit: t.Qras, tools: Tools) -> t.Qras:
        prover = Prover(unit, tools.spec.language if tools.spec else None)
        reader = None if tools.spec is None else Reader(unit, prover.known, tools.spec)
        kept = []
        for sample in unit.samples:
            objection = prover.objection(sample)
            if not objection and reader is not None:
                objection = reader.objection(sample, prover.unique.get(sample.path, True))
            tools.counts.add(f"dropped: {objection}" if objection else "proved")
            if not objection:
                kept.append(sample.model_copy(update={"checked": True}))
        if reader is not None and unit.samples:
            tools.counts.add("texts read", reader.read)
            if reader.unread:
                tools.counts.add("texts not read", len(reader.unread))
        return unit.evolve(samples=tuple(kept))
