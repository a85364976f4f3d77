"""Finds passes by name: those in `passes/`, and those of plug-ins."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Callable
from itertools import pairwise
from typing import Any, get_args

from stepc.passmanager.base import LinkPass, Options, Pass, shown
from stepc.plugins import Plugin, Registry

PassType = type[Pass[Any, Any]] | type[LinkPass]


def _builtin() -> dict[str, Callable[[], PassType]]:
    package = importlib.import_module("stepc.passes")
    modules = [m.name for m in pkgutil.iter_modules(package.__path__)]
    return {name.replace("_", "-"): functools.partial(_load, name) for name in modules}


def _load(module_name: str) -> PassType:
    module = importlib.import_module(f"stepc.passes.{module_name}")
    for kind in vars(module).values():
        if _is_pass(kind) and kind.__module__ == module.__name__:
            return kind  # type: ignore[no-any-return]
    raise TypeError(f"{module.__name__} defines no pass")


def _is_pass(kind: object) -> bool:
    """Whether `kind` is a pass. Excludes the classes `Pass[In, Out]` that pydantic puts into modules."""
    return inspect.isclass(kind) and issubclass(kind, (Pass, LinkPass)) and "[" not in kind.__name__


def _accept(value: object) -> str:
    if not _is_pass(value):
        return f"`{value!r}` is not a pass"
    return ""


class _Passes(Registry[PassType]):
    def get(self, name: str) -> PassType:
        kind = super().get(name)
        if kind.name != name:
            kind.name = name  # a plug-in's pass has the name of its entry point
        return kind


PASSES = _Passes("stepc.passes", _builtin, _accept)
"""All passes."""


def pass_names() -> tuple[str, ...]:
    """The names of all passes, sorted. Raises StepcError (X001) if two packages claim one name."""
    return PASSES.names()


def pass_type(name: str) -> PassType:
    """The class of the pass `name`. Raises KeyError if there is none, StepcError (X001-X003)."""
    return PASSES.get(name)


def pass_plugin(name: str) -> Plugin | None:
    """The plug-in that provides a pass. Returns None for a built-in pass."""
    return PASSES.plugin(name)


def _docstrings(kind: type[Options]) -> dict[str, str]:
    """The docstring of each option. pydantic could find them too, but at the cost of slower imports."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not issubclass(base, Options) or "[" in base.__name__:
            continue
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(tree, ast.ClassDef)
        for field, text in pairwise(tree.body):
            match field, text:
                case ast.AnnAssign(ast.Name(name)), ast.Expr(ast.Constant(str(help))):
                    found[name] = inspect.cleandoc(help)
    return found


def option_lines(kind: type[Options]) -> list[tuple[str, str, str, str]]:
    """Name, type, default and help of each option of a pass."""
    helps = _docstrings(kind)
    rows = []
    for name, info in kind.model_fields.items():
        wanted = info.annotation
        choices = get_args(wanted)
        type_text = (
            " | ".join(str(c) for c in choices)
            if choices and not hasattr(choices[0], "__name__")
            else getattr(wanted, "__name__", str(wanted))
        )
        help = " ".join(helps.get(name, "").split())
        rows.append((name.rstrip("_"), type_text, shown(info.default), help))
    return rows
