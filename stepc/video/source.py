"""A video file: its metadata, its stream, and what is wrong with it."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepc.diagnostics import Diagnostic, Place, StepcError, fail, printable
from stepc.ir.types import Video
from stepc.runtime.lazy import LazyModule


def silence(av: Any) -> None:
    """Restore PyAV's default log callback: a Python callback in FFmpeg's threads can deadlock."""
    av.logging.restore_default_callback()
    av.logging.set_libav_level(av.logging.PANIC)


if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream
else:
    av = LazyModule("av", silence)

DAMAGE = {
    "corrupt": "{n} damaged frame{s} left out",
    "gaps": "{n} gap{s} without frames, in a video of constant frame rate",
    "packets": "{n} part{s} of the file cannot be decoded and {n} left out",
    "sizes": "the picture changes its size {n} time{s}; all frames are scaled to the first one's size",
    "restarts": "the time stamps begin again {n} time{s}; the parts follow each other",
    "end": "the end of the video is missing, or cannot be decoded",
}
"""What is said of each kind of damage."""


@dataclass(frozen=True)
class VideoSource:
    """A decodable video file and its metadata."""

    path: Path
    video: Video
    first: int
    """Presentation time stamp of the first frame, in units of `base`."""
    base: Fraction
    """Seconds per time stamp unit."""
    aspect: Fraction
    """Pixel aspect ratio: width divided by height."""
    stream: int = 0
    """Index of the video stream among the file's streams."""
    sequential: bool = False
    """Whether a frame can only be found by decoding from the start, because time stamps are missing or
    begin again, as in files that were put together byte by byte."""
    keep: bool = False
    """Whether what cannot be decoded is left out; otherwise it is an error (B007)."""
    short: str = ""
    """The warning for a file that is shorter than its header says; empty for others."""
    final: int = 0
    """Time of the last packet in milliseconds; 0 if it is unknown."""
    coded: tuple[int, int] = (0, 0)
    """Width and height of the first frame as it is stored; zeros if unknown."""
    damage: Counter[str] = field(default_factory=Counter, compare=False, repr=False)
    """What was left out while decoding, in frames or packets, by its kind."""

    def facts(self) -> dict[str, Any]:
        """Return everything but the path as JSON-compatible data."""
        return {
            "video": self.video.model_dump(mode="json"),
            "first": self.first,
            "base": str(self.base),
            "aspect": str(self.aspect),
            "stream": self.stream,
            "sequential": self.sequential,
            "keep": self.keep,
            "short": self.short,
            "final": self.final,
            "coded": list(self.coded),
            "damage": dict(self.damage),
        }

    @classmethod
    def from_facts(cls, path: Path, facts: dict[str, Any]) -> VideoSource:
        """Rebuild a source from a path and the result of `facts`."""
        video = Video.model_validate(facts["video"])
        if not all(re.fullmatch(r"\d{1,12}(/\d{1,12})?", facts[key]) for key in ("base", "aspect")):
            raise ValueError("a time base or an aspect that is no fraction")
        numbers = [facts[key] for key in ("first", "stream", "final")]
        if not all(type(n) is int for n in numbers) or not isinstance(facts["short"], str):
            raise ValueError("facts of another type")
        base, aspect = Fraction(facts["base"]), Fraction(facts["aspect"])
        damage = Counter({kind: int(n) for kind, n in facts["damage"].items() if kind in DAMAGE})
        return cls(path, video, facts["first"], base, aspect, facts["stream"], facts["sequential"],
                   facts["keep"], facts["short"], facts["final"],
                   (int(facts["coded"][0]), int(facts["coded"][1])), damage)  # fmt: skip

    def warnings(self) -> Iterator[Diagnostic]:
        """Yield a warning (B025) for each kind of damage that was found while decoding."""
        told = {
            kind: DAMAGE[kind].format(n=number, s="" if number == 1 else "s")
            for kind, number in self.damage.items()
        }
        if self.short:
            told["end"] = self.short
        for _, message in sorted(told.items()):
            help = "check what is missing, or copy the file again"
            yield Diagnostic("B025", message, place_of(self.path), help, "warning")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def place_of(path: Path) -> Place:
    return Place(printable(str(path)))


def trouble(path: Path, error: Exception) -> StepcError:
    """Build a B002 error. Raises MemoryError if `error` is one."""
    if isinstance(error, MemoryError):
        raise MemoryError from error
    reason = getattr(error, "strerror", None) or str(error)
    return fail(
        "B002",
        f"the file cannot be decoded as video ({reason})",
        place_of(path),
        "check that it plays, or convert it: ffmpeg -i IN -c:v libx264 OUT.mp4",
    )


def open_file(path: Path) -> InputContainer:
    """Open a file, even if its metadata is not UTF-8. PyAV 19 has no option for that: it always does so."""
    lenient: dict[str, Any] = {"metadata_errors": "ignore"}
    options = lenient if int(av.__version__.split(".")[0]) < 19 else {}
    container: InputContainer = av.open(str(path), **options)
    return container


def decoding_errors() -> tuple[type[Exception], ...]:
    """What PyAV raises for damaged files. Anything else is a bug, and is reported as one (B021)."""
    return av.FFmpegError, OSError, EOFError, ValueError, IndexError


def video_stream(container: InputContainer, index: int | None = None) -> VideoStream:
    """The stream with this index, or the one that a player would show.

    A cover or a preview, which has one frame, is not the video; otherwise the default stream is, or the
    largest.
    """
    streams = container.streams.video
    if index is not None:
        return next(s for s in streams if s.index == index)

    def rank(stream: VideoStream) -> tuple[bool, bool, bool, int, int]:
        marks = stream.disposition
        return (not marks & marks.attached_pic, stream.frames != 1, bool(marks & marks.default),
                getattr(stream, "width", 0) * getattr(stream, "height", 0), -stream.index)  # fmt: skip

    return max(streams, key=rank)
