"""Reads the metadata of a video file, and checks that it can be used."""

from __future__ import annotations

import contextlib
import stat
import struct
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepc.diagnostics import StepcError, fail, printable
from stepc.ir.types import Video
from stepc.video.decode import decoded_frames, first_frame, shape
from stepc.video.source import (
    VideoSource,
    decoding_errors,
    digest,
    open_file,
    place_of,
    trouble,
    video_stream,
)

if TYPE_CHECKING:
    from av.container import InputContainer

TINY = 16
"""Minimum width and height in pixels."""


@dataclass
class _Packets:
    """What the packets of a file tell about its streams, in seconds."""

    count: int = 0
    """Packets of the video."""
    low: Fraction | None = None
    """Earliest presentation time of the video; None if packets have no times."""
    high: Fraction = Fraction(0)
    """End of the last packet of the video."""
    final: Fraction = Fraction(0)
    """Latest presentation time of the video."""
    latest: Fraction = Fraction(0)
    """End of the last packet of any stream."""
    restarts: int = 0


def probe(path: Path, name: str = "", keep: bool = False) -> VideoSource:
    """Open `path` and read its metadata. Raises StepcError (B001-B007) if it is not a usable video.

    `name` is what samples call the file; by default the last part of its path. The whole file is
    demuxed, but only the first frame is decoded. The duration is that of the packets, which is more
    reliable than the header. With `keep`, or where time stamps are missing or begin again, all frames
    are decoded, and the duration is that of the frames.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError(0, "it is not a regular file")
        if path.stat().st_size == 0:
            raise fail("B001", "the file is empty", place_of(path), "remove it or copy it again")
        sha = digest(path)
    except OSError as error:
        raise fail("B006", f"the file cannot be read ({error.strerror})", place_of(path)) from error
    try:
        with open_file(path) as container:
            if not container.streams.video:
                help = "it has only sound" if container.streams.audio else "it has no images"
                raise fail("B003", "the file has no video stream", place_of(path), help)
            stream = video_stream(container)
            index, base = stream.index, Fraction(stream.time_base or Fraction(1, 1000))
            declared, whole = _stated(path, container, index)
            aspect = Fraction(stream.sample_aspect_ratio or 1)
            aspect = aspect if Fraction(1, 8) <= aspect <= 8 else Fraction(1)
            rate = rate_text(stream.average_rate or stream.base_rate or Fraction(25))
            packets = _packets(container, index, 1 / Fraction(rate), keep)
        video = Video(file=name or printable(path.name), sha256=sha, duration=1, rate=rate,
                      width=TINY, height=TINY)  # fmt: skip
        sequential = packets.restarts > 0 or packets.low is None
        source = VideoSource(path, video, 0, base, aspect, index, sequential, keep)
        frame = first_frame(source)
    except (StepcError, MemoryError):
        raise
    except decoding_errors() as error:
        raise trouble(path, error) from error
    if frame is None or packets.count == 0:
        raise fail("B004", "the video has no frames", place_of(path), "remove it or copy it again")
    height, width = shape(frame, aspect)
    if min(height, width) < TINY:
        message = (
            f"the video is too small: {width}x{height} pixels, but the minimum is {TINY}x{TINY}"
        )
        raise fail("B005", message, place_of(path))
    missing, much = _missing(packets, declared, whole, 1 / Fraction(rate))
    if much and not keep:
        raise fail("B007", missing, place_of(path), "copy it again, or use --keep-decodable")
    first = frame.pts if frame.pts is not None else 0
    length = packets.high - first * base if packets.low is not None else Fraction(0)
    video = video.model_copy(update={"width": width, "height": height})
    final = 0 if sequential else max(0, round((packets.final - first * base) * 1000))
    source = replace(source, video=video, first=first, short=missing, final=final,
                     coded=(frame.width, frame.height))  # fmt: skip
    if keep or packets.restarts or length <= 0:
        length = _decoded(source) or packets.count / Fraction(rate)
    duration = max(1, round(length * 1000))
    return replace(source, video=video.model_copy(update={"duration": duration}))


def _packets(container: InputContainer, index: int, step: Fraction, keep: bool) -> _Packets:
    """Read the times of all packets. With `keep`, stops where the file cannot be read any further.

    A packet of the video that does not tell how long it lasts lasts for `step`.
    """
    made = _Packets()
    last: Fraction | None = None
    with contextlib.suppress(*decoding_errors()) if keep else contextlib.nullcontext():
        for packet in container.demux():
            base = packet.time_base
            if packet.stream.index == index and packet.size:
                made.count += 1
            if packet.pts is None or base is None:
                continue
            at = packet.pts * base
            end = at + (packet.duration or 0) * base
            if packet.stream.index == index and end == at:
                end += step
            made.latest = max(made.latest, end)
            if packet.stream.index != index:
                continue
            now = packet.dts * base if packet.dts is not None else at
            made.restarts += last is not None and now < last - Fraction(1, 4)
            last = now
            made.low = at if made.low is None else min(made.low, at)
            made.high, made.final = max(made.high, end), max(made.final, at)
    return made


UNKNOWN = 0xFFFFFF00
"""RIFF sizes from here on mean that the size is unknown."""
ASF = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
"""Mark of the file properties in an ASF header (Advanced Systems Format Specification, 3.2)."""


def _stated(path: Path, container: InputContainer, index: int) -> tuple[Fraction | None, Fraction]:
    """The seconds of the video and of the longest stream, as headers state them; None and 0 if unknown."""
    if container.format.name in (
        "avi",
        "asf",
    ):  # their lengths count only if the file was cut off
        return _cut_off(path), Fraction(0)
    stream = video_stream(container, index)
    base = stream.time_base or Fraction(1, 1000)
    declared = stream.duration * base if stream.duration else None
    whole = Fraction(container.duration, 1_000_000) if container.duration else Fraction(0)
    return declared, whole


def _cut_off(path: Path) -> Fraction | None:
    """The seconds that an AVI or ASF file once had, if its header says that it is larger than it is.

    FFmpeg shortens the stated length of such a file, or ignores it.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8192)
    at = head.find(ASF)
    if head[:4] == b"RIFF" and head[8:12] == b"AVI " and head[24:28] == b"avih" and len(head) >= 52:
        once = struct.unpack_from("<I", head, 4)[0] + 8
        each, frames = struct.unpack_from("<I", head, 32)[0], struct.unpack_from("<I", head, 48)[0]
        length = Fraction(each * frames, 1_000_000)
        once = 0 if once >= UNKNOWN else once
    elif (
        0 <= at <= len(head) - 92 and not head[at + 88] & 1
    ):  # 1: a broadcast, whose sizes are not set
        once = struct.unpack_from("<Q", head, at + 40)[0]
        play, preroll = struct.unpack_from("<Q8xQ", head, at + 64)
        length = Fraction(play, 10_000_000) - Fraction(preroll, 1000)
    else:
        return None
    return length if size < once and length > 0 else None


