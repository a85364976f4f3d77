"""Shell completion of option values: passes and their options, specs, and diagnostic codes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import typer

Found = list[tuple[str, str]]
"""Completions with a help text each, which zsh and fish show."""


def complete_pass(incomplete: str) -> Found:
    """Names of passes."""
    return [(n, h) for n, h in _passes() if n.startswith(incomplete)]


def complete_pipeline(incomplete: str) -> Found:
    """The last pass of a pipeline, or within parentheses its options and their fixed values."""
    start, inside = _last_piece(incomplete)
    before, last = incomplete[:start], incomplete[start:]
    found = _options(inside, before, last) if inside else complete_pass(last)
    return [(before + text, help) for text, help in found]


def complete_after(ctx: typer.Context, incomplete: str) -> Found:
    """Names of the passes in the pipeline of the same command line, or in the default one."""
    from stepc.passmanager.pipeline_text import DEFAULT, LINK

    text = ctx.params.get("pipeline") or f"{DEFAULT},{LINK}"
    names = re.findall(r"[a-z][a-z-]*", re.sub(r"\([^)]*\)?", "", text))
    known = dict(_passes())
    return [(n, known.get(n, "")) for n in dict.fromkeys(names) if n.startswith(incomplete)]


def complete_dump_after(ctx: typer.Context, incomplete: str) -> Found:
    """As `complete_after`, and `all`."""
    every = [("all", "Every pass.")] if "all".startswith(incomplete) else []
    return every + complete_after(ctx, incomplete)


def complete_spec(incomplete: str) -> list[str]:
    """Names of built-in specs and of plug-ins, spec files (.step) and folders."""
    from stepc.lang.parse import shipped

    folder, _, start = incomplete.rpartition("/")
    top = Path(folder or ("/" if incomplete.startswith("/") else "."))
    names = [name for name in shipped() if name.startswith(incomplete)]
    try:
        found = sorted(p for p in top.iterdir() if p.name.startswith(start))
    except OSError:
        return names
    before = incomplete[: len(incomplete) - len(start)]
    return names + [
        before + p.name + ("/" if p.is_dir() else "")
        for p in found
        if (p.is_dir() and not p.name.startswith(".")) or p.suffix == ".step"
    ]


def complete_code(incomplete: str) -> Found:
    """Diagnostic codes; what is already typed keeps its case, as shells require."""
    from stepc.diagnostics.catalogue import PAGES

    start = incomplete.upper()
    found = [(code, page.title) for code, page in PAGES.items() if code.startswith(start)]
    return [(incomplete + code[len(start) :], title) for code, title in found]


def complete_export(incomplete: str) -> list[str]:
    """The names of export formats."""
    from stepc.train.export import EXPORTS

    return [name for name in EXPORTS.names() if name.startswith(incomplete)]


def complete_model(incomplete: str) -> Found:
    """The embedded model, and the schemes of backends: `openai:`, `replay:`, and those of plug-ins."""
    from stepc.model.backends import BACKENDS

    helps = {"openai": "A model on an OpenAI-compatible server.", "replay": "A cassette."}
    known = [("embedded", "Knows only the rendered world.")]
    known += [(f"{name}:", helps.get(name, "")) for name in BACKENDS.names()]
    return [(name, help) for name, help in known if name.startswith(incomplete)]


def complete_templates(incomplete: str) -> list[str]:
    """The names of template sets."""
    from stepc.model.templates import TEMPLATE_SETS

    return [name for name in TEMPLATE_SETS.names() if name.startswith(incomplete)]


def _passes() -> Found:
    from stepc.passmanager.registry import pass_names

    return [(name, "") for name in pass_names()]


def _last_piece(text: str) -> tuple[int, str]:
    """Where the last pass or option of a pipeline starts, and the pass if it is an option."""
    opened = text.rfind("(")
    if opened <= text.rfind(")"):
        return max(text.rfind(","), text.rfind(")")) + 1, ""
    name = re.search(r"([a-z-]+)\s*$", text[:opened])
    return max(text.rfind(","), opened) + 1, name[1] if name else "?"


def _options(name: str, before: str, last: str) -> Found:
    """Completions of `last`, an option of the pass `name`; `before` is the pipeline before it."""
    from stepc.passmanager.registry import option_lines, pass_names, pass_type

    if name not in pass_names():
        return []
    kind = pass_type(name)
    key, equals, value = last.partition("=")
    if equals:
        field = kind.model_fields.get(kind.options().get(key, ""))
        wanted = ("true", "false") if field and field.annotation is bool else ()
        values = wanted or (get_args(field.annotation) if field else ())
        return [
            (f"{key}={each}", "")
            for each in values
            if isinstance(each, str) and each.startswith(value)
        ]
    used = re.findall(r"([a-z_]+)\s*=", before[before.rfind("(") :])
    return [
        (f"{option}=", f"{help} Default: {default}")
        for option, _, default, help in option_lines(kind)
        if option.startswith(last) and option not in used
    ]
