"""What a study found: tables, intervals, a plot."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from stepc.diagnostics import fail
from stepc.eval.records import HOWS
from stepc.world.score import KINDS

RATIONALE = "rationale"
"""Key for the fraction of ground-truth steps that the replies contain in order."""


TABLES = ("cells", "samples", "asked", "blank", "guessed")
"""The fields of an outcome that have a cell for each key."""
STEPS = (1, 2, 3, None)
"""Columns of a table: questions by number of steps (3 means three or more), and all (None)."""


@dataclass
class Cell:
    """One value per seed."""

    values: list[float]

    @property
    def mean(self) -> float:
        """Mean over seeds, without NaN; NaN if there are no values."""
        known = [v for v in self.values if not math.isnan(v)]
        return statistics.fmean(known) if known else math.nan

    @property
    def half(self) -> float:
        """Half the 95 % confidence interval of the mean (Student's t); NaN for fewer than two seeds."""
        from scipy.stats import t

        known = [v for v in self.values if not math.isnan(v)]
        if len(known) < 2:
            return math.nan
        error = statistics.stdev(known) / math.sqrt(len(known))
        return float(t.ppf(0.975, len(known) - 1)) * error

    def text(self, sign: str = "") -> str:
        """Mean ± half the 95 % CI, in percent."""
        if math.isnan(self.mean):
            return "-"
        off = "" if math.isnan(self.half) else f" ± {100 * self.half:.1f}"
        return f"{100 * self.mean:{sign}.1f}{off}"

    def minus(self, other: Cell) -> Cell:
        """Difference to another cell, seed by seed."""
        return Cell([a - b for a, b in zip(self.values, other.values, strict=True)])


@dataclass
class Outcome:
    """The result of a study."""

    name: str
    against: str
    """The arm that all others are compared with."""
    seeds: int
    cells: dict[tuple[str, str, int | None], Cell]
    """Accuracy (0 to 1) by arm, prompting mode and number of steps (None for all)."""
    samples: dict[str, Cell]
    """Number of training samples by arm."""
    graphs: dict[str, dict[str, Cell]]
    """F1 of the graphs behind the training samples, by arm and kind of fact."""
    asked: dict[int | None, Cell]
    """Number of questions that count, by number of steps."""
    blank: dict[tuple[str, str, int | None], Cell] = field(default_factory=dict)
    """Accuracy with blank pictures, as in `cells`."""
    guessed: dict[tuple[str, int | None], Cell] = field(default_factory=dict)
    """Accuracy of the commonest answers (`majority`) and of a classifier of texts (`text`), by steps."""

    def json(self) -> bytes:
        """All values, seed by seed, as JSON; `read` is the inverse."""
        told: dict[str, Any] = {"name": self.name, "against": self.against, "seeds": self.seeds}
        for field_ in TABLES:
            table = getattr(self, field_)
            told[field_] = {_key(key): _values(cell) for key, cell in table.items()}
        told["graphs"] = {
            arm: {kind: _values(cell) for kind, cell in kinds.items()}
            for arm, kinds in self.graphs.items()
        }
        return orjson.dumps(told, option=orjson.OPT_INDENT_2)

    @classmethod
    def read(cls, data: bytes) -> Outcome:
        """The outcome that `json` wrote. Raises ValueError or KeyError for anything else."""
        told = orjson.loads(data)
        tables: dict[str, Any] = {
            name: {_parted(key): _cell(values) for key, values in told[name].items()}
            for name in TABLES
        }
        tables["samples"] = {key[0]: cell for key, cell in tables["samples"].items()}
        tables["asked"] = {key[0]: cell for key, cell in tables["asked"].items()}
        graphs = {
            arm: {kind: _cell(values) for kind, values in kinds.items()}
            for arm, kinds in told["graphs"].items()
        }
        return cls(told["name"], told["against"], told["seeds"], graphs=graphs, **tables)

    def joined(self, other: Outcome) -> Outcome:
        """This study with the seeds of another run of it. Raises ValueError if the arms differ."""
        if (self.name, self.arms) != (other.name, other.arms):
            raise ValueError(f"`{self.name}` and `{other.name}` have different arms")
        tables: dict[str, Any] = {}
        for name in TABLES:
            mine, theirs = getattr(self, name), getattr(other, name)
            tables[name] = {k: Cell([*c.values, *theirs[k].values]) for k, c in mine.items()}
        graphs = {
            arm: {k: Cell([*c.values, *other.graphs[arm][k].values]) for k, c in kinds.items()}
            for arm, kinds in self.graphs.items()
        }
        return replace(self, seeds=self.seeds + other.seeds, graphs=graphs, **tables)

    @property
    def arms(self) -> list[str]:
        """Names of the arms, in order."""
        return list(self.samples)

    def markdown(self) -> str:
        """All tables in Markdown, next to the paper's figures."""
        told = zip(HOWS, ("answered directly", "answered after reasoning"), strict=True)
        parts = [f"Accuracy (%), {words}:\n\n{self.table(how)}" for how, words in told]
        if any(self.graphs.values()):
            parts.append(
                "F1 (%) of the graphs behind the samples, against the ground truth:\n\n"
                + self.graph_table()
            )
        many = f"{self.seeds} seeds" if self.seeds > 1 else "1 seed"
        parts.append(f"Mean ± half the 95 % CI over {many}.")
        return "\n\n".join(parts) + "\n"

    def table(self, how: str) -> str:
        """Accuracy by arm and number of steps for a prompting mode, with blind rows, in Markdown."""
        against = self.against
        paper = {row["arm"]: row for row in _paper(self.name)}
        head = ["", "samples", "1 step", "2 steps", "3 steps", "all", f"3 steps, from {against}",
                "3 steps, from blank"]  # fmt: skip
        head += ["steps right"] if how == "reasoned" else []
        head += ["the paper's AGQA", "STAR"] if paper else []
        rows = []
        for arm in self.arms:
            cells = [self.cells[arm, how, n] for n in STEPS]
            seen = [self.blank.get((arm, how, n), Cell([])) for n in STEPS]
            row = [arm, f"{self.samples[arm].mean:.0f}", *(c.text() for c in cells)]
            row.append(
                "" if arm == against else cells[2].minus(self.cells[against, how, 3]).text("+")
            )
            row.append(cells[2].minus(seen[2]).text("+") if seen[2].values else "-")
            row += [self.cells[arm, RATIONALE, None].text()] if how == "reasoned" else []
            if paper:
                row += [_figures(paper[arm], x) if arm in paper else "" for x in ("AGQA", "STAR")]
            rows.append(row)
            if any(not math.isnan(c.mean) for c in seen):
                rows.append([f"{arm}, blank pictures", "", *(c.text() for c in seen)])
        for name, label in (("majority", "commonest answers"), ("text", "text classifier")):
            guess = [self.guessed.get((name, n), Cell([])) for n in STEPS]
            if any(not math.isnan(c.mean) for c in guess):
                rows.append([label, "", *(c.text() for c in guess)])
        rows.append(["questions", "", *(f"{self.asked[n].mean:.0f}" for n in STEPS)])
        return _table(head, [[*row, *[""] * (len(head) - len(row))] for row in rows])

    def graph_table(self) -> str:
        """F1 of the graphs behind the samples of each arm, and the precision of what is surest."""
        made = {arm: kinds for arm, kinds in self.graphs.items() if kinds}
        sure = [k for kinds in made.values() for k in kinds if k not in KINDS]
        columns = [*KINDS, *dict.fromkeys(sure)]
        rows = [
            [arm, *(kinds[k].text() if k in kinds else "" for k in columns)]
            for arm, kinds in made.items()
        ]
        heads = [f"precision of {k}" if k in sure else k for k in columns]
        return _table(["", *heads], rows)

    def plot(self, path: Path) -> None:
        """Write a bar chart of accuracy by number of steps, with 95 % CIs, as SVG.

        Raises StepcError (T005) if matplotlib is not installed.
        """
        try:
            import matplotlib
        except ImportError:
            help = "pip install 'stepc[plots]'"
            raise fail("T005", "plotting needs matplotlib", None, help) from None
        matplotlib.use("svg")
        matplotlib.rcParams["svg.hashsalt"] = "stepc"
        from matplotlib import pyplot

        figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
        width = 0.8 / len(self.arms)
        for axis, how in zip(axes, HOWS, strict=True):
            for i, arm in enumerate(self.arms):
                cells = [self.cells[arm, how, n] for n in STEPS]
                places = [x + (i + 0.5) * width - 0.4 for x in range(len(STEPS))]
                halves = [0.0 if math.isnan(c.half) else c.half for c in cells]
                axis.bar(places, [c.mean for c in cells], width, yerr=halves, label=arm, capsize=2)
            axis.set_xticks(range(len(STEPS)), ["1 step", "2 steps", "3 steps", "all"])
            axis.set_title({"direct": "answered directly"}.get(how, "answered after reasoning"))
        axes[0].set_ylabel("accuracy")
        axes[1].legend(fontsize="small")
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)


