"""Commands that evaluate a model: eval BENCHMARK, eval compare, eval table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import typer

from stepc.cli.app import EVALUATION, IO, JUDGES, App
from stepc.cli.common import (
    Json,
    NoStore,
    Seed,
    StorePlace,
    app,
    print_json,
    say,
    store_of,
    terminal,
)
from stepc.cli.completion import complete_model
from stepc.cli.model_options import choosing, giving
from stepc.diagnostics import Place, StepcError, fail, printable
from stepc.eval.benchmarks import BENCHMARKS, title

eval_app = App(
    help="Evaluate a model on benchmarks, with their original files and rules, and print the paper's "
    "tables. docs/how-to/evaluation.md says where each benchmark comes from.",
    epilog="Example: stepc eval world -o result --films 1 --frames 2",
)
app.add_typer(eval_app, name="eval")


def _asking(  # a table of options
    *,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Output folder of the result.", rich_help_panel=IO)
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", "-d", help="Folder of the original benchmark files.", rich_help_panel=IO
        ),
    ] = None,
    videos: Annotated[
        list[Path] | None,
        typer.Option(
            help="Video files of the questions, or folders of them. Repeatable."
            " The folder --data is searched, too.",
            rich_help_panel=IO,
        ),
    ] = None,
    how: Annotated[
        Literal["direct", "reasoned"],
        typer.Option(
            help="Ask for the answer directly, or for the rationale first.",
            rich_help_panel=EVALUATION,
        ),
    ] = "direct",
    frames: Annotated[
        int,
        typer.Option(
            min=0,
            help="Frames shown per video; 0 = as the benchmark defines.",
            rich_help_panel=EVALUATION,
        ),
    ] = 0,
    limit: Annotated[
        int,
        typer.Option(
            min=0,
            help="Ask only the first N questions; 0 = all.",
            rich_help_panel=EVALUATION,
        ),
    ] = 0,
    blank: Annotated[
        bool,
        typer.Option(
            help="Also ask each question about blank pictures.",
            rich_help_panel=EVALUATION,
        ),
    ] = True,
    judge: Annotated[
        str | None,
        typer.Option(
            help="Model that grades open answers, such as openai:gpt-3.5-turbo.",
            autocompletion=complete_model,
            rich_help_panel=JUDGES,
        ),
    ] = None,
    judge_url: Annotated[
        str | None,
        typer.Option(
            help="Base URL of the judge's OpenAI-compatible server.", rich_help_panel=JUDGES
        ),
    ] = None,
    second_judge: Annotated[
        str | None,
        typer.Option(
            help="A second judge; the rate of agreement is printed.",
            autocompletion=complete_model,
            rich_help_panel=JUDGES,
        ),
    ] = None,
    second_judge_url: Annotated[
        str | None,
        typer.Option(help="Base URL of the second judge's server.", rich_help_panel=JUDGES),
    ] = None,
    seed: Seed = 0,
    store: StorePlace = None,
    no_store: NoStore = False,
) -> Any:
    judges = [(judge, judge_url)] if judge else []
    if second_judge:
        judges.append((second_judge, second_judge_url))
        if not judge:
            raise fail(
                "U001", "--second-judge requires --judge", Place("--second-judge"), "add --judge"
            )
    return {
        "out": out, "folders": ([data] if data else []) + (videos or []), "data": data, "how": how,
        "frames": frames, "limit": limit, "blank": blank, "seed": seed, "store": store_of(store, no_store),
        "judges": judges,
    }  # fmt: skip


def _evaluate(name: str, asking: dict[str, Any], choice: Any) -> None:
    from stepc.eval.records import EvalSettings
    from stepc.eval.run import evaluate
    from stepc.eval.tables import summary, text
    from stepc.model.load import ModelConfig, load
    from stepc.model.server_options import ServerOptions
    from stepc.runtime.atomic_files import write_whole
    from stepc.store.open import open_store

    if asking["data"] is None:
        help = "name their folder with --data; docs/how-to/evaluation.md says where to get them"
        raise fail("E001", f"stepc does not include the files of `{name}`", Place("--data"), help)
    kept = open_store(asking["store"]) if asking["store"] else None
    settings = EvalSettings(
        name, asking["how"], asking["frames"] or BENCHMARKS.get(name).frames, choice.video,
        asking["limit"], asking["seed"], asking["blank"],
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
        reporter=terminal(),
    )
    whole = orjson.dumps(summary(result), option=orjson.OPT_INDENT_2)
    write_whole(asking["out"] / "summary.json", whole)
    print(text(result))
    if result.unanswered:
        raise typer.Exit(1)


def _command(name: str) -> None:
    def run(choice: Any, asking: Any) -> None:
        _evaluate(name, asking, choice)

    run.__doc__ = f"Evaluate a model on {title(name)}."
    example = f"Example: stepc eval {name} -d {name} --videos videos -o result"
    eval_app.command(name, epilog=example)(choosing(giving(_asking, "asking")(run)))


for _name in BENCHMARKS.names():
    if _name != "world":
        _command(_name)


@eval_app.command(epilog="Example: stepc eval world -o result --films 1 --frames 2")
@choosing
@giving(_asking, "asking")
def world(
    choice: Any,
    asking: Any,
    films: Annotated[
        int,
        typer.Option(
            min=1,
            help="Number of films to render if there is no --data.",
            rich_help_panel=EVALUATION,
        ),
    ] = 20,
) -> None:
    """Evaluate a model on compositional questions about rendered films with known graphs."""
    from stepc.world.questions import held_out

    if asking["data"] is None:
        place = asking["out"] / f"world-{films}"
        held_out(place, films)
        asking |= {"data": place, "folders": [place, *asking["folders"]]}
    _evaluate("world", asking, choice)


@eval_app.command(epilog="Example: stepc eval compare result result")
def compare(
    first: Annotated[Path, typer.Argument(help="A folder written by `stepc eval BENCHMARK -o`.")],
    second: Annotated[Path, typer.Argument(help="Another result of the same benchmark.")],
    json: Json = False,
) -> None:
    """Compare two results of one benchmark, question by question, with paired tests.

    Keys of --json: benchmark; rows (a list: label; count; first and second, accuracies from 0 to 1;
    low and high, the 95 % confidence interval of second minus first; only_first and only_second,
    questions that only one answers correctly; p, of McNemar's test; missing, two numbers. A row
    whose questions are all missing has only label, count and missing); unjudged and unshared
    (questions excluded); graders (two names).
    """
    from stepc.eval.comparison import compare as side_by_side
    from stepc.eval.records import load_result

    one = load_result(first)
    made = side_by_side(one, load_result(second))
    if json:
        print_json({"benchmark": one.settings.benchmark, **made.data()})
    else:
        print(made.text())


@eval_app.command(epilog="Example: stepc eval table 2 mine=result")
def table(
    number: Annotated[int, typer.Argument(min=1, max=4, help="Number of the paper's table.")],
    rows: Annotated[
        list[str] | None,
        typer.Argument(help="LABEL=FOLDER: an extra row, from a result or a folder of results."),
    ] = None,
    form: Annotated[
        Literal["markdown", "csv"], typer.Option(help="Output format.", rich_help_panel=IO)
    ] = "markdown",
    plot: Annotated[
        Path | None, typer.Option(help="Also plot the table to this SVG.", rich_help_panel=IO)
    ] = None,
) -> None:
    """Print one of the paper's tables 1 to 4, with your own results as extra rows."""
    from stepc.eval.tables import table as make

    made = make(number, [_row(row) for row in rows or ()])
    print(made.markdown() if form == "markdown" else made.csv(), end="")
    if plot is not None:
        made.plot(plot)


def _row(text: str) -> tuple[str, list[Any]]:
    """Parse LABEL=FOLDER and load the results in the folder. Raises StepcError (U001, E005)."""
    from stepc.eval.records import load_result

    label, equals, where = text.partition("=")
    if not equals or not label:
        raise fail("U001", f"`{text}` is not LABEL=FOLDER", Place("ROWS"), "such as mine=results")
    folder = Path(where)
    places = [folder] if (folder / "run.json").exists() else sorted(folder.glob("*/run.json"))
    results = []
    for place in places:
        try:
            results.append(load_result(place if place.is_dir() else place.parent))
        except StepcError as error:
            say(error.diagnostics[0])
    if not results:
        raise fail("E005", "no evaluation result in this folder", Place(printable(where)))
    return label, results
