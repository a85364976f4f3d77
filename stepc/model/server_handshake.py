"""The handshake: what a server can do, tried with pictures of digits that only a model that sees can read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from stepc.ir.types import Frame
from stepc.model.client import Call, Completion
from stepc.model.reply import REFUSED_WHOLLY
from stepc.model.server_features import Features
from stepc.video.decode import Pictures

DIGITS = ("4719", "8236", "5304")
"""What the pictures of the handshake show."""
Ask = Callable[[Call, Pictures], Awaitable[Completion]]


async def shake(
    ask: Ask, features: Features, tell: Callable[[str, str], None], references: tuple[str, ...]
) -> None:
    """Try all features of a request, then two pictures, then how pictures can be referred to.

    `features` is changed, also while calls are made. `tell` hears of a feature that is left out, and why.
    """
    for number in (1, 2):
        call, shown = _asked(number, 0)
        reply = (completion := await ask(call, Digits())).replies[0]
        if reply.finish.startswith(REFUSED_WHOLLY):
            if number == 2:
                features.several_pictures = False
                tell("pictures", reply.refusal)
            break  # by accident, or by a filter: the requests to come will tell
        if number == 1 and any(r.text for r in completion.replies):
            features.sees = any(shown in r.text for r in completion.replies)
    for way in references if features.sees else ():
        if await _refers(ask, features, way):
            break


async def _refers(ask: Ask, features: Features, way: str) -> bool:
    """Whether the model reads a picture that is sent so, twice: the second time it may only be named."""
    features.references = way
    for again in (False, True):
        call, shown = _asked(1, DIGITS.index("8236" if way == "uuid" else "5304"), again)
        completion = await ask(call, Digits())
        if features.references != way or not any(shown in r.text for r in completion.replies):
            features.references = ""
            return False
    features.proved.add("references")
    return True


class Digits(Pictures):
    """Pictures of 224 by 224 pixels, with dark digits on white."""

    def at(self, frame: Frame) -> Any:
        import cv2
        import numpy as np

        picture = np.full((224, 224, 3), 255, np.uint8)
        where, font = (30, 130), cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(picture, DIGITS[frame.at], where, font, 2.0, (20, 20, 120), 4)
        return picture


def _asked(number: int, first: int, again: bool = False) -> tuple[Call, str]:
    """A call about `number` pictures that each show digits, and the digits of the first."""
    frames = tuple(Frame(video="0" * 64, at=first + i) for i in range(number))
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
    several = number == 1 and not first
    seeds = (1, 2) if several else (1,)
    warm = 0.1 if several else 0.0  # vLLM gives several replies only at a temperature
    name = f"handshake{number}{first or ''}{'again' if again else ''}"
    return Call(name, "handshake", text, frames, warm, seeds, schema, max_tokens=1024), DIGITS[
        first
    ]
