"""Time ranges in milliseconds: joining them, what is known of them, and formatting them for answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from stepc.ir.levels import Unit


class Bounds(NamedTuple):
    """What is known of the time of something: its begin and its end each lie in a range."""

    begins: tuple[int, int]
    ends: tuple[int, int]

    @property
    def least(self) -> int:
        """The shortest duration that is possible."""
        return max(0, self.ends[0] - self.begins[1])

    @property
    def most(self) -> int:
        """The longest duration that is possible."""
        return self.ends[1] - self.begins[0]

    def widened(self, millis: int) -> Bounds:
        """The bounds if times were measured only to within `millis`."""
        (a, b), (c, d) = self
        return Bounds((a - millis, b + millis), (c - millis, d + millis))


def around(span: tuple[int, int], keyframes: Sequence[int], clip: tuple[int, int]) -> Bounds:
    """What is known of something that keyframes show from the begin to the end of `span`.

    It begins after the last keyframe before them, and ends before the first keyframe after them; without
    such a keyframe, within the clip.
    """
    start, end = span
    before = max((at for at in keyframes if at < start), default=clip[0])
    after = min((at for at in keyframes if at > end), default=clip[1])
    return Bounds((before, start), (end, after))


def within(clip: tuple[int, int]) -> Bounds:
    """What is known of something that happens at some time in a clip."""
    return Bounds(clip, clip)


def join_spans(spans: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Sort time ranges and join those that overlap or touch."""
    made: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if made and start <= made[-1][1]:
            made[-1] = (made[-1][0], max(made[-1][1], end))
        else:
            made.append((start, end))
    return tuple(made)


def one_span(spans: Iterable[tuple[int, int] | None]) -> tuple[int, int] | None:
    """Time ranges as one; None if one of them is not known, or there is time between them."""
    known = [*spans]
    made = join_spans(x for x in known if x)
    return made[0] if len(made) == 1 and None not in known else None


def tenth(at: int) -> int:
    """A time in ms, rounded to a tenth of a second, as questions say it."""
    return (at + 50) // 100 * 100


def moments(unit: Unit) -> dict[str, int]:
    """Keyframe → its time rounded to a tenth, for keyframes that no other one of the video shares it with."""
    times = {k.id: tenth(k.at) for c in unit.clips for k in c.keyframes}
    often = Counter(times.values())
    return {frame: at for frame, at in times.items() if often[at] == 1}


def seconds(start: int, end: int) -> tuple[str, str, str]:
    """Start, end and length of a time range in seconds, as texts.

    They are rounded to tenths such that the printed range lies within the exact one and its length is the
    difference of its ends; a range that is too short for that has more decimals.
    """
    for digits, unit in ((1, 100), (2, 10), (3, 1)):  # noqa: B007
        first, last = -(-start // unit), end // unit
        if first < last:
            break
    a, b, length = (f"{x * unit / 1000:.{digits}f}" for x in (first, last, last - first))
    return a, b, length
