"""Reporters receive the diagnostics, progress, usage and notes of a run.

Every long-running function takes a `reporter`. `Reporter` itself ignores everything: subclass it and
override the methods that you need. Methods may be called from several threads.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Self

import orjson

if TYPE_CHECKING:
    from stepc.diagnostics import Diagnostic
    from stepc.model.client import Usage


class Reporter:
    """Receives the events of a run, and ignores them. Usable in a `with` statement."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End the report."""

    def diagnostic(self, diagnostic: Diagnostic) -> None:
        """Receive an error or a warning. The run continues unless it raises StepcError."""

    def progress(self, done: int, total: int, name: str = "") -> None:
        """Receive the progress: `done` of `total` are finished; `name` is the latest."""

    def usage(self, usage: Usage) -> None:
        """Receive the calls and tokens of the model so far."""

    def note(self, text: str) -> None:
        """Receive a line of text for people, such as what runs and why."""


SILENT = Reporter()
"""Ignores everything."""


class LoggingReporter(Reporter):
    """Logs everything with Python's `logging`, by default to the logger `stepc`.

    Diagnostics have the level ERROR or WARNING and the attribute `code`. Progress and notes have the level
    INFO, and usage has DEBUG.
    """

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self.logger = logger or logging.getLogger("stepc")

    def diagnostic(self, diagnostic: Diagnostic) -> None:
        level = logging.ERROR if diagnostic.severity == "error" else logging.WARNING
        self.logger.log(level, "%s", diagnostic.text(), extra={"code": diagnostic.code})

    def progress(self, done: int, total: int, name: str = "") -> None:
        self.logger.info("%d of %d %s", done, total, name)

    def usage(self, usage: Usage) -> None:
        self.logger.debug("%s", usage.text())

    def note(self, text: str) -> None:
        self.logger.info("%s", text)


class JsonReporter(Reporter):
    """Writes one JSON object per line, by default to standard error.

    The key `event` is `diagnostic`, `progress`, `usage` or `note`. The other keys are its fields.
    """

    def __init__(self, file: IO[str] | None = None) -> None:
        self.file = file

    def _write(self, event: str, fields: dict[str, object]) -> None:
        file = self.file or sys.stderr
        file.write(orjson.dumps({"event": event, **fields}).decode() + "\n")
        file.flush()

    def diagnostic(self, diagnostic: Diagnostic) -> None:
        self._write("diagnostic", diagnostic.data())

    def progress(self, done: int, total: int, name: str = "") -> None:
        self._write("progress", {"done": done, "total": total, "name": name})

    def usage(self, usage: Usage) -> None:
        self._write("usage", asdict(usage))

    def note(self, text: str) -> None:
        self._write("note", {"text": text})


class PrintReporter(Reporter):
    """Prints diagnostics and notes to standard error, without progress."""

    def diagnostic(self, diagnostic: Diagnostic) -> None:
        print(diagnostic.text(), file=sys.stderr)

    def note(self, text: str) -> None:
        print(text, file=sys.stderr)


class Tee(Reporter):
    """Forwards everything to several reporters."""

    def __init__(self, *reporters: Reporter) -> None:
        self.reporters = reporters

    def diagnostic(self, diagnostic: Diagnostic) -> None:
        for reporter in self.reporters:
            reporter.diagnostic(diagnostic)

    def progress(self, done: int, total: int, name: str = "") -> None:
        for reporter in self.reporters:
            reporter.progress(done, total, name)

    def usage(self, usage: Usage) -> None:
        for reporter in self.reporters:
            reporter.usage(usage)

    def note(self, text: str) -> None:
        for reporter in self.reporters:
            reporter.note(text)


class Collector(Reporter):
    """Collects diagnostics and notes in lists."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []
        self.notes: list[str] = []

    def diagnostic(self, diagnostic: Diagnostic) -> None:
        self.diagnostics.append(diagnostic)

    def note(self, text: str) -> None:
        self.notes.append(text)
