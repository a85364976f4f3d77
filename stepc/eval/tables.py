"""Summarises and compares results, with confidence intervals, and prints the paper's tables."""

from __future__ import annotations

import csv
import io
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from stepc.diagnostics import fail, printable
from stepc.eval.benchmarks import BENCHMARKS, title
from stepc.eval.benchmarks.mlvu import GENERATION
from stepc.eval.records import EvalResult, Record
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

    def share(self) -> str:
        """Format in percent, without the interval; `-` for NaN."""
        return "-" if math.isnan(self.value) else f"{100 * self.value:.1f}"

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


def without_video(records: Sequence[Record]) -> dict[str, Figure]:
    """What needs no video: `majority`, `text`, `blank`, and what the model gains over `blank` by looking.

    Accuracies (0 to 1) of the commonest answers, of a classifier of texts, and of the same model that saw
    blank pictures. The `gain` is the mean difference to `sound`, question by question. NaN where nothing
    was guessed or asked.
    """
    of = {
        name: [float(v) for r in records if (v := getattr(r, name)) is not None and counts(r)]
        for name in ("majority", "text", "blank")
    }
    off = [float(bool(r.right)) - r.blank for r in records if r.blank is not None and counts(r)]
    return {**{name: figure(values) for name, values in of.items()}, "gain": figure(off)}


def pairs(records: Sequence[Record]) -> tuple[int, float, float]:
    """(number of minimal pairs, share of which both are right, the same for blank pictures).

    A pair is one question about two videos or clips with two answers, so a model that does not look gets at
    most one of them right. The shares are NaN without pairs, or without answers to blank pictures.
    """
    by_id = {r.id: r for r in records}
    both = [(r, by_id[r.pair]) for r in records if r.pair in by_id and r.id < r.pair]
    if not both:
        return 0, math.nan, math.nan
    right = [bool(a.right) and bool(b.right) for a, b in both]
    grey = [a.blank and b.blank for a, b in both if None not in (a.blank, b.blank)]
    return len(both), mean([float(x) for x in right]), mean([float(bool(x)) for x in grey])


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
        return {"M-Avg": 100 * mean(choice), "G-Avg": mean(long)}
    if benchmark.mean:
        groups = of_groups(records).get(benchmark.mean, {})
        return {"accuracy": 100 * mean([how(of).value for of in groups.values()])}
    made = {"accuracy": 100 * how(records).value}
    if any(r.score is not None for r in records):
        made["score"] = score(records, whole=how is official).value
    return made


def mean(values: Sequence[float]) -> float:
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
        made["without video"] = {k: vars(v) for k, v in without_video(records).items() if v.count}
        number, right, grey = pairs(records)
        if number:
            made["pairs"] = {"count": number, "both right": right, "both right, blank": grey}
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
    blind = [name for name, made in without_video(result.records).items() if made.count]
    head = [
        "",
        "questions",
        "sound",
        "official",
        *(["score"] if scored else []),
        *blind,
        "unread",
        "missing",
    ]
    cells = [
        [label, f"{len(of)}", sound(of).text(), official(of).text(),
         *([score(of).text(1.0)] if scored else []),
         *(without_video(of)[name].text() if name == "gain" else without_video(of)[name].share()
           for name in blind), f"{sound(of).unread}", f"{result.missing.get(label, 0)}"]
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
    return "\n".join([*lines, *_remarks(result, blind)])


def _remarks(result: EvalResult, blind: Sequence[str]) -> Iterator[str]:
    """The lines below the table of a result; `blind` are its columns of what needs no video."""
    figures = headline(result).items()
    own = ", ".join(f"{k} {'-' if math.isnan(v) else f'{v:.1f}'}" for k, v in figures)
    lacks = f"; {result.missing['all']} missing" if result.missing.get("all") else ""
    yield f"{title(result.settings.benchmark)}: {own}, by the official rules{lacks}"
    if any(r.steps_right is not None for r in result.records):
        yield f"ground-truth rationale steps found in the replies: {sentences(result.records):.1%}"
    judged = [r for r in result.records if r.steps_wrong is not None and r.right]
    if judged:
        wrong = sum(bool(r.steps_wrong) for r in judged)
        yield f"right answers after a wrong step: {wrong} of {len(judged)}"
    for name, agree in _agreements(result).items():
        yield (
            f"the judge agrees with {name} on {agree['same']:.1%} of {agree['count']:.0f}"
            f" (kappa {agree['kappa']:.2f})"
        )
    if blind:
        told = {"majority": "the commonest answer to such questions", "text": "a classifier of their texts",
                "blank": "the model from blank pictures", "gain": "sound minus blank"}  # fmt: skip
        yield "without video: " + "; ".join(f"{name}, {told[name]}" for name in blind)
    number, right, grey = pairs(result.records)
    if number:
        off = "" if math.isnan(grey) else f" ({grey:.1%} from blank pictures)"
        yield f"{number} minimal pairs: both answers right in {right:.1%}{off}"
    if result.missing:
        yield "missing: questions skipped because their record or video is unusable"
    open_ = [r for r in result.records if r.rule == "judge" and not r.judge]
    lost = sum(r.right is None and bool(r.reply) for r in open_)
    if lost:
        yield f"{lost} open answers excluded: the judge's reply cannot be parsed"
    if len(open_) > lost:
        yield f"{len(open_) - lost} open answers graded by exact match, not by a judge (--judge)"


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
