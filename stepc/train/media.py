"""Where an export has its videos: links or copies in its folder, frames, or the files where they are."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stepc.ir.types import Frame
from stepc.runtime.names import Name
from stepc.video.decode import Pictures
from stepc.video.source import VideoSource

MediaKind = Literal["link", "copy", "frames", "absolute"]
"""`link`: hard links in `videos/` (symbolic ones on another disk). `copy`: copies. `frames`: the frames that
are shown, as JPEG in `frames/`. `absolute`: the paths of the files where they are."""


@dataclass
class Media:
    """Puts the videos of an export into its folder, each once; paths are relative to it."""

    kind: MediaKind
    out: Path
    """The folder in which the export is written."""
    taken: dict[str, str] = field(default_factory=dict)
    """Name in the folder → SHA-256 of the video that has it."""

    def of(
        self, source: VideoSource, frames: Sequence[Frame], pictures: Pictures
    ) -> str | list[str]:
        """The path of a video, or those of its frames."""
        if self.kind == "absolute":
            return str(source.path.resolve())
        name = self._name(source)
        if self.kind == "frames":
            return [self.frame(name, frame, pictures) for frame in frames]
        place = self.out / "videos" / name
        if not place.exists():
            place.parent.mkdir(exist_ok=True)
            if self.kind == "copy":
                shutil.copyfile(source.path, place)
            else:
                _link(source.path.resolve(), place)
        return f"videos/{name}"

    def frame(self, name: str, frame: Frame, pictures: Pictures) -> str:
        """The path of a frame of a video."""
        from PIL import Image

        place = self.out / "frames" / name / f"{frame.at:09}.jpg"
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pictures.at(frame)).save(place, "JPEG", quality=95)
        return place.relative_to(self.out).as_posix()

    def _name(self, source: VideoSource) -> str:
        """The name of a video in the folder: its own, or one with a part of its hash if another has it."""
        sha = source.video.sha256
        plain = "".join(
            c if c.isprintable() and c not in '\\:*?"<>|' else "_" for c in source.path.name
        )
        path = Path(Name(plain).below(Path()).name)
        for name in (path.name, f"{path.stem}-{sha[:12]}{path.suffix}"):
            if self.taken.setdefault(name, sha) == sha:
                return name
        raise AssertionError("two videos with one hash have one name")


def _link(video: Path, place: Path) -> None:
    try:
        os.link(video, place)
    except OSError:
        place.symlink_to(video)
