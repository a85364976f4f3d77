"""Nodes, edges and the other elements of the IR, as frozen, strict pydantic types.

Times are integer milliseconds from the first frame of the video.

An id is a path of location and name: `c0` is a clip, `c0.k1` a keyframe, `c0.k1/cup` an object in a
keyframe, `c0/table` an object of a whole clip, and `c0/table/wooden` an attribute. The suffix `.2` marks
the second element of the same name. Edges have no id: their kind, ends and words identify them.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Millis = Annotated[int, Field(ge=0, lt=10**12)]
"""Milliseconds; the text form has nine digits for seconds."""

Count = Annotated[int, Field(ge=0, lt=10**9)]

Words = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]
"""Words of a model, unedited; not only white space."""

ClipId = Annotated[str, StringConstraints(pattern=r"^c\d{1,9}$")]

FrameId = Annotated[str, StringConstraints(pattern=r"^c\d{1,9}\.k\d{1,9}$")]

ObjectId = Annotated[str, StringConstraints(pattern=r'^c\d{1,9}(\.k\d{1,9})?/[^\s/";]+$')]

AttributeId = Annotated[
    str, StringConstraints(pattern=r'^c\d{1,9}(\.k\d{1,9})?/[^\s/";]+/[^\s/";]+$')
]

NodeId = Annotated[str, StringConstraints(pattern=r'^c\d{1,9}(\.k\d{1,9})?(/[^\s/";]+){1,2}$')]

PlaceId = Annotated[str, StringConstraints(pattern=r'^c\d{1,9}((\.k\d{1,9})?(/[^\s/";]+){1,2})?$')]

AskKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]

Frames = Annotated[tuple[FrameId, ...], Field(min_length=1)]

EdgeKind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z-]*$")]
"""The name of an edge kind (`stepc.edges`)."""
Superlative = Literal["first", "second", "third", "last", "longest", "shortest"]


NounClass = Literal["person", "animal", "vehicle", "clothing", "food", "furniture", "building", "place",
                    "stuff", "part", "text", "thing"]  # fmt: skip
"""What an object is, as far as the words about it depend on that."""


class Value(BaseModel):
    """Base class: frozen, strict (no type coercion, no extra fields), hashable."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", defer_build=True)


def clip_of(identifier: str) -> str:
    """The clip of an id: `c0` for `c0.k1/cup`."""
    return identifier.partition("/")[0].partition(".")[0]


def frame_of(identifier: str) -> str | None:
    """The keyframe of an id, or None if the id belongs to a whole clip."""
    head = identifier.split("/", 1)[0]
    return head if "." in head else None


def slug(words: str) -> str:
    """A label as part of an id: lower-case letters and digits of any script, and dashes."""
    kept = "".join(c if c.isalnum() else "-" for c in words.lower())
    return re.sub(r"-+", "-", kept).strip("-") or "x"


class Trust(Value):
    """The evidence for an element (dual verification, section 3.1 of the paper)."""

    votes: Count
    """Number of sampled answers that contain the element."""
    asked: Annotated[int, Field(ge=1, lt=10**9)]
    """Number of sampled answers."""
    verdict: Literal["yes", "no", "unasked"] = "unasked"
    """The answer to the verifying question."""

    @property
    def confidence(self) -> float:
        """Frequency in the sampled answers, 0 to 1."""
        return self.votes / self.asked


def _absent(value: object) -> bool:
    """Whether a field that schema 1 did not have is left out of the JSON form."""
    return value is None


class Origin(Value):
    """The provenance of an element."""

    nodes: tuple[NodeId, ...] = ()
    """The frame-level nodes that were merged into this element."""
    asks: tuple[AskKey, ...] = ()
    """Keys of the model calls that produced it, as in a cassette."""
    source: Words | None = Field(None, exclude_if=_absent)
    """What else says so: `geometry` (boxes), `annotation` and the name of a data set …"""


class Element(Value):
    """Base class of nodes and edges."""

    trust: Trust
    origin: Origin = Origin()


class Object(Element):
    """An object node of O_t (section 3.1 of the paper), of one keyframe or, if merged, of one clip."""

    op: Literal["static", "dynamic"]
    id: ObjectId
    label: Words
    """The word of the model, unedited. Comparisons normalise it."""
    called: tuple[Words, ...] = ()
    """What the model calls it besides, the more common names first: `truck` for a bus."""
    noun: NounClass | None = None
    """What the model says it is; None if it was not asked. Wordings then go by the label."""
    frames: Frames
    """The keyframes in which it is visible, in order."""

    @property
    def place(self) -> str:
        """The id by which elements are ordered."""
        return self.id


class Attribute(Element):
    """An attribute node of A_t: a property of an object."""

    op: Literal["attr"] = "attr"
    id: AttributeId
    kind: Annotated[str, StringConstraints(pattern=r'^[^\s";]+$')]
    """One word: `color`, `material`, `state` …"""
    value: Words
    frames: Frames

    @property
    def owner(self) -> str:
        """The id of the object that has the attribute."""
        return self.id.rsplit("/", 1)[0]

    @property
    def place(self) -> str:
        """The id by which elements are ordered."""
        return self.id


class Relation(Element):
    """A relation edge e_rel = (o_i, r_ij, o_j). Its predicate can follow "is"."""

    op: Literal["rel"] = "rel"
    subject: ObjectId
    object: ObjectId
    predicate: Words
    frames: Frames
    """The keyframes in which it holds."""
    during: tuple[Millis, Millis] | None = Field(None, exclude_if=_absent)
    """From when to when it holds, as far as this is known: a time range in its clip, around its keyframes."""

    @property
    def place(self) -> str:
        """The id by which elements are ordered."""
        return self.subject


