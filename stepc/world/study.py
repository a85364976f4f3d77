"""Studies that reproduce the paper's trainings: controls, ablations, figure 6 and rounds.

An arm of a study is a model. All arms of a seed start from the same model and answer the same held-out
questions. Questions whose text occurs in the training data of any arm are excluded.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from stepc.dataset.read import read_samples
from stepc.diagnostics import fail
from stepc.eval.records import HOWS
from stepc.eval.tables import sentences
from stepc.grading.reward import words
from stepc.model.backends import EMBEDDED
from stepc.passmanager.pipeline_text import DEFAULT
from stepc.reporter import SILENT, Reporter
from stepc.runtime.atomic_files import write_whole
from stepc.train.loop import Recipe
from stepc.world.artifacts import (
    Compiled,
    DataArtifact,
    Examined,
    Films,
    GivenArtifact,
    Lab,
    Model,
    Questions,
    RenderedVideos,
    SampledPart,
    Start,
    TrainedArtifact,
    all_of,
    make_all,
)
from stepc.world.outcome import RATIONALE, STEPS, Cell, Outcome
from stepc.world.questions import EXAM, HELD_OUT
from stepc.world.rewarded import RewardedArtifact

TRAIN = 10_000
"""First film seed of the training."""
ABLATED = {
    "splitting": {"split": "split-uniform", "keyframes": "keyframes-uniform"},
    "parsing": {"parse": "parse-oneshot"},
    "merging": {"merge": "lift"},
    "bridging": {"bridge": "bridge-none"},
}
"""Replacement passes for each ablation of table 4."""
LAMBDAS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
MIXES = {
    "only 1 step": "1",
    "mostly 1 step": "1: 2/3, 2: 1/6, 3: 1/6",
    "balanced": "1: 1/3, 2: 1/3, 3: 1/3",
    "mostly 3 steps": "1: 1/6, 2: 1/6, 3: 2/3",
    "only 3 steps": "3",
}
"""Mixtures of the number of steps in the sweep of figure 6b."""


PER_FILM = 10
"""Samples per film in each arm of the study of filters."""


def spec(count: int = 18, steps: str = "1: 1/3, 2: 1/3, 3: 1/3", far: bool = False) -> str:
    """The paper's spec with `count` questions per video and the given mixture of steps.

    `far`: the facts of longer questions are seen in several clips.
    """
    more = "  evidence 2.. clips\n" if far else ""
    return (
        'spec study "a study\'s questions"\nimport step\n'
        f"override paths {{\n  count {count} per video\n  steps {steps}\n{more}}}\n"
    )


def ablated(operation: str) -> str:
    """The default pipeline without one operation of STSG induction, a key of `ABLATED`."""
    return ",".join(ABLATED[operation].get(p, p) for p in DEFAULT.split(","))


@dataclass(frozen=True)
class Setup:
    """Inputs of a study. Without videos, it uses films of the rendered world, which have ground truth."""

    model: str = EMBEDDED
    recipe: Recipe = field(default_factory=Recipe)
    films: int = 30
    """Number of rendered films to train on; different films for each seed."""
    quiz_films: int = 36
    """Number of rendered films in the quiz; the same for all arms and seeds."""
    teacher: str | None = None
    """The model that makes the data of *Distillation*; None uses the ground-truth graphs."""
    videos: tuple[str, ...] = ()
    annotated: str | None = None
    """A dataset of questions and answers about `videos`, for *Instruct*."""
    initial: str | None = None
    """A dataset for the initial instruction tuning."""
    quiz: str | None = None
    """A dataset of held-out questions; None asks about rendered films."""
    quiz_videos: tuple[str, ...] = ()

    def trained_on(self, seed: int) -> Films | RenderedVideos:
        """The training videos of a seed."""
        return RenderedVideos(self.videos) if self.videos else Films(self.films, TRAIN + seed)

    def asked(self) -> DataArtifact:
        if self.quiz is not None:
            return GivenArtifact(self.quiz, RenderedVideos(self.quiz_videos))
        return Questions(
            Films(self.quiz_films, HELD_OUT), spec(40, "1: 1/4, 2: 1/4, 3: 1/2"), 0, EXAM
        )

    def base(self, seed: int) -> Model:
        """The model that all arms start from, tuned on answers to simple questions (VideoChat2*).

        The embedded model has learnt to answer questions with one step together with parsing.
        """
        given = Start(self.model)
        if self.initial is None:
            return given
        initial = GivenArtifact(self.initial, RenderedVideos(self.videos))
        return TrainedArtifact(given, initial, replace(self.recipe, weight=0.0, seed=seed))

    def step(
        self, seed: int, on: Model, recipe: Recipe, data: DataArtifact | None = None
    ) -> TrainedArtifact:
        """One round of self-training; `data` replaces the model's own dataset if given."""
        own = Compiled(self.trained_on(seed), on, DEFAULT, spec(), seed)
        return TrainedArtifact(on, data or own, replace(recipe, seed=seed, parse=1.0), own)


