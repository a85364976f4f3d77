"""The command `stepc diff`: two units, folders of units, or datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stepc.cli.app import PIPELINE
from stepc.cli.common import Json, app, print_json
from stepc.cli.show_changes import show_changes


@app.command(epilog="Example: stepc diff out out")
def diff(
    first: Annotated[Path, typer.Argument(help="A unit, a folder of units, or a dataset.")],
    second: Annotated[Path, typer.Argument(help="Another one of the same sort.")],
    votes: Annotated[
        bool,
        typer.Option(
            "--votes/--no-votes", help="Compare votes and verdicts, too.", rich_help_panel=PIPELINE
        ),
    ] = True,
    json: Json = False,
) -> None:
    """Show facts and samples that two units or datasets do not share, or have differently.

    Facts are matched by the ids of their objects, samples by their questions. Exits with 1 if there are
    differences, as `diff` does.

    --json prints: changes (a list: where, kind, how, before, after) and counts (by kind: added, removed,
    changed).
    """
    from stepc.dataset.changes import compared, counted, rows

    found = list(compared(first, second, votes))
    if json:
        print_json({"changes": rows(found), "counts": counted(found)})
    else:
        show_changes(found)
    if found:
        raise typer.Exit(1)
