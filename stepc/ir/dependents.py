"""What depends on objects: elements that mean nothing without them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from stepc.ir import types as t


def ends_of(e: t.Element) -> set[str]:
    """The objects without which an element means nothing."""
    match e:
        case t.Attribute():
            return {e.owner}
        case t.Relation():
            return {e.subject, e.object}
        case t.Motion():
            return {e.source, e.target}
        case t.Reference():
            return {e.first, e.second}
        case _:
            return set()


def without(unit: t.Fsg, gone: Collection[str]) -> dict[str, Any]:
    """The fields of a graph without some objects, and without what depends on them."""
    lost = {*gone}
    made: dict[str, Any] = {"objects": tuple(o for o in unit.objects if o.id not in lost)}
    for name in ("attributes", "relations", "motions", "references", "denied"):
        if name in type(unit).model_fields:
            made[name] = tuple(e for e in getattr(unit, name) if lost.isdisjoint(ends_of(e)))
    made["gaps"] = tuple(g for g in unit.gaps if lost.isdisjoint((g.where, g.other)))
    made["boxes"] = tuple(b for b in unit.boxes if b.owner not in lost)
    return made
