"""The command bench: what a compile costs on a model of the user."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stepc.cli.app import LIMITS, PIPELINE
from stepc.cli.common import Json, Pipeline, Seed, SpecFile, app, order_of, print_json
from stepc.cli.model_options import choosing
from stepc.diagnostics import StepcError


@app.command(epilog="Example: stepc bench films/film-7-000.mp4")
@choosing
def bench(
    videos: Annotated[list[Path], typer.Argument(help="A few video files, or folders of them.")],
    choice: Any,
    spec: SpecFile = None,
    pipeline: Pipeline = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="Pipeline to compare with. Default: one that asks as a script would, for one graph per"
            " keyframe.",
            rich_help_panel=PIPELINE,
        ),
    ] = None,
    seed: Seed = 0,
    jobs: Annotated[
        int,
        typer.Option("--jobs", "-j", min=1, help="Videos in parallel.", rich_help_panel=LIMITS),
    ] = 4,
    json: Json = False,
) -> None:
    """Measure what a compile costs on your model: calls, tokens, seconds and cost per proved sample.

    Compiles the videos twice, without the store: with the pipeline, and with another one. Nothing is kept.

    Keys of --json: a list with, for each pipeline, pipeline, videos, samples, calls, tokens_in,
    tokens_cached, tokens_out, seconds, in_flight (median), most_in_flight, cost, and calls_per_sample,
    tokens_in_per_sample, tokens_out_per_sample, seconds_per_sample, cost_per_sample (null without samples).
    """
    from stepc.cli.progress import ProgressBar
    from stepc.driver.bench import BY_HAND, measure, table
    from stepc.driver.local_engine import LocalEngine

    order = order_of(pipeline, spec, choice, seed)
    engine = LocalEngine(jobs)
    with ProgressBar(choice.server.prices) as reporter:
        try:
            measured = []
            for text in (order.pipeline, against or BY_HAND):
                measured.append(measure(videos, order, text, engine, reporter))
                if not measured[-1].videos:
                    raise typer.Exit(1)
        except StepcError as error:
            for diagnostic in error.diagnostics:
                reporter.diagnostic(diagnostic)
            raise typer.Exit(1) from None
    if json:
        print_json([m.data() for m in measured])
    else:
        print("\n".join(table(measured, ("pipeline", "other" if against else "by hand"))))
