"""Nodes, edges and the other elements of the IR, as frozen, strict pydantic types.

Times are integer milliseconds from the video's first frame.

An id is a path that says where a thing is and what it is: `c0` is a clip, `c0.k1` a keyframe, `c0.k1/cup`
an object in a keyframe, `c0/table` one object of a whole clip, `c0/table/wooden` an attribute; `.2` behind a
name marks the second one of that name. Edges have no id: their kind, ends and words identify them.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Millis = Annotated[int, Field(ge=0)]

ClipId = Annotated[str, StringConstraints(pattern=r"^c\d+$")]

FrameId = Annotated[str, StringConstraints(pattern=r"^c\d+\.k\d+$")]

ObjectId = Annotated[str, StringConstraints(pattern=r'^c\d+(\.k\d+)?/[^\s/";]+$')]

AttributeId = Annotated[str, StringConstraints(pattern=r'^c\d+(\.k\d+)?/[^\s/";]+/[^\s/";]+$')]

NodeId = Annotated[str, StringConstraints(pattern=r'^c\d+(\.k\d+)?(/[^\s/";]+){1,2}$')]

PlaceId = Annotated[str, StringConstraints(pattern=r'^c\d+((\.k\d+)?(/[^\s/";]+){1,2})?$')]

AskKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]

Frames = Annotated[tuple[FrameId, ...], Field(min_length=1)]

EdgeKind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z-]*$")]
"""The name of an edge kind (`stepc.edges`)."""
Superlative = Literal["first", "last", "longest", "shortest"]


class Value(BaseModel):
    """A frozen, strict value that can be hashed."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", defer_build=True)


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
