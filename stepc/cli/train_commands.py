"""Commands that train a model or prepare training data: train, selftrain, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from stepc.cli.app import IO, LIMITS
from stepc.cli.common import (
    EMBEDDED,
    NoStore,
    Pipeline,
    Replace,
    Seed,
    SpecFile,
    StorePlace,
    app,
    count,
    order_of,
    say,
    store_of,
    terminal,
)
from stepc.cli.completion import complete_export, complete_templates
from stepc.cli.model_options import (
    Device,
    Dtype,
    TemplateSet,
    giving,
    training,
)
from stepc.cli.training_options import (
    HELD_OUT,
    SMALL,
    Accumulate,
    Bf16,
    DatasetPath,
    Frames,
    Lora,
    OwnBatch,
    OwnEpochs,
    OwnFrames,
    OwnRate,
    QuizVideos,
    TrainedModel,
    TrainingArguments,
    Videos,
    more_arguments,
    training_option,
)
from stepc.diagnostics import Place, did_you_mean, fail, printable


def _recipe(  # a table of options
    *,
    weight: Annotated[
        float,
        training_option(
            "--lambda", help="Weight λ of the rationale loss; 0 = answers only.", min=0
        ),
    ] = 1.0,
    mean: Annotated[
        Literal["token", "sample"], training_option(help="Average each loss over these.")
    ] = "token",
    parsing_weight: Annotated[
        float,
        training_option(
            help="Weight of the replay loss that preserves the parsing ability.", min=0
        ),
    ] = 1.0,
    replay: Annotated[
        float,
        training_option(
            help="Replayed parsing calls, as a multiple of the number of samples.", min=0
        ),
    ] = 1.0,
    frames: OwnFrames = None,
    epochs: OwnEpochs = None,
    max_steps: Annotated[
        int, training_option(help="Number of optimizer steps; overrides --epochs when > 0.", min=0)
    ] = 0,
    learning_rate: OwnRate = None,
    batch_size: OwnBatch = None,
    accumulate: Accumulate = 1,
    lora: Lora = 0,
    bf16: Bf16 = False,
    checkpointing: Annotated[
        bool,
        training_option(
            "--checkpointing/--no-checkpointing",
            help="Use gradient checkpointing: less memory, slower.",
        ),
    ] = False,
    save_every: Annotated[
        int, training_option(help="Optimizer steps between checkpoints.", min=1)
    ] = 500,
    training_arguments: TrainingArguments = None,
) -> Any:
    def of(model: str) -> Any:
        """The recipe for a model."""
        from stepc.train.loop import Recipe

        given = {"frames": frames, "epochs": epochs, "rate": learning_rate, "batch": batch_size}
        chosen = {name: value for name, value in given.items() if value is not None}
        return Recipe(
            weight, mean, parsing_weight, replay, steps=max_steps, accumulate=accumulate, lora=lora,
            bf16=bf16, checkpointing=checkpointing, save_every=save_every,
            more=more_arguments(training_arguments), **{**(SMALL if model == EMBEDDED else {}), **chosen},
        )  # fmt: skip

    return of


@app.command(epilog="Example: stepc train out --videos films -o trained --frames 4 --max-steps 2")
@giving(_recipe, "recipe")
def train(
    dataset: DatasetPath,
    videos: Videos,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Output folder of the trained model.", rich_help_panel=IO),
    ],
    recipe: Any,
    model: TrainedModel = EMBEDDED,
    parsing: Annotated[
        Path | None,
        training_option(help="Cassette of `compile --record`, to preserve the parsing ability."),
    ] = None,
    templates: TemplateSet = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    seed: Seed = 0,
) -> None:
    """Train a model on answers and rationales together. The same command resumes a stopped training."""
    from dataclasses import replace

    from stepc.model.cassette import Cassette
    from stepc.model.transformers import LocalOptions
    from stepc.train.loop import first_process
    from stepc.train.loop import train as teach

    if parsing is not None and not parsing.is_file():
        help = "record one: stepc compile … --record FILE"
        raise fail("M002", "the cassette does not exist", Place(printable(str(parsing))), help)
    how = recipe(model)
    made = teach(
        _loaded(dataset, videos, how.frames),
        model,
        out,
        replace(how, seed=seed, parse=how.parse if parsing else 0.0),
        local=LocalOptions(device, dtype),
        templates=templates,
        tape=Cassette(parsing) if parsing else None,
        reporter=terminal(),
    )
    if first_process():
        print(
            f"{count(made.steps, 'step')} on {count(made.samples, 'sample')};"
            f" use the model with --model {printable(str(out))}"
        )


@app.command(
    epilog="Example: stepc selftrain films -o run --rounds 1 --frames 2 --max-steps 1 "
    "--parsing-weight 0 --seed 1"
)
@training
@giving(_recipe, "recipe")
def selftrain(  # a table of options
    videos: Annotated[list[Path], typer.Argument(help="Video files, or folders of them.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Output folder of the run.", rich_help_panel=IO)
    ],
    recipe: Any,
    choice: Any,
    rounds: Annotated[int, training_option(help="Maximum number of rounds.", min=1)] = 2,
    fresh: Annotated[
        bool,
        training_option(
            "--fresh", help="Divide the videos among the rounds, instead of reusing all."
        ),
    ] = False,
    quiz: Annotated[
        Path | None,
        typer.Option(
            help="Dataset of held-out questions; the run stops when fewer are right.",
            rich_help_panel=IO,
        ),
    ] = None,
    quiz_videos: QuizVideos = None,
    spec: SpecFile = None,
    pipeline: Pipeline = None,
    seed: Seed = 0,
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs", "-j", min=1, help="Videos compiled in parallel.", rich_help_panel=LIMITS
        ),
    ] = 1,
    store: StorePlace = None,
    no_store: NoStore = False,
) -> None:
    """Self-train: compile with a model, train it on the result, and repeat with the trained model.

    The embedded model is asked about rendered films that are held out unless there is a --quiz.
    """
    from dataclasses import replace

    from stepc.train.rounds import Quiz
    from stepc.train.rounds import selftrain as go_round

    if quiz is not None and not quiz_videos:
        message = "--quiz requires --quiz-videos"
        raise fail("U001", message, Place("--quiz"), "name them: --quiz-videos FOLDER")
    order = order_of(pipeline, spec, choice, seed, store=store_of(store, no_store))
    from stepc.model.backends import EMBEDDED
    from stepc.world.examination import parsing_accuracy

    parsing = parsing_accuracy if choice.name == EMBEDDED else None
    if quiz is None and choice.name == EMBEDDED:
        from stepc.world.questions import held_out

        quiz, quiz_videos = out / "quiz", [out / "quiz" / "films"]
        held_out(quiz, HELD_OUT)
    how = replace(recipe(choice.name), seed=seed)
    examined = Quiz(quiz, tuple(quiz_videos or ()), how.frames) if quiz else None
    ran = go_round(
        videos, out, order, how, rounds,
        fresh=fresh, quiz=examined, jobs=jobs, parsing=parsing, reporter=terminal(),
    )  # fmt: skip
    print(ran.table())
    if ran.best:
        print(f"best model: --model {printable(str(out / f'round-{ran.best}' / 'model'))}")
    else:
        print("no round improved the model")


def _loaded(dataset: Path, videos: list[Path], frames: int) -> Any:
    """Load a dataset and report the skipped samples. Raises StepcError (T001, T003)."""
    from stepc.dataset.read import load_dataset, told

    loaded = load_dataset(dataset, videos, frames)
    for diagnostic in told(loaded.left_out):
        say(diagnostic)
    return loaded


@app.command(epilog="Example: stepc export out --videos films --to hf -o shared")
def export(
    dataset: DatasetPath,
    videos: Videos,
    to: Annotated[
        str,
        typer.Option(
            help="Target: trl, llamafactory, ms-swift, ms-swift-grounded, ms-swift-dpo, llava, video-r1,"
            " turns, tool-calls, hf, dpo, grpo, verl, easyr1, lmms-eval, or a plug-in's.",
            autocompletion=complete_export,
            rich_help_panel=IO,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Output folder.", rich_help_panel=IO)],
    thought: Annotated[
        Literal["apart", "block"],
        typer.Option(
            help="Two conversations per sample, or one with a thinking block.", rich_help_panel=IO
        ),
    ] = "apart",
    media: Annotated[
        Literal["link", "copy", "frames", "absolute"],
        typer.Option(
            help="Videos in the folder as links or copies, their frames, or absolute paths of the files.",
            rich_help_panel=IO,
        ),
    ] = "link",
    frames: Frames = 8,
    templates: Annotated[
        str,
        typer.Option(
            help="Template set: `default`, `compact`, one of a plug-in, or a folder (with a slash).",
            autocompletion=complete_templates,
            rich_help_panel=IO,
        ),
    ] = "default",
    replace: Replace = False,
) -> None:
    """Export a dataset in the format of another trainer."""
    from stepc.dataset.read import told
    from stepc.model.templates import Templates
    from stepc.train.export import EXPORTS
    from stepc.train.export import export as write

    if to not in EXPORTS:
        help = did_you_mean(to, EXPORTS.names())
        raise fail("U001", f"unknown export format `{to}`", Place("--to"), help)
    loaded = _loaded(dataset, videos, frames)
    written = write(loaded, to, out, Templates(templates), thought, replace, media)
    for diagnostic in told(written.left_out):
        say(diagnostic)
    print(f"{count(len(written.samples), 'sample')} for {to} in {printable(str(out))}")
