"""The benchmark STAR (multiple choice)."""

from __future__ import annotations

from pathlib import Path

from stepc.eval.benchmarks._reading import Benchmark, read_star
from stepc.grading.items import Reading


def star_choice(folder: Path) -> Reading:
    """STAR as its authors score it: multiple choice with four options, averaged over question types."""
    return read_star(folder, "choice")


BENCHMARK = Benchmark("STAR (multiple choice)", star_choice, mean="type")