class Motion(Element):
    """A motion edge e_m = (o_t, motion, o_t', [t, t']). Its motion can follow "is"."""

    op: Literal["motion"] = "motion"
    source: ObjectId
    target: ObjectId
    motion: Words
    start: Millis
    end: Millis

    @property
    def place(self) -> str:
        """The id by which elements are ordered."""
        return self.source


class Reference(Element):
    """A reference edge e_ref: two objects of different clips are the same object. Earlier first."""

    op: Literal["ref"] = "ref"
    first: ObjectId
    second: ObjectId

    @property
    def place(self) -> str:
        """The id by which elements are ordered."""
        return self.first


class Event(Element):
    """An event edge: what happens in a clip, with its time range. Its text can follow "while"."""

    op: Literal["event"] = "event"
    clip: ClipId
    event: Words
    start: Millis
    end: Millis

    @property
    def place(self) -> str:
        """The id by which elements are ordered."""
        return self.clip


WordKind = Literal["label", "rel", "motion", "attr"]
"""What a word of the lexicon is: a label, a predicate, a motion, or a value of an attribute."""


class WordRelation(Element):
    """An entry of the video's lexicon: what one word means beside another."""

    op: Literal["word"] = "word"
    of: WordKind
    one: Words
    how: Literal["~", "<", "!"]
    """`~`: the same, and `one` is displayed. `<`: each `one` is an `other`. `!`: not both at a time."""
    other: Words


class Gap(Value):
    """A part of the graph that is not known: nothing was asked, or no usable reply came back.

    Anything may be the case there. What no gap covers was examined: what is not stated there is not so.
    """

    op: Literal["gap"] = "gap"
    where: Annotated[str, StringConstraints(pattern=r'^c\d{1,9}(\.k\d{1,9})?(/[^\s/";]+)?$')]
    """A clip, a keyframe, or an object of a keyframe, also one that was merged into an object of a clip. For
    relations also an object of a clip: in all keyframes, unless the other one is of a keyframe."""
    what: Literal["object", "attr", "rel", "motion", "event"]
    """The kind of fact that is not known."""
    other: ObjectId | None = None
    """The second of two objects of a keyframe, for relations; the same object in a later keyframe, for a
    motion."""
    word: Words | None = Field(None, exclude_if=_absent)
    """The predicate that is not known of two objects, or the label of which there may be more objects in a
    keyframe; None if nothing of this kind is known."""

    @property
    def place(self) -> str:
        """The id by which elements are ordered."""
        return self.where


Share = Annotated[int, Field(ge=0, le=1000)]
"""Thousandths: of the width or the height of the displayed picture, or of a score."""


class Box(Value):
    """Where an object is in a keyframe: the smallest upright rectangle around what is visible of it.

    Whole thousandths of the displayed picture, so that the text form is exact. x grows to the right, y
    downwards.
    """

    op: Literal["box"] = "box"
    owner: ObjectId
    """The object."""
    frame: FrameId
    left: Share
    top: Share
    right: Share
    bottom: Share
    score: Share = 1000
    """How sure its source is of it, in thousandths; 1000 if a person drew it."""
    source: Words
    """What found it: `annotation`, `detect` and the name of a model …"""
    track: Count | None = None
    """The number of its track in the clip. Boxes of one track are of one object, whatever it does."""

    @property
    def text(self) -> str:
        """The box as answers and rationales write it: `[120, 80, 410, 990]`."""
        return f"[{self.left}, {self.top}, {self.right}, {self.bottom}]"

    @property
    def place(self) -> str:
        """The id by which elements are ordered."""
        return self.owner


class TrackPoint(Value):
    """Where an object is at a time; edges as in a box."""

    at: Millis
    """Presentation time in ms."""
    left: Share
    top: Share
    right: Share
    bottom: Share


class Track(Value):
    """Where one object of a clip is between keyframes, too. Boxes in keyframes name it by its number."""

    op: Literal["track"] = "track"
    clip: ClipId
    number: Count
    source: Words
    """What followed the object: `annotation`, `track` and the name of a method …"""
    points: Annotated[tuple[TrackPoint, ...], Field(min_length=1)]
    """In the order of their times."""

    @property
    def place(self) -> str:
        """The id by which elements are ordered."""
        return self.clip


class Keyframe(Value):
    """A representative frame of a clip."""

    id: FrameId
    at: Millis
    """Presentation time in ms."""


class Frame(Value):
    """Identifies one picture of a video. Key for picture lookup and for cassettes."""

    video: str
    """SHA-256 of the video file, hexadecimal. `blank 640x360` is a grey picture of this size."""
    at: Millis


class Clip(Value):
    """A scene between two cuts, `[start, end)` in ms."""

    id: ClipId
    start: Millis
    end: Millis
    keyframes: tuple[Keyframe, ...] = ()


class Video(Value):
    """The source file."""

    file: str
    """File name without folders."""
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    duration: Millis
    rate: Annotated[str, StringConstraints(pattern=r"^[1-9]\d{0,8}(/[1-9]\d{0,8})?$")]
    """Average frames per second, as an integer or fraction."""
    width: Annotated[int, Field(gt=0, lt=10**9)]
    """Displayed width in pixels (after rotation)."""
    height: Annotated[int, Field(gt=0, lt=10**9)]


Way = Literal["=>", "<=", "--"]
