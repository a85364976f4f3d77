"""Which files are the videos of a corpus, and what their units are called."""

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
"""What is taken for a video in a folder; a file named by itself is always tried."""


class VideoList(Sequence[Path]):
    """Paths, kept as text: of millions the objects would be most of what is in memory."""

    def __init__(self, paths: Iterable[Path | str] = ()) -> None:
        self._texts = [str(path) for path in paths]

    def append(self, path: Path | str) -> None:
        """One more."""
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
    """The video files in `places` (files or folders), sorted, and what is wrong with the rest."""
    found: set[str] = set()
    wrong: list[Diagnostic] = []
    for place in places:
        shown = Place(printable(str(place)))
        if place.is_dir():
            inside = [str(p) for p in place.rglob("*") if _is_video(p, place)]
            if not inside:
                help = "videos are " + " ".join(sorted(EXTENSIONS))
                wrong.append(Diagnostic("B010", "there is no video in this folder", shown, help))
            found.update(inside)
        elif place.exists():
            found.add(str(place))
        else:
            wrong.append(Diagnostic("B006", "there is no such file or folder", shown))
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
            message = f"another video is already called `{name}`: {printable(str(last[1]))}"
            wrong.append(Diagnostic("B011", message, shown, "rename one of them"))
            continue
        last = (name, path)
        videos.append(text)
    return videos, wrong


def _is_video(path: Path, folder: Path) -> bool:
    """Whether `path` in `folder` is taken for a video: by its extension; hidden ones are not."""
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return not hidden and path.suffix.lower() in EXTENSIONS and path.is_file()


def unit_name(path: Path) -> str:
    """What a video's unit is called: the file's name without its extension."""
    return printable(path.stem) or "video"
