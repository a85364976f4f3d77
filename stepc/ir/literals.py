"""Literals of the text form: strings, times and time ranges."""

from __future__ import annotations

import json
import re

from stepc.ir.elements import frame_of


def quote(text: str) -> str:
    """Write a string literal. Escapes are those of JSON; printable Unicode is unchanged."""
    body = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in body)


_SPECIAL = frozenset('"\\')


def unquote(token: str) -> str:
    """The value of a string literal. Raises ValueError if it is invalid."""
    inner = token[1:-1]
    if token == f'"{inner}"' and inner.isprintable() and not _SPECIAL & {*inner}:
        return inner
    try:
        text = str(json.loads(token)) if token.startswith('"') else None
    except json.JSONDecodeError as error:
        raise ValueError(f"not a string: {error.msg}") from error
    if text is None:
        raise ValueError(f'expected a "string", found `{token}`')
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("not a string: unpaired surrogate") from error
    return text


def seconds(millis: int) -> str:
    """Format milliseconds as seconds: `1.250`."""
    return f"{millis // 1000}.{millis % 1000:03d}"


def millis(token: str) -> int:
    """Parse seconds such as `1.250` or `1.250s` to milliseconds."""
    whole, _, part = token.rstrip("s").partition(".")
    return int(whole) * 1000 + int(part)


def span(start: int, end: int) -> str:
    """Format a time range in milliseconds as `0.960..4.120` (seconds)."""
    return f"{seconds(start)}..{seconds(end)}"


def unspan(token: str) -> tuple[int, int]:
    """Parse a time range such as `0.960..4.120` to milliseconds. Raises ValueError if it is invalid."""
    if re.fullmatch(r"\d{1,9}\.\d{3}\.\.\d{1,9}\.\d{3}", token) is None:
        raise ValueError(f"expected a time span such as 0.960..4.120, found `{token}`")
    start, _, end = token.partition("..")
    return millis(start), millis(end)


def implied_frames(*ids: str) -> tuple[str, ...]:
    """The keyframe implied by the ids of an element; its statement does not list it."""
    frames = [f for f in map(frame_of, ids) if f]
    return tuple(frames[:1])


def at_frames(frames: tuple[str, ...], *ids: str) -> str:
    """The ` at …` part of a statement, empty if the ids of the element imply its keyframes."""
    return "" if frames == implied_frames(*ids) or not frames else " at " + " ".join(frames)
