"""The typed requests that passes send to a Video-LLM, and the type of each answer.

A request holds its parameters and the keyframes it is about. Its wording is the template of the
same name (`templates/SET/NAME.jinja`), and `answer` is the type into which the reply is parsed. To
add a request, add one class here and one template to the `default` set.
"""

# Long: one short class per request and per answer, which belong beside each other.
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from stepc.ir.types import Frame, NounClass, Value
from stepc.ir.words import normal
from stepc.model.coordinates import said_boxes
from stepc.model.reply import boxed

Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


class Mention(Value):
    """How a request refers to an object: label, number among equal labels, known attributes."""

    label: str
    number: int = 1
    """Its number among the objects with this label, from 1, in the order the model listed them."""
    of: int = 1
    """Number of objects in the keyframe with this label."""
    attributes: tuple[str, ...] = ()


class Answer(BaseModel):
    """Base of all typed answers. Extra fields are ignored, and JSON types are coerced."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class Request(Value):
    """Base of all requests. `frames` are the keyframes shown to the model, in order."""

    name: ClassVar[str]
    answer: ClassVar[type[Answer]]
    template: ClassVar[str] = ""
    """The instruction, for a request of a plug-in whose template is in no set; like a template file, it
    begins with a comment that names the form of the reply."""
    max_tokens: ClassVar[int] = 64
    """Maximum tokens of one answer; a longer reply is cut off."""
    typical_tokens: ClassVar[int] = 90
    """Tokens of the default template's instruction with what it names, for estimates."""
    listed: ClassVar[int] = 1
    """Maximum requests of this kind about the same keyframes per call (`Several`)."""
    states_facts: ClassVar[bool] = True
    """Whether the answer states facts of the video, so that "none" or "cannot determine" states none."""
    frames: tuple[Frame, ...]

    @property
    def clip(self) -> bool:
        """Whether the keyframes are one clip in temporal order, so that they may be sent as a video."""
        return False

    def words(self, text: str) -> Any:
        """Parse a plain-text reply (form `words`) into JSON-like data of `answer`.

        Raises ValueError if the reply cannot be parsed.
        """
        raise NotImplementedError


def _listed(text: str, separator: str = ",") -> list[str]:
    items = [item.strip(" .\n\t") for item in text.split(separator)]
    return [item for item in items if item and item.lower() not in ("none", "nothing")]


_YES_NO = {"yes": True, "true": True, "no": False, "false": False}
_BOTH = re.compile(
    r"\W*(?:(?:yes|no|true|false)(?: */ *|\W+(?:or|and)\W+)(?:yes|no|true|false)|no (?:doubt|question))\b",
    re.IGNORECASE,
)
"""The beginning of a text that says yes and no, or neither."""


def yes_no(text: str) -> bool:
    """The yes or no that a text begins with. Raises ValueError if it says neither, or both."""
    first = re.match(r"[\s*\"']*([a-z]+)", text[:80], re.IGNORECASE)
    if first and first[1].lower() in _YES_NO and not _BOTH.match(text[:80]):
        return _YES_NO[first[1].lower()]
    raise ValueError("neither yes nor no")


def _pairs(text: str) -> list[dict[str, str]]:
    pairs = [item.split(None, 1) for item in _listed(text)]
    return [{"kind": p[0], "value": p[1]} for p in pairs if len(p) == 2]


def _ends(words: list[str], labels: set[str]) -> Iterator[tuple[list[str], list[str]]]:
    """The labels that `words` begin and end with, one word at least between them."""
    longest = min(len(words), 8)
    heads = [words[:n] for n in range(1, longest) if " ".join(words[:n]) in labels]
    tails = [words[-n:] for n in range(1, longest) if " ".join(words[-n:]) in labels]
    for head in heads[-1:]:
        for tail in tails[-1:]:
            if len(head) + len(tail) < len(words):
                yield head, tail


class Narrative(Answer):
    """A scene narrative."""

    narrative: Text


class Narrate(Request):
    """Asks for the scene narrative of one keyframe (section 3.1, semantics parsing)."""

    name = "narrate"
    answer = Narrative
    max_tokens = 256
    typical_tokens = 60

    def words(self, text: str) -> Any:
        return {"narrative": text}


class Labels(Answer):
    """Object labels in the order the model names them; equal labels denote different objects."""

    objects: tuple[Word, ...]


