"""Parses and prints pipelines, and checks that their levels fit together."""

from __future__ import annotations

import functools
import json
from importlib.resources import files
from types import NoneType
from typing import Any, get_args, get_origin

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput
from pydantic import ValidationError

from stepc.diagnostics import Place, did_you_mean, fail
from stepc.ir.types import LEVELS, Unit
from stepc.passmanager.base import LinkPass, Pass
from stepc.passmanager.registry import pass_names, pass_type

DEFAULT = (
    "split,keyframes,parse,confirm,merge,bridge,confirm,canonicalize,deny,"
    "sample,compose,check,refine,check"
)
"""The paper's method (section 3). The second `confirm` asks about motions and events.
`canonicalize`
uses the `word` declarations of the spec, and `deny` asks only for blocks that allow it."""

LINK = "dedupe,balance,split-sets,emit"
"""The default link passes."""


@functools.cache
def _parser() -> Lark:
    grammar = (files("stepc.grammar") / "pipeline.lark").read_text("utf-8")
    return Lark(grammar, parser="earley", propagate_positions=True, maybe_placeholders=False)


def _mark(text: str, token: Any) -> Place:
    column = getattr(token, "column", None) or len(text) + 1
    return Place("--pipeline", 1, column, max(1, len(str(token))), text)


def parse_pipeline(text: str) -> list[Pass[Any, Any] | LinkPass]:
    """Parse a pipeline. Raises StepcError (P001-P004) with the place in `text`."""
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        column = error.column if error.column and error.column > 0 else len(text) + 1
        place = Place("--pipeline", 1, column, 1, text)
        help = "separate passes by commas: split,keyframes(per_clip=3)"
        raise fail("P001", "the pipeline cannot be parsed", place, help) from None
    made: list[Pass[Any, Any] | LinkPass] = []
    for node in tree.children:
        assert isinstance(node, Tree)
        name = node.children[0]
        assert isinstance(name, Token)
        try:
            kind = pass_type(str(name))
        except KeyError:
            helps = did_you_mean(str(name), pass_names())
            raise fail("P002", f"unknown pass `{name}`", _mark(text, name), helps) from None
        options: dict[str, Any] = {}
        for option in node.children[1:]:
            assert isinstance(option, Tree)
            key, value = option.children
            if str(key) not in (names := kind.options()):
                helps = did_you_mean(str(key), names) if names else ""
                message = f"unknown option `{key}` of pass `{name}`"
                raise fail("P003", message, _mark(text, key), helps)
            field = names[str(key)]
            options[field] = _value(kind.model_fields[field].annotation, value)
        try:
            made.append(kind.model_validate(options))
        except ValidationError as error:
            first = error.errors()[0]
            where = str(first["loc"][0]).rstrip("_") if first["loc"] else str(name)
            token = next(
                (o.children[1] for o in node.children[1:] if str(o.children[0]) == where),  # type: ignore[union-attr]
                name,
            )
            raise fail("P004", f"{name}, {where}: {first['msg']}", _mark(text, token)) from None
    return made


def _value(wanted: Any, token: Any) -> Any:
    """The value of an option that takes `wanted`: text, which pydantic converts, None, or JSON."""
    text, kinds = str(token), {wanted, *get_args(wanted)}
    if not text.startswith('"'):
        return None if text == "none" and NoneType in kinds else text
    try:
        text = json.loads(text)
        whole = {get_origin(kind) or kind for kind in kinds} & {tuple, list, dict, set, frozenset}
        return json.loads(text) if whole and text[:1] in ("[", "{") else text
    except ValueError:
        return text


def pipeline_text(passes: list[Pass[Any, Any] | LinkPass]) -> str:
    """The canonical text of a pipeline."""
    return ",".join(p.text() for p in passes)


def check_levels(passes: list[Pass[Any, Any]], start: type[Unit]) -> type[Unit]:
    """The level after `passes`, from `start`. Raises StepcError (P005) if levels do not fit together."""
    order = list(LEVELS)
    level = start
    for p in passes:
        takes, gives = p.levels()
        fits = level is takes or (p.keeps_level and issubclass(level, takes))
        if not fits:
            between = [
                n
                for n in pass_names()
                if issubclass(kind := pass_type(n), Pass)
                and not kind.keeps_level
                and kind.levels()[0] is level
                and kind.levels()[1] is not level
            ]
            late = order.index(level.LEVEL) > order.index(takes.LEVEL)
            help = (
                "move it to an earlier place in the pipeline"
                if late
                else f"{' or '.join(f'`{n}`' for n in between)} takes {level.LEVEL} to the next level"
            )
            message = f"`{p.name}` takes level {takes.LEVEL}, but its input here is {level.LEVEL}"
            raise fail("P005", message, Place("--pipeline"), help)
        if not p.keeps_level:
            level = gives
    return level
