"""The progress bar of long commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from stepc.cli.common import Terminal, errors

if TYPE_CHECKING:
    from stepc.model.client import Usage


class ProgressBar(Terminal):
    """Shows progress and usage on standard error if that is a terminal, and prints diagnostics above."""

    def __init__(self, prices: tuple[float, float] = (0.0, 0.0), notes: bool = True) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[asked]}"),
        )
        self.prices, self.notes = prices, notes
        self.bar = Progress(
            *columns, console=errors.console, disable=errors.quiet or not errors.is_terminal
        )
        self.task = self.bar.add_task("compiling", total=None, asked="")

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def progress(self, done: int, total: int, name: str = "") -> None:
        self.bar.update(self.task, completed=done, total=total, description=name or "compiling")

    def usage(self, usage: Usage) -> None:
        self.bar.update(self.task, asked=usage.text(self.prices))

    def note(self, text: str) -> None:
        if self.notes:
            errors.print(text)