class ListObjects(Request):
    """Asks for the objects of one keyframe, given its narrative."""

    name = "list_objects"
    answer = Labels
    max_tokens = 128
    typical_tokens = 160
    listed = 4
    narrative: str

    def words(self, text: str) -> Any:
        """Parse comma-separated labels; `none` means no object."""
        return {"objects": _listed(text)}


class SameNames(Answer):
    """Groups of names; those of a group name one object. A name in no group names an object of its own."""

    same: tuple[tuple[Word, ...], ...]


class MatchNames(Request):
    """Asks which of the names that several lists give the objects of a keyframe name the same one."""

    name = "match_names"
    answer = SameNames
    max_tokens = 256
    typical_tokens = 150
    names: tuple[str, ...]

    def words(self, text: str) -> Any:
        """Parse `bus = truck, man = cyclist`; `none` means that no two name the same."""
        groups = ([name.strip() for name in item.split("=")] for item in _listed(text))
        return {"same": [group for group in groups if len(group) > 1]}


class Synonyms(Answer):
    """Groups of words that mean the same, and pairs of a word and a broader one."""

    same: tuple[tuple[Word, ...], ...] = ()
    narrower: tuple[tuple[Word, Word], ...] = ()
    """("dark gray", "gray"): what the first is true of, the second is true of as well."""


class WordList(Value):
    """Words that were said of one kind of thing in a video."""

    kind: str
    """What they are: `objects`, `relations`, `motions`, or the kind of an attribute."""
    words: tuple[str, ...]


class MatchWords(Request):
    """Asks which words in the descriptions of a video mean the same."""

    name = "match_words"
    answer = Synonyms
    max_tokens = 640
    typical_tokens = 400
    lists: tuple[WordList, ...]

    def words(self, text: str) -> Any:
        """Parse `gray = grey, dark gray < gray`; `none` means that all are different."""
        items = _listed(text)
        groups = [[x.strip() for x in item.split("=")] for item in items if "<" not in item]
        pairs = [[x.strip() for x in item.split("<")] for item in items if "<" in item]
        return {"same": groups, "narrower": [pair for pair in pairs if len(pair) == 2]}


class ObjectKind(Answer):
    """Whether an object can move by itself or be moved (dynamic), or stays (static), and what it is."""

    kind: Literal["static", "dynamic"]
    noun: NounClass | None = Field(None, alias="class")
    """None if the template does not ask for it, or the reply does not give one of the classes."""

    @field_validator("noun", mode="before")
    @classmethod
    def _known(cls, given: Any) -> Any:
        word = str(given).strip().lower()
        return word if word in get_args(NounClass) else None


class Classify(Request):
    """Asks whether an object is static or dynamic, and what class of thing it is."""

    name = "classify"
    answer = ObjectKind
    max_tokens = 24
    listed = 16
    target: Mention

    def words(self, text: str) -> Any:
        """Take the first occurrence of `static` or `dynamic`."""
        found = [w for w in text.lower().replace(".", " ").split() if w in ("static", "dynamic")]
        if not found:
            raise ValueError("neither static nor dynamic")
        return {"kind": found[0]}


class AttributeWords(Answer):
    """Kind (`color`) and value (`red`) of one attribute."""

    kind: Word
    value: Word


class Description(Answer):
    """The attributes of one object."""

    attributes: tuple[AttributeWords, ...]


class Describe(Request):
    """Asks for the fine-grained attributes of one object in one keyframe."""

    name = "describe"
    answer = Description
    max_tokens = 160
    listed = 16
    target: Mention

    def words(self, text: str) -> Any:
        """Parse `color red, size large`."""
        return {"attributes": _pairs(text)}


class Predicates(Answer):
    """Predicates that can follow "is", such as `left of` or `holding`; empty for no relation."""

    predicates: tuple[Word, ...]


class Relate(Request):
    """Asks for the relations from one object to another in one keyframe."""

    name = "relate"
    answer = Predicates
    typical_tokens = 110
    listed = 16
    subject: Mention
    object: Mention

    def words(self, text: str) -> Any:
        """Parse comma-separated predicates; `none` means no relation."""
        return {"predicates": _listed(text)}


class RelatedPair(Answer):
    """A relation of two objects, which go by their numbers in the request."""

    subject: int
    predicate: Word
    object: int


class RelatedPairs(Answer):
    """The relations of a keyframe."""

    relations: tuple[RelatedPair, ...]


