"""The vocabulary of the language, derived from the edge kinds and question forms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from stepc.edges import EDGES
from stepc.forms import FORMS as _FORMS
from stepc.ir.types import Way, When
from stepc.lang.types import Filter, Revisit
from stepc.plugins import installed

KINDS: tuple[str, ...] = tuple(EDGES)
WAYS: tuple[Way, ...] = get_args(Way)
WHENS: tuple[When, ...] = get_args(When)
FORMS: tuple[str, ...] = tuple(_FORMS)
FILTERS: tuple[str, ...] = get_args(Filter.model_fields["what"].annotation)
BARE_FILTERS = ("static", "dynamic", "same-clip", "across-clips")
"""Filters without arguments."""
REVISITS: tuple[str, ...] = get_args(Revisit)
SOURCES = ("graph", "clip", "corpus")
SETS = ("train", "val", "test")
FORMATS = ("jsonl", "chat", "open-o3", "open-o3-1000", "parquet",
           *(p.name for p in installed("stepc.formats")))  # fmt: skip


def _lines(kind: str, end: str) -> Iterator[str]:
    for form in _FORMS.values():
        if EDGES[kind].names_found:
            yield from form.lines.get(("*", end), ())
        yield from form.lines.get((kind, end), ())
    yield from EDGES[kind].lines[end]


LINES: dict[tuple[str, str], tuple[str, ...]] = {
    (name, end): tuple(_lines(name, end)) for name, kind in EDGES.items() for end in kind.lines
}
"""(edge kind, found end) → the lines that its `find` block takes."""
TIMED = tuple(name for name, kind in EDGES.items() if kind.timed)
"""Edge kinds that have a time."""
TIME_LINES = (*(name for name, form in _FORMS.items() if form.time_line), "fact", "because")
PAIR_LINES = tuple(name for name, form in _FORMS.items() if form.pair_placeholders)
FIND_LINES = tuple(dict.fromkeys(x for v in LINES.values() for x in v))
ALL_LINES = tuple(dict.fromkeys([*FIND_LINES, *TIME_LINES]))
ANSWER_LINES = frozenset(["because", "denies"]).union(
    *(form.answer_lines for form in _FORMS.values())
)
"""Lines that may mention the found end."""
TOTAL_LINES = frozenset[str]().union(*(form.total_lines for form in _FORMS.values()))
"""Lines about all found answers; they have the placeholders `n` and `all`."""
EXPANDABLE = tuple(name for name, kind in EDGES.items() if kind.describes)
"""Edge kinds that can describe an object, allowed in `expand`."""


PLACE_PARTS = ("time", "box")
"""Parts of an object in a sentence of the rationale: a time at which the fact is shown, and its box then."""
PLACED = ("attr", "rel", "motion", "seen")
"""Edge kinds whose facts are shown in keyframes."""
OBJECT_PARTS = ("who", "noun", "that")
"""Parts of an end that is an object: `{s.who}` is who or what, `{s.noun}` person, animal, object …, and
`{s.that}` who or that. They say nothing of an object but its class, so a question may have those of its
answer."""


def end_parts(kind: str, side: str) -> tuple[str, ...]:
    """The parts of an end of an edge."""
    edge = EDGES[kind]
    is_object = side in ("near", "far") and side not in edge.values
    return (*edge.parts.get(side, ()), *(OBJECT_PARTS if is_object else ()))


def placeholders(
    kind: str, end: str, line: str, names: dict[str, str]
) -> dict[tuple[str, str], str]:
    """The placeholders that a line of a `find` block may use: (name, part) → what it stands for.

    `names` maps the names that the spec gives to the ends to `near`, `far` or `edge`. The found end
    is included only for lines that may mention it.
    """
    edge = EDGES[kind]
    made: dict[tuple[str, str], str] = {}
    if line in TOTAL_LINES:
        made["n", ""], made["all", ""] = "n", "all"
    for name, side in names.items():
        stands_for = edge.edge_placeholder if side == "edge" else side
        if not stands_for:
            continue
        for part in ("", *end_parts(kind, side)):
            if side != end or line in ANSWER_LINES or part:
                made[name, part] = stands_for
        if line == "because" and side in ("near", "far") and side not in edge.values:
            made |= {(name, part): stands_for for part in PLACE_PARTS if kind in PLACED}
    return made
