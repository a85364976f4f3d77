"""Builds the parts of requests to OpenAI-compatible servers, and the requests of the handshake."""

from __future__ import annotations

import base64
import hashlib
import threading
from io import BytesIO
from typing import Any, NamedTuple

import orjson

from stepc.ir.types import Frame
from stepc.model.client import Call
from stepc.video.decode import Pictures, shrink

QUALITY = 90
"""JPEG quality of the images that are sent."""
KEPT = 64 << 20
"""Maximum bytes of encoded pictures that are kept for further requests."""


def response_format(form: str, prompt: Call) -> dict[str, Any]:
    if form == "json_object":
        return {"type": "json_object", "schema": prompt.schema}
    named = {"name": prompt.request, "schema": prompt.schema, "strict": False}
    return {"type": "json_schema", "json_schema": named}


def session_of(prompt: Call) -> str:
    """What calls have in common that begin with the same keyframe, and so may share a prefix cache."""
    first = prompt.frames[0] if prompt.frames else None
    named = f"{first.video} {first.at}" if first else prompt.text
    return hashlib.sha256(named.encode()).hexdigest()[:16]


class EncodedPictures:
    """Pictures as parts of a message, encoded once: those that were sent last, up to `KEPT` bytes.

    Several threads may use it.
    """

    def __init__(self, form: str, longest: int | None) -> None:
        """`form` is `jpeg` or `png`, `longest` the maximum length of the longer side in pixels."""
        self.form, self.longest = form, longest
        self.lock = threading.Lock()
        self.kept: dict[Frame, bytes] = {}
        self.size = 0

    def part(self, frame: Frame, pictures: Pictures) -> orjson.Fragment:
        """The part that shows a keyframe, as JSON."""
        with self.lock:
            data = self.kept.pop(frame, None)
            if data is not None:
                self.kept[frame] = data
        if data is None:
            data = self._encoded(pictures.at(frame))
            with self.lock:
                self.size += len(data) - len(self.kept.pop(frame, b""))
                self.kept[frame] = data
                while self.size > KEPT and len(self.kept) > 1:
                    oldest = next(iter(self.kept))
                    self.size -= len(self.kept.pop(oldest))
        return orjson.Fragment(data)

    def _encoded(self, pixels: Any) -> bytes:
        """An image (H, W, 3; uint8 RGB) as a data URI in a part of a message."""
        from PIL import Image

        if self.longest is not None:
            pixels = shrink(pixels, self.longest)
        file = BytesIO()
        Image.fromarray(pixels).save(file, self.form.upper(), quality=QUALITY)
        head = f'{{"type":"image_url","image_url":{{"url":"data:image/{self.form};base64,'
        return head.encode() + base64.b64encode(file.getvalue()) + b'"}}'


class Message(NamedTuple):
    """The content of a request: the keyframes as images or as a video, then the instruction."""

    parts: list[Any]
    film: bool
    """Whether it has a video."""


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
