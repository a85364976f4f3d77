"""Files that tests need and that are made, not stored: films, and videos that are broken."""

from __future__ import annotations

import random
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from stepc.world.render import write
from stepc.world.scene import make_film


def make(recipe: str, path: Path) -> None:
    """Write to `path` what `recipe` names; `film:SEED/SHOTS`, or a kind of broken file."""
    name, _, rest = recipe.partition(":")
    path.parent.mkdir(parents=True, exist_ok=True)
    match name:
        case "film":
            seed, _, shots = rest.partition("/")
            write(make_film(random.Random(seed), int(shots or 1)), path)
        case (
            "home" | "kitchen-chinese"
        ):  # a graph that has an answer for each question template of AGQA
            path.write_text(Path(__file__).with_name(f"{recipe}.stsg").read_text("utf-8"), "utf-8")
        case "empty":
            path.write_bytes(b"")
        case "noise":
            path.write_bytes(random.Random(0).randbytes(20_000))
        case "sound":
            with wave.open(str(path), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(8000)
                file.writeframes(np.zeros(8000, np.int16).tobytes())
        case "folder":
            path.mkdir()
        case "text":
            path.write_text(rest, "utf-8")
        case "grey":
            encode(path, [np.full((64, 64, 3), 90 + i, np.uint8) for i in range(10)])
        case "tiny":
            encode(path, [np.zeros((8, 8, 3), np.uint8)] * 5)
        case "cut-short":
            whole = path.with_suffix(".whole.mp4")
            write(make_film(random.Random("damaged"), 2), whole)
            with av.open(str(whole)) as source:
                options = {"movflags": "faststart"}
                with av.open(str(path), "w", options=options) as target:
                    stream = target.add_stream_from_template(source.streams.video[0])
                    for packet in source.demux(source.streams.video[0]):
                        if packet.dts is not None:
                            packet.stream = stream
                            target.mux(packet)
            whole.unlink()
            data = path.read_bytes()
            path.write_bytes(data[: len(data) * 6 // 10])
        case "cut-off":
            write(make_film(random.Random("damaged"), 2), path)
            path.write_bytes(path.read_bytes()[:15_000])
        case "no-frames":
            with av.open(str(path), "w") as container:
                stream = container.add_stream("mpeg4", rate=25)
                stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
                container.start_encoding()
        case _:
            raise ValueError(f"no recipe {recipe}")


def encode(path: Path, pictures: list[np.ndarray], times: list[int] | None = None) -> None:
    """An H.264 file of RGB pictures; `times` in milliseconds, else 25 a second."""
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        container.start_encoding()
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts = times[i] if times else i * 40
            frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
