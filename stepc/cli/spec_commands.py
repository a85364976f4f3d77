"""Commands for specs and IR files: check, fmt, ask, paths, lsp, explain."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepc.cli.app import IO, LIMITS, errors
from stepc.cli.common import (
    Json,
    Seed,
    app,
    count,
    order_of,
    print_json,
    run_passes,
    say,
    spec_of,
)
from stepc.cli.completion import complete_code, complete_spec
from stepc.diagnostics import Diagnostic, Place, StepcError, did_you_mean, fail, printable

if TYPE_CHECKING:
    from stepc.lang.types import Spec

OnlyBlock = Annotated[
    str | None,
    typer.Option("--block", help="Use only this block of the spec.", rich_help_panel=IO),
]


@app.command(epilog="Example: stepc check specs/step.step")
def check(
    files: Annotated[
        list[Path],
        typer.Argument(help="Spec files (.step), names of built-in specs, and IR files."),
    ],
    fix: Annotated[
        bool,
        typer.Option(
            "--fix", help="Change the spec files where an error has a fix.", rich_help_panel=IO
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Check specs and IR files, and report all errors.

    --json prints a list of diagnostics. Keys: code, severity, message, file, line, column, help,
    notes (other places: message, file, line, column), fix (line, column, length, text: what to put in
    place of what is there). All but the first three may be null.
    """
    from stepc.lang.parse import shipped
    from stepc.lang.resolve import checked_spec

    found: list[Diagnostic] = []
    for file in files:
        try:
            if file.suffix == ".step" or (str(file) in shipped() and not file.exists()):
                text, _, folder = spec_of(file)
                if fix and file.exists():
                    text = _fixed(file, text, folder)
                found += checked_spec(text, printable(str(file)), folder)[1]
            else:
                from stepc.ir.load import read_file
                from stepc.ir.verify import verify
                from stepc.lang.fitting import unfit

                read, shown = read_file(file), printable(str(file))
                found += [*verify(*read, shown, warnings=True), *unfit(*read, shown)]
        except StepcError as error:
            found += error.diagnostics
    if json:
        print_json([d.data() for d in found])
    else:
        for diagnostic in found:
            say(diagnostic)
        warnings = [d for d in found if d.severity == "warning"]
        more = f", {count(len(warnings), 'warning')}" if warnings else ""
        mistakes = count(len(found) - len(warnings), "mistake")
        errors.print(f"{count(len(files), 'file')} checked, {mistakes}{more}")
    if any(d.severity == "error" for d in found):
        raise typer.Exit(1)


def _fixed(file: Path, text: str, folder: Path | None) -> str:
    """The text after all fixes; it is written to the file if there are any."""
    from stepc.lang.resolve import fixed_spec
    from stepc.runtime.atomic_files import write_whole

    made, number = fixed_spec(text, printable(str(file)), folder)
    if number:
        write_whole(file, made.encode())
        errors.print(f"{printable(str(file))}: {count(number, 'fix', 'fixes')}")
    return made


@app.command(epilog="Example: stepc fmt --check specs/step.step")
def fmt(
    files: Annotated[
        list[Path],
        typer.Argument(help="Spec files (.step).", autocompletion=complete_spec),
    ],
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Write nothing; exit with 1 if a file would change.",
            rich_help_panel=IO,
        ),
    ] = False,
) -> None:
    """Format specs in the canonical layout. Tokens and comments are preserved."""
    from stepc.lang.format import format_spec
    from stepc.runtime.atomic_files import write_whole

    found: list[Diagnostic] = []
    changed = 0
    for file in files:
        try:
            text, *_ = spec_of(file)
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
    errors.print(f"{count(changed, 'file')} {'would change' if check else 'changed'}")
    if found or (check and changed):
        raise typer.Exit(1)


@app.command(epilog="Example: stepc ask specs/step.step out/units/film-7-000.stsg -n 3")
def ask(
    spec: Annotated[Path, typer.Argument(help="A .step file.", autocompletion=complete_spec)],
    unit: Annotated[Path, typer.Argument(help="A graph: an IR file of level stsg.")],
    questions: Annotated[
        int,
        typer.Option(
            "--questions", "-n", min=1, help="Number of questions to print.", rich_help_panel=IO
        ),
    ] = 5,
    seed: Seed = 0,
    block: OnlyBlock = None,
    read: Annotated[
        bool,
        typer.Option(
            "--read",
            help="Print everything that each question may mean, as a query with its answer.",
            rich_help_panel=IO,
        ),
    ] = False,
) -> None:
    """Try a spec on one graph: print questions, reasoning steps and answers."""
    from stepc.driver.compile_video import Compiler
    from stepc.ir.load import load
    from stepc.ir.types import Qras
    from stepc.model.load import ModelConfig

    order = order_of("sample,compose,check", spec, ModelConfig(), seed)
    compiler = Compiler(order)
    compiler.spec = _only(block, compiler.spec)
    counts: dict[str, dict[str, int]] = {}
    made = run_passes(
        compiler,
        load(unit),
        order.pipeline,
        after=None,
        dump_after=None,
        verify_each=True,
        stats=False,
        counts=counts,
    )
    assert isinstance(made, Qras)
    blocks = {p.id: p.block for p in made.paths}
    reader = _reader(made, compiler) if read else None
    shown = sorted(made.samples, key=lambda s: _turn(s, made.samples, blocks))
    for sample in shown[:questions]:
        _print_sample(sample, blocks[sample.path], reader)
    several = sum(bool(s.also) for s in made.samples)
    counted = count(len(made.samples), "question")
    answers = f"{len(made.samples) - several} with one answer on the graph"
    if several:
        answers += f", {several} with several (all are given)"
    errors.print(f"{counted}: {answers}")
    if not made.samples:
        errors.print(f"nothing can be asked: {_reasons(counts)}")
        errors.print(
            "`stepc paths` with the same spec and graph counts all paths, and why they are rejected"
        )


