"""The yes-no question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepc.forms.ask import AskForm
from stepc.forms.base import Form

if TYPE_CHECKING:
    from stepc.ir.levels import Path
    from stepc.sampling.query_builder import QueryBuilder
    from stepc.writer.paths import Draft, PathWriter


class ClaimForm(Form):
    """A yes-no question that states a true or false result of the last step."""

    name = "claim"
    order = 2
    help = "A yes-no question that is true or false in the graph."
    lines = {("*", "near"): ("claim",), ("*", "far"): ("claim",), ("*", "edge"): ("claim",)}
    answer_lines = frozenset(["claim"])
    sample_form = "yes-no"
    rewordable = True

    def hides(self, path: Path, graph: QueryBuilder) -> list[str]:
        return graph.answers(path.steps)

    def step_form(self) -> Form:
        return AskForm()

    def prepare(self, draft: Draft, writer: PathWriter) -> None:
        draft.claim = draft.answer
        if writer.rng.random() < 0.5:
            wrong = writer.distractors.false(draft.last, draft.others, writer.rng)
            draft.claim = wrong if wrong is not None else draft.claim
        true = draft.claim == draft.answer
        draft.answer = writer.language.yes if true else writer.language.no
        if not true:
            draft.closing = writer.denial(draft.last, draft.claim)
        draft.texts[writer.found_placeholder(draft.last), ""] = writer.noun(draft.last, draft.claim)