class RelateAll(Request):
    """Asks for the relations among all objects of a keyframe, at once."""

    name = "relate_all"
    answer = RelatedPairs
    max_tokens = 640
    typical_tokens = 260
    objects: tuple[Mention, ...]

    def words(self, text: str) -> Any:
        """Parse `1 on 2, 3 left of 1`; `none` means no relation."""
        made = []
        for item in _listed(text):
            subject, *said, object_ = item.split()
            made.append({"subject": subject, "predicate": " ".join(said), "object": object_})
        return {"relations": made}


class PlacedObject(Answer):
    """Where an object is, as the model says it; see `stepc.model.coordinates`."""

    object: int = Field(ge=1)
    """Its number among the objects of the request."""
    edges: tuple[float, float, float, float]
    whole: float | None = None


class PlacedObjects(Answer):
    """Where objects are."""

    boxes: tuple[PlacedObject, ...]


class Locate(Request):
    """Asks for the boxes of objects of a keyframe."""

    name = "locate"
    answer = PlacedObjects
    max_tokens = 640
    typical_tokens = 200
    objects: tuple[Mention, ...]

    def words(self, text: str) -> Any:
        """Parse boxes in any form that models have (`stepc.model.coordinates`)."""
        made = []
        for said in said_boxes(text):
            number = self._number(said.name)
            if number is not None:
                made.append({"object": number, "edges": said.edges, "whole": said.whole})
        return {"boxes": made}

    def _number(self, name: str) -> int | None:
        """The number of the object that a reply names, by its number or its label."""
        if len(self.objects) == 1:
            return 1
        number = re.match(r"\W*(\d+)\b", name)
        if number:
            return int(number[1]) if 1 <= int(number[1]) <= len(self.objects) else None
        alike = [i for i, o in enumerate(self.objects, 1) if normal(o.label) == normal(name)]
        return alike[0] if len(alike) == 1 else None


class Verdict(Answer):
    """Yes or no."""

    yes: bool


class ObjectClaim(Value):
    """The claim that an object is present."""

    claim: Literal["object"] = "object"
    target: Mention


class AttributeClaim(Value):
    """The claim that an object has an attribute."""

    claim: Literal["attribute"] = "attribute"
    target: Mention
    kind: str
    value: str


class RelationClaim(Value):
    """The claim that a relation holds."""

    claim: Literal["relation"] = "relation"
    subject: Mention
    predicate: str
    object: Mention


class MotionClaim(Value):
    """The claim that an object performs a motion between the two keyframes, or between two of more."""

    claim: Literal["motion"] = "motion"
    target: Mention
    motion: str
    first: int = 0
    """The number of the keyframe in which it begins, from 1, if more than two are shown; else 0."""
    last: int = 0
    """The number of the keyframe in which it ends, or 0."""


class EventClaim(Value):
    """The claim that an event happens in the keyframes."""

    claim: Literal["event"] = "event"
    event: str


Claim = Annotated[
    ObjectClaim | AttributeClaim | RelationClaim | MotionClaim | EventClaim,
    Field(discriminator="claim"),
]


class Confirm(Request):
    """Asks whether a node or an edge is in the video: the second half of dual verification."""

    name = "confirm"
    answer = Verdict
    listed = 24
    claim: Claim

    @property
    def clip(self) -> bool:
        """True for a motion and for an event."""
        return self.claim.claim in ("motion", "event")

    def words(self, text: str) -> Any:
        """Parse a reply that begins with yes or no."""
        return {"yes": yes_no(text)}


class MotionWords(Answer):
    """A motion that can follow "is", such as `moving left` or `walking to the window`."""

    motion: Word


class DescribeMotion(Request):
    """Asks what a dynamic object does between two keyframes of a clip (dynamic merging)."""

    name = "motion"
    answer = MotionWords
    listed = 16
    target: Mention

    @property
    def clip(self) -> bool:
        return True

    def words(self, text: str) -> Any:
        return {"motion": text.strip(" .")}


class SameObject(Request):
    """Asks whether two objects in two keyframes are the same object."""

    name = "same_object"
    answer = Verdict
    max_tokens = 8
    listed = 16
    first: Mention
    second: Mention

    def words(self, text: str) -> Any:
        """Parse a reply that begins with yes or no."""
        return {"yes": yes_no(text)}


class Phase(Answer):
    """What an object does from one of the keyframes shown to a later one, by their numbers from 1."""

    motion: Word
    first: int = Field(alias="from")
    last: int = Field(alias="to")


class Phases(Answer):
    """What an object does, in order."""

    phases: tuple[Phase, ...]


