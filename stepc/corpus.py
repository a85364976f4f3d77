"""Which files are the videos of a corpus, and what their units are called."""

from __future__ import annotations

import os
from pathlib import Path

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


def find_videos(places: list[Path]) -> tuple[list[Path], list[Diagnostic]]:
    """The video files in `places` (files or folders), sorted, and what is wrong with the rest."""
    found: dict[Path, None] = {}
    wrong: list[Diagnostic] = []
    for place in places:
        shown = Place(printable(str(place)))
        if place.is_dir():
            inside = sorted(
                (p for p in place.rglob("*") if _is_video(p, place)),
                key=os.fsencode,
            )
            if not inside:
                help = "videos are " + " ".join(sorted(EXTENSIONS))
                wrong.append(Diagnostic("B010", "there is no video in this folder", shown, help))
            found |= dict.fromkeys(inside)
        elif place.exists():
            found[place] = None
        else:
            wrong.append(Diagnostic("B006", "there is no such file or folder", shown))
    videos: list[Path] = []
    names: dict[str, Path] = {}
    seen: set[Path] = set()
    for path in sorted(found, key=lambda p: (unit_name(p), os.fsencode(p))):
        shown = Place(printable(str(path)))
        real = path.resolve()
        if real in seen:
            continue
        seen.add(real)
        try:
            str(path).encode("utf-8")
        except UnicodeEncodeError:
            message = "the file's name is not UTF-8"
            wrong.append(Diagnostic("B009", message, shown, "rename the file"))
            continue
        name = unit_name(path)
        if name in names:
            message = f"another video is already called `{name}`: {printable(str(names[name]))}"
            wrong.append(Diagnostic("B011", message, shown, "rename one of them"))
            continue
        names[name] = path
        videos.append(path)
    return videos, wrong


def _is_video(path: Path, folder: Path) -> bool:
    """Whether `path` in `folder` is taken for a video: by its extension; hidden ones are not."""
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return not hidden and path.suffix.lower() in EXTENSIONS and path.is_file()


def unit_name(path: Path) -> str:
    """What a video's unit is called: the file's name without its extension."""
    return printable(path.stem) or "video"