def _only(block: str | None, spec: Spec) -> Spec:
    """A spec with one of its blocks only. Raises StepcError (S404)."""
    if block is None:
        return spec
    named = {b.name: b for b in spec.blocks}
    if block not in named:
        help = did_you_mean(block, named)
        raise fail("S404", f"the spec has no block `{block}`", Place("--block"), help)
    return spec.model_copy(update={"blocks": (named[block],)})


def _print_sample(sample: Any, block: str, reader: Any) -> None:
    """Print a sample, with all meanings of its question if there is a reader."""
    from stepc.ir.literals import quote

    of = f" of {block}" if block != "paths" else ""
    print(f"{count(len(sample.rationale), 'step')}{of}\n  Q: {sample.question}")
    if sample.form == "choice":
        more = f"  (and {sample.room} from other videos)" if sample.room else ""
        print("     " + "  ".join(f"({o})" for o in sample.options) + more)
    for because in sample.rationale:
        print(f"     {because.text}")
    print(f"  A: {' or '.join([sample.answer, *sample.also])}")
    for reading, answer in reader.readings(sample.question) if reader else ():
        claim = f" {quote(reading.claim)}?" if reading.claim else ""
        print(f"  means: {' | '.join(op.text() for op in reading.query)}{claim} -> {answer}")
    print()


def _reader(unit: Any, compiler: Any) -> Any:
    """A reader of the texts of a unit."""
    from stepc.proof.facts import facts
    from stepc.reader.reader import Reader

    return Reader(unit, facts(unit, compiler.spec.language), compiler.spec)


def _reasons(counts: dict[str, dict[str, int]]) -> str:
    """Why paths and samples were rejected, the most frequent reason first."""
    why = Counter[str]()
    for table in counts.values():
        for what, n in table.items():
            if what.startswith(("drawn anew: ", "dropped: ")):
                why[what.partition(": ")[2]] += n
    return "; ".join(f"{what} ({n} times)" for what, n in why.most_common()) or (
        "no edge of the graph gives a question that has one answer and that the spec can word"
    )


def _turn(sample: Any, samples: Any, blocks: dict[str, str]) -> tuple[int, int]:
    """Sort key that interleaves the samples of all blocks."""
    block = blocks[sample.path]
    before = [s for s in samples if blocks[s.path] == block]
    return before.index(sample), list(dict.fromkeys(blocks.values())).index(block)


@app.command(epilog="Example: stepc paths specs/step.step out/units/film-7-000.stsg")
def paths(
    spec: Annotated[Path, typer.Argument(help="A .step file.", autocompletion=complete_spec)],
    unit: Annotated[Path, typer.Argument(help="A graph: an IR file of level stsg.")],
    max_paths: Annotated[
        int,
        typer.Option(min=1, help="Maximum number of paths to count.", rich_help_panel=LIMITS),
    ] = 100_000,
    block: OnlyBlock = None,
) -> None:
    """Count the different paths of a spec on a graph, and the reasons for which others are dropped."""
    from stepc.ir.load import load
    from stepc.ir.types import Stsg
    from stepc.lang.resolve import read_spec
    from stepc.passes.sample import census

    text, name, folder = spec_of(spec)
    graph = load(unit)
    if not isinstance(graph, Stsg):
        help = "run the missing passes with `stepc opt FILE --pipeline …`"
        message = f"paths are counted on a unit of level stsg, and this one is {graph.LEVEL}"
        raise fail("P005", message, Place(printable(str(unit))), help)
    found = census(graph, _only(block, read_spec(text, name, folder)), max_paths)
    total = 0
    for block, wanted in sorted({(b, n) for b, n, _, _ in found.counts}):
        mine = {k: c for k, c in found.counts.items() if k[:2] == (block, wanted)}
        kept = {kind: c for (_, _, kind, why), c in sorted(mine.items()) if not why}
        total += sum(kept.values())
        kinds = ", ".join(f"{kind} {c}" for kind, c in kept.items())
        of = f"{block}, " if block != "paths" else ""
        print(f"{of}{count(wanted, 'step')}: {sum(kept.values())}{f' ({kinds})' if kinds else ''}")
        for why in sorted({k[3] for k in mine if k[3]}):
            print(f"    {sum(c for k, c in mine.items() if k[3] == why)} dropped: {why}")
    among = "" if found.whole else f" among the first {max_paths:,}"
    print(f"{count(total, 'different path')}{among}")


@app.command(epilog="Example: stepc lsp --help")
def lsp() -> None:
    """Run the language server for .step files over standard input and output."""
    from stepc.lang.lsp import serve

    serve()


@app.command(epilog="Example: stepc explain S311")
def explain(
    code: Annotated[
        str,
        typer.Argument(help="A diagnostic code, such as S311.", autocompletion=complete_code),
    ],
) -> None:
    """Explain a diagnostic code, with a wrong and a right example."""
    from stepc.diagnostics.catalogue import PAGES

    page = PAGES.get(code.upper())
    if page is None:
        raise fail("U001", f"unknown code `{code}`", None, did_you_mean(code.upper(), PAGES))
    print(page.shown(code.upper()))