class DescribeTrack(Request):
    """Asks what a dynamic object does in the keyframes of a clip, from each to the next."""

    name = "track"
    answer = Phases
    max_tokens = 160
    typical_tokens = 170
    listed = 12
    target: Mention
    seen: int = 1
    """The number of the first keyframe that shows it, from 1: there it is called so."""

    @property
    def clip(self) -> bool:
        return True

    def words(self, text: str) -> Any:
        """Parse `walking 1 2, standing still 2 4`."""
        made = []
        for item in _listed(text):
            *said, first, last = item.split()
            made.append({"motion": " ".join(said), "from": first, "to": last})
        return {"phases": made}


class Sighting(Value):
    """An object in one of the keyframes of a request."""

    frame: int
    """The number of the keyframe, from 1."""
    target: Mention


class SameObjects(Answer):
    """Groups of objects that are one, by their numbers. One in no group is in one keyframe only."""

    same: tuple[tuple[int, ...], ...]


class MatchObjects(Request):
    """Asks which objects of several keyframes are the same individuals. They are numbered from 1."""

    name = "match_objects"
    answer = SameObjects
    max_tokens = 320
    typical_tokens = 260
    objects: tuple[Sighting, ...]

    def words(self, text: str) -> Any:
        """Parse `1 = 4, 2 = 5 = 7`; `none` means that none is in two keyframes."""
        return {"same": [item.split("=") for item in _listed(text)]}


class EventWords(Answer):
    """One clause that can follow "while", such as `a man is making coffee`."""

    event: Text


class DescribeEvent(Request):
    """Asks what happens in a clip (cross-clip bridging)."""

    name = "event"
    answer = EventWords
    max_tokens = 96

    @property
    def clip(self) -> bool:
        return True

    def words(self, text: str) -> Any:
        return {"event": text.strip(" .")}


class SketchObject(Answer):
    """An object of a one-shot graph (`Sketch`)."""

    label: Word
    kind: Literal["static", "dynamic"] = "static"
    attributes: tuple[AttributeWords, ...] = ()


class SketchRelation(Answer):
    """A relation of a one-shot graph (`Sketch`); its ends are labels."""

    subject: Word
    predicate: Word
    object: Word


class Sketch(Answer):
    """A whole frame scene graph in one answer (the "w/o parsing" ablation)."""

    objects: tuple[SketchObject, ...]
    relations: tuple[SketchRelation, ...] = ()


class DrawGraph(Request):
    """Asks for the whole graph of a keyframe in one simplified request (section 4.4, "w/o parsing")."""

    name = "draw_graph"
    answer = Sketch
    max_tokens = 768
    typical_tokens = 220

    def words(self, text: str) -> Any:
        """Parse `circle dynamic, color red, size large; … | circle left of square; …`."""
        objects, _, relations = text.partition("|")
        graph: dict[str, list[Any]] = {"objects": [], "relations": []}
        for item in _listed(objects, ";"):
            head, _, attributes = item.partition(",")
            label, _, kind = head.strip().rpartition(" ")
            graph["objects"].append(
                {"label": label, "kind": kind, "attributes": _pairs(attributes)}
            )
        labels = {o["label"] for o in graph["objects"]}
        for item in _listed(relations, ";"):
            words = item.split(" ")
            for subject, object_ in _ends(words, labels):
                predicate = " ".join(words[len(subject) : -len(object_)])
                graph["relations"].append(
                    {
                        "subject": " ".join(subject),
                        "predicate": predicate,
                        "object": " ".join(object_),
                    }
                )
        return graph


class Reworded(Answer):
    """A text with the same meaning."""

    text: Text


class Reword(Request):
    """Asks to rephrase a question in another form (appendix A.2: diversify the QA types)."""

    name = "reword"
    answer = Reworded
    states_facts = False
    max_tokens = 128
    typical_tokens = 160
    listed = 4
    form: Literal["open", "yes-no"]
    question: str
    reply: str

    def words(self, text: str) -> Any:
        return {"text": text}


class Smooth(Request):
    """Asks to turn a rationale's steps into fluent text, one sentence per step (appendix A.2)."""

    name = "smooth"
    answer = Reworded
    states_facts = False
    max_tokens = 256
    typical_tokens = 260
    listed = 2
    question: str
    steps: tuple[str, ...]
    reply: str

    def words(self, text: str) -> Any:
        return {"text": text}


class Answers(Answer):
    """The answers to several requests; None for an answer that could not be parsed."""

    items: tuple[Any, ...]


