"""Video decoding: metadata, all frames in order, and single images by time.

All times are milliseconds since the first presented frame. Rotation and pixel aspect ratio are
applied, so that width and height are those a viewer sees. Frames are decoded one by one and never
held in memory all at once.
"""

from __future__ import annotations

import functools
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO
from typing import TYPE_CHECKING, Any

from stepc.diagnostics import fail
from stepc.ir.types import Frame, Video
from stepc.runtime import watchdog as watch
from stepc.runtime.lazy import LazyModule
from stepc.video.source import (
    VideoSource,
    decoding_errors,
    open_file,
    place_of,
    silence,
    trouble,
    video_stream,
)

if TYPE_CHECKING:
    import av
    import cv2
    import numpy as np
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    """An RGB image, shape (height, width, 3)."""
    Plane = NDArray[np.uint8]
    """A luma, chroma or HSV plane, shape (height, width)."""
else:
    av, cv2, np = LazyModule("av", silence), LazyModule("cv2"), LazyModule("numpy")
    Picture = Plane = Any

alone = True
"""Whether this process is the only one that decodes. If so, it decodes with several threads, which is
faster. Otherwise it uses one thread, which takes a fifth less CPU time."""


RESTART = 250
"""Time stamps that fall back by more than this, in milliseconds, begin again. Others are out of order."""


def _decode(
    source: VideoSource, start: int | None, threads: bool = False
) -> Iterator[av.VideoFrame]:
    """Yield frames from the last key frame at or before the time stamp `start`, or from the beginning.

    Use `threads` only to decode all frames: stopping the threads early costs more than they gain.
    """
    with open_file(source.path) as container:
        stream = video_stream(container, source.stream)
        stream.thread_type = "AUTO" if threads else "NONE"
        if start is not None:
            container.seek(start, stream=stream, backward=True)
        if not source.keep:
            yield from container.decode(stream)
            return
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except decoding_errors():  # the rest of the file cannot be taken apart
                source.damage["end"] = 1
                return
            if packet is None:
                return
            try:
                frames = packet.decode()
            except MemoryError:
                raise
            except decoding_errors():  # one part of the file
                source.damage["packets"] += 1
                continue
            yield from frames


def first_frame(source: VideoSource) -> av.VideoFrame | None:
    """The first frame of a video that can be decoded; None if there is none."""
    return next((frame for frame in _decode(source, None) if not frame.is_corrupt), None)


def shape(frame: av.VideoFrame, aspect: Fraction) -> tuple[int, int]:
    """Return the displayed height and width."""
    height, width = frame.height, max(1, round(frame.width * aspect))
    return (width, height) if frame.rotation % 180 else (height, width)


