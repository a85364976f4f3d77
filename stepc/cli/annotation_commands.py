"""The commands `stepc import` and `stepc score`: human annotations as graphs, and graphs beside them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepc.cli.app import IO
from stepc.cli.common import Json, app, count, errors, print_json, say
from stepc.diagnostics import Place, fail, printable

if TYPE_CHECKING:
    from stepc.ir import types as t


@app.command("import", epilog="Example: stepc import gqa val_sceneGraphs.json -o graphs")
def import_(
    format: Annotated[str, typer.Argument(help="The data set: vidor, action-genome, gqa …")],
    annotations: Annotated[
        Path | None, typer.Argument(help="Its file or folder, as it is published.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--out", "-o", help="Output folder for the graphs.", rich_help_panel=IO)
    ] = Path("graphs"),
    videos: Annotated[
        Path | None,
        typer.Option(help="Video files in this folder give the exact times.", rich_help_panel=IO),
    ] = None,
    json: Json = False,
) -> None:
    """Turn human annotations into graphs: one verified file per video or picture.

    Without the videos, times are those of the annotation. `stepc import list` names the data sets.

    --json prints the numbers of graphs, keyframes, objects, attributes, relations, motions, boxes, tracks,
    denied (facts known to be false), lost (facts that the graphs cannot hold) and failed (videos).
    """
    from stepc.annotations.convert import Converted, convert
    from stepc.annotations.reader import READERS

    if format == "list":
        for name in READERS.names():
            typer.echo(f"{name:15} {READERS.get(name).title}: {READERS.get(name).help}")
        return
    if annotations is None:
        raise fail("U001", "no file or folder of annotations", Place("ANNOTATIONS"))
    total = Converted()
    for done in convert(format, annotations, output, videos):
        total.add(done)
        for diagnostic in done.diagnostics:
            say(diagnostic)
    if json:
        print_json(total.facts())
    else:
        kept = [f"{n} {name}" for name, n in total.facts().items() if n and name != "graphs"]
        errors.print(f"{count(total.graphs, 'graph')} in {output}: {', '.join(kept) or 'nothing'}")
    if total.failed or not total.graphs:
        raise typer.Exit(1)


@app.command(epilog="Example: stepc score out/units films")
def score(
    induced: Annotated[Path, typer.Argument(help="A graph, or a folder of graphs.")],
    annotated: Annotated[Path, typer.Argument(help="The true graph, or a folder of true graphs.")],
    json: Json = False,
) -> None:
    """Compare graphs with annotated ones: recall@K of triplets, objects, boxes and attributes.

    In folders, graphs of one name are compared.

    --json prints keys: graphs, keyframes, unmatched, objects, boxes and attributes (right, induced, true),
    triplets, recall and mean_recall (by K).
    """
    from stepc.annotations.score import SceneScore, compare_graphs

    made, pairs = SceneScore(), _pairs(induced, annotated)
    for mine, theirs in pairs:
        compare_graphs(_graph(mine), _graph(theirs), made)
    if json:
        print_json({"graphs": len(pairs), **made.facts()})
    else:
        typer.echo(made.table())
        errors.print(f"{count(len(pairs), 'graph')} compared, {count(made.keyframes, 'keyframe')}")


def _pairs(induced: Path, annotated: Path) -> list[tuple[Path, Path]]:
    """The files to compare. Raises StepcError (B010) if folders have no name in common."""
    if not (induced.is_dir() and annotated.is_dir()):
        return [(induced, annotated)]
    mine, theirs = _graphs(induced), _graphs(annotated)
    names = sorted(mine.keys() & theirs.keys())
    if not names:
        place = Place(printable(str(induced)))
        raise fail("B010", f"no graph has the name of one in {printable(str(annotated))}", place)
    return [(mine[name], theirs[name]) for name in names]


def _graphs(folder: Path) -> dict[str, Path]:
    levels = (".fsg", ".tsg", ".stsg", ".paths", ".qra")
    files = (f for f in sorted(folder.iterdir()) if f.suffix in levels)
    return {f.stem.removesuffix(".true"): f for f in files}


def _graph(path: Path) -> t.Fsg:
    from stepc.ir import types as t
    from stepc.ir.load import load

    unit = load(path)
    if not isinstance(unit, t.Fsg):
        raise fail("U001", f"level {unit.LEVEL} has no graph", Place(printable(str(path))))
    return unit
