"""The typed requests that passes send to a Video-LLM, and the type of each answer.

A request says what is asked and about which keyframes; its wording is a template of the
same name (`templates/SET/NAME.jinja`), and `answer` is the type that a reply becomes. A
new request is one class here and one template in each set.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from stepc.ir.types import Frame, Value

Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


class Mention(Value):
    """How a request names an object: its label, its place among equals, what is known of it."""

    label: str
    number: int = 1
    """Which one of those with this label, counted in the order the model listed them."""
    of: int = 1
    """How many objects of the keyframe carry this label."""
    attributes: tuple[str, ...] = ()


class Answer(BaseModel):
    """A typed answer; lenient towards the JSON types a model writes, strict towards shape."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Request(Value):
    """Base of all requests: the keyframes shown to the model, in order."""

    name: ClassVar[str]
    answer: ClassVar[type[Answer]]
    listed: ClassVar[int] = 1
    """How many about the same keyframes may be asked in one call (`Several`)."""
    frames: tuple[Frame, ...]

    @property
    def sort(self) -> str:
        """What it shares with those of its kind that are asked with it in one call."""
        return ""

    @property
    def clip(self) -> bool:
        """Whether the keyframes are one clip in order, which a model may be shown as a video."""
        return False

    def words(self, text: str) -> Any:
        """JSON-like data of `answer` from a reply in plain words (form `words`).

        Raises ValueError if the reply cannot be read so.
        """
        raise NotImplementedError


def _listed(text: str, separator: str = ",") -> list[str]:
    items = [item.strip(" .\n\t") for item in text.split(separator)]
    return [item for item in items if item and item.lower() not in ("none", "nothing")]


def _yes_no(text: str) -> bool:
    first = text.strip().lower().replace(".", " ").replace(",", " ").split()
    if first and first[0] in ("yes", "no"):
        return first[0] == "yes"
    raise ValueError("neither yes nor no")


def _pairs(text: str) -> list[dict[str, str]]:
    pairs = [item.split(None, 1) for item in _listed(text)]
    return [{"kind": p[0], "value": p[1]} for p in pairs if len(p) == 2]


class Narrative(Answer):
    """A scene narrative."""

    narrative: Text


class Narrate(Request):
    """The scene narrative of one keyframe (section 3.1, semantics parsing)."""

    name = "narrate"
    answer = Narrative

    def words(self, text: str) -> Any:
        """The whole reply."""
        return {"narrative": text}


class Labels(Answer):
    """Object labels in the order the model names them; equal labels are different objects."""

    objects: tuple[Word, ...]


class ListObjects(Request):
    """The objects of one keyframe, induced from its narrative."""

    name = "list_objects"
    answer = Labels
    narrative: str

    def words(self, text: str) -> Any:
        """Labels separated by commas; `none` for no object."""
        return {"objects": _listed(text)}


class ObjectKind(Answer):
    """Whether an object can move by itself or be moved (dynamic), or stays (static)."""

    kind: Literal["static", "dynamic"]


class Classify(Request):
    """Is this object static or dynamic?"""

    name = "classify"
    answer = ObjectKind
    listed = 16
    target: Mention

    def words(self, text: str) -> Any:
        """The first of the two words that occurs."""
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
    """The fine-grained attributes of one object of one keyframe."""

    name = "describe"
    answer = Description
    listed = 16
    target: Mention

    def words(self, text: str) -> Any:
        """`color red, size large`."""
        return {"attributes": _pairs(text)}


class Predicates(Answer):
    """Predicates that read after "is": `left of`, `holding`; empty for no relation."""

    predicates: tuple[Word, ...]


class Relate(Request):
    """The relations from one object to another in one keyframe."""

    name = "relate"
    answer = Predicates
    listed = 16
    subject: Mention
    object: Mention

    def words(self, text: str) -> Any:
        """Predicates separated by commas; `none` for none."""
        return {"predicates": _listed(text)}


class Verdict(Answer):
    """Yes or no."""

    yes: bool


class ObjectClaim(Value):
    """There is such an object."""

    claim: Literal["object"] = "object"
    target: Mention


