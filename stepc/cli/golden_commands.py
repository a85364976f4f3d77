"""The commands `stepc golden record`, `run` and `bless`: golden files for a user's own corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stepc.cli.app import IO, App
from stepc.cli.common import Pipeline, Seed, SpecFile, app, count, errors, order_of, terminal
from stepc.cli.model_options import choosing
from stepc.cli.show_changes import show_changes
from stepc.diagnostics import printable

golden = App(
    help="Golden files for your own videos, spec, templates and model: record a compile once, repeat it "
    "without the model, and see what differs.",
    epilog="Example: stepc golden record films -o golden-films && stepc golden run golden-films",
)
app.add_typer(golden, name="golden")
Recording = Annotated[Path, typer.Argument(help="A folder of `stepc golden record`.")]


@golden.command(epilog="Example: stepc golden record films -o golden-films")
@choosing
def record(
    videos: Annotated[list[Path], typer.Argument(help="Video files, or folders of them.")],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Output folder of the recording.", rich_help_panel=IO),
    ],
    choice: Any,
    spec: SpecFile = None,
    pipeline: Pipeline = None,
    seed: Seed = 0,
) -> None:
    """Compile videos, and keep the model's calls and the results: graphs and samples.

    The videos and the spec are not copied; the recording names them by their paths from its folder.
    """
    from stepc.driver import golden as files

    order = order_of(pipeline, spec, choice, seed)
    made = files.record(videos, out, order, terminal())
    errors.print(f"{count(made.samples, 'sample')} and their calls in {printable(str(out))}")


@golden.command(epilog="Example: stepc golden run golden-films")
def run(folder: Recording) -> None:
    """Compile again with the recorded calls, and show what differs. Exits with 1 if anything does."""
    from stepc.driver.golden import repeated

    with repeated(folder, terminal()) as (_, found):
        show_changes(found)
    if found:
        raise typer.Exit(1)


@golden.command(epilog="Example: stepc golden bless golden-films")
def bless(folder: Recording) -> None:
    """Compile again with the recorded calls, and expect the result from now on; shows what has changed."""
    from stepc.driver.golden import bless as accept

    show_changes(accept(folder, terminal()))
