"""Builds the typed query of a reasoning path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Literal

from stepc.edges import EDGES
from stepc.forms import FORMS, Form
from stepc.forms.comparisons import ComparisonForm
from stepc.ir import types as t
from stepc.ir.graph import entities, identities_only
from stepc.ir.spans import Bounds, around, join_spans, moments, seconds
from stepc.ir.verify import asks_yes_no, hidden
from stepc.ir.words import any_mentions, mentions, plain
from stepc.lang.conditions import Described, Occasion, Said
from stepc.languages import DEFAULT, LANGUAGES, Language
from stepc.languages.base import Noun
from stepc.ops.make import Make, cached

WHOLE = t.During(event=None)
"""The scope of the whole video."""


class QueryBuilder(Make):
    """Builds queries for steps of a graph, and looks up labels, attribute kinds, events and times."""

    def __init__(self, unit: t.Stsg, language: Language = LANGUAGES[DEFAULT]) -> None:
        self.unit, self.language = unit, language
        self.labels = {o.id: o.label for o in unit.objects}
        self.objects = {o.id: o for o in unit.objects}
        self.kinds = {a.id: a.kind for a in unit.denied if isinstance(a, t.Attribute)}
        self.kinds |= {a.id: a.kind for a in unit.attributes}
        self.events = {e.clip: e.event for e in unit.events}
        self.times = {e.clip: (e.start, e.end) for e in unit.events}
        self.ranges = {c.id: (c.start, c.end) for c in unit.clips}
        self._described: dict[str, Described | None] = {}
        self._shown: dict[tuple[t.Step, str], t.Step] = {}
        """Cache of `shown_at`. Its steps are kept, because other caches know steps by their `id`."""

    @cached_property
    def entity(self) -> dict[str, int]:
        """Object id → entity. A dynamic object at several times is one entity."""
        return entities(self.unit)

    @cached_property
    def node_of(self) -> dict[int, str]:
        """Entity → its first object."""
        made: dict[int, str] = {}
        for o in self.unit.objects:
            made.setdefault(self.entity[o.id], o.id)
        return made

    @cached_property
    def at(self) -> dict[str, int]:
        """Keyframe → its time."""
        return {k.id: k.at for k in self.unit.keyframes.values()}

    @cached_property
    def moments(self) -> dict[str, int]:
        """Keyframe that a question can name → its time to a tenth of a second, in ms."""
        return moments(self.unit)

    @cached_property
    def _motions(self) -> dict[tuple[int, str], list[tuple[int, int]]]:
        spans: dict[tuple[int, str], list[tuple[int, int]]] = {}
        for m in self.unit.motions:
            key = (self.entity[m.source], plain(m.motion))
            spans.setdefault(key, []).append((m.start, m.end))
        return spans

    # --- facts about a step ---------------------------------------------------------------

    def motion_spans(self, object_: str, motion: str) -> tuple[tuple[int, int], ...]:
        """The time ranges of a motion of an object, in ms; overlapping or touching ranges are joined."""
        return join_spans(self._motions[self.entity[object_], plain(motion)])

    def span(self, step: t.Step) -> str:
        """When a motion or event happens, in words: its first time range."""
        start, end, _ = seconds(*self.spans(step)[0])
        return self.language.span(start, end)

    def duration(self, step: t.Step) -> str:
        """How long a motion or event takes, in words."""
        return self.language.duration(seconds(*self.spans(step)[0])[2])

    def spans(self, step: t.Step) -> tuple[tuple[int, int], ...]:
        """The time ranges of a motion or event, in ms; overlapping or touching ranges are joined."""
        return EDGES[step.edge].spans(step, self)

    def lasts_throughout(self, step: t.Step) -> bool:
        """Whether a motion or event lasts from the first keyframe of the video to the last one."""
        start, end = self.spans(step)[0]
        return all(start <= at <= end for at in self.at.values())

    def seen_throughout(self, object_: str, start: int, end: int) -> bool:
        """Whether an object is seen in each keyframe of its clip from one time to another, in ms."""
        shown = (at for at in self._keyframes[t.clip_of(object_)] if start <= at <= end)
        return self._seen[self.entity[object_]].issuperset(shown)

    @cached_property
    def _seen(self) -> dict[int, set[int]]:
        """Entity → the times of the keyframes that show it."""
        made: dict[int, set[int]] = {}
        for o in self.unit.objects:
            made.setdefault(self.entity[o.id], set()).update(self.at[f] for f in o.frames)
        return made

    def bounds(self, step: t.Step) -> tuple[Bounds, ...]:
        """What is known of the time ranges of a motion or event."""
        return EDGES[step.edge].bounds(step, self)

    def around(self, clip: str, span: tuple[int, int]) -> Bounds:
        """What is known of something that keyframes of a clip show from the begin to the end of `span`."""
        return around(span, self._keyframes[clip], self.ranges[clip])

    @cached_property
    def _keyframes(self) -> dict[str, list[int]]:
        return {c.id: [k.at for k in c.keyframes] for c in self.unit.clips}

    def the(self, object_: str) -> str:
        """The label of an object with article, or a name."""
        return self.the_label(self.labels[object_])

    def noun(self, label: str) -> Noun:
        """A label of the graph as a noun, with the class that the model gave to the objects that bear it."""
        return self.language.noun(label, self._given.get(label))

    def the_label(self, label: str) -> str:
        """A label of the graph with article, or a name."""
        return self.language.the(self.noun(label))

    @cached_property
    def _given(self) -> dict[str, t.NounClass]:
        told: dict[str, Counter[t.NounClass]] = {}
        for o in self.unit.objects:
            if o.noun is not None:
                told.setdefault(o.label, Counter())[o.noun] += 1
        return {label: count.most_common(1)[0][0] for label, count in told.items()}

    def described(self, object_: str) -> Described | None:
        """An object as conditions of a spec look at it; None for the id of a value or a clip."""
        if object_ not in self._described:
            o = self.objects.get(object_)
            self._described[object_] = None if o is None else Described(self.noun(o.label), o.op)
        return self._described[object_]

    def said(self, steps: Sequence[t.Step], i: int) -> Said:
        """How the known end of step `i` of a path is said."""
        if i == 0:
            return "plain"
        return "short" if steps[i - 1].edge == "attr" else "described"

    def occasion(self, step: t.Step, form: str, block: str, said: Said = "plain") -> Occasion:
        """What a wording of a step is needed for. `said`: how its known end is said."""
        near, far = self.described(step.near), self.described(step.far)
        known: Literal["near", "far", ""] = {"=>": "near", "<=": "far"}.get(step.way, "")  # type: ignore[assignment]
        kind = self.kinds.get(step.far, "")
        return Occasion(near, far, step.word, kind, form, block, known, said)

    def knows_value(self, step: t.Step) -> bool:
        """Whether the known end of a step is a value (attribute, motion, event), not an object."""
        return EDGES[step.edge].knows_value(step)

    def finds_value(self, step: t.Step) -> bool:
        """Whether a step finds a value (attribute, motion, event, predicate), not an object."""
        return EDGES[step.edge].finds_value(step)

    def fact(self, step: t.Step) -> str:
        """A step as a short statement that identifies it among the alternatives of a comparison."""
        return EDGES[step.edge].fact(step, self)

    def answer(self, step: t.Step, form: str = "ask") -> str:
        """What a step finds, in words: a label or value, or in some forms a time."""
        return FORMS[form].answer(step, self)

    @cached_property
    def is_identity(self) -> Callable[[t.Step], bool]:
        """Whether a step only says that a thing is itself, and so is no step of reasoning."""
        return identities_only(self.unit)

    def answers(self, steps: Iterable[t.Step]) -> list[str]:
        """What steps find, in words, without identities and what their own questions say."""
        found = (s for s in steps if EDGES[s.edge].names_found and not self.is_identity(s))
        return [self.answer(step) for step in found]

    def held_in(self, step: t.Step) -> tuple[str, ...]:
        """The keyframes that show the fact of a step."""
        if step.edge in ("motion", "seen"):
            shown = self._frames[self.entity[step.near]]
            if step.edge == "seen":
                return shown
            spans = self.spans(step)
            return tuple(f for f in shown if any(a <= self.at[f] <= b for a, b in spans))
        return self._held.get((step.edge, step.near, step.far, step.word), ())

    def demand(self, steps: Iterable[t.Step]) -> dict[str, int]:
        """In how many clips and keyframes the facts of steps are seen: `clips`, `keyframes`."""
        clips: set[str] = set()
        frames: set[str] = set()
        for step in steps:
            ends = [x for x in (step.near, step.far) if x.startswith("c")]
            clips.update(map(t.clip_of, ends))
            frames.update(self.held_in(step) or (f for x in ends for f in self._whole(x)))
        return {"clips": len(clips), "keyframes": len(frames)}

    def _whole(self, end: str) -> tuple[str, ...]:
        """The keyframes of an end of a step: those that show it, or those of its clip."""
        if end in self.objects:
            return self._frames[self.entity[end]]
        return tuple(f for f in self.at if t.clip_of(f) == end)

    def shown_at(self, step: t.Step, frame: str) -> t.Step:
        """The step by an equal fact that a keyframe shows: of what moves, each keyframe has its own."""
        if step.denied or frame in self.held_in(step):
            return step
        if (step, frame) not in self._shown:
            for near, far, word in self._equal.get(
                self._fact(step.edge, step.near, step.far, step.word), ()
            ):
                made = step.model_copy(update={"near": near, "far": far, "word": word})
                if frame in self.held_in(made):
                    self._shown[step, frame] = made
        return self._shown.get((step, frame), step)

    def _fact(self, edge: str, near: str, far: str, word: str) -> tuple[object, ...]:
        """What equal facts about one object or two have in common."""
        return edge, self.entity[near], self.entity.get(far, self.kinds.get(far, "")), plain(word)

    @cached_property
    def _equal(self) -> dict[tuple[object, ...], list[tuple[str, str, str]]]:
        """What equal facts have in common → (near end, far end, word) of each."""
        unit = self.unit
        every = [("attr", a.owner, a.id, a.value) for a in unit.attributes]
        every += [("rel", r.subject, r.object, r.predicate) for r in unit.relations]
        every += [("motion", m.source, m.target, m.motion) for m in unit.motions]
        made: dict[tuple[object, ...], list[tuple[str, str, str]]] = {}
        for fact in every:
            made.setdefault(self._fact(*fact), []).append(fact[1:])
        return made

    @cached_property
    def _frames(self) -> dict[int, tuple[str, ...]]:
        """Entity → the keyframes that show it, in the order of time."""
        made: dict[int, list[str]] = {}
        for o in self.unit.objects:
            made.setdefault(self.entity[o.id], []).extend(o.frames)
        return {e: tuple(sorted(frames, key=self.at.__getitem__)) for e, frames in made.items()}

    @cached_property
    def _held(self) -> dict[tuple[str, str, str, str], tuple[str, ...]]:
        made = {("attr", a.owner, a.id, a.value): a.frames for a in self.unit.attributes}
        return made | {
            ("rel", r.subject, r.object, r.predicate): r.frames for r in self.unit.relations
        }

    @cached_property
    def boxes(self) -> dict[tuple[int, str], str]:
        """(entity, keyframe) → box, as it is written."""
        return {(self.entity[b.owner], b.frame): b.text for b in self.unit.boxes}

    def alike(self, one: t.Step, other: t.Step) -> bool:
        """Whether two steps find the same value."""
        return plain(one.word) == plain(other.word)

    # --- operations -----------------------------------------------------------------------

    def scope(self, path_time: t.When | None, clip: str | None, told: str = "") -> t.Op:
        """The scope operation of a time range.

        `told` is the label of the object that `showing` names, or the keyframe of a `moment`.
        """
        if path_time is None or clip is None:
            return WHOLE
        if path_time == "span":
            start, end = self.ranges[clip]
            return t.Between(start=start, end=end)
        if path_time == "scene":
            return cached(t.Scene, number=self.number(clip))
        if path_time == "showing":
            return cached(t.Showing, label=told)
        if path_time == "moment":
            return cached(t.Moment, at=self.moments[told])
        event = self.events[clip]
        if path_time == "during":
            return cached(t.During, event=event)
        return cached(t.Beyond, op=path_time, event=event)

    def number(self, clip: str) -> int:
        """The number of a clip in the order of the video, from 1."""
        return [*self.ranges].index(clip) + 1

    # --- queries --------------------------------------------------------------------------

    def build(
        self,
        steps: Sequence[t.Step],
        scope: t.Op = WHOLE,
        form: Form = FORMS["ask"],
        unique: bool = True,
    ) -> t.Query:
        """The query of a chain of steps in reasoning order."""
        *before, last = steps
        begins = EDGES[steps[0].edge].start(steps[0], self)
        ops = [scope, begins]
        if isinstance(begins, t.Node):
            ops.append(self.unique)
        for step in before:
            ops += [*EDGES[step.edge].steps(step, self), self.unique]
        ops += EDGES[last.edge].steps(last, self)
        return (*ops, *form.ending(self.finds_value(last), unique, self))

    def stated(self, step: t.Step) -> t.Query:
        """The query, without scope, of whether the edge of a step holds between what its labels name."""
        near = self.named("a", self.labels[step.near])
        if step.edge == "rel":
            far = self.named("b", self.labels[step.far])
            return near, far, self.holds("fact", "a", "rel", step.word, "b"), self.exists
        kind = self.kinds[step.far] if step.edge == "attr" else ""
        return near, self.holds("fact", "a", step.edge, kind, "", step.word), self.exists

    def compare(
        self,
        form: ComparisonForm,
        one: t.Step,
        other: t.Step,
        scope: t.Op,
        options: tuple[str, str],
    ) -> t.Query:
        """The query that compares two steps. `options` are the two possible answers."""
        first, second = self.build([one], scope, form), self.build([other], scope, form)
        compare = t.Compare(how=form.how, one=options[0], other=options[1])
        return (*first, *second[1:], compare)


def says_answer(sample: t.Sample) -> bool:
    """Whether the question of a sample contains its answer or a sub-answer."""
    return any_mentions((sample.question,), hidden(sample))


def query_leaks(sample: t.Sample) -> str:
    """The leak of a sample, if one of its questions contains an answer, otherwise ""."""
    if says_answer(sample):
        return "the question says an answer"
    if any(mentions(b.question, b.answer) for b in sample.rationale if not asks_yes_no(b)):
        return "a step's question says its answer"
    return ""
