"""Edge kinds, one class per file.

A class defines the vocabulary of the kind in specs, its text form, its rows in the edge table of the
sampler, its words, and its meaning in the solver. To add a kind that is derived from other edges (like
`next`), add a file. A kind with edges of its own also needs an IR type in `ir/elements.py` and a field in
`ir/levels.py`.
"""

from __future__ import annotations

from stepc.edges.base import Edge
from stepc.runtime.discovery import classes_in

EDGES: dict[str, Edge] = {
    cls.name: cls() for cls in sorted(classes_in("stepc.edges", Edge), key=lambda cls: cls.order)
}
"""Name → edge kind, in the order of the kinds."""
ELEMENTS: dict[type, Edge] = {kind.element: kind for kind in EDGES.values() if kind.element}
"""IR type → edge kind, for kinds with edges of their own."""

__all__ = ["EDGES", "ELEMENTS", "Edge"]
