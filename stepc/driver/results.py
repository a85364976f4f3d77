"""What becomes of one video: its result, and that of the passes before the first model call."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stepc.dataset.spool import CompiledUnit
from stepc.diagnostics import Diagnostic
from stepc.ir import types as t
from stepc.model.client import Usage
from stepc.video.decode import Picture
from stepc.video.source import VideoSource


@dataclass
class VideoResult:
    """Result of one video."""

    path: Path
    name: str
    made: CompiledUnit | None = None
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    found: int = 0
    """Number of passes whose result came from the store."""
    why: list[str] = field(default_factory=list)
    """For each pass that ran, why it ran."""
    diagnostics: tuple[Diagnostic, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    """What was left out of the video."""
    server: dict[str, Any] | None = None
    """What the model's server can do, if it was asked."""
    before: int = 0
    """Number of passes that a graph does not need any more."""


@dataclass
class FrontEndResult:
    """Results of the passes that run before the first model call."""

    source: VideoSource | None = None
    unit: bytes = b""
    """JSON of the unit."""
    done: list[tuple[str, dict[str, int], float, bool, str]] = field(default_factory=list)
    """For each pass: name, counts, seconds, whether the store had its result, and why it ran."""
    pictures: dict[t.Frame, Picture] = field(default_factory=dict)
    """Decoded keyframes, at most `SENT` bytes, so that they need not be decoded again."""
    diagnostics: tuple[Diagnostic, ...] = ()
