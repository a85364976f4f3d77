"""Finds the classes that the files of a package define: a file is its own registration."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any


def classes_in(package: str, base: Any) -> tuple[Any, ...]:
    """The concrete subclasses of `base` in the modules of a package, by the names of the modules.

    Files whose name begins with an underscore, and `base.py`, are left out.
    """
    place = importlib.import_module(package).__path__
    found: list[Any] = []
    for name in sorted(m.name for m in pkgutil.iter_modules(place)):
        if name == "base" or name.startswith("_"):
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
