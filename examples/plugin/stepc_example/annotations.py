"""A reader of annotations: lines of `time,subject,predicate,object` about one video."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from stepc.annotations.reader import AnnotationReader, Videos
from stepc.annotations.scene import AnnotatedScene


class TripletReader(AnnotationReader):
    """Things are known by their labels: there is one of each."""

    name = "triplets"
    title = "Triplets"
    help = "A CSV file, named as its video is."

    def scenes(self, path: Path, videos: Videos) -> Iterator[AnnotatedScene]:
        """The scene of the file."""
        with path.open(encoding="utf-8", newline="") as lines:
            rows = [(round(1000 * float(time)), *rest) for time, *rest in csv.reader(lines)]
        frames = round(max(at for at, *_ in rows) * 25 / 1000) + 25
        clock = videos.clock(path.stem, f"{path.stem}.mp4", (640, 360), frames, 25.0)
        scene = AnnotatedScene(path.stem, clock.shown, "triplets")
        for at, one, said, other in rows:
            scene.see(one, one, at)
            scene.see(other, other, at)
            scene.relate(one, said, other, [at])
        yield scene


TRIPLETS = TripletReader()
