"""The levels of the IR as frozen, strict pydantic types.

`clips` → `fsg` → `tsg` → `stsg` → `paths` → `qra`: each level holds all of the one before it,
so that any dump stands alone. Times are integer milliseconds from the video's first frame.

An id is a path that says where a thing is and what it is: `c0` a clip, `c0.k1` a keyframe,
`c0.k1/cup` an object in a keyframe, `c0/table` one object of a whole clip, `c0/table/wooden`
an attribute; `.2` behind a name marks the second one so called. Edges have no id: their
kind, ends and words are what they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

SCHEMA = 1
"""Version of the schema; in the header of every text and JSON form."""

Millis = Annotated[int, Field(ge=0)]
ClipId = Annotated[str, StringConstraints(pattern=r"^c\d+$")]
FrameId = Annotated[str, StringConstraints(pattern=r"^c\d+\.k\d+$")]
ObjectId = Annotated[str, StringConstraints(pattern=r'^c\d+(\.k\d+)?/[^\s/";]+$')]
AttributeId = Annotated[str, StringConstraints(pattern=r'^c\d+(\.k\d+)?/[^\s/";]+/[^\s/";]+$')]
NodeId = Annotated[str, StringConstraints(pattern=r'^c\d+(\.k\d+)?(/[^\s/";]+){1,2}$')]
PlaceId = Annotated[str, StringConstraints(pattern=r'^c\d+((\.k\d+)?(/[^\s/";]+){1,2})?$')]
AskKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
Frames = Annotated[tuple[FrameId, ...], Field(min_length=1)]
EdgeKind = Literal["attr", "rel", "motion", "ref", "event", "next"]


class Value(BaseModel):
    """A frozen, strict value that can be hashed."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


def clip_of(identifier: str) -> str:
    """The clip an id lies in: `c0` of `c0.k1/cup`."""
    return re.split(r"[./]", identifier, maxsplit=1)[0]


def frame_of(identifier: str) -> str | None:
    """The keyframe an id lies in, or None for an id of a whole clip."""
    head = identifier.split("/", 1)[0]
    return head if "." in head else None


def slug(words: str) -> str:
    """A label as part of an id: lower case, letters and digits of any script, dashes."""
    kept = "".join(c if c.isalnum() else "-" for c in words.lower())
    return re.sub(r"-+", "-", kept).strip("-") or "x"


class Trust(Value):
    """Why an element is believed (dual verification, section 3.1)."""

    votes: Annotated[int, Field(ge=0)]
    """In how many of the sampled answers it was."""
    asked: Annotated[int, Field(ge=1)]
    """How many answers were sampled."""
    verdict: Literal["yes", "no", "unasked"] = "unasked"
    """What the verifying question answered."""

    @property
    def confidence(self) -> float:
        """Frequency among the sampled answers, 0 to 1."""
        return self.votes / self.asked


class Origin(Value):
    """Where an element comes from."""

    nodes: tuple[NodeId, ...] = ()
    """The frame-level nodes merged into this one."""
    asks: tuple[AskKey, ...] = ()
    """Keys of the model calls that gave it, as in a cassette."""


class Element(Value):
    """What every node and edge has."""

    trust: Trust
    origin: Origin = Origin()


class Object(Element):
    """An object node of O_t (section 3.1): in one keyframe, or, merged, of one clip."""

    op: Literal["static", "dynamic"]
    id: ObjectId
    label: Annotated[str, StringConstraints(min_length=1)]
    """The model's own word; compared normalised, never edited."""
    frames: Frames
    """The keyframes it is seen in, in order."""

    @property
    def place(self) -> str:
        """The id the element is ordered by."""
        return self.id


class Attribute(Element):
    """An attribute node of A_t: what is so about an object."""

    op: Literal["attr"] = "attr"
    id: AttributeId
    kind: Annotated[str, StringConstraints(pattern=r'^[^\s";]+$')]
    """`color`, `material`, `state` …: one word."""
    value: Annotated[str, StringConstraints(min_length=1)]
    frames: Frames

    @property
    def owner(self) -> str:
        """The object it belongs to."""
        return self.id.rsplit("/", 1)[0]

    @property
    def place(self) -> str:
        """The id the element is ordered by."""
        return self.id


class Relation(Element):
    """A relation edge e_rel = (o_i, r_ij, o_j); its predicate reads after "is"."""

    op: Literal["rel"] = "rel"
    subject: ObjectId
    object: ObjectId
    predicate: Annotated[str, StringConstraints(min_length=1)]
    frames: Frames
    """The keyframes in which it holds."""

    @property
    def place(self) -> str:
        """The id the element is ordered by."""
        return self.subject


class Motion(Element):
    """A motion edge e_m = (o_t, motion, o_t', [t, t']); the motion reads after "is"."""

    op: Literal["motion"] = "motion"
    source: ObjectId
    target: ObjectId
    motion: Annotated[str, StringConstraints(min_length=1)]
    start: Millis
    end: Millis

    @property
    def place(self) -> str:
        """The id the element is ordered by."""
        return self.source


class Reference(Element):
    """A reference edge e_ref: objects of two clips that are one and the same; earlier first."""

    op: Literal["ref"] = "ref"
    first: ObjectId
    second: ObjectId

    @property
    def place(self) -> str:
        """The id the element is ordered by."""
        return self.first


