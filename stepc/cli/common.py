"""Shared by all commands: common options, printing of diagnostics, and reading of units and specs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Annotated, Any

import typer

from stepc.cli.app import IO, PIPELINE, REPORTING, STORE, App, log
from stepc.cli.app import errors as errors
from stepc.cli.completion import complete_dump_after, complete_pipeline, complete_spec
from stepc.diagnostics import Diagnostic, Place, did_you_mean, fail
from stepc.reporter import Reporter

EMBEDDED = "embedded"
app = App(
    help="Compile videos into question-rationale-answer data for Video-LLMs.",
    epilog="Example: stepc world render -o films -n 2 --seed 7 && stepc compile films -o out",
)
world = App(
    help="Tools for the rendered world, which the embedded model knows: films, true graphs, weights.",
    epilog="Example: stepc world render -o films -n 2 --seed 7",
)
app.add_typer(world, name="world")
model_app = App(
    help="Test what a model understands.",
    epilog="Example: stepc model check embedded -n 2",
)
app.add_typer(model_app, name="model")
SpecFile = Annotated[
    Path | None,
    typer.Option(
        "--spec",
        "-s",
        help="A .step file; default: the built-in `step`.",
        autocompletion=complete_spec,
        rich_help_panel=PIPELINE,
    ),
]
Pipeline = Annotated[
    str | None,
    typer.Option(
        "--pipeline",
        "-p",
        help="Passes, separated by commas; see `stepc passes`.",
        autocompletion=complete_pipeline,
        rich_help_panel=PIPELINE,
    ),
]
Eyes = Annotated[
    list[str] | None,
    typer.Option(
        "--eyes",
        metavar="DETECTOR",
        help="See with a detector instead of a Video-LLM: `centerface` (faces; stepc[eyes]), a model of"
        " transformers, or a file or folder of detections. Several must agree.",
        rich_help_panel=PIPELINE,
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of all random choices.", rich_help_panel=PIPELINE)]
Verify = Annotated[
    bool,
    typer.Option(
        "--verify-each/--no-verify-each",
        help="Verify the IR after each pass.",
        rich_help_panel=PIPELINE,
    ),
]
DumpAfter = Annotated[
    str | None,
    typer.Option(
        "--dump-after",
        help="Print the IR after this pass (or `all`) to stderr.",
        autocompletion=complete_dump_after,
        rich_help_panel=REPORTING,
    ),
]
STORE_HELP = (
    "The store of cached results: a folder, or a URL such as s3://bucket/store."
    " Default: $STEPC_STORE or the user's cache folder."
)
StorePlace = Annotated[
    str | None,
    typer.Option("--store", metavar="PLACE", help=STORE_HELP, rich_help_panel=STORE),
]
NoStore = Annotated[
    bool,
    typer.Option(
        "--no-store/--use-store",
        help="Do not read from or write to the store.",
        rich_help_panel=STORE,
    ),
]
Times = Annotated[
    bool,
    typer.Option(
        "--stats/--no-stats",
        help="Print time and counters of each pass to stderr.",
        rich_help_panel=REPORTING,
    ),
]
Replace = Annotated[
    bool,
    typer.Option(
        "--replace/--no-replace",
        help="Replace what OUT holds even if the new result lacks videos of it.",
        rich_help_panel=IO,
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print JSON instead of text.", rich_help_panel=IO)
]


def say(diagnostic: Diagnostic) -> None:
    """Print a diagnostic to standard error. With --quiet, warnings are not printed."""
    quiet = errors.quiet
    if quiet and diagnostic.severity != "error":
        return
    head = f"{diagnostic.severity}[{diagnostic.code}]"
    colour = "bold red" if diagnostic.severity == "error" else "bold yellow"
    errors.quiet = False
    errors.print(diagnostic.text(), colour, len(head))
    errors.quiet = quiet


def print_json(data: Any) -> None:
    """Print a JSON document to standard output."""
    import orjson

    sys.stdout.write(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode() + "\n")


class Terminal(Reporter):
    """Prints diagnostics and notes to standard error."""

    def diagnostic(self, diagnostic: Diagnostic) -> None:
        say(diagnostic)

    def note(self, text: str) -> None:
        errors.print(text)


def terminal() -> Reporter:
    """The reporter of commands that show no progress bar."""
    return Terminal()


def spec_of(path: Path | None) -> tuple[str, str, Path | None]:
    """Text, name and folder of a spec file, or of a shipped spec by its name."""
    from stepc.lang.source import spec_text

    return spec_text(path)


def store_of(store: str | None, no_store: bool) -> str | None:
    """The place of the store, or None if caching is off."""
    from stepc.store.open import default_place

    place = None if no_store else store or default_place()
    log.debug("store: %s", place or "none")
    return place


def order_of(
    pipeline: str | None,
    spec: Path | None,
    choice: Any,
    seed: int,
    eyes: Sequence[str] = (),
    **more: Any,
) -> Any:
    """Raises StepcError (U001) if there is both a pipeline and a detector in place of a model."""
    from stepc.boxes.eyes import eyes_pipeline
    from stepc.driver.compile_video import CompileConfig
    from stepc.passmanager.pipeline_text import DEFAULT

    if eyes and pipeline:
        help = f"remove one of them; --eyes stands for --pipeline '{eyes_pipeline(eyes)}'"
        raise fail("U001", "--eyes and --pipeline exclude each other", Place("--eyes"), help)
    if eyes:
        pipeline, spec = eyes_pipeline(eyes), spec or Path("eyes")
    text, name, folder = spec_of(spec)
    log.debug("spec %s, pipeline %s, model %s", name, pipeline or DEFAULT, choice.name)
    return CompileConfig(pipeline or DEFAULT, "", text, name, choice, folder, seed=seed, **more)


def count(n: int, what: str, several: str = "") -> str:
    """A number and a noun, such as `1 film` and `1,000 films`; `several` is an irregular plural."""
    return f"{n:,} {what if n == 1 else several or f'{what}s'}"


def two_prices(text: str) -> tuple[float, float]:
    """Parse two prices separated by a slash. Raises StepcError (U001)."""
    try:
        one, other = (float(part) for part in text.split("/"))
        if not 0 <= one < inf or not 0 <= other < inf:
            raise ValueError
    except ValueError:
        help = "write the prices per million tokens sent/received, such as --price 0.15/0.60"
        message = f"`{text}` is not a pair of prices"
        raise fail("U001", message, Place("--price"), help) from None
    return one, other


def show_stats(seconds: dict[str, float], counts: dict[str, dict[str, int]]) -> None:
    for key in dict.fromkeys([*seconds, *counts]):
        took = f"{seconds[key]:8.2f} s" if key in seconds else " " * 10
        errors.print(f"{took}  {key}")
        for name, n in counts.get(key, {}).items():
            if n:
                errors.print(f"{n:18,}  {name}")


def run_passes(
    compiler: Any,
    unit: Any,
    text: str,
    *,
    after: str | None,
    dump_after: str | None,
    verify_each: bool,
    stats: bool,
    counts: dict[str, dict[str, int]] | None = None,
) -> Any:
    """Run a pipeline on a unit; returns the last unit. `counts` receives the counters of each pass."""
    from stepc.driver.compile_video import split_pipeline
    from stepc.ir.text import write
    from stepc.passmanager.run import run, run_alone

    passes, links = split_pipeline(text) if text else ([], [])
    names = [p.name for p in (*passes, *links)]
    for option, name in (("--after", after), ("--dump-after", dump_after)):
        if name not in (None, "all", *names):
            help = did_you_mean(str(name), names)
            raise fail("P002", f"`{name}` is not in the pipeline", Place(option), help)
    if after is not None:
        last = max(i for i, name in enumerate(names) if name == after) + 1
        passes, links = passes[:last], links[: max(0, last - len(passes))]
    counts = {} if counts is None else counts
    seconds = {}
    steps = run(passes, unit, compiler.tools(), verify_each=verify_each, memo=compiler.memo)
    for i, done in enumerate(run_alone(steps, unit, links, compiler.order.seed), 1):
        unit = done.unit
        log.debug("pass %s: %.2f s", done.name, done.seconds)
        counts[f"{i}:{done.name}"], seconds[f"{i}:{done.name}"] = dict(done.counts), done.seconds
        if dump_after in (done.name, "all"):
            errors.print(f"; after {done.name}\n{write(unit)}")
    compiler.close()
    if stats:
        show_stats(seconds, counts)
    return unit