def controls(setup: Setup, seed: int) -> dict[str, Model]:
    """Tables 1 and 2: base, *Instruct* (answers only, twice as many questions), *Distillation*, STEP."""
    base, videos = setup.base(seed), setup.trained_on(seed)
    recipe = replace(setup.recipe, seed=seed)
    annotated: DataArtifact
    taught: DataArtifact
    if isinstance(videos, Films):
        annotated = Questions(videos, spec(36), seed)
        taught = Questions(videos, spec(), seed)
    elif setup.annotated is not None:
        annotated = GivenArtifact(setup.annotated, videos)
    if setup.teacher is not None:
        taught = Compiled(videos, Start(setup.teacher), DEFAULT, spec(), seed)
    once = setup.step(seed, base, recipe)
    alone = replace(recipe, weight=0.0)
    arms: dict[str, Model] = {"base": base}
    if base != Start(setup.model):
        arms = {"as given": Start(setup.model), **arms}
    if isinstance(videos, Films):
        arms["Instruct, 1 step"] = TrainedArtifact(
            base, Questions(videos, spec(36, "1"), seed), alone
        )
    return arms | {
        "Instruct": TrainedArtifact(base, annotated, alone),
        "Distillation": TrainedArtifact(base, taught, recipe),
        "STEP, 1 round": once,
        "STEP": setup.step(seed, once, recipe),
    }


def ablations(setup: Setup, seed: int) -> dict[str, Model]:
    """Table 4: STEP without one operation of STSG induction. One round each."""
    base, videos = setup.base(seed), setup.trained_on(seed)
    own = Compiled(videos, base, DEFAULT, spec(), seed)
    arms: dict[str, Model] = {"STEP": setup.step(seed, base, setup.recipe)}
    for name in ABLATED:
        data = Compiled(videos, base, ablated(name), spec(), seed, own)
        arms[f"w/o {name}"] = setup.step(seed, base, setup.recipe, data)
    return arms


def lambdas(setup: Setup, seed: int) -> dict[str, Model]:
    """Figure 6a: the weight λ of the rationale loss. One round each."""
    base = setup.base(seed)
    return {
        f"λ = {weight:g}": setup.step(seed, base, replace(setup.recipe, weight=weight))
        for weight in LAMBDAS
    }


def mixes(setup: Setup, seed: int) -> dict[str, Model]:
    """Figure 6b: the number of steps of the training questions. One round each."""
    base, videos = setup.base(seed), setup.trained_on(seed)
    own = Compiled(videos, base, DEFAULT, spec(), seed)
    return {
        name: setup.step(
            seed,
            base,
            setup.recipe,
            own
            if name == "balanced"
            else Compiled(videos, base, DEFAULT, spec(18, mix), seed, own),
        )
        for name, mix in MIXES.items()
    }


