"""Time ranges in milliseconds: joining them, and formatting them for answers."""

from __future__ import annotations

from collections.abc import Iterable


def join_spans(spans: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Sort time ranges and join those that overlap or touch."""
    made: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if made and start <= made[-1][1]:
            made[-1] = (made[-1][0], max(made[-1][1], end))
        else:
            made.append((start, end))
    return tuple(made)


def span_text(start: int, end: int) -> str:
    """Format a time range for an answer: `1.2 to 3.4 seconds`."""
    return f"{start / 1000:.1f} to {end / 1000:.1f} seconds"


def duration_text(start: int, end: int) -> str:
    """Format a duration for an answer: `2.2 seconds`."""
    return f"{(end - start) / 1000:.1f} seconds"
