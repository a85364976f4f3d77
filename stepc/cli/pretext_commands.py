"""The command `stepc pretext`: edited videos, and questions about their edits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import typer

from stepc.cli.app import IO, PIPELINE
from stepc.cli.common import Json, Seed, app, count, errors, print_json, say, terminal
from stepc.diagnostics import Place, did_you_mean, fail, printable


@app.command(epilog="Example: stepc pretext videos -o mixed")
def pretext(
    videos: Annotated[list[Path], typer.Argument(help="Video files, or folders of them.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="Output folder of the edited videos and graphs.", rich_help_panel=IO
        ),
    ],
    edits: Annotated[
        str,
        typer.Option(
            help="What is edited: the order of the parts (place), the direction and the speed of one, "
            "and the source: one from another video.",
            rich_help_panel=PIPELINE,
        ),
    ] = "place,direction,speed,source",
    parts: Annotated[
        int,
        typer.Option(min=2, max=8, help="Parts of the video itself.", rich_help_panel=PIPELINE),
    ] = 4,
    part_seconds: Annotated[
        float,
        typer.Option(
            min=1,
            max=60,
            help="Length of each part; half of it at least.",
            rich_help_panel=PIPELINE,
        ),
    ] = 2.0,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Edit videos, and write a graph of each that says how: questions that need no model.

    The longest shot of a video is cut into parts, which are mixed; one is turned round, one is played faster,
    and one comes from another video. A graph is written only if the pictures prove the edits.
    `stepc compile OUT/graphs --spec edited` asks about them.

    --json prints: made (edited videos), dropped (number by reason).
    """
    from stepc.pretext.edits import Edit
    from stepc.pretext.make import Editing, edited_videos

    known = get_args(Edit)
    names = tuple(dict.fromkeys(filter(None, edits.split(","))))
    for name in names or ("",):
        if name not in known:
            help = did_you_mean(name, known) or f"such as {','.join(known)}"
            raise fail("U001", f"no edit is called `{printable(name)}`", Place("--edits"), help)
    chosen = tuple(edit for edit in known if edit in names)
    how = Editing(chosen, parts, round(1000 * part_seconds), seed=seed)
    done = edited_videos(videos, out, how, terminal())
    for diagnostic in done.diagnostics:
        say(diagnostic)
    if json:
        print_json({"made": done.made, "dropped": dict(done.dropped)})
    else:
        errors.print(f"{count(done.made, 'edited video')} in {printable(str(out / 'videos'))}")
    if not done.made:
        raise typer.Exit(1)
