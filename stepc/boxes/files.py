"""Reads the detections and tracks that other tools wrote: COCO, MOTChallenge, Ultralytics, Supervision, rows.

All but MOTChallenge are rows: one JSON object or CSV line per box, with keys that differ from tool to tool.
A row has a time in seconds, or the number of a frame, which becomes the time at which the frame is shown.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from stepc.boxes.detection import Detection, Detections
from stepc.diagnostics import Place, fail, printable

SUFFIXES = (".json", ".jsonl", ".csv", ".txt")
TIMES = ("time", "at", "timestamp", "seconds")
FRAMES = ("frame", "frame_index", "frame_id", "frame_number", "frame_idx", "image_id")
LABELS = ("label", "class_name", "name", "class", "category", "category_name")
SCORES = ("score", "confidence", "conf")
TRACKS = ("track", "track_id", "tracker_id", "instance_id")
CORNERS = (
    ("x1", "y1", "x2", "y2"),
    ("x_min", "y_min", "x_max", "y_max"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("left", "top", "right", "bottom"),
)
_EDGES = frozenset([*(key for keys in CORNERS for key in keys), "bbox", "xyxy", "box"])
COCO = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    "traffic light", "fire hydrant", "-", "stop sign", "parking meter", "bench", "bird", "cat",
    "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "-", "backpack",
    "umbrella", "-", "-", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "-", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana",
    "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake",
    "chair", "couch", "potted plant", "bed", "-", "dining table", "-", "-", "toilet", "-", "tv",
    "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "-", "book", "clock", "vase", "scissors", "teddy bear", "hair drier",
    "toothbrush",
)  # fmt: skip
"""The names of the COCO categories 1 to 90; `-` for numbers that are not used."""
MOT = (
    "person", "person", "car", "bicycle", "motorcycle", "vehicle", "person", "", "", "", "", ""
)  # fmt: skip
"""MOT17's classes 1 to 12; what is no object of its own is empty: distractors, occluders, reflections."""


class _Row(NamedTuple):
    """A row of a file, before its place is a time and its edges are thousandths."""

    time: float | None
    """In seconds."""
    frame: int | None
    """The number of its frame, as the file counts."""
    found: tuple[str, float, float, float, float, float, int | None] | None
    """Label, edges, score and track; None for a picture in which nothing was found."""
    size: tuple[float, float] | None
    """Width and height of the picture, in the unit of the edges, if the file says them."""


class _Odd(ValueError):
    """What is wrong with a row."""


def read_detections(
    path: Path,
    *,
    size: tuple[int, int],
    times: Callable[[], Sequence[int]],
    first: int | None = None,
    label: str = "",
    source: str = "",
) -> Detections:
    """Read a file of detections of one video.

    `size` are width and height of the displayed video in pixels. `times` returns the time in ms of each of
    its frames, and is called only if the file counts frames. `first` is the number of the first frame, by
    default 1 for MOTChallenge and 0 for others. `label` is the label of boxes that have none.
    Raises StepcError: B006 if the file cannot be read, B026 if it has no detections in a known form.
    """
    shown = printable(str(path))
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise fail("B006", f"cannot be read ({reason})", Place(shown)) from None
    try:
        mot = path.suffix == ".txt"
        rows, words = _mot(text, path, label) if mot else _rows(text, path.suffix)
        start = first if first is not None else int(mot)
        made: dict[int, list[Detection]] = {}
        counted: Sequence[int] | None = None
        for row in rows:
            if row.time is not None:
                at = round(row.time * 1000)
            else:
                assert row.frame is not None
                counted = times() if counted is None else counted
                if not 0 <= row.frame - start < len(counted):
                    raise _Odd(f"frame {row.frame} is not in the video, which has {len(counted)} frames, "
                               f"from {start} on")  # fmt: skip
                at = counted[row.frame - start]
            found = made.setdefault(at, [])
            if row.found is not None:
                found += _scaled(row, size, label)
    except _Odd as error:
        helps = "`stepc explain B026` lists the forms that are read"
        raise fail("B026", str(error), Place(shown), helps) from None
    if not made:
        raise fail("B026", "no detections in it", Place(shown))
    labels = words or frozenset(d.label for each in made.values() for d in each)
    return Detections(source or f"file:{path.stem}", made, labels, whole=bool(words))


