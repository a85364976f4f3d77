"""The command `plugins`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from stepc.cli.common import app, count, errors, say


@app.command(epilog="Example: stepc plugins --json")
def plugins(
    json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List the installed plug-ins: what each adds, and the package that it comes from."""
    import orjson

    from stepc.plugins import GROUPS, installed, problems

    found = [plugin for group in GROUPS for plugin in installed(group)]
    wrong = [d for error in problems() for d in error.diagnostics]
    if json:
        rows = [{**p.facts(), "value": p.value} for p in found]
        sys.stdout.write(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        for p in found:
            print(f"{p.group:18}{p.name:24}{p.package} {p.version}  ({p.value})")
    for diagnostic in wrong:
        say(diagnostic)
    errors.print(count(len(found), "plug-in"))
    if wrong:
        raise typer.Exit(1)
