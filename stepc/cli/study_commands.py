"""Commands of the rendered world's experiments: study, world ask."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from stepc.cli.app import IO, LIMITS, LOCAL, PIPELINE, STUDY
from stepc.cli.common import EMBEDDED, Seed, SpecFile, app, count, spec_of, terminal, world
from stepc.cli.model_options import (
    GENERATION_BATCH,
    BaseUrl,
    Device,
    giving,
)
from stepc.cli.training_options import (
    Accumulate,
    BatchSize,
    Bf16,
    Epochs,
    Frames,
    LearningRate,
    Lora,
    QuizVideos,
    TrainedModel,
    TrainingArguments,
    more_arguments,
)
from stepc.diagnostics import printable


def _lab_recipe(
    *,
    frames: Frames = 4,
    epochs: Epochs = 3.0,
    learning_rate: LearningRate = 5e-4,
    batch_size: BatchSize = 8,
    accumulate: Accumulate = 1,
    lora: Lora = 0,
    bf16: Bf16 = False,
    training_arguments: TrainingArguments = None,
) -> Any:
    from stepc.train.loop import Recipe

    return Recipe(frames=frames, epochs=epochs, rate=learning_rate, batch=batch_size, accumulate=accumulate,
                  lora=lora, bf16=bf16, more=more_arguments(training_arguments))  # fmt: skip


def _study(help: str, **limits: Any) -> Any:
    return typer.Option(help=help, rich_help_panel=STUDY, **limits)


@app.command(
    epilog="Example: stepc study controls -o lab --seeds 1 --train-films 1 --quiz-films 1 --epochs 0.01 "
    "--no-plot"
)
@giving(_lab_recipe, "recipe")
def study(  # a table of options
    name: Annotated[
        Literal["controls", "ablations", "lambda", "steps", "rounds", "filters", "targets"],
        typer.Argument(
            help="controls: tables 1 and 2 of the paper; ablations: table 4; lambda: figure 6a; "
            "steps: figure 6b; rounds: what each part of a STEP round contributes; filters: whether data "
            "that text does not give away teach more than as many others; targets: answers, rationales, "
            "and rationales that rewards rank highest."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="Output folder; studies in it share results.", rich_help_panel=IO
        ),
    ],
    recipe: Any,
    model: TrainedModel = EMBEDDED,
    seeds: Annotated[int, _study(help="Repetitions, each with different films.", min=1)] = 5,
    first_seed: Annotated[
        int, _study(help="First of the seeds: a study can be made in parts.", min=0)
    ] = 0,
    train_films: Annotated[int, _study(help="Rendered training films per seed.", min=1)] = 30,
    quiz_films: Annotated[int, _study(help="Rendered films for held-out questions.", min=1)] = 36,
    teacher: Annotated[
        str | None,
        _study(help="Model that makes the data of Distillation; default: the true graphs."),
    ] = None,
    videos: Annotated[
        list[Path] | None,
        typer.Option(
            help="Video files to train on, or folders of them, instead of rendered films. Repeatable.",
            rich_help_panel=IO,
        ),
    ] = None,
    annotated: Annotated[
        Path | None, _study(help="Dataset about these videos, for Instruct.")
    ] = None,
    initial: Annotated[
        Path | None, _study(help="Dataset about these videos, for the initial instruction tuning.")
    ] = None,
    quiz: Annotated[
        Path | None, typer.Option(help="Dataset of held-out questions.", rich_help_panel=IO)
    ] = None,
    quiz_videos: QuizVideos = None,
    base_url: BaseUrl = None,
    device: Device = "auto",
    generation_batch: Annotated[
        int, typer.Option(min=1, help=GENERATION_BATCH, rich_help_panel=LOCAL)
    ] = 64,
    no_plot: Annotated[
        bool, typer.Option("--no-plot", help="Do not write NAME.svg.", rich_help_panel=IO)
    ] = False,
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs", "-j", min=1, help="Trainings run in parallel.", rich_help_panel=LIMITS
        ),
    ] = 1,
) -> None:
    """Train the paper's models side by side and print its table. The same command resumes a study."""
    from stepc.model.server_options import ServerOptions
    from stepc.model.transformers import LocalOptions
    from stepc.world.artifacts import Lab
    from stepc.world.study import Setup
    from stepc.world.study import study as make

    setup = Setup(
        model,
        recipe,
        train_films,
        quiz_films,
        teacher,
        videos=_absolute(videos),
        annotated=_one(annotated),
        initial=_one(initial),
        quiz=_one(quiz),
        quiz_videos=_absolute(quiz_videos),
    )
    lab = Lab(out, LocalOptions(device, batch=generation_batch), ServerOptions(base_url))
    made = make(name, setup, seeds, lab, first=first_seed, jobs=jobs, reporter=terminal())
    print(made.markdown(), end="")
    if not no_plot:
        made.plot(out / f"{name}.svg")


def _absolute(paths: list[Path] | None) -> tuple[str, ...]:
    return tuple(str(p.resolve()) for p in paths or ())


def _one(path: Path | None) -> str | None:
    return None if path is None else str(path.resolve())


@world.command(epilog="Example: stepc world ask films -o quiz --seed 3")
def ask(
    films: Annotated[Path, typer.Argument(help="A folder written by `stepc world render`.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Output folder of the dataset.", rich_help_panel=IO)
    ],
    spec: SpecFile = None,
    exam: Annotated[
        bool,
        typer.Option(
            "--exam",
            help="Keep only questions whose answers neither their texts nor the commonest answers tell.",
            rich_help_panel=PIPELINE,
        ),
    ] = False,
    seed: Seed = 0,
) -> None:
    """Make a dataset from the true graphs of films, as an error-free teacher would."""
    from stepc.world.questions import EXAM, true_questions

    made = true_questions(films, out, spec_of(spec), seed, EXAM if exam else "")
    shown = ", ".join(f"{c} with {count(n, 'step')}" for n, c in sorted(made.by_steps.items()))
    print(f"{count(made.samples, 'sample')} ({shown}) in {printable(str(out / 'qra.jsonl'))}")
