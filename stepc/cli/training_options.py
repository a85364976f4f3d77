"""Options of the commands that train models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from stepc.cli.app import IO, MODEL, TRAINING
from stepc.cli.completion import complete_model
from stepc.diagnostics import Place, fail, printable
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


def training_option(*names: str, help: str, **limits: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=TRAINING, **limits)


HELD_OUT = 12
"""Number of rendered films about which the embedded model is asked during self-training."""
SMALL: dict[str, Any] = {"frames": 4, "epochs": 3.0, "rate": 5e-4, "batch": 8}
"""What fits the embedded model, which has 2.6 million parameters."""
Frames = Annotated[int, training_option(help="Frames shown per video.", min=1)]
Epochs = Annotated[float, training_option(help="Passes over all samples.", min=0)]
LearningRate = Annotated[float, training_option(help="Peak learning rate.", min=0)]
BatchSize = Annotated[int, training_option(help="Samples per device and batch.", min=1)]
OwnFrames = Annotated[
    int | None,
    training_option(
        "--frames", help="Frames shown per video.", min=1, show_default="8; embedded model: 4"
    ),
]
OwnEpochs = Annotated[
    float | None,
    training_option(
        "--epochs", help="Passes over all samples.", min=0, show_default="1; embedded model: 3"
    ),
]
OwnRate = Annotated[
    float | None,
    training_option(
        "--learning-rate",
        help="Peak learning rate.",
        min=0,
        show_default="2e-5; embedded model: 5e-4",
    ),
]
OwnBatch = Annotated[
    int | None,
    training_option(
        "--batch-size",
        help="Samples per device and batch.",
        min=1,
        show_default="4; embedded model: 8",
    ),
]
Accumulate = Annotated[int, training_option(help="Batches per optimizer step.", min=1)]
Lora = Annotated[int, training_option(help="Rank of a LoRA adapter; 0 = all weights.", min=0)]
Bf16 = Annotated[bool, training_option("--bf16/--no-bf16", help="Compute in bfloat16.")]
TrainingArguments = Annotated[
    Path | None, training_option(help="JSON file of more transformers.TrainingArguments.")
]


def more_arguments(config: Path | None) -> tuple[tuple[str, Any], ...]:
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
