"""Commands that train a model or prepare training data: train, selftrain, study, export, world ask."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import typer

from stepc.cli.app import IO, LIMITS, LOCAL, MODEL, PIPELINE, STUDY, TRAINING
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
    spec_of,
    store_of,
    terminal,
    world,
)
from stepc.cli.completion import complete_export, complete_model, complete_templates
from stepc.cli.model_options import (
    GENERATION_BATCH,
    BaseUrl,
    Device,
    Dtype,
    TemplateSet,
    giving,
    training,
)
from stepc.diagnostics import Place, did_you_mean, fail, printable
from stepc.runtime.atomic_files import read_regular

DatasetPath = Annotated[
    Path, typer.Argument(help="A dataset of `stepc compile`: its folder, or a file like qra.jsonl.")
]
Videos = Annotated[
    list[Path],
    typer.Option(
        help="Video files of the questions, or folders of them. Repeatable.", rich_help_panel=IO
    ),
]
TrainedModel = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="The model to train: a hub id, a folder, or `embedded`.",
        autocompletion=complete_model,
        rich_help_panel=MODEL,
    ),
]
QuizVideos = Annotated[
    list[Path] | None,
    typer.Option(help="Video files of the quiz, or folders of them.", rich_help_panel=IO),
]


def _training(*names: str, help: str, **limits: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=TRAINING, **limits)


Frames = Annotated[int, _training(help="Frames shown per video.", min=1)]
Epochs = Annotated[float, _training(help="Passes over all samples.", min=0)]
LearningRate = Annotated[float, _training(help="Peak learning rate.", min=0)]
BatchSize = Annotated[int, _training(help="Samples per device and batch.", min=1)]
Accumulate = Annotated[int, _training(help="Batches per optimizer step.", min=1)]
Lora = Annotated[int, _training(help="Rank of a LoRA adapter; 0 = all weights.", min=0)]
Bf16 = Annotated[bool, _training("--bf16/--no-bf16", help="Compute in bfloat16.")]
TrainingArguments = Annotated[
    Path | None, _training(help="JSON file of more transformers.TrainingArguments.")
]


def _recipe(  # a table of options
    *,
    weight: Annotated[
        float,
        _training("--lambda", help="Weight λ of the rationale loss; 0 = answers only.", min=0),
    ] = 1.0,
    mean: Annotated[
        Literal["token", "sample"], _training(help="Average each loss over these.")
    ] = "token",
    parsing_weight: Annotated[
        float,
        _training(help="Weight of the replay loss that preserves the parsing ability.", min=0),
    ] = 1.0,
    replay: Annotated[
        float,
        _training(help="Replayed parsing calls, as a multiple of the number of samples.", min=0),
    ] = 1.0,
    frames: Frames = 8,
    epochs: Epochs = 1.0,
    max_steps: Annotated[
        int, _training(help="Number of optimizer steps; overrides --epochs when > 0.", min=0)
    ] = 0,
    learning_rate: LearningRate = 2e-5,
    batch_size: BatchSize = 4,
    accumulate: Accumulate = 1,
    lora: Lora = 0,
    bf16: Bf16 = False,
    checkpointing: Annotated[
        bool,
        _training(
            "--checkpointing/--no-checkpointing",
            help="Use gradient checkpointing: less memory, slower.",
        ),
    ] = False,
    save_every: Annotated[int, _training(help="Optimizer steps between checkpoints.", min=1)] = 500,
    training_arguments: TrainingArguments = None,
) -> Any:
    from stepc.train.loop import Recipe

    return Recipe(
        weight, mean, parsing_weight, replay, frames, epochs, max_steps, learning_rate,
        batch=batch_size, accumulate=accumulate, lora=lora, bf16=bf16, checkpointing=checkpointing,
        save_every=save_every, more=_more(training_arguments),
    )  # fmt: skip


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
        _training(help="Cassette of `compile --record`, to preserve the parsing ability."),
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
    made = teach(
        _loaded(dataset, videos, recipe.frames),
        model,
        out,
        replace(recipe, seed=seed, parse=recipe.parse if parsing else 0.0),
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
def selftrain(
    videos: Annotated[list[Path], typer.Argument(help="Video files, or folders of them.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Output folder of the run.", rich_help_panel=IO)
    ],
    recipe: Any,
    choice: Any,
    rounds: Annotated[int, _training(help="Maximum number of rounds.", min=1)] = 2,
    fresh: Annotated[
        bool,
        _training("--fresh", help="Divide the videos among the rounds, instead of reusing all."),
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
    """Self-train: compile with a model, train it on the result, and repeat with the trained model."""
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
    examined = Quiz(quiz, tuple(quiz_videos or ()), recipe.frames) if quiz else None
    ran = go_round(
        videos, out, order, replace(recipe, seed=seed), rounds,
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


def _more(config: Path | None) -> tuple[tuple[str, Any], ...]:
    """Read training arguments from a JSON file. Raises StepcError (T006)."""
    if config is None:
        return ()
    try:
        data = orjson.loads(read_regular(config))
        if not isinstance(data, dict):
            raise ValueError("not a JSON object")
    except (OSError, ValueError) as error:
        help = 'such as {"report_to": "tensorboard", "fsdp": "full_shard"}'
        place = Place(printable(str(config)))
        raise fail("T006", f"cannot be read as training arguments: {error}", place, help) from None
    return tuple(data.items())


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
                  lora=lora, bf16=bf16, more=_more(training_arguments))  # fmt: skip


def _study(help: str, **limits: Any) -> Any:
    return typer.Option(help=help, rich_help_panel=STUDY, **limits)


@app.command(
    epilog="Example: stepc study controls -o lab --seeds 1 --train-films 1 --quiz-films 1 --epochs 0.01 "
    "--no-plot"
)
@giving(_lab_recipe, "recipe")
def study(  # a table of options
    name: Annotated[
        Literal["controls", "ablations", "lambda", "steps", "rounds"],
        typer.Argument(
            help="controls: tables 1 and 2 of the paper; ablations: table 4; lambda: figure 6a; "
            "steps: figure 6b; rounds: what each part of a STEP round contributes."
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
    train_films: Annotated[int, _study(help="Rendered training films per seed.", min=1)] = 30,
    quiz_films: Annotated[int, _study(help="Rendered films for held-out questions.", min=1)] = 60,
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
    made = make(name, setup, seeds, lab, jobs=jobs, reporter=terminal())
    print(made.markdown(), end="")
    if not no_plot:
        made.plot(out / f"{name}.svg")


def _absolute(paths: list[Path] | None) -> tuple[str, ...]:
    return tuple(str(p.resolve()) for p in paths or ())


def _one(path: Path | None) -> str | None:
    return None if path is None else str(path.resolve())


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
