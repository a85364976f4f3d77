"""Estimates: the tokens of pictures, and whether what the documentation says fits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from transformers import AutoConfig

from stepc.ir import types as t
from stepc.model.individuals import FOUND, SHOWN
from stepc.model.picture_tokens import FAMILIES, family_of, longest_side, picture_tokens
from stepc.model.plan import Assumptions, estimate, plan
from stepc.model.requests import (
    Confirm,
    DescribeEvent,
    DescribeMotion,
    DescribeTrack,
    MatchObjects,
    SameObject,
)
from stepc.passmanager.pipeline_text import DEFAULT, parse_pipeline

ROOT = Path(__file__).parent.parent
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]


@pytest.mark.parametrize(
    ("model", "family", "tokens"),
    [  # of a picture of 1280 x 720, and of 1920 x 1080 as it is
        ("openai:Qwen/Qwen2.5-VL-7B-Instruct", "Qwen2.5-VL", (1196, 2691)),
        ("openai:qwen2_5_vl-3b", "Qwen2.5-VL", (1196, 2691)),
        ("Qwen/Qwen2-VL-7B-Instruct", "Qwen2-VL", (1196, 2691)),
        ("Qwen/Qwen3-VL-8B", "Qwen3-VL", (880, 2040)),
        ("OpenGVLab/InternVL3-8B-hf", "InternVL", (2304, 2304)),
        ("HuggingFaceTB/SmolVLM2-2.2B-Instruct", "SmolVLM", (1053, 1053)),
        ("HuggingFaceM4/Idefics3-8B-Llama3", "Idefics3", (2197, 2197)),
        ("openai:gpt-4o-2024-08-06", "GPT-4o", (1105, 1105)),
        ("openai:gpt-4o-mini", "GPT-4o mini", (36835, 36835)),
        ("LanguageBind/Video-LLaVA-7B-hf", "Video-LLaVA", (256, 256)),
        ("google/gemma-3-4b-it", "Gemma 3", (256, 256)),
        ("openai:somebody/else", "unknown", (1196, 2691)),
    ],
)
def test_a_picture_has_the_tokens_of_its_family(
    model: str, family: str, tokens: tuple[int, int]
) -> None:
    assert family_of(model).name == family
    sizes = ((1280, 720), (1920, 1080))
    assert tuple(picture_tokens(model, *size, "full") for size in sizes) == tokens
    assert picture_tokens(model, 1920, 1080) <= tokens[1]
    assert longest_side(model, "full") is None and longest_side(model, 500) == 500
    assert (longest_side(model, "auto") or 0) >= 224


def test_the_embedded_model_reads_a_picture_as_its_configuration_says() -> None:
    config = AutoConfig.from_pretrained(ROOT / "stepc" / "model" / "embedded")
    vision = config.vision_config
    side = vision.image_size // vision.patch_size // config.scale_factor
    assert picture_tokens("embedded", 1280, 720, "full") == side * side
    assert longest_side("embedded", "auto") == vision.image_size


def test_a_smaller_picture_has_no_more_tokens() -> None:
    for family in FAMILIES:
        for width, height in ((640, 360), (720, 1280), (4000, 3000), (100, 3000), (30, 30)):
            whole = family.tokens(2 * width, 2 * height)
            assert 1 <= family.tokens(width, height) <= whole <= 40_000, family.name


SHOWING_SEVERAL = (Confirm, DescribeEvent, DescribeMotion, DescribeTrack, MatchObjects, SameObject)
"""The requests that show several keyframes."""


def _clips(shots: int, each: int) -> list[t.Clip]:
    return [
        t.Clip(
            id=f"c{i}",
            start=i * 4000,
            end=i * 4000 + 4000,
            keyframes=tuple(
                t.Keyframe(id=f"c{i}.k{k}", at=i * 4000 + 1000 * k) for k in range(each)
            ),
        )
        for i in range(shots)
    ]


def test_a_film_stays_within_what_a_model_can_be_asked() -> None:
    """1,500 shots of three keyframes with twelve objects, at 1,196 tokens for a picture of 720p."""
    assume = Assumptions(objects=12, picture=1196, together=16)
    made = plan(_clips(1500, 3), parse_pipeline(DEFAULT), 18, assume)
    assert made.calls < 60_000
    assert made.read < 200e6
    double = plan(_clips(3000, 3), parse_pipeline(DEFAULT), 18, assume)
    assert double.calls < 2.05 * made.calls and double.read < 2.05 * made.read


def test_an_estimate_names_the_pass_that_costs_most() -> None:
    made = estimate([plan(_clips(10, 3), parse_pipeline(DEFAULT), 18, Assumptions())], (0, 0), 0)
    data = made.data()
    assert sum(made.passes.values()) == pytest.approx(made.total[3])
    assert next(iter(made.passes)) in "\n".join(made.text())
    assert 0 < made.cached < made.total[3]
    assert data["tokens_in_with_prefix_cache"] == round(made.cached)


def test_the_commands_of_the_documentation_have_room_for_the_pictures() -> None:
    """Those of the request that shows most keyframes, its instruction, and the reply."""
    found = 0
    for page in PAGES:
        for command in re.findall(r"^vllm serve (?:.|\n)*?[^\\]$", page.read_text("utf-8"), re.M):
            room = re.search(r"--max-model-len (\d+)", command)
            if room is None:
                continue
            picture = picture_tokens(command.split()[2], 1920, 1080)
            words = max(r.listed * (r.typical_tokens + r.max_tokens) for r in SHOWING_SEVERAL)
            assert (SHOWN + FOUND) * picture + words < int(room[1]), (page.name, command)
            shown = re.search(r'"image": (\d+)', command)
            assert shown is None or int(shown[1]) >= SHOWN + 1
            found += 1
    assert found
