"""Lists of options that several commands have: those by which a model is chosen."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from stepc.cli.common import EMBEDDED, Price, two_prices

MODEL_HELP = (
    "`embedded` (knows the rendered world and nothing else), a hub id or folder of a "
    "transformers image-text-to-text model, openai:MODEL behind a server, or replay:CASSETTE."
)


def _choice(
    *,
    model: Annotated[str, typer.Option("--model", "-m", help=MODEL_HELP)] = EMBEDDED,
    templates: Annotated[
        str | None, typer.Option(help="`default`, `compact`, or a folder (with a slash).")
    ] = None,
    together: Annotated[
        int | None,
        typer.Option(min=1, help="Most questions about the same keyframes in one call; 1: none."),
    ] = None,
    show: Annotated[
        Literal["pictures", "video"],
        typer.Option(help="How keyframes of one clip are shown, where the model takes both."),
    ] = "pictures",
    record: Annotated[Path | None, typer.Option(help="Keep all model calls in this file.")] = None,
    redact: Annotated[
        list[str] | None,
        typer.Option(help="Keep what matches this pattern out of it, and of the dataset."),
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Append a JSON line for each call to this file.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="The OpenAI-compatible server of openai:MODEL, up to /v1.")
    ] = None,
    pictures: Annotated[
        Literal["jpeg", "png"], typer.Option(help="How a server gets pictures.")
    ] = "jpeg",
    at_once: Annotated[
        int, typer.Option(min=1, help="Calls that wait for a server at one time.")
    ] = 16,
    max_requests: Annotated[
        int | None, typer.Option(min=0, help="Ask a server no more often.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(min=0, help="Stop at so many tokens.")] = None,
    max_cost: Annotated[
        float | None, typer.Option(min=0, help="Stop at this cost; see --price.")
    ] = None,
    price: Price = "0/0",
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda:1, mps; spread: over all GPUs.")
    ] = "auto",
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        typer.Option(help="Of a local model's weights."),
    ] = "auto",
    attention: Annotated[
        str | None, typer.Option(help="attn_implementation: sdpa, eager, flash_attention_2.")
    ] = None,
    bits: Annotated[
        int | None, typer.Option(help="4 or 8: a local model's weights in so many bits.")
    ] = None,
    adapter: Annotated[str | None, typer.Option(help="A LoRA adapter of a local model.")] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Samples that a local model makes at one time.")
    ] = None,
    remote_code: Annotated[
        bool, typer.Option("--remote-code", help="Run code that comes with a hub's model.")
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
    """A decorator that gives a command the options of `make`; it gets what that makes as `name`.

    What it has an argument for itself is not an option again.
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
"""Gives a command the options of a model."""
