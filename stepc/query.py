"""A reasoning path as a typed query: what a viewer would do to answer it."""

from __future__ import annotations

from collections.abc import Sequence

from stepc.ir import types as t
from stepc.ir.meaning import mentions


def start_of(step: t.Step, unit: t.Stsg) -> t.Op:
    """The op that names the known end of a path's first step."""
    if knows_value(step):
        if step.edge == "motion":
            return t.Given(edge="motion", kind="", value=step.word)
        attribute = next(a for a in unit.attributes if a.id == step.far)
        return t.Given(edge="attr", kind=attribute.kind, value=attribute.value)
    return t.Node(label=next(o.label for o in unit.objects if o.id == step.known))


def follow(step: t.Step, unit: t.Stsg) -> t.Follow:
    """The op that takes a step."""
    word = ""
    if step.edge == "rel":
        word = step.word
    elif step.edge == "attr" and step.way == "=>":
        word = next(a.kind for a in unit.attributes if a.id == step.far)
    elif step.edge == "ref":
        word = event_of(t.clip_of(step.found), unit) or ""
    return t.Follow(edge=step.edge, way=step.way, word=word)


def event_of(clip: str, unit: t.Stsg) -> str | None:
    """What happens in a clip, or None if no event is known."""
    return next((e.event for e in unit.events if e.clip == clip), None)


def knows_value(step: t.Step) -> bool:
    """Whether a step starts from a value (an attribute's or a motion's) and not an object."""
    return step.way == "<=" and step.edge in ("attr", "motion")


def finds_value(step: t.Step) -> bool:
    """Whether a step finds a value (attribute, motion, event) and not an object."""
    return step.way == "=>" and step.edge in ("attr", "motion", "event")


def build(steps: Sequence[t.Step], scope: str | None, unit: t.Stsg) -> t.Query:
    """The query of `steps` in reasoning order, in the scope of the event text `scope`."""
    ops: list[t.Op] = [t.During(event=scope), start_of(steps[0], unit)]
    if isinstance(ops[-1], t.Node):
        ops.append(t.Unique())
    for step in steps:
        ops += [follow(step, unit), t.Unique()]
    ops.append(t.Get(what="value" if finds_value(steps[-1]) else "label"))
    return tuple(ops)


def answer_of(step: t.Step, unit: t.Stsg) -> str:
    """What a step finds, in words: a label, or the value."""
    if finds_value(step):
        return step.word
    return next(o.label for o in unit.objects if o.id == step.found)


def query_leaks(sample: t.Sample) -> str:
    """Says so if a question of `sample` contains its answer or a sub-answer, else nothing."""
    shown = [b.answer for b in sample.rationale]
    if sample.form == "yes-no":
        shown = shown[:-1]
    if any(mentions(sample.question, answer) for answer in shown):
        return "the question says an answer"
    if any(mentions(b.question, b.answer) for b in sample.rationale):
        return "a step's question says its answer"
    return ""
