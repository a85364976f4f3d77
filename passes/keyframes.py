"""keyframes: choose the stillest frame of each cluster in a clip (Song et al. 2016).   clips → clips"""

from __future__ import annotations

import functools
from collections import deque
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from pydantic import Field

from stepc.ir.types import Clip, Clips, Frame, Keyframe
from stepc.passmanager.base import Tools
from stepc.passmanager.fused_decode import DecodingPass
from stepc.runtime.lazy import LazyModule
from stepc.video.decode import DecodedFrame, Picture, shrink

if TYPE_CHECKING:
    import cv2
    import numpy as np
    from numpy.typing import NDArray

    Features = NDArray[np.float32]
else:
    cv2, np = LazyModule("cv2"), LazyModule("numpy")

LONGEST = 128
"""Longer side of candidate frames in pixels: at most half of the size used for cut detection."""
FEW = 6
"""If subsampling would leave a clip fewer than FEW candidates, its first FEW frames are all candidates."""
LATE = 8
"""Maximum latency, in frames, with which the end of a clip is reported."""
HELD = 256 << 20
"""Maximum total pixels of a clip's candidates for holding them at full size. Above this, chosen frames are
decoded again."""
BLACK = 0.02
"""Mean relative luminance up to which a frame is black."""
BLENDED, APART = 0.3, 0.06
"""A frame is in a dissolve if a mixture of an earlier and a later frame explains all but BLENDED of their
difference, and these differ by at least APART (mean absolute difference, 0 to 1)."""
SAME = 0.06
"""Maximum difference of any part of a picture, 0 to 1, up to which nothing has changed."""
NEAREST, UNSEEN = 0.4, 1.6
"""Keyframes are spread over a clip: neighbours are at least NEAREST and at most UNSEEN times their mean
distance apart, and the ends of the clip at most half of UNSEEN from the nearest keyframe."""
WORST, WORST_CHANGE = 0.15, 0.10
"""Maximum fraction of frames that one quality criterion, or one transition criterion, may drop."""


