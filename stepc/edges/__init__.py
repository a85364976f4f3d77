"""Edge kinds, one class per file.

A class owns what specs may say of the kind, its text form, its rows in the sampler's table, its words, and
its meaning in the solver. To add a kind whose edges follow from other edges (like `next`), add a file; a kind
with edges of its own also needs an IR type in `ir/elements.py` and a field in `ir/levels.py`.
"""

from __future__ import annotations

from stepc.edges.base import Edge
from stepc.runtime.discovery import classes_in

EDGES: dict[str, Edge] = {
    cls.name: cls() for cls in sorted(classes_in("stepc.edges", Edge), key=lambda cls: cls.order)
}
"""All edge kinds by name, in their order."""
ELEMENTS: dict[type, Edge] = {kind.element: kind for kind in EDGES.values() if kind.element}
"""The kinds with edges of their own, by the IR type of these edges."""

__all__ = ["EDGES", "ELEMENTS", "Edge"]
