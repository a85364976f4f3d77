"""What the language knows of the IR: kinds of edges, their ends, and how each can be asked."""

from __future__ import annotations

from typing import get_args

from stepc.ir.types import EdgeKind, Form, Way, When
from stepc.lang.types import Filter, Revisit

KINDS: tuple[EdgeKind, ...] = get_args(EdgeKind)
WAYS: tuple[Way, ...] = get_args(Way)
WHENS: tuple[When, ...] = get_args(When)
FORMS: tuple[Form, ...] = get_args(Form)
FILTERS: tuple[str, ...] = get_args(Filter.model_fields["what"].annotation)
BARE_FILTERS = ("static", "dynamic", "same-clip", "across-clips")
"""Filters without words."""
REVISITS: tuple[str, ...] = get_args(Revisit)
SOURCES = ("graph", "clip", "corpus")
SETS = ("train", "val", "test")
FORMATS = ("jsonl", "chat", "parquet")
VALUES = frozenset(
    [("attr", "far"), ("motion", "far"), ("event", "far"), ("next", "far"), ("next", "near")]
)
"""Ends that are values, not objects."""
PARTS: dict[tuple[str, str], tuple[str, ...]] = {
    ("attr", "far"): ("kind",),
    ("ref", "near"): ("event",),
    ("ref", "far"): ("event",),
}
"""The parts of ends besides the end itself: `{v.kind}`."""
_ASKS = ("ask", "claim", "because")
_MANY = (*_ASKS, "count", "total")
LINES: dict[tuple[str, str], tuple[str, ...]] = {
    ("attr", "far"): _MANY,
    ("attr", "near"): (*_MANY, "name"),
    ("rel", "far"): (*_MANY, "name", "first", "last"),
    ("rel", "near"): (*_MANY, "name", "first", "last"),
    ("rel", "edge"): _ASKS,
    ("motion", "far"): (*_MANY, "first", "last", "longest", "shortest"),
    ("motion", "near"): (*_MANY, "name", "first", "last", "longest", "shortest"),
    ("ref", "far"): (*_ASKS, "name"),
    ("ref", "near"): (*_ASKS, "name"),
    ("event", "far"): _ASKS,
    ("next", "far"): _ASKS,
    ("next", "near"): _ASKS,
}
"""The lines of each `find`, by the kind of edge and what is found."""
TIMED = ("motion", "event")
"""Kinds of edges that have a time of their own."""
TIME_LINES = ("when", "how-long", "fact", "because")
PAIR_LINES = ("which-first", "which-last", "which-longer", "which-shorter", "same")
FIND_LINES = tuple(dict.fromkeys(x for v in LINES.values() for x in v))
ALL_LINES = tuple(dict.fromkeys([*FIND_LINES, *TIME_LINES]))
EXPANDABLE = ("attr", "rel", "motion", "ref")
"""Kinds that can describe an object."""
KIND_WAYS = {"attr": ("=>", "<="), "rel": WAYS, "motion": WAYS, "ref": ("=>", "<="),
              "event": ("=>", "--"), "next": ("=>", "<=")}  # fmt: skip
"""The ways each kind of edge can be taken."""
