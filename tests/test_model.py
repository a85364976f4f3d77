"""Asking a model: templates, tolerant reading, votes, cassettes, and transformers itself."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from test_golden import HERE, footage

from stepc.diagnostics import StepcError
from stepc.ir.types import Frame
from stepc.model.ask import Asker, Prompt, vote
from stepc.model.load import load
from stepc.model.prompts import TemplateError, Templates
from stepc.model.replay import Replay
from stepc.model.requests import (
    REQUESTS,
    AttributeClaim,
    Classify,
    Confirm,
    Describe,
    DrawGraph,
    Event,
    EventClaim,
    ListObjects,
    Mention,
    Motion,
    MotionClaim,
    Narrate,
    ObjectClaim,
    Relate,
    RelationClaim,
    Request,
    Reword,
    SameObject,
    Smooth,
)
from stepc.model.transformers import TransformersModel
from stepc.video import Pictures, frames, probe
from stepc.world.train import Batch, Packer, forward, make_model
from stepc.world.train import _MakeBatch as MakeBatch
from stepc.world.words import make_processor

CUP = Mention(label="cup", number=2, of=2, attributes=("red",))
MAN = Mention(label="man")
ONE_OF_EACH: list[Request] = [
    Narrate(frames=()),
    ListObjects(frames=(), narrative="A man {holds} a cup."),
    Classify(frames=(), target=CUP),
    Describe(frames=(), target=MAN),
    Relate(frames=(), subject=MAN, object=CUP),
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
    Motion(frames=(), target=MAN),
    SameObject(frames=(), first=CUP, second=CUP),
    Event(frames=()),
    DrawGraph(frames=()),
    *(Reword(frames=(), form=f, question="What?", reply="that") for f in ("open", "yes-no")),
    Smooth(frames=(), question="What?", steps=("One.", "Two."), reply="that"),
]


@pytest.mark.parametrize("name", ["default", "compact"])
def test_every_request_has_a_template(name: str) -> None:
    templates = Templates(name)
    assert {r.name for r in ONE_OF_EACH} == set(REQUESTS)
    for request in ONE_OF_EACH:
        text = templates.render(request)
        assert text and "{{" not in text and "{%" not in text
        for said in ("cup", "man", "holding", "walking", "What?", "One."):
            if name == "default" and said in str(request.model_dump()):
                assert said in text
    both = [r for r in ONE_OF_EACH if "CUP" in str(r) or "number=2" in str(r)]
    assert name == "compact" or all("2 of 2" in templates.render(r) for r in both)


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
            Templates(f"{folder}/").render(Event(frames=()))
    event.write_text("no first line")
    with pytest.raises(TemplateError, match="does not begin"):
        Templates(f"{folder}/")
    event.write_bytes(b"\xff\xfe")
    with pytest.raises(TemplateError, match="cannot be read"):
        Templates(f"{folder}/")


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
    ("null", Event(frames=()), '{"event": null}', None),
    ("only spaces", Event(frames=()), '{"event": "  "}', None),
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


class Parrot:
    """Says what a function of the prompt says, and counts."""

    identity = "parrot@1"
    templates = "default"

    def __init__(self, reply: str) -> None:
        self.reply, self.asked = reply, 0

    def generate(self, prompts: Sequence[Prompt], pictures: Pictures) -> list[list[str]]:
        self.asked += len(prompts)
        return [[self.reply] * len(p.seeds) for p in prompts]


def test_equal_requests_are_asked_once_and_lost_votes_counted() -> None:
    parrot = Parrot("I would rather not.")
    asker = Asker(parrot, Templates("default"), Pictures())
    replies = asker.ask([Event(frames=())] * 3 + [Narrate(frames=())], samples=2)
    assert parrot.asked == 2
    assert len(replies) == 4 and replies[0].read == []
    counts = dict(asker.counts)
    assert counts == {"model calls": 4, "votes lost to unreadable replies": 8}


def test_votes_are_counted_once_a_ballot() -> None:
    ballots = [[("a", "A"), ("a", "a"), ("b", "B")], [("a", "aa")], []]
    votes = vote(ballots, ["a" * 12, "b" * 12, "c" * 12], 3, 0.5)
    assert [(v.value, v.trust.votes, v.trust.asked) for v in votes] == [("a", 2, 3)]
    assert votes[0].origin.asks == ("a" * 12, "b" * 12)


def test_a_cassette_plays_what_was_recorded(tmp_path: Path) -> None:
    path = tmp_path / "cassette.jsonl"
    parrot = Parrot('{"event": "it rains"}')
    prompts = [Prompt("a" * 12, "event", "What?", (), 0.0, (1,))]
    assert Replay(path, parrot).generate(prompts, Pictures()) == [['{"event": "it rains"}']]
    assert Replay(path).generate(prompts, Pictures()) == [['{"event": "it rains"}']]
    Replay(path, parrot).generate(prompts, Pictures())
    assert parrot.asked == 1
    other = [Prompt("b" * 12, "event", "What now?", (), 0.0, (1,))]
    with pytest.raises(StepcError) as error:
        Replay(path).generate(other, Pictures())
    assert error.value.diagnostics[0].code == "M001"
    assert "'What?'" in (error.value.diagnostics[0].help or "")


# --- transformers ------------------------------------------------------------------------


def _idefics3(folder: Path) -> None:
    torch.manual_seed(0)
    make_processor().save_pretrained(folder)
    make_model().save_pretrained(folder)


def _llava(folder: Path) -> None:
    """Another architecture, from the library's parts: CLIP, a projector and Llama."""
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(0)
    own = make_processor()
    words = len(own.tokenizer)
    image = own.tokenizer.convert_tokens_to_ids("<image>")
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=32,
            patch_size=8,
        ),
        text_config=LlamaConfig(
            vocab_size=words,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
        ),
        image_token_index=image,
        vision_feature_layer=-1,
    )
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    side = {"height": 32, "width": 32}
    LlavaProcessor(
        image_processor=CLIPImageProcessorPil(
            size=side, crop_size=side, do_center_crop=False, do_resize=True
        ),
        tokenizer=own.tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=own.chat_template,
    ).save_pretrained(folder)


