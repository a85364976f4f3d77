"""Commands that run passes: compile, plan, dump, opt, passes."""

# Long: the options of each command are a table of their own.
from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from stepc.cli.app import ASSUMPTIONS, BUDGET, CLUSTER, IO, LIMITS, PIPELINE, REPORTING, STORE, log
from stepc.cli.common import (
    EMBEDDED,
    STORE_HELP,
    DumpAfter,
    Eyes,
    Json,
    NoStore,
    Pipeline,
    Replace,
    Seed,
    SpecFile,
    StorePlace,
    Times,
    Verify,
    app,
    count,
    errors,
    order_of,
    print_json,
    run_passes,
    say,
    show_stats,
    store_of,
    terminal,
)
from stepc.cli.completion import complete_after, complete_pass, complete_pipeline
from stepc.cli.config import PREFIX, configure
from stepc.cli.model_options import choosing, planning
from stepc.diagnostics import Place, StepcError, did_you_mean, fail, printable
from stepc.ir.load import load

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="Read defaults of these options from this file, instead of from stepc.toml and"
        " pyproject.toml.",
        callback=configure,
        is_eager=True,
        rich_help_panel=IO,
    ),
]
CompileStore = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="PLACE",
        help=STORE_HELP,
        envvar=[f"{PREFIX}_STORE", "STEPC_STORE"],
        rich_help_panel=STORE,
    ),
]
After = typer.Option(
    "--after", help="Last pass to run.", autocompletion=complete_after, rich_help_panel=PIPELINE
)


@app.command(
    epilog="Example: stepc compile films -o out --seed 1 --jobs 2",
    context_settings={"auto_envvar_prefix": PREFIX},
)
@choosing
def compile(  # a table of options
    videos: Annotated[list[Path], typer.Argument(help="Video files, or folders of them.")],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Output folder of the dataset.", rich_help_panel=IO),
    ],
    choice: Any,
    config: ConfigFile = None,
    spec: SpecFile = None,
    pipeline: Pipeline = None,
    eyes: Eyes = None,
    seed: Seed = 0,
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs",
            "-j",
            min=0,
            help="Videos compiled in parallel (per replica on a cluster). 0 = automatic: one per core"
            " (embedded model), 4 (server), otherwise 1.",
            rich_help_panel=LIMITS,
        ),
    ] = 0,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(
            help="local: this machine; ray: the Ray cluster at $RAY_ADDRESS, or one started here.",
            rich_help_panel=CLUSTER,
        ),
    ] = "local",
    replicas: Annotated[
        int,
        typer.Option(
            min=1,
            help="Model replicas (cluster only); each compiles --jobs videos.",
            rich_help_panel=CLUSTER,
        ),
    ] = 1,
    gpus: Annotated[
        float,
        typer.Option(
            min=0,
            help="GPUs per model replica (cluster only); 0.5 puts two replicas on one GPU.",
            rich_help_panel=CLUSTER,
        ),
    ] = 0.0,
    verify_each: Verify = True,
    stats: Times = False,
    log_json: Annotated[
        bool,
        typer.Option(
            "--log-json/--no-log-json",
            help="Write diagnostics, progress, usage and notes to stderr as JSON lines.",
            rich_help_panel=REPORTING,
        ),
    ] = False,
    store: CompileStore = None,
    no_store: NoStore = False,
    patience: Annotated[
        float,
        typer.Option(
            min=0,
            help="Give up on a video after this many seconds without progress; 0 = never.",
            rich_help_panel=LIMITS,
        ),
    ] = 600.0,
    memory: Annotated[
        float,
        typer.Option(
            min=0,
            help="Memory limit per worker in GB; 0 = an equal share of 80 % of the memory.",
            rich_help_panel=LIMITS,
        ),
    ] = 0.0,
    retry: Annotated[
        bool,
        typer.Option(
            "--retry/--no-retry",
            help="Retry videos that an earlier run gave up on.",
            rich_help_panel=LIMITS,
        ),
    ] = False,
    keep_decodable: Annotated[
        bool,
        typer.Option(
            "--keep-decodable/--no-keep-decodable",
            help="Take what can be decoded of a damaged or truncated video, with a warning.",
            rich_help_panel=IO,
        ),
    ] = False,
    replace: Replace = False,
    explain_rebuild: Annotated[
        bool,
        typer.Option(
            "--explain-rebuild/--no-explain-rebuild",
            help="Print why each pass was run.",
            rich_help_panel=REPORTING,
        ),
    ] = False,
) -> None:
    """Compile videos into a dataset: OUT/qra.jsonl, OUT/units/NAME.stsg, OUT/manifest.json.

    stepc.toml, pyproject.toml and environment variables such as STEPC_COMPILE_JOBS may set any of
    these options. The command line takes precedence. See docs/reference/configuration.md.
    """
    from stepc.cli.progress import ProgressBar
    from stepc.driver.compile_corpus import compile_corpus
    from stepc.driver.local_engine import Engine, LocalEngine, default_jobs
    from stepc.driver.process_pool import Limits
    from stepc.reporter import JsonReporter

    kept = store_of(store, no_store)
    order = order_of(pipeline, spec, choice, seed, eyes or (), verify_each=verify_each, store=kept,
                     keep_decodable=keep_decodable)  # fmt: skip
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
    with JsonReporter() if log_json else ProgressBar(prices, notes=explain_rebuild) as reporter:
        try:
            summary = compile_corpus(
                videos, out, order, engine=chosen, limits=limits, replace=replace, reporter=reporter
            )
        except StepcError as error:
            for diagnostic in error.diagnostics:
                reporter.diagnostic(diagnostic)
            raise typer.Exit(1) from None
    if stats:
        show_stats(summary.seconds, summary.counts)
    tell = reporter.note if log_json else errors.print
    if summary.usage.calls and (stats or not choice.name.startswith(EMBEDDED)):
        tell(summary.usage.text(prices))
    log.debug("%d of %d videos were in the store", summary.found, summary.compiled)
    tell(_result(out, summary))
    if summary.interrupted:
        if summary.compiled or summary.kept:
            kept = "is as it was" if summary.kept else "holds the videos compiled so far"
            tell(f"stopped; the dataset {kept}")
        raise typer.Exit(1 if summary.stopped else 128 + summary.signal)
    if summary.failed or summary.kept or (summary.usage.unanswered and not summary.samples):
        raise typer.Exit(1)


