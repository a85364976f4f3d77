"""Asking a model: templates, tolerant reading, votes, cassettes, and transformers itself."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from pathlib import Path
from typing import Any

import families
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from speaking import Speaker, said
from test_golden import HERE, footage

from stepc.cli.common import two_prices
from stepc.diagnostics import StepcError
from stepc.ir.types import Clip, Frame, Keyframe
from stepc.model.cassette import Recording, ReplayBackend
from stepc.model.client import Call, ModelClient, vote
from stepc.model.load import ModelConfig, load
from stepc.model.requests import (
    REQUESTS,
    Answers,
    AttributeClaim,
    Classify,
    Confirm,
    Describe,
    DescribeEvent,
    DescribeMotion,
    DescribeTrack,
    DrawGraph,
    EventClaim,
    ListObjects,
    Locate,
    MatchNames,
    MatchObjects,
    MatchWords,
    Mention,
    MotionClaim,
    Narrate,
    ObjectClaim,
    Relate,
    RelateAll,
    RelationClaim,
    Request,
    Reword,
    SameObject,
    Several,
    Sighting,
    Smooth,
    WordList,
)
from stepc.model.server_options import ServerOptions
from stepc.model.templates import TemplateError, Templates
from stepc.model.transformers import LocalOptions, TransformersModel
from stepc.video.decode import Pictures, frames
from stepc.video.probe import probe
from stepc.world.train import CONTINUED, Batch, Packer, forward, make_model
from stepc.world.train import _MakeBatch as MakeBatch

CUP = Mention(label="cup", number=2, of=2, attributes=("red",))
MAN = Mention(label="man")
ONE_OF_EACH: list[Request] = [
    Narrate(frames=()),
    ListObjects(frames=(), narrative="A man {holds} a cup."),
    MatchNames(frames=(), names=("man", "cup")),
    MatchWords(frames=(), lists=(WordList(kind="motions", words=("walking", "running")),)),
    Classify(frames=(), target=CUP),
    Describe(frames=(), target=MAN),
    Relate(frames=(), subject=MAN, object=CUP),
    RelateAll(frames=(), objects=(MAN, CUP)),
    Locate(frames=(), objects=(MAN, CUP)),
    *(
        Confirm(frames=(), claim=claim)
        for claim in (
            ObjectClaim(target=CUP),
            AttributeClaim(target=CUP, kind="color", value="red"),
            RelationClaim(subject=MAN, predicate="holding", object=CUP),
            MotionClaim(target=MAN, motion="walking"),
            EventClaim(event="a man is drinking"),
        )
    ),
    DescribeMotion(frames=(), target=MAN),
    DescribeTrack(frames=(), target=MAN),
    MatchObjects(frames=(), objects=(Sighting(frame=1, target=MAN), Sighting(frame=2, target=CUP))),
    SameObject(frames=(), first=CUP, second=CUP),
    DescribeEvent(frames=()),
    DrawGraph(frames=()),
    *(Reword(frames=(), form=f, question="What?", reply="that") for f in ("open", "yes-no")),
    Smooth(frames=(), question="What?", steps=("One.", "Two."), reply="that"),
]


SETS = {name: Templates(name) for name in ("chinese", "compact", "default")}


@pytest.mark.parametrize("name", ["default", "compact", "chinese"])
def test_every_request_has_a_template(name: str) -> None:
    templates = Templates(name)
    assert {r.name for r in ONE_OF_EACH} == set(REQUESTS)
    for request in ONE_OF_EACH:
        text = templates.render(request)
        assert text and "{{" not in text and "{%" not in text
        for word in ("cup", "man", "holding", "walking", "What?", "One."):
            if name != "compact" and word in str(request.model_dump()):
                assert word in text
    both = [r for r in ONE_OF_EACH if "CUP" in str(r) or "number=2" in str(r)]
    number = {"default": "2 of 2", "chinese": "第2个，共2个"}.get(name, "")
    assert all(number in templates.render(r) for r in both)


def test_a_template_cannot_reach_out_and_must_know_its_variables(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(HERE / "templates" / "compact", folder)
    event = folder / "event.jinja"
    for body, wrong in (
        ("{{ nobody }}", "nobody"),
        ("{{ frames.__class__.__mro__ }}", "unsafe"),
        ('{% include "../../x" %}', "x"),
        ("{{ target.label }}", "target"),
    ):
        event.write_text("{#- answer: words -#}\n" + body)
        with pytest.raises(TemplateError, match=wrong):
            Templates(f"{folder}/").render(DescribeEvent(frames=()))
    event.write_bytes(b"\xef\xbb\xbf{#- answer: words -#}\r\nas editors on Windows write it")
    assert Templates(f"{folder}/").render(DescribeEvent(frames=())).startswith("as editors")
    event.write_text("no first line")
    with pytest.raises(TemplateError, match="does not begin"):
        Templates(f"{folder}/")
    event.write_bytes(b"\xff\xfe")
    with pytest.raises(TemplateError, match="cannot be read"):
        Templates(f"{folder}/")


HOSTILE = [
    """{{ frames[0].parse_raw("cos\nsystem\n(S'id > PWNED'\ntR.", proto="pickle", allow_pickle=True) }}""",
    """{{ frames[0].parse_file("x", proto="pickle", allow_pickle=True) }}""",
    "{{ frames.append(1) }}",
    "{{ frames[0].update({}) }}",
    "{{ frames[0]['__class__'] }}",
    "{{ 'x'.format(1) }}",
    "{{ ''.join(frames) }}",
    "{{ frames | map(attribute='keys') | first | string }}{{ frames[0] | attr('keys') }}",
    "{{ range(3) }}",
    "{{ lipsum() }}",
    "{{ cycler('a').next() }}",
    "{{ namespace(x=1).x.bit_length() }}",
    '{% include "outside.jinja" %}',
    "{{ frames[9].at }}",
    "{{ 1 / 0 }}",
    # time and memory
    "{{ ('a' * 10 ** 9) | length }}",
    "{{ [1] * 10 ** 9 }}",
    "{{ 'x' | center(3 * 10 ** 9) }}",
    "{{ '%2000000000s' | format('x') }}",
    "{{ '%2000000000s' % 'x' }}",
    "{{ 10 ** 10 ** 10 }}",
    "{% for a in frames * 1000 %}{% endfor %}",
    "{% set x = 'abcdefgh' %}" + "{% set x = x ~ x %}" * 40 + "{{ x }}",
    "{% set x = 'abcdefgh' %}" + "{% set x = x + x %}" * 40 + "{{ x }}",
    "{% set x = 'abcdefgh' %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * 40 + "{{ x }}",
    "{% set x = 'abcdefgh' %}" + "{% set x = x | replace('a', x) %}" * 40 + "{{ x }}",
    "{% set x = 'abcdefgh' %}" + "{% set x = x | list | join(x) %}" * 40 + "{{ x }}",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "{% set s = 'abcdefghij' %}" + "{% for a in s %}" * 9 + "{% endfor %}" * 9,
    "{{ frames | tojson(indent=10 ** 9) }}",
    *(
        "{% set x = 'aaaaaaaaaa' %}" + made * 9 + "{{ " + shown + " }}"
        for made in (
            "{% set x = [x, x, x, x, x, x, x, x, x, x] %}",
            "{% set x = {'a': x, 'b': x, 'c': x, 'd': x, 'e': x, 'f': x, 'g': x} %}",
            "{% set x = (x, x, x, x, x, x, x, x, x, x) %}",
        )
        for shown in ("x", "x | string | length", "x | tojson | length", "x == x", "x | urlencode")
    ),
    "{% if 1 %}" * 3000 + "{% endif %}" * 3000,
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "{{ " + "-" * 100_000 + "1 }}",
]


@pytest.mark.parametrize("body", HOSTILE)
def test_a_template_reads_data_and_calls_no_method(
    body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_text("{#- answer: words -#}\nsecret")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "outside.jinja").symlink_to(tmp_path / "secret")
    (folder / "narrate.jinja").write_text("{#- answer: words -#}\n" + body)
    with pytest.raises(StepcError) as error:
        Templates(f"{folder}/").render(Narrate(frames=(Frame(video="a" * 64, at=0),)))
    assert [d.code for d in error.value.diagnostics] == ["M005"]
    assert not (tmp_path / "PWNED").exists()


@pytest.mark.parametrize("source", ["a model's folder", "a cassette"])
def test_a_file_that_came_with_a_model_does_not_choose_templates(
    source: str, tmp_path: Path
) -> None:
    folder = tmp_path / "evil"
    folder.mkdir()
    (folder / "narrate.jinja").write_text("{#- answer: words -#}\nNarrate.")
    (tmp_path / "stepc.json").write_text(json.dumps({"templates": str(folder)}))
    cassette = tmp_path / "c.jsonl"
    cassette.write_text(json.dumps({"model": "x", "templates": str(folder)}) + "\n")
    if source == "a model's folder":
        families.make("idefics3", tmp_path)
        (tmp_path / "stepc.json").write_text(json.dumps({"templates": str(folder)}))
        name = str(tmp_path)
    else:
        name = f"replay:{cassette}"
    with pytest.raises(StepcError) as error:
        load(name, Pictures())
    assert "M005" in str(error.value) and "--templates" in str(error.value)
    own = load(ModelConfig(name, templates=str(folder)), Pictures())
    assert own.templates.render(Narrate(frames=())) == "Narrate."


READINGS: list[tuple[str, Request, str, Any]] = [
    ("plain JSON", ListObjects(frames=(), narrative=""), '{"objects": ["a", "b"]}', ("a", "b")),
    ("a fence", ListObjects(frames=(), narrative=""), '```json\n{"objects": ["a"]}\n```', ("a",)),
    ("prose", ListObjects(frames=(), narrative=""), 'Sure! {"objects": ["a"]} Anything?', ("a",)),
    ("a brace in prose", ListObjects(frames=(), narrative=""), 'Oh {no} ["a", "b"]', ("a", "b")),
    ("a bare list", ListObjects(frames=(), narrative=""), '["a", "b"]', ("a", "b")),
    ("text for a list", ListObjects(frames=(), narrative=""), '{"objects": "a"}', ("a",)),
    ("none", ListObjects(frames=(), narrative=""), '{"objects": "none"}', ()),
    ("more keys", Classify(frames=(), target=CUP), '{"kind": "static", "why": 1}', "static"),
    ("yes as text", SameObject(frames=(), first=CUP, second=CUP), '{"yes": "Yes"}', True),
    ("a bare word", SameObject(frames=(), first=CUP, second=CUP), "No.", False),
    (
        "a map for pairs",
        Describe(frames=(), target=CUP),
        '{"attributes": {"color": "red", "parts": ["lid", "handle"], "n": 3}}',
        [("color", "red"), ("parts", "lid"), ("parts", "handle")],
    ),
    ("a map alone", Describe(frames=(), target=CUP), '{"color": "red"}', [("color", "red")]),
    ("a refusal", ListObjects(frames=(), narrative=""), "I cannot help with that.", None),
    ("nothing", ListObjects(frames=(), narrative=""), "", None),
    ("cut off", ListObjects(frames=(), narrative=""), '{"objects": ["a", "b', None),
    ("a wrong type", Classify(frames=(), target=CUP), '{"kind": 7}', None),
    ("a wrong word", Classify(frames=(), target=CUP), '{"kind": "liquid"}', None),
    ("null", DescribeEvent(frames=()), '{"event": null}', None),
    ("only spaces", DescribeEvent(frames=()), '{"event": "  "}', None),
    ("deep nonsense", DrawGraph(frames=()), "[" * 3000, None),
]


@pytest.mark.parametrize("what", READINGS, ids=[r[0] for r in READINGS])
def test_replies_are_read_tolerantly(what: tuple[str, Request, str, Any]) -> None:
    _, request, reply, wanted = what
    answer = Templates("default").read(request, reply)
    if wanted is None:
        assert answer is None
        return
    assert answer is not None
    got = getattr(answer, next(iter(type(answer).model_fields)))
    if got and hasattr(got, "__getitem__") and hasattr(got[0], "kind"):
        got = [(a.kind, a.value) for a in got]
    assert got == wanted


def test_words_are_read_behind_the_thought() -> None:
    compact = Templates("compact")
    relate = Relate(frames=(), subject=MAN, object=CUP)
    got = compact.read(relate, "top left , middle : left of , above")
    assert got is not None and got.model_dump() == {"predicates": ("left of", "above")}
    none = compact.read(relate, "top , top : none")
    assert none is not None and none.model_dump() == {"predicates": ()}
    graph = compact.read(
        DrawGraph(frames=()),
        "circle dynamic , color red ; square static , size large | circle left of square",
    )
    assert graph is not None
    assert [r["predicate"] for r in graph.model_dump()["relations"]] == ["left of"]


def parrot(reply: str) -> Speaker:
    """Says the same to everything."""
    return Speaker(lambda prompt, seed: reply)


def test_equal_requests_are_asked_once_and_lost_votes_counted() -> None:
    model = parrot("I would rather not.")
    asker = ModelClient(model, Templates("default"), Pictures())
    replies = asker.ask([DescribeEvent(frames=())] * 3 + [Narrate(frames=())], samples=2)
    assert model.asked == 2
    assert len(replies) == 4 and replies[0].read == []
    counts = dict(asker.counts)
    assert counts["model calls"] == 2 and counts["model replies"] == 4
    assert counts["votes lost to unreadable replies"] == 4
    assert asker.ask([DescribeEvent(frames=())], samples=2) == replies[:1] and model.asked == 2
    asker.forget()
    assert asker.ask([DescribeEvent(frames=())], samples=2) == replies[:1] and model.asked == 3


LISTS: list[tuple[str, str, list[Any]]] = [
    ("by number", '{"1": {"yes": true}, "2": {"yes": false}}', [True, False]),
    ("in any order", '{"2": {"yes": false}, "1": {"yes": true}}', [True, False]),
    ("one missing", '{"2": {"yes": false}}', [None, False]),
    ("one unreadable", '{"1": {"yes": "maybe"}, "2": false}', [None, False]),
    ("a list", '[{"yes": true}, {"yes": false}]', [True, False]),
    ("a list in an object", '{"answers": [true, false]}', [True, False]),
    ("a row of objects", '1. {"yes": true}\n2. {"yes": false}', [True, False]),
    ("numbered lines", "1. Yes.\n2) no", [True, False]),
    ("too short a list", "[true]", [None, None]),
    ("prose", "I would rather not.", [None, None]),
    ("nonsense", "[" * 3000, [None, None]),
    ("a number too large", '{"' + "9" * 5000 + '": true}', [None, None]),
]


@pytest.mark.parametrize("what", LISTS, ids=[r[0] for r in LISTS])
def test_lists_of_answers_are_read_tolerantly(what: tuple[str, str, list[Any]]) -> None:
    _, reply, wanted = what
    several = Several(frames=(), items=(SameObject(frames=(), first=CUP, second=CUP),) * 2)
    answer = Templates("default").read(several, reply)
    got = [None, None] if answer is None else answer.items  # type: ignore[attr-defined]
    assert [None if a is None else a.yes for a in got] == wanted


def _shown(*times: int) -> tuple[Frame, ...]:
    return tuple(Frame(video="f" * 64, at=at) for at in times)


def test_requests_about_the_same_keyframes_are_asked_together() -> None:
    """At most so many; what a list does not answer is asked again by itself."""
    asked: list[Call] = []

    def say(prompt: Call, seed: int) -> str:
        asked.append(prompt)
        if prompt.items == 1:
            return '{"kind": "dynamic"}'
        numbers = range(1, prompt.items + (1 if prompt.frames == _shown(0) else 0))
        return json.dumps({str(n): {"kind": "static"} for n in numbers})

    things = [Mention(label=f"thing {i}") for i in range(7)]
    requests: list[Request] = [Classify(frames=_shown(0), target=m) for m in things]
    requests += [Classify(frames=_shown(5), target=m) for m in things[:3]]
    requests += [DescribeEvent(frames=_shown(0)), requests[0]]
    model = Speaker(say)
    asker = ModelClient(model, Templates("default"), Pictures(), together=4)
    replies = asker.ask(requests)
    assert [p.items for p in asked] == [4, 3, 1, 3, 1]  # by keyframes, then what was missing
    kinds = [r.read[0].kind if r.read else None for r in replies]
    assert kinds == ["static"] * 7 + ["static", "static", "dynamic", None, "static"]
    assert len({r.key for r in replies[:7]}) == 2 and replies[-1] == replies[0]
    assert dict(asker.counts)["asked again in shorter lists"] == 1
    assert "thing 0" in asked[0].text and asked[0].text.count("Answer with a JSON object") == 1
    assert asked[0].schema is not None and asked[0].schema["required"] == ["1", "2", "3", "4"]


def test_a_list_without_an_answer_is_halved() -> None:
    """Then what is still missing is asked one by one: 8, 4 and 4, and the 4 of the half that was cut off."""
    asked: list[Call] = []

    def say(prompt: Call, seed: int) -> str:
        asked.append(prompt)
        if prompt.items == 1:
            return '{"kind": "dynamic"}'
        numbers = range(1, prompt.items + 1)
        whole = json.dumps({str(n): {"kind": "static"} for n in numbers})
        return whole if prompt.items == 4 and "thing 0" not in prompt.text else whole[:3]

    requests = [Classify(frames=_shown(0), target=Mention(label=f"thing {i}")) for i in range(8)]
    asker = ModelClient(Speaker(say), Templates("default"), Pictures(), together=16)
    replies = asker.ask(requests)
    assert [p.items for p in asked] == [8, 4, 4, 1, 1, 1, 1]
    assert [r.read[0].kind for r in replies] == ["dynamic"] * 4 + ["static"] * 4
    assert dict(asker.counts)["votes lost to unreadable replies"] == 0


def test_windows_are_whole_clips() -> None:
    def clip(n: int, keyframes: int) -> Clip:
        shown = tuple(Keyframe(id=f"c{n}.k{k}", at=1000 * n + k) for k in range(keyframes))
        return Clip(id=f"c{n}", start=1000 * n, end=1000 * n + 999, keyframes=shown)

    clips = [clip(n, k) for n, k in enumerate([2, 2, 5, 1, 1, 2])]
    asker = ModelClient(Speaker(lambda call, seed: ""), Templates("default"), Pictures())

    def sizes(window: int | None) -> list[int]:
        asker.window = window
        parts = [*asker.windows(clips)]
        assert [c for part in parts for c in part] == clips
        return [sum(len(c.keyframes) for c in part) for part in parts]

    assert sizes(None) == [13] and sizes(4) == [4, 5, 4] and sizes(1) == [2, 2, 5, 1, 1, 2]


def test_a_set_of_templates_that_mixes_forms_asks_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "classify.jinja").write_text("{#- answer: words -#}\nmoves?", "utf-8")
    own = Templates(f"{tmp_path}/")
    assert own.most(Classify(frames=(), target=CUP)) == 1
    assert own.most(Describe(frames=(), target=CUP)) > 1
    (tmp_path / "several.jinja").write_text("{#- answer: json -#}\n{{ targets }}", "utf-8")
    with pytest.raises(TemplateError, match="targets"):
        Templates(f"{tmp_path}/")


def test_votes_are_counted_once_a_ballot() -> None:
    ballots = [[("a", "A"), ("a", "a"), ("b", "B")], [("a", "aa")], []]
    votes = vote(ballots, ["a" * 12, "b" * 12, "c" * 12], 3, 0.5)
    assert [(v.value, v.trust.votes, v.trust.asked) for v in votes] == [("a", 2, 3)]
    assert votes[0].origin.asks == ("a" * 12, "b" * 12)


def test_a_cassette_plays_what_was_recorded(tmp_path: Path) -> None:
    path = tmp_path / "cassette.jsonl"
    model = parrot('{"event": "it rains"}')
    prompts = [Call("a" * 12, "event", "What?", (), 0.0, (1,))]
    assert said(ReplayBackend(path, Recording(model)), prompts) == [['{"event": "it rains"}']]
    assert said(ReplayBackend(path), prompts) == [['{"event": "it rains"}']]
    said(ReplayBackend(path, Recording(model)), prompts)
    assert model.asked == 1
    other = [Call("b" * 12, "event", "What now?", (), 0.0, (1,))]
    with pytest.raises(StepcError) as error:
        said(ReplayBackend(path), other)
    assert error.value.diagnostics[0].code == "M001"
    assert "'What?'" in (error.value.diagnostics[0].help or "")


def test_what_is_redacted_is_neither_kept_nor_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "cassette.jsonl"
    plate = re.compile(r"[A-Z]+-[A-Z]+ \d+")
    model = parrot('{"event": "a car, B-XY 123, stops"}')
    prompts = [Call("a" * 12, "event", "Who is B-XY 123?", (), 0.0, (1,))]
    got = said(ReplayBackend(path, Recording(model, redact=[plate])), prompts)
    assert got == said(ReplayBackend(path), prompts) == [['{"event": "a car, [redacted], stops"}']]
    assert "XY" not in path.read_text("utf-8")


# --- transformers ------------------------------------------------------------------------


@pytest.mark.parametrize("family", families.PLAIN)
def test_a_model_from_a_folder_is_asked_with_the_default_templates(
    family: str, tmp_path: Path
) -> None:
    families.make(family, tmp_path / "tiny")
    source = probe(footage("carphone_pristine.mp4"))
    pictures = Pictures()
    pictures.add(source)
    asker = load(str(tmp_path / "tiny"), pictures)
    assert asker.templates.name == "default"
    assert asker.backend.identity.startswith("tiny@sha256:")
    times = [at for at, _ in frames(source, 16)][:50:25]
    shown = tuple(Frame(video=source.video.sha256, at=at) for at in times)
    requests: list[Request] = [
        DescribeEvent(frames=shown),
        Narrate(frames=shown[:1]),
        *ONE_OF_EACH[:2],
    ]
    replies = asker.ask(requests, samples=2, temperature=1.0)
    assert [len(r.answers) for r in replies] == [2, 2, 2, 2]
    assert [r.key for r in replies] == [
        r.key for r in asker.ask(requests, samples=2, temperature=1.0)
    ]


def test_a_sample_depends_on_its_prompt_and_seed_alone(tmp_path: Path) -> None:
    families.make("idefics3", tmp_path / "tiny")
    model = TransformersModel(str(tmp_path / "tiny"))
    prompts = [
        Call(str(i), "classify", f"what is the {w} ?", (), 0.9, (5, 6, 7))
        for i, w in enumerate(["circle", "square left of the ring", "star"])
    ]
    together = said(model, prompts)
    model.batch = 1
    alone = [said(model, [p])[0] for p in reversed(prompts)]
    assert together == alone[::-1]
    assert len({t for texts in together for t in texts}) > 3
    fewer = Call("0", "classify", prompts[0].text, (), 0.9, (6,))
    assert said(model, [fewer])[0] == [together[0][1]]


@pytest.mark.parametrize("part", [0, 1], ids=["pictures", "films"])
def test_a_packed_lesson_is_the_lesson_alone(part: int) -> None:
    """Block mask and restarted positions: a question sees its pictures and itself, no more."""
    torch.manual_seed(0)
    model = make_model().eval()
    batch: Batch = MakeBatch(CONTINUED)(7)[part]
    row = 0
    kept = batch.targets != -100
    with torch.no_grad():
        packed = forward(model, batch, kept)
    images = int((batch.ids[row] == model.config.image_token_id).sum()) // 16
    where = torch.cumsum(kept.flatten(), 0).view_as(kept) - 1
    assert batch.block[row].max() > 3
    for number in range(1, int(batch.block[row].max()) + 1):
        mine = (batch.block[row] == 0) | (batch.block[row] == number)
        ids = batch.ids[row][mine].unsqueeze(0)
        with torch.no_grad():
            alone = model(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                pixel_values=batch.images[:images].unsqueeze(0),
            ).logits[0]
        asked = kept[row][mine]
        both = packed[where[row][mine][asked]]
        assert torch.allclose(alone[asked], both, atol=2e-4)


def test_lessons_are_what_passes_ask() -> None:
    """The packer's instruction and reply parse back through the compact templates."""
    from stepc.world.training_examples import Phrasing, packs

    templates, packer = Templates("compact"), Packer()
    unknown = packer.tokenizer.unk_token_id
    seen: set[str] = set()
    import random

    made = packs(3, 8, 8, 8, 2) + Phrasing(3)(random.Random(0), 10, 3)
    for pack in made:
        for request, reply in pack.lessons:
            seen.add(request.name)
            answer = templates.read(request, reply)
            assert answer is not None, (request, reply)
            assert all(getattr(answer, "items", [True])), (request, reply)
            for text in (templates.render(request), reply):
                ids = packer.tokenizer(text, add_special_tokens=False)["input_ids"]
                assert unknown not in ids, text
    asked = {*REQUESTS, "several"} - templates.lacking
    assert seen == asked - {"locate"}, "it is asked in the words of `motion`"


