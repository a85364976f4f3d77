"""Commands before a dataset is published: decontaminate, push."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stepc.cli.app import IO, PIPELINE
from stepc.cli.common import Json, app, count, print_json, say, terminal
from stepc.diagnostics import Place, fail, printable


@app.command(epilog="Example: stepc decontaminate out --against star --against quiz --videos films")
def decontaminate(  # long: a table of options
    dataset: Annotated[Path, typer.Argument(help="A dataset of `stepc compile`.")],
    against: Annotated[
        list[str] | None,
        typer.Option(
            help="What to compare with: NAME=FOLDER of a benchmark (see `stepc eval --help`) with its files"
            " and videos, NAME alone, or the folder of a dataset or of videos. Repeatable.",
            rich_help_panel=IO,
        ),
    ] = None,
    videos: Annotated[
        list[Path] | None,
        typer.Option(
            help="Video files of the dataset, or folders of them, to compare pictures. Repeatable.",
            rich_help_panel=IO,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Output folder of the dataset without shared videos.",
            rich_help_panel=IO,
        ),
    ] = None,
    drop_questions: Annotated[
        bool,
        typer.Option(
            "--drop-questions",
            help="Also drop questions that a benchmark asks.",
            rich_help_panel=PIPELINE,
        ),
    ] = False,
    drop_collections: Annotated[
        bool,
        typer.Option(
            "--drop-collections",
            help="Also drop all videos of a collection that a benchmark is made from.",
            rich_help_panel=PIPELINE,
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Find videos and questions that a dataset shares with benchmarks, and drop them.

    Videos are compared by hash, by name, and by the pictures of those that are at hand. Charades
    underlies Action Genome, STAR and AGQA: names tell.

    Keys of --json: videos (a list: video, benchmark, other, how, share), questions (a list: id,
    benchmark, other, how), compared (videos whose pictures were compared, by benchmark), samples
    and dropped (numbers).
    """
    from stepc.dataset.read import read_samples, told
    from stepc.dataset.subset import write_part
    from stepc.eval.decontaminate import contamination, table

    if not against:
        raise fail(
            "U001", "nothing to compare with", Place("--against"), "such as --against star=STAR"
        )
    made = contamination(dataset, against, videos or (), reporter=terminal())
    samples, wrong = read_samples(dataset)
    for diagnostic in told(wrong):
        say(diagnostic)
    gone = made.gone(samples, questions=drop_questions, collections=drop_collections)
    if json:
        print_json({**made.data(), "samples": len(samples), "dropped": len(gone)})
    else:
        print("\n".join(table(made, samples)))
    if out is not None:
        kept = {s.id for s in samples} - gone
        left = write_part(dataset, out, kept, {"against": [*against]})
        if not json:
            print(f"{count(left, 'sample')} of {len(samples)} in {printable(str(out))}")


@app.command(epilog="Example: stepc push out me/films --private")
def push(
    dataset: Annotated[Path, typer.Argument(help="A dataset of `stepc compile`.")],
    repository: Annotated[str, typer.Argument(help="NAME or OWNER/NAME on the hub.")],
    private: Annotated[
        bool,
        typer.Option("--private", help="Make a private repository.", rich_help_panel=IO),
    ] = False,
) -> None:
    """Upload a dataset to the Hugging Face hub: samples, graphs, card and manifest, without videos."""
    from stepc.dataset.hub import push as upload

    print(upload(dataset, repository, private=private))
