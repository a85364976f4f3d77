"""A reporter for tests: it passes what it hears to functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stepc.diagnostics import Diagnostic
from stepc.reporter import Reporter


def _ignore(*_: Any) -> None:
    pass


class Heard(Reporter):
    def __init__(
        self,
        diagnostic: Callable[[Diagnostic], Any] = _ignore,
        note: Callable[[str], Any] = _ignore,
        progress: Callable[[int, int, str], Any] = _ignore,
    ) -> None:
        self._diagnostic, self._note, self._progress = diagnostic, note, progress

    def diagnostic(self, diagnostic: Diagnostic) -> None:
        self._diagnostic(diagnostic)

    def note(self, text: str) -> None:
        self._note(text)

    def progress(self, done: int, total: int, name: str = "") -> None:
        self._progress(done, total, name)
