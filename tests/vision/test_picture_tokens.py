"""The tokens of pictures, as the image processors of the families count them, with the published limits."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import GotOcr2ImageProcessor, Idefics3ImageProcessor, Qwen2VLImageProcessor

from stepc.model.picture_tokens import FAMILIES

SIZES = [(1280, 720), (1920, 1080), (720, 1280), (640, 480), (1000, 300), (3840, 2160), (224, 224)]
TOKENS = {f.name: f.tokens for f in FAMILIES}


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_tokens_are_those_of_the_processors(width: int, height: int) -> None:
    none: dict[str, Any] = {}
    qwen = Qwen2VLImageProcessor(size={"shortest_edge": 3136, "longest_edge": 12_845_056})
    patches = qwen.get_number_of_image_patches(height, width, none)
    assert TOKENS["Qwen2.5-VL"](width, height) == patches // qwen.merge_size**2
    tiles = GotOcr2ImageProcessor(
        crop_to_patches=True, max_patches=12, size={"height": 448, "width": 448}
    )
    given = {"crop_to_patches": True, "min_patches": 1, "max_patches": 12}
    number = tiles.get_number_of_image_patches(height, width, given)
    assert TOKENS["InternVL"](width, height) == 256 * number
    split = Idefics3ImageProcessor(
        size={"longest_edge": 4 * 364},
        max_image_size={"longest_edge": 364},
        do_image_splitting=True,
    )
    number = split.get_number_of_image_patches(height, width, none)[0]
    assert TOKENS["Idefics3"](width, height) == 169 * number
