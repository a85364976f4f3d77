"""The base of readers of annotations, the videos that they are about, and the registry of readers."""

from __future__ import annotations

import io
import pickle
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import orjson

from stepc.annotations.scene import AnnotatedScene, AnnotatedVideo
from stepc.diagnostics import Place, fail, printable
from stepc.plugins import Registry
from stepc.runtime.discovery import objects_in
from stepc.video.decode import decoded_frames
from stepc.video.discover import EXTENSIONS
from stepc.video.probe import probe


class Clock:
    """The time at which each frame of a video is shown."""

    def __init__(self, shown: AnnotatedVideo, times: Sequence[int] = (), rate: float = 0.0) -> None:
        """`times` are those of all frames in ms, if the video is at hand; else `rate` tells them."""
        self.shown, self.times, self.rate = shown, times, rate

    def at(self, frame: int) -> int | None:
        """The time of a frame, counted from 0; None if the video has no such frame."""
        if frame < 0:
            return None
        if self.times:
            return self.times[frame] if frame < len(self.times) else None
        return round(frame * 1000 / self.rate)


class Videos:
    """The videos of a data set, if they are at hand."""

    def __init__(self, folder: Path | None) -> None:
        self.files: dict[str, Path] = {}
        for file in sorted(folder.rglob("*")) if folder is not None else ():
            if file.suffix.lower() in EXTENSIONS:
                self.files.setdefault(file.stem, file)

    def clock(self, name: str, file: str, size: tuple[int, int], frames: int, rate: float) -> Clock:
        """The clock of a video: that of its file if it is at hand, else as the annotation says.

        `name` is its name without folders and extension, `file` the name of its file, and `frames` the number
        of its frames, 0 if the annotation does not say.
        """
        found = self.files.get(name)
        if found is None:
            long = round(frames * 1000 / rate)
            shown = AnnotatedVideo(file, *size, long, rate=_ratio(rate))
            return Clock(shown, rate=rate)
        source = probe(found)
        video = source.video
        shown = AnnotatedVideo(video.file, *size, video.duration, video.rate, video.sha256)
        return Clock(shown, times=[look.at for look in decoded_frames(source)])


def _ratio(rate: float) -> str:
    """A frame rate as the IR writes it."""
    if rate == int(rate):
        return str(int(rate))
    if abs(rate * 1001 / 1000 - round(rate * 1001 / 1000)) < 1e-3:
        return f"{round(rate * 1001 / 1000) * 1000}/1001"
    return f"{round(rate * 1000)}/1000"


class AnnotationReader(ABC):
    """Reads the annotations of a data set in the form in which it is published."""

    name: ClassVar[str]
    """The word after `stepc import`."""
    title: ClassVar[str]
    help: ClassVar[str]
    """Which file or folder it takes, in one sentence."""
    still: ClassVar[bool] = False
    """Whether it is about still pictures: its units are at level fsg."""

    @abstractmethod
    def scenes(self, path: Path, videos: Videos) -> Iterator[AnnotatedScene]:
        """What a file or folder says, video by video. Raises StepcError (B006, B027)."""


class FilePerVideo(AnnotationReader):
    """Reads a data set that has one JSON file per video."""

    def scenes(self, path: Path, videos: Videos) -> Iterator[AnnotatedScene]:
        for file in json_files(path):
            data = read_json(file)
            with as_published(file, "not the annotation of a video"):
                scene = self.scene(data, file, videos)
            yield scene

    @abstractmethod
    def scene(self, data: Any, file: Path, videos: Videos) -> AnnotatedScene:
        """What the JSON of a file says. An exception of a wrong form (KeyError, …) becomes B027."""


@contextmanager
def as_published(path: Path, what: str) -> Iterator[None]:
    """Turn what goes wrong in a file that is not as the data set publishes it into an error (B027)."""
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise broken(path, f"{what}: {error!r}") from None


def broken(path: Path, what: str) -> Exception:
    """The error (B027) of a file that is not as the data set publishes it."""
    help = "`stepc explain B027` says where the forms are described"
    return fail("B027", what, Place(printable(str(path))), help)


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises StepcError (B006, B027)."""
    try:
        return orjson.loads(_bytes(path))
    except orjson.JSONDecodeError as error:
        raise broken(path, f"it is not JSON ({error})") from None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or "unknown error"
        raise fail("B006", f"cannot be read ({reason})", Place(printable(str(path)))) from None


class _Restricted(pickle.Unpickler):
    """Unpickles plain data and arrays of numbers. Nothing in the file is executed."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"),
            ("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar"),
            ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode"),
            ("collections", "OrderedDict"),
        }  # fmt: skip
        if (module, name) in allowed:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is not data")


def read_pickle(path: Path) -> Any:
    """Read a pickle of plain data and arrays, without executing anything. Raises StepcError (B006, B027)."""
    try:
        return _Restricted(io.BytesIO(_bytes(path)), encoding="latin1").load()
    except Exception as error:  # a damaged pickle may raise anything
        said = " ".join(str(error).split())[:200]
        raise broken(path, f"it is not a pickle of plain data ({said})") from None


def json_files(path: Path) -> list[Path]:
    """A JSON file, or those in a folder and below. Raises StepcError (B006) if there is none."""
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    if not files:
        raise fail("B006", "the folder holds no JSON file", Place(printable(str(path))))
    return files


def _accept(value: Any) -> str:
    return "" if isinstance(value, AnnotationReader) else f"`{value!r}` is not an AnnotationReader"


READERS: Registry[AnnotationReader] = Registry(
    "stepc.annotations", lambda: objects_in("stepc.annotations.formats", "READER"), _accept
)
"""All readers of annotations."""
