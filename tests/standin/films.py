"""A film of two described clips, cut into each other, so that what is in them comes back."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

from standin.footage import Footage

SHOTS = (
    ("bunny", 0, 3000), ("carphone", 0, 2000), ("bunny", 3000, 5200), ("carphone", 2000, 4000),
)  # fmt: skip
"""(clip, from, to) of each shot, in ms."""
RATE, WIDTH, HEIGHT = 25, 320, 180


def write_mixed(footage: Footage, data: Path, out: Path) -> None:
    """Write the film, from the video files in `data`."""
    with av.open(str(out), "w") as made:
        stream = made.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "20"}
        count = 0
        for name, start, end in SHOTS:
            due = float(start)
            with av.open(str(data / footage.clips[name].file)) as source:
                shown = source.streams.video[0]
                first: int | None = None
                for picture in source.decode(shown):
                    first = picture.pts if first is None else first
                    at = float((picture.pts - first) * shown.time_base) * 1000
                    while due <= at < end:
                        small = picture.reformat(WIDTH, HEIGHT, "yuv420p")
                        small.pts, small.time_base = count, Fraction(1, RATE)
                        count += 1
                        made.mux(stream.encode(small))
                        due += 1000 / RATE
        made.mux(stream.encode())
