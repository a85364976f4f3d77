"""Where boxes come from: the options that `detect` and `track` share."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Generic, Literal, NamedTuple

from pydantic import Field

from stepc.boxes import faces
from stepc.boxes.detection import Detections
from stepc.boxes.detectors import check_detector, load_detector
from stepc.boxes.files import file_for, read_detections
from stepc.diagnostics import fail
from stepc.ir import types as t
from stepc.passmanager.base import In, Out, Pass, Tools
from stepc.video.decode import Picture, decoded_frames


class Glimpse(NamedTuple):
    """A picture for a detector, with the labels that it may look for."""

    at: int
    """Time in ms."""
    picture: Picture
    labels: Sequence[str]


class Eyes(Pass[In, Out], Generic[In, Out]):
    """A pass that takes boxes from a file or from a detector."""

    uses: ClassVar[frozenset[str]] = frozenset(["decoding"])

    from_: str = ""
    """A file of detections (COCO, Ultralytics, Supervision, MOTChallenge, rows of JSON or CSV), or a folder
    with a file for each video, named as the video is."""
    model: str = ""
    """A detector of `transformers` in place of a file: a folder or a name on the hub, of a D-FINE, YOLOS,
    Grounding DINO, OWLv2 … One that takes any words looks for the labels of the graph. `centerface` finds
    faces; its weights come with stepc[eyes]."""
    words: str = ""
    """What such a model looks for besides, separated by commas: `words="person, dog"`."""
    first: int | None = None
    """The number of the video's first frame in the file: by default 1 in MOTChallenge, else 0."""
    label: str = ""
    """The label of boxes that have none, in files about one kind of object."""
    score: float | None = Field(None, ge=0, le=1)
    """Minimum score of a box: by default 0.3, and 0.5 for `centerface`."""

    @property
    def least(self) -> float:
        """The score from which a box counts, 0 to 1."""
        if self.score is not None:
            return self.score
        return faces.SURE if self.model == faces.NAME else 0.3

    def ready(self) -> None:
        if self.model:
            check_detector(self.model)

    def reads(self, video: str) -> str:
        if self.model:
            return state(self.model)
        if not self.from_:
            return ""
        file = file_for(self.from_, video)
        try:
            known = file.stat()
            return _digest(str(file), known.st_size, known.st_mtime_ns)
        except OSError as error:
            raise fail("B006", f"`{file.name}` cannot be read ({error.strerror})") from None

    def detections(
        self, unit: t.Unit, tools: Tools, looks: Iterable[Glimpse], least: float
    ) -> Detections:
        """The detections of a video; those of a model, in the pictures `looks`, from the score `least`.

        Raises StepcError (B006, B026, M004; P012 if there is neither a file nor a model, or both).
        """
        if bool(self.from_) == bool(self.model):
            raise fail("P012", f"`{self.name}` takes boxes from a file or from a model",
                       help=f'{self.name}(from="boxes") or {self.name}(model="folder")')  # fmt: skip
        if self.model:
            eyes = load_detector(self.model)
            more = [w.strip() for w in self.words.split(",") if w.strip()]
            found = {x.at: eyes.find(x.picture, [*x.labels, *more], least) for x in looks}
            return Detections(f"detect:{eyes.name}", found, eyes.words)
        video, sha = unit.video, unit.video.sha256

        def times() -> Sequence[int]:
            return [look.at for look in decoded_frames(tools.pictures.source(sha))]

        size = video.width, video.height
        key = (self.reads(video.file), sha, size, self.first, self.label)
        if key not in _kept:
            path = file_for(self.from_, video.file)
            made = read_detections(path, size=size, times=times, first=self.first, label=self.label)
            _kept.clear()
            _kept[key] = made
        return _kept[key]


@functools.lru_cache(64)
def _digest(file: str, size: int, changed: int) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def state(model: str) -> str:
    """What tells a folder with a model from what it was before; the name of a model on the hub."""
    if model == faces.NAME:
        return f"{model} {faces.version()}"
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return model
    files = sorted(f for f in folder.iterdir() if f.is_file())
    told = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    return hashlib.sha256(repr(told).encode()).hexdigest()


_kept: dict[tuple[object, ...], Detections] = {}
"""What was read last: `detect` and `track` read one file after each other."""


def source_of(eyes: str) -> tuple[Literal["from_", "model"], str]:
    """The option that `eyes` belongs to: a file or a folder of detections, or a detector."""
    path = Path(eyes).expanduser()
    file = path.is_file() or (path.is_dir() and not (path / "config.json").is_file())
    return ("from_" if file else "model"), eyes


def eyes_pipeline(eyes: Sequence[str]) -> str:
    """The pipeline of `--eyes`: graphs from what detectors find, without a model.

    Each of `eyes` is a detector (`centerface`, a folder with a model, a name on the hub), or a file or a
    folder of detections. A graph has what all of them find; what only some find may be there or not.
    """
    made = ["split,keyframes,parse-none"]
    sources = []
    for i, each in enumerate(eyes):
        kind, name = source_of(each)
        sources.append(f"{kind.strip('_')}={_quoted(name)}")
        made.append(f"detect({sources[-1]}{',missing=drop,extra=doubt' if i else ''},unsure=0.6)")
    also = f",also={_quoted(eyes[1])}" if len(eyes) > 1 else ""
    return ",".join(
        [
            *made,
            f"track({sources[0]}{also})",
            'merge-tracks,bridge-none,place(add="left larger")',
            "sample,compose,check",
        ]
    )


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)