def _result(out: Path, summary: Any) -> str:
    """What a compile made, in one line."""
    if summary.kept:
        return f"{summary.compiled} compiled, {summary.failed} failed: the dataset is as it was"
    steps = ", ".join(f"{c} with {count(n, 'step')}" for n, c in sorted(summary.by_steps.items()))
    return (
        f"{summary.compiled} compiled, {summary.failed} failed: {count(summary.samples, 'sample')}"
        + (f" ({steps})" if steps else "")
        + f" in {' and '.join(printable(str(out / f)) for f in summary.files)}"
    )


Corpus = Annotated[
    int,
    typer.Option(
        min=0,
        help="Extrapolate to this many videos; 0 = only the videos given.",
        rich_help_panel=ASSUMPTIONS,
    ),
]


def _assumed(help: str, **limits: Any) -> Any:
    return typer.Option(min=0, help=help, rich_help_panel=ASSUMPTIONS, **limits)


@app.command(epilog="Example: stepc plan films --price 0.15/0.60 --calls-per-second 20")
@planning
def plan(  # a table of options
    videos: Annotated[list[Path], typer.Argument(help="Video files, or folders of them.")],
    choice: Any,
    spec: SpecFile = None,
    pipeline: Pipeline = None,
    objects: Annotated[float, _assumed("Assumed objects per keyframe.")] = 5.0,
    attributes: Annotated[float, _assumed("Assumed attributes per object.")] = 3.0,
    relations: Annotated[float, _assumed("Assumed relations per pair of objects.")] = 1.5,
    moving: Annotated[float, _assumed("Assumed share of objects that move.", max=1)] = 0.5,
    back: Annotated[
        float,
        _assumed("Assumed share of a clip's objects with a label that another clip also has."),
    ] = 0.5,
    doubtful: Annotated[
        float,
        _assumed("Assumed pairs of objects per two keyframes that may or may not be the same."),
    ] = 0.5,
    narratives: Annotated[
        float | None,
        typer.Option(
            min=1,
            help="Assumed distinct narratives per keyframe; default: as many as are sampled.",
            rich_help_panel=ASSUMPTIONS,
        ),
    ] = None,
    calls_per_second: Annotated[
        float,
        typer.Option(
            min=0,
            help="Calls per second of the model, to estimate the time; 0 = unknown.",
            rich_help_panel=BUDGET,
        ),
    ] = 0.0,
    corpus: Corpus = 0,
    json: Json = False,
) -> None:
    """Estimate what a compile would ask a model: calls, pictures, tokens, cost, time. Asks nothing.

    Keys of --json: videos, clips, keyframes (numbers given); extrapolated_to (videos); requests (a
    list: request, requests, calls, pictures, tokens_in, tokens_out); total (the same keys);
    tokens_in_with_prefix_cache; passes (a list: pass, tokens_in); naive_calls, store_bytes, cost,
    hours (null if unknown); not_estimated (passes of unknown cost).
    """
    from stepc.driver.compile_video import Compiler, split_pipeline
    from stepc.model.load import lacking, together
    from stepc.model.picture_tokens import PictureSize, picture_tokens
    from stepc.model.plan import Assumptions, estimate
    from stepc.model.plan import plan as planned

    order = order_of(pipeline, spec, choice, 0)
    passes, _ = split_pipeline(order.pipeline)
    compiler = Compiler(order)
    units, wrong = _keyframes(compiler, passes, videos)
    assume = Assumptions(
        objects, attributes, relations, moving, back, doubtful, narratives=narratives,
        together=together(choice), lacking=lacking(choice),
    )  # fmt: skip
    paths = sum(b.count for b in compiler.spec.blocks)
    times = corpus / len(units) if corpus and units else 1.0
    denials = sum(b.deny for b in compiler.spec.blocks)
    plans = []
    for unit in units:
        served = choice.name.startswith("openai:")
        size: PictureSize = choice.server.picture_size if served else "full"
        tokens = picture_tokens(choice.name, unit.video.width, unit.video.height, size)
        here = replace(assume, picture=tokens)
        plans.append(planned(unit.clips, passes, paths, here, denials))
    made = estimate(plans, choice.server.prices, calls_per_second, times)
    clips, keyframes = sum(len(u.clips) for u in units), sum(len(u.keyframes) for u in units)
    for diagnostic in wrong:
        say(diagnostic)
    if json:
        given = {"videos": len(units), "clips": clips, "keyframes": keyframes}
        print_json({**given, "extrapolated_to": corpus or len(units), **made.data()})
    else:
        print(
            f"{count(len(units), 'video')}, {count(clips, 'clip')}, {count(keyframes, 'keyframe')}"
        )
        if times != 1.0:
            print(f"extrapolated to {count(corpus, 'video')}:")
        print("\n".join(made.text()))
    if wrong:
        raise typer.Exit(1)


