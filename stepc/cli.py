"""The command line. Results go to standard output, everything else to standard error."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from stepc import __version__
from stepc.diagnostics import Diagnostic, Place, StepcError, did_you_mean, fail, printable

EMBEDDED = "embedded"
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Compile videos into question-rationale-answer data for Video-LLMs.",
    epilog="Example: stepc world render -o films -n 2 --seed 7 && stepc compile films -o out",
)
world = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The rendered world that the embedded model knows: films, their true graphs, its weights.",
    epilog="Example: stepc world render -o films -n 2 --seed 7",
)
app.add_typer(world, name="world")
model_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="What a model understands.",
    epilog="Example: stepc model check embedded -n 2",
)
app.add_typer(model_app, name="model")
errors = Console(stderr=True, highlight=False, soft_wrap=True)

MODEL_HELP = (
    "`embedded` (knows the rendered world and nothing else), a hub id or folder of a "
    "transformers image-text-to-text model, openai:MODEL behind a server, or replay:CASSETTE."
)
Model = Annotated[str, typer.Option("--model", "-m", help=MODEL_HELP)]
SpecFile = Annotated[
    Path | None, typer.Option("--spec", "-s", help="A .step file; without, the built-in `step`.")
]
Seed = Annotated[int, typer.Option(help="Seed of everything that is drawn.")]
TemplateSet = Annotated[
    str | None,
    typer.Option("--templates", help="`default`, `compact`, or a folder (with a slash)."),
]
Record = Annotated[
    Path | None, typer.Option("--record", help="Keep all model calls in this cassette.")
]
Trace = Annotated[
    Path | None, typer.Option("--trace", help="Append a JSON line for each call to this file.")
]
Url = Annotated[
    str | None,
    typer.Option("--base-url", help="The OpenAI-compatible server of openai:MODEL, up to /v1."),
]
Sent = Annotated[str, typer.Option("--pictures", help="How a server gets them: jpeg or png.")]
AtOnce = Annotated[int, typer.Option(min=1, help="Calls that wait for a server at one time.")]
MaxRequests = Annotated[int | None, typer.Option(min=0, help="Stop before more requests.")]
MaxTokens = Annotated[int | None, typer.Option(min=0, help="Stop at so many tokens.")]
MaxCost = Annotated[float | None, typer.Option(min=0, help="Stop at this cost; see --price.")]
Price = Annotated[
    str, typer.Option(help="Of a million tokens sent and received, such as 0.15/0.60.")
]
Verify = Annotated[
    bool, typer.Option("--verify-each/--no-verify-each", help="Verify after each pass.")
]
DumpAfter = Annotated[
    str | None,
    typer.Option("--dump-after", help="Print the IR after this pass (or `all`) to stderr."),
]
Times = Annotated[
    bool, typer.Option("--stats", help="Print time and counts of each pass to stderr.")
]


def say(diagnostic: Diagnostic) -> None:
    """Print a diagnostic to standard error."""
    text = Text(diagnostic.text())
    head = f"{diagnostic.severity}[{diagnostic.code}]"
    text.stylize("bold red" if diagnostic.severity == "error" else "bold yellow", 0, len(head))
    errors.print(text)


def main() -> None:
    """Run the command line; a user's mistake never shows a traceback."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        app()
    except StepcError as error:
        for diagnostic in error.diagnostics:
            say(diagnostic)
        sys.exit(1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print("stopped")
        sys.exit(130)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"stepc {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _spec(path: Path | None) -> tuple[str, str, Path | None]:
    """Text, name and folder of a spec file or of the built-in one."""
    from stepc.spec.parse import builtin

    if path is None:
        return builtin("step"), "step.step", None
    try:
        return path.read_text("utf-8"), path.name, path.parent
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise fail("B006", f"cannot be read ({reason})", Place(printable(str(path)))) from None


def _order(pipeline: str | None, spec: Path | None, model: str, seed: int, **more: Any) -> Any:
    from stepc.compile import Order
    from stepc.pipeline import DEFAULT

    text, name, folder = _spec(spec)
    return Order(pipeline or DEFAULT, "", text, name, model, folder, seed=seed, **more)


@app.command(epilog="Example: stepc compile films -o out --seed 1 --jobs 2")
def compile(
    videos: Annotated[list[Path], typer.Argument(help="Video files, or folders of them.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the dataset.")],
    spec: SpecFile = None,
    model: Model = EMBEDDED,
    pipeline: Annotated[
        str | None, typer.Option("--pipeline", "-p", help="Passes; see `stepc passes`.")
    ] = None,
    seed: Seed = 0,
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs", "-j", min=0, help="Workers; 0: one a core with the embedded model, else 1."
        ),
    ] = 0,
    templates: TemplateSet = None,
    record: Record = None,
    base_url: Url = None,
    at_once: AtOnce = 16,
    pictures: Sent = "jpeg",
    max_requests: MaxRequests = None,
    max_tokens: MaxTokens = None,
    max_cost: MaxCost = None,
    price: Price = "0/0",
    trace: Trace = None,
    verify_each: Verify = True,
    stats: Times = False,
) -> None:
    """Compile videos into a dataset: OUT/qra.jsonl, OUT/units/NAME.stsg, OUT/manifest.json."""
    from stepc.compile import compile_corpus
    from stepc.model.server import Server

    price_in, price_out = _prices(price)
    if pictures not in ("jpeg", "png"):
        raise fail(
            "U001", f"pictures are not sent as `{pictures}`", Place("--pictures"), "jpeg, png"
        )
    server = Server(
        base_url,
        at_once,
        pictures=pictures,
        max_requests=max_requests,
        max_tokens=max_tokens,
        max_cost=max_cost,
        price_in=price_in,
        price_out=price_out,
    )
    order = _order(
        pipeline,
        spec,
        model,
        seed,
        templates=templates,
        record=record,
        verify_each=verify_each,
        server=server,
        trace=trace,
    )
    if model.startswith("openai:"):  # many calls at once already, and one budget
        jobs = 1
    if jobs == 0:
        jobs = (os.cpu_count() or 1) if model == EMBEDDED else 1
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=errors, disable=not errors.is_terminal) as bar:
        task = bar.add_task("compiling", total=None)

        def progress(done: int, total: int, name: str) -> None:
            bar.update(task, completed=done, total=total, description=name or "compiling")

        summary = compile_corpus(videos, out, order, jobs=jobs, say=say, progress=progress)
    if stats:
        _stats(summary.seconds, summary.counts)
    if summary.spent:
        errors.print(summary.spent)
    if model == EMBEDDED and summary.compiled and not summary.objects:
        say(_stranger(f"in {summary.compiled} videos" if summary.compiled > 1 else "in the video"))
    steps = ", ".join(f"{c} of {n} steps" for n, c in sorted(summary.by_steps.items()))
    errors.print(
        f"{summary.compiled} compiled, {summary.failed} failed: {summary.samples} samples"
        + (f" ({steps})" if steps else "")
        + f" in {' and '.join(printable(str(out / f)) for f in summary.files)}"
    )
    if summary.interrupted:
        errors.print("stopped; what was compiled is in the dataset")
        raise typer.Exit(1 if summary.stopped else 130)
    if summary.failed:
        raise typer.Exit(1)


