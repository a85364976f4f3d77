"""What is to be seen in the keyframes of real clips, and which keyframe a picture is."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
WIDTH, HEIGHT = 32, 18
"""Size of the thumbnails by which a keyframe is recognised."""
Picture = NDArray[np.uint8]


def thumbnail(picture: Picture) -> NDArray[np.int16]:
    """A picture (height, width, RGB) as a thumbnail (18, 32, 3)."""
    small = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return small.astype(np.int16)


def noun(text: str) -> str:
    """A label without article and plural ending, in lower case."""
    text = re.sub(r"^(a|an|the) ", "", text.strip().lower())
    plural = text.endswith("s") and not text.endswith(("ss", "us")) and len(text) > 3
    return text[:-1] if plural else text


@dataclass(frozen=True)
class Clue:
    """How a request mentions an object."""

    label: str
    number: int = 1
    """Its number among those of this label, counted from left to right."""
    of: int = 1


@dataclass(frozen=True)
class View:
    """One keyframe: what is there. Things are named by their identity in `descriptions.py`."""

    clip: Clip
    at: int
    """Time, in ms."""

    @cached_property
    def frame(self) -> dict[str, Any]:
        """What the description says of the keyframe: its clip, what is seen, a narrative."""
        return self.clip.described["frames"][self.at]

    @cached_property
    def things(self) -> dict[str, tuple[float, float, float, float]]:
        """Identity → (how often it is mentioned, x, y and depth of where it is, each 0 to 1)."""
        return {i: (*seen[:4],) for i, seen in self.frame["see"].items()}

    def labels(self, thing: str) -> Mapping[str, float]:
        """Names of a thing → their weights."""
        return self.clip.described["objects"][thing]["labels"]

    def called(self, label: str) -> list[str]:
        """The things that a label may mean, from left to right; exact names go before parts of names."""
        said = noun(label)
        names = {i: {noun(x) for x in self.labels(i)} for i in self.things}
        found = [i for i, mine in names.items() if said in mine]
        if not found:
            found = [i for i, mine in names.items() if any(said in x or x in said for x in mine)]
        return sorted(found, key=lambda i: self.things[i][1])

    def meant(self, clue: Clue) -> str | None:
        """The thing that a mention means, the most salient one; None if nothing here has that name."""
        found = self.called(clue.label)
        if not found:
            return None
        weight = {i: self.things[i][0] * (1 + self._share(i, clue.label)) for i in found}
        if clue.of < 2:
            return max(found, key=weight.__getitem__)
        likeliest = sorted(found, key=weight.__getitem__, reverse=True)[: clue.of]
        ordered = [i for i in found if i in likeliest]
        return ordered[min(clue.number, len(ordered)) - 1]

    def _share(self, thing: str, label: str) -> float:
        """How often a thing is called by a label."""
        labels = self.labels(thing)
        return labels.get(label, 0.0) / sum(labels.values())


@dataclass(frozen=True, eq=False)
class Clip:
    """One described video."""

    name: str
    described: dict[str, Any]

    @property
    def file(self) -> str:
        """The name of the video file."""
        return str(self.described["file"])

    @cached_property
    def views(self) -> dict[int, View]:
        """Time in ms → keyframe."""
        return {at: View(self, at) for at in self.described["frames"]}

    def kind(self, thing: str) -> str:
        """`static` or `dynamic`."""
        return str(self.described["objects"][thing]["kind"])

    def attributes(self, thing: str) -> dict[str, tuple[float, tuple[str, ...]]]:
        """Attribute kind → (how often it is given, its values; a value that begins with ! is an error)."""
        return self.described["objects"][thing]["attrs"]

    def motions(self, thing: str, start: int, end: int) -> list[str]:
        """What a thing does between two keyframes, in the words that a model may choose from."""
        told = self.described["motions"]
        exact = told.get((thing, start, end), [])
        near = (x for (who, a, b), xs in told.items() for x in xs
                if who == thing and a < end and b > start)  # fmt: skip
        return list(exact) or list(near)

    def moves(self, thing: str) -> bool:
        """Whether any motion of a thing is described."""
        return any(who == thing for who, *_ in self.described["motions"])


class Footage:
    """All described videos of a folder with `descriptions.py` and `keyframes.json`."""

    def __init__(self, folder: Path = HERE) -> None:
        spec = importlib.util.spec_from_file_location("described", folder / "descriptions.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.clips = {name: Clip(name, told) for name, told in module.VIDEOS.items()}
        thumbs = json.loads((folder / "keyframes.json").read_text())
        self._views: list[View] = []
        rows = []
        for key, text in thumbs.items():
            name, _, at = key.partition("/")
            self._views.append(self.clips[name].views[int(at)])
            rows.append(np.frombuffer(base64.b64decode(text), np.uint8))
        self._thumbs = np.stack(rows).astype(np.int16)

    def view(self, picture: Picture) -> View:
        """The described keyframe that is most like a picture."""
        off = np.abs(self._thumbs - thumbnail(picture).reshape(1, -1)).sum(axis=1)
        return self._views[int(off.argmin())]

    @cached_property
    def pools(self) -> list[list[str]]:
        """Lists of words for one fact: the names of a thing, its values of a kind, a motion, a relation."""
        made: list[list[str]] = []
        for clip in self.clips.values():
            told = clip.described
            made += [list(thing["labels"]) for thing in told["objects"].values()]
            made += [[v.lstrip("!") for v in values] for thing in told["objects"].values()
                     for _, values in thing["attrs"].values()]  # fmt: skip
            made += [list(x) for x in (*told["motions"].values(), *told["rel"].values())]
        return made

    def of_file(self, file: str) -> Clip:
        """The clip of a video file, by its name."""
        return next(c for c in self.clips.values() if c.file == file)


def write_thumbnails(footage: Sequence[tuple[Clip, Path]], folder: Path) -> Iterator[str]:
    """Write `keyframes.json`, from the described times of video files. Yields what was not found."""
    import av

    made: dict[str, str] = {}
    for clip, path in footage:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            first: int | None = None
            for picture in container.decode(stream):
                first = picture.pts if first is None else first
                time = round(float((picture.pts - first) * stream.time_base) * 1000)
                for at in clip.views:
                    if abs(time - at) <= 1:
                        small = thumbnail(picture.to_ndarray(format="rgb24")).astype(np.uint8)
                        made[f"{clip.name}/{at}"] = base64.b64encode(small.tobytes()).decode()
        yield from (f"{clip.name}/{at}" for at in clip.views if f"{clip.name}/{at}" not in made)
    (folder / "keyframes.json").write_text(json.dumps(made, indent=0) + "\n")
