"""The levels of the IR: `clips` → `fsg` → `tsg` → `stsg` → `paths` → `qra`.

Each level contains everything of the previous one, so every dump is self-contained.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

import orjson
from pydantic import AfterValidator, Field, StringConstraints

from stepc.ir.elements import (
    Attribute,
    Box,
    Clip,
    ClipId,
    EdgeKind,
    Element,
    Event,
    Gap,
    Keyframe,
    Motion,
    Object,
    PlaceId,
    Reference,
    Relation,
    Track,
    Value,
    Video,
    Way,
    WordRelation,
    clip_of,
)
from stepc.ops import Query

SCHEMA = 2
"""The newest schema version. A unit that needs nothing of version 2 is written as version 1.

Version 2 has boxes, tracks, times of relations, gaps about one predicate, and sources that are no models.
"""

When = Literal["during", "before", "after", "span", "scene", "showing", "moment"]
"""Kinds of time range of a question: during, before or after an event, or a span in seconds."""

FormName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z-]*$")]
"""The name of a question form (`stepc.forms`)."""


class Step(Value):
    """One edge of a reasoning path and the end of it that is found (section 3.2 of the paper).

    `=>` finds the far end: the value of an attribute, the word of a motion, an event, the object
    of a relation, the later object of a reference, or the later event. `<=` finds the near end.
    `--` knows both ends and finds the edge itself: its predicate or its time.
    """

    edge: EdgeKind
    near: PlaceId
    """attr, motion, event, seen: the object. rel: the subject. ref: the earlier object. next: the earlier
    clip. An event that is itself known (`--`) has its clip at both ends."""
    far: Annotated[str, StringConstraints(min_length=1)]
    """attr: the attribute. motion: the later object. event, next: the clip. rel, ref, seen: the object."""
    word: str
    """The predicate, motion, event, value or label. Empty for `ref` and `next`."""
    way: Way
    denied: bool = False
    """Whether the graph denies the fact: it shows that something is not there."""

    @property
    def known(self) -> str:
        """The id of the known end, or of the near end if both are known."""
        return self.far if self.way == "<=" else self.near

    @property
    def found(self) -> str:
        """The id of the found end."""
        return self.far if self.way == "=>" else self.near


class Path(Value):
    """A reasoning path P: steps in reasoning order, from the known node to the answer.

    The paper samples backwards from the answer. `sample` does the same and reverses the path at the end.
    """

    id: Annotated[str, StringConstraints(pattern=r"^p\d{1,9}$")]
    wanted: Annotated[int, Field(gt=0, lt=10**9)]
    """Requested number of steps. A path that could not be expanded further has fewer."""
    block: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")] = "paths"
    """The `paths` block of the spec that drew it."""
    form: FormName = "ask"
    """The question form. A comparison has two independent steps; every other form has a chain."""
    time: When | None = None
    """Temporal contextualisation: the kind of time range that `clip` gives, or None."""
    clip: ClipId | None = None
    """The clip whose event or span gives the time range."""
    steps: tuple[Step, ...]
    also: tuple[Step, ...] = ()
    """Other results of the last step: the rest of what is counted or picked from, or other correct
    answers. For a pattern that compares two counts: the facts of the second one."""
    unique: bool = True
    """Whether the path was required to have exactly one answer."""
    pattern: bool = False
    """Whether its steps are the facts of a `pattern` block, not a chain."""
    query: Query

    @property
    def told(self) -> tuple[Step, ...]:
        """The steps that a rationale tells, in its order."""
        if not self.pattern:
            return self.steps
        return *dict.fromkeys(self.steps), *dict.fromkeys(self.also)


class Because(Value):
    """One step of a rationale: the sub-question, its answer, and the sentence that states it."""

    question: str
    answer: str
    text: str
    query: Query


def _none(value: object) -> bool:
    return not value


class ProbeResult(Value):
    """How often a model answered a question rightly when it was shown a part of the video."""

    shown: Annotated[str, StringConstraints(pattern=r"^(video|nothing|keyframe|without \d{1,3})$")]
    """The `video`; `nothing`; one `keyframe` of the evidence; the video `without` the keyframes that are
    evidence of a step, by its number from 1."""
    right: Annotated[int, Field(ge=0, lt=10**9)]
    """Number of right answers."""
    asked: Annotated[int, Field(ge=1, lt=10**9)]
    """Number of answers."""


WrongKind = Literal["object", "value", "relation", "order", "time"]
"""What is wrong: what a step finds (an object or a value), its relation, who stands in it to whom, when."""


class WrongStep(Value):
    """A false sentence in place of one step of a rationale."""

    step: Annotated[int, Field(ge=1, lt=1000)]
    """The number of the step, from 1."""
    what: WrongKind
    text: str
    """What the step then says."""
    answer: str
    """What the reply then answers."""
    instead: str = ""
    """The word that it says in place of the right one, as the graph has it; empty for an order or a time."""


class Sample(Value):
    """A question, its answer and its rationale (Q, A, R) from one path."""

    id: Annotated[str, StringConstraints(pattern=r"^q\d{1,9}$")]
    path: Annotated[str, StringConstraints(pattern=r"^p\d{1,9}$")]
    form: Literal["open", "yes-no", "choice", "count", "time", "box", "compare"]
    wording: Literal["template", "refined"]
    checked: bool
    """Whether `check` derived the same answer and sub-answers."""
    question: str
    answer: str
    claim: str
    """For yes-no: what the question claims to be the result of the query. Otherwise empty."""
    options: tuple[str, ...] = ()
    """For choice and compare: the options in the order shown. Otherwise empty."""
    room: int = Field(0, ge=0, lt=10**9)
    """Number of options that are still to be added from the rest of the corpus."""
    also: tuple[str, ...] = ()
    """Other correct answers, if the path was drawn as `ambiguous`."""
    query: Query
    rationale: tuple[Because, ...]
    probes: tuple[ProbeResult, ...] = Field((), exclude_if=_none)
    """What `probe` found out about it."""
    wrong: tuple[WrongStep, ...] = Field((), exclude_if=_none)
    """Steps that `wrong-steps` made false."""

    def _repr_html_(self) -> str:
        """Question, steps and answer, for notebooks."""
        steps = "".join(f"<li>{html.escape(b.text)}</li>" for b in self.rationale)
        options = "".join(f" ({html.escape(o)})" for o in self.options)
        question, answer = html.escape(self.question), html.escape(self.answer)
        return f"<p><b>{question}</b>{options}</p><ol>{steps}</ol><p>{answer}</p>"


Denied = Annotated[Object | Attribute | Relation | Motion | Event, Field(discriminator="op")]
"""A fact that is known to be false: the verifying question about it was answered no."""

_Placed = TypeVar(
    "_Placed", Object, Attribute, Relation, Motion, Reference, Event, Gap, Denied, Box, Track
)


def _by_clip(elements: tuple[_Placed, ...]) -> tuple[_Placed, ...]:
    return tuple(sorted(elements, key=lambda e: int(clip_of(e.place)[1:])))


class Unit(Value):
    """One video at one level of the IR. Elements are ordered by clip."""

    LEVEL: ClassVar[str]
    name: Annotated[str, StringConstraints(min_length=1)]
    video: Video
    clips: tuple[Clip, ...] = ()

    @property
    def schema_version(self) -> int:
        """The schema version of its text form and its JSON form: the oldest that has all that it needs."""
        return 2 if any(self._new()) else 1

    def _new(self) -> Iterator[bool]:
        """Whether it has what schema 1 did not have, kind by kind."""
        for name in type(self).model_fields:
            match getattr(self, name):
                case (Box() | Track(), *_):
                    yield True
                case (Element(), *_) as elements:
                    yield any(
                        e.origin.source is not None or getattr(e, "during", None) for e in elements
                    )
                case (Gap(), *_) as gaps:
                    yield any(gap.word is not None for gap in gaps)
                case (Sample(), *_) as samples:
                    yield any(s.probes or s.wrong for s in samples)

    @property
    def keyframes(self) -> dict[str, Keyframe]:
        """Id → keyframe, in order."""
        return {k.id: k for clip in self.clips for k in clip.keyframes}

    def evolve(self, **changes: Any) -> Self:
        """A validated copy with some fields changed. Raises pydantic's ValidationError."""
        return raise_to(type(self), self, **changes)

    def _repr_html_(self) -> str:
        """The text form, for notebooks."""
        from stepc.ir.text import write

        return f"<pre>{html.escape(write(self))}</pre>"

    def to_json(self) -> bytes:
        """The JSON form: UTF-8, indented, with a final newline."""
        data = self.model_dump(mode="json")
        for name in ("boxes", "tracks"):
            if not data.get(name):
                data.pop(name, None)
        data = {"level": self.LEVEL, "schema_version": self.schema_version, **data}
        return orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