def rounds(setup: Setup, seed: int) -> dict[str, Model]:
    """Ablates a round of STEP: the quality of graphs, replayed parsing, training length, a second round."""
    base, videos = setup.base(seed), setup.trained_on(seed)
    recipe = replace(setup.recipe, seed=seed)
    once = setup.step(seed, base, recipe)
    again = replace(once, on=once)
    arms: dict[str, Model] = {"1 round": once, "no parsing": replace(once, replay=None)}
    if isinstance(videos, Films):
        true = Questions(videos, spec(), seed)
        arms["true graphs"] = setup.step(seed, base, recipe, true)
        arms["true graphs, no parsing"] = TrainedArtifact(base, true, recipe)
    arms["twice as long"] = setup.step(seed, base, replace(recipe, epochs=2 * recipe.epochs))
    return arms | {"trained again": again, "2 rounds": setup.step(seed, once, recipe)}


FILTERS = {
    "unfiltered": "dedupe,emit",
    "balanced": "dedupe,balance(steps=0,answer=0.25,least=40),emit",
    "blind": EXAM.replace(",pairs", ""),
}
"""Link passes by which the data of arms are filtered."""


def filters(setup: Setup, seed: int) -> dict[str, Model]:
    """Whether filtered data teach more than as many unfiltered ones. From true graphs, one training each."""
    base, videos = setup.base(seed), setup.trained_on(seed)
    recipe = replace(setup.recipe, seed=seed)
    arms: dict[str, Model] = {"base": base}
    if not isinstance(videos, Films):
        raise fail("U001", "this study needs rendered films", None, "omit --videos")
    for name, links in FILTERS.items():
        whole = Questions(videos, spec(48), seed, links)
        arms[name] = TrainedArtifact(
            base, SampledPart(whole, PER_FILM * videos.number, seed), recipe
        )
    far = Questions(videos, spec(48, far=True), seed, FILTERS["blind"])
    arms["blind, several clips"] = TrainedArtifact(
        base, SampledPart(far, PER_FILM * videos.number, seed), recipe
    )
    return arms


def targets(setup: Setup, seed: int) -> dict[str, Model]:
    """What to train on: answers, rationales, or the model's own rationales that rewards rank highest."""
    base, videos = setup.base(seed), setup.trained_on(seed)
    if not isinstance(videos, Films):
        raise fail("U001", "this study needs rendered films", None, "omit --videos")
    recipe = replace(setup.recipe, seed=seed)
    true = Questions(videos, spec(), seed)
    taught = TrainedArtifact(base, true, recipe)
    rewarded = RewardedArtifact(true, taught, recipe.frames, seed)
    return {
        "answers": TrainedArtifact(base, true, replace(recipe, weight=0.0)),
        "rationales": taught,
        "rationales, twice": replace(taught, on=taught),
        "rationales, then rewarded": TrainedArtifact(taught, rewarded, recipe),
    }


STUDIES: dict[str, tuple[Callable[[Setup, int], dict[str, Model]], str]] = {
    "controls": (controls, "Instruct"),
    "ablations": (ablations, "STEP"),
    "lambda": (lambdas, "λ = 1"),
    "steps": (mixes, "balanced"),
    "rounds": (rounds, "1 round"),
    "filters": (filters, "unfiltered"),
    "targets": (targets, "rationales, twice"),
}
"""Studies by name: the function that returns the arms of a seed, and the arm to compare with."""


def study(
    name: str,
    setup: Setup,
    seeds: int,
    lab: Lab,
    *,
    first: int = 0,
    jobs: int = 1,
    reporter: Reporter = SILENT,
) -> Outcome:
    """Run a study with `seeds` seeds from `first` on: make all missing artifacts and summarise the results.

    Writes `NAME.md` and `NAME.json` to the lab's folder. Raises StepcError (U001) if real videos are given
    without the other inputs that the study needs.
    """
    _enough(name, setup)
    make, _ = STUDIES[name]
    arms = [make(setup, seed) for seed in range(first, first + seeds)]
    exams = [
        {arm: Examined(model, setup.asked(), setup.recipe.frames) for arm, model in of.items()}
        for of in arms
    ]
    make_all([e for of in exams for e in of.values()], lab, jobs, reporter)
    made = _outcome(name, setup, lab, arms, exams)
    write_whole(lab.root / f"{name}.md", made.markdown().encode())
    write_whole(lab.root / f"{name}.json", made.json())
    return made


