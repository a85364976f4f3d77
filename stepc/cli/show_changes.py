"""Prints what differs between two units or datasets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from stepc.cli.common import errors
from stepc.diagnostics import printable


def show_changes(found: Sequence[Any]) -> None:
    """Print changes as a diff, and their numbers to standard error."""
    from stepc.dataset.changes import counted

    where = None
    for change in found:
        if change.where != where:
            where = change.where
            typer.echo(f"@@ {printable(where)}")
        for sign, text in (("-", change.before), ("+", change.after)):
            if text:
                typer.echo(f"{sign} {printable(text)}")
    for kind, numbers in counted(found).items():
        told = ", ".join(f"{n} {how}" for how, n in numbers.items())
        errors.print(f"{kind}: {told}")
    if not found:
        errors.print("no differences")