def _prices(text: str) -> tuple[float, float]:
    """Two prices with a slash between them. Raises StepcError (U001)."""
    try:
        one, other = (float(part) for part in text.split("/"))
    except ValueError:
        help = "such as --price 0.15/0.60"
        raise fail("U001", f"`{text}` is not two prices", Place("--price"), help) from None
    return one, other


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _stranger(where: str) -> Diagnostic:
    return Diagnostic(
        "M006",
        f"the embedded model recognised nothing {where}: it knows its rendered world and nothing else",
        None,
        "for real footage name a Video-LLM: --model HUB_ID_OR_FOLDER",
        "warning",
    )


def _stats(seconds: dict[str, float], counts: dict[str, dict[str, int]]) -> None:
    for key in dict.fromkeys([*seconds, *counts]):
        took = f"{seconds[key]:8.2f} s" if key in seconds else " " * 10
        errors.print(f"{took}  {key}")
        for name, n in counts.get(key, {}).items():
            if n:
                errors.print(f"{n:18,}  {name}")


def _run_passes(
    compiler: Any,
    unit: Any,
    text: str,
    *,
    stop_after: str | None,
    dump_after: str | None,
    verify_each: bool,
    stats: bool,
) -> Any:
    from stepc.compile import split_pipeline
    from stepc.ir.text import write
    from stepc.pipeline import run, run_alone

    passes, links = split_pipeline(text) if text else ([], [])
    names = [p.name for p in (*passes, *links)]
    for option, name in (("--after", stop_after), ("--dump-after", dump_after)):
        if name not in (None, "all", *names):
            help = did_you_mean(str(name), names)
            raise fail("P002", f"`{name}` is not in the pipeline", Place(option), help)
    if stop_after is not None:
        last = max(i for i, name in enumerate(names) if name == stop_after) + 1
        passes, links = passes[:last], links[: max(0, last - len(passes))]
    counts, seconds = {}, {}
    steps = run(passes, unit, compiler.tools(), verify_each=verify_each)
    for i, done in enumerate(run_alone(steps, unit, links, compiler.order.seed), 1):
        unit = done.unit
        counts[f"{i}:{done.name}"], seconds[f"{i}:{done.name}"] = dict(done.counts), done.seconds
        if dump_after in (done.name, "all"):
            errors.print(Text(f"; after {done.name}\n{write(unit)}"))
    compiler.close()
    if stats:
        _stats(seconds, counts)
    return unit