class AttributeClaim(Value):
    """An object has an attribute."""

    claim: Literal["attribute"] = "attribute"
    target: Mention
    kind: str
    value: str


class RelationClaim(Value):
    """A relation holds."""

    claim: Literal["relation"] = "relation"
    subject: Mention
    predicate: str
    object: Mention


class MotionClaim(Value):
    """An object moves so between the keyframes."""

    claim: Literal["motion"] = "motion"
    target: Mention
    motion: str


class EventClaim(Value):
    """This happens in the keyframes."""

    claim: Literal["event"] = "event"
    event: str


Claim = Annotated[
    ObjectClaim | AttributeClaim | RelationClaim | MotionClaim | EventClaim,
    Field(discriminator="claim"),
]


class Confirm(Request):
    """The second half of dual verification: is this node or edge in the video?"""

    name = "confirm"
    answer = Verdict
    listed = 16
    claim: Claim

    @property
    def sort(self) -> str:
        """The kind of claim."""
        return self.claim.claim

    @property
    def clip(self) -> bool:
        """Of a motion and an event."""
        return self.claim.claim in ("motion", "event")

    def words(self, text: str) -> Any:
        """A reply that begins with yes or no."""
        return {"yes": _yes_no(text)}


class MotionWords(Answer):
    """A motion that reads after "is": `moving left`, `walking to the window`."""

    motion: Word


class DescribeMotion(Request):
    """What a dynamic object does between two keyframes of a clip (dynamic merging)."""

    name = "motion"
    answer = MotionWords
    listed = 16
    target: Mention

    @property
    def clip(self) -> bool:
        """Yes."""
        return True

    def words(self, text: str) -> Any:
        """The whole reply."""
        return {"motion": text.strip(" .")}


class SameObject(Request):
    """Are these two objects of two keyframes the same one?"""

    name = "same_object"
    answer = Verdict
    listed = 16
    first: Mention
    second: Mention

    def words(self, text: str) -> Any:
        """A reply that begins with yes or no."""
        return {"yes": _yes_no(text)}


class EventWords(Answer):
    """One clause that reads after "while": `a man is making coffee`."""

    event: Text


class DescribeEvent(Request):
    """What happens in a clip (cross-clip bridging)."""

    name = "event"
    answer = EventWords

    @property
    def clip(self) -> bool:
        """Yes."""
        return True

    def words(self, text: str) -> Any:
        """The whole reply."""
        return {"event": text.strip(" .")}


class SketchObject(Answer):
    """An object of a graph given in one piece."""

    label: Word
    kind: Literal["static", "dynamic"] = "static"
    attributes: tuple[AttributeWords, ...] = ()


class SketchRelation(Answer):
    """A relation of a graph given in one piece; its ends are labels."""

    subject: Word
    predicate: Word
    object: Word


class Sketch(Answer):
    """A whole frame scene graph in one answer (the "w/o parsing" ablation)."""

    objects: tuple[SketchObject, ...]
    relations: tuple[SketchRelation, ...] = ()


class DrawGraph(Request):
    """One simplified request for the graph of a keyframe (section 4.4, "w/o parsing")."""

    name = "draw_graph"
    answer = Sketch

    def words(self, text: str) -> Any:
        """`circle dynamic, color red, size large; … | circle left of square; …`."""
        objects, _, relations = text.partition("|")
        graph: dict[str, list[Any]] = {"objects": [], "relations": []}
        for item in _listed(objects, ";"):
            head, _, attributes = item.partition(",")
            label, _, kind = head.strip().rpartition(" ")
            graph["objects"].append(
                {"label": label, "kind": kind, "attributes": _pairs(attributes)}
            )
        labels = list(dict.fromkeys(o["label"] for o in graph["objects"]))
        for item in _listed(relations, ";"):
            for subject in labels:
                for object_ in labels:
                    if item.startswith(subject + " ") and item.endswith(" " + object_):
                        predicate = item[len(subject) : -len(object_)].strip()
                        graph["relations"].append(
                            {"subject": subject, "predicate": predicate, "object": object_}
                        )
        return graph


class Reworded(Answer):
    """A text of the same meaning."""

    text: Text