class Clips(Unit):
    """Level `clips`: scenes and keyframes (after visual splitting)."""

    LEVEL = "clips"


class Fsg(Unit):
    """Level `fsg`: one frame scene graph G_t = (O_t, A_t, E_rel) per keyframe."""

    LEVEL = "fsg"
    objects: Annotated[tuple[Object, ...], AfterValidator(_by_clip)] = ()
    attributes: Annotated[tuple[Attribute, ...], AfterValidator(_by_clip)] = ()
    relations: Annotated[tuple[Relation, ...], AfterValidator(_by_clip)] = ()
    lexicon: tuple[WordRelation, ...] = ()
    """What its words mean beside each other."""
    denied: Annotated[tuple[Denied, ...], AfterValidator(_by_clip)] = ()
    """Facts known to be false. They have ids of their own; only a denied step of a path refers to them."""
    gaps: Annotated[tuple[Gap, ...], AfterValidator(_by_clip)] = ()
    """What was not examined."""
    boxes: Annotated[tuple[Box, ...], AfterValidator(_by_clip)] = ()
    """Where its objects are, as far as it is known."""
    tracks: Annotated[tuple[Track, ...], AfterValidator(_by_clip)] = ()
    """Where they are between keyframes."""


class Tsg(Fsg):
    """Level `tsg`: one temporal scene graph per clip (after dynamic merging)."""

    LEVEL = "tsg"
    motions: Annotated[tuple[Motion, ...], AfterValidator(_by_clip)] = ()