@app.command(epilog="Example: stepc plan films --price 0.15/0.60 --rate 20")
def plan(
    videos: Annotated[list[Path], typer.Argument(help="Video files, or folders of them.")],
    spec: SpecFile = None,
    pipeline: Annotated[str | None, typer.Option("--pipeline", "-p", help="Passes.")] = None,
    objects: Annotated[float, typer.Option(min=0, help="Assumed: objects a keyframe.")] = 5.0,
    attributes: Annotated[float, typer.Option(min=0, help="Assumed: attributes an object.")] = 3.0,
    relations: Annotated[float, typer.Option(min=0, help="Assumed: relations a pair.")] = 1.5,
    moving: Annotated[float, typer.Option(min=0, max=1, help="Assumed: share that moves.")] = 0.5,
    back: Annotated[
        float, typer.Option(min=0, help="Assumed: share of labels that another clip has too.")
    ] = 0.5,
    price: Price = "0/0",
    rate: Annotated[float, typer.Option(min=0, help="Calls a second that the model does.")] = 0.0,
) -> None:
    """Say what a compile would ask a model, without asking: calls, pictures, tokens, cost, time."""
    from stepc.compile import Compiler, find_videos, split_pipeline
    from stepc.model.plan import Assumed, shown
    from stepc.model.plan import plan as planned
    from stepc.pipeline import run

    order = _order(pipeline, spec, EMBEDDED, 0)
    passes, _ = split_pipeline(order.pipeline)
    look = [p for p in passes if p.levels()[0].LEVEL == p.levels()[1].LEVEL == "clips"]
    compiler = Compiler(order)
    found, wrong = find_videos(videos)
    assume = Assumed(objects, attributes, relations, moving, back)
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
    print(
        f"{_count(len(plans), 'video')}, {_count(clips, 'clip')}, {_count(keyframes, 'keyframe')}"
    )
    for row in shown(plans, _prices(price), rate):
        print(row)
    if wrong:
        raise typer.Exit(1)


@app.command(epilog="Example: stepc dump films/film-7-000.mp4 --after merge")
def dump(
    video: Annotated[Path, typer.Argument(help="A video file.")],
    after: Annotated[str, typer.Option(help="The last pass to run.")],
    spec: SpecFile = None,
    model: Model = EMBEDDED,
    pipeline: Annotated[str | None, typer.Option("--pipeline", "-p", help="Passes.")] = None,
    seed: Seed = 0,
    templates: TemplateSet = None,
    record: Record = None,
    json: Annotated[bool, typer.Option("--json", help="The JSON form.")] = False,
    base_url: Url = None,
    dump_after: DumpAfter = None,
    verify_each: Verify = True,
    stats: Times = False,
) -> None:
    """Print the IR of a video after a pass."""
    from stepc.compile import Compiler
    from stepc.ir.text import write
    from stepc.model.server import Server

    server = Server(base_url)
    order = _order(pipeline, spec, model, seed, templates=templates, record=record, server=server)
    compiler = Compiler(order)
    unit = _run_passes(
        compiler,
        compiler.start(video),
        order.pipeline,
        stop_after=after,
        dump_after=dump_after,
        verify_each=verify_each,
        stats=stats,
    )
    if model == EMBEDDED and getattr(unit, "objects", None) == ():
        say(_stranger("in the video"))
    sys.stdout.write(unit.to_json().decode() if json else write(unit))


