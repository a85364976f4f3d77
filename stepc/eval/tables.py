"""Summarises and compares results, with confidence intervals, and prints the paper's tables."""

from __future__ import annotations

import csv
import io
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from stepc.diagnostics import fail, printable
from stepc.eval.benchmarks import BENCHMARKS, title
from stepc.eval.benchmarks.mlvu import GENERATION
from stepc.eval.run import EvalResult, Record
from stepc.grading.items import kinds
from stepc.grading.judge import agreement
from stepc.runtime.escape import csv_cell, markdown

DRAWS = 1000
"""Number of bootstrap resamples."""


def interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """95 % confidence interval of the mean by percentile bootstrap; (NaN, NaN) without values."""
    if not values:
        return math.nan, math.nan
    rng = random.Random(seed)
    means = sorted(sum(rng.choices(values, k=len(values))) / len(values) for _ in range(DRAWS))
    return means[int(0.025 * DRAWS)], means[int(0.975 * DRAWS) - 1]


@dataclass(frozen=True)
class Figure:
    """An accuracy (0 to 1) or a mean score, with its confidence interval and counts."""

    value: float
    """NaN if there are no questions."""
    low: float
    high: float
    """Bounds of the 95 % confidence interval, by bootstrap over questions."""
    count: int
    """Number of questions the figure is computed from."""
    unread: int = 0
    """Number of questions whose reply or judgement could not be parsed."""

    def text(self, scale: float = 100.0) -> str:
        """Format as `value (low-high)`, multiplied by `scale`; `-` for NaN."""
        if math.isnan(self.value):
            return "-"
        low, high = scale * self.low, scale * self.high
        return f"{scale * self.value:.1f} ({low:.1f}-{high:.1f})"


def figure(values: Sequence[float], unread: int = 0) -> Figure:
    """Mean of the values with its confidence interval."""
    if not values:
        return Figure(math.nan, math.nan, math.nan, 0, unread)
    return Figure(sum(values) / len(values), *interval(values), len(values), unread)


def sound(records: Sequence[Record]) -> Figure:
    """Accuracy by the sound rule.

    Unparsable replies count as wrong; records without a usable judgement are excluded. `unread` counts both.
    """
    asked = [r for r in records if r.rule not in ("points", "summary")]
    values = [float(bool(r.right)) for r in asked if counts(r)]
    return figure(values, sum(r.right is None for r in asked))


def counts(record: Record) -> bool:
    """Whether a record counts as right or wrong.

    It does not if its rule only yields scores, or if the judgement it needs cannot be parsed.
    """
    if record.rule in ("points", "summary"):
        return False
    return not (record.rule == "judge" and record.reply and record.right is None)


def official(records: Sequence[Record]) -> Figure:
    """Accuracy by the benchmark's own rule. Records without a verdict are excluded and count in `unread`."""
    asked = [r for r in records if r.rule not in ("points", "summary")]
    values = [float(r.official) for r in asked if r.official is not None]
    return figure(values, sum(r.official is None for r in asked))


def score(records: Sequence[Record], whole: bool = False) -> Figure:
    """Mean score of the judge. `whole` truncates scores to integers, as Video-ChatGPT's script does."""
    values = [float(int(r.score) if whole else r.score) for r in records if r.score is not None]
    return figure(values, sum(r.score is None for r in records))


def sentences(records: Sequence[Record]) -> float:
    """Fraction of ground-truth rationale steps that the replies contain; NaN if there are no steps."""
    steps = sum(r.steps for r in records)
    return sum(r.steps_right or 0 for r in records) / steps if steps else math.nan


def of_groups(records: Sequence[Record]) -> dict[str, dict[str, list[Record]]]:
    """Records by group name and value, including the group `steps`."""
    made: dict[str, dict[str, list[Record]]] = {}
    for record in records:
        for name, value in kinds(record.steps, record.groups):
            made.setdefault(printable(name), {}).setdefault(printable(value), []).append(record)
    return {name: dict(sorted(values.items())) for name, values in made.items()}


def rows_of(
    records: Sequence[Record], *missing: dict[str, int]
) -> list[tuple[str, Sequence[Record]]]:
    """Labelled rows: all records, then the records of each group.

    Groups whose questions are all missing get an empty row.
    """
    rows: dict[str, Sequence[Record]] = {"all": records}
    for name, values in of_groups(records).items():
        rows |= {f"{name} {value}": of for value, of in values.items()}
    for lacks in missing:
        rows |= {label: () for label in sorted(lacks) if label not in rows}
    return list(rows.items())


