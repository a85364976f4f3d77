"""Compares two results of one benchmark, question by question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stepc.diagnostics import fail
from stepc.eval.records import EvalResult, Record
from stepc.eval.tables import counts, interval, mean, rows_of


@dataclass(frozen=True)
class Difference:
    """Paired comparison of two results on the same questions; accuracies from 0 to 1."""

    count: int
    first: float
    second: float
    low: float
    high: float
    """Bounds of the 95 % confidence interval of second minus first, by bootstrap over questions."""
    only_first: int
    only_second: int
    """Number of questions that only the first, or only the second, answers correctly."""
    p: float
    """p-value of McNemar's exact test; the null hypothesis is that both are equally accurate."""


def difference(one: Sequence[Record], other: Sequence[Record]) -> Difference:
    """Compare records of the same questions, given in the same order."""
    from scipy.stats import binomtest

    a, b = ([float(bool(r.right)) for r in of] for of in (one, other))
    off = [y - x for x, y in zip(a, b, strict=True)]
    only_a, only_b = off.count(-1.0), off.count(1.0)
    p = float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
    low, high = interval(off)
    return Difference(len(off), mean(a), mean(b), low, high, only_a, only_b, p)


@dataclass(frozen=True)
class Comparison:
    """Two results of one benchmark, compared overall and per group."""

    rows: dict[str, Difference | None]
    """By label; None if all questions of the group are missing."""
    missing: dict[str, tuple[int, int]]
    """Missing questions of the first and of the second result, by label."""
    unjudged: int
    """Questions excluded because they are not judged in both results."""
    unshared: int
    """Questions excluded because only one of the results has them."""
    graders: tuple[str, str]
    """The judge of each result, or `exact match`."""

    def data(self) -> dict[str, Any]:
        """The comparison as a JSON-serialisable dictionary."""
        rows = []
        for label, d in self.rows.items():
            first, second = self.missing[label]
            figures = vars(d) if d is not None else {"count": 0}
            rows.append({"label": label, **figures, "missing": [first, second]})
        return {
            "rows": rows,
            "unjudged": self.unjudged,
            "unshared": self.unshared,
            "graders": list(self.graders),
        }

    def text(self) -> str:
        """The comparison as a plain-text table."""
        head = f"{'':28}{'questions':>10}{'first':>8}{'second':>8}{'difference':>24}{'p':>9}"
        lines = [f"{head}{'missing':>10}"]
        for label, d in self.rows.items():
            lacks = ", ".join(map(str, self.missing[label]))
            if d is None:
                lines.append(f"{label:28}{0:10}{'-':>8}{'-':>8}{'-':>24}{'-':>9}{lacks:>10}")
                continue
            off = f"{100 * (d.second - d.first):+.1f} ({100 * d.low:+.1f} to {100 * d.high:+.1f})"
            lines.append(
                f"{label:28}{d.count:10}{100 * d.first:8.1f}{100 * d.second:8.1f}{off:>24}{d.p:9.4f}"
                f"{lacks:>10}"
            )
        if self.unjudged:
            lines.append(f"{self.unjudged} questions excluded: not judged in both results")
        if self.graders[0] != self.graders[1]:
            lines.append(f"graded differently: by {' and by '.join(self.graders)}")
        if self.unshared:
            lines.append(f"{self.unshared} questions excluded: in only one of the results")
        return "\n".join(lines)


def compare(one: EvalResult, other: EvalResult) -> Comparison:
    """Compare two results, overall and per group.

    Raises StepcError (E006) if they are of different benchmarks or share no graded question.
    """
    if one.settings.benchmark != other.settings.benchmark:
        told = f"cannot compare {one.settings.benchmark} with {other.settings.benchmark}"
        raise fail("E006", told, None, "both results must be of the same benchmark")
    theirs = {r.id: r for r in other.records}
    common = [r for r in one.records if r.id in theirs]
    ours = [r for r in common if counts(r) and counts(theirs[r.id])]
    if not ours:
        told = "the two results have no graded question in common"
        raise fail("E006", told, None, "check that both runs use the same benchmark files")
    rows = {
        label: difference(records, [theirs[r.id] for r in records]) if records else None
        for label, records in rows_of(ours, one.missing, other.missing)
    }
    missing = {label: (one.missing.get(label, 0), other.missing.get(label, 0)) for label in rows}
    apart = len(one.records) + len(other.records) - 2 * len(common)
    graders = (one.judge or "exact match", other.judge or "exact match")
    return Comparison(rows, missing, len(common) - len(ours), apart, graders)
