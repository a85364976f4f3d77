"""Imports the module of a command when the command is run, so that other commands cost no start-up time."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import typer
from typer.core import TyperGroup

MODULES = {
    "annotation_commands": ("import", "score"),
    "bench_commands": ("bench",),
    "clean_commands": ("decontaminate", "push"),
    "diff_commands": ("diff",),
    "eval_commands": ("eval",),
    "golden_commands": ("golden",),
    "model_commands": ("world", "model"),
    "pipeline_commands": ("compile", "plan", "dump", "opt", "passes"),
    "plugin_commands": ("plugins",),
    "pretext_commands": ("pretext",),
    "spec_commands": ("check", "fmt", "ask", "paths", "lsp", "explain"),
    "store_commands": ("store",),
    "study_commands": ("study", "world"),
    "train_commands": ("train", "selftrain", "export"),
}
"""Modules of `stepc.cli`, and the commands and groups that each registers when it is imported."""


def _load(modules: list[str]) -> bool:
    """Import modules of commands. Returns whether all of them are loaded."""
    for name in modules:
        importlib.import_module(f"stepc.cli.{name}")
    return all(f"stepc.cli.{name}" in sys.modules for name in MODULES)


def make_lazy(app: typer.Typer) -> None:
    """Let the commands of `app` be loaded on demand: one to run it, all to list them."""

    class Lazy:
        """The part of a command group that differs from the group's own class."""

        @property
        def commands(self) -> dict[str, Any]:
            """All commands by name."""
            if not self.complete:
                self.commands = self._built([*MODULES])
            return self.made

        @commands.setter
        def commands(self, made: dict[str, Any]) -> None:
            self.made, self.complete = made, _load([])

        def get_command(self, ctx: Any, name: str) -> Any:
            """The command called `name`, or None if there is none."""
            modules = [module for module, names in MODULES.items() if name in names]
            if self.complete or not modules:
                return self.commands.get(name)
            return self._built(modules).get(name)

        def _built(self, modules: list[str]) -> dict[str, Any]:
            """The commands of some modules, and of all that are loaded already."""
            _load(modules)
            group: Any = typer.main.get_group(app)
            return dict(group.made)

    base = app.info.cls if isinstance(app.info.cls, type) else TyperGroup
    app.info.cls = type("LazyGroup", (Lazy, base), {})
