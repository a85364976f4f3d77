"""The multiple-choice question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepc.forms.ask import AskForm
from stepc.forms.base import Form

if TYPE_CHECKING:
    from stepc.writer.paths import Draft, PathWriter


class ChoiceForm(Form):
    """The open question with options. Exactly one option is correct."""

    name = "choice"
    order = 3
    help = "A multiple choice, worded by the line `ask`."
    line = "ask"
    sample_form = "choice"
    whole_paths = True
    lists_others = True

    def step_form(self) -> Form:
        return AskForm()

    def complete(self, draft: Draft, writer: PathWriter) -> str:
        block = writer.spec.block(writer.path.block)
        wrong = writer.distractors.options(
            draft.last, [draft.answer, *draft.others], draft.question, block.options - 1,
            block.sources, writer.rng,
        )  # fmt: skip
        draft.room = block.options - 1 - len(wrong)
        if draft.room and "corpus" not in block.sources:
            return "too few options"
        draft.options = tuple(writer.rng.sample([draft.answer, *wrong], len(wrong) + 1))
        return ""