@app.command(epilog="Example: stepc opt out/units/film-7-000.stsg --pipeline sample,compose,check")
def opt(
    file: Annotated[Path, typer.Argument(help="An IR file of any level; - for standard input.")],
    pipeline: Annotated[
        str, typer.Option("--pipeline", "-p", help="Passes; none prints what was read.")
    ] = "",
    video: Annotated[
        list[Path] | None, typer.Option("--video", help="The video file, where passes need it.")
    ] = None,
    spec: SpecFile = None,
    model: Model = EMBEDDED,
    seed: Seed = 0,
    templates: TemplateSet = None,
    record: Record = None,
    json: Annotated[bool, typer.Option("--json", help="Print the JSON form.")] = False,
    base_url: Url = None,
    stop_after: Annotated[str | None, typer.Option(help="The last pass to run.")] = None,
    dump_after: DumpAfter = None,
    verify_each: Verify = True,
    stats: Times = False,
) -> None:
    """Read an IR file, verify it, run passes on it and print the result."""
    from stepc.compile import Compiler
    from stepc.ir.text import write
    from stepc.model.server import Server
    from stepc.video import probe

    unit = _read_unit(file)
    more = {"templates": templates, "record": record, "server": Server(base_url)}
    order = _order(pipeline or "split", spec, model, seed, **more)
    compiler = Compiler(order)
    for path in video or []:
        compiler.pictures.add(probe(path))
    unit = _run_passes(
        compiler,
        unit,
        pipeline,
        stop_after=stop_after,
        dump_after=dump_after,
        verify_each=verify_each,
        stats=stats,
    )
    sys.stdout.write(unit.to_json().decode() if json else write(unit))


def _read_unit(file: Path) -> Any:
    """The verified unit in a file of text or JSON. Raises StepcError with all that is wrong."""
    from stepc.ir.text import read
    from stepc.ir.types import from_json
    from stepc.ir.verify import verify

    shown = printable(str(file))
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise fail("B006", f"cannot be read ({reason})", Place(shown)) from None
    got = None
    if text.lstrip().startswith("{"):
        try:
            unit = from_json(data)
        except ValueError as error:
            first = str(error).splitlines()
            raise fail(
                "I003", f"not the JSON form of a unit: {' '.join(first[:3])}", Place(shown)
            ) from None
    else:
        got = read(text, shown)
        unit = got.unit
    found = verify(unit, got, shown)
    if found:
        raise StepcError(*found)
    return unit


@app.command(epilog="Example: stepc check specs/step.step")
def check(
    files: Annotated[list[Path], typer.Argument(help="Spec files (.step) and IR files.")],
    json: Annotated[bool, typer.Option("--json", help="Print diagnostics as JSON.")] = False,
) -> None:
    """Check specs and IR files; all that is wrong is said."""
    import orjson

    from stepc.spec.read import read_spec

    found: list[Diagnostic] = []
    for file in files:
        try:
            if file.suffix == ".step":
                text, _, folder = _spec(file)
                read_spec(text, printable(str(file)), folder)
            else:
                _read_unit(file)
        except StepcError as error:
            found += error.diagnostics
    if json:
        rows = orjson.dumps([d.data() for d in found], option=orjson.OPT_INDENT_2)
        sys.stdout.write(rows.decode() + "\n")
    else:
        for diagnostic in found:
            say(diagnostic)
        errors.print(f"{_count(len(files), 'file')} checked, {_count(len(found), 'mistake')}")
    if found:
        raise typer.Exit(1)


@app.command(epilog="Example: stepc fmt --check specs/step.step")
def fmt(
    files: Annotated[list[Path], typer.Argument(help="Spec files (.step).")],
    check: Annotated[bool, typer.Option("--check", help="Change nothing; 1 if one would.")] = False,
) -> None:
    """Write specs in their canonical layout; tokens and comments survive."""
    from stepc.compile import write_whole
    from stepc.spec.format import format_spec

    found: list[Diagnostic] = []
    changed = 0
    for file in files:
        try:
            text, *_ = _spec(file)
            made = format_spec(text, printable(str(file)))
            if made != text:
                changed += 1
                print(printable(str(file)))
                if not check:
                    write_whole(file, made.encode())
        except StepcError as error:
            found += error.diagnostics
    for diagnostic in found:
        say(diagnostic)
    errors.print(f"{_count(changed, 'file')} {'would change' if check else 'changed'}")
    if found or (check and changed):
        raise typer.Exit(1)


