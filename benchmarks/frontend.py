"""Measures shot detection and keyframe selection against plain decoding and a conventional implementation.

    python benchmarks/frontend.py --videos FILE... [--heights 480 1080] [--rounds 3]
    python benchmarks/frontend.py --videos FILE... --hours 2

Each file is re-encoded at each height (H.264, at least one key frame per 250 frames) and repeated until it is
`--seconds` long. The benchmark alternates between three variants and measures their CPU time:

- decoding only (the lower bound): the `ffmpeg` program, or its libraries if the program is not installed;
- PySceneDetect with OpenCV, a second OpenCV pass over the candidate frames, then a seek to each keyframe at full
  size: what a user would write, with the same criteria and the same clustering;
- stepc: probing the file, cuts, keyframes, and each keyframe at full size.

With `--hours` the footage is repeated without re-encoding, and the peak memory of stepc is printed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import scenedetect

from stepc.driver.compile_video import CompileConfig, Compiler
from stepc.ir import types as t
from stepc.lang.parse import builtin
from stepc.passes.keyframes import LONGEST, Keyframes, _Seen
from stepc.passmanager.base import Tools
from stepc.passmanager.run import run
from stepc.video.decode import Pictures, decoded_frames, shrink
from stepc.video.probe import probe


def encoded(path: Path, to: Path, height: int, seconds: float) -> Path:
    """Re-encode a file at another height (pixels), repeated until it has the given length in seconds."""
    source = probe(path)
    width = round(source.video.width * height / source.video.height / 2) * 2
    rate = Fraction(source.video.rate)
    with av.open(str(to), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "23", "preset": "fast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        number = 0
        while number < seconds * rate:
            for look in decoded_frames(source):
                frame = look.frame.reformat(width, height, "yuv420p", interpolation="BICUBIC")
                frame.pts, frame.time_base = number, 1 / rate
                number += 1
                container.mux(stream.encode(frame))
                if number >= seconds * rate:
                    break
        container.mux(stream.encode())
    return to


def repeated(path: Path, to: Path, hours: float) -> Path:
    """Repeat a file's packets, without re-encoding, to at least the given number of hours."""
    with av.open(str(path)) as source:
        stream = source.streams.video[0]
        packets = [p for p in source.demux(stream) if p.pts is not None]
        length = max(p.pts + (p.duration or 1) for p in packets)
        assert stream.time_base is not None
        with av.open(str(to), "w") as container:
            copy = container.add_stream_from_template(stream)
            for turn in range(round(hours * 3600 / float(length * stream.time_base)) + 1):
                for packet in packets:
                    again = av.Packet(bytes(packet))
                    again.pts, again.dts = (
                        packet.pts + turn * length,
                        (packet.dts or 0) + turn * length,
                    )
                    again.duration, again.is_keyframe = packet.duration, packet.is_keyframe
                    again.stream, again.time_base = copy, stream.time_base
                    container.mux(again)
    return to


# --- three variants ----------------------------------------------------------------------


def limit(path: Path) -> int:
    """Decode all frames and do nothing else."""
    if shutil.which("ffmpeg"):
        command = ["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:v:0", "-f", "null", "-"]
        subprocess.run(command, check=True)
        return 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        return sum(1 for _ in container.decode(stream))


def usual(path: Path) -> int:
    """PySceneDetect, a second pass for keyframes, and seeks; returns the number of keyframes."""
    scenes = scenedetect.detect(str(path), scenedetect.AdaptiveDetector(), start_in_scene=True)
    capture = cv2.VideoCapture(str(path))
    rate = capture.get(cv2.CAP_PROP_FPS)
    choose, tools = Keyframes(), Tools(Pictures())
    chosen: list[int] = []
    number = 0
    for start, end in scenes:
        length = end.frame_num - start.frame_num
        stride = max(round(rate / choose.often), -(-length // choose.looked_at))
        seen = []
        while number < end.frame_num:
            there, picture = capture.read()
            if not there:
                break
            if (number - start.frame_num) % stride == 0:
                seen.append(_Seen(number, shrink(np.asarray(picture, np.uint8), LONGEST), None))
            number += 1
        if seen:
            clip = t.Clip(id="c0", start=0, end=round(length / rate * 1000))
            chosen += [s.at for s in choose.chosen(clip, seen, tools)]
    full = 0
    for place in chosen:
        capture.set(cv2.CAP_PROP_POS_FRAMES, place)
        full += capture.read()[0]
    return full


def ours(path: Path) -> int:
    """The passes `split` and `keyframes`, and decoding of every keyframe; returns the number of keyframes."""
    unit: Any = COMPILER.start(path)
    tools = COMPILER.tools()
    for done in run(COMPILER.passes, unit, tools):
        unit = done.unit
    frames = [t.Frame(video=unit.video.sha256, at=k.at) for k in unit.keyframes.values()]
    return sum(tools.pictures.at(frame).size > 0 for frame in frames)


COMPILER = Compiler(CompileConfig("split,keyframes", "", builtin("step"), "step.step"))
"""One compiler per process, shared by all its videos."""
WAYS: dict[str, Callable[[Path], int]] = {"decoding": limit, "conventional": usual, "stepc": ours}


def _processor(way: str, path: Path) -> float:
    """CPU time of a variant in seconds, including child processes, measured in a separate process."""
    context = multiprocessing.get_context("fork")
    results: Any = context.SimpleQueue()

    def measured() -> None:
        def spent() -> float:
            kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
            return sum(sum(resource.getrusage(kind)[:2]) for kind in kinds)

        before = spent()
        WAYS[way](path)
        results.put(spent() - before)

    process = context.Process(target=measured)
    process.start()
    process.join()
    taken: float = results.get()
    return taken


def compared(path: Path, rounds: int) -> Iterator[str]:
    """A row of the table: decoding time in CPU seconds, and the other variants relative to it."""
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            taken[way].append(_processor(way, path))
    base = statistics.median(taken["decoding"])
    yield f"{base:8.2f} s"
    for way in ("conventional", "stepc"):
        pairs = [a / b for a, b in zip(taken[way], taken["decoding"], strict=True)]
        yield f"{statistics.median(pairs):14.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--videos", nargs="+", type=Path, required=True)
    parser.add_argument("--heights", nargs="+", type=int, default=[480, 1080])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hours", type=float, default=0.0)
    told = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        if told.hours:
            for video in told.videos:
                path = repeated(video, Path(folder) / "long.mp4", told.hours)
                start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                began = time.perf_counter()
                keyframes = ours(path)
                end = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                print(f"{video.name}, {told.hours:g} hours: {keyframes} keyframes, "
                      f"{time.perf_counter() - began:.0f} s, {start >> 10} MB before, {end >> 10} MB peak")  # fmt: skip
            return
        print(f"{'':28}{'decoding':>10}{'conventional':>14}{'stepc':>14}   (relative to decoding)")
        for video in told.videos:
            for height in told.heights:
                path = encoded(
                    video, Path(folder) / f"{video.stem}-{height}.mp4", height, told.seconds
                )
                print(
                    f"{video.stem[:20]:20}{height:7}p{''.join(compared(path, told.rounds))}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