class Reword(Request):
    """Say a question in another form (appendix A.2: diversify the QA types)."""

    name = "reword"
    answer = Reworded
    listed = 4
    form: Literal["open", "yes-no"]
    question: str
    reply: str

    def words(self, text: str) -> Any:
        """The whole reply."""
        return {"text": text}


class Smooth(Request):
    """Join the steps of a rationale into running text, a sentence a step (appendix A.2)."""

    name = "smooth"
    answer = Reworded
    listed = 2
    question: str
    steps: tuple[str, ...]
    reply: str

    def words(self, text: str) -> Any:
        """The whole reply."""
        return {"text": text}


class Answers(Answer):
    """The answers to several requests; None for one that could not be read."""

    items: tuple[Any, ...]


class Several(Request):
    """Requests of one kind about the same keyframes, asked in one call.

    Its template gets the `questions`, each the text of one request without the last paragraph
    where all have the same, and that paragraph as `ending`.
    """

    name = "several"
    answer = Answers
    items: tuple[Request, ...]

    @property
    def clip(self) -> bool:
        """As each of them."""
        return all(item.clip for item in self.items)


class Replied(Answer):
    """An answer in words."""

    text: Text


class Question(Request):
    """A question about a video."""

    question: str
    options: tuple[str, ...] = ()
    """Those of a multiple choice, in order."""

    @property
    def clip(self) -> bool:
        """Yes."""
        return True


class Ask(Question):
    """A question answered directly: the instruction I_a of equation 1."""

    name = "answer"
    answer = Replied

    def words(self, text: str) -> Any:
        """The whole reply."""
        return {"text": text}


class Explained(Answer):
    """A rationale, and the answer that it comes to; empty where it names none."""

    rationale: Text
    text: str


class Explain(Question):
    """A question reasoned about step by step: the instruction I_r of equation 2."""

    name = "rationale"
    answer = Explained

    def words(self, text: str) -> Any:
        """Steps, then the answer behind the last `Answer:`."""
        found = list(re.finditer(r"\banswer *:", text, re.IGNORECASE))
        if not found:
            return {"rationale": text, "text": ""}
        return {
            "rationale": text[: found[-1].start()].strip() or text,
            "text": text[found[-1].end() :].strip(),
        }


class JudgeReply(Answer):
    """What a judge says of an answer (Video-ChatGPT's protocol)."""

    pred: Literal["yes", "no"]
    """Whether it is right."""
    score: float = Field(ge=0, le=5)


class Judge(Request):
    """Is a predicted answer the right one? Asked of a judge, who sees no video."""

    name = "judge"
    answer = JudgeReply
    question: str
    truth: str
    prediction: str


class Inferred(Answer):
    """An answer to a multiple choice."""

    answer: Word


class Infer(Request):
    """A multiple choice answered from a description of the video alone (TempCompass, captioning)."""

    name = "infer"
    answer = Inferred
    description: str
    question: str


class Appraisal(Answer):
    """Two scores of a long reply, from 1 to 5: accuracy and relevance, or completeness and reliability."""

    first: float = Field(ge=1, le=5)
    second: float = Field(ge=1, le=5)


class Appraise(Request):
    """How well does a long reply say what it should? (MLVU, generation tasks)"""

    name = "appraise"
    answer = Appraisal
    question: str
    wanted: tuple[str, ...]
    prediction: str
    kind: Literal["points", "summary"]


REQUESTS: dict[str, type[Request]] = {
    cls.name: cls
    for cls in (
        Narrate,
        ListObjects,
        Classify,
        Describe,
        Relate,
        Confirm,
        DescribeMotion,
        SameObject,
        DescribeEvent,
        DrawGraph,
        Reword,
        Smooth,
    )
}
"""Every request by its template's name."""

TASKS: dict[str, type[Request]] = {cls.name: cls for cls in (Ask, Explain)}
"""What a model is trained to do and examined in, by the template's name (section 3.2)."""

JUDGING: dict[str, type[Request]] = {cls.name: cls for cls in (Judge, Infer, Appraise)}
"""What a judge of other models' replies is asked, by the template's name."""
