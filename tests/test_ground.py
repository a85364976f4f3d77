"""Boxes that the model itself gives: the forms of the families, their coordinates, and the pass `ground`."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from speaking import Speaker
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from stepc.diagnostics import Statistics, StepcError
from stepc.ir import types as t
from stepc.ir.text import read
from stepc.ir.verify import verify
from stepc.model.client import Call, ModelClient
from stepc.model.coordinates import SaidBox, in_thousandths_of, said_boxes, seen_size
from stepc.model.load import ModelConfig, load
from stepc.model.picture_tokens import boxes_of, family_of, seen_by
from stepc.model.requests import Locate, Mention
from stepc.model.templates import Templates
from stepc.passes.ground import GroundObjects
from stepc.passmanager.base import Tools
from stepc.video.decode import Pictures
from stepc.video.probe import probe
from stepc.world.ground_truth import truth
from stepc.world.render import write
from stepc.world.scene import make_film

SEEN = (1288, 728)
"""What Qwen2.5-VL sees of a picture of 1280x720."""
REPLIES = [
    (  # Qwen2.5-VL: pixels of the picture that it sees
        "Qwen/Qwen2.5-VL-7B-Instruct",
        '```json\n[\n\t{"bbox_2d": [644, 182, 966, 546], "label": "dog"},\n'
        '\t{"bbox_2d": [0, 0, 322, 728], "label": "man"}\n]\n```',
        {2: (500, 250, 750, 750), 1: (0, 0, 250, 1000)},
    ),
    (  # Qwen3-VL: thousandths, with the numbers that were asked for
        "Qwen/Qwen3-VL-8B-Instruct",
        '[{"object": 2, "bbox_2d": [500, 250, 750, 750]}, {"object": 1, "bbox_2d": [0, 0, 250, 1000]}]',
        {2: (500, 250, 750, 750), 1: (0, 0, 250, 1000)},
    ),
    (  # Qwen2-VL: tags
        "Qwen/Qwen2-VL-7B-Instruct",
        "<|object_ref_start|>the man<|object_ref_end|><|box_start|>(0,0),(250,1000)<|box_end|>"
        "<|object_ref_start|>dog<|object_ref_end|><|box_start|>(500,250),(750,750)<|box_end|>",
        {2: (500, 250, 750, 750), 1: (0, 0, 250, 1000)},
    ),
    (  # InternVL
        "OpenGVLab/InternVL3-8B",
        "<ref>dog</ref><box>[[500, 250, 750, 750]]</box>\n<ref>man</ref><box>[[0, 0, 250, 1000]]</box>",
        {2: (500, 250, 750, 750), 1: (0, 0, 250, 1000)},
    ),
    (  # PaliGemma: 1024ths, the upper edge first
        "OpenGVLab/InternVL3-8B",
        "<loc0256><loc0512><loc0768><loc0768> dog ; <loc0000><loc0000><loc1024><loc0256> man",
        {2: (500, 250, 750, 750), 1: (0, 0, 250, 1000)},
    ),
    (  # Gemini: thousandths, the upper edge first
        "Qwen/Qwen3-VL-8B-Instruct",
        '[{"box_2d": [250, 500, 750, 750], "label": "dog"}]',
        {2: (500, 250, 750, 750)},
    ),
    (  # lines, fractions
        "Qwen/Qwen3-VL-8B-Instruct",
        "1. the man: [0.0, 0.0, 0.25, 1.0]\n2. the dog: (0.5, 0.25, 0.75, 0.75)",
        {2: (500, 250, 750, 750), 1: (0, 0, 250, 1000)},
    ),
    (  # two corners
        "Qwen/Qwen3-VL-8B-Instruct",
        '{"boxes": [{"number": 1, "box": [[0, 0], [250, 1000]]}]}',
        {1: (0, 0, 250, 1000)},
    ),
    (  # named edges, of a number that is not there, and of none
        "Qwen/Qwen3-VL-8B-Instruct",
        '[{"id": 2, "x1": 500, "y1": 250, "x2": 750, "y2": 750}, {"id": 7, "bbox": [1, 1, 2, 2]},'
        ' {"bbox": [1, 1, 2, 2]}]',
        {2: (500, 250, 750, 750)},
    ),
    (  # nothing that can be in the picture: pixels where thousandths are meant, and empty boxes
        "Qwen/Qwen3-VL-8B-Instruct",
        '[{"object": 1, "bbox_2d": [10, 10, 1270, 700]}, {"object": 2, "bbox_2d": [500, 250, 500, 750]}]',
        {},
    ),
]


def located(*labels: str) -> Locate:
    return Locate(frames=(), objects=tuple(Mention(label=x) for x in labels))


@pytest.mark.parametrize(("model", "reply", "expected"), REPLIES, ids=range(len(REPLIES)))
def test_replies_of_the_families(
    model: str, reply: str, expected: dict[int, tuple[int, ...]]
) -> None:
    request = located("man", "dog")
    answer = request.answer.model_validate(request.words(reply))
    system = family_of(model).boxes
    assert system is not None
    boxes = {
        b.object: in_thousandths_of(SaidBox("", b.edges, b.whole), system, SEEN)  # type: ignore[attr-defined]
        for b in answer.boxes  # type: ignore[attr-defined]
    }
    assert {n: edges for n, edges in boxes.items() if edges} == expected


@pytest.mark.parametrize("text", ["[]", '{"boxes": []}', "There is none:\n```json\n[]\n```"])
def test_nothing_is_an_answer(text: str) -> None:
    assert located("man").words(text) == {"boxes": []}


def test_a_label_of_two_objects_names_neither() -> None:
    request = located("man", "man", "dog")
    told = request.words(
        '[{"bbox_2d": [1, 1, 9, 9], "label": "man"}, {"bbox": [1, 1, 9, 9], "object": 2}]'
    )
    assert [b["object"] for b in told["boxes"]] == [2]
    assert [b["object"] for b in located("man").words("[1, 1, 9, 9]")["boxes"]] == [1]


@pytest.mark.parametrize(
    "text", ["<ref>" * 20_000, "[" + "1" * 500 + ", 2, 3, 4]", f'[{{"bbox": [1, 2, 3, {10**400}]}}]',
             " " * 50_000 + "(", "-" * 50_000, '[{"bbox_2d": [0, 0, NaN, Infinity]}]'],
)  # fmt: skip
def test_no_reply_takes_long(text: str) -> None:
    try:
        boxes = [in_thousandths_of(said, "thousandths", SEEN) for said in said_boxes(text)]
    except ValueError:
        boxes = []
    assert boxes in ([], [None])


@pytest.mark.parametrize("text", ["", "I cannot find it.", "[1, 2, 3]", '{"bbox": [1, 2]}', "[[[["])
def test_what_names_no_box(text: str) -> None:
    with pytest.raises(ValueError, match="no box"):
        said_boxes(text)


@given(st.text(alphabet='[](){}<>|,.:0123456789 \n"aboxref/_', max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        for said in said_boxes(text):
            in_thousandths_of(said, "pixels", SEEN)
    except ValueError:
        pass


@given(st.integers(28, 9000), st.integers(28, 9000))
def test_a_picture_is_seen_as_the_image_processor_makes_it(wide: int, high: int) -> None:
    if max(wide, high) / min(wide, high) <= 200:
        high_seen, wide_seen = smart_resize(high, wide, max_pixels=12_845_056)
        assert seen_size(wide, high) == (wide_seen, high_seen)


def test_the_size_at_which_a_server_sees_a_picture() -> None:
    class Server:
        identity = "openai:Qwen/Qwen2.5-VL-7B-Instruct@x"
        longest = 640

    class Cached:
        identity, inner = Server.identity, Server()

    assert boxes_of(Cached()) == "pixels" and seen_by(Cached(), 1280, 720) == (644, 364)
    assert seen_by(Server(), 320, 180) == (308, 168) or seen_by(Server(), 320, 180) == (308, 196)


# --- the pass ----------------------------------------------------------------------------

PARK = """fsg 1 "park"
video   "park.mp4" 4.000s 25fps 1280x720 sha256:{0}

