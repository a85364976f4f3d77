"""Commands that run passes: compile, plan, dump, opt, passes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from stepc.cli.common import (
    EMBEDDED,
    DumpAfter,
    NoStore,
    Pipeline,
    Seed,
    SpecFile,
    StorePlace,
    Times,
    Verify,
    app,
    count,
    errors,
    order_of,
    run_passes,
    say,
    show_stats,
    store_of,
    stranger,
    terminal,
)
from stepc.cli.model_options import choosing
from stepc.diagnostics import Place, StepcError, did_you_mean, fail, printable
from stepc.ir.load import load


@app.command(epilog="Example: stepc compile films -o out --seed 1 --jobs 2")
@choosing
def compile(
    videos: Annotated[list[Path], typer.Argument(help="Video files, or folders of them.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Output folder of the dataset.")],
    choice: Any,
    spec: SpecFile = None,
    pipeline: Pipeline = None,
    seed: Seed = 0,
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs",
            "-j",
            min=0,
            help="Videos compiled in parallel (per replica on a cluster). 0 = automatic: one per core"
            " (embedded model), 4 (server), otherwise 1.",
        ),
    ] = 0,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(
            help="local: this machine; ray: the Ray cluster at $RAY_ADDRESS, or one started here."
        ),
    ] = "local",
    replicas: Annotated[
        int, typer.Option(min=1, help="Model replicas (cluster only); each compiles --jobs videos.")
    ] = 1,
    gpus: Annotated[
        float,
        typer.Option(
            min=0, help="GPUs per model replica (cluster only); 0.5 puts two replicas on one GPU."
        ),
    ] = 0.0,
    verify_each: Verify = True,
    stats: Times = False,
    store: StorePlace = None,
    no_store: NoStore = False,
    patience: Annotated[
        float,
        typer.Option(
            min=0, help="Give up on a video after this many seconds without progress; 0 = never."
        ),
    ] = 600.0,
    memory: Annotated[
        float,
        typer.Option(
            min=0, help="Memory limit per worker in GB; 0 = an equal share of 80 % of the memory."
        ),
    ] = 0.0,
    retry: Annotated[
        bool, typer.Option("--retry", help="Retry videos that an earlier run gave up on.")
    ] = False,
    explain_rebuild: Annotated[
        bool, typer.Option("--explain-rebuild", help="Print why each pass was run.")
    ] = False,
) -> None:
    """Compile videos into a dataset: OUT/qra.jsonl, OUT/units/NAME.stsg, OUT/manifest.json."""
    from stepc.cli.progress import ProgressBar
    from stepc.driver.compile_corpus import compile_corpus
    from stepc.driver.local_engine import Engine, LocalEngine, default_jobs
    from stepc.driver.process_pool import Limits

    kept = store_of(store, no_store)
    order = order_of(pipeline, spec, choice, seed, verify_each=verify_each, store=kept)
    chosen: Engine
    if engine == "ray":
        from stepc.driver.ray_engine import RayEngine

        chosen = RayEngine(replicas, gpus, jobs or default_jobs(choice, cluster=True))
    elif replicas != 1 or gpus:
        message = "--replicas and --gpus require --engine ray"
        place = Place("--replicas" if replicas != 1 else "--gpus")
        raise fail("U001", message, place, "add --engine ray, or remove the option")
    else:
        chosen = LocalEngine(jobs or default_jobs(choice))
    prices = choice.server.prices
    limits = Limits(patience, int(memory * 1e9), retry)
    with ProgressBar(prices, notes=explain_rebuild) as bar:
        summary = compile_corpus(videos, out, order, engine=chosen, limits=limits, reporter=bar)
    if stats:
        show_stats(summary.seconds, summary.counts)
    if summary.tally.calls and (stats or not choice.name.startswith(EMBEDDED)):
        errors.print(summary.tally.text(prices))
    if choice.name == EMBEDDED and summary.compiled and not summary.objects:
        say(stranger(f"in {summary.compiled} videos" if summary.compiled > 1 else "in the video"))
    steps = ", ".join(f"{c} with {count(n, 'step')}" for n, c in sorted(summary.by_steps.items()))
    errors.print(
        f"{summary.compiled} compiled, {summary.failed} failed: {summary.samples} samples"
        + (f" ({steps})" if steps else "")
        + f" in {' and '.join(printable(str(out / f)) for f in summary.files)}"
    )
    if summary.interrupted:
        errors.print("stopped; the dataset holds the videos compiled so far")
        raise typer.Exit(1 if summary.stopped else 130)
    if summary.failed:
        raise typer.Exit(1)


@app.command(epilog="Example: stepc plan films --price 0.15/0.60 --rate 20")
@choosing
def plan(
    videos: Annotated[list[Path], typer.Argument(help="Video files, or folders of them.")],
    choice: Any,
    spec: SpecFile = None,
    pipeline: Pipeline = None,
    objects: Annotated[float, typer.Option(min=0, help="Assumed objects per keyframe.")] = 5.0,
    attributes: Annotated[float, typer.Option(min=0, help="Assumed attributes per object.")] = 3.0,
    relations: Annotated[
        float, typer.Option(min=0, help="Assumed relations per pair of objects.")
    ] = 1.5,
    moving: Annotated[
        float, typer.Option(min=0, max=1, help="Assumed share of objects that move.")
    ] = 0.5,
    back: Annotated[
        float,
        typer.Option(
            min=0, help="Assumed share of a clip's objects with a label that another clip also has."
        ),
    ] = 0.5,
    doubtful: Annotated[
        float,
        typer.Option(
            min=0,
            help="Assumed pairs of objects per two keyframes that may or may not be the same.",
        ),
    ] = 0.5,
    narratives: Annotated[
        float | None,
        typer.Option(
            min=1, help="Assumed distinct narratives per keyframe; default: as many as are sampled."
        ),
    ] = None,
    rate: Annotated[
        float, typer.Option(min=0, help="Calls per second of the model, to estimate the time.")
    ] = 0.0,
    corpus: Annotated[
        int,
        typer.Option(min=0, help="Extrapolate to this many videos; 0 = only the videos given."),
    ] = 0,
) -> None:
    """Estimate what a compile would ask a model: calls, pictures, tokens, cost, time. Asks nothing."""
    from stepc.driver.compile_video import Compiler, split_pipeline
    from stepc.model.load import together
    from stepc.model.plan import Assumptions, shown
    from stepc.model.plan import plan as planned
    from stepc.passmanager.run import run
    from stepc.video.discover import find_videos

    order = order_of(pipeline, spec, choice, 0)
    passes, _ = split_pipeline(order.pipeline)
    look = [p for p in passes if p.levels()[0].LEVEL == p.levels()[1].LEVEL == "clips"]
    compiler = Compiler(order)
    found, wrong = find_videos(videos)
    assume = Assumptions(
        objects, attributes, relations, moving, back, doubtful, narratives, together(choice)
    )
    paths = sum(b.count for b in compiler.spec.blocks)
    plans, clips, keyframes = [], 0, 0
    for path in found:
        try:
            unit = compiler.start(path)
            for done in run(look, unit, compiler.tools()):
                unit = done.unit  # type: ignore[assignment]
        except StepcError as error:
            wrong += error.in_file(printable(str(path))).diagnostics
            continue
        clips, keyframes = clips + len(unit.clips), keyframes + len(unit.keyframes)
        plans.append(planned(unit.clips, passes, paths, assume))
    for diagnostic in wrong:
        say(diagnostic)
    print(f"{count(len(plans), 'video')}, {count(clips, 'clip')}, {count(keyframes, 'keyframe')}")
    times = corpus / len(plans) if corpus and plans else 1.0
    if times != 1.0:
        print(f"extrapolated to {corpus:,} videos:")
    for row in shown(plans, choice.server.prices, rate, times):
        print(row)
    if wrong:
        raise typer.Exit(1)


@app.command(epilog="Example: stepc dump films/film-7-000.mp4 --after merge")
@choosing
def dump(
    video: Annotated[Path, typer.Argument(help="A video file.")],
    after: Annotated[str, typer.Option(help="Last pass to run.")],
    choice: Any,
    spec: SpecFile = None,
    pipeline: Pipeline = None,
    seed: Seed = 0,
    json: Annotated[bool, typer.Option("--json", help="Print the JSON form.")] = False,
    dump_after: DumpAfter = None,
    verify_each: Verify = True,
    stats: Times = False,
    store: StorePlace = None,
    no_store: NoStore = False,
) -> None:
    """Print the IR of a video after a pass."""
    from stepc.driver.compile_video import Compiler
    from stepc.ir.text import write

    order = order_of(pipeline, spec, choice, seed, store=store_of(store, no_store))
    compiler = Compiler(order, terminal())
    unit = run_passes(
        compiler,
        compiler.start(video),
        order.pipeline,
        stop_after=after,
        dump_after=dump_after,
        verify_each=verify_each,
        stats=stats,
    )
    if choice.name == EMBEDDED and getattr(unit, "objects", None) == ():
        say(stranger("in the video"))
    sys.stdout.write(unit.to_json().decode() if json else write(unit))


@app.command(epilog="Example: stepc opt out/units/film-7-000.stsg --pipeline sample,compose,check")
@choosing
def opt(
    file: Annotated[Path, typer.Argument(help="An IR file of any level; - for standard input.")],
    choice: Any,
    pipeline: Annotated[
        str,
        typer.Option(
            "--pipeline",
            "-p",
            help="Passes, separated by commas; without any, print the file as read.",
        ),
    ] = "",
    video: Annotated[
        list[Path] | None,
        typer.Option("--video", help="The video file, if the passes need pictures."),
    ] = None,
    spec: SpecFile = None,
    seed: Seed = 0,
    json: Annotated[bool, typer.Option("--json", help="Print the JSON form.")] = False,
    stop_after: Annotated[str | None, typer.Option(help="Last pass to run.")] = None,
    dump_after: DumpAfter = None,
    verify_each: Verify = True,
    stats: Times = False,
) -> None:
    """Read an IR file, verify it, run passes on it and print the result."""
    from stepc.driver.compile_video import Compiler
    from stepc.ir.text import write
    from stepc.video.decode import probe

    unit = load(file)
    order = order_of(pipeline or "split", spec, choice, seed)
    compiler = Compiler(order)
    for path in video or []:
        compiler.pictures.add(probe(path))
    unit = run_passes(
        compiler,
        unit,
        pipeline,
        stop_after=stop_after,
        dump_after=dump_after,
        verify_each=verify_each,
        stats=stats,
    )
    sys.stdout.write(unit.to_json().decode() if json else write(unit))


@app.command(epilog="Example: stepc passes keyframes")
def passes(
    name: Annotated[str | None, typer.Argument(help="A pass; default: all passes.")] = None,
) -> None:
    """List all passes, or show the options of one."""
    from stepc.passmanager.base import Pass
    from stepc.passmanager.pipeline_text import DEFAULT, LINK
    from stepc.passmanager.registry import option_lines, pass_names, pass_type

    if name is None:
        for each in pass_names():
            kind = pass_type(each)
            module = sys.modules[kind.__module__].__doc__ or ""
            print(f"{each:18} {module.split(':', 1)[-1].strip()}")
        print(f"\ndefault: {DEFAULT},{LINK}")
        return
    try:
        kind = pass_type(name)
    except KeyError:
        raise fail(
            "P002", f"unknown pass `{name}`", None, did_you_mean(name, pass_names())
        ) from None
    import inspect

    levels = ""
    if issubclass(kind, Pass):
        takes, gives = kind.levels()
        levels = (
            "any graph level, unchanged" if kind.keeps_level else f"{takes.LEVEL} → {gives.LEVEL}"
        )
    print(f"{name}   {levels or 'corpus → corpus'}\n")
    print(inspect.getdoc(kind) or "")
    rows = option_lines(kind)
    if rows:
        print("\noptions:")
    for option, wanted, default, help in rows:
        print(f"  {option}={default}   ({wanted})\n      {help}")