def headline(
    result: EvalResult, how: Callable[[Sequence[Record]], Figure] = official
) -> dict[str, float]:
    """The benchmark's headline figures by name. Accuracy is in percent; scores are not rescaled.

    If the figure is a mean over groups (STAR's types, MLVU's tasks), each group has the same weight.
    """
    benchmark = BENCHMARKS.get(result.settings.benchmark)
    records = result.records
    if result.settings.benchmark == "mlvu":
        tasks = of_groups(records).get("task", {})
        choice = [how(of).value for task, of in tasks.items() if task not in GENERATION]
        long = [score(of).value for task, of in tasks.items() if task in GENERATION]
        return {"M-Avg": 100 * _mean(choice), "G-Avg": _mean(long)}
    if benchmark.mean:
        groups = of_groups(records).get(benchmark.mean, {})
        return {"accuracy": 100 * _mean([how(of).value for of in groups.values()])}
    made = {"accuracy": 100 * how(records).value}
    if any(r.score is not None for r in records):
        made["score"] = score(records, whole=how is official).value
    return made


def _mean(values: Sequence[float]) -> float:
    known = [v for v in values if not math.isnan(v)]
    return sum(known) / len(known) if known else math.nan


def summary(result: EvalResult) -> dict[str, Any]:
    """All figures of a result, as written to `summary.json`."""

    def told(records: Sequence[Record]) -> dict[str, Any]:
        both = {"sound": sound(records), "official": official(records)}
        made: dict[str, Any] = {k: vars(v) for k, v in both.items()}
        if any(r.score is not None for r in records):
            made["score"] = vars(score(records))
            made["score, cut to integers"] = vars(score(records, whole=True))
        if any(r.exact is not None for r in records):
            made["exact"] = vars(
                figure([float(bool(r.exact)) for r in records if r.exact is not None])
            )
        steps = [r for r in records if r.steps_right is not None]
        if steps:
            made["steps of rationales"] = sum(r.steps_right or 0 for r in steps) / sum(
                r.steps for r in steps
            )
        return made

    made: dict[str, Any] = {"all": told(result.records), "missing": result.missing}
    made["headline"] = {"official": headline(result), "sound": headline(result, sound)}
    for name, values in of_groups(result.records).items():
        made[name] = {value: told(records) for value, records in values.items()}
    agree = _agreements(result)
    if agree:
        made["agreement"] = agree
    return made


def _agreements(result: EvalResult) -> dict[str, dict[str, float]]:
    records = [r for r in result.records if r.rule == "judge" and r.judge]
    if not records:
        return {}
    pairs = {"exact match": [r.exact for r in records]}
    if any(r.second is not None for r in records):
        pairs["the second judge"] = [r.second for r in records]
    made = {}
    for name, other in pairs.items():
        same, kappa, count = agreement([r.right for r in records], other)
        made[name] = {"same": same, "kappa": kappa, "count": count}
    return made


def text(result: EvalResult) -> str:
    """Format a result as a plain-text table."""
    rows = rows_of(result.records, result.missing)
    scored = any(r.score is not None for r in result.records)
    head = [
        "",
        "questions",
        "sound",
        "official",
        *(["score"] if scored else []),
        "unread",
        "missing",
    ]
    cells = [
        [label, f"{len(of)}", sound(of).text(), official(of).text(),
         *([score(of).text(1.0)] if scored else []), f"{sound(of).unread}", f"{result.missing.get(label, 0)}"]
        for label, of in rows
    ]  # fmt: skip
    wide = [max(len(row[i]) for row in [head, *cells]) for i in range(len(head))]
    lines = [
        "  ".join(
            c.ljust(w) if i == 0 else c.rjust(w)
            for i, (c, w) in enumerate(zip(row, wide, strict=True))
        )
        for row in [head, *cells]
    ]
    figures = headline(result).items()
    own = ", ".join(f"{k} {'-' if math.isnan(v) else f'{v:.1f}'}" for k, v in figures)
    lacks = f"; {result.missing['all']} missing" if result.missing.get("all") else ""
    lines.append(f"{title(result.settings.benchmark)}: {own}, by the official rules{lacks}")
    if any(r.steps_right is not None for r in result.records):
        lines.append(
            f"ground-truth rationale steps found in the replies: {sentences(result.records):.1%}"
        )
    for name, agree in _agreements(result).items():
        lines.append(
            f"the judge agrees with {name} on {agree['same']:.1%} of {agree['count']:.0f}"
            f" (kappa {agree['kappa']:.2f})"
        )
    if result.missing:
        lines.append("missing: questions skipped because their record or video is unusable")
    open_ = [r for r in result.records if r.rule == "judge" and not r.judge]
    lost = sum(r.right is None and bool(r.reply) for r in open_)
    if lost:
        lines.append(f"{lost} open answers excluded: the judge's reply cannot be parsed")
    if len(open_) > lost:
        lines.append(
            f"{len(open_) - lost} open answers graded by exact match, not by a judge (--judge)"
        )
    return "\n".join(lines)


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
    return Difference(len(off), _mean(a), _mean(b), low, high, only_a, only_b, p)


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


def paper() -> list[dict[str, Any]]:
    """The paper's figures, one dict per row: `table` (number), `row` (label) and `figures` (by column)."""
    rows: list[dict[str, Any]] = orjson.loads((files("stepc.eval") / "paper.json").read_bytes())[
        "rows"
    ]
    return rows


