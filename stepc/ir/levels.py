"""The levels of the IR: `clips` → `fsg` → `tsg` → `stsg` → `paths` → `qra`.

Each level holds everything of the one before it, so that any dump stands alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

import orjson
from pydantic import AfterValidator, Field, StringConstraints

from stepc.ir.elements import (
    Attribute,
    Clip,
    ClipId,
    EdgeKind,
    Event,
    Keyframe,
    Motion,
    Object,
    PlaceId,
    Reference,
    Relation,
    Value,
    Video,
    Way,
    clip_of,
)
from stepc.ops import Query

SCHEMA = 1
"""Version of the schema; in the header of every text and JSON form."""

When = Literal["during", "before", "after", "span"]
"""How a question is given its time: while, before or after an event, or a range in seconds."""

FormName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z-]*$")]
"""The name of a question form (`stepc.forms`)."""


class Step(Value):
    """One edge of a reasoning path and which end of it is found (section 3.2).

    `=>` finds the far end: an attribute's value, a motion's word, an event, a relation's
    object, the later object of a reference, the later event. `<=` finds the near end. `--`
    knows both ends and finds the edge itself: its predicate, or its time.
    """

    edge: EdgeKind
    near: PlaceId
    """attr, motion, event: the object; rel: the subject; ref: the earlier object; next: the
    earlier clip. An event that is known itself (`--`) has its clip at both ends."""
    far: Annotated[str, StringConstraints(min_length=1)]
    """attr: the attribute; motion: the object later; event, next: the clip; rel, ref: the object."""
    word: str
    """The predicate, motion, event or value; empty for a reference and between events."""
    way: Way

    @property
    def known(self) -> str:
        """The id of the known end; the near one where both are known."""
        return self.far if self.way == "<=" else self.near

    @property
    def found(self) -> str:
        """The id of the found end."""
        return self.far if self.way == "=>" else self.near


class Path(Value):
    """A reasoning path P: steps in reasoning order, from what is known to the answer.

    The paper samples from the answer outwards; `sample` reverses once, at the end.
    """

    id: Annotated[str, StringConstraints(pattern=r"^p\d+$")]
    wanted: Annotated[int, Field(gt=0)]
    """Steps asked for; a path that could not be expanded further has fewer."""
    block: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")] = "paths"
    """The spec's sampling block that drew it."""
    form: FormName = "ask"
    """How it is asked. A form that compares has two steps side by side, every other one a chain."""
    time: When | None = None
    """Temporal contextualisation: how `clip` gives the time range."""
    clip: ClipId | None = None
    """The clip whose event edge, or span, gives the time range."""
    steps: tuple[Step, ...]
    also: tuple[Step, ...] = ()
    """What else the last step finds: what is counted or picked from, or other right answers."""
    unique: bool = True
    """Whether it was drawn to have exactly one answer."""
    query: Query


class Because(Value):
    """One step of a rationale: the sub-question, its answer, and the sentence that says so."""

    question: str
    answer: str
    text: str
    query: Query


class Sample(Value):
    """A question, its answer and its rationale (Q, A, R) from one path."""

    id: Annotated[str, StringConstraints(pattern=r"^q\d+$")]
    path: Annotated[str, StringConstraints(pattern=r"^p\d+$")]
    form: Literal["open", "yes-no", "choice", "count", "time", "compare"]
    wording: Literal["template", "refined"]
    checked: bool
    """Whether `check` has derived the answer and all sub-answers again."""
    question: str
    answer: str
    claim: str
    """What the question claims the query gives (yes-no), else empty."""
    options: tuple[str, ...] = ()
    """What is chosen from (choice, compare), in the order shown; else empty."""
    room: int = Field(0, ge=0)
    """How many more options are to come from the rest of the corpus."""
    also: tuple[str, ...] = ()
    """Other right answers of a path drawn as `ambiguous`."""
    query: Query
    rationale: tuple[Because, ...]


_Placed = TypeVar("_Placed", Object, Attribute, Relation, Motion, Reference, Event)


def _by_clip(elements: tuple[_Placed, ...]) -> tuple[_Placed, ...]:
    return tuple(sorted(elements, key=lambda e: int(clip_of(e.place)[1:])))


class Unit(Value):
    """One video at some level. Elements are kept in the order of their clips."""

    LEVEL: ClassVar[str]
    schema_version: Literal[1] = 1
    name: Annotated[str, StringConstraints(min_length=1)]
    video: Video
    clips: tuple[Clip, ...] = ()

    @property
    def keyframes(self) -> dict[str, Keyframe]:
        """All keyframes by id, in order."""
        return {k.id: k for clip in self.clips for k in clip.keyframes}

    def evolve(self, **changes: Any) -> Self:
        """A copy with some fields changed, validated."""
        return raise_to(type(self), self, **changes)

    def to_json(self) -> bytes:
        """The JSON form."""
        data = {"level": self.LEVEL, **self.model_dump(mode="json")}
        return orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


class Clips(Unit):
    """Level `clips`: scenes and keyframes (visual splitting)."""

    LEVEL = "clips"


class Fsg(Unit):
    """Level `fsg`: a frame scene graph G_t = (O_t, A_t, E_rel) for each keyframe."""

    LEVEL = "fsg"
    objects: Annotated[tuple[Object, ...], AfterValidator(_by_clip)] = ()
    attributes: Annotated[tuple[Attribute, ...], AfterValidator(_by_clip)] = ()
    relations: Annotated[tuple[Relation, ...], AfterValidator(_by_clip)] = ()


class Tsg(Fsg):
    """Level `tsg`: a temporal scene graph for each clip (dynamic merging)."""

    LEVEL = "tsg"
    motions: Annotated[tuple[Motion, ...], AfterValidator(_by_clip)] = ()


class Stsg(Tsg):
    """Level `stsg`: the video's spatio-temporal scene graph (cross-clip bridging)."""

    LEVEL = "stsg"
    references: Annotated[tuple[Reference, ...], AfterValidator(_by_clip)] = ()
    events: Annotated[tuple[Event, ...], AfterValidator(_by_clip)] = ()


class Paths(Stsg):
    """Level `paths`: reasoning paths over the STSG."""

    LEVEL = "paths"
    paths: tuple[Path, ...] = ()


class Qras(Paths):
    """Level `qra`: questions, rationales and answers."""

    LEVEL = "qra"
    samples: tuple[Sample, ...] = ()


LEVELS: dict[str, type[Unit]] = {c.LEVEL: c for c in (Clips, Fsg, Tsg, Stsg, Paths, Qras)}
"""The levels in the order of lowering."""

U = TypeVar("U", bound=Unit)


def raise_to(level: type[U], unit: Unit, **more: Any) -> U:
    """`unit` with the fields it shares with `level`, and `more`, validated."""
    fields = {n: getattr(unit, n) for n in type(unit).model_fields if n in level.model_fields}
    return level.model_validate({**fields, **more})


def from_json(data: bytes) -> Unit:
    """The unit in a JSON form. Raises ValueError (pydantic's) on what is not one."""
    raw = orjson.loads(data)
    level = raw.pop("level", None) if isinstance(raw, dict) else None
    if level not in LEVELS:
        raise ValueError(f"no such level: {level!r}")
    return LEVELS[level].model_validate_json(orjson.dumps(raw))


def ordinals(names: Iterable[str]) -> list[str]:
    """Names made different: the second `cup` becomes `cup.2`."""
    seen: dict[str, int] = {}
    made = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        made.append(name if seen[name] == 1 else f"{name}.{seen[name]}")
    return made