def _picture(frame: av.VideoFrame, aspect: Fraction, longest: int | None) -> Picture:
    """Return the frame as displayed, in RGB, its longer side at most `longest` pixels."""
    height, width = shape(frame, aspect)
    scale = 1.0 if longest is None else min(1.0, longest / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    turned = frame.rotation % 180 != 0
    stored = size[::-1] if turned else size
    same = stored == (frame.width, frame.height)  # no interpolation needed
    how = "FAST_BILINEAR" if same else "AREA"
    small = frame.reformat(width=stored[0], height=stored[1], format="rgb24", interpolation=how)
    picture = small.to_ndarray().astype(np.uint8, copy=False)
    if frame.rotation % 360:
        picture = np.rot90(picture, round(frame.rotation / 90) % 4).copy()
    return picture


@dataclass(frozen=True)
class DecodedFrame:
    """A decoded frame: its time in milliseconds, and images of it, computed on demand."""

    at: int
    frame: av.VideoFrame
    aspect: Fraction

    def picture(self, longest: int | None = None) -> Picture:
        """Return the frame as displayed, in RGB, its longer side at most `longest` pixels."""
        return _picture(self.frame, self.aspect, longest)

    @functools.cached_property
    def small(self) -> Picture:
        """The frame as displayed, in BGR, at most `SMALL` pixels wide.

        The planes of a yuv420p frame are downscaled before colour conversion, which is faster. Colours
        are always converted as BT.601, as OpenCV does.
        """
        frame, there = self.frame, self._planes()
        height, width = shape(frame, self.aspect)
        longest = round(max(height / width, 1) * SMALL) if width > SMALL else max(height, width)
        if there is None:
            return np.ascontiguousarray(self.picture(longest)[:, :, ::-1])
        scale = min(1.0, longest / max(height, width))
        stored = (frame.height, round(frame.width * self.aspect))
        size = [max(2, round(side * scale / 2) * 2) for side in stored]
        planes = []
        for plane, half in zip(there, (1, 2, 2), strict=True):
            wanted = (size[1] // half, size[0] // half)
            planes.append(cv2.resize(plane, wanted, interpolation=cv2.INTER_LINEAR).reshape(-1))
        whole = np.concatenate(planes).reshape(size[0] * 3 // 2, size[1])
        small: Picture = np.asarray(cv2.cvtColor(whole, cv2.COLOR_YUV2BGR_I420), np.uint8)
        turns = round(frame.rotation / 90) % 4
        return np.rot90(small, turns).copy() if turns else small

    @functools.cached_property
    def detected(self) -> Picture:
        """The stored frame in BGR, its longer side at most `SMALL` pixels, as PySceneDetect processes it.

        The same to the bit as with its PyAV backend; about five times the cost of `small`.
        """
        whole = self.frame.to_ndarray(format="bgr24")
        height, width = whole.shape[:2]
        scale = max(height, width) / SMALL
        if scale <= 1:
            return np.asarray(whole, np.uint8)
        size = (max(1, round(width / scale)), max(1, round(height / scale)))
        return np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_LINEAR), np.uint8)

    @functools.cached_property
    def parts(self) -> tuple[Plane, ...]:
        """Hue, saturation and value planes of `small`."""
        return _hsv(self.small)

    @functools.cached_property
    def detected_parts(self) -> tuple[Plane, ...]:
        """Hue, saturation and value planes of `detected`."""
        return _hsv(self.detected)

    @functools.cached_property
    def glance(self) -> list[Plane] | None:
        """The planes of a yuv420p frame, subsampled to `GLANCE` pixels per row; None for other formats.

        Enough to detect large changes, at a small fraction of the cost of decoding.
        """
        there = self._planes()
        if there is None:
            return None
        sizes = ((GLANCE, GLANCE // 2), (GLANCE // 2, GLANCE // 4), (GLANCE // 2, GLANCE // 4))
        return [
            np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_NEAREST), np.uint8)
            for plane, size in zip(there, sizes, strict=True)
        ]

    def _planes(self) -> list[Plane] | None:
        """Return the stored planes of a limited-range yuv420p frame; None for other formats."""
        frame, made = self.frame, []
        if frame.format.name != "yuv420p" or frame.color_range == _FULL:
            return None
        for plane in frame.planes:
            there = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]
            made.append(there[: plane.height, : plane.width])
        return made


def _hsv(picture: Picture) -> tuple[Plane, ...]:
    planes = cv2.split(cv2.cvtColor(picture, cv2.COLOR_BGR2HSV))
    return tuple(np.asarray(plane, np.uint8) for plane in planes)


GLANCE = 128
"""Width of `DecodedFrame.glance` in pixels."""
SMALL = 256
"""Longer side to which PySceneDetect downscales frames, in pixels."""
_FULL = 2
"""Value of `color_range` for full-range colours."""


def times_in(source: VideoSource, ranges: Iterable[tuple[str, int, int]]) -> dict[str, list[int]]:
    """The times of the frames in each of some ranges (name, start, end in ms) that follow each other.

    Raises StepcError (B007) if the file is damaged, unless `source.keep` is set.
    """
    left = deque(ranges)
    times: dict[str, list[int]] = {name: [] for name, _, _ in left}
    for at in (look.at for look in decoded_frames(source)):
        while left and at >= left[0][2]:
            left.popleft()
        if left and at >= left[0][1]:
            times[left[0][0]].append(at)
    return times


