"""Finds passes by name."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import pkgutil
import textwrap
from itertools import pairwise
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    pass
from stepc.passmanager.base import LinkPass, Options, Pass, _shown


@functools.cache
def pass_names() -> tuple[str, ...]:
    """The names of all passes, from the files in `passes/`."""
    package = importlib.import_module("stepc.passes")
    return tuple(sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(package.__path__)))


@functools.cache
def pass_type(name: str) -> type[Pass[Any, Any]] | type[LinkPass]:
    """The pass called `name`. Raises KeyError if there is none."""
    if name not in pass_names():
        raise KeyError(name)
    module = importlib.import_module("stepc.passes." + name.replace("-", "_"))
    for kind in vars(module).values():
        if (
            inspect.isclass(kind)
            and issubclass(kind, (Pass, LinkPass))
            and kind.__module__ == module.__name__
            and "[" not in kind.__name__  # pydantic puts Pass[In, Out] into the module too
        ):
            kind.name = name
            return kind
    raise TypeError(f"{module.__name__} holds no pass")


def _docstrings(kind: type[Options]) -> dict[str, str]:
    """The docstring of each option. pydantic can find them too, but does so whenever it makes a class."""
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
        shown = (
            " | ".join(str(c) for c in choices)
            if choices and not hasattr(choices[0], "__name__")
            else getattr(wanted, "__name__", str(wanted))
        )
        help = " ".join(helps.get(name, "").split())
        rows.append((name, shown, _shown(info.default), help))
    return rows
