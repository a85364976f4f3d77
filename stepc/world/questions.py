"""Questions composed from ground-truth graphs, for evaluation and for the training of control arms."""

from __future__ import annotations

from pathlib import Path

from stepc.dataset.spool import CompiledUnit, Spool
from stepc.diagnostics import Place, fail, printable
from stepc.driver.compile_corpus import Summary, write_dataset, write_unit
from stepc.driver.compile_video import CompileConfig, Compiler
from stepc.ir import types as t
from stepc.ir.text import read
from stepc.lang.parse import builtin
from stepc.passmanager.base import Tools
from stepc.passmanager.run import run
from stepc.runtime.output_folder import OutputFolder
from stepc.video.decode import Pictures
from stepc.world.films import make_films

PASSES = "sample,compose,check"
EXAM = "dedupe,balance(steps=0,answer=0.25,least=40),blind(most=0.02),pairs,emit"
"""Link passes of an exam: neither its texts nor the commonest answers tell much, and it has minimal pairs."""


HELD_OUT = 30_000
"""The seed of the films of an exam."""


def held_out(out: Path, films: int) -> None:
    """Write an exam about rendered films that nothing is trained on: `out`, and `out/films`.

    What is there already is kept. Raises StepcError (B014) if `out` cannot be written.
    """
    if not (out / "qra.jsonl").exists():
        make_films(out / "films", films, HELD_OUT)
        true_questions(out / "films", out, (builtin("step"), "step.step", None), 0, EXAM)


def true_questions(
    films: Path, out: Path, spec: tuple[str, str, Path | None], seed: int, links: str = ""
) -> Summary:
    """Write a dataset of questions that a spec (text, name, folder) draws from films' ground-truth graphs.

    `films` is a folder written by `stepc world render`. No model is asked. `links` are link passes, by
    default those of the spec. Raises StepcError: U001 if the
    folder has no ground-truth graph, B014 if `out` cannot be written.
    """
    graphs = sorted(films.glob("*.true.stsg"))
    if not graphs:
        help = "create films and their graphs with `stepc world render`"
        place = Place(printable(str(films)))
        raise fail("U001", "no ground-truth graph (`*.true.stsg`) found", place, help)
    passes = ",".join([PASSES, *([links] if links else [])])
    order = CompileConfig(passes, "", spec[0], spec[1], spec_folder=spec[2], seed=seed)
    compiler, summary = Compiler(order), Summary(compiled=len(graphs))
    with OutputFolder(out) as folder:
        spool = Spool(out)
        for path in graphs:
            unit = read(path.read_text("utf-8"), path.name).unit
            tools = Tools(Pictures(), spec=compiler.spec, seed=seed)
            for step in run(compiler.passes, unit, tools):
                unit = step.unit
            assert isinstance(unit, t.Qras)
            made = CompiledUnit.of(unit, "the true graph", order.spec_name, compiler.formats)
            write_unit(folder, made)
            spool.add(made)
        write_dataset(folder, compiler, spool, [], summary)
    return summary