@app.command(epilog="Example: stepc ask specs/step.step out/units/film-7-000.stsg -n 3")
def ask(
    spec: Annotated[Path, typer.Argument(help="A .step file.")],
    unit: Annotated[Path, typer.Argument(help="A graph: an IR file of level stsg.")],
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="How many to show.")] = 5,
    seed: Seed = 0,
) -> None:
    """Try a spec on one graph: show questions, steps and answers."""
    from stepc.compile import Compiler
    from stepc.ir.types import Qras

    order = _order("sample,compose,check", spec, EMBEDDED, seed)
    compiler = Compiler(order)
    made = _run_passes(
        compiler,
        _read_unit(unit),
        order.pipeline,
        stop_after=None,
        dump_after=None,
        verify_each=True,
        stats=False,
    )
    assert isinstance(made, Qras)
    blocks = {p.id: p.block for p in made.paths}
    shown = sorted(made.samples, key=lambda s: _turn(s, made.samples, blocks))
    for sample in shown[:number]:
        block = blocks[sample.path]
        of = f" of {block}" if block != "paths" else ""
        print(f"{_count(len(sample.rationale), 'step')}{of}\n  Q: {sample.question}")
        if sample.form == "choice":
            print("     " + "  ".join(f"({o})" for o in sample.options))
        for because in sample.rationale:
            print(f"     {because.text}")
        print(f"  A: {' or '.join([sample.answer, *sample.also])}\n")
    errors.print(f"{_count(len(made.samples), 'question')}, each with one answer on the graph")


def _turn(sample: Any, samples: Any, blocks: dict[str, str]) -> tuple[int, int]:
    """The place of a sample where every block has its turn."""
    block = blocks[sample.path]
    before = [s for s in samples if blocks[s.path] == block]
    return before.index(sample), list(dict.fromkeys(blocks.values())).index(block)


@app.command(epilog="Example: stepc paths specs/step.step out/units/film-7-000.stsg")
def paths(
    spec: Annotated[Path, typer.Argument(help="A .step file.")],
    unit: Annotated[Path, typer.Argument(help="A graph: an IR file of level stsg.")],
    most: Annotated[int, typer.Option(min=1, help="Stop counting here.")] = 100_000,
) -> None:
    """Count the different paths a graph has for a spec, and what drops the others."""
    from stepc.ir.types import Stsg
    from stepc.passes.sample import census
    from stepc.spec.read import read_spec

    text, name, folder = _spec(spec)
    graph = _read_unit(unit)
    if not isinstance(graph, Stsg):
        help = "`stepc opt FILE --pipeline …` takes it further"
        message = f"paths are drawn on a stsg, and this is {graph.LEVEL}"
        raise fail("P005", message, Place(printable(str(unit))), help)
    found = census(graph, read_spec(text, name, folder), most)
    total = 0
    for block, wanted in sorted({(b, n) for b, n, _, _ in found.counts}):
        mine = {k: c for k, c in found.counts.items() if k[:2] == (block, wanted)}
        kept = {kind: c for (_, _, kind, why), c in sorted(mine.items()) if not why}
        total += sum(kept.values())
        kinds = ", ".join(f"{kind} {c}" for kind, c in kept.items())
        of = f"{block}, " if block != "paths" else ""
        print(f"{of}{_count(wanted, 'step')}: {sum(kept.values())}{f' ({kinds})' if kinds else ''}")
        for why in sorted({k[3] for k in mine if k[3]}):
            print(f"    {sum(c for k, c in mine.items() if k[3] == why)} dropped: {why}")
    print(f"{total} different paths" + ("" if found.whole else f" among the first {most}"))


@app.command(epilog="Example: stepc lsp --help")
def lsp() -> None:
    """Serve an editor: a language server for .step files over standard input and output."""
    from stepc.spec.server import serve

    serve()


@app.command(epilog="Example: stepc passes keyframes")
def passes(
    name: Annotated[str | None, typer.Argument(help="A pass; without, all of them.")] = None,
) -> None:
    """List the passes, or the options of one."""
    from stepc.pipeline import DEFAULT, LINK, Pass, option_lines, pass_names, pass_type

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
            "P002", f"there is no pass `{name}`", None, did_you_mean(name, pass_names())
        ) from None
    import inspect

    levels = ""
    if issubclass(kind, Pass):
        takes, gives = kind.levels()
        levels = "any graph level, kept" if kind.keeps_level else f"{takes.LEVEL} → {gives.LEVEL}"
    print(f"{name}   {levels or 'corpus → corpus'}\n")
    print(inspect.getdoc(kind) or "")
    rows = option_lines(kind)
    if rows:
        print("\noptions:")
    for option, wanted, default, help in rows:
        print(f"  {option}={default}   ({wanted})\n      {help}")