clip    c0 0.000..4.000
frame   c0.k0 at 1.000
dynamic c0.k0/man "man" [3/3 -]
dynamic c0.k0/dog "dog" [3/3 -]
dynamic c0.k0/dog.2 "dog" [3/3 -]
static  c0.k0/sky "sky" stuff [3/3 -]
""".replace("{0}", "5" * 64)


class Qwen(Speaker):
    identity = "openai:Qwen/Qwen3-VL-8B-Instruct@1"
    together = 8


def ground(speaker: Speaker, **options: object) -> tuple[t.Fsg, Statistics]:
    unit = read(PARK).unit
    assert isinstance(unit, t.Fsg)
    asker = ModelClient(speaker, Templates("default"), Pictures(), together=speaker.together)
    tools = Tools(Pictures(), lambda: asker)
    made = GroundObjects.model_validate(options).run(unit, tools)
    assert verify(made) == []
    return made, tools.counts


def test_samples_that_agree_give_a_box() -> None:
    """The man is in one place in all replies, one dog in two of three, and the other in three places."""
    dogs = [(600, 600, 700, 700), (610, 600, 710, 700), (100, 100, 200, 200)]
    others = [(300, 0, 400, 100), (500, 500, 600, 600), (800, 0, 900, 50)]
    asked: list[str] = []

    def say(call: Call, seed: int) -> str:
        n = len(asked) % 3
        asked.append(call.text)
        places = {1: (100 + n, 200, 300, 900), 2: dogs[n], 3: others[n]}
        return str([{"object": k, "bbox_2d": [*v]} for k, v in places.items()]).replace("'", '"')

    made, counts = ground(Qwen(say))
    boxes = {b.owner: b for b in made.boxes}
    assert set(boxes) == {"c0.k0/man", "c0.k0/dog"}
    man, dog = boxes["c0.k0/man"], boxes["c0.k0/dog"]
    assert (man.left, man.top, man.right, man.bottom, man.score) == (101, 200, 300, 900, 1000)
    assert (dog.left, dog.right, dog.score, dog.source) == (600, 700, 667, "ground")
    assert counts.counts["objects whose place is not known"] == 1
    assert len(set(asked)) == 1 and "sky" not in asked[0] and "3." in asked[0]


def test_two_objects_of_one_label_are_not_in_one_place() -> None:
    same = '[{"object": 2, "bbox_2d": [1, 1, 99, 99]}, {"object": 3, "bbox_2d": [1, 1, 99, 99]}]'
    made, counts = ground(Qwen(lambda call, seed: same), samples=1)
    assert made.boxes == () and counts.counts["boxes that two objects share"] == 2


def test_an_unknown_family_must_be_told() -> None:
    with pytest.raises(StepcError) as caught:
        ground(Speaker(lambda call, seed: "[]"))
    assert caught.value.diagnostics[0].code == "P013"
    said = '[{"object": 1, "bbox_2d": [0.1, 0.1, 0.5, 0.5]}]'
    made, counts = ground(Speaker(lambda call, seed: said), coordinates="fractions", samples=1)
    assert [(b.owner, b.left, b.bottom) for b in made.boxes] == [("c0.k0/man", 100, 500)]
    assert counts.counts["model calls"] == 3, "one by one"
    assert counts.counts["boxes that two objects share"] == 2


@pytest.mark.embedded
def test_the_embedded_model_knows_in_which_ninth_of_the_picture_things_are(tmp_path: Path) -> None:
    right = there = 0
    for seed in range(3):
        path = tmp_path / f"{seed}.mp4"
        film = make_film(random.Random(f"ground {seed}"), 1)
        write(film, path)
        source, pictures = probe(path), Pictures()
        pictures.add(source)
        true = truth(film, "film", path.name, source.video.sha256)
        frames = {f for o in true.objects for f in o.frames[:1]}
        unit = t.raise_to(
            t.Fsg, true.evolve(boxes=(), tracks=()),
            objects=tuple(
                o.model_copy(update={"frames": o.frames[:1], "origin": t.Origin()})
                for o in true.objects if t.frame_of(o.id) in frames
            ),
        )  # fmt: skip
        asker = load(ModelConfig(), pictures, seed=0)
        made = GroundObjects(samples=1, temperature=0).run(unit, Tools(pictures, lambda a=asker: a))  # type: ignore[misc]
        boxes = {b.owner: b for b in true.boxes}
        for b in made.boxes:
            own = boxes[b.owner]
            x, y = (own.left + own.right) / 2, (own.top + own.bottom) / 2
            right += b.left <= x <= b.right and b.top <= y <= b.bottom
        there += len(unit.objects)
    assert there > 12 and right >= 0.9 * there, (right, there)