def _scaled(row: _Row, size: tuple[int, int], label: str) -> Iterator[Detection]:
    """The detection of a row in thousandths of the picture; none if its box lies outside, or has no area."""
    assert row.found is not None
    name, *edges, score, track = row.found
    name = name or label
    if not name:
        raise _Odd("it has no label; give `label=` for boxes of one kind")
    shares = all(0 <= e <= 1 for e in edges)
    wide, high = row.size or ((1.0, 1.0) if shares else size)
    if not all(map(math.isfinite, (*edges, score))):
        raise _Odd("a number is not finite")
    left, top, right, bottom = (
        min(1000, max(0, round(1000 * e / whole)))
        for e, whole in zip(edges, (wide, high, wide, high), strict=True)
    )
    if left < right and top < bottom:
        sure = min(1000, max(0, round(1000 * score)))
        yield Detection(name, left, top, right, bottom, sure, track)


# --- rows --------------------------------------------------------------------------------


def _rows(text: str, suffix: str) -> tuple[Iterator[_Row], frozenset[str]]:
    """The rows of a JSON, JSON-lines or CSV file, and the labels of its categories."""
    if suffix == ".csv":
        return (_row(each, {}) for each in csv.DictReader(io.StringIO(text))), frozenset()
    try:
        data: Any = (
            [orjson.loads(line) for line in text.splitlines() if line.strip()]
            if suffix == ".jsonl"
            else orjson.loads(text)
        )
    except orjson.JSONDecodeError as error:
        raise _Odd(f"it is not JSON ({error})") from None
    names: dict[Any, str] = {i: name for i, name in enumerate(COCO, 1) if name != "-"}
    words: frozenset[str] = frozenset()
    images: dict[Any, Mapping[str, Any]] = {}
    if isinstance(data, dict):
        categories = [c for c in _listed(data.get("categories")) if isinstance(c, dict)]
        names = {_id(c.get("id")): str(c.get("name", "")) for c in categories} or names
        words = frozenset(names.values()) if categories else words
        images = {_id(i.get("id")): i for i in _listed(data.get("images")) if isinstance(i, dict)}
        data = next((data[k] for k in ("annotations", "detections", "results") if k in data), None)
    if not isinstance(data, list):
        raise _Odd("it is no list of detections")
    if data and all(isinstance(x, list) for x in data):  # Ultralytics: one list per frame
        return _by_frame(data), words
    return _of_images(data, names, images), words


def _by_frame(frames: Sequence[Sequence[Any]]) -> Iterator[_Row]:
    for number, found in enumerate(frames):
        yield _Row(None, number, None, None)
        yield from (_row({"frame": number, **_object(x)}, {}) for x in found)


def _of_images(
    data: Iterable[Any], names: Mapping[Any, str], images: Mapping[Any, Mapping[str, Any]]
) -> Iterator[_Row]:
    """The rows of a list, in which images may be described apart from their boxes (COCO)."""
    for image in images.values():
        yield _Row(None, _number_of(image), None, None)
    for each in data:
        row = _object(each)
        image = images.get(_id(row.get("image_id")), {})
        if image:
            made = _row({**row, "frame": _number_of(image)}, names)
            sizes = image.get("width"), image.get("height")
            known = all(isinstance(x, int | float) and x > 0 for x in sizes)
            yield made._replace(
                size=(float(sizes[0] or 0), float(sizes[1] or 0)) if known else None
            )
        else:
            yield _row(row, names)


def _id(value: Any) -> int | str | None:
    """What may be the id of an image or a category."""
    return value if isinstance(value, int | str) else None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Odd(f"{str(value)[:40]!r} is no object with a box")
    return value


def _number_of(image: Mapping[str, Any]) -> int:
    """The number of the frame that an image is: `frame_id`, or the last number in its file's name."""
    told = image.get("frame_id", image.get("frame_index"))
    if isinstance(told, int):
        return told
    numbers = re.findall(r"\d+", Path(str(image.get("file_name", ""))).stem)
    if numbers:
        return int(numbers[-1])
    if isinstance(image.get("id"), int):
        return int(image["id"])
    raise _Odd(f"image {str(image)[:60]} has no number of a frame")


def _row(row: Mapping[str, Any], names: Mapping[Any, str]) -> _Row:
    """The row of any tool. Raises _Odd, with the row."""
    try:
        return _read(row, names)
    except _Odd as error:
        raise _Odd(f"{str(dict(row))[:60]}… {error}") from None