@pytest.mark.parametrize("make", [_idefics3, _llava])
def test_a_model_from_a_folder_is_asked_with_the_default_templates(
    make: Any, tmp_path: Path
) -> None:
    make(tmp_path / "tiny")
    source = probe(footage("carphone_pristine.mp4"))
    pictures = Pictures()
    pictures.add(source)
    asker = load(str(tmp_path / "tiny"), pictures)
    assert asker.templates.name == "default"
    assert asker.backend.identity.startswith("tiny@sha256:")
    times = [at for at, _ in frames(source, 16)][:50:25]
    shown = tuple(Frame(video=source.video.sha256, at=at) for at in times)
    requests: list[Request] = [Event(frames=shown), Narrate(frames=shown[:1]), *ONE_OF_EACH[:2]]
    replies = asker.ask(requests, samples=2, temperature=1.0)
    assert [len(r.answers) for r in replies] == [2, 2, 2, 2]
    assert [r.key for r in replies] == [
        r.key for r in asker.ask(requests, samples=2, temperature=1.0)
    ]


def test_a_sample_depends_on_its_prompt_and_seed_alone(tmp_path: Path) -> None:
    _idefics3(tmp_path / "tiny")
    model = TransformersModel(str(tmp_path / "tiny"))
    prompts = [
        Prompt(str(i), "classify", f"what is the {w} ?", (), 0.9, (5, 6, 7))
        for i, w in enumerate(["circle", "square left of the ring", "star"])
    ]
    together = model.generate(prompts, Pictures())
    model.batch = 1
    alone = [model.generate([p], Pictures())[0] for p in reversed(prompts)]
    assert together == alone[::-1]
    assert len({t for texts in together for t in texts}) > 3
    fewer = Prompt("0", "classify", prompts[0].text, (), 0.9, (6,))
    assert model.generate([fewer], Pictures())[0] == [together[0][1]]


