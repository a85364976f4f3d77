"""Edits videos: parts of a shot mixed, backwards, or at double speed, and a part of another video."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from stepc.video.decode import Picture, decoded_frames, encode, shrink
from stepc.video.source import VideoSource

Edit = Literal["place", "direction", "speed", "source"]
"""What is edited: where the parts are, how one is played, or where one is from."""
EDITS: tuple[Edit, ...] = get_args(Edit)
RATE = 12
"""Pictures per second of an edited video."""


@dataclass(frozen=True)
class EditedPart:
    """A part of an edited video: what it shows, and how."""

    start: int
    end: int
    """Where it is in its video, in ms."""
    place: int | None = None
    """Its place among the parts of the video, from 0; None for a part of another video."""
    backwards: bool = False
    speed: int = 1

    def times(self) -> list[float]:
        """The times of its pictures in its video, in ms, in the order in which they are shown."""
        number = round((self.end - self.start) / self.speed * RATE / 1000)
        made = [self.start + (i + 0.5) * (self.end - self.start) / number for i in range(number)]
        return made[::-1] if self.backwards else made


@dataclass(frozen=True)
class Footage:
    """A range of a video without a cut, in ms."""

    source: VideoSource
    start: int
    end: int


def plan(
    shot: Footage,
    other: Footage | None,
    edits: Sequence[Edit],
    parts: int,
    length: int,
    rng: random.Random,
) -> list[EditedPart]:
    """The parts of an edited video, each `length` ms long.

    `shot` must be as long as `parts` of them, and one more if one is played at double speed. `other` is the
    shot of another video from which one is taken.
    """
    fast = rng.randrange(parts) if "speed" in edits else None
    whole = length * (parts + (fast is not None))
    at = rng.randint(shot.start, shot.end - whole)
    made = []
    for place in range(parts):
        speed = 2 if place == fast else 1
        made.append(EditedPart(at, at + speed * length, place, speed=speed))
        at += speed * length
    if "direction" in edits:
        turned = rng.choice([i for i in range(parts) if i != fast])
        made[turned] = replace(made[turned], backwards=True)
    if "place" in edits:
        while [p.place for p in made] == sorted(range(parts)):
            rng.shuffle(made)
    if "source" in edits and other is not None:
        start = rng.randint(other.start, other.end - length)
        made.insert(rng.randint(0, parts), EditedPart(start, start + length))
    return made


def pictures(shot: Footage, times: Sequence[float], longest: int) -> dict[float, Picture]:
    """The frame of a video that is shown at each of some times (ms), its longer side at most `longest`."""
    left = sorted(set(times), reverse=True)
    made: dict[float, Picture] = {}
    before = None
    for look in decoded_frames(shot.source):
        while left and before is not None and look.at > left[-1]:
            made[left.pop()] = shrink(before.picture(), longest)
        if not left:
            break
        before = look
    if before is not None:
        made |= dict.fromkeys(left, shrink(before.picture(), longest))
    return made


def film(shot: Footage, other: Footage | None, parts: Sequence[EditedPart], longest: int) -> bytes:
    """An edited video as MP4. Raises StepcError (B007) if a video is damaged."""
    own = pictures(shot, [t for p in parts if p.place is not None for t in p.times()], longest)
    foreign = [t for p in parts if p.place is None for t in p.times()]
    lent = pictures(other, foreign, longest) if other is not None and foreign else {}
    size = next(iter(own.values())).shape[:2]
    shown = [
        own[t] if p.place is not None else fitted(lent[t], size) for p in parts for t in p.times()
    ]
    return encode(shown, [round(i * 1000 / RATE) for i in range(len(shown))])


def fitted(picture: Picture, size: tuple[int, ...]) -> Picture:
    """A picture cut and scaled to a height and width."""
    import cv2
    import numpy as np

    height, width = size
    tall, wide = picture.shape[:2]
    scale = max(height / tall, width / wide)
    y, x = (round((n - m / scale) / 2) for n, m in ((tall, height), (wide, width)))
    cut = picture[max(0, y) : tall - max(0, y), max(0, x) : wide - max(0, x)]
    return np.asarray(cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
