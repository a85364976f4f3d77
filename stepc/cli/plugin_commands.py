"""The command `plugins`."""

from __future__ import annotations

import typer

from stepc.cli.app import errors
from stepc.cli.common import Json, app, count, print_json, say

REGISTRIES = (
    "stepc.passmanager.registry", "stepc.model.backends", "stepc.eval.benchmarks", "stepc.dataset.formats",
    "stepc.train.export", "stepc.forms", "stepc.lang.parse", "stepc.model.templates",
)  # fmt: skip
"""The modules whose registries plug-ins add to."""


@app.command(epilog="Example: stepc plugins --json")
def plugins(
    json: Json = False,
) -> None:
    """List the installed plug-ins: what each adds, and the package that it comes from.

    Keys of --json: plugins (a list: group, name, package, version, sha256, value).
    """
    from importlib import import_module

    from stepc.plugins import GROUPS, installed, problems

    for module in REGISTRIES:
        import_module(module)
    found = [plugin for group in GROUPS for plugin in installed(group)]
    wrong = [d for error in problems() for d in error.diagnostics]
    if json:
        print_json({"plugins": [{**p.facts(), "value": p.value} for p in found]})
    else:
        for p in found:
            print(f"{p.group:18}{p.name:24}{p.package} {p.version}  ({p.value})")
    for diagnostic in wrong:
        say(diagnostic)
    errors.print(count(len(found), "plug-in"))
    if wrong:
        raise typer.Exit(1)
