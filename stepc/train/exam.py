"""What a model answers to a dataset's questions, directly and after reasoning, by number of steps.

An answer is right if its words are those of the true one, or of another that the question
takes; capitals, marks and articles do not count. A step of a rationale is right if its
sentence stands in the reply, behind those before it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from stepc.model.ask import Asker
from stepc.model.requests import Ask, Explain
from stepc.reward import held, right
from stepc.train.rows import Dataset, Sample

HOWS = ("direct", "reasoned")
DRAWS = 1000
"""Resamples of a bootstrap."""


@dataclass(frozen=True)
class Graded:
    """One question and how it went."""

    id: str
    steps: int
    how: str
    """`direct`, or `reasoned`: after the rationale."""
    reply: str
    answer: str
    right: bool
    steps_right: int = 0
    """Of a rationale: sentences of the true one that it holds, in their order."""


@dataclass
class Marks:
    """All questions of an exam."""

    graded: list[Graded] = field(default_factory=list)

    def of(self, how: str, steps: int | None = None) -> list[Graded]:
        """Those asked so; with so many steps (3: three or more)."""
        return [
            g for g in self.graded if g.how == how and (steps is None or min(g.steps, 3) == steps)
        ]

    def accuracy(self, how: str, steps: int | None = None) -> float:
        """Share of right answers; NaN without a question."""
        return _mean([g.right for g in self.of(how, steps)])

    def sentences(self, steps: int | None = None) -> float:
        """Share of the steps of true rationales that the replies hold."""
        asked = self.of("reasoned", steps)
        total = sum(g.steps for g in asked)
        return sum(g.steps_right for g in asked) / total if total else math.nan

    def table(self) -> str:
        """For people: accuracy by number of steps, with intervals of 95 %."""
        lines = [f"{'':20}{'1 step':>18}{'2 steps':>18}{'3 steps':>18}{'all':>18}"]
        columns = (1, 2, 3, None)
        for how in HOWS:
            if self.of(how):
                cells = [self._cell(how, n) for n in columns]
                lines.append(f"{how:20}" + "".join(f"{c:>18}" for c in cells))
        if self.of("reasoned"):
            cells = [f"{self.sentences(n):.3f}" for n in columns]
            lines.append(f"{'steps of rationale':20}" + "".join(f"{c:>18}" for c in cells))
        counts = [str(len(self.of(self.graded[0].how, n))) for n in columns] if self.graded else []
        lines.append(f"{'questions':20}" + "".join(f"{c:>18}" for c in counts))
        return "\n".join(lines)

    def _cell(self, how: str, steps: int | None) -> str:
        rights = [g.right for g in self.of(how, steps)]
        if not rights:
            return "-"
        low, high = interval(rights)
        return f"{_mean(rights):.3f} {low:.2f}-{high:.2f}"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of a mean by bootstrap (percentiles of resampled means)."""
    rng = random.Random(seed)
    means = sorted(_mean(rng.choices(values, k=len(values))) for _ in range(DRAWS))
    return means[int(0.025 * DRAWS)], means[int(0.975 * DRAWS) - 1]


def _grade(sample: Sample, how: str, reply: Any, text: str) -> Graded:
    answer = reply.text if reply is not None else ""
    correct = right(answer, (sample.answer, sample.reply, *sample.answers))
    steps = held(text, [s.text for s in sample.rationale]) if how == "reasoned" else 0
    return Graded(sample.id, max(sample.steps, 1), how, text, answer, correct, steps)


def examine(asker: Asker, dataset: Dataset, hows: Iterable[str] = HOWS) -> Marks:
    """Ask every question of a dataset. Raises StepcError if the model cannot be asked."""
    marks = Marks()
    for how in hows:
        kind: type[Ask | Explain] = Ask if how == "direct" else Explain
        requests = [
            kind(frames=dataset.frames[s.video], question=s.question, options=s.options)
            for s in dataset.samples
        ]
        for sample, reply in zip(dataset.samples, asker.ask(requests), strict=True):
            answer = reply.answers[0]
            text = getattr(answer, "rationale", "") if answer is not None else ""
            marks.graded.append(_grade(sample, how, answer, text))
    return marks
