"""A reasoning path as a typed query: what a viewer would do to answer it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache

from stepc.ir import types as t
from stepc.ir.verify import entities, hidden
from stepc.ir.words import any_mentions, duration_text, joined_spans, mentions, plain, span_text

WHOLE = t.During(event=None)
"""The scope of the whole video."""


class QueryBuilder:
    """What a graph says of the ends of steps: labels, kinds, events, times."""

    def __init__(self, unit: t.Stsg) -> None:
        self.unit = unit
        self.labels = {o.id: o.label for o in unit.objects}
        self.kinds = {a.id: a.kind for a in unit.attributes}
        self.events = {e.clip: e.event for e in unit.events}
        self.times = {e.clip: (e.start, e.end) for e in unit.events}
        self.ranges = {c.id: (c.start, c.end) for c in unit.clips}

    @cached_property
    def entity(self) -> dict[str, int]:
        """A number for each object id; one for a dynamic object at several times."""
        return entities(self.unit)

    @cached_property
    def _motions(self) -> dict[tuple[int, str], list[tuple[int, int]]]:
        spans: dict[tuple[int, str], list[tuple[int, int]]] = {}
        for m in self.unit.motions:
            key = (self.entity[m.source], plain(m.motion))
            spans.setdefault(key, []).append((m.start, m.end))
        return spans

    def spans(self, step: t.Step) -> tuple[tuple[int, int], ...]:
        """When a motion or an event is, in milliseconds; ranges that touch are one."""
        if step.edge == "motion":
            return joined_spans(self._motions[self.entity[step.near], plain(step.word)])
        return (self.times[step.far],)

    def answer(self, step: t.Step, form: t.Form = "ask") -> str:
        """What a step finds, in words: a label, the value, or for some forms the time."""
        if form in ("when", "how-long") or (form in t.PAIRS and form != "same"):
            start, end = self.spans(step)[0]
            return span_text(start, end) if form != "how-long" else duration_text(start, end)
        if step.edge == "next":
            return self.events[step.found]
        return step.word if finds_value(step) else self.labels[step.found]

    def alike(self, one: t.Step, other: t.Step) -> bool:
        """Whether two steps find values that read the same."""
        return plain(one.word) == plain(other.word)

    def scope(self, path_time: t.When | None, clip: str | None) -> t.Op:
        """The op that gives a query its time range."""
        if path_time is None or clip is None:
            return WHOLE
        if path_time == "span":
            start, end = self.ranges[clip]
            return t.Between(start=start, end=end)
        return _scope(path_time, self.events[clip])

    def start(self, step: t.Step) -> t.Op:
        """The op that names the known end of a path's first step."""
        if step.edge == "next" or (step.edge == "event" and step.way == "--"):
            return _happens(self.events[step.known])
        if knows_value(step):
            kind = self.kinds[step.far] if step.edge == "attr" else ""
            return _given(step.edge, kind, step.word)
        return _node(self.labels[step.known])

    def follow(self, step: t.Step) -> tuple[t.Op, ...]:
        """The ops that take a step."""
        if step.way == "--":
            if step.edge == "rel":
                return (t.To(label=self.labels[step.far]),)
            if step.edge == "motion":
                return _follow("motion", "=>", ""), t.Where(value=step.word)
            return ()
        word = ""
        if step.edge == "rel":
            word = step.word
        elif step.edge == "attr" and step.way == "=>":
            word = self.kinds[step.far]
        elif step.edge == "ref":
            word = self.events.get(t.clip_of(step.found), "")
        return (_follow(step.edge, step.way, word),)

    def build(
        self,
        steps: Sequence[t.Step],
        scope: t.Op = WHOLE,
        form: t.Form = "ask",
        unique: bool = True,
    ) -> t.Query:
        """The query of a chain of `steps` in reasoning order."""
        begins = self.start(steps[0])
        ops = [scope, begins, _UNIQUE] if begins.op == "node" else [scope, begins]
        last = len(steps) - 1
        for i, step in enumerate(steps):
            ops += self.follow(step)
            if i == last and form == "count":
                return (*ops, t.Count())
            if i == last and form in t.PICKS:
                ops.append(_pick(form))
            if unique or i < last:
                ops.append(_UNIQUE)
        ops.append(_GETS[_what(steps[-1], form)])
        return tuple(ops)

    def compare(
        self, form: t.Form, one: t.Step, other: t.Step, scope: t.Op, says: tuple[str, str]
    ) -> t.Query:
        """The query that compares two steps; `says` are its two answers."""
        first, second = self.build([one], scope, form), self.build([other], scope, form)
        how = {"how": form.removeprefix("which-"), "one": says[0], "other": says[1]}
        return (*first, *second[1:], t.Compare.model_validate(how))


_UNIQUE = t.Unique()
_GETS = {w: t.Get.model_validate({"what": w}) for w in ("label", "value", "span", "duration")}


def _what(step: t.Step, form: t.Form) -> str:
    if form in ("when", "how-long"):
        return "span" if form == "when" else "duration"
    if form in t.PAIRS:
        return "value" if form == "same" else "span"
    return "value" if finds_value(step) else "label"


@lru_cache(4096)
def _node(label: str) -> t.Op:
    return t.Node(label=label)


@lru_cache(4096)
def _happens(event: str) -> t.Op:
    return t.Happens(event=event)


@lru_cache(4096)
def _given(edge: str, kind: str, value: str) -> t.Op:
    return t.Given.model_validate({"edge": edge, "kind": kind, "value": value})


@lru_cache(4096)
def _follow(edge: str, way: str, word: str) -> t.Op:
    return t.Follow.model_validate({"edge": edge, "way": way, "word": word})


@lru_cache(4096)
def _scope(when: str, event: str) -> t.Op:
    if when == "during":
        return t.During(event=event)
    return t.Beyond.model_validate({"op": when, "event": event})


@lru_cache(4)
def _pick(form: str) -> t.Op:
    return t.Pick.model_validate({"which": form})


def knows_value(step: t.Step) -> bool:
    """Whether a step starts from a value (an attribute's, a motion's, an event) and no object."""
    if step.edge == "next":
        return True
    return step.way == "<=" and step.edge in ("attr", "motion")


def finds_value(step: t.Step) -> bool:
    """Whether a step finds a value (attribute, motion, event, predicate) and no object."""
    return (
        step.way == "--"
        or step.edge == "next"
        or (step.way == "=>" and step.edge in ("attr", "motion", "event"))
    )


_SAYS = {
    "node": "label",
    "to": "label",
    "given": "value",
    "where": "value",
    "follow": "word",
    "during": "event",
    "before": "event",
    "after": "event",
    "happens": "event",
}
"""The field of each op that holds words of the graph."""


def words_of_op(op: t.Op) -> str:
    """The words of the graph that an op says: a label, value, predicate or event; or nothing."""
    name = _SAYS.get(op.op)
    return (getattr(op, name) or "") if name else ""


def says_answer(sample: t.Sample) -> bool:
    """Whether the question of `sample` contains its answer or a sub-answer."""
    return any_mentions((sample.question,), hidden(sample))


def query_leaks(sample: t.Sample) -> str:
    """Says so if a question of `sample` contains its answer or a sub-answer, else nothing."""
    if says_answer(sample):
        return "the question says an answer"
    if any(mentions(b.question, b.answer) for b in sample.rationale):
        return "a step's question says its answer"
    return ""
