"""Reference pages generated from the code.

A page holds its introduction and a line `<!-- generated: NAME -->`. The line is replaced with
Markdown made from the command line, the passes, the diagnostics or the dataset's columns, so the
pages cannot disagree with the code.
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

MARK = re.compile(r"^<!-- generated: ([a-z]+) -->$", re.MULTILINE)
TYPES = {int: "integer", float: "number", str: "text", Path: "path", bool: "flag"}


def cell(text: str) -> str:
    """Text for one cell of a Markdown table."""
    return " ".join(text.split()).replace("|", r"\|")


def code(text: str) -> str:
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}" if text else ""


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield ""
    yield "| " + " | ".join(head) + " |"
    yield "| " + " | ".join("---" for _ in head) + " |"
    for row in rows:
        yield "| " + " | ".join(map(cell, row)) + " |"
    yield ""


def commands() -> dict[str, Any]:
    """Every command of `stepc` that is not a group, by its full name without `stepc`."""
    import typer.main

    import stepc.cli
    from stepc.cli.common import app

    assert stepc.cli.main

    def walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        for each, below in (inner or {}).items():
            if not below.hidden:
                yield from walk(below, f"{name} {each}".strip())

    return dict(walk(typer.main.get_command(app), ""))


def groups() -> dict[str, Any]:
    """Every group of commands, by name."""
    import typer.main

    from stepc.cli.common import app

    root: Any = typer.main.get_command(app)
    return {name: c for name, c in root.commands.items() if hasattr(c, "commands")}


def cli() -> Iterator[str]:
    shown: set[str] = set()
    about = groups()
    for name, command in sorted(commands().items(), key=lambda c: (" " in c[0], c[0])):
        group = name.split()[0]
        if " " in name and group not in shown:
            shown.add(group)
            yield f"## stepc {group}\n"
            yield f"{about[group].help}\n"
        yield f"{'###' if ' ' in name else '##'} stepc {name}\n"
        yield f"{inspect.cleandoc(command.help or '')}\n"
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        usage = " ".join(
            f"{p.name.upper()}{'…' if p.nargs == -1 else ''}"
            if p.required
            else f"[{p.name.upper()}{'…' if p.nargs == -1 else ''}]"
            for p in arguments
        )
        yield f"```text\nstepc {name} [OPTIONS] {usage}".rstrip() + "\n```\n"
        if arguments:
            rows = [(code(p.name.upper()), kind_of(p), p.help or "") for p in arguments]
            yield from table(("argument", "type", "meaning"), rows)
        options = [p for p in command.params if p.param_type_name == "option"]
        if options:
            rows4 = [(names_of(p), kind_of(p), default_of(p), p.help or "") for p in options]
            yield from table(("option", "type", "default", "meaning"), rows4)
        if command.epilog:
            yield f"{command.epilog.split(':', 1)[0]}: {code(command.epilog.split(':', 1)[-1].strip())}\n"


def names_of(option: Any) -> str:
    return ", ".join(map(code, (*option.opts, *option.secondary_opts)))


def kind_of(parameter: Any) -> str:
    """The type of a parameter, its choices or its range."""
    kind = parameter.type_descriptor.annotation
    repeated = get_origin(kind) in (list, tuple)
    if repeated:
        kind = get_args(kind)[0]
    if get_origin(kind) is Literal:
        shown = ", ".join(map(code, map(str, get_args(kind))))
    else:
        shown = TYPES.get(kind, getattr(kind, "__name__", str(kind)))
    low, high = getattr(parameter, "min", None), getattr(parameter, "max", None)
    if low is not None or high is not None:
        shown += f", {low if low is not None else ''}..{high if high is not None else ''}"
    return shown + (", repeatable" if repeated else "")


def default_of(option: Any) -> str:
    if option.required:
        return "required"
    if getattr(option, "is_flag", False):
        on = bool(option.default)
        if not on and not option.secondary_opts:
            return ""
        return code((option.opts if on else option.secondary_opts)[0])
    return code(str(option.default)) if option.default not in (None, [], ()) else ""


def passes() -> Iterator[str]:
    from stepc.passmanager.base import Pass
    from stepc.passmanager.pipeline_text import DEFAULT, LINK
    from stepc.passmanager.registry import option_lines, pass_names, pass_type

    yield f"The default pipeline:\n\n```text\n{DEFAULT},{LINK}\n```\n"
    for name in pass_names():
        kind = pass_type(name)
        summary = (sys.modules[kind.__module__].__doc__ or "").splitlines()[0]
        summary = summary.split(":", 1)[-1].rsplit("   ", 1)[0].strip()
        if issubclass(kind, Pass):
            takes, gives = kind.levels()
            levels = "any graph level; the level is kept"
            if not kind.keeps_level:
                levels = f"`{takes.LEVEL}` → `{gives.LEVEL}`"
        else:
            levels = "corpus → corpus"
        yield f"## {name}\n"
        yield f"{summary[:1].upper()}{summary[1:].rstrip('.')}. ({levels})\n"
        yield f"{inspect.getdoc(kind) or ''}\n"
        rows = [
            (code(option), wanted if "|" not in wanted else ", ".join(
                code(w.strip()) for w in wanted.split("|")), code(default), help)
            for option, wanted, default, help in option_lines(kind)
        ]  # fmt: skip
        if rows:
            yield from table(("option", "type", "default", "meaning"), rows)


LETTERS = {
    "B": "Videos, files and the build", "E": "Evaluation", "I": "Text of the IR",
    "M": "Models", "P": "Pipelines", "S": "Specs", "T": "Training", "U": "Usage", "V": "Rules of the IR",
}  # fmt: skip


def diagnostics() -> Iterator[str]:
    from stepc.diagnostics.catalogue import PAGES

    letter = ""
    for key, page in sorted(PAGES.items()):
        if key[0] != letter:
            letter = key[0]
            yield f"## {LETTERS.get(letter, f'Codes with {letter}')}\n"
        yield f"### {key}: {cell(page.title)}\n"
        yield f"{page.text}\n"
        for label, example in (("Wrong", page.wrong), ("Right", page.right)):
            if example:
                yield f"{label}:\n\n```text\n{textwrap.dedent(example)}\n```\n"


MEANINGS = {
    "id": "name of the unit, a slash, name of the sample; unique in the dataset",
    "video": "path of the video below the folder that was compiled",
    "sha256": "hash of the video's content",
    "question": "the question",
    "answer": "the answer",
    "rationale": "one entry per reasoning step, in order",
    "rationale[].question": "the step as a question",
    "rationale[].answer": "the step's answer",
    "rationale[].text": "the step as a sentence",
    "steps": "number of reasoning steps",
    "type": "`open`, `yes-no`, `choice`, `count`, `time` or `compare`",
    "form": "form of the question in the spec: `ask`, `claim`, `choice`, …",
    "asks_for": "kind of edge that the question asks about",
    "time": "time range given in the question; null without one",
    "time.how": "`during`, `before`, `after`, `span`, `scene`, `showing` or `moment`",
    "time.start": "start in seconds",
    "time.end": "end in seconds",
    "time.event": "the event named in the question; absent for `span`",
    "query": "the typed query from which the solver derives the answer",
    "evidence": "where each step is seen in the video",
    "evidence[].step": "number of the step, from 1",
    "evidence[].clip": "the clip",
    "evidence[].start": "start in seconds",
    "evidence[].end": "end in seconds",
    "evidence[].keyframes": "the keyframes that show it",
    "evidence[].keyframes[].id": "name of the keyframe in the graph",
    "evidence[].keyframes[].at": "time of the keyframe in seconds",
    "evidence[].nodes": "names of the graph's nodes",
    "evidence[].boxes": "their boxes in these keyframes; absent if the graph has no boxes",
    "evidence[].boxes[].node": "name of the node",
    "evidence[].boxes[].label": "its label",
    "evidence[].boxes[].at": "time of the keyframe in seconds",
    "evidence[].boxes[].box": "left, top, right and bottom edge, in thousandths of the picture",
    "evidence[].boxes[].score": "score of the box, from 0 to 1",
    "evidence[].boxes[].track": "number of its track in the clip; absent if it has none",
    "facts": "what each step states, for rewards (`stepc.grading.process`)",
    "facts[].step": "number of the step, from 1",
    "facts[].true": "whether it is so; false for what `wrong-steps` made",
    "facts[].denied": "whether the step says that it is not so",
    "facts[].subject": "all names of what it is about",
    "facts[].relation": "all words for the relation; none for a value or a motion",
    "facts[].inverse": "the relation as the object has it",
    "facts[].object": "all names of the object, or words for the value, the motion or the event",
    "facts[].answer": "a time that is said as well",
    "demand": "how much of the video the evidence spans",
    "demand.clips": "number of different clips",
    "demand.keyframes": "number of different keyframes",
    "demand.seconds": "length of its time ranges in all, in seconds",
    "options": "options of a multiple choice; absent otherwise",
    "ambiguous": "true if the question has several answers; absent otherwise",
    "answers": "all answers of an ambiguous question; absent otherwise",
    "set": "`train`, `val` or `test`; all samples of one video are in one set",
    "wrong_steps": "false sentences in place of steps; only after the pass `wrong-steps`",
    "wrong_steps[].step": "number of the step, from 1",
    "wrong_steps[].what": "what is wrong: `object`, `value`, `relation`, `order` or `time`",
    "wrong_steps[].text": "the false sentence",
    "wrong_steps[].answer": "the answer of a reply with this step",
    "wrong_steps[].instead": "the word in place of the right one; empty for an order or a time",
    "probes": "how often a model answered rightly; only after the pass `probe`",
    "probes[].shown": "`video`, `nothing`, one `keyframe`, or the video `without` the evidence of a step",
    "probes[].right": "number of right answers",
    "probes[].asked": "number of answers",
    "blind": "how well its text tells its answer; only after the pass `blind`",
    "blind.score": "probability of the answer by the text alone, from 0 to 1",
    "blind.right": "whether the first guess by the text is right",
    "pair": "the sample with the same question and another answer; only after the pass `pairs`",
    "origin": "how the sample was made",
    "origin.unit": "name of the unit; its graph is in `units/NAME.stsg`",
    "origin.path": "the reasoning path in the unit",
    "origin.block": "the spec's block that drew the path",
    "origin.wording": "`template`, or `refined` if the model reworded it",
    "origin.spec": "file name of the spec",
    "origin.model": "the model and its hash; empty if none was asked",
    "origin.asks": "keys of the model calls behind the path's edges",
}
"""What each column of the dataset means; the build fails if a column is missing or unknown."""


def columns() -> Iterator[str]:
    from stepc.dataset.formats import COLUMNS, FORMATS

    named = {"string": "text", "float64": "number", "int64": "integer", "bool": "boolean"}

    def rows(features: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
        for name, kind in features.items():
            place, many = prefix + name, kind.get("_type") == "List"
            inner = kind["feature"] if many else kind
            if inner.get("_type") == "Value":
                shown = named[inner["dtype"]]
                yield place, f"list of {shown}" if many else shown
            else:
                yield place, "list of objects" if many else "object"
                yield from rows(inner, f"{place}{'[]' if many else ''}.")

    found = list(rows(COLUMNS))
    wrong = {name for name, _ in found} ^ set(MEANINGS)
    if wrong:
        raise ValueError(f"columns without a meaning, or meanings without a column: {wrong}")
    yield from table(
        ("column", "type", "meaning"), [(code(n), kind, MEANINGS[n]) for n, kind in found]
    )
    yield "A spec's `dataset` block names the formats to write:\n"
    formats = {n: FORMATS.get(n) for n in FORMATS.names() if FORMATS.plugin(n) is None}
    yield from table(
        ("format", "file"),
        [
            (code(name), code(f.file + ("-00000.parquet" if f.sharded else "")))
            for name, f in formats.items()
        ],
    )


MAKERS: dict[str, Callable[[], Iterator[str]]] = {
    "cli": cli, "passes": passes, "diagnostics": diagnostics, "columns": columns,
}  # fmt: skip


def fill(app: Any, docname: str, source: list[str]) -> None:
    source[0] = MARK.sub(lambda m: "\n".join(MAKERS[m[1]]()), source[0])


def outdated(
    app: Any, env: Any, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Generated pages are built again at each build."""
    return [d for d in env.found_docs if MARK.search(Path(env.doc2path(d)).read_text("utf-8"))]


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", fill)
    app.connect("env-get-outdated", outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