def decoded_frames(source: VideoSource) -> Iterator[DecodedFrame]:
    """Yield all frames in order, except corrupt ones and those whose time does not advance.

    Where time stamps begin again, the frames follow those before. What is left out is counted in
    `source.damage`. Raises StepcError (B007) if the file is damaged, unless `source.keep` is set.
    """
    last, shift = -1, 0
    step = 1000 / Fraction(source.video.rate)
    intervals: Counter[int] = Counter()
    size = source.coded
    source.damage.clear()
    try:
        for i, frame in enumerate(_decode(source, None, threads=alone)):
            watch.alive()
            if frame.is_corrupt:
                source.damage["corrupt"] += 1
                continue
            if (frame.width, frame.height) != size:
                size = (frame.width, frame.height)
                source.damage["sizes"] += 1
            stamp = frame.pts
            at = shift + (round(i * step) if stamp is None else millis(source, stamp))
            if at < last - RESTART:
                shift += last + max(1, round(step)) - at
                at = last + max(1, round(step))
                source.damage["restarts"] += 1
            if at > last:
                if last >= 0:
                    intervals[at - last] += 1
                yield DecodedFrame(at, _as_the_first(frame, source), source.aspect)
                last = at
        if source.final - last > max(RESTART, 3 * float(step)):  # packets that became no frames
            source.damage["end"] = 1
        if gaps := _gaps(intervals):
            source.damage["gaps"] = gaps
    except MemoryError:
        raise
    except decoding_errors() as error:
        raise fail(
            "B007",
            f"the file is damaged after {max(last, 0) / 1000:.1f} seconds"
            f" ({getattr(error, 'strerror', error)})",
            place_of(source.path),
            "copy it again, or take what can be decoded: --keep-decodable",
        ) from error


def _as_the_first(frame: av.VideoFrame, source: VideoSource) -> av.VideoFrame:
    """A frame in the size of the video's first one, as players scale it where the size changes."""
    if source.coded in ((0, 0), (frame.width, frame.height)):
        return frame
    width, height = source.coded
    return frame.reformat(width=width, height=height, interpolation="AREA")


def _gaps(intervals: Counter[int]) -> int:
    """How often frames are missing, given the times between frames in milliseconds.

    Some demuxers skip damaged packets silently. It shows where the frame rate is constant otherwise: at
    least nine of ten intervals are the median, give or take 2 ms for rounded time stamps. Where it
    varies, as in recordings of a screen, an interval tells nothing.
    """
    total, below, usual = intervals.total(), 0, 0
    for usual, number in sorted(intervals.items()):  # noqa: B007
        below += number
        if 2 * below >= total:
            break
    regular = sum(n for interval, n in intervals.items() if abs(interval - usual) <= 2)
    if 10 * regular < 9 * total:
        return 0
    return sum(n for interval, n in intervals.items() if interval > max(RESTART, 5 * usual))


def frames(source: VideoSource, longest: int | None = None) -> Iterator[tuple[int, Picture]]:
    """Yield the time in milliseconds and the image of every frame, in the order of `decoded_frames`."""
    for look in decoded_frames(source):
        yield look.at, look.picture(longest)


def millis(source: VideoSource, stamp: int) -> int:
    """Convert a time stamp to milliseconds, rounded like `round`, without building a Fraction."""
    units, base = (stamp - source.first) * source.base.numerator * 1000, source.base.denominator
    whole, rest = divmod(units, base)
    return whole + (2 * rest > base or (2 * rest == base and whole % 2 == 1))


