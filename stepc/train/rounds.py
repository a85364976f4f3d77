"""Iterated self-training: compile a dataset with a model, train the model on it, repeat (section 4.1).

A run is a folder of rounds, each with its dataset, model and scores. Completed rounds are reused, so an
interrupted run resumes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import orjson

from stepc.dataset.read import load_dataset, told
from stepc.diagnostics import Place, fail, printable
from stepc.driver.compile_corpus import compile_corpus
from stepc.driver.compile_video import CompileConfig
from stepc.driver.local_engine import LocalEngine
from stepc.eval.records import HOWS, EvalSettings
from stepc.eval.run import evaluate
from stepc.eval.tables import of_groups, sound
from stepc.model.cassette import Cassette
from stepc.model.load import ModelConfig, load
from stepc.reporter import SILENT, Reporter
from stepc.runtime.atomic_files import claim, read_regular, write_whole
from stepc.runtime.output_folder import locked
from stepc.train.loop import Recipe, train
from stepc.train.parsing import agreement
from stepc.video.discover import below, find_videos, name_bases

ParsingCheck = Callable[[ModelConfig, int], dict[str, float]]
"""From a model and a seed, how well the model parses (0 to 1), per parsing request."""
CHECKED = 8
"""Number of test questions per kind of request for checking whether a model can still parse."""


@dataclass(frozen=True)
class Quiz:
    """Held-out questions: a dataset, its videos, and the number of frames per question."""

    data: Path
    videos: tuple[Path, ...]
    frames: int


@dataclass
class Round:
    """One round: its dataset, and the scores of the trained model. Round 0 is the initial model."""

    number: int
    model: str
    samples: int = 0
    by_steps: dict[str, int] = field(default_factory=dict)
    right: dict[str, float] = field(default_factory=dict)
    """Accuracy on the quiz (0 to 1) for `direct` and `reasoned`, in total and per number of steps."""
    blank: dict[str, float] = field(default_factory=dict)
    """The same from grey pictures, in total."""
    parsing: dict[str, float] = field(default_factory=dict)
    """How well the model parses (0 to 1), per parsing request."""


@dataclass
class Run:
    """All rounds, and the number of the best one; 0 if none beats the initial model."""

    rounds: list[Round]
    best: int

    def table(self) -> str:
        """Format as a plain-text table."""
        names = list(dict.fromkeys(name for r in self.rounds for name in r.right))
        asks = list(dict.fromkeys(name for r in self.rounds for name in r.parsing))
        rows = [
            ("samples", [f"{r.samples}" for r in self.rounds]),
            *((f"right, {n}", [f"{r.right.get(n, math.nan):.3f}" for r in self.rounds]) for n in names),
            *((f"from grey pictures, {n}", [f"{r.blank.get(n, math.nan):.3f}" for r in self.rounds])
              for n in names if any(n in r.blank for r in self.rounds)),
            *((f"parsing, {n}", [f"{r.parsing.get(n, math.nan):.3f}" for r in self.rounds]) for n in asks),
        ]  # fmt: skip
        head = f"{'':28}" + "".join(f"{f'round {r.number}':>12}" for r in self.rounds)
        return "\n".join([head, *(f"{n:28}" + "".join(f"{c:>12}" for c in cs) for n, cs in rows)])


def selftrain(
    videos: list[Path],
    out: Path,
    order: CompileConfig,
    recipe: Recipe,
    rounds: int,
    *,
    fresh: bool = False,
    quiz: Quiz | None = None,
    parsing: ParsingCheck | None = None,
    jobs: int = 1,
    reporter: Reporter = SILENT,
) -> Run:
    """Run `rounds` rounds of self-training, or stop early when held-out accuracy drops.

    Only the model changes between rounds; the rest of the compile config stays the same. With `fresh`, each
    round compiles its own part of the videos. `parsing` says how well a model parses; without it, a
    trained model's replies are compared with the recorded ones, if the recipe records them.

    Raises StepcError if a round cannot be done: B010 without videos, T004 if `out` holds a different run,
    B024 if another process writes to it, or any error of compilation or training.
    """
    with locked(out):
        return _selftrain(videos, out, order, recipe, rounds, fresh, quiz, parsing, jobs, reporter)


def _selftrain(
    videos: list[Path],
    out: Path,
    order: CompileConfig,
    recipe: Recipe,
    rounds: int,
    fresh: bool,
    quiz: Quiz | None,
    parsing: ParsingCheck | None,
    jobs: int,
    reporter: Reporter,
) -> Run:
    places = list(find_videos(videos)[0])
    if not places:
        raise fail("B010", "no videos found", Place(printable(str(videos[0]))))
    bases = name_bases(videos)
    facts = {
        "model": order.choice.name, "pipeline": order.pipeline, "spec": order.spec_text,
        "seed": order.seed, "fresh": fresh and rounds, "recipe": asdict(recipe),
        "videos": [below(path, bases) for path in places],
    }  # fmt: skip
    order = replace(order, places=bases)
    claim(out / "run.json", facts, "T004", "run")
    write_whole(out / "run.json", orjson.dumps(facts, option=orjson.OPT_INDENT_2))
    done = [_first(out, order.choice, quiz, parsing, order.seed, reporter)]
    best = 0
    for number in range(1, rounds + 1):
        folder = out / f"round-{number}"
        file = folder / "round.json"
        if file.exists():
            one = Round(**orjson.loads(read_regular(file)))
        else:
            part = places[number - 1 :: rounds] if fresh else places
            given = replace(order, choice=replace(order.choice, name=done[-1].model))
            reporter.note(f"round {number}: {len(part)} videos with {printable(done[-1].model)}")
            one = _round(number, folder, part, given, recipe, quiz, parsing, jobs, reporter)
            write_whole(file, orjson.dumps(asdict(one), option=orjson.OPT_INDENT_2))
        done.append(one)
        if quiz is None or _score(one) > _score(done[best]):
            best = number
        elif _score(one) < _score(done[-2]):
            reporter.note(f"round {number}: held-out accuracy dropped; stopping")
            break
    return Run(done, best)


def _score(one: Round) -> float:
    """The accuracy by which rounds are compared: the better of the two prompting modes."""
    return max(one.right.get("direct", 0.0), one.right.get("reasoned", 0.0))


def _first(
    out: Path,
    choice: ModelConfig,
    quiz: Quiz | None,
    parsing: ParsingCheck | None,
    seed: int,
    reporter: Reporter,
) -> Round:
    """Evaluate the initial model, or load its scores from an earlier run."""
    file = out / "round-0.json"
    if file.exists():
        return Round(**orjson.loads(read_regular(file)))
    one = Round(0, choice.name)
    _see(one, choice, quiz, parsing, seed, out / "round-0", reporter)
    write_whole(file, orjson.dumps(asdict(one), option=orjson.OPT_INDENT_2))
    return one


def _see(
    one: Round,
    choice: ModelConfig,
    quiz: Quiz | None,
    parsing: ParsingCheck | None,
    seed: int,
    out: Path,
    reporter: Reporter,
) -> None:
    """Evaluate a model on the quiz and on parsing; writes the scores to `one`."""
    for how in HOWS if quiz is not None else ():
        assert quiz is not None
        made = evaluate(
            EvalSettings("world", how, quiz.frames, seed=seed), [quiz.data, *quiz.videos],
            out / f"quiz-{how}", lambda pictures: load(choice, pictures, seed=seed),
            reporter=reporter,
        )  # fmt: skip
        one.right[how] = sound(made.records).value
        grey = [r.blank for r in made.records if r.blank is not None]
        if grey:
            one.blank[how] = sum(grey) / len(grey)
        for n, of in of_groups(made.records).get("steps", {}).items():
            one.right[f"{how}, steps {n}"] = sound(of).value
    if parsing is not None:
        one.parsing = parsing(choice, seed)


def _round(
    number: int,
    folder: Path,
    videos: list[Path],
    order: CompileConfig,
    recipe: Recipe,
    quiz: Quiz | None,
    parsing: ParsingCheck | None,
    jobs: int,
    reporter: Reporter,
) -> Round:
    folder.mkdir(parents=True, exist_ok=True)
    tape = folder / "calls.jsonl" if recipe.parse else None
    recorded = replace(order, choice=replace(order.choice, record=tape))
    summary = compile_corpus(
        videos,
        folder / "data",
        recorded,
        engine=LocalEngine(jobs),
        reporter=reporter,
    )
    if summary.interrupted:
        raise KeyboardInterrupt
    reporter.note(f"round {number}: {summary.samples} samples")
    dataset = load_dataset(folder / "data", videos, recipe.frames, order.places)
    for diagnostic in told(dataset.left_out):
        reporter.diagnostic(diagnostic)
    choice = order.choice
    train(
        dataset,
        choice.name,
        folder / "model",
        recipe,
        local=choice.local,
        templates=choice.templates,
        tape=Cassette(tape) if tape else None,
        lineage={"round": number},
        reporter=reporter,
    )
    one = Round(number, str(folder / "model"), summary.samples)
    one.by_steps = {str(n): c for n, c in sorted(summary.by_steps.items())}
    seen = replace(choice, name=one.model, record=None)
    _see(one, seen, quiz, parsing, order.seed, folder, reporter)
    if parsing is None and tape is not None:
        one.parsing = agreement(seen, dataset, Cassette(tape), CHECKED, order.seed)
    return one
