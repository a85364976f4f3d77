"""Concepts as objects: whatever a kind, form or operation must have, each has."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any

import pytest
from test_golden import HERE

from stepc.edges import EDGES, ELEMENTS, Edge
from stepc.forms import FORMS, Form
from stepc.ir import types as t
from stepc.lang.lsp import HELP
from stepc.lang.schema import ALL_LINES, LINES, PAIR_LINES
from stepc.ops import KEYWORDS, OPS, Op

STEP = (HERE / "docs" / "reference" / "step.md").read_text("utf-8")
EXAMPLES = "\n".join(
    p.read_text("utf-8")
    for p in (HERE / "golden").rglob("*")
    if p.is_file() and p.suffix != ".jsonl"
)


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__)
def test_every_operation_is_printed_parsed_solved_and_explained(op: type[Op]) -> None:
    keyword, *arguments = _tokens(op.SYNTAX)
    made = op.parse(keyword, arguments)
    assert made.text() == op.SYNTAX and op.parse(keyword, _tokens(made.text())[1:]) == made
    assert (
        KEYWORDS[keyword] is op
        and op.HELP.endswith(".")
        and op.ROLE in ("scope", "start", "step", "end")
    )
    assert op.solve is not Op.solve
    assert isinstance(made.words, str)
    assert f"{keyword} " in EXAMPLES or f"| {keyword}" in EXAMPLES, "no golden case has it"


def _tokens(text: str) -> list[str]:
    """The words and strings of an operation."""
    return re.findall(r'"[^"]*"|[^\s"]+', text)


@pytest.mark.parametrize(
    "text", ["get", "get 1", "pick best", "node", "node cup", "between 1..2", "x", "compare same"]
)
def test_an_operation_that_cannot_be_read_says_what_it_takes(text: str) -> None:
    keyword, *arguments = _tokens(text)
    if keyword in KEYWORDS:
        with pytest.raises(ValueError, match=r"takes|expected"):
            KEYWORDS[keyword].parse(keyword, arguments)


@pytest.mark.parametrize("kind", EDGES.values(), ids=lambda kind: kind.name)
def test_every_kind_of_edge_has_what_a_kind_needs(kind: Edge) -> None:
    for name in (
        "in_graph",
        "elements",
        "rows",
        "ends",
        "times",
        "start",
        "steps",
        "facts",
        "follow",
    ):
        assert getattr(type(kind), name) is not getattr(Edge, name), name
    assert HELP[kind.name] == kind.help and kind.help.endswith(".")
    assert kind.lines and set(kind.lines) <= {"near", "far", "edge"}
    for end in kind.lines:
        assert "because" in LINES[kind.name, end]
        assert ("ask" in LINES[kind.name, end]) == kind.names_found
    assert f"`{kind.name}`" in STEP, "it is not in the language reference"
    assert f"follow {kind.name} " in EXAMPLES or kind.name in EXAMPLES
    if kind.element:
        assert ELEMENTS[kind.element] is kind and kind.field in t.Stsg.model_fields and kind.syntax


@pytest.mark.parametrize("form", FORMS.values(), ids=lambda form: form.name)
def test_every_form_has_what_a_form_needs(form: Form) -> None:
    assert form.help.endswith(".") and HELP.get(form.name)
    assert form.spec_line() in ALL_LINES or form.name in PAIR_LINES
    assert form.sample_form in ("open", "yes-no", "choice", "count", "time", "box", "compare")
    assert bool(form.pair_placeholders) == form.compares
    assert inspect.getdoc(type(form))
    assert f"`{form.name}`" in STEP, "it is not in the language reference"
    assert f" as {form.name}" in EXAMPLES or form.name == "ask", "no golden case has it"


def test_no_two_public_classes_share_a_name() -> None:
    seen: dict[str, str] = {}
    twice: list[Any] = []
    files = [*sorted((HERE / "stepc").rglob("*.py")), *sorted((HERE / "passes").glob("*.py"))]
    for file in {f.resolve() for f in files}:
        for node in ast.parse(file.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                if node.name in seen and seen[node.name] != str(file):
                    twice.append((node.name, seen[node.name], str(file)))
                seen[node.name] = str(file)
    assert not twice
