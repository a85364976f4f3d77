"""Commands for models and for the rendered world: model check, world render, world score, world train."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from stepc.cli.app import IO, TRAINING, errors
from stepc.cli.common import (
    NoStore,
    Seed,
    StorePlace,
    Terminal,
    count,
    model_app,
    say,
    store_of,
    world,
)
from stepc.cli.completion import complete_model
from stepc.cli.model_options import MODEL_HELP, checking
from stepc.diagnostics import Place, fail, printable
from stepc.ir.load import load


@model_app.command(name="check", epilog="Example: stepc model check embedded -n 2")
@checking
def model_check(  # long: most of it declares options
    model: Annotated[str, typer.Argument(help=MODEL_HELP, autocompletion=complete_model)],
    choice: Any,
    questions: Annotated[
        int,
        typer.Option(
            "--questions",
            "-n",
            min=1,
            help="Number of questions per kind of request.",
            rich_help_panel=IO,
        ),
    ] = 10,
    seed: Seed = 0,
    videos: Annotated[
        list[Path] | None,
        typer.Option(
            help="Video files to ask about instead, or folders of them: whether the model sees what"
            " it is shown. Repeatable.",
            rich_help_panel=IO,
        ),
    ] = None,
    store: StorePlace = None,
    no_store: NoStore = False,
) -> None:
    """Ask a model every kind of request about pictures with known answers.

    The pictures show the rendered world: coloured shapes, left of and above each other. Kinds that
    allow several questions per call (--together, default 8) are asked a second time in batches, in
    a row marked with *. If both rows are equally right, a compile may batch these questions. Of a
    server, it first prints which features of requests work, and whether the model sees.

    With --videos, it asks about frames of your own videos and about their mirror images: how much of
    what the model lists is the same, and how often it agrees that absurd objects are there. The exit
    code is 1 if the answers do not depend on what is shown. `stepc compile` with the same store then
    warns (M013).
    """
    from stepc.model.load import load
    from stepc.model.openai_compatible import ServerModel
    from stepc.world.examination import Examination

    if videos:
        _see(replace(choice, name=model), videos, questions, seed, store_of(store, no_store))
        return
    exam = Examination(questions, seed)
    most = 8 if choice.together is None else choice.together
    asker = load(replace(choice, name=model, together=most), exam.pictures, seed=seed)
    if isinstance(asker.backend, ServerModel):
        asker.backend.reporter = Terminal()
        for name, value in asker.backend.handshake().facts().items():
            shown = {True: "yes", False: "no", None: "-"}.get(value, value)
            print(f"{name:18} {shown}")
        print()
    print(f"{'request':14} {'asked':>6} {'read':>6} {'right':>6} {'calls/s':>8}")
    for name, mark in exam.ask(asker):
        rate = mark.asked / mark.seconds if mark.seconds else 0.0
        print(
            f"{name:14} {mark.asked:6} {mark.read / max(1, mark.asked):6.2f}"
            f" {mark.right / max(1, mark.asked):6.2f} {rate:8.1f}",
            flush=True,
        )
    errors.print(asker.usage.text(choice.server.prices))


def _see(choice: Any, videos: list[Path], number: int, seed: int, store: str | None) -> None:
    """Print what a model sees in frames of videos. Exits with 1 if it does not see."""
    from stepc.dataset.read import spread
    from stepc.model.backends import identity_of
    from stepc.model.load import load
    from stepc.model.sight import ABSURD, measure
    from stepc.store.open import open_store
    from stepc.video.decode import Pictures
    from stepc.video.discover import find_videos
    from stepc.video.probe import probe

    pictures, found = Pictures(), find_videos(videos)
    for diagnostic in found[1]:
        say(diagnostic)
    sources = [probe(path) for path in list(found[0])[:number]]
    if not sources:
        raise fail("B010", "no videos found", Place("--videos"))
    frames: list[Any] = []
    for source in sources:
        pictures.add(source)
        frames += spread(source, max(1, number // len(sources)))
    client = load(choice, pictures, seed=seed)
    seen = measure(client, frames)
    identity = identity_of(choice) if store is not None else None
    if store is not None and identity is not None:
        seen.remember(open_store(store), identity)
    print(f"{seen.frames} frames of {count(len(sources), 'video')}")
    for name, share in (
        ("the same objects when it is asked again", seen.again),
        ("the same objects in the mirror image", seen.mirrored),
        ("the same objects in another frame", seen.alike),
        (f"yes to absurd objects ({ABSURD[0]}, {ABSURD[1]}, …)", seen.absurd),
        ("yes to the objects that it listed", seen.own),
    ):
        print(f"{name:44} {share:6.0%}")
    errors.print(client.usage.text(choice.server.prices))
    print(f"the model {'sees' if seen.sees else 'does not seem to see'} what it is shown")
    if not seen.sees:
        raise typer.Exit(1)


@world.command(epilog="Example: stepc world render -o films -n 2 --seed 7")
def render(
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="Output folder for films and true graphs.", rich_help_panel=IO
        ),
    ],
    films: Annotated[
        int,
        typer.Option("--films", "-n", min=1, help="Number of films to render.", rich_help_panel=IO),
    ] = 1,
    seed: Seed = 0,
    shots: Annotated[
        int,
        typer.Option(min=0, max=9, help="Clips per film; 0 = 2 to 4.", rich_help_panel=IO),
    ] = 0,
) -> None:
    """Render films (mp4) and their true STSGs (IR text) from a seed."""
    from stepc.world.films import make_films

    make_films(out, films, seed, shots)
    graphs = "its true graph" if films == 1 else "their true graphs"
    errors.print(f"{count(films, 'film')} with {graphs} in {printable(str(out))}")


@world.command(epilog="Example: stepc world score films out/units")
def score(
    films: Annotated[Path, typer.Argument(help="A folder written by `stepc world render`.")],
    units: Annotated[Path, typer.Argument(help="A folder of induced graphs (OUT/units).")],
) -> None:
    """Compare induced STSGs with the true ones: precision and recall."""
    from stepc.world.score import Score, compare

    total = Score()
    pairs = [
        (path, units / path.name.replace(".true.stsg", ".stsg"))
        for path in sorted(films.glob("*.true.stsg"))
    ]
    pairs = [(true, made) for true, made in pairs if made.exists()]
    if not pairs:
        help = "make films with `stepc world render` and graphs with `stepc compile`"
        raise fail("U001", f"no graph in {units} belongs to a film in {films}", None, help)
    for true, made in pairs:
        total.add(compare(_stsg(made), _stsg(true)))
    print(count(len(pairs), "film"))
    print(total.table())


@world.command(epilog="Example: stepc world train -o model --minutes 150")
def train(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Output folder of the model.", rich_help_panel=IO)
    ],
    minutes: Annotated[
        float,
        typer.Option(min=0.01, help="Training time in minutes.", rich_help_panel=TRAINING),
    ] = 150.0,
    seed: Seed = 0,
    start: Annotated[
        Path | None,
        typer.Option(help="Continue from the weights in this folder.", rich_help_panel=TRAINING),
    ] = None,
) -> None:
    """Train the embedded model's weights from scratch, on a CPU."""
    from stepc.world.train import train as teach

    teach(out, minutes=minutes, seed=seed, start=start, say=errors.print)


def _stsg(file: Path) -> Any:
    """The STSG in a file. Raises StepcError (U001) for a unit of another level."""
    from stepc.ir.types import Stsg

    unit = load(file)
    if not isinstance(unit, Stsg):
        message = f"a unit of level stsg is expected, and this is {unit.LEVEL}"
        raise fail("U001", message, Place(printable(str(file))))
    return unit
