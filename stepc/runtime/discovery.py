"""Finds what the files of a package define: a file is its own registration."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any


def classes_in(package: str, base: Any) -> tuple[Any, ...]:
    """The concrete subclasses of `base` in the modules of a package, by the names of the modules.

    Files whose name begins with an underscore, and `base.py`, are left out.
    """
    found: list[Any] = []
    for name in _files(package):
        if name == "base":
            continue
        module = importlib.import_module(f"{package}.{name}")
        found += [
            cls
            for cls in vars(module).values()
            if inspect.isclass(cls)
            and issubclass(cls, base)
            and cls.__module__ == module.__name__
            and not inspect.isabstract(cls)
        ]
    return tuple(found)


def objects_in(package: str, attribute: str) -> dict[str, Callable[[], Any]]:
    """What each module of a package defines as `attribute`, by the module's name with hyphens.

    A module is imported when its object is asked for. Files whose name begins with an underscore are left
    out.
    """

    def load(name: str) -> Any:
        return getattr(importlib.import_module(f"{package}.{name}"), attribute)

    return {name.replace("_", "-"): functools.partial(load, name) for name in _files(package)}


def _files(package: str) -> list[str]:
    place = importlib.import_module(package).__path__
    return sorted(m.name for m in pkgutil.iter_modules(place) if not m.name.startswith("_"))
