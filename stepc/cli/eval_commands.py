"""Commands that put a model to the test: eval BENCHMARK, eval compare, eval table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import typer

from stepc.cli.common import NoStore, Seed, StorePlace, app, errors, say, store_of
from stepc.cli.model_options import choosing, giving
from stepc.diagnostics import Place, StepcError, fail, printable
from stepc.eval import TITLES

eval_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Benchmarks by their own files and rules; tables like the paper's. docs/how-to/evaluation.md "
    "says where each comes from.",
    epilog="Example: stepc eval world -o result --films 1 --frames 2",
)
app.add_typer(eval_app, name="eval")


def _asking(
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the result.")],
    data: Annotated[
        Path | None, typer.Option("--data", "-d", help="The folder of the benchmark's own files.")
    ] = None,
    videos: Annotated[
        list[Path] | None,
        typer.Option("--videos", "-v", help="Folders of its videos, if they are not there."),
    ] = None,
    how: Annotated[
        Literal["direct", "reasoned"],
        typer.Option(help="Answer directly, or give the rationale first."),
    ] = "direct",
    frames: Annotated[
        int, typer.Option(min=0, help="Frames of a video that are shown; 0: the benchmark's own.")
    ] = 0,
    limit: Annotated[int, typer.Option(min=0, help="Only the first so many questions.")] = 0,
    judge: Annotated[
        str | None,
        typer.Option(help="The model that grades open answers, such as openai:gpt-3.5-turbo."),
    ] = None,
    judge_url: Annotated[
        str | None, typer.Option(help="The OpenAI-compatible server of the judge.")
    ] = None,
    second_judge: Annotated[
        str | None, typer.Option(help="Another judge; how often both agree is printed.")
    ] = None,
    second_judge_url: Annotated[str | None, typer.Option(help="Its server.")] = None,
    seed: Seed = 0,
    store: StorePlace = None,
    no_store: NoStore = False,
) -> Any:
    judges = [(judge, judge_url)] if judge else []
    if second_judge:
        judges.append((second_judge, second_judge_url))
        if not judge:
            raise fail(
                "U001", "there is no first judge", Place("--second-judge"), "name it: --judge"
            )
    return {
        "out": out, "folders": ([data] if data else []) + (videos or []), "data": data, "how": how,
        "frames": frames, "limit": limit, "seed": seed, "store": store_of(store, no_store),
        "judges": judges,
    }  # fmt: skip


def _evaluate(name: str, asking: dict[str, Any], choice: Any) -> None:
    """Ask, grade, write and print."""
    from stepc.eval.readers import BENCHMARKS
    from stepc.eval.run import EvalSettings, evaluate
    from stepc.eval.tables import summary, text
    from stepc.model.load import ModelConfig, load
    from stepc.model.openai_compatible import ServerOptions
    from stepc.runtime.atomic_files import write_whole
    from stepc.store.open import open_store

    if asking["data"] is None:
        help = "docs/how-to/evaluation.md says where its files come from"
        raise fail("E001", f"`{name}` is not shipped: name its folder", Place("--data"), help)
    kept = open_store(asking["store"]) if asking["store"] else None
    settings = EvalSettings(
        name, asking["how"], asking["frames"] or BENCHMARKS[name].frames, choice.video,
        asking["limit"], asking["seed"],
    )  # fmt: skip
    judges = [
        lambda pictures, named=named, url=url: load(
            ModelConfig(named, server=ServerOptions(url)), pictures, seed=asking["seed"], store=kept
        )
        for named, url in asking["judges"]
    ]
    result = evaluate(
        settings,
        asking["folders"],
        asking["out"],
        lambda pictures: load(choice, pictures, seed=asking["seed"], store=kept),
        judges,
        say=errors.print,
        tell=say,
    )
    whole = orjson.dumps(summary(result), option=orjson.OPT_INDENT_2)
    write_whole(asking["out"] / "summary.json", whole)
    print(text(result))


def _command(name: str) -> None:
    def run(choice: Any, asking: Any) -> None:
        _evaluate(name, asking, choice)

    run.__doc__ = f"Ask a model the questions of {TITLES[name]}."
    eval_app.command(name)(choosing(giving(_asking, "asking")(run)))


for _name in TITLES:
    if _name != "world":
        _command(_name)


@eval_app.command(epilog="Example: stepc eval world -o result --films 1 --frames 2")
@choosing
@giving(_asking, "asking")
def world(
    choice: Any,
    asking: Any,
    films: Annotated[
        int, typer.Option(min=1, help="Films that are rendered where no --data is given.")
    ] = 20,
) -> None:
    """Ask a model compositional questions about rendered films, whose truth is known."""
    from stepc.lang.parse import builtin
    from stepc.train.study import QUIZ
    from stepc.world.films import make_films
    from stepc.world.questions import true_questions

    if asking["data"] is None:
        place = asking["out"] / f"world-{films}"
        if not (place / "qra.jsonl").exists():
            make_films(place / "films", films, QUIZ)
            true_questions(place / "films", place, (builtin("step"), "step.step", None), 0)
        asking |= {"data": place, "folders": [place, *asking["folders"]]}
    _evaluate("world", asking, choice)


@eval_app.command(epilog="Example: stepc eval compare result result")
def compare(
    first: Annotated[Path, typer.Argument(help="A result: what `stepc eval BENCHMARK -o` wrote.")],
    second: Annotated[Path, typer.Argument(help="Another one of the same benchmark.")],
) -> None:
    """Two results of one benchmark side by side, question by question, with paired tests."""
    from stepc.eval.run import load_result
    from stepc.eval.tables import compare as side_by_side

    print(side_by_side(load_result(first), load_result(second)))


@eval_app.command(epilog="Example: stepc eval table 2 mine=result")
def table(
    number: Annotated[int, typer.Argument(min=1, max=4, help="Which of the paper's tables.")],
    rows: Annotated[
        list[str] | None,
        typer.Argument(help="LABEL=FOLDER: a row of ours, from a result or a folder of results."),
    ] = None,
    form: Annotated[
        Literal["markdown", "csv"], typer.Option(help="How it is printed.")
    ] = "markdown",
    plot: Annotated[Path | None, typer.Option(help="Draw it into this SVG, too.")] = None,
) -> None:
    """One of the paper's tables 1 to 4, with rows of ours below its own."""
    from stepc.eval.tables import table as make

    made = make(number, [_row(row) for row in rows or ()])
    print(made.markdown() if form == "markdown" else made.csv(), end="")
    if plot is not None:
        made.plot(plot)


def _row(text: str) -> tuple[str, list[Any]]:
    """A label and the results of a folder. Raises StepcError (U001, E005)."""
    from stepc.eval.run import load_result

    label, equals, where = text.partition("=")
    if not equals or not label:
        raise fail("U001", f"`{text}` is no row", Place("ROWS"), "such as mine=results")
    folder = Path(where)
    places = [folder] if (folder / "run.json").exists() else sorted(folder.glob("*/run.json"))
    results = []
    for place in places:
        try:
            results.append(load_result(place if place.is_dir() else place.parent))
        except StepcError as error:
            say(error.diagnostics[0])
    if not results:
        raise fail("E005", "there is no result in this folder", Place(printable(where)))
    return label, results