def _enough(name: str, setup: Setup) -> None:
    """Raise StepcError (U001) if inputs for real videos are missing."""
    if not setup.videos:
        return
    wanted = {"--quiz": setup.quiz, "--quiz-videos": setup.quiz_videos}
    if name == "controls":
        wanted |= {"--annotated": setup.annotated, "--teacher": setup.teacher}
    missing = [option for option, value in wanted.items() if not value]
    if missing:
        help = "omit --videos to run the study on the rendered world"
        raise fail("U001", f"with real videos this study needs {' and '.join(missing)}", None, help)


def _outcome(
    name: str,
    setup: Setup,
    lab: Lab,
    arms: Sequence[dict[str, Model]],
    exams: Sequence[dict[str, Examined]],
) -> Outcome:
    cells: dict[tuple[str, str, int | None], list[float]] = {}
    blank: dict[tuple[str, str, int | None], list[float]] = {}
    guessed: dict[tuple[str, int | None], list[float]] = {}
    samples: dict[str, list[float]] = {}
    graphs: dict[str, dict[str, list[float]]] = {}
    asked: dict[int | None, list[float]] = {}
    quiz = setup.asked()
    there = lab.known(quiz) is not None
    questions = {s.id: words(s.question) for s in read_samples(quiz.place(lab))[0]} if there else {}
    for of, examined in zip(arms, exams, strict=True):
        seen = _learnt(lab, of.values())
        new = {id for id, question in questions.items() if question not in seen}
        for arm, model in of.items():
            exam = examined[arm]
            records = exam.records(lab) if lab.known(exam) is not None else {}
            for how in HOWS:
                counted = [r for r in records.get(how, ()) if r.id in new]
                for n in STEPS:
                    those = [r for r in counted if n in (None, min(r.steps, 3))]
                    right = [bool(r.right) for r in those]
                    cells.setdefault((arm, how, n), []).append(_share(right))
                    blank.setdefault((arm, how, n), []).append(_share([r.blank for r in those]))
                    if how == HOWS[0] and right and arm == next(iter(of)):
                        asked.setdefault(n, []).append(len(right))
                        for guess in ("majority", "text"):
                            told = _share([getattr(r, guess) for r in those])
                            guessed.setdefault((guess, n), []).append(told)
                if how == "reasoned":
                    cells.setdefault((arm, RATIONALE, None), []).append(sentences(counted))
            data = model.data if isinstance(model, TrainedArtifact) else None
            known = (lab.known(data) or {}) if data is not None else {}
            samples.setdefault(arm, []).append(known.get("samples", 0))
            for kind, value in known.get("graph", {}).items():
                graphs.setdefault(arm, {}).setdefault(kind, []).append(value)
    return Outcome(
        name,
        STUDIES[name][1],
        len(arms),
        {key: Cell(values) for key, values in cells.items()},
        {arm: Cell(values) for arm, values in samples.items()},
        {arm: {k: Cell(v) for k, v in kinds.items()} for arm, kinds in graphs.items()},
        {n: Cell(asked.get(n, [0])) for n in STEPS},
        {key: Cell(values) for key, values in blank.items()},
        {key: Cell(values) for key, values in guessed.items()},
    )


def _share(right: Sequence[bool | None]) -> float:
    """The share of right answers among those that are known; NaN if none is."""
    known = [bool(r) for r in right if r is not None]
    return statistics.fmean(known) if known else math.nan


def _learnt(lab: Lab, models: Any) -> set[tuple[str, ...]]:
    """The questions that any of these models was trained on, as words."""
    return {
        words(sample.question)
        for thing in all_of(models)
        if isinstance(thing, TrainedArtifact) and lab.known(thing.data) is not None
        for sample in read_samples(thing.data.place(lab))[0]
    }
