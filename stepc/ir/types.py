"""All types of the IR in one place: `from stepc.ir import types as t`."""

from stepc.ir.elements import (
    AskKey,
    Attribute,
    AttributeId,
    Clip,
    ClipId,
    EdgeKind,
    Element,
    Event,
    Frame,
    FrameId,
    Frames,
    Gap,
    Keyframe,
    Millis,
    Motion,
    NodeId,
    NounClass,
    Object,
    ObjectId,
    Origin,
    PlaceId,
    Reference,
    Relation,
    Superlative,
    Trust,
    Value,
    Video,
    Way,
    WordKind,
    WordRelation,
    clip_of,
    frame_of,
    slug,
)
from stepc.ir.levels import (
    LEVELS,
    SCHEMA,
    Because,
    Clips,
    Denied,
    FormName,
    Fsg,
    Path,
    Paths,
    Qras,
    Sample,
    Step,
    Stsg,
    Tsg,
    Unit,
    When,
    from_json,
    ordinals,
    raise_to,
)
from stepc.ops import Op, Query
from stepc.ops.between import Between
from stepc.ops.beyond import Beyond
from stepc.ops.compare import Compare
from stepc.ops.count import Count
from stepc.ops.during import During
from stepc.ops.exists import Exists
from stepc.ops.fact import Fact
from stepc.ops.find import FindVariable
from stepc.ops.follow import Follow
from stepc.ops.get import Get
from stepc.ops.given import Given
from stepc.ops.happens import Happens
from stepc.ops.later import LaterMoment
from stepc.ops.node import Node
from stepc.ops.pick import Pick
from stepc.ops.scene import Scene
from stepc.ops.showing import Showing
from stepc.ops.the import The
from stepc.ops.to import To
from stepc.ops.unique import Unique
from stepc.ops.where import Where

__all__ = [
    "LEVELS",
    "SCHEMA",
    "AskKey",
    "Attribute",
    "AttributeId",
    "Because",
    "Between",
    "Beyond",
    "Clip",
    "ClipId",
    "Clips",
    "Compare",
    "Count",
    "Denied",
    "During",
    "EdgeKind",
    "Element",
    "Event",
    "Exists",
    "Fact",
    "FindVariable",
    "Follow",
    "FormName",
    "Frame",
    "FrameId",
    "Frames",
    "Fsg",
    "Gap",
    "Get",
    "Given",
    "Happens",
    "Keyframe",
    "LaterMoment",
    "Millis",
    "Motion",
    "Node",
    "NodeId",
    "NounClass",
    "Object",
    "ObjectId",
    "Op",
    "Origin",
    "Path",
    "Paths",
    "Pick",
    "PlaceId",
    "Qras",
    "Query",
    "Reference",
    "Relation",
    "Sample",
    "Scene",
    "Showing",
    "Step",
    "Stsg",
    "Superlative",
    "The",
    "To",
    "Trust",
    "Tsg",
    "Unique",
    "Unit",
    "Value",
    "Video",
    "Way",
    "When",
    "Where",
    "WordKind",
    "WordRelation",
    "clip_of",
    "frame_of",
    "from_json",
    "ordinals",
    "raise_to",
    "slug",
]
