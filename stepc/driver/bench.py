"""Measures what a compile costs on a model of the user, per proved sample, beside a pipeline of few calls."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import orjson

from stepc.driver.compile_corpus import compile_corpus
from stepc.driver.compile_video import CompileConfig
from stepc.driver.local_engine import Engine
from stepc.reporter import SILENT, Reporter

BY_HAND = (
    "split,keyframes,parse-oneshot,confirm(again=0),merge(identity=label,again=0),bridge,"
    "confirm(again=0),sample,compose,check"
)
"""What a script would ask: per keyframe a graph and a list of checks, per clip motions, objects and event."""
WIDTH = 26


@dataclass(frozen=True)
class Measured:
    """What one pipeline cost."""

    pipeline: str
    videos: int
    samples: int
    """Proved samples."""
    calls: int
    tokens_in: int
    tokens_cached: int
    """Input tokens that the server had in its prefix cache, as far as it tells."""
    tokens_out: int
    seconds: float
    in_flight: float
    """Median number of calls that the model had at once, over the time in which it had any."""
    most_in_flight: int
    cost: float
    """In the currency of the prices; 0 without prices."""

    def each(self, number: float) -> float | None:
        """A number per proved sample; None without samples."""
        return number / self.samples if self.samples else None

    def data(self) -> dict[str, object]:
        """All numbers, and those per proved sample."""
        per = {
            f"{name}_per_sample": self.each(getattr(self, name))
            for name in ("calls", "tokens_in", "tokens_out", "seconds", "cost")
        }
        return {**vars(self), **per}


def in_flight(spans: Iterable[tuple[float, float]]) -> tuple[float, int]:
    """(median over time, maximum) of the number of calls at once, from their starts and ends in seconds."""
    changes = sorted(x for start, end in spans for x in ((start, 1), (end, -1)))
    held: dict[int, float] = {}
    now, most = 0, 0
    for (at, change), (following, _) in pairwise([*changes, (0.0, 0)] if changes else []):
        now += change
        most = max(most, now)
        if now:
            held[now] = held.get(now, 0.0) + following - at
    half, so_far = sum(held.values()) / 2, 0.0
    for number in sorted(held):
        so_far += held[number]
        if so_far >= half:
            return number, most
    return 0.0, most


def measure(
    videos: Sequence[Path],
    order: CompileConfig,
    pipeline: str,
    engine: Engine,
    reporter: Reporter = SILENT,
) -> Measured:
    """Compile the videos with nothing from a store. Raises StepcError as `compile_corpus` does."""
    with tempfile.TemporaryDirectory(prefix="stepc-bench-") as folder:
        trace = Path(folder) / "calls.jsonl"
        choice = replace(order.choice, trace=trace)
        order = replace(order, pipeline=pipeline, choice=choice, store=None)
        began = time.perf_counter()
        summary = compile_corpus(
            [*videos], Path(folder) / "out", order, engine=engine, reporter=reporter
        )
        took = time.perf_counter() - began
        rows = [orjson.loads(x) for x in trace.read_bytes().splitlines()] if trace.exists() else []
    usage = summary.usage
    median, most = in_flight((r["began"], r["began"] + r["seconds"]) for r in rows)
    return Measured(
        pipeline=pipeline,
        videos=summary.compiled,
        samples=summary.samples,
        calls=usage.calls,
        tokens_in=usage.tokens_in,
        tokens_cached=usage.tokens_cached,
        tokens_out=usage.tokens_out,
        seconds=took,
        in_flight=median,
        most_in_flight=most,
        cost=usage.cost(order.choice.server.prices),
    )


def table(measured: Sequence[Measured], names: Sequence[str]) -> list[str]:
    """The lines of a table with a column for each pipeline."""

    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.4g}"

    def row(name: str, values: Iterable[float | None]) -> str:
        return f"{name:{WIDTH}}" + "".join(f"{number(v):>16}" for v in values)

    lines = [" " * WIDTH + "".join(f"{name:>16}" for name in names)]
    lines.append(row("proved samples", (m.samples for m in measured)))
    lines.append(row("calls", (m.calls for m in measured)))
    lines.append(row("tokens in", (m.tokens_in for m in measured)))
    if any(m.tokens_cached for m in measured):
        cached = (m.tokens_cached / m.tokens_in if m.tokens_in else None for m in measured)
        lines.append(row("of them cached", cached))
    lines.append(row("tokens out", (m.tokens_out for m in measured)))
    lines.append(row("seconds", (m.seconds for m in measured)))
    lines.append(row("calls at once, median", (m.in_flight for m in measured)))
    lines.append(row("calls at once, most", (m.most_in_flight for m in measured)))
    lines.append("per proved sample")
    lines.append(row("  calls", (m.each(m.calls) for m in measured)))
    lines.append(row("  tokens in", (m.each(m.tokens_in) for m in measured)))
    lines.append(row("  tokens out", (m.each(m.tokens_out) for m in measured)))
    lines.append(row("  seconds", (m.each(m.seconds) for m in measured)))
    if any(m.cost for m in measured):
        lines.append(row("  cost", (m.each(m.cost) for m in measured)))
    return lines
