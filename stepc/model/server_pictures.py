"""Shows keyframes to a server: as data, as files that it can read, or as names of those that it has kept."""

from __future__ import annotations

import base64
import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from stepc.ir.types import Frame
from stepc.runtime.atomic_files import write_whole
from stepc.video.decode import Pictures, shrink

QUALITY = 90
"""JPEG quality of the images that are sent."""
ENCODED = 64 << 20
"""Maximum bytes of encoded pictures that are kept for further requests."""
REMEMBERED = 100
"""Maximum pictures that a server is expected to have kept."""
MISSES = 8
"""Failed requests with references after which no more are sent, unless more requests succeeded."""


class Message(NamedTuple):
    """The content of a request: the keyframes as images or as a video, then the instruction."""

    frames: tuple[Frame, ...]
    """The keyframes that are sent as images."""
    parts: list[Any]
    """Everything else."""
    film: bool
    """Whether it has a video."""


class EncodedPictures:
    """Pictures as parts of a message, encoded once: those that were sent last, up to `ENCODED` bytes.

    Several threads may use it.
    """

    def __init__(self, form: str, longest: int | None, folder: Path | None = None) -> None:
        """`form` is `jpeg` or `png`, `longest` the maximum length of the longer side in pixels.

        `folder` is where files are written that the server can read.
        """
        self.form, self.longest, self.folder = form, longest, folder
        self.lock = threading.Lock()
        self.kept: dict[Frame, bytes] = {}
        self.size = 0

    def name(self, frame: Frame) -> str:
        """The name of a picture: a UUID that is the same in every run."""
        return str(
            uuid.uuid5(uuid.NAMESPACE_OID, f"{frame.video} {frame.at} {self.form} {self.longest}")
        )

    def part(
        self, frame: Frame, pictures: Pictures, how: str = "", known: bool = False
    ) -> orjson.Fragment:
        """The part that shows a keyframe, as JSON. `how` is one of `server_features.REFERENCES`.

        A server to which the picture is `known` by its name is not sent the data.
        """
        if how == "uuid" and known:
            return _part(b"null", self.name(frame))
        if how == "file" and self.folder is not None:
            return _part(orjson.dumps({"url": self._file(frame, pictures).as_uri()}))
        url = b'{"url":"' + self._url(frame, pictures) + b'"}'
        return _part(url, self.name(frame) if how == "uuid" else "")

    def _file(self, frame: Frame, pictures: Pictures) -> Path:
        assert self.folder is not None
        path = self.folder.resolve() / f"{self.name(frame)}.{self.form}"
        if not path.exists():
            data = self._url(frame, pictures).partition(b",")[2]
            write_whole(path, base64.b64decode(data))
        return path

    def _url(self, frame: Frame, pictures: Pictures) -> bytes:
        """A picture as a data URI."""
        with self.lock:
            data = self.kept.pop(frame, None)
            if data is not None:
                self.kept[frame] = data
                return data
        data = self._encoded(pictures.at(frame))
        with self.lock:
            self.size += len(data) - len(self.kept.pop(frame, b""))
            self.kept[frame] = data
            while self.size > ENCODED and len(self.kept) > 1:
                oldest = next(iter(self.kept))
                self.size -= len(self.kept.pop(oldest))
        return data

    def _encoded(self, pixels: Any) -> bytes:
        """An image (H, W, 3; uint8 RGB) as a data URI."""
        from PIL import Image

        if self.longest is not None:
            pixels = shrink(pixels, self.longest)
        file = BytesIO()
        Image.fromarray(pixels).save(file, self.form.upper(), quality=QUALITY)
        return f"data:image/{self.form};base64,".encode() + base64.b64encode(file.getvalue())


def _part(url: bytes, name: str = "") -> orjson.Fragment:
    named = f',"uuid":"{name}"'.encode() if name else b""
    return orjson.Fragment(b'{"type":"image_url","image_url":' + url + named + b"}")


class KeptPictures:
    """The pictures that each server has kept, as far as one can tell. Several threads may use it.

    A server forgets the pictures that were shown longest ago. A request that refers to such a one fails, and
    is sent again with the data.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.shown: dict[str, OrderedDict[Frame, None]] = {}
        """Server → the pictures that it was shown, the last one at the end"""
        self.known = self.missed = 0
        """Requests with references that a server answered, and those that it did not."""

    @property
    def useful(self) -> bool:
        """Whether servers know what requests refer to."""
        return self.missed < MISSES or self.known > self.missed

    def of(self, server: str, frames: Iterable[Frame]) -> frozenset[Frame]:
        """Those of the pictures that a server has kept."""
        with self.lock:
            return frozenset(frames) & self.shown.get(server, OrderedDict()).keys()

    def note(self, server: str, frames: Sequence[Frame], referred: frozenset[Frame]) -> None:
        """Note that a server has answered a request about these pictures, some only referred to."""
        with self.lock:
            self.known += bool(referred)
            there = self.shown.setdefault(server, OrderedDict())
            for frame in frames:
                there[frame] = None
                there.move_to_end(frame)
            while len(there) > REMEMBERED:
                there.popitem(last=False)

    def forget(self, server: str, referred: frozenset[Frame]) -> None:
        """Note that a request failed that only referred to these pictures."""
        with self.lock:
            self.missed += 1
            for frame in referred:
                self.shown.get(server, OrderedDict()).pop(frame, None)
