"""Time ranges in milliseconds: joining them, and how answers state them."""

from __future__ import annotations

from collections.abc import Iterable


def join_spans(spans: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Time ranges in order; those that touch become one."""
    made: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if made and start <= made[-1][1]:
            made[-1] = (made[-1][0], max(made[-1][1], end))
        else:
            made.append((start, end))
    return tuple(made)


def span_text(start: int, end: int) -> str:
    """A time range as an answer states it: `1.2 to 3.4 seconds`."""
    return f"{start / 1000:.1f} to {end / 1000:.1f} seconds"


def duration_text(start: int, end: int) -> str:
    """A length of time as an answer states it: `2.2 seconds`."""
    return f"{(end - start) / 1000:.1f} seconds"