class Event(Element):
    """An event edge: what happens in a clip, with its time range; reads after "while"."""

    op: Literal["event"] = "event"
    clip: ClipId
    event: Annotated[str, StringConstraints(min_length=1)]
    start: Millis
    end: Millis

    @property
    def place(self) -> str:
        """The id the element is ordered by."""
        return self.clip


class Keyframe(Value):
    """A representative frame of a clip."""

    id: FrameId
    at: Millis
    """Presentation time."""


class Frame(Value):
    """A picture by where it is: how pictures are looked up, and cassettes keyed."""

    video: str
    """SHA-256 of the video file, hexadecimal."""
    at: Millis


class Clip(Value):
    """A scene between two cuts, [start, end)."""

    id: ClipId
    start: Millis
    end: Millis
    keyframes: tuple[Keyframe, ...] = ()


class Video(Value):
    """The source file."""

    file: str
    """Its name, without folders."""
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    duration: Millis
    rate: Annotated[str, StringConstraints(pattern=r"^[1-9]\d*(/[1-9]\d*)?$")]
    """Average frames a second, as a fraction."""
    width: Annotated[int, Field(gt=0)]
    """Pixels, as displayed (after rotation)."""
    height: Annotated[int, Field(gt=0)]


Way = Literal["=>", "<=", "--"]
When = Literal["during", "before", "after", "span"]
"""How a question is given its time: while, before or after an event, or a range in seconds."""
Form = Literal[
    "ask",
    "claim",
    "choice",
    "count",
    "first",
    "last",
    "longest",
    "shortest",
    "when",
    "how-long",
    "which-first",
    "which-last",
    "which-longer",
    "which-shorter",
    "same",
]
"""How a path is asked; each but `choice` is named like the line of a spec that words it."""
PICKS: tuple[Form, ...] = ("first", "last", "longest", "shortest")
"""Forms that pick one of several answers by its time."""
PAIRS: tuple[Form, ...] = ("which-first", "which-last", "which-longer", "which-shorter", "same")
"""Forms that compare two edges."""


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


class During(Value):
    """Query op: from here on, only the clips whose event is so worded; None is the whole video."""

    op: Literal["during"] = "during"
    event: str | None


class Beyond(Value):
    """Query op: from here on, only the clips that end before, or begin after, an event."""

    op: Literal["before", "after"]
    event: str


class Between(Value):
    """Query op: from here on, only the clips that meet the range [start, end)."""

    op: Literal["between"] = "between"
    start: Millis
    end: Millis


class Node(Value):
    """Query op: all objects in scope that carry this label."""

    op: Literal["node"] = "node"
    label: str


class Given(Value):
    """Query op: a value to start from (an attribute's or a motion's)."""

    op: Literal["given"] = "given"
    edge: Literal["attr", "motion"]
    kind: str
    """The attribute's kind; empty for a motion."""
    value: str


class Happens(Value):
    """Query op: the event so worded, to start from."""

    op: Literal["happens"] = "happens"
    event: str


class Follow(Value):
    """Query op: along all edges of a kind (and word, and attribute kind)."""

    op: Literal["follow"] = "follow"
    edge: EdgeKind
    way: Way
    word: str
    """The predicate (rel) or the attribute's kind (attr); empty where any will do."""


class To(Value):
    """Query op: the predicates of all relations from here to the one object of a label."""

    op: Literal["to"] = "to"
    label: str


class Where(Value):
    """Query op: only what reads like this value."""

    op: Literal["where"] = "where"
    value: str


class Count(Value):
    """Query op: how many different things there are, as a number."""

    op: Literal["count"] = "count"


class Pick(Value):
    """Query op: the one that is first, last, longest or shortest in time."""

    op: Literal["pick"] = "pick"
    which: Literal["first", "last", "longest", "shortest"]


class Unique(Value):
    """Query op: there must be exactly one; the answer is undefined otherwise."""

    op: Literal["unique"] = "unique"


class Get(Value):
    """Query op: the answer as text: a label, the value reached, when it was, or how long.

    A start op after it begins a second answer, for `Compare`.
    """

    op: Literal["get"] = "get"
    what: Literal["label", "value", "span", "duration"]


class Compare(Value):
    """Query op: which of the two answers got so far is first, last, longer or shorter in time.

    The answer is `one` or `other`; for `same`, `one` if they are alike and else `other`.
    """

    op: Literal["compare"] = "compare"
    how: Literal["first", "last", "longer", "shorter", "same"]
    one: str
    other: str


Op = Annotated[
    During
    | Beyond
    | Between
    | Node
    | Given
    | Happens
    | Follow
    | To
    | Where
    | Unique
    | Count
    | Pick
    | Get
    | Compare,
    Field(discriminator="op"),
]
Query = tuple[Op, ...]


class Path(Value):
    """A reasoning path P: steps in reasoning order, from what is known to the answer.

    The paper samples from the answer outwards; `sample` reverses once, at the end.
    """

    id: Annotated[str, StringConstraints(pattern=r"^p\d+$")]
    wanted: Annotated[int, Field(gt=0)]
    """Steps asked for; a path that could not be expanded further has fewer."""
    block: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")] = "paths"
    """The spec's sampling block that drew it."""
    form: Form = "ask"
    """How it is asked. A form of `PAIRS` has two steps side by side, every other one a chain."""
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