def _missing(
    packets: _Packets, declared: Fraction | None, whole: Fraction, step: Fraction
) -> tuple[str, bool]:
    """What is missing if the file holds less than its header says, and whether it is much.

    Empty if nothing is. Much is more than a second and more than a twentieth. Many formats tell only the
    length of the longest stream.
    """
    there = packets.high - (packets.low or 0) if declared else packets.latest
    said = declared or whole
    if packets.low is None or packets.restarts or said - there <= max(Fraction(1, 4), 3 * step):
        return "", False
    text = f"the file is truncated: it contains {float(there):.1f} of {float(said):.1f} seconds"
    return text, said - there > max(Fraction(1), said / 20)


def _decoded(source: VideoSource) -> Fraction:
    """The length in seconds of what can be decoded; 0 if that is nothing."""
    last = -1
    for last in (frame.at for frame in decoded_frames(source)):  # noqa: B007
        pass
    return Fraction(last, 1000) + 1 / Fraction(source.video.rate) if last >= 0 else Fraction(0)


def rate_text(rate: Any) -> str:
    """Frames per second as a fraction in text; its terms are limited where that changes little."""
    exact = Fraction(rate)
    near = exact.limit_denominator(1001)
    if near <= 0 or abs(near - exact) > exact / 1000:
        near = 1 / (1 / exact).limit_denominator(1001)
    return str(near)
