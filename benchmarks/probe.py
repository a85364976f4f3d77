"""Probes questions about rendered films with a trained model: pass rate against evidence demand.

    python benchmarks/probe.py [--films 24] [--model FOLDER] [--plot docs/_static/probe.svg]

Questions come from the films' true graphs, so that a wrong answer is the model's. Without --model, the embedded model is
first trained on questions about 60 other films (about ten minutes on two cores). The tables count right answers by what
was shown, by number of steps and by number of keyframes with evidence, and say what `select` keeps.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from stepc.dataset.read import load_dataset
from stepc.diagnostics import Statistics
from stepc.driver.compile_video import split_pipeline
from stepc.ir import types as t
from stepc.ir.text import read
from stepc.lang.parse import builtin
from stepc.lang.resolve import read_spec
from stepc.model.backends import EMBEDDED
from stepc.model.load import ModelConfig, load
from stepc.passmanager.base import Tools
from stepc.passmanager.corpus import Corpus, SampleSummary
from stepc.passmanager.registry import pass_type
from stepc.passmanager.run import run
from stepc.passmanager.summaries import UnitsInMemory
from stepc.train.loop import Recipe, train
from stepc.video.decode import Pictures
from stepc.video.probe import probe
from stepc.world.films import make_films
from stepc.world.questions import true_questions

TRAINED, PROBED = 600, 30_000
"""First seeds of the films to train on and of the films to probe."""


def trained(work: Path, films: int) -> str:
    """Train the embedded model on questions about other films; returns its folder."""
    make_films(work / "train", films, TRAINED)
    true_questions(work / "train", work / "questions", (builtin("step"), "step.step", None), 0)
    data = load_dataset(work / "questions", [work / "train"], 6)
    recipe = Recipe(weight=0.3, frames=6, epochs=3.0, rate=5e-4, seed=1)
    train(data, EMBEDDED, work / "model", recipe)
    return str(work / "model")


def probed(films: Path, model: str, samples: int) -> list[t.Qras]:
    """The units of the films after `probe`."""
    pictures, spec = Pictures(), read_spec(builtin("step"), "step.step")
    passes, _ = split_pipeline(f"sample,compose,check,probe(samples={samples})")
    client = load(ModelConfig(model), pictures)
    units = []
    for path in sorted(films.glob("*.true.stsg")):
        pictures.add(probe(path.with_name(path.name.replace(".true.stsg", ".mp4"))))
        unit = read(path.read_text("utf-8"), path.name).unit
        for step in run(passes, unit, Tools(pictures, lambda: client, spec)):
            unit = step.unit
        assert isinstance(unit, t.Qras)
        units.append(unit)
    return units


Rates = dict[tuple[str, str, int], list[int]]
"""(what was shown, `steps` or `keyframes`, their number) → right answers, answers, questions."""


def rates(samples: Iterable[SampleSummary]) -> Rates:
    """Right answers by what was shown and by the demand of a question, 4 standing for 4 and more."""
    made: Rates = defaultdict(lambda: [0, 0, 0])
    for s in samples:
        for shown, right, asked in s.probes:
            what = shown.partition(" ")[0]
            for name, number in (("all", 0), ("steps", s.steps), ("keyframes", s.demand[1])):
                row = made[what, name, min(4, number)]
                row[0], row[1], row[2] = row[0] + right, row[1] + asked, row[2] + 1
    return made


def table(made: Rates) -> str:
    """The rates as a Markdown table."""
    keys = sorted({(name, number) for _, name, number in made})
    lines = ["| questions | number | video | keyframe | without a step | nothing |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, number in keys:
        more = "4 or more" if number == 4 else str(number)
        label = "all" if name == "all" else f"{more} {name}"
        cells = []
        for what in ("video", "keyframe", "without", "nothing"):
            right, asked, _ = made[what, name, number]
            cells.append(f"{100 * right / asked:.1f} %" if asked else "-")
        lines.append(f"| {label} | {made['video', name, number][2]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(made: Rates, path: Path) -> None:
    """Pass rate by steps and by keyframes with evidence, with 95 % intervals over questions, as SVG."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "stepc"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(8, 3.2), sharey=True, layout="constrained")
    for axis, name in zip(axes, ("steps", "keyframes"), strict=True):
        for what, label in (
            ("video", "whole video"),
            ("keyframe", "one keyframe"),
            ("nothing", "nothing"),
        ):
            points = sorted((n, *row) for (w, x, n), row in made.items() if (w, x) == (what, name))
            share = [right / asked for _, right, asked, _ in points]
            off = [
                1.96 * math.sqrt(p * (1 - p) / n) for p, (*_, n) in zip(share, points, strict=True)
            ]
            axis.errorbar([n for n, *_ in points], share, off, label=label, marker="o", capsize=3)
        axis.set_xlabel("steps" if name == "steps" else "keyframes with evidence (4: or more)")
        axis.set_xticks(range(1, 5 if name == "keyframes" else 4))
    axes[0].set_ylabel("right answers")
    axes[0].set_ylim(0, 1)
    axes[1].legend(fontsize="small")
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--films", type=int, default=24)
    options.add_argument("--train-films", type=int, default=60)
    options.add_argument("--samples", type=int, default=4)
    options.add_argument("--model")
    options.add_argument("--plot", type=Path)
    args = options.parse_args()
    with TemporaryDirectory() as folder:
        work = Path(folder)
        model = args.model or trained(work, args.train_films)
        make_films(work / "films", args.films, PROBED)
        corpus = Corpus(UnitsInMemory(probed(work / "films", model, args.samples)))
    made = rates(s for _, _, left in corpus.walk() for _, s in left)
    print(table(made))
    for name, options_ in (
        ("select", {}),
        ("select", {"least": 0.25, "most": 0.9, "keyframe": 0.5}),
    ):
        link, counts = pass_type(name)(**options_), Statistics()
        link.run(corpus, 0, counts)  # type: ignore[union-attr]
        print(
            f"{link.text()}: "
            + ", ".join(f"{n} {what}" for what, n in sorted(dict(counts).items()))
        )
    if args.plot:
        plot(made, args.plot)


if __name__ == "__main__":
    main()
