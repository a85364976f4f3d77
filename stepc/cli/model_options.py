"""Groups of options that several commands share, above all the options that select a model."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Container
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from stepc.cli.app import BUDGET, LOCAL, MODEL, SERVER
from stepc.cli.common import EMBEDDED, two_prices
from stepc.cli.completion import complete_model, complete_templates
from stepc.diagnostics import Place, brief, fail

if TYPE_CHECKING:
    from stepc.model.picture_tokens import PictureSize

MODEL_HELP = (
    "`embedded` (knows only the rendered world), a hub id or folder of a transformers "
    "image-text-to-text model, openai:MODEL on a server, or replay:CASSETTE."
)
BaseUrl = Annotated[
    str | None,
    typer.Option(
        help="Base URL of the OpenAI-compatible server of openai:MODEL, up to /v1. Several are separated by"
        " commas: calls about one keyframe go to one of them.",
        rich_help_panel=SERVER,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        help="Device of a local model: auto, cpu, cuda:1, mps, or spread (over all GPUs).",
        rich_help_panel=LOCAL,
    ),
]
Dtype = Annotated[
    Literal["auto", "float32", "bfloat16", "float16"],
    typer.Option(help="Data type of a local model's weights.", rich_help_panel=LOCAL),
]
TemplateSet = Annotated[
    str | None,
    typer.Option(
        help="Template set: `default`, `compact`, one of a plug-in, or a folder (with a slash)."
        " Default: the set that the model names.",
        autocompletion=complete_templates,
        rich_help_panel=MODEL,
    ),
]
GENERATION_BATCH = "Samples that a local model generates in parallel."


def _choice(  # a table of options
    *,
    model: Annotated[
        str,
        typer.Option(
            "--model", "-m", help=MODEL_HELP, autocompletion=complete_model, rich_help_panel=MODEL
        ),
    ] = EMBEDDED,
    templates: TemplateSet = None,
    together: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Maximum questions per call about the same keyframes; 1 disables batching."
            " Default: the number that the model names.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    show: Annotated[
        Literal["pictures", "video"],
        typer.Option(
            help="Send the keyframes of one clip as pictures or as a video, if the model takes both.",
            rich_help_panel=MODEL,
        ),
    ] = "pictures",
    record: Annotated[
        Path | None,
        typer.Option(
            help="Record all model calls in this file (a cassette).", rich_help_panel=MODEL
        ),
    ] = None,
    redact: Annotated[
        list[str] | None,
        typer.Option(
            help="Remove text that matches this regular expression from the recording and the"
            " dataset. Repeatable.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(help="Append one JSON line per call to this file.", rich_help_panel=MODEL),
    ] = None,
    base_url: BaseUrl = None,
    pictures: Annotated[
        Literal["jpeg", "png"],
        typer.Option(
            help="Image format sent to a server; png is lossless and larger.",
            rich_help_panel=SERVER,
        ),
    ] = "jpeg",
    picture_size: Annotated[
        str,
        typer.Option(
            metavar="PIXELS|full",
            help="Scale pictures for a server down to this many pixels on the longer side; `full` sends"
            " them as they are. `auto` is what suits the model's family.",
            rich_help_panel=SERVER,
        ),
    ] = "auto",
    picture_folder: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="A folder that the server can read, too: pictures are written to it and sent as"
            " `file://` URLs, if the server reads them.",
            rich_help_panel=SERVER,
        ),
    ] = None,
    at_once: Annotated[
        int,
        typer.Option(
            min=1, help="Maximum concurrent requests to a server.", rich_help_panel=SERVER
        ),
    ] = 16,
    reply_tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Maximum tokens of a server's reply, reasoning included. Default: what each request"
            " needs, which is too little for models that reason.",
            rich_help_panel=SERVER,
        ),
    ] = None,
    reasoning_effort: Annotated[
        str | None,
        typer.Option(
            help="Sent to the server as it is: low, medium, high.", rich_help_panel=SERVER
        ),
    ] = None,
    extra_body: Annotated[
        str,
        typer.Option(
            help="JSON object with further fields of each request to a server.",
            rich_help_panel=SERVER,
        ),
    ] = "{}",
    handshake: Annotated[
        bool,
        typer.Option(
            "--handshake/--no-handshake",
            help="Try a server's features before the first call; see `stepc model check`.",
            rich_help_panel=SERVER,
        ),
    ] = True,
    max_requests: Annotated[
        int | None,
        typer.Option(
            min=0, help="Stop after this many requests to a server.", rich_help_panel=BUDGET
        ),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            min=0, help="Stop after this many tokens, sent and received.", rich_help_panel=BUDGET
        ),
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Stop when a server has cost this much; see --price.",
            rich_help_panel=BUDGET,
        ),
    ] = None,
    price: Annotated[
        str,
        typer.Option(
            help="Prices per million tokens sent/received, such as 0.15/0.60.",
            rich_help_panel=BUDGET,
        ),
    ] = "0/0",
    device: Device = "auto",
    dtype: Dtype = "auto",
    attention: Annotated[
        str | None,
        typer.Option(
            help="Attention implementation of a local model: sdpa, eager, flash_attention_2.",
            rich_help_panel=LOCAL,
        ),
    ] = None,
    bits: Annotated[
        int | None,
        typer.Option(
            help="Quantise a local model's weights to 4 or 8 bits.", rich_help_panel=LOCAL
        ),
    ] = None,
    adapter: Annotated[
        str | None,
        typer.Option(
            help="LoRA adapter of a local model: a hub id or a folder.", rich_help_panel=LOCAL
        ),
    ] = None,
    generation_batch: Annotated[
        int | None,
        typer.Option(
            min=1,
            help=f"{GENERATION_BATCH} Default: 64 (embedded model), otherwise 8.",
            rich_help_panel=LOCAL,
        ),
    ] = None,
    remote_code: Annotated[
        bool,
        typer.Option(
            "--remote-code/--no-remote-code",
            help="Allow running code that comes with a hub model.",
            rich_help_panel=LOCAL,
        ),
    ] = False,
) -> Any:
    from stepc.model.load import ModelConfig
    from stepc.model.server_options import ServerOptions
    from stepc.model.transformers import LocalOptions

    return ModelConfig(
        model,
        templates,
        LocalOptions(device, dtype, attention, bits, adapter, generation_batch, remote_code),
        ServerOptions(
            base_url,
            at_once,
            pictures=pictures,
            picture_size=_picture_size(picture_size),
            picture_folder=picture_folder,
            max_requests=max_requests,
            max_tokens=max_tokens,
            max_cost=max_cost,
            prices=two_prices(price),
            reply_tokens=reply_tokens,
            reasoning_effort=reasoning_effort,
            extra_body=_json_object(extra_body),
            handshake=handshake,
        ),
        together,
        show == "video",
        record,
        tuple(redact or ()),
        trace,
    )


def _picture_size(text: str) -> PictureSize:
    """Read --picture-size. Raises StepcError (U001)."""
    if text in ("auto", "full"):
        return cast("PictureSize", text)
    if not text.isdecimal() or not 28 <= int(text) < 10**6:
        help = "for example --picture-size 768, or --picture-size full"
        raise fail(
            "U001", f"`{brief(text)}` is not a number of pixels", Place("--picture-size"), help
        )
    return int(text)


def _json_object(text: str) -> str:
    """Check --extra-body. Raises StepcError (U001)."""
    try:
        made = json.loads(text)
    except ValueError:
        made = None
    if not isinstance(made, dict):
        help = """for example --extra-body '{"top_k": 20}'"""
        raise fail("U001", f"`{brief(text)}` is not a JSON object", Place("--extra-body"), help)
    return text


def giving(
    make: Callable[..., Any],
    name: str,
    *,
    only: Container[str] | None = None,
    but: Container[str] = (),
) -> Callable[..., Callable[..., None]]:
    """Return a decorator that adds the options of `make` to a command.

    The command receives the return value of `make` as its argument `name`. With `only`, the other
    options are not added, and `make` uses their defaults; so it is with the options in `but`. A
    command that has an option of `make` itself would silently shadow it: this is a TypeError,
    unless `but` names the option.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True)
        options = {
            option: p
            for option, p in inspect.signature(make, eval_str=True).parameters.items()
            if option not in but and (only is None or option in only)
        }
        if shadowed := options.keys() & own.parameters.keys():
            raise TypeError(f"options of the command shadow those of {name}: {shadowed}")

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
planning = giving(_choice, "choice", only=("model", "together", "price", "picture_size"))
"""As `choosing`, with the options that affect an estimate: no model is loaded or called."""
checking = giving(_choice, "choice", but=("model",))
"""As `choosing`, for a command that takes the model as an argument."""
training = giving(_choice, "choice", but=("record", "redact"))
"""As `choosing`, for self-training, which records the calls of each round itself."""