def test_how_a_model_is_loaded(tmp_path: Path) -> None:
    """Type of numbers, attention, an adapter: each is passed on, and what is made depends on it."""
    import peft
    from transformers import AutoModelForImageTextToText

    where = families.make("llava", tmp_path / "tiny")
    prompts = [Call("0", "classify", "what is it?", (), 1.0, (1, 2))]
    plain = TransformersModel(where)
    half = TransformersModel(where, LocalOptions(dtype="bfloat16", attention="eager", batch=1))
    assert half.model.dtype == torch.bfloat16 and half.batch == 1
    assert half.model.config._attn_implementation == "eager"
    assert plain.model.config._attn_implementation != "eager"
    base = AutoModelForImageTextToText.from_pretrained(where)
    lora = peft.LoraConfig(target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    peft.get_peft_model(base, lora).save_pretrained(tmp_path / "lora")
    taught = TransformersModel(where, LocalOptions(adapter=str(tmp_path / "lora")))
    assert said(taught, prompts) != said(plain, prompts)
    assert taught.identity.startswith(plain.identity + "+lora@sha256:")


@pytest.mark.parametrize(
    ("local", "said_of_it"),
    [
        (LocalOptions(dtype="int7"), "unknown dtype `int7`"),
        (LocalOptions(bits=3), "4 or 8 bits"),
        (LocalOptions(bits=4), "it needs bitsandbytes"),
        (LocalOptions(attention="flash_attention_2"), "it needs flashattention"),
        (LocalOptions(device="nowhere"), "device"),
        (LocalOptions(adapter="/nowhere"), "--adapter"),
    ],
    ids=str,
)
def test_a_model_that_cannot_be_loaded_so_says_why(
    local: LocalOptions, said_of_it: str, tmp_path: Path
) -> None:
    where = families.make("llava", tmp_path / "tiny")
    with pytest.raises(StepcError) as error:
        TransformersModel(where, local)
    assert error.value.diagnostics[0].code == "M004"
    assert said_of_it in error.value.diagnostics[0].text()


def test_a_family_that_needs_torchvision_says_so(tmp_path: Path) -> None:
    """As its folders are: what they hold is read before anything is loaded."""
    kinds = {"image_processor_type": "Qwen2VLImageProcessor"}
    videos = {"video_processor_type": "Qwen2VLVideoProcessor"}
    processor = {"processor_class": "Qwen2_5_VLProcessor"}
    config = {"model_type": "qwen2_5_vl", "architectures": ["Qwen2_5_VLForConditionalGeneration"]}
    families.tokenizer().save_pretrained(tmp_path)
    for name, data in {
        "preprocessor_config.json": {**kinds, **processor},
        "video_preprocessor_config.json": {**videos, **processor},
        "config.json": config,
    }.items():
        (tmp_path / name).write_text(json.dumps(data), "utf-8")
    with pytest.raises(StepcError) as error:
        TransformersModel(str(tmp_path))
    text = error.value.diagnostics[0].text()
    assert "M004" in text and "needs torchvision" in text and "stepc[video]" in text


def test_settings_of_a_model_folder(tmp_path: Path) -> None:
    families.make("idefics3", tmp_path / "tiny")
    (tmp_path / "tiny" / "stepc.json").write_text('{"templates": "compact", "together": 3}')
    model = TransformersModel(str(tmp_path / "tiny"))
    assert (model.templates, model.together) == ("compact", 3)
    (tmp_path / "tiny" / "stepc.json").write_text('{"tempaltes": "compact"}')
    with pytest.raises(StepcError) as error:
        TransformersModel(str(tmp_path / "tiny"))
    assert "stepc.json" in error.value.diagnostics[0].text()


@pytest.mark.parametrize("odd", ["a pipe", "a folder", "a device", "a large file", "a dead link"])
def test_odd_files_in_a_folder_of_templates_are_refused(odd: str, tmp_path: Path) -> None:
    shutil.copy(HERE / "templates" / "default" / "confirm.jinja", tmp_path)
    file = tmp_path / "zzz.jinja"
    match odd:
        case "a pipe":
            os.mkfifo(file)
        case "a folder":
            file.mkdir()
        case "a device":
            file.symlink_to("/dev/zero")
        case "a large file":
            file.write_bytes(b"x" * 1_000_001)
        case _:
            file.symlink_to(tmp_path / "nothing")
    with pytest.raises(StepcError, match=r"M005.*\n.*zzz.jinja"):
        Templates(str(tmp_path))


def test_a_folder_of_templates_may_hold_a_few_and_is_checked_first(tmp_path: Path) -> None:
    (tmp_path / "classify.jinja").write_text(
        "{#- answer: words -#}\nDoes {{ target.label }} move?", "utf-8"
    )
    own, default = Templates(f"{tmp_path}/"), Templates("default")
    request = Classify(frames=(), target=MAN)
    assert own.render(request) == "Does man move?" and own.schema(request) is None
    other = Describe(frames=(), target=MAN)
    assert own.render(other) == default.render(other)
    (tmp_path / "event.jinja").write_text("{#- answer: json -#}\nWhat of {{ targte }}?", "utf-8")
    with pytest.raises(TemplateError, match="unknown variable `targte`"):
        Templates(f"{tmp_path}/")
    with pytest.raises(TemplateError, match="not a folder"):
        Templates(f"{tmp_path}/none")


@pytest.mark.parametrize("name", sorted(REQUESTS))
def test_schemas_are_closed_and_take_what_is_answered(name: str) -> None:
    schema = REQUESTS[name].answer.model_json_schema()
    request = next(r for r in ONE_OF_EACH if r.name == name)
    sent = Templates("default").schema(request)
    if name == "locate":
        assert sent is None, "models write boxes in forms of their own"
        return
    assert sent is not None and set(sent["properties"]) == set(schema["properties"])
    assert sent["additionalProperties"] is False


def test_a_model_that_knows_nothing_answers_in_the_form_asked_for(tmp_path: Path) -> None:
    """Random weights, and still each reply is JSON of its request's schema, as far as it goes."""
    families.make("llava", tmp_path / "tiny")
    model = TransformersModel(str(tmp_path / "tiny"))
    assert model.grammars is not None
    asker = ModelClient(model, Templates("default"), Pictures(), 3)
    requests = [r for r in ONE_OF_EACH if r.name in ("classify", "confirm", "same_object")]
    replies = asker.ask(requests, samples=4, temperature=1.0)
    assert all(len(r.read) == 4 for r in replies)
    model.grammars = None
    asker.forget()
    assert not any(r.read for r in asker.ask(requests, samples=4, temperature=1.0))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["1", "2", "answers", "objects", "attributes", "yes", "kind", "text", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
"""What JSON a model may come up with; some keys are those that are asked for."""


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(ONE_OF_EACH), st.sampled_from(["compact", "default"]), st.booleans(),
       st.text(max_size=80) | JSON.map(json.dumps))  # fmt: skip
def test_whatever_a_reply_is_it_is_read_or_not(
    request_: Request, name: str, several: bool, reply: str
) -> None:
    asked = Several(frames=(), items=(request_,) * 2) if several else request_
    answer = SETS[name].read(asked, reply)
    assert answer is None or isinstance(answer, asked.answer)
    if isinstance(answer, Answers):
        assert all(a is None or isinstance(a, request_.answer) for a in answer.items)


JUNK = ["{", "}", "[", '"', ",", ":", "\x00", "\ud83d", "null", "```"]


def _mutated(text: str, rng: random.Random) -> str:
    """A reply as transport, a tokenizer or a chatty model may leave it."""
    at, end = sorted(rng.randrange(len(text) + 1) for _ in range(2))
    return rng.choice(
        [
            text[:at] + text[end:],
            text[:at],
            text[:at]
            + rng.choice(["{", "}", "[", '"', ",", ":", "\x00", "\ud83d", "null", "```"])
            + text[at:],
            text[:end] + text[at:],
            f"Sure! Here it is:\n```json\n{text}\n```\nAnything else?",
            json.dumps({"reply": text}),
            json.dumps([text]) * 2,
            "".join(rng.sample(text, len(text))),
        ]
    )


def test_a_thousand_mutated_replies_are_read_or_not_and_nothing_breaks() -> None:
    """Real replies of the cassettes, damaged up to three times, read by both sets of templates."""
    tapes = sorted((HERE / "golden").rglob("cassette.jsonl"))
    lines = [json.loads(x) for tape in tapes for x in tape.read_text("utf-8").splitlines()[1:]]
    replies = [(row["request"], reply) for row in lines for reply in row["replies"]]
    by_name = {r.name: r for r in ONE_OF_EACH}
    rng, read = random.Random(0), 0
    for set_ in (Templates("compact"), Templates("default")):
        for _ in range(1000):
            name, reply = rng.choice(replies)
            for _ in range(rng.randint(1, 3)):
                reply = _mutated(reply, rng)
            answer = set_.read(by_name[name], reply)
            assert answer is None or isinstance(answer, REQUESTS[name].answer)
            read += answer is not None
    assert 0 < read < 2000


def test_prices_are_two_numbers() -> None:
    assert two_prices("0.15/0.6") == (0.15, 0.6)
    for text in ("1", "1/2/3", "a/b", "1/-2", "nan/1", "inf/1"):
        with pytest.raises(StepcError) as error:
            two_prices(text)
        assert error.value.diagnostics[0].code == "U001"


@pytest.mark.parametrize(
    "wrong",
    [
        {"trace": Path("nowhere") / "x.jsonl"},
        {"record": Path("nowhere") / "x.jsonl"},
        {"trace": Path()},
        {"record": Path()},
    ],
)
def test_what_cannot_be_written_is_said_before_the_first_call(wrong: dict[str, Any]) -> None:
    with pytest.raises(StepcError) as error:
        load(ModelConfig(**wrong), Pictures())
    assert error.value.diagnostics[0].code == "B014"


def test_a_server_has_an_address_and_a_model_a_name() -> None:
    for name, url in (("openai:m", "not-a-url"), ("openai:", "http://127.0.0.1:1/v1")):
        with pytest.raises(StepcError) as error:
            load(ModelConfig(name, server=ServerOptions(url)), Pictures())
        assert error.value.diagnostics[0].code == "U001"


def test_a_device_that_is_not_there_is_said(tmp_path: Path) -> None:
    where = families.make("idefics3", tmp_path / "tiny")
    with pytest.raises(StepcError) as error:
        TransformersModel(where, LocalOptions("cuda:99"))
    assert error.value.diagnostics[0].code == "M004"


def test_code_of_a_models_own_is_run_only_if_that_is_said(tmp_path: Path) -> None:
    where = tmp_path / "own"
    families.make("llava", where)
    config = json.loads((where / "config.json").read_text())
    classes = ("AutoConfig", "AutoModelForImageTextToText")
    config["auto_map"] = {c: f"mine.{'Config' if c == 'AutoConfig' else 'Model'}" for c in classes}
    config["model_type"] = "of-its-own"
    (where / "config.json").write_text(json.dumps(config))
    (where / "mine.py").write_text(
        "from pathlib import Path\n"
        "from transformers import LlavaConfig as Base, LlavaForConditionalGeneration\n"
        f"Path({str(tmp_path / 'ran')!r}).touch()\n"
        "class Config(Base):\n    model_type = 'of-its-own'\n"
        "class Model(LlavaForConditionalGeneration):\n    config_class = Config\n"
    )
    with pytest.raises(StepcError) as error:
        TransformersModel(str(where))
    found = error.value.diagnostics[0]
    assert found.code == "M004" and "--remote-code" in found.help
    assert not (tmp_path / "ran").exists()
    TransformersModel(str(where), LocalOptions(remote=True))
    assert (tmp_path / "ran").exists()


def test_the_models_that_the_docs_say_are_in_transformers_are() -> None:
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as KNOWN,
    )

    table = (
        (HERE / "docs" / "how-to" / "models.md")
        .read_text()
        .split("## Which models")[1]
        .split("##")[0]
    )
    named = re.findall(r"\| `([a-z0-9_]+)`", table)
    assert len(named) >= 8 and set(named) <= set(KNOWN)
    for absent in ("vila", "videochat", "video_chat", "mplug"):
        assert not [name for name in KNOWN if absent in name]