class Several(Request):
    """Several requests of one kind about the same keyframes, sent in one call.

    Its template gets `questions`, the rendered requests. If all of them end with the same paragraph,
    that paragraph is removed from each and passed once, as `ending`.
    """

    name = "several"
    answer = Answers
    items: tuple[Request, ...]

    @property
    def clip(self) -> bool:
        return all(item.clip for item in self.items)


class Replied(Answer):
    """A free-text answer."""

    text: Text


class Question(Request):
    """Base of the requests that ask a question about a video."""

    states_facts = False
    question: str
    options: tuple[str, ...] = ()
    """The options of a multiple-choice question, in order."""

    @property
    def clip(self) -> bool:
        return True


class Ask(Question):
    """Asks for a direct answer: the instruction I_a of equation 1."""

    name = "answer"
    answer = Replied

    def words(self, text: str) -> Any:
        r"""The whole text, or what stands in `\boxed{…}`."""
        return {"text": boxed(text) or text}


class Explained(Answer):
    """A rationale and its final answer; `text` is empty if the rationale states none."""

    rationale: Text
    text: str


class Explain(Question):
    """Asks for step-by-step reasoning: the instruction I_r of equation 2."""

    name = "rationale"
    answer = Explained
    max_tokens = 256

    def words(self, text: str) -> Any:
        """Parse the steps and the answer, which follows the last `Answer:`."""
        found = list(re.finditer(r"\banswer *:", text, re.IGNORECASE))
        if not found:
            return {"rationale": text, "text": boxed(text) or ""}
        return {
            "rationale": text[: found[-1].start()].strip() or text,
            "text": boxed(text[found[-1].end() :]) or text[found[-1].end() :].strip(),
        }


class JudgeReply(Answer):
    """A judge's verdict on an answer (Video-ChatGPT's protocol)."""

    pred: Literal["yes", "no"]
    """Whether the answer is correct."""
    score: float = Field(ge=0, le=5)

    @field_validator("pred", mode="before")
    @classmethod
    def _verdict(cls, value: Any) -> Any:
        known = {
            True: "yes",
            False: "no",
            "true": "yes",
            "correct": "yes",
            "false": "no",
            "incorrect": "no",
        }
        plain = value.strip().lower() if isinstance(value, str) else value
        return known.get(plain, value) if isinstance(plain, bool | str) else value

    @field_validator("score", mode="before")
    @classmethod
    def _of_five(cls, value: Any) -> Any:
        found = (
            re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:/|out of)\s*5\s*", value)
            if isinstance(value, str)
            else None
        )
        return found[1] if found else value


class Judge(Request):
    """Asks a judge, who sees no video, whether a predicted answer is correct."""

    name = "judge"
    answer = JudgeReply
    states_facts = False
    question: str
    truth: str
    prediction: str


class Inferred(Answer):
    """An answer to a multiple-choice question."""

    answer: Word


class Infer(Request):
    """Asks to answer a multiple-choice question from a description alone (TempCompass, captioning)."""

    name = "infer"
    answer = Inferred
    states_facts = False
    description: str
    question: str


class FromFacts(Request):
    """Asks to answer a question from facts alone, as a test of whether its words still mean the same."""

    name = "from_facts"
    answer = Inferred
    states_facts = False
    typical_tokens = 400
    facts: tuple[str, ...]
    question: str


class Appraisal(Answer):
    """Two scores of a long reply, from 1 to 5: accuracy and relevance, or completeness and reliability."""

    first: float = Field(ge=1, le=5)
    second: float = Field(ge=1, le=5)


class Appraise(Request):
    """Asks a judge how well a long reply covers the expected content (MLVU, generation tasks)."""

    name = "appraise"
    answer = Appraisal
    states_facts = False
    question: str
    wanted: tuple[str, ...]
    prediction: str
    kind: Literal["points", "summary"]


REQUESTS: dict[str, type[Request]] = {
    cls.name: cls
    for cls in (
        Narrate,
        ListObjects,
        MatchNames,
        MatchWords,
        Classify,
        Describe,
        Relate,
        RelateAll,
        Locate,
        Confirm,
        DescribeMotion,
        DescribeTrack,
        SameObject,
        MatchObjects,
        DescribeEvent,
        DrawGraph,
        Reword,
        Smooth,
    )
}
"""All requests of the passes, by template name."""

TASKS: dict[str, type[Request]] = {cls.name: cls for cls in (Ask, Explain)}
"""The requests a model is trained and evaluated on, by template name (section 3.2)."""

JUDGING: dict[str, type[Request]] = {cls.name: cls for cls in (Judge, Infer, Appraise, FromFacts)}
"""The requests that are answered from a text, without the video, by template name."""
