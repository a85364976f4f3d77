"""The open question: what does the last step find?"""

from __future__ import annotations

from stepc.forms.base import Form


class AskForm(Form):
    """An open question whose answer is what the last step finds."""

    name = "ask"
    order = 1
    help = "An open question."
    lines = {("*", "near"): ("ask",), ("*", "far"): ("ask",), ("*", "edge"): ("ask",)}
    whole_paths = True
    lists_others = True
    rewordable = True

    def plain(self) -> bool:
        return True
