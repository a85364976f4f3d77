"""Builds the parts of requests to OpenAI-compatible servers, and the requests of the handshake."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any

from stepc.ir.types import Frame
from stepc.model.client import Call
from stepc.video.decode import Pictures

QUALITY = 90
"""JPEG quality of the images that are sent."""


def response_format(form: str, prompt: Call) -> dict[str, Any]:
    if form == "json_object":
        return {"type": "json_object", "schema": prompt.schema}
    named = {"name": prompt.request, "schema": prompt.schema, "strict": False}
    return {"type": "json_schema", "json_schema": named}


def picture_part(pixels: Any, form: str) -> dict[str, Any]:
    """Encode an image (H, W, 3; uint8 RGB) as a data URI."""
    from PIL import Image

    file = BytesIO()
    Image.fromarray(pixels).save(file, form.upper(), quality=QUALITY)
    data = base64.b64encode(file.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/{form};base64,{data}"}}


def eye_test(number: int) -> tuple[Call, Pictures, str]:
    """A call about `number` pictures that each show digits, the pictures, and the digits of the first."""
    import cv2
    import numpy as np

    class Digits(Pictures):
        def at(self, frame: Frame) -> Any:
            """224 by 224 pixels, dark digits on white."""
            picture = np.full((224, 224, 3), 255, np.uint8)
            where, font = (30, 130), cv2.FONT_HERSHEY_SIMPLEX
            cv2.putText(picture, DIGITS[frame.at], where, font, 2.0, (20, 20, 120), 4)
            return picture

    frames = tuple(Frame(video="0" * 64, at=i) for i in range(number))
    text = (
        "Which number is written in the first picture? Answer with a JSON object that holds its digits"
        ' as text: {"number": "..."}'
    )
    schema = {
        "type": "object",
        "properties": {"number": {"type": "string"}},
        "required": ["number"],
        "additionalProperties": False,
    }
    seeds = (1, 2) if number == 1 else (1,)
    warm = 0.1 if number == 1 else 0.0  # vLLM gives several replies only at a temperature
    call = Call(
        f"handshake{number}", "handshake", text, frames, warm, seeds, schema, max_tokens=1024
    )
    return call, Digits(), DIGITS[0]


DIGITS = ("4719", "8236")
"""What the pictures of the handshake show."""