def _key(key: Any) -> str:
    """The key of a cell as text: its parts between bars, `all` for None."""
    parts = key if isinstance(key, tuple) else (key,)
    return " | ".join("all" if part is None else str(part) for part in parts)


def _parted(text: str) -> tuple[Any, ...]:
    parts = [None if x == "all" else int(x) if x.isdigit() else x for x in text.split(" | ")]
    return tuple(parts)


def _values(cell: Cell) -> list[float | None]:
    return [None if math.isnan(v) else round(v, 6) for v in cell.values]


def _cell(values: list[float | None]) -> Cell:
    return Cell([math.nan if v is None else v for v in values])


def _paper(study: str) -> list[dict[str, Any]]:
    """The paper's rows of a study."""
    data = orjson.loads((files("stepc.eval") / "paper.json").read_bytes())
    return [row for row in data["rows"] if row.get("study") == study]


def _figures(row: dict[str, Any], benchmark: str) -> str:
    """Accuracies of a row on a benchmark, per number of steps if the paper reports them."""
    told = [v for k, v in row["figures"].items() if k.startswith(benchmark) and "score" not in k]
    return " / ".join(f"{x}" for x in told)


def _table(head: list[str], rows: list[list[str]]) -> str:
    wide = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(row: list[str]) -> str:
        cells = [
            c.ljust(w) if i == 0 else c.rjust(w)
            for i, (c, w) in enumerate(zip(row, wide, strict=True))
        ]
        return "| " + " | ".join(cells) + " |"

    rule = (
        "| "
        + " | ".join(("-" * w if i == 0 else "-" * (w - 1) + ":") for i, w in enumerate(wide))
        + " |"
    )
    return "\n".join([line(head), rule, *map(line, rows)])
