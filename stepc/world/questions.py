"""Questions about true graphs: what a model is examined with, and taught by the controls."""

from __future__ import annotations

from pathlib import Path

from stepc.compile import Order, Result, Summary, link_corpus, links_of, split_pipeline
from stepc.diagnostics import Place, fail, printable
from stepc.ir import types as t
from stepc.ir.text import read, write
from stepc.pipeline import Tools, run
from stepc.spec.read import read_spec
from stepc.video import Pictures

PASSES = "sample,compose,check"


def true_questions(
    films: Path, out: Path, spec: tuple[str, str, Path | None], seed: int
) -> Summary:
    """A dataset of questions that a spec (text, name, folder) draws from films' true graphs.

    `films` is a folder of `stepc world render`. No model is asked. Raises StepcError (U001 if
    there is no true graph; B014).
    """
    graphs = sorted(films.glob("*.true.stsg"))
    if not graphs:
        help = "films and their graphs are made by `stepc world render`"
        raise fail("U001", "there is no true graph", Place(printable(str(films))), help)
    order = Order(PASSES, "", spec[0], spec[1], spec_folder=spec[2], seed=seed)
    read_spec_ = read_spec(*spec)
    passes, _ = split_pipeline(PASSES)
    _, links = split_pipeline(links_of(read_spec_))
    done = []
    for path in graphs:
        unit = read(path.read_text("utf-8"), path.name).unit
        result = Result(path, unit.name, stsg=write(unit), identity="the true graph")
        for step in run(passes, unit, Tools(Pictures(), spec=read_spec_, seed=seed)):
            unit = step.unit
        assert isinstance(unit, t.Qras)
        result.unit = unit
        done.append(result)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "units").mkdir(exist_ok=True)
        for result in done:
            (out / "units" / f"{result.name}.stsg").write_text(result.stsg, "utf-8")
    except OSError as error:
        place = Place(printable(str(out)))
        raise fail("B014", f"cannot be written ({error.strerror})", place) from error
    summary = Summary(compiled=len(done))
    link_corpus(out, order, read_spec_, links, done, [], summary)
    return summary