class _Seen:
    """A candidate frame: a small image, and a reference to the full-size frame to avoid decoding twice."""

    def __init__(self, at: int, picture: Picture, look: DecodedFrame | None) -> None:
        self.at, self.picture, self.look = at, picture, look
        self.change = 0.0
        """Mean absolute difference to its neighbours, 0 to 1; one-sided at the ends of a clip."""
        self.redrawn = 0.0
        """Edge-change ratio to the previous frame."""
        self.mixed = False
        """Whether it is in a fade or a dissolve."""

    @functools.cached_property
    def grey(self) -> NDArray[np.uint8]:
        """Smoothed greyscale image."""
        grey = cv2.cvtColor(self.picture, cv2.COLOR_BGR2GRAY)
        return np.asarray(cv2.GaussianBlur(grey, (3, 3), 0), np.uint8)

    @functools.cached_property
    def edges(self) -> NDArray[np.uint8]:
        """Canny edges."""
        threshold, _ = cv2.threshold(self.grey, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
        return np.asarray(cv2.Canny(self.grey, threshold / 2, threshold), np.uint8)

    @functools.cached_property
    def uniform(self) -> float:
        """Fraction of pixels in the 6 fullest of 128 grey bins."""
        bins = np.sort(np.bincount(self.grey.ravel() >> 1, minlength=128))[::-1]
        return float(bins[:6].sum() / self.grey.size)

    @functools.cached_property
    def dark(self) -> float:
        """Mean relative luminance, 0 to 1."""
        blue, green, red, _ = cv2.mean(self.picture)
        return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255

    @functools.cached_property
    def coarse(self) -> Features:
        """The picture in 32x18 pixels, flattened, 0 to 1."""
        small = cv2.resize(self.picture, (32, 18), interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.float32).ravel() / np.float32(255)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to see: the frame is black, or a test card of colour bars."""
        return self.dark <= BLACK or self._bars()

    def _bars(self) -> bool:
        """Whether the upper half consists of upright bars, at least five of them in strong colours."""
        upper = self.picture[self.picture.shape[0] // 20 : self.picture.shape[0] // 2]
        flat = upper.astype(np.float32).std(axis=0).max(axis=1) < 8
        if flat.mean() < 0.9:
            return False
        row = upper.mean(axis=0)
        strong = (row.max(axis=1) - row.min(axis=1) > 90) & flat
        ends = np.flatnonzero(np.abs(np.diff(row, axis=0)).max(axis=1) > 24)
        bars = np.split(strong, ends + 1)
        wide = [bar for bar in bars if len(bar) > len(row) // 25]
        return sum(float(bar.mean()) > 0.6 for bar in wide) >= 5

    @functools.cached_property
    def blur(self) -> float:
        """Mean gradient magnitude; low for blurred frames."""
        return float(self.gradients()[0].mean())

    def gradients(self) -> tuple[Features, Features]:
        """Return gradient magnitudes and angles (degrees), each of shape (height, width)."""
        scaled = self.grey.astype(np.float32) / 255
        dx = cv2.Sobel(scaled, cv2.CV_32F, 1, 0, ksize=3)
        dy = cv2.Sobel(scaled, cv2.CV_32F, 0, 1, ksize=3)
        magnitude, angle = cv2.cartToPolar(dx, dy, angleInDegrees=True)
        return np.asarray(magnitude, np.float32), np.asarray(angle, np.float32)

    def features(self) -> Features:
        """Return 2000 features: colour and gradient histograms of the frame and its quarters.

        Each histogram has unit length.
        """
        hsv = cv2.cvtColor(self.picture, cv2.COLOR_BGR2HSV)
        magnitude, angle = self.gradients()
        height, width = magnitude.shape
        rows = slice(0, height // 2), slice(height // 2, None)
        columns = slice(0, width // 2), slice(width // 2, None)
        patches = [(slice(None), slice(None)), *((r, c) for r in rows for c in columns)]
        parts: list[Features] = []
        for patch in patches:
            for channel, top in enumerate((180, 256, 256)):
                colours = cv2.calcHist([hsv[patch]], [channel], None, [128], [0, top])
                parts.append(np.asarray(colours, np.float32).ravel())
            weight, turn = magnitude[patch].ravel(), angle[patch].ravel()
            turns = np.minimum(turn / 45, 7).astype(np.int64)
            parts.append(np.bincount(turns, weight, minlength=8).astype(np.float32))
            steps = np.minimum(2 * weight, 7).astype(np.int64)
            parts.append(np.bincount(steps, minlength=8).astype(np.float32))
        return np.concatenate([p / max(float(np.sqrt(p @ p)), 1e-9) for p in parts])


class Keyframes(DecodingPass):
    """Chooses representative keyframes by clustering, after [42] (section 3.1, visual splitting).

    Black frames and test cards are never keyframes; a clip of nothing else is dropped. Frames in a fade or
    a dissolve are keyframes only where there are no others. Frames that are dark, blurred, uniform or in
    another transition are dropped, the worst first and at most a fixed fraction per criterion. The
    remaining frames are clustered by colour and gradient histograms of a two-level pyramid. The stillest
    frame of each cluster becomes a keyframe. The number of clusters grows with the clip's length: the
    original's one cluster per shot would leave each clip with one keyframe and no motion edges. A clip
    in which nothing changes has two keyframes. Where
    clusters put keyframes close together, or leave a part of the clip unseen, the clip is divided into
    equal parts of time instead, and the stillest frame near the middle of each becomes a keyframe.
    """

    per_clip: int = Field(0, ge=0)
    """Keyframes per clip; 0 means one per `every` seconds, at least 2 and at most `most`."""
    every: float = Field(2.0, gt=0)
    """Seconds per keyframe."""
    most: int = Field(6, ge=2)
    """Maximum keyframes per clip if `per_clip` is 0."""
    looked_at: int = Field(48, ge=2)
    """Maximum candidate frames per clip; a longer clip is subsampled evenly to at least half of this."""
    often: float = Field(6.0, gt=0)
    """Maximum candidate frames per second."""
    dark: float = Field(0.075, ge=0)
    """A frame is dark if its mean relative luminance is at most this."""
    blurred: float = Field(0.08, ge=0)
    """A frame is blurred if its mean gradient magnitude is at most this."""
    uniform: float = Field(0.80, ge=0)
    """A frame is uniform if at least this fraction of its pixels is in the fullest 5 % of grey bins."""
    cut: float = Field(0.50, ge=0)
    """A frame is in a transition if its difference to its neighbours is at least this."""
    redrawn: float = Field(0.10, ge=0)
    """A frame is in a transition if its edge-change ratio is at least this."""

    def stage(self, unit: Clips, tools: Tools) -> _Chooser:
        """Start the selection. Clips without a frame are dropped."""
        return _Chooser(self, unit, tools)

    def chosen(self, clip: Clip, seen: list[_Seen], tools: Tools) -> list[_Seen]:
        """The keyframes of a clip, of the frames of it that were looked at; none if it shows nothing."""
        _changes(seen)
        number, seen = len(seen), [s for s in seen if not s.empty]
        tools.counts.add("black frames and test cards dropped", number - len(seen))
        if not seen:
            return []
        _mixtures(seen)
        whole = [s for s in seen if not s.mixed] or seen
        kept = self._good(whole)
        tools.counts.add("frames in fades and dissolves dropped", len(seen) - len(whole))
        tools.counts.add("frames dropped", len(whole) - len(kept))
        wanted = self.per_clip or round((clip.end - clip.start) / 1000 / self.every)
        if not self.per_clip:
            wanted = min(self.most, max(2, min(wanted, _distinct(whole))))
        wanted = min(wanted, len(whole))
        if len(kept) < wanted:
            kept = whole
        chosen = sorted(_cluster(kept, wanted), key=lambda s: s.at)
        return chosen if _spread(chosen, kept) else _by_time(kept, wanted)

    def _good(self, seen: list[_Seen]) -> list[_Seen]:
        """Return the frames that pass all criteria; each criterion drops a limited fraction, worst first."""
        dropped: set[int] = set()

        def drop(bad: list[tuple[float, int]], share: float) -> None:
            dropped.update(i for _, i in sorted(bad)[: int(len(seen) * share)])

        numbered = list(enumerate(seen))
        drop([(s.dark, i) for i, s in numbered if s.dark <= self.dark], WORST)
        drop([(s.blur, i) for i, s in numbered if s.blur <= self.blurred], WORST)
        drop([(-s.uniform, i) for i, s in numbered if s.uniform >= self.uniform], WORST)
        drop([(-s.change, i) for i, s in numbered if s.change >= self.cut], WORST_CHANGE)
        drop([(-s.redrawn, i) for i, s in numbered if s.redrawn >= self.redrawn], WORST_CHANGE)
        return [s for i, s in numbered if i not in dropped]


class _Chooser:
    """Collects candidate frames during decoding, and chooses keyframes when a clip ends."""

    def __init__(self, by: Keyframes, unit: Clips, tools: Tools) -> None:
        self.by, self.video, self.tools = by, unit.video.sha256, tools
        self.first = max(1, round(float(Fraction(unit.video.rate)) / by.often))
        self.late: deque[DecodedFrame] = deque()
        """Recent frames, which may belong to the clip after the current one."""
        self.made: list[Clip] = []
        self._begin()

    def _begin(self) -> None:
        self.seen: list[_Seen] = []
        self.early: list[_Seen] = []
        """The first FEW frames that the stride skips; used if the clip is short."""
        self.number, self.stride = 0, self.first

    def see(self, look: DecodedFrame, clips: list[Clip]) -> list[Clip]:
        """Process a frame; choose the keyframes of clips that are complete."""
        self.late.append(look)
        for clip in clips:
            self._finish(clip)
        while len(self.late) > LATE:
            self._look(self.late.popleft())
        return []

    def end(self, unit: Clips, clips: list[Clip]) -> tuple[Clips, list[Clip]]:
        """Return the unit with all its keyframes."""
        for clip in clips:
            self._finish(clip)
        self.tools.counts.add("keyframes", sum(len(c.keyframes) for c in self.made))
        return unit.evolve(clips=tuple(self.made)), []

    def _look(self, look: DecodedFrame) -> None:
        """Add every `stride`-th frame; if there are too many candidates, drop half, double the stride."""
        regular = self.number % self.stride == 0
        if regular or self.number < FEW:
            large = look.frame.width * look.frame.height * self.by.looked_at > HELD
            seen = _Seen(look.at, shrink(look.small, LONGEST), None if large else look)
            (self.seen if regular else self.early).append(seen)
            if len(self.seen) > self.by.looked_at:
                self.seen, self.stride = self.seen[::2], 2 * self.stride
        self.number += 1

    def _finish(self, clip: Clip) -> None:
        while self.late and self.late[0].at < clip.end:
            self._look(self.late.popleft())
        short = len(self.seen) < FEW
        seen = sorted(self.seen + self.early, key=lambda s: s.at) if short else self.seen
        seen = [s for s in seen if s.at >= clip.start]
        self._begin()
        if not seen:
            self.tools.counts.add("clips without a frame")
            return
        keyframes = []
        chosen = self.by.chosen(clip, seen, self.tools)
        if not chosen:
            self.tools.counts.add("clips that show nothing")
            return
        for i, s in enumerate(chosen):
            keyframes.append(Keyframe(id=f"{clip.id}.k{i}", at=s.at))
            if s.look is not None and self.tools.pictures.room:
                self.tools.pictures.keep_at(Frame(video=self.video, at=s.at), s.look.picture())
        self.made.append(
            Clip(id=clip.id, start=clip.start, end=clip.end, keyframes=tuple(keyframes))
        )


def _changes(seen: list[_Seen]) -> None:
    """Compute `change` and `redrawn`; the first and last frame have only one neighbour."""
    differences = [
        cv2.norm(a.grey, b.grey, cv2.NORM_L1) / a.grey.size / 255 for a, b in pairwise(seen)
    ]
    kernel = np.ones((5, 5), np.uint8)
    for i, s in enumerate(seen):
        near = differences[max(0, i - 1) : i + 1]
        s.change = float(np.mean(near)) if near else 0.0
        if i:
            s.redrawn = _edge_change(seen[i - 1].edges, s.edges, kernel)


def _mixtures(seen: list[_Seen]) -> None:
    """Find fades, which lead to or from a black frame, and dissolves, which mix two pictures."""
    usual = float(np.median([s.dark for s in seen]))
    for order in (seen, seen[::-1]):
        before = BLACK
        for s in order if order[0].dark <= max(BLACK, usual / 4) else ():
            if not before <= s.dark < 0.9 * usual:
                break
            s.mixed, before = True, s.dark
    flat = [s.coarse for s in seen]
    for far in range(1, 5):
        for i in range(far, len(seen) - far):
            whole, part = flat[i + far] - flat[i - far], flat[i] - flat[i - far]
            size = float(whole @ whole)
            if np.abs(whole).mean() < APART:
                continue
            share = float(part @ whole) / size
            rest = part - share * whole
            seen[i].mixed |= 0.1 < share < 0.9 and float(rest @ rest) < BLENDED**2 * size


def _distinct(seen: list[_Seen]) -> int:
    """How many pictures a clip shows, if one that hardly changes counts once."""
    number, last = 0, None
    for s in seen:
        if last is None or np.abs(s.coarse - last).max() > SAME:
            number, last = number + 1, s.coarse
    return number


def _spread(chosen: list[_Seen], seen: list[_Seen]) -> bool:
    """Whether keyframes keep a distance from each other, and leave no part of the clip unseen."""
    first, last = seen[0].at, seen[-1].at
    mean = (last - first) / len(chosen)
    gaps = [b.at - a.at for a, b in pairwise(chosen)]
    near = any(gap < NEAREST * mean for gap in gaps)
    ends = max(chosen[0].at - first, last - chosen[-1].at)
    return not near and max([*gaps, 2 * ends]) <= UNSEEN * mean


def _by_time(seen: list[_Seen], wanted: int) -> list[_Seen]:
    """The stillest frame near the middle of each of `wanted` equal parts of the clip."""
    first, part = seen[0].at, (seen[-1].at - seen[0].at) / wanted
    made = []
    for i in range(wanted):
        middle = first + (i + 0.5) * part
        near = [s for s in seen if abs(s.at - middle) <= part / 4]
        made.append(_stillest(near) if near else min(seen, key=lambda s: abs(s.at - middle)))
    return list(dict.fromkeys(made))


def _edge_change(before: NDArray[np.uint8], after: NDArray[np.uint8], kernel: Picture) -> float:
    out = 1 - (before & cv2.dilate(after, kernel)).sum() / max(1, before.sum(dtype=np.int64))
    into = 1 - (after & cv2.dilate(before, kernel)).sum() / max(1, after.sum(dtype=np.int64))
    return float(max(out, into))


def _cluster(seen: list[_Seen], wanted: int) -> list[_Seen]:
    """Choose `wanted` frames: the stillest of each k-means cluster.

    If there are fewer distinct frames than clusters, fills up with the frames farthest in time from those
    already chosen.
    """
    features = np.stack([s.features() for s in seen]).astype(np.float32)
    different = list(dict.fromkeys(row.tobytes() for row in features))
    labels = [different.index(row.tobytes()) for row in features]
    if wanted < len(different):
        enough = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 300, 1e-4)
        cv2.setRNGSeed(0)
        _, found, _ = cv2.kmeans(features, wanted, None, enough, 4, cv2.KMEANS_PP_CENTERS)
        labels = found.ravel().tolist()
    chosen: list[_Seen] = []
    for label in dict.fromkeys(labels):
        chosen.append(_stillest([s for s, at in zip(seen, labels, strict=True) if at == label]))
    while len(chosen) < wanted:
        gap = max(
            (s for s in seen if s not in chosen),
            key=lambda s: min(abs(s.at - c.at) for c in chosen),
        )
        chosen.append(gap)
    return chosen


def _stillest(cluster: list[_Seen]) -> _Seen:
    """Return the frame with the least change; ties go to the one closest in time to the cluster's middle."""
    middle = cluster[len(cluster) // 2].at
    return min(cluster, key=lambda s: (round(s.change, 4), abs(s.at - middle)))