@dataclass
class Pictures:
    """Images by video and time: decodes on demand and caches the most recent ones."""

    sources: dict[str, VideoSource] = field(default_factory=dict)
    """Video sources by SHA-256."""
    keep: int = 64
    """Maximum number of cached images."""
    _kept: dict[Frame, Picture] = field(default_factory=dict)

    def add(self, source: VideoSource) -> None:
        """Register a video source."""
        self.sources[source.video.sha256] = source

    def clear(self) -> None:
        """Remove all sources and cached images."""
        self.sources.clear()
        self._kept.clear()

    def source(self, sha256: str) -> VideoSource:
        """Return a video's source by SHA-256. Raises StepcError (B008) if it is not registered."""
        if sha256 not in self.sources:
            raise fail(
                "B008",
                f"the video file sha256:{sha256[:12]}… is needed but was not given",
                help="name it with --video FILE",
            )
        return self.sources[sha256]

    def at(self, frame: Frame) -> Picture:
        """Return the full-size image of a keyframe. Raises StepcError (B002, B007, B008)."""
        if frame.video.startswith(_BLANK):
            width, _, height = frame.video.removeprefix(_BLANK).partition("x")
            return np.full((int(height), int(width), 3), GREY, np.uint8)
        if frame not in self._kept:
            self.keep_at(frame, self._find(self.source(frame.video), frame.at))
        return self._kept[frame]

    @property
    def room(self) -> bool:
        """Whether the cache has room for another image."""
        return len(self._kept) < self.keep

    def keep_at(self, frame: Frame, picture: Picture) -> None:
        """Cache an image that will be needed; evicts the oldest ones."""
        while len(self._kept) >= self.keep:
            self._kept.pop(next(iter(self._kept)))
        self._kept[frame] = picture

    def kept(self, video: str, most: int) -> dict[Frame, Picture]:
        """Return cached images of a video, limited to about `most` bytes in total."""
        made: dict[Frame, Picture] = {}
        for frame, picture in self._kept.items():
            most -= picture.nbytes
            if frame.video == video and most >= 0:
                made[frame] = picture
        return made

    def _find(self, source: VideoSource, at: int) -> Picture:
        stamp = source.first + int(at / 1000 / source.base)
        try:
            for start in (stamp, None) if not source.sequential else ():
                for frame in _decode(source, start):
                    if frame.pts is None:
                        break
                    time = millis(source, frame.pts)
                    if time == at:
                        return _picture(_as_the_first(frame, source), source.aspect, None)
                    if time > at:
                        break
            for time, picture in frames(source):
                if time >= at:
                    return picture
        except MemoryError:
            raise
        except decoding_errors() as error:
            raise trouble(source.path, error) from error
        message = f"the file has no frame at {at / 1000:.3f} seconds"
        raise fail("B007", message, place_of(source.path))


_BLANK = "blank "
GREY = 128
"""The value of all channels of a blank picture."""


def blank(video: Video, at: int) -> Frame:
    """A grey picture of the size of a video, shown at a time in ms."""
    return Frame(video=f"{_BLANK}{video.width}x{video.height}", at=at)


def encode(pictures: Sequence[Picture], times: Sequence[int]) -> bytes:
    """Encode RGB images of equal size as MP4 (H.264), each shown from its time in milliseconds.

    Times are shifted so that the first is 0; width and height are made even.
    """
    file = BytesIO()
    with av.open(file, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=1000, options={"crf": "18", "threads": "1"})
        height, width = pictures[0].shape[:2]
        stream.width, stream.height = max(2, width // 2 * 2), max(2, height // 2 * 2)
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, 1000)
        for at, picture in zip(times, pictures, strict=True):
            even = cv2.resize(picture, (stream.width, stream.height), interpolation=cv2.INTER_AREA)
            frame = av.VideoFrame.from_ndarray(np.asarray(even, np.uint8), format="rgb24")
            frame.pts, frame.time_base = at - times[0], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def shrink(picture: Picture, longest: int) -> Picture:
    """Downscale an image so that its longer side is at most `longest` pixels."""
    height, width = picture.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