def test_a_packed_lesson_is_the_lesson_alone() -> None:
    """Block mask and restarted positions: a question sees its pictures and itself, no more."""
    torch.manual_seed(0)
    model = make_model().eval()
    batch: Batch = MakeBatch()(7)
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
    from stepc.world.lessons import Phrasing, packs

    templates, packer = Templates("compact"), Packer()
    unknown = packer.tokenizer.unk_token_id
    seen: set[str] = set()
    import random

    made = packs(3, 8, 8, 8, 2) + Phrasing(3)(random.Random(0), 10, 3)
    for pack in made:
        for request, reply in pack.lessons:
            seen.add(request.name)
            assert templates.read(request, reply) is not None, (request, reply)
            for text in (templates.render(request), reply):
                ids = packer.tokenizer(text, add_special_tokens=False)["input_ids"]
                assert unknown not in ids, text
    assert seen == set(REQUESTS)


def test_settings_of_a_model_folder(tmp_path: Path) -> None:
    _idefics3(tmp_path / "tiny")
    (tmp_path / "tiny" / "stepc.json").write_text(json.dumps({"templates": "compact"}))
    assert TransformersModel(str(tmp_path / "tiny")).templates == "compact"


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
    with pytest.raises(TemplateError, match="`targte` is nothing that this request has"):
        Templates(f"{tmp_path}/")
    with pytest.raises(TemplateError, match="no folder"):
        Templates(f"{tmp_path}/none")


@pytest.mark.parametrize("name", sorted(REQUESTS))
def test_schemas_are_closed_and_take_what_is_answered(name: str) -> None:
    schema = REQUESTS[name].answer.model_json_schema()
    request = next(r for r in ONE_OF_EACH if r.name == name)
    sent = Templates("default").schema(request)
    assert sent is not None and set(sent["properties"]) == set(schema["properties"])
    assert sent["additionalProperties"] is False


def _bytes(folder: Path) -> None:
    """The tiny LLaVA with a tokenizer of bytes, which can say anything."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlavaForConditionalGeneration, LlavaProcessor, PreTrainedTokenizerFast

    _llava(folder)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {c: i for i, c in enumerate(["<pad>", "</s>", "<image>", *alphabet])}
    made = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(["<pad>", "</s>", "<image>"])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="<pad>",
        eos_token="</s>",
        extra_special_tokens={"image_token": "<image>"},
    )
    processor = LlavaProcessor.from_pretrained(folder)
    LlavaProcessor(
        image_processor=processor.image_processor,
        tokenizer=tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=processor.chat_template,
    ).save_pretrained(folder)
    model = LlavaForConditionalGeneration.from_pretrained(folder)
    model.resize_token_embeddings(len(vocab))
    model.config.image_token_index = model.config.image_token_id = 2
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = 1, 0
    model.save_pretrained(folder)


def test_a_model_that_knows_nothing_answers_in_the_form_asked_for(tmp_path: Path) -> None:
    """Random weights, and still each reply is JSON of its request's schema, as far as it goes."""
    _bytes(tmp_path / "tiny")
    model = TransformersModel(str(tmp_path / "tiny"))
    assert model.grammars is not None
    asker = Asker(model, Templates("default"), Pictures(), 3)
    requests = [r for r in ONE_OF_EACH if r.name in ("classify", "confirm", "same_object")]
    replies = asker.ask(requests, samples=4, temperature=1.0)
    assert all(len(r.read) == 4 for r in replies)
    model.grammars = None
    assert not any(r.read for r in asker.ask(requests, samples=4, temperature=1.0))


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
