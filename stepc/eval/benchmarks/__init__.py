"""Benchmarks, one file each: how their own files are read, and how they are scored.

A file defines `BENCHMARK`; its name is that of the file. To add one, add a file here, or name a `Benchmark`
in the entry-point group `stepc.benchmarks` of your own package.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

from stepc.eval.benchmarks._reading import Benchmark
from stepc.plugins import Registry


def _builtin() -> dict[str, Callable[[], Benchmark]]:
    modules = [m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")]
    return {name.replace("_", "-"): functools.partial(_load, name) for name in modules}


def _load(module: str) -> Benchmark:
    made: Benchmark = importlib.import_module(f"stepc.eval.benchmarks.{module}").BENCHMARK
    return made


def _accept(value: Any) -> str:
    return "" if isinstance(value, Benchmark) else f"`{value!r}` is not a Benchmark"


BENCHMARKS: Registry[Benchmark] = Registry("stepc.benchmarks", _builtin, _accept)
"""All benchmarks."""


def title(name: str) -> str:
    """What people call a benchmark. Raises KeyError if there is none of this name."""
    return BENCHMARKS.get(name).title


__all__ = ["BENCHMARKS", "Benchmark", "title"]
