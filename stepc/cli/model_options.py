"""Groups of options that several commands share, above all the options that select a model."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from stepc.cli.common import EMBEDDED, Price, two_prices

MODEL_HELP = (
    "`embedded` (knows only the rendered world), a hub id or folder of a transformers "
    "image-text-to-text model, openai:MODEL on a server, or replay:CASSETTE."
)


def _choice(
    *,
    model: Annotated[str, typer.Option("--model", "-m", help=MODEL_HELP)] = EMBEDDED,
    templates: Annotated[
        str | None,
        typer.Option(
            help="Template set: `default`, `compact`, or a folder (with a slash)."
            " Default: the set that the model names."
        ),
    ] = None,
    together: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Maximum questions per call about the same keyframes; 1 disables batching."
            " Default: the number that the model names.",
        ),
    ] = None,
    show: Annotated[
        Literal["pictures", "video"],
        typer.Option(
            help="Send the keyframes of one clip as pictures or as a video, if the model takes both."
        ),
    ] = "pictures",
    record: Annotated[
        Path | None, typer.Option(help="Record all model calls in this file (a cassette).")
    ] = None,
    redact: Annotated[
        list[str] | None,
        typer.Option(
            help="Remove text that matches this regular expression from the recording and the dataset."
        ),
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Append one JSON line per call to this file.")
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option(help="Base URL of the OpenAI-compatible server of openai:MODEL, up to /v1."),
    ] = None,
    pictures: Annotated[
        Literal["jpeg", "png"],
        typer.Option(help="Image format sent to a server; png is lossless and larger."),
    ] = "jpeg",
    at_once: Annotated[
        int, typer.Option(min=1, help="Maximum concurrent requests to a server.")
    ] = 16,
    max_requests: Annotated[
        int | None, typer.Option(min=0, help="Stop after this many requests to a server.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=0, help="Stop after this many tokens, sent and received.")
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(min=0, help="Stop when a server has cost this much; see --price."),
    ] = None,
    price: Price = "0/0",
    device: Annotated[
        str,
        typer.Option(
            help="Device of a local model: auto, cpu, cuda:1, mps, or spread (over all GPUs)."
        ),
    ] = "auto",
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        typer.Option(help="Data type of a local model's weights."),
    ] = "auto",
    attention: Annotated[
        str | None,
        typer.Option(
            help="Attention implementation of a local model: sdpa, eager, flash_attention_2."
        ),
    ] = None,
    bits: Annotated[
        int | None, typer.Option(help="Quantise a local model's weights to 4 or 8 bits.")
    ] = None,
    adapter: Annotated[
        str | None, typer.Option(help="LoRA adapter of a local model: a hub id or a folder.")
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Samples that a local model generates in parallel."
            " Default: 64 (embedded model), otherwise 8.",
        ),
    ] = None,
    remote_code: Annotated[
        bool, typer.Option("--remote-code", help="Allow running code that comes with a hub model.")
    ] = False,
) -> Any:
    from stepc.model.load import ModelConfig
    from stepc.model.openai_compatible import ServerOptions
    from stepc.model.transformers import LocalOptions

    return ModelConfig(
        model,
        templates,
        LocalOptions(device, dtype, attention, bits, adapter, batch, remote_code),
        ServerOptions(
            base_url,
            at_once,
            pictures=pictures,
            max_requests=max_requests,
            max_tokens=max_tokens,
            max_cost=max_cost,
            prices=two_prices(price),
        ),
        together,
        show == "video",
        record,
        tuple(redact or ()),
        trace,
    )


def giving(make: Callable[..., Any], name: str) -> Callable[..., Callable[..., None]]:
    """Return a decorator that adds the options of `make` to a command.

    The command receives the return value of `make` as its argument `name`. Options for which the
    command has a parameter of the same name are not added.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True)
        options = {
            option: p
            for option, p in inspect.signature(make, eval_str=True).parameters.items()
            if option not in own.parameters
        }

        @functools.wraps(command)
        def run(**given: Any) -> None:
            made = make(**{option: given.pop(option) for option in options})
            command(**{name: made}, **given)

        kept = [p for p in own.parameters.values() if p.name != name]
        every = [p.replace(kind=p.KEYWORD_ONLY) for p in (*kept, *options.values())]
        run.__signature__ = own.replace(parameters=every)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in every}
        return run

    return decorate


choosing = giving(_choice, "choice")
"""Decorator that adds the model options to a command and passes it a ModelConfig as `choice`."""