def _keyframes(compiler: Any, passes: Any, videos: list[Path]) -> tuple[list[Any], Any]:
    """The units of all videos after the passes that choose keyframes, and the diagnostics."""
    from stepc.passmanager.run import run
    from stepc.video.discover import find_videos

    look = [p for p in passes if p.levels()[0].LEVEL == p.levels()[1].LEVEL == "clips"]
    units = []
    found, wrong = find_videos(videos)
    for path in found:
        try:
            unit = compiler.start(path)
            for done in run(look, unit, compiler.tools()):
                unit = done.unit
        except StepcError as error:
            wrong += error.in_file(printable(str(path))).diagnostics
            continue
        units.append(unit)
    return units, wrong


@app.command(epilog="Example: stepc dump films/film-7-000.mp4 --after merge")
@choosing
def dump(
    video: Annotated[Path, typer.Argument(help="A video file.")],
    after: Annotated[str, After],
    choice: Any,
    spec: SpecFile = None,
    pipeline: Pipeline = None,
    seed: Seed = 0,
    json: Json = False,
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
        after=after,
        dump_after=dump_after,
        verify_each=verify_each,
        stats=stats,
    )
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
            autocompletion=complete_pipeline,
            rich_help_panel=PIPELINE,
        ),
    ] = "",
    video: Annotated[
        list[Path] | None,
        typer.Option(
            "--video",
            help="The video file, if the passes need pictures. Repeatable.",
            rich_help_panel=IO,
        ),
    ] = None,
    spec: SpecFile = None,
    seed: Seed = 0,
    json: Json = False,
    after: Annotated[str | None, After] = None,
    dump_after: DumpAfter = None,
    verify_each: Verify = True,
    stats: Times = False,
) -> None:
    """Read an IR file, verify it, run passes on it and print the result."""
    from stepc.driver.compile_video import Compiler
    from stepc.ir.text import write
    from stepc.video.probe import probe

    unit = load(file)
    order = order_of(pipeline or "split", spec, choice, seed)
    compiler = Compiler(order)
    for path in video or []:
        compiler.pictures.add(probe(path))
    unit = run_passes(
        compiler,
        unit,
        pipeline,
        after=after,
        dump_after=dump_after,
        verify_each=verify_each,
        stats=stats,
    )
    sys.stdout.write(unit.to_json().decode() if json else write(unit))


