"""Replies as models write them: what is read, what is no answer, and why; in linear time."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from stepc.ir.types import Frame
from stepc.model.reading import (
    CUT_OFF,
    EMPTY,
    FILTERED,
    NOTHING,
    ONLY_THOUGHT,
    REFUSED,
    TOO_LONG,
    TOO_LONG_A_PROMPT,
    UNREADABLE,
)
from stepc.model.reply import ModelReply, last_json, parted
from stepc.model.requests import (
    Classify,
    Confirm,
    Describe,
    DescribeEvent,
    DescribeMotion,
    DrawGraph,
    Judge,
    ListObjects,
    Mention,
    Narrate,
    ObjectClaim,
    Relate,
    Request,
    SameObject,
    Several,
    Smooth,
)
from stepc.model.templates import Templates

TEMPLATES = Templates("default")
CUP, TABLE = Mention(label="cup"), Mention(label="coffee table")
OBJECTS = ListObjects(frames=(), narrative="A cup.")
CONFIRM = Confirm(frames=(), claim=ObjectClaim(target=CUP))
KIND, SAME = Classify(frames=(), target=CUP), SameObject(frames=(), first=CUP, second=CUP)
DESCRIBE, RELATE = Describe(frames=(), target=CUP), Relate(frames=(), subject=CUP, object=TABLE)
MOTION, EVENT = DescribeMotion(frames=(), target=CUP), DescribeEvent(frames=())
ALL: list[Request] = [
    OBJECTS,
    CONFIRM,
    KIND,
    SAME,
    DESCRIBE,
    RELATE,
    MOTION,
    EVENT,
    DrawGraph(frames=()),
]

READ: list[tuple[Request, str, Any]] = [
    (OBJECTS, '["man", "cup"]', ("man", "cup")),
    (OBJECTS, '[{"bbox_2d": [1, 2, 3, 4], "label": "man"}]', ("man",)),
    (OBJECTS, '{"objects": [{"name": "man"}, "cup"]}', ("man", "cup")),
    (OBJECTS, '["man", // note\n "cup",]', ("man", "cup")),
    (OBJECTS, "- man\n- coffee cup\n", ("man", "coffee cup")),
    (OBJECTS, "1. man\n2. cup", ("man", "cup")),
    (OBJECTS, "man, coffee cup, table.", ("man", "coffee cup", "table")),
    (OBJECTS, '{"Objects": ["man", "none", "N/A", "..."]}', ("man",)),
    (OBJECTS, '{"objects": []}', ()),
    (OBJECTS, '{"objects": "none"}', ()),
    (OBJECTS, '{"objects": ["man", "no other objects"]}', ("man",)),
    (CONFIRM, "{'yes': true}", True),
    (CONFIRM, "{“yes”: true}", True),
    (CONFIRM, '{"yes": true // sure\n}', True),
    (CONFIRM, '{"Yes": "True"}', True),
    (CONFIRM, "**Yes**", True),
    (CONFIRM, "Yes, there is a cup.", True),
    (CONFIRM, "True", True),
    (CONFIRM, "No.", False),
    (CONFIRM, '<think>{"yes": true} or {"yes": false}?</think>{"yes": false}', False),
    (CONFIRM, 'Perhaps {"yes": true}. On a second look: {"yes": false}', False),
    *(
        (CONFIRM, f'{begin}{{"yes": true}}{end}{{"yes": false}}', False)
        for begin, end in (
            ("<|begin_of_thought|>", "<|end_of_thought|>\n<|begin_of_solution|>"),
            ("<|START_THINKING|>", "<|END_THINKING|><|START_RESPONSE|>"),
            ("<|thinking|>", "<|/thinking|>"),
            ("<|im_start|>think", "<|im_end|><|im_start|>answer "),
            ("<seed:think>", "</seed:think>"),
            ("", "</thinking>"),
        )
    ),
    (CONFIRM, '{"yes": true} (see [the man', True),
    (CONFIRM, "Yes, no question about it.", True),
    (KIND, '{"kind": "Dynamic"}', "dynamic"),
    (KIND, "The object is dynamic.", "dynamic"),
    (KIND, "{kind: static}", "static"),
    (
        RELATE,
        '{"predicates": ["is on the", "left of, behind", "none"]}',
        ("on", "left of", "behind"),
    ),
    (RELATE, '{"predicates": ["is on the coffee table"]}', ("on",)),
    (RELATE, '{"predicates": [{"relation": "holding"}]}', ("holding",)),
    (RELATE, '{"predicates": ["no relation"]}', ()),
    (MOTION, '{"motion": "is walking to the window"}', "walking to the window"),
    (EVENT, '{"event": "a man says \\"hi\\""}', 'a man says "hi"'),
    (EVENT, '{"event": ""Hi," he says"}', '"Hi," he says'),
]


@pytest.mark.parametrize(("request_", "text", "wanted"), READ)
def test_what_models_write_is_read(request_: Request, text: str, wanted: Any) -> None:
    answer = TEMPLATES.read(request_, text)
    assert answer is not None and next(iter(vars(answer).values())) == wanted


def test_attributes_without_a_value_are_no_facts() -> None:
    said = '{"attributes": {"color": "red", "material": "unknown", "state": "n/a", "size": null}}'
    answer: Any = TEMPLATES.read(DESCRIBE, said)
    assert [(a.kind, a.value) for a in answer.attributes] == [("color", "red")]


def test_attributes_of_a_drawn_graph_may_be_a_map() -> None:
    """As the template of `draw_graph` shows it, and as a list of pairs."""
    for said in ('{"color": "red"}', '[{"kind": "color", "value": "red"}]'):
        text = (
            '{"objects": [{"label": "cat", "kind": "dynamic", "attributes": %s}], "relations": []}'
        )
        answer: Any = TEMPLATES.read(DrawGraph(frames=()), text % said)
        (cat,) = answer.objects
        assert [(a.kind, a.value) for a in cat.attributes] == [("color", "red")]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ('{"pred": true, "score": 4}', ("yes", 4)),
        ('{"pred": "Correct", "score": "4.8/5"}', ("yes", 4.8)),
        ('{"pred": "incorrect", "score": "0 out of 5"}', ("no", 0)),
        ('{"pred": "False", "score": 1}', ("no", 1)),
        ('{"pred": "maybe", "score": 1}', None),
        ('{"pred": "yes", "score": "7/5"}', None),
    ],
)
def test_a_verdict_is_read_in_the_words_that_judges_use(said: str, meant: Any) -> None:
    reply: Any = TEMPLATES.read(Judge(question="q", truth="t", prediction="p", frames=()), said)
    assert (None if reply is None else (reply.pred, reply.score)) == meant


NONE: list[tuple[Request, ModelReply, str]] = [
    (EVENT, ModelReply(""), EMPTY),
    (EVENT, ModelReply("<|im_end|>"), EMPTY),
    (EVENT, ModelReply("", thought="He walks."), ONLY_THOUGHT),
    (EVENT, ModelReply("", thought="He walks.", finish="length"), CUT_OFF),
    (EVENT, ModelReply("", finish="refused: length", refusal="too long"), TOO_LONG_A_PROMPT),
    (EVENT, ModelReply("", finish="refused", refusal="bad request"), REFUSED),
    (EVENT, ModelReply('<think>{"event": "x"}'), CUT_OFF),
    (EVENT, ModelReply('{"event": "a man is wal', finish="length"), CUT_OFF),
    (EVENT, ModelReply('I see {"event": "a man is wal'), CUT_OFF),
    (OBJECTS, ModelReply('{"objects": ["cup", {"label": "ta'), CUT_OFF),
    (CONFIRM, ModelReply('{"yes": true} hmm, {"yes": fal', finish="length"), CUT_OFF),
    (EVENT, ModelReply('{"event": "a man falls"}. Actually no: {"event": "a man jum'), CUT_OFF),
    (CONFIRM, ModelReply('<|begin_of_thought|>{"yes": true}'), CUT_OFF),
    (CONFIRM, ModelReply('{"yes": "yes or no"}'), UNREADABLE),
    (CONFIRM, ModelReply("No doubt, yes."), UNREADABLE),
    (EVENT, ModelReply("", finish="content_filter"), FILTERED),
    (EVENT, ModelReply("", refusal="I won't."), FILTERED),
    (EVENT, ModelReply("A man walks."), UNREADABLE),
    (KIND, ModelReply('{"kind": "liquid"}'), UNREADABLE),
    (KIND, ModelReply('{"kind": 7}'), UNREADABLE),
    (EVENT, ModelReply('{"event": {"a": 1}}'), UNREADABLE),
    (EVENT, ModelReply("[" * 9000 + "]" * 9000), UNREADABLE),
    (EVENT, ModelReply("x" * 70_000), TOO_LONG),
    (EVENT, ModelReply('{"event": "I cannot determine what happens"}'), NOTHING),
    (EVENT, ModelReply('{"event": "..."}'), NOTHING),
    (EVENT, ModelReply('{"event": "nothing much happens"}'), NOTHING),
    (EVENT, ModelReply("I'm sorry, I can't help with that."), NOTHING),
    *(
        (EVENT, ModelReply(json.dumps({"event": text})), NOTHING)
        for text in (
            "not clearly visible",
            "there is no clear event",
            "The frames do not show any action",
            "hard to tell",
            "can't tell from the frames",
            "The image is too blurry to tell",
            "no significant event occurs",
            "not enough information to say",
            "The event cannot be determined from the frames.",
            "Based on the image, I cannot determine the event.",
            "We cannot see what happens",
            "none visible",
            "TBD",
        )
    ),
    (MOTION, ModelReply('{"motion": "none"}'), NOTHING),
    (MOTION, ModelReply('{"motion": null}'), NOTHING),
    (CONFIRM, ModelReply('{"yes": "unclear"}'), NOTHING),
]


@pytest.mark.parametrize(("request_", "reply", "why"), NONE)
def test_what_is_no_answer_says_why(request_: Request, reply: ModelReply, why: str) -> None:
    reading = TEMPLATES.reading(request_, reply)
    assert reading.answer is None and reading.why == why
    assert reading.failed == (why != NOTHING)


@pytest.mark.parametrize("asked", ALL, ids=lambda r: r.name)
def test_a_repeated_instruction_is_no_answer(asked: Request) -> None:
    """The examples in the instruction are not what the model found."""
    text = TEMPLATES.render(asked)
    whole = TEMPLATES.reading(asked, ModelReply(text), text)
    ending = TEMPLATES.reading(asked, ModelReply(text.split("\n\n")[-1]), text)
    assert whole.answer is None and ending.answer is None


def test_several_answers_in_the_forms_that_models_use() -> None:
    frames = (Frame(video="0" * 64, at=0),)
    asked = Several(frames=frames, items=(KIND, KIND))
    for text in (
        "{1: 'static', 2: 'dynamic'}",
        '{"1": {"kind": "static"}, "2": {"kind": "Dynamic"}}',
        '["static", "dynamic"]',
        '{"kind": "static"}\n{"kind": "dynamic"}',
        '1. {"kind": "static"}\n2) dynamic',
        '<think>{"1": "dynamic"}</think>{"answers": ["static", "dynamic"],}',
    ):
        answer: Any = TEMPLATES.read(asked, text)
        assert answer is not None, text
        assert [a.kind for a in answer.items] == ["static", "dynamic"], text
    for text in ('["static"]', '{"1": "static", "2": "dyn', "x"):
        answer = TEMPLATES.read(asked, text)
        assert answer is None or None in answer.items


def test_texts_that_are_no_facts_of_the_video_are_kept_as_they_are() -> None:
    smooth = Smooth(frames=(), question="q", steps=("s",), reply="none")
    answer: Any = TEMPLATES.read(smooth, '{"text": "None."}')
    assert answer.text == "None."
    assert TEMPLATES.read(Narrate(frames=()), '{"narrative": "None of them moves."}') is not None


PIECES = ["\n", " ", "[", "{", '{"a":', '"', "'", "{'", '{"', '["a" ', "```", "```a", "1.", "1.\n", "[]",
          "{}", "\\", '\\"', "<think>", "</think>", "<|x|>", "<answer>", "a, ", "- a\n", "(", "“", "a ;",
          "a on b;", "yes ", "|", ": ", "\ud83d", "{a:", "// ", "{1: x, ",
          "<|channel|>final<|message|>", r"\boxed{"]  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
def test_reading_takes_linear_time(piece: str) -> None:
    """Eight times the text takes about eight times as long, whatever it consists of."""

    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        best = 9.0
        for _ in range(3):
            began = time.process_time()
            for each in (text, '{"objects": ["' + text, "[" + text + "]"):
                for request in (OBJECTS, CONFIRM, Several(frames=(), items=(KIND, KIND))):
                    TEMPLATES.reading(request, ModelReply(each), "")
                DrawGraph(frames=()).words(each)
            best = min(best, time.process_time() - began)
        return best

    assert seconds(60_000) < 32 * max(seconds(7_500), 0.01)  # quadratic: 64


def test_words_of_a_graph_take_linear_time() -> None:
    def seconds(labels: int) -> float:
        objects = "; ".join(f"thing{i} static" for i in range(labels))
        relations = "; ".join(f"thing{i} on thing{labels - i - 1}" for i in range(labels))
        best = 9.0
        for _ in range(3):  # the garbage collector may run in between
            began = time.process_time()
            graph = DrawGraph(frames=()).words(f"{objects} | {relations}")
            best = min(best, time.process_time() - began)
        assert len(graph["relations"]) == labels
        return best

    seconds(100)
    assert seconds(4000) < 10 * max(seconds(1000), 0.002)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 20_000, "[[]" * 30_000])
def test_brackets_without_end_are_refused_at_once(text: str) -> None:
    began = time.process_time()
    with pytest.raises(ValueError, match=r"nested|ends inside|no JSON"):
        last_json(text)
    assert time.process_time() - began < 5


def test_a_reply_survives_storing() -> None:
    for reply in (ModelReply("a"), ModelReply("", "t", "length", "r"), ModelReply("a", finish="x")):
        assert ModelReply.load(reply.stored()) == reply
    assert ModelReply("a").stored() == "a"
    for wrong in (5, None, ["a"], {"text": 1}):
        with pytest.raises(ValueError, match="not a reply"):
            ModelReply.load(wrong)


def test_reasoning_is_told_from_the_answer() -> None:
    assert parted("<think>a</think>b") == ("a", "b")
    assert parted("a</think>b") == ("a", "b")
    assert parted("<think>a") == ("a", "")
    assert parted("[THINK]a[/THINK]b") == ("a", "b")
    assert parted("<|channel|>analysis<|message|>a<|end|>")[1] == ""
    assert parted("x <answer>a</answer> <answer>b</answer> y") == ("", "b")
    assert parted("b<|im_end|>\n<|im_start|>user") == ("", "b")


FOUND: list[tuple[Request, ModelReply, Any]] = [
    (
        RELATE,
        ModelReply('{"predicates": [{"predicate": "left of", "object": "light"}]}'),
        ("left of",),
    ),
    (RELATE, ModelReply('{"predicates": ["near traffic light"]}'), ("near traffic light",)),
    (RELATE, ModelReply('{"predicates": ["no direct relation"]}'), ()),
    (OBJECTS, ModelReply('{"objects": ["dog"]}\n[objects listed left to right]'), ("dog",)),
    (OBJECTS, ModelReply('{"objects": ["dog"]} I hope this helps :['), ("dog",)),
    (OBJECTS, ModelReply('{"objects": ["dog"]} [1]'), ("dog",)),
    (OBJECTS, ModelReply("red circle, blue squ", finish="length"), None),
    (OBJECTS, ModelReply("There are none"), None),
    (OBJECTS, ModelReply("I see nothing"), None),
    (CONFIRM, ModelReply('{"yes": "Yes, it is."}'), True),
    (CONFIRM, ModelReply('{"yes": "no, there is a dog"}'), False),
    (KIND, ModelReply('{"kind": "non-static"}'), None),
    (KIND, ModelReply('{"kind": "not dynamic"}'), None),
]


@pytest.mark.parametrize(("asked", "reply", "wanted"), FOUND)
def test_no_fact_is_made_of_what_stands_beside_it(
    asked: Request, reply: ModelReply, wanted: Any
) -> None:
    answer = TEMPLATES.reading(asked, reply).answer
    assert (next(iter(vars(answer).values())) if answer is not None else None) == wanted


def test_answers_are_given_to_their_own_questions() -> None:
    asked = Several(frames=(), items=(RELATE, RELATE))
    for text, wanted in (
        (
            '{"predicates": ["above"]}\n{"predicates": ["left of", "near"]}',
            [("above",), ("left of", "near")],
        ),
        ('{"1": ["left of", "above"]}', [("left of", "above"), None]),
        ('{"1": {"predicates": ["on"]}}', [("on",), None]),
        ('{"1": ["on"], "2": []}', [("on",), ()]),
    ):
        answer: Any = TEMPLATES.read(asked, text)
        assert [a and a.predicates if a is not None else None for a in answer.items] == wanted, text
    for text in ('{"0": ["on"], "1": ["near"]}', '{"1": ["on"], "3": ["near"]}'):
        assert TEMPLATES.read(asked, text) is None, text
    cut = ModelReply("1. moving left\n2. moving lef", finish="length")
    assert TEMPLATES.reading(Several(frames=(), items=(MOTION, MOTION)), cut).why == CUT_OFF


def test_what_a_narrative_cannot_tell_is_not_all_that_it_tells() -> None:
    said = '{"narrative": "I cannot identify the people, but two men sit at a table."}'
    assert TEMPLATES.read(Narrate(frames=()), said) is not None
    drawn: Any = TEMPLATES.read(
        DrawGraph(frames=()),
        '{"objects": [{"label": "man", "kind": "static", "position": null, "attributes":'
        ' [{"kind": "color", "value": "none"}, {"kind": "color", "value": "red", "note": null}]}]}',
    )
    assert [a.value for a in drawn.objects[0].attributes] == ["red"]