def _read(row: Mapping[str, Any], names: Mapping[Any, str]) -> _Row:
    time, frame = _first(row, TIMES), _first(row, FRAMES)
    if time is None and frame is None:
        raise _Odd(f"it has neither a time ({', '.join(TIMES)}) nor a frame ({', '.join(FRAMES)})")
    when = None if time is None else _number(time)
    number = None if time is not None else int(_number(frame))
    name = names.get(_id(row.get("category_id")), "") or str(_first(row, LABELS) or "")
    score, track = _first(row, SCORES), _first(row, TRACKS)
    if (
        not name and score is None and all(row.get(k) in (None, "") for k in _EDGES)
    ):  # looked at, and nothing found
        return _Row(when, number, None, None)  # a picture in which nothing was found
    followed = None if track is None or _number(track) < 0 else int(_number(track))
    found = (name, *_edges(row), 1.0 if score is None else _number(score), followed)
    return _Row(when, number, found, None)


def _first(row: Mapping[str, Any], keys: Iterable[str]) -> Any:
    """The value of the first key that has one."""
    return next((row[k] for k in keys if row.get(k) not in (None, "")), None)


def _number(value: Any) -> float:
    try:
        made = float(value)
    except (TypeError, ValueError):
        raise _Odd(f"{str(value)[:40]!r} is not a number") from None
    if not math.isfinite(made):
        raise _Odd(f"{value} is no finite number")
    return made


def _edges(row: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom edge: corners by name, `bbox` (x, y, width, height) or `xyxy`."""
    inside = row.get("box")
    for where in (row, inside):
        for keys in CORNERS:
            if isinstance(where, dict) and all(k in where for k in keys):
                x1, y1, x2, y2 = (_number(where[k]) for k in keys)
                return x1, y1, x2, y2
    for key in ("bbox", "xyxy", "box"):
        value = row.get(key)
        if isinstance(value, list) and len(value) == 4:
            x, y, z, w = map(_number, value)
            return (x, y, x + z, y + w) if key == "bbox" else (x, y, z, w)
    raise _Odd("it has no box: x1 y1 x2 y2, x_min …, `xyxy`, or `bbox` with x, y, width and height")


# --- MOTChallenge ------------------------------------------------------------------------


def _mot(text: str, path: Path, label: str) -> tuple[Iterator[_Row], frozenset[str]]:
    """Lines of `frame, id, left, top, width, height, conf, class or x, visibility or y, z`.

    Classes are those of `labels.txt` beside the file, else MOT17's if the file has nine columns (`gt.txt`).
    A `conf` of 0 in `gt.txt` marks what is not to be regarded.
    """
    beside = path.with_name("labels.txt")
    names: Sequence[str] = MOT
    if beside.is_file() and beside != path:
        names = beside.read_text("utf-8").split("\n")

    def rows() -> Iterator[_Row]:
        for line in text.splitlines():
            if not line.strip():
                continue
            cells = [_number(x) for x in line.replace(";", ",").split(",")]
            if len(cells) < 6:
                raise _Odd(
                    "a line of MOTChallenge has at least frame, id, left, top, width and height"
                )
            frame, track, x, y, w, h = cells[:6]
            sure = cells[6] if len(cells) > 6 else 1.0
            name, truth = "person", len(cells) == 9
            if truth:
                kind = int(cells[7])
                name = names[kind - 1].strip() if 1 <= kind <= len(names) else ""
            if truth and (sure == 0 or not name):
                continue
            found = (label or name, x, y, x + w, y + h, 1.0 if sure < 0 else sure,
                     int(track) if track >= 0 else None)  # fmt: skip
            yield _Row(None, int(frame), found, None)

    return rows(), frozenset()


def file_for(where: str, video: str) -> Path:
    """The file of a video: `where` itself, or in that folder the one with the name of the video.

    Raises StepcError (B006) if it does not exist.
    """
    path = Path(where).expanduser()
    if path.is_dir():
        stem = Path(video).stem
        found = [path / f"{stem}{suffix}" for suffix in SUFFIXES]
        there = next((f for f in found if f.is_file()), None)
        if there is None:
            names = ", ".join(f.name for f in found)
            raise fail(
                "B006", f"no detections of {printable(video)} ({names})", Place(printable(where))
            )
        return there
    return path
