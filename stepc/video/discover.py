"""Finds the video files of a corpus and names their units."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

from stepc.diagnostics import Diagnostic, Place, printable

EXTENSIONS = frozenset(
    [
        ".mp4",
        ".m4v",
        ".mov",
        ".mkv",
        ".webm",
        ".avi",
        ".mpg",
        ".mpeg",
        ".mts",
        ".m2ts",
        ".ts",
        ".wmv",
        ".flv",
        ".ogv",
        ".3gp",
        ".gif",
    ]
)
"""Extensions of videos inside a folder. A file that is named explicitly is always tried."""


class VideoList(Sequence[Path]):
    """A sequence of paths, stored as strings, because millions of Path objects take too much memory."""

    def __init__(self, paths: Iterable[Path | str] = ()) -> None:
        self._texts = [str(path) for path in paths]

    def append(self, path: Path | str) -> None:
        self._texts.append(str(path))

    @overload
    def __getitem__(self, place: int) -> Path: ...
    @overload
    def __getitem__(self, place: slice) -> VideoList: ...
    def __getitem__(self, place: int | slice) -> Path | VideoList:
        if isinstance(place, slice):
            return VideoList(self._texts[place])
        return Path(self._texts[place])

    def __len__(self) -> int:
        return len(self._texts)


def find_videos(places: Iterable[Path]) -> tuple[VideoList, list[Diagnostic]]:
    """Find the video files in `places` (files or folders).

    Returns the files, sorted by unit name, and diagnostics (B006, B009-B011) about the others.
    """
    found: set[str] = set()
    wrong: list[Diagnostic] = []
    for place in places:
        shown = Place(printable(str(place)))
        if place.is_dir():
            inside = [str(p) for p in place.rglob("*") if _is_video(p, place)]
            if not inside:
                help = "video extensions are " + " ".join(sorted(EXTENSIONS))
                wrong.append(Diagnostic("B010", "the folder contains no video", shown, help))
            found.update(inside)
        elif place.exists():
            found.add(str(place))
        else:
            wrong.append(Diagnostic("B006", "the file or folder does not exist", shown))
    videos = VideoList()
    last = ("", Path())
    seen: set[bytes] = set()
    for text in sorted(found, key=lambda p: (unit_name(Path(p)), os.fsencode(p))):
        path = Path(text)
        shown = Place(printable(text))
        real = hashlib.blake2b(os.fsencode(path.resolve()), digest_size=16).digest()
        if real in seen:
            continue
        seen.add(real)
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            message = "the file's name is not UTF-8"
            wrong.append(Diagnostic("B009", message, shown, "rename the file"))
            continue
        name = unit_name(path)
        if name == last[0]:
            message = f"duplicate video name `{name}`; also used by {printable(str(last[1]))}"
            wrong.append(Diagnostic("B011", message, shown, "rename one of them"))
            continue
        last = (name, path)
        videos.append(text)
    return videos, wrong


def _is_video(path: Path, folder: Path) -> bool:
    """Whether `path` in `folder` is a video, judged by its extension; hidden files are not."""
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return not hidden and path.suffix.lower() in EXTENSIONS and path.is_file()


def unit_name(path: Path) -> str:
    """Return the name of a video's unit: the file's name without its extension."""
    return printable(path.stem) or "video"