class Stsg(Tsg):
    """Level `stsg`: the spatio-temporal scene graph of the video (after cross-clip bridging)."""

    LEVEL = "stsg"
    references: Annotated[tuple[Reference, ...], AfterValidator(_by_clip)] = ()
    events: Annotated[tuple[Event, ...], AfterValidator(_by_clip)] = ()


class Paths(Stsg):
    """Level `paths`: reasoning paths in the STSG."""

    LEVEL = "paths"
    paths: tuple[Path, ...] = ()


class Qras(Paths):
    """Level `qra`: questions, rationales and answers."""

    LEVEL = "qra"
    samples: tuple[Sample, ...] = ()


LEVELS: dict[str, type[Unit]] = {c.LEVEL: c for c in (Clips, Fsg, Tsg, Stsg, Paths, Qras)}
"""Level name → type, in lowering order."""

U = TypeVar("U", bound=Unit)


def raise_to(level: type[U], unit: Unit, **more: Any) -> U:
    """Convert `unit` to `level`: shared fields are copied and `more` is set. Validates the result."""
    fields = {n: getattr(unit, n) for n in type(unit).model_fields if n in level.model_fields}
    return level.model_validate({**fields, **more})


def from_json(data: bytes) -> Unit:
    """Read a unit from its JSON form. Raises ValueError if the data is invalid."""
    raw = orjson.loads(data)
    level = raw.pop("level", None) if isinstance(raw, dict) else None
    if not isinstance(level, str) or level not in LEVELS:
        raise ValueError(f"unknown level {str(level)[:80]!r}")
    version = raw.pop("schema_version", 1)
    if type(version) is not int or not 1 <= version <= SCHEMA:
        raise ValueError(f"schema version {str(version)[:80]!r}, not one from 1 to {SCHEMA}")
    try:
        return LEVELS[level].model_validate_json(orjson.dumps(raw))
    except TypeError as error:  # nested too deep for orjson
        raise ValueError(str(error)) from error


def ordinals(names: Iterable[str]) -> list[str]:
    """Make names unique: the second `cup` becomes `cup.2`."""
    seen: dict[str, int] = {}
    made = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        made.append(name if seen[name] == 1 else f"{name}.{seen[name]}")
    return made
