"""Benchmarks, one file each: how their own files are read, and how they are scored.

A file defines `BENCHMARK`; its name is that of the file. To add one, add a file here, or name a `Benchmark`
in the entry-point group `stepc.benchmarks` of your own package.
"""

from __future__ import annotations

from typing import Any

from stepc.eval.benchmarks._reading import Benchmark
from stepc.plugins import Registry
from stepc.runtime.discovery import objects_in


def _accept(value: Any) -> str:
    return "" if isinstance(value, Benchmark) else f"`{value!r}` is not a Benchmark"


BENCHMARKS: Registry[Benchmark] = Registry(
    "stepc.benchmarks", lambda: objects_in(__name__, "BENCHMARK"), _accept
)
"""All benchmarks."""


def title(name: str) -> str:
    """What people call a benchmark. Raises KeyError if there is none of this name."""
    return BENCHMARKS.get(name).title


__all__ = ["BENCHMARKS", "Benchmark", "title"]
