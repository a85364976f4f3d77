"""How many tokens a picture takes, by the family of the model, and at what size it is sent.

The rules are those of the image processors in `transformers`, and for OpenAI models of their documentation.
A family is recognised by the name of the model.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

from stepc.model.coordinates import System, seen_size

PictureSize = int | Literal["auto", "full"]
"""Maximum pixels of the longer side, what suits the family, or no maximum."""
SENT = 1280
"""Pixels of the longer side at which pictures are sent to a model of an unknown family."""


@dataclass(frozen=True)
class Family:
    """How the models of a family take pictures."""

    name: str
    pattern: str
    """A regular expression that is found in the names of its models."""
    tokens: Callable[[int, int], int]
    """Tokens of a picture, by width and height in pixels."""
    longest: int
    """Pixels of the longer side at which pictures are sent: more is not used, or costs more than it shows."""
    boxes: System | None = None
    """What the coordinates of its boxes count; None if that is not known."""


def _patches(size: int, most: int = 1 << 30) -> Callable[[int, int], int]:
    """One token for each square of `size` pixels; a picture of more than `most` is scaled down."""

    def tokens(width: int, height: int) -> int:
        across, down = (max(1, round(x / size)) for x in (width, height))
        if across * down > most:
            scale = math.sqrt(width * height / (most * size * size))
            across, down = (max(1, math.floor(x / scale / size)) for x in (width, height))
        return across * down

    return tokens


def _tiles(size: int, each: int, most: int) -> Callable[[int, int], int]:
    """`each` tokens for a tile, in the grid of up to `most` that fits best, and for the whole."""
    grids = [
        (i, j) for i, j in product(range(1, most + 1), repeat=2) if i * j <= most
    ]  # columns, rows
    grids.sort(key=lambda g: g[0] * g[1])

    def tokens(width: int, height: int) -> int:
        best, off = (1, 1), math.inf
        for i, j in grids:
            differs = abs(width / height - i / j)
            enough = width * height > 0.5 * size * size * i * j
            if differs < off or (differs == off and enough):
                best, off = (i, j), differs
        number = best[0] * best[1]
        return each * (number + (number > 1))

    return tokens


def _split(size: int, each: int, longest: int) -> Callable[[int, int], int]:
    """`each` tokens for a tile of a picture that is scaled to `longest`, and for the whole."""

    def tokens(width: int, height: int) -> int:
        scale = longest / max(width, height)
        across, down = (math.ceil(round(x * scale) / size) for x in (width, height))
        return each * (across * down + 1)

    return tokens


def _openai(base: int, each: int) -> Callable[[int, int], int]:
    """`each` tokens for a tile of 512 pixels, of at most 2048 on the longer side, 768 on the shorter one."""

    def tokens(width: int, height: int) -> int:
        scale = min(1.0, 2048 / max(width, height))
        scale = min(scale, 768 / min(width, height))
        across, down = (math.ceil(x * scale / 512) for x in (width, height))
        return base + each * across * down

    return tokens


def _always(number: int) -> Callable[[int, int], int]:
    return lambda width, height: number


UNKNOWN = Family("unknown", "", _patches(28, 16384), SENT)
FAMILIES = (
    Family("embedded", r"^embedded$", _always(16), 128, "thousandths"),
    Family("Qwen2.5-VL", r"qwen-?2[.-]5-?vl", _patches(28, 16384), SENT, "pixels"),
    Family("Qwen2-VL", r"qwen-?2-?vl", _patches(28, 16384), SENT, "thousandths"),
    Family("Qwen3-VL", r"qwen-?3([.-]\d+)?-?(vl|omni)", _patches(32, 16384), SENT, "thousandths"),
    Family("InternVL", r"intern-?vl", _tiles(448, 256, 12), 1792, "thousandths"),
    Family("SmolVLM", r"smolvlm", _split(384, 81, 1536), 1536),
    Family("Idefics3", r"idefics-?3", _split(364, 169, 1456), 1456),
    Family("Video-LLaVA", r"video-?llava", _always(256), 448),
    Family("LLaVA 1.5", r"llava-?(v?1\.5|1_5)", _always(576), 672),
    Family("Gemma 3", r"gemma-?3", _always(256), 896),
    Family("GPT-4o mini", r"gpt-4o-mini", _openai(2833, 5667), 1366),
    Family("GPT-4o", r"gpt-4o|gpt-4\.5|chatgpt-4o", _openai(85, 170), 1366),
)
"""Families, the first one that fits counts."""


def family_of(model: str) -> Family:
    """The family of a model, by its name; `UNKNOWN` if none fits."""
    name = model.rpartition(":")[2].lower().replace("_", "-")
    return next((f for f in FAMILIES if re.search(f.pattern, name)), UNKNOWN)


def longest_side(model: str, size: PictureSize) -> int | None:
    """Maximum pixels of the longer side of a picture that is sent to a model; None for any size."""
    if size == "auto":
        return family_of(model).longest
    return None if size == "full" else size


def picture_tokens(model: str, width: int, height: int, size: PictureSize = "auto") -> int:
    """Tokens of a picture of this width and height in pixels, at the size at which it is sent."""
    longest = longest_side(model, size)
    scale = min(1.0, longest / max(width, height)) if longest is not None else 1.0
    shown = (max(1, round(x * scale)) for x in (width, height))
    return family_of(model).tokens(*shown)


def _within(backend: Any, attribute: str) -> Any:
    """An attribute of a backend, or of the one that it wraps; None if neither has it."""
    while backend is not None and not hasattr(backend, attribute):
        backend = getattr(backend, "inner", None)
    return getattr(backend, attribute, None)


def boxes_of(backend: Any) -> System | None:
    """What the coordinates of a model's boxes count, by its name or its kind; None if that is not known."""
    names = (backend.identity.partition("@")[0], _within(backend, "kind") or "")
    return next((found for n in names if (found := family_of(n).boxes) is not None), None)


def seen_by(backend: Any, width: int, height: int) -> tuple[int, int]:
    """Width and height of a picture as a model sees it that counts in its pixels.

    A local model's processor tells it. A server is taken to run it with its published settings, and a
    recorded model to have got pictures at the size that suits its family.
    """
    own = _within(backend, "seen_size")
    if own is not None and (told := own(width, height)) is not None:
        seen: tuple[int, int] = told
        return seen
    longest = _within(backend, "longest") or longest_side(backend.identity, "auto")
    scale = min(1.0, longest / max(width, height)) if longest is not None else 1.0
    return seen_size(round(width * scale), round(height * scale))
