"""Finds the video files of a corpus and names their units."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
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
GRAPHS = frozenset([".fsg", ".tsg", ".stsg"])
"""Extensions of graphs. One inside a folder counts if no video of its name lies beside it."""


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


def find_videos(
    places: Iterable[Path], named_from: Sequence[str | Path] = (), graphs: bool = False
) -> tuple[VideoList, list[Diagnostic]]:
    """Find the video files in `places` (files or folders). Never raises for what it finds there.

    With `graphs`, graphs in folders are found as well, unless they are those of videos beside them. Videos
    are named by their paths below `named_from`, by default below those of `name_bases` (see `below`).
    Returns the files, sorted by unit name, and diagnostics (B006, B009-B011) about the others.
    """
    found, wrong = _found(places := list(places), graphs)
    named = [str(place) for place in named_from] or _bases(places, found)
    videos = VideoList()
    last = ("", Path())
    seen: set[bytes] = set()
    by_name = sorted((unit_name(below(Path(p), named)), os.fsencode(p), p) for p in found)
    for name, _, text in by_name:
        path = Path(text)
        shown = Place(printable(text))
        real = hashlib.blake2b(os.fsencode(os.path.realpath(text)), digest_size=16).digest()
        if real in seen:
            continue
        seen.add(real)
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            message = "the file's name is not UTF-8"
            wrong.append(Diagnostic("B009", message, shown, "rename the file"))
            continue
        if name == last[0]:
            message = f"duplicate video name `{name}`; also used by {printable(str(last[1]))}"
            help = "name the folder that holds both, or rename one of them"
            wrong.append(Diagnostic("B011", message, shown, help))
            continue
        last = (name, path)
        videos.append(text)
    return videos, wrong


def _found(places: Iterable[Path], graphs: bool = False) -> tuple[set[str], list[Diagnostic]]:
    """The videos in files and folders, and diagnostics (B006, B010) about places without one."""
    found: set[str] = set()
    wrong: list[Diagnostic] = []
    for place in places:
        shown = Place(printable(str(place)))
        try:
            mode = place.stat().st_mode
        except OSError as error:
            absent = error.errno in (errno.ENOENT, errno.ENOTDIR)
            why = "does not exist" if absent else f"cannot be read ({error.strerror})"
            wrong.append(Diagnostic("B006", f"the file or folder {why}", shown))
            continue
        if not stat.S_ISDIR(mode):
            found.add(str(place))
            continue
        inside, unread = _inside(place, graphs)
        wrong += unread
        if not inside and not unread:
            help = "video extensions are " + " ".join(sorted(EXTENSIONS))
            wrong.append(Diagnostic("B010", "the folder contains no video", shown, help))
        found.update(inside)
    return found, wrong


def name_bases(places: Sequence[Path]) -> tuple[str, ...]:
    """The folders below whose paths the videos in `places` are named.

    These are `places` themselves. Where two of them hold a video by the same path, it is the folder that
    holds all of them: `a/day1/film` and `b/day1/film`.
    """
    return tuple(_bases(places, _found(places, graphs=True)[0] if len(places) > 1 else ()))


def _bases(places: Sequence[Path], found: Iterable[str]) -> list[str]:
    own = [str(place) for place in places]
    if len(places) < 2 or any(".." in place.parts for place in places):
        return own
    real = {os.path.realpath(text): Path(text) for text in found}  # a video may be found twice
    holders: dict[str, set[str]] = {}
    for path in real.values():
        place = next((p for p in own if path.is_relative_to(p)), "")
        holders.setdefault(unit_name(below(path, own)), set()).add(place)
    if all(len(places) == 1 for places in holders.values()):
        return own
    try:
        return [os.path.commonpath(own) or "."]
    except ValueError:  # one is absolute, another is not
        return own


def _inside(folder: Path, graphs: bool = False) -> tuple[list[str], list[Diagnostic]]:
    """The videos (and graphs) in a folder, at any depth, and a diagnostic (B006) for each unreadable folder.

    Hidden files and folders are skipped, and symbolic links to folders are not followed.
    """
    videos: list[str] = []
    wrong: list[Diagnostic] = []
    left = [str(folder)]
    known = EXTENSIONS | GRAPHS if graphs else EXTENSIONS
    while left:
        inside = left.pop()
        try:
            with os.scandir(inside) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        left.append(entry.path)
                    elif os.path.splitext(entry.name)[1].lower() in known:  # noqa: PTH122
                        try:
                            found = entry.is_file()
                        except (
                            OSError
                        ) as error:  # a link to itself, or into a folder that is closed
                            message = f"the file cannot be read ({error.strerror})"
                            wrong.append(Diagnostic("B006", message, Place(printable(entry.path))))
                            continue
                        if found:
                            videos.append(entry.path)
        except OSError as error:
            message = f"the folder cannot be read ({error.strerror})"
            help = "what is in it is left out; check its permissions and the length of its path"
            wrong.append(Diagnostic("B006", message, Place(printable(inside)), help))
    stems = {os.path.splitext(v) for v in videos}  # noqa: PTH122
    filmed = {stem for stem, suffix in stems if suffix.lower() in EXTENSIONS}
    return [v for v in videos if _alone(v, filmed)], wrong


def _alone(file: str, filmed: set[str]) -> bool:
    """Whether a file is a video, or a graph without a video of its name beside it (`film`, `film.true`)."""
    stem, suffix = os.path.splitext(file)  # noqa: PTH122
    if suffix.lower() in EXTENSIONS:
        return True
    folder, name = os.path.split(stem)
    parts = name.split(".")
    names = (".".join(parts[:n]) for n in range(1, len(parts) + 1))
    return filmed.isdisjoint(os.path.join(folder, n) for n in names)  # noqa: PTH118


def below(path: Path, places: Iterable[str | Path]) -> str:
    """The path of a video below the first of `places` that contains it, in POSIX form.

    A file that is itself one of `places`, or lies in none of them, is called by its name.
    """
    for place in places:
        if path != Path(place) and path.is_relative_to(place):
            return printable(path.relative_to(place).as_posix())
    return printable(path.name)


def unit_name(file: str) -> str:
    """Return the name of a video's unit: its path below the named folder, without the extension."""
    folder, slash, name = file.replace("\\", "_").rpartition("/")
    stem = PurePosixPath(name).stem
    return f"{folder}{slash}{stem if stem.strip('.') else 'video'}"
