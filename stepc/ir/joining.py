"""Joins facts that say the same: their keyframes, times and evidence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stepc.ir import types as t
from stepc.ir.spans import one_span
from stepc.ir.words import plain


def join_equal(elements: Iterable[Any], order: dict[str, int]) -> tuple[Any, ...]:
    """The elements with equal facts joined: the frames of all, and the evidence of the surest one."""
    made: dict[tuple[object, ...], Any] = {}
    for e in elements:
        match e:
            case t.Attribute():
                key: tuple[object, ...] = ("attr", e.owner, e.kind, plain(e.value))
            case t.Relation():
                key = ("rel", e.subject, e.object, plain(e.predicate))
            case t.Motion():
                key = ("motion", e.source, e.target, plain(e.motion))
            case _:
                key = ("other", id(e))
        old = made.get(key)
        if old is None:
            made[key] = e
            continue
        best = max(old, e, key=lambda x: x.trust.confidence)
        asks = tuple(dict.fromkeys((*old.origin.asks, *e.origin.asks)))
        nodes = tuple(dict.fromkeys((*old.origin.nodes, *e.origin.nodes)))
        source = old.origin.source or e.origin.source
        origin = t.Origin(nodes=nodes, asks=asks, source=source)
        changes: dict[str, object] = {"trust": best.trust, "origin": origin}
        if isinstance(e, t.Relation):
            changes["during"] = one_span((old.during, e.during))
        if not isinstance(e, t.Motion):
            changes["frames"] = tuple(sorted({*old.frames, *e.frames}, key=order.__getitem__))
        made[key] = old.model_copy(update=changes)
    return tuple(made.values())