@app.command(epilog="Example: stepc passes keyframes")
def passes(
    name: Annotated[
        str | None,
        typer.Argument(help="A pass; default: all passes.", autocompletion=complete_pass),
    ] = None,
    json: Json = False,
) -> None:
    """List all passes, or show the options of one.

    Keys of --json: passes (a list: name, summary, help; takes and gives, the levels of the IR,
    null for passes over a corpus; keeps_level; options, a list: name, type, default, help);
    default (the default pipeline).
    """
    from stepc.passmanager.pipeline_text import DEFAULT, LINK
    from stepc.passmanager.registry import pass_names

    if name is not None and name not in pass_names():
        help = did_you_mean(name, pass_names())
        raise fail("P002", f"unknown pass `{name}`", None, help)
    rows = [_pass_data(each) for each in pass_names() if name in (None, each)]
    if json:
        print_json({"passes": rows, "default": f"{DEFAULT},{LINK}"})
    elif name is None:
        for row in rows:
            print(f"{row['name']:18} {row['summary']}")
        print(f"\ndefault: {DEFAULT},{LINK}")
    else:
        _print_pass(rows[0])


def _pass_data(name: str) -> dict[str, Any]:
    import inspect

    from stepc.passmanager.base import Pass
    from stepc.passmanager.registry import option_lines, pass_type

    kind = pass_type(name)
    module = sys.modules[kind.__module__].__doc__ or ""
    takes, gives, keeps = None, None, False
    if issubclass(kind, Pass):
        takes, gives = (level.LEVEL for level in kind.levels())
        keeps = kind.keeps_level
    keys = ("name", "type", "default", "help")
    return {
        "name": name,
        "summary": module.split(":", 1)[-1].strip(),
        "help": inspect.getdoc(kind) or "",
        "takes": takes,
        "gives": gives,
        "keeps_level": keeps,
        "options": [dict(zip(keys, line, strict=True)) for line in option_lines(kind)],
    }


def _print_pass(row: dict[str, Any]) -> None:
    levels = f"{row['takes'] or 'corpus'} → {row['gives'] or 'corpus'}"
    if row["keeps_level"]:
        levels = "any graph level, unchanged"
    print(f"{row['name']}   {levels}\n")
    print(row["help"])
    if row["options"]:
        print("\noptions:")
    for option in row["options"]:
        print(
            f"  {option['name']}={option['default']}   ({option['type']})\n      {option['help']}"
        )