@app.command(epilog="Example: stepc explain S311")
def explain(code: Annotated[str, typer.Argument(help="The code of a diagnostic.")]) -> None:
    """Explain a diagnostic's code, with a wrong and a right example."""
    from stepc.codes import PAGES

    page = PAGES.get(code.upper())
    if page is None:
        raise fail("U001", f"there is no code `{code}`", None, did_you_mean(code.upper(), PAGES))
    print(page.shown(code.upper()))


@model_app.command(name="check", epilog="Example: stepc model check embedded -n 2")
def model_check(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    number: Annotated[
        int, typer.Option("--number", "-n", min=1, help="How often each kind of request is asked.")
    ] = 10,
    seed: Seed = 0,
    templates: TemplateSet = None,
    base_url: Url = None,
    pictures: Sent = "jpeg",
) -> None:
    """Ask a model every kind of request about pictures whose truth is known.

    The pictures are of the rendered world: coloured shapes, left of and above each other.
    """
    from stepc.model.load import load
    from stepc.model.server import Server
    from stepc.world.exam import Exam

    exam = Exam(number, seed)
    server = Server(base_url, pictures=pictures)
    asker = load(model, exam.pictures, seed=seed, templates=templates, server=server)
    print(f"{'request':14} {'asked':>6} {'read':>6} {'right':>6} {'calls/s':>8}")
    for name, mark in exam.ask(asker):
        rate = mark.asked / mark.seconds if mark.seconds else 0.0
        print(
            f"{name:14} {mark.asked:6} {mark.read / mark.asked:6.2f}"
            f" {mark.right / mark.asked:6.2f} {rate:8.1f}",
            flush=True,
        )


@world.command(epilog="Example: stepc world render -o films -n 2 --seed 7")
def render(
    out: Annotated[Path, typer.Option("--out", "-o", help="A folder for films and true graphs.")],
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="How many films.")] = 1,
    seed: Seed = 0,
    shots: Annotated[int, typer.Option(min=0, max=9, help="Clips a film; 0: 2 to 4.")] = 0,
) -> None:
    """Render films (mp4) and their true STSGs (IR text) from a seed."""
    import random

    from stepc.compile import write_whole
    from stepc.ir.text import write
    from stepc.video import digest
    from stepc.world.render import write as write_film
    from stepc.world.scene import make_film
    from stepc.world.truth import truth

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise fail(
            "B014", f"cannot be written ({error.strerror})", Place(printable(str(out)))
        ) from None
    for i in range(number):
        film = make_film(random.Random(f"film/{seed}/{i}"), shots or None)
        name = f"film-{seed}-{i:03d}"
        path = out / f"{name}.mp4"
        write_film(film, path)
        unit = truth(film, name, path.name, digest(path))
        write_whole(out / f"{name}.true.stsg", write(unit).encode())
    errors.print(f"{number} films with their true graphs in {printable(str(out))}")


@world.command(epilog="Example: stepc world score films out/units")
def score(
    films: Annotated[Path, typer.Argument(help="The folder of `world render`.")],
    units: Annotated[Path, typer.Argument(help="The folder of induced graphs (OUT/units).")],
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
        help = "films are made by `stepc world render`, graphs by `stepc compile`"
        raise fail("U001", f"no graph in {units} belongs to a film in {films}", None, help)
    for true, made in pairs:
        total.add(compare(_read_unit(made), _read_unit(true)))
    print(f"{len(pairs)} films")
    print(total.table())


@world.command(epilog="Example: stepc world train -o model --minutes 150")
def train(
    out: Annotated[Path, typer.Option("--out", "-o", help="The model's folder.")],
    minutes: Annotated[float, typer.Option(min=0.01, help="How long to train.")] = 150.0,
    seed: Seed = 0,
    start: Annotated[
        Path | None, typer.Option(help="Teach the weights of this folder further.")
    ] = None,
) -> None:
    """Make the embedded model's weights from nothing, on a CPU."""
    from stepc.world.train import train as teach

    teach(out, minutes=minutes, seed=seed, start=start, say=errors.print)
