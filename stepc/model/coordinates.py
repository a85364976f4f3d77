"""Reads where a model says that objects are: boxes in the form and the coordinates of its family.

Qwen2.5-VL counts pixels of the picture as it sees it, its sides rounded to multiples of 28. Qwen2-VL,
Qwen3-VL and InternVL count thousandths of the picture, PaliGemma 1024ths; Gemini and PaliGemma name the
upper edge first. The embedded model names one of nine cells: top left, middle, right …
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from stepc.model.reply import CutOff, all_json

System = Literal["pixels", "thousandths", "fractions"]
"""What coordinates count: pixels of the picture that the model sees, thousandths of it, or parts of 1."""
MOST = 1e6
"""A coordinate is smaller than this."""
_NUMBER = r"\s{0,9}(-?\d{1,9}(?:\.\d{1,9})?)\s{0,9}"
_FOUR = rf"{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}"
_TAGGED = re.compile(
    r"<\|?(?:object_ref_start|ref)\|?>(?P<name>[^<]{0,200})<\|?/?(?:object_ref_end|ref)\|?>\s{0,9}"
    r"<\|?(?:box_start|box)\|?>(?P<box>[^<]{0,2000})<\|?/?(?:box_end|box)\|?>"
)
_LOCATED = re.compile(r"<loc(\d{4})><loc(\d{4})><loc(\d{4})><loc(\d{4})>\s*([^<;\n]+)")
_CORNERS = re.compile(rf"\({_NUMBER},{_NUMBER}\)\s*,?\s*\({_NUMBER},{_NUMBER}\)")
_LISTED = re.compile(rf"[\[(]{{1,2}}{_FOUR}[\])]{{1,2}}")
_ROUND_NAMES = " \t*-–:=.,"
"""What stands before and after a name in a list."""
_CELL = re.compile(
    r"\W*(?:the\s+)?(?:(?P<row>top|upper|bottom|lower)(?:[\s-]+(?P<side>left|right|middle|center))?"
    r"|(?P<alone>left|right|middle|center))\b",
    re.IGNORECASE,
)
_KEYS = {"bbox_2d": "xy", "bbox": "xy", "box": "xy", "bounding_box": "xy", "box_2d": "yx"}
"""Keys of a box in JSON, and which coordinate comes first."""
_NAMES = ("object", "number", "id", "label", "name")
_EDGES = (
    ("x1", "y1", "x2", "y2"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("left", "top", "right", "bottom"),
)


class SaidBox(NamedTuple):
    """A box as a model says it."""

    name: str
    """What it names: the number or the label of an object, or both."""
    edges: tuple[float, float, float, float]
    """Left, upper, right and lower edge."""
    whole: float | None = None
    """The coordinate of the right and lower end of the picture; None if it depends on the family."""


def said_boxes(text: str) -> list[SaidBox]:
    """The boxes of a reply, in JSON, in the tags of a family, one per line, or as the name of a cell.

    An empty list says that there is none. Raises ValueError if the reply says neither.
    """
    values = _values(text)
    made = [box for value in values for box in _in_value(value)]
    if values and all(map(_empty, values)):
        return []
    if not made:
        for m in _TAGGED.finditer(text):
            numbers = [float(x) for x in re.findall(r"-?\d+(?:\.\d+)?", m["box"])]
            made += [_said(m["name"], numbers[i : i + 4]) for i in range(0, len(numbers) - 3, 4)]
    if not made:
        for m in _LOCATED.finditer(text):
            top, left, bottom, right = (float(x) for x in m.groups()[:4])
            made.append(SaidBox(m[5].strip(), (left, top, right, bottom), 1024))
    if not made:
        made = [*_in_lines(text)]
    if not made:
        made = [_said("", [float(x) for x in m.groups()]) for m in _CORNERS.finditer(text)]
    if not made and (cell := _CELL.match(text)):
        made = [SaidBox("", _cell(cell), 3)]
    if not made:
        raise ValueError("it names no box")
    return made


def _said(name: str, numbers: list[float], order: str = "xy") -> SaidBox:
    if order == "yx":
        numbers = [numbers[i] for i in (1, 0, 3, 2)]
    left, top, right, bottom = numbers
    return SaidBox(name.strip(), (left, top, right, bottom), 1000 if order == "yx" else None)


def _in_lines(text: str) -> Iterator[SaidBox]:
    """The boxes of a list, each after its name: `1. the man: [0, 0, 250, 1000]`."""
    for line in text.splitlines():
        end = 0
        for m in _LISTED.finditer(line):
            yield _said(line[end : m.start()].strip(_ROUND_NAMES), [float(x) for x in m.groups()])
            end = m.end()


def _values(text: str) -> list[Any]:
    """The JSON values of a text; none if it ends inside one."""
    try:
        return list(all_json(text))
    except (CutOff, ValueError):
        return []


def _empty(value: Any) -> bool:
    """Whether a JSON value is a list or an object without anything in it."""
    if isinstance(value, dict):
        value = [*value.values()]
    return isinstance(value, list) and all(map(_empty, value))


def _in_value(value: Any) -> Iterator[SaidBox]:
    """The boxes in a JSON value, at any depth."""
    if isinstance(value, list):
        for each in value:
            yield from _in_value(each)
    if not isinstance(value, dict):
        return
    lower = {str(k).lower(): v for k, v in value.items()}
    name = " ".join(str(lower[k]) for k in _NAMES if isinstance(lower.get(k), str | int))
    for key, order in _KEYS.items():
        numbers = _numbers(lower.get(key))
        if numbers is not None:
            yield _said(name, numbers, order)
            return
    numbers = _numbers(lower)
    if numbers is not None:
        yield _said(name, numbers)
        return
    for each in lower.values():
        yield from _in_value(each)


def _numbers(value: Any) -> list[float] | None:
    """Four edges, as a list, as two corners, or by their names."""
    if isinstance(value, dict):
        found = next((keys for keys in _EDGES if value.keys() >= {*keys}), None)
        value = [value[k] for k in found] if found else None
    if isinstance(value, list):
        flat = [x for each in value for x in (each if isinstance(each, list) else [each])]
        if len(flat) == 4 and all(
            isinstance(x, int | float) and not isinstance(x, bool) and abs(x) < MOST for x in flat
        ):
            return [float(x) for x in flat]
    return None


def _cell(said: re.Match[str]) -> tuple[float, float, float, float]:
    """The cell of a grid of three by three that is named."""
    row, side = (said["row"] or "").lower(), (said["side"] or said["alone"] or "").lower()
    top = {"top": 0, "upper": 0, "bottom": 2, "lower": 2}.get(row, 1)
    left = {"left": 0, "right": 2}.get(side, 1)
    return left, top, left + 1, top + 1


def in_thousandths_of(
    said: SaidBox, system: System, seen: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """The edges of a box in thousandths of the picture.

    `seen` is the width and height of the picture as the model sees it, which only `pixels` depend on.
    Returns None for what is no box in this picture: it is empty, or lies more than 3 % outside.
    """
    if said.whole is not None:
        wide, high = said.whole, said.whole
    elif system == "fractions" or max(said.edges) <= 1:
        wide, high = 1.0, 1.0
    elif system == "thousandths":
        wide, high = 1000.0, 1000.0
    else:
        wide, high = seen
    left, top, right, bottom = (
        e / whole for e, whole in zip(said.edges, (wide, high, wide, high), strict=True)
    )
    if not (left < right and top < bottom and min(left, top) > -0.03 and max(right, bottom) < 1.03):
        return None
    edges = tuple(min(1000, max(0, round(1000 * e))) for e in (left, top, right, bottom))
    return edges if edges[0] < edges[2] and edges[1] < edges[3] else None  # type: ignore[return-value]


def seen_size(
    wide: int, high: int, side: int = 28, least: int = 3136, most: int = 12_845_056
) -> tuple[int, int]:
    """Width and height of a picture as Qwen2.5-VL sees it, in pixels.

    They are multiples of `side`, and `least` to `most` pixels in all, by default as in its published
    checkpoints. This is the rule of its image processor in `transformers`.
    """
    across, down = (max(side, round(x / side) * side) for x in (wide, high))
    if across * down > most:
        scale = (wide * high / most) ** 0.5
        across, down = (max(side, int(x / scale / side) * side) for x in (wide, high))
    elif across * down < least:
        scale = (least / (wide * high)) ** 0.5
        across, down = (-int(-x * scale // side) * side for x in (wide, high))
    return across, down
