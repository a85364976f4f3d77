"""Families of Video-LLMs as tiny models: pictures, videos with their times, samples, lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import families
import numpy as np
import pytest
from speaking import said

from stepc.ir.types import Frame
from stepc.model.client import Call, ModelClient
from stepc.model.coordinates import seen_size
from stepc.model.picture_tokens import boxes_of, seen_by
from stepc.model.requests import (
    Classify,
    DescribeEvent,
    DescribeMotion,
    Mention,
    Request,
    SameObject,
)
from stepc.model.templates import Templates
from stepc.model.transformers import TransformersModel
from stepc.video.decode import Pictures

TIMES = (0, 800, 2000, 3100)
CUP = Mention(label="cup")
SHOWN = tuple(Frame(video="f" * 64, at=at) for at in TIMES)


class Greys(Pictures):
    """Every frame a grey of its own."""

    def at(self, frame: Frame) -> Any:
        """40 by 60 pixels."""
        return np.full((40, 60, 3), frame.at // 20 % 255, np.uint8)


@pytest.fixture(scope="module", params=sorted({**families.PLAIN, **families.NEEDING}))
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Name and model of each family in turn."""
    folder = tmp_path_factory.mktemp("model")
    return request.param, TransformersModel(families.make(request.param, folder))


def _prompt(text: str, frames: tuple[Frame, ...], seeds: tuple[int, ...], video: bool) -> Call:
    return Call(f"{text}/{seeds}", "classify", text, frames, 1.0, seeds, video=video)


@pytest.mark.parametrize("video", [False, True])
def test_samples_go_on_from_one_reading(family: tuple[str, Any], video: bool) -> None:
    """The same texts as one by one, whatever else is in the batch."""
    _, model = family
    shown = [SHOWN, SHOWN[:1], SHOWN[1:3], ()] if not video else [SHOWN, SHOWN[:2], SHOWN[1:4]]
    prompts = [_prompt(f"what? {'x' * i}", f, (3, 4, 5), video) for i, f in enumerate(shown)]
    together = said(model, prompts, Greys())
    assert len({text for texts in together for text in texts}) == 3 * len(prompts)
    for prompt, texts in zip(prompts, together, strict=True):
        for seed, text in zip(prompt.seeds, texts, strict=True):
            alone = _prompt(prompt.text, prompt.frames, (seed,), video)
            assert said(model, [alone], Greys()) == [[text]]


def test_requests_are_asked_with_pictures_and_with_videos(family: tuple[str, Any]) -> None:
    name, model = family
    assert model.videos == (name in families.NEEDING)
    requests: list[Request] = [
        DescribeEvent(frames=SHOWN),
        DescribeMotion(frames=SHOWN[:2], target=CUP),
        Classify(frames=SHOWN[:1], target=CUP),
        SameObject(frames=SHOWN[:2], first=CUP, second=CUP),
    ]
    for video in (False, True):
        asker = ModelClient(model, Templates("default"), Greys(), video=video)
        replies = asker.ask(requests, samples=2, temperature=1.0)
        assert asker.usage.replies == 8 and asker.usage.tokens_in > 100
        if model.grammars is not None:
            assert all(len(r.read) == 2 for r in replies[2:])
        again = ModelClient(model, Templates("default"), Greys(), video=video)
        assert again.ask(requests, samples=2, temperature=1.0) == replies


@pytest.mark.parametrize("family", ["qwen3-vl", "smolvlm", "qwen2.5-vl"], indirect=True)
def test_a_video_carries_the_times_of_its_frames(family: tuple[str, Any]) -> None:
    name, model = family
    inputs = model.inputs([_prompt("what?", SHOWN, (1,), True)], Greys(), True)
    text = model.processor.tokenizer.decode(inputs["input_ids"][0])
    match name:
        case "qwen3-vl":  # two frames are one, at the mean of their times
            assert "<0.4 seconds>" in text and "<2.5 seconds>" in text
        case "smolvlm":
            assert [text.count(f"00:0{s}") for s in range(4)] == [2, 0, 1, 2]  # and 3 s in all
        case _:
            seconds = [float(x) for x in inputs["second_per_grid_ts"]]
            assert seconds == [pytest.approx(2 * 3.101 / 4)]


def test_a_family_loads_by_its_name_alone(family: tuple[str, Any], tmp_path: Path) -> None:
    _, model = family
    model.model.save_pretrained(tmp_path)
    model.processor.save_pretrained(tmp_path)
    other = TransformersModel(str(tmp_path))
    prompts = [_prompt("what?", SHOWN[:2], (1, 2), False)]
    assert said(other, prompts, Greys()) == said(model, prompts, Greys())


def test_what_the_boxes_of_a_family_count(family: tuple[str, Any]) -> None:
    """A model in a folder of any name is recognised by its kind, and Qwen2.5-VL tells what it sees."""
    name, model = family
    system = {"qwen2.5-vl": "pixels", "qwen3-vl": "thousandths", "internvl": "thousandths"}.get(
        name
    )
    assert boxes_of(model) == system
    if system == "pixels":
        images = model.processor.image_processor
        side = images.patch_size * images.merge_size
        least, most = images.size["shortest_edge"], images.size["longest_edge"]
        for wide, high in ((640, 360), (101, 77), (30, 500)):
            assert seen_by(model, wide, high) == seen_size(wide, high, side, least, most)
    assert model.seen_size(640, 360) is None or name.startswith("qwen")