COLUMNS: dict[int, dict[str, tuple[str, str]]] = {
    1: {
        **{f"{title(b)} {k}": (b, k) for b in ("msvd-qa", "msrvtt-qa", "activitynet-qa", "agqa", "star")
           for k in ("accuracy", "score")},
    },
    2: {f"{title(b)} {n}": (b, n) for b in ("agqa", "star") for n in ("1", "2", "3", "all")},
    3: {
        "TempCompass": ("tempcompass", "accuracy"), "MVBench": ("mvbench", "accuracy"),
        "MovieChat-1K": ("moviechat", "accuracy"), "MLVU": ("mlvu", "M-Avg"),
    },
    4: {f"{title(b)} {k}": (b, k) for b in ("agqa", "star") for k in ("accuracy", "score")},
}  # fmt: skip
"""Columns of each table of the paper; each maps to (benchmark, figure)."""


def cell(result: EvalResult, wanted: str) -> float:
    """One figure of a result: a headline figure by name, or the accuracy (%) for a number of steps."""
    if wanted in ("1", "2", "3", "all"):
        of = (
            result.records
            if wanted == "all"
            else of_groups(result.records).get("steps", {}).get(wanted, [])
        )
        return 100 * official(of).value
    return headline(result).get(wanted, math.nan)


@dataclass
class Table:
    """One of the paper's tables, with our own rows below the paper's."""

    number: int
    columns: list[str]
    rows: list[tuple[str, list[float]]]
    missing: dict[tuple[str, int], int] = field(default_factory=dict)
    """Number of questions missing from one of our figures, by (row label, column index)."""

    def markdown(self) -> str:
        head = ["", *map(markdown, self.columns)]
        body = [
            [markdown(label), *(self._text(label, i, v) for i, v in enumerate(values))]
            for label, values in self.rows
        ]
        rule = ["---", *["---:"] * len(self.columns)]
        return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *body]) + "\n"

    def _text(self, label: str, column: int, value: float) -> str:
        lacks = self.missing.get((label, column), 0)
        told = "-" if math.isnan(value) else f"{value:.1f}"
        return f"{told} ({lacks} missing)" if lacks else told

    def csv(self) -> str:
        """Format as CSV; an extra last column lists the missing questions of each figure in the row."""
        made = io.StringIO()
        writer = csv.writer(made, lineterminator="\n")
        writer.writerow(["row", *map(csv_cell, self.columns), "missing"])
        for label, values in self.rows:
            lacks = (self.missing.get((label, i), 0) for i in range(len(values)))
            told = " ".join(f"{c}: {n};" for c, n in zip(self.columns, lacks, strict=True) if n)
            figures = ("" if math.isnan(v) else f"{v:.3f}" for v in values)
            writer.writerow([csv_cell(label), *figures, told.rstrip(";")])
        return made.getvalue()

    def plot(self, path: Path) -> None:
        """Write a bar chart as SVG. Raises StepcError (T005) if matplotlib is not installed."""
        try:
            import matplotlib
        except ImportError:
            raise fail(
                "T005", "plotting needs matplotlib", None, "pip install 'stepc[plots]'"
            ) from None
        matplotlib.use("svg")
        matplotlib.rcParams["svg.hashsalt"] = "stepc"
        from matplotlib import pyplot

        figure, axis = pyplot.subplots(
            figsize=(max(6, 1.2 * len(self.columns)), 4), layout="constrained"
        )
        width = 0.8 / len(self.rows)
        for i, (label, values) in enumerate(self.rows):
            places = [x + (i + 0.5) * width - 0.4 for x in range(len(values))]
            axis.bar(places, [0 if math.isnan(v) else v for v in values], width, label=label)
        axis.set_xticks(
            range(len(self.columns)), self.columns, rotation=20, ha="right", fontsize="small"
        )
        axis.legend(fontsize="x-small")
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)


def table(number: int, results: Sequence[tuple[str, Sequence[EvalResult]]]) -> Table:
    """Build a table of the paper plus our rows; `results` has (label, results on several benchmarks)."""
    columns = COLUMNS[number]
    rows = [
        (
            f"{row['row']} (paper)",
            [math.nan if row["figures"].get(c) is None else row["figures"][c] for c in columns],
        )
        for row in paper()
        if row["table"] == number
    ]
    missing = {}
    for label, made in results:
        by_name = {r.settings.benchmark: r for r in made}
        values = [cell(by_name[b], k) if b in by_name else math.nan for b, k in columns.values()]
        rows.append((label, values))
        for i, (b, k) in enumerate(columns.values()):
            if b in by_name:
                kind = f"steps {k}" if k.isdigit() else "all"
                missing[label, i] = by_name[b].missing.get(kind, 0)
    return Table(number, list(columns), rows, missing)
