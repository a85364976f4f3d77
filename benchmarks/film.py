"""Measures what grows with the length of a film: calls and CPU time of the passes that ask, and stepc's own work.

    python benchmarks/film.py shots [--shots 25 50 100 200 400] [--plot docs/_static/shots.svg]
    python benchmarks/film.py prefixes [--shots 100] [--kept 100]
    python benchmarks/film.py graphs [--clips 60 200 600 2000]

`shots` builds films from the keyframes of the three described clips of `tests/standin`, three to a shot, which
come back again and again, and lowers them with the stand-in for a 7B Video-LLM that answers about them.
`prefixes` does so with a server whose prefix cache keeps some pictures, and counts those that it has to read,
for each number of keyframes that are asked about before others (`ModelClient.window`).
`graphs` takes the true graphs of rendered films, with their clips, events and references, and times what stepc
does with them without a model. Linear work takes the same time per shot or clip in each row.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent.parent
sys.path.insert(0, str(HERE / "tests"))

import orjson  # noqa: E402
import test_standin as fixture  # noqa: E402
from standin.server import Standin  # noqa: E402

from stepc.driver.compile_video import split_pipeline  # noqa: E402
from stepc.ir import types as t  # noqa: E402
from stepc.ir.graph import graph  # noqa: E402
from stepc.ir.text import read, write  # noqa: E402
from stepc.ir.types import from_json  # noqa: E402
from stepc.ir.verify import verify  # noqa: E402
from stepc.lang.parse import builtin  # noqa: E402
from stepc.lang.resolve import read_spec  # noqa: E402
from stepc.model.client import ModelClient  # noqa: E402
from stepc.model.templates import Templates  # noqa: E402
from stepc.passmanager.base import Tools  # noqa: E402
from stepc.passmanager.run import run  # noqa: E402
from stepc.video.decode import Pictures  # noqa: E402
from stepc.video.probe import probe  # noqa: E402
from stepc.world.ground_truth import truth  # noqa: E402
from stepc.world.scene import make_film  # noqa: E402

LOWERING = "parse,confirm,merge,bridge,confirm"
SHA = "f" * 64
LENGTH = 4000
"""Milliseconds of a shot."""


class Film(Pictures):
    """The pictures of a film whose keyframes are those of described clips."""

    def __init__(self, shots: int) -> None:
        super().__init__()
        real = Pictures()
        self.shown: dict[int, Any] = {}
        scenes = []
        for clip in fixture.CLIPS:
            source = probe(fixture.DATA / clip.file)
            real.add(source)
            times = sorted(clip.views)
            frames = [t.Frame(video=source.video.sha256, at=at) for at in times]
            scenes += [frames[i : i + 3] for i in range(0, len(frames) - 2, 3)]
        pictures = [[real.at(frame) for frame in scene] for scene in scenes]
        clips = []
        for n in range(shots):
            keyframes = []
            for k, picture in enumerate(pictures[n % len(pictures)]):
                at = n * LENGTH + 1000 * k + 500
                self.shown[at] = picture
                keyframes.append(t.Keyframe(id=f"c{n}.k{k}", at=at))
            start = n * LENGTH
            clips.append(
                t.Clip(id=f"c{n}", start=start, end=start + LENGTH, keyframes=tuple(keyframes))
            )
        video = t.Video(
            file="film.mp4", duration=shots * LENGTH, rate="25", width=640, height=360, sha256=SHA
        )
        self.unit = t.Clips(name="film", video=video, clips=tuple(clips))

    def at(self, frame: t.Frame) -> Any:
        return self.shown[frame.at]


class Quick(Standin):
    """The stand-in, with the time that it takes itself."""

    took = 0.0

    def generate(self, prompts: Any, pictures: Pictures, done: Callable[[Any], None]) -> None:
        began, made = time.process_time(), list[Any]()
        super().generate(prompts, pictures, made.append)
        self.took += time.process_time() - began
        for each in made:
            done(each)


def shots(numbers: list[int], plot: Path | None) -> None:
    """Print calls and CPU time by shots, and draw them."""
    rows = []
    print(
        f"{'shots':>6} {'objects':>8} {'calls':>8} {'per shot':>9} {'CPU s':>8} {'ms a shot':>10}"
    )
    for n in numbers:
        film, model = Film(n), Quick(fixture.FOOTAGE, fixture.Manner())
        client = ModelClient(model, Templates("default"), film, 1, together=24)
        tools = Tools(film, model=lambda client=client: client, seed=1)  # type: ignore[misc]
        unit: t.Unit = film.unit
        began = time.process_time()
        for done in run(split_pipeline(LOWERING)[0], unit, tools):
            unit = done.unit
        took = time.process_time() - began - model.took
        calls = model.calls.total()
        rows.append((n, calls, took))
        objects = len(unit.objects) if isinstance(unit, t.Fsg) else 0
        print(
            f"{n:6} {objects:8,} {calls:8,} {calls / n:9.2f} {took:8.2f} {1000 * took / n:10.1f}",
            flush=True,
        )
    if plot is not None:
        draw(rows, plot)


class Keeping(Standin):
    """The stand-in behind a prefix cache, which keeps the pictures that were shown last."""

    def __init__(self, kept: int) -> None:
        super().__init__(fixture.FOOTAGE, fixture.Manner())
        self.kept = kept
        self.cache: OrderedDict[tuple[t.Frame, ...], None] = OrderedDict()
        """Pictures with all those before them in a request, the one that was used last at the end"""
        self.shown = self.read = 0
        """Pictures in requests, and those that were not in the cache."""

    def generate(self, prompts: Any, pictures: Pictures, done: Callable[[Any], None]) -> None:
        def noted(made: Any) -> None:
            frames = made.prompt.frames
            self.shown += len(frames)
            for n in range(1, len(frames) + 1):
                if frames[:n] in self.cache:
                    self.cache.move_to_end(frames[:n])
                    continue
                self.read += 1
                self.cache[frames[:n]] = None
                if len(self.cache) > self.kept:
                    self.cache.popitem(last=False)
            done(made)

        super().generate(prompts, pictures, noted)


def prefixes(number: int, kept: int) -> None:
    """Print the pictures that a server reads, by the keyframes that are asked about at a time."""
    print(f"{'window':>8} {'keyframes':>10} {'shown':>8} {'read':>8} {'per keyframe':>13}")
    for window in (None, 256, 64, 16):
        film, model = Film(number), Keeping(kept)
        client = ModelClient(model, Templates("default"), film, 1, together=24, window=window)
        tools = Tools(film, model=lambda client=client: client, seed=1)  # type: ignore[misc]
        for _ in run(split_pipeline(LOWERING)[0], film.unit, tools):
            pass
        keyframes = len(film.unit.keyframes)
        print(
            f"{window or 'all':>8} {keyframes:10,} {model.shown:8,} {model.read:8,}"
            f" {model.read / keyframes:13.2f}",
            flush=True,
        )


def draw(rows: list[tuple[int, int, float]], plot: Path) -> None:
    """Two lines over the number of shots: calls, and seconds."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "stepc"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(8, 3), layout="constrained")
    for ax, column, name in zip(axes, (1, 2), ("model calls", "seconds of CPU"), strict=True):
        ax.plot([r[0] for r in rows], [r[column] for r in rows], "o-", color="#2563eb")
        ax.set(xlabel="shots", ylabel=name, xlim=(0, None), ylim=(0, None))
        ax.grid(alpha=0.3)
    figure.savefig(plot, metadata={"Date": None})


NAMES = ("graph", "verify", "write", "read", "JSON out", "JSON in", "canonicalize", "sample", "compose",
         "check")  # fmt: skip


PART = 10
"""Clips of a rendered film."""


def long_graph(clips: int) -> t.Stsg:
    """The true graphs of rendered films one after another, as one film."""
    whole: dict[str, Any] = {}
    for n in range(clips // PART):
        part = truth(make_film(random.Random(n), PART), "film", "film.mp4", SHA)
        data = orjson.loads(part.to_json())
        length = part.video.duration
        data = _moved(data, n * PART, n * length if not whole else whole["video"]["duration"])
        if not whole:
            whole = data
            continue
        whole["video"]["duration"] += length
        for name, value in data.items():
            if isinstance(value, list):
                whole[name] = whole.get(name, []) + value
    made = from_json(orjson.dumps(whole))
    assert isinstance(made, t.Stsg)
    return made


def _moved(data: Any, clips: int, ms: int, key: str = "") -> Any:
    """A JSON form with later clips and times."""
    if isinstance(data, dict):
        return {k: v if k == "video" else _moved(v, clips, ms, k) for k, v in data.items()}
    if isinstance(data, list):
        return [_moved(x, clips, ms, key) for x in data]
    if isinstance(data, str) and (m := re.match(r"c(\d+)(?=$|[./])", data)):
        return f"c{int(m[1]) + clips}{data[m.end() :]}"
    return data + ms if key in ("start", "end", "at") and isinstance(data, int) else data


def own_work(clips: int, spec: Any) -> tuple[int, list[float]]:
    """(nodes, seconds of CPU time of each of `NAMES`) for the graph of a film."""
    unit: Any = long_graph(clips)
    nodes = len(unit.objects) + len(unit.attributes) + len(unit.events)
    took = []

    def timed(work: Callable[..., Any], *arguments: Any) -> Any:
        began = time.process_time()
        made = work(*arguments)
        took.append(time.process_time() - began)
        return made

    timed(graph, unit)
    timed(verify, unit)
    text = timed(write, unit)
    timed(read, text)
    data = timed(unit.to_json)
    timed(from_json, data)
    tools = Tools(Pictures(), spec=spec, seed=1)
    for each in split_pipeline("canonicalize,sample,compose,check")[0]:
        *_, done = timed(lambda each=each, unit=unit: [*run([each], unit, tools)])
        unit = done.unit
    return nodes, took


def graphs(numbers: list[int]) -> None:
    """Print the milliseconds per clip of stepc's own work."""
    spec = read_spec(builtin("step"))
    print(f"{'clips':>6} {'nodes':>8}" + "".join(f"{name:>13}" for name in NAMES))
    for n in numbers:
        nodes, took = own_work(n, spec)
        print(f"{n:6} {nodes:8,}" + "".join(f"{1000 * s / n:13.2f}" for s in took), flush=True)


def main() -> None:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("shots")
    one.add_argument("--shots", type=int, nargs="+", default=[25, 50, 100, 200, 400])
    one.add_argument("--plot", type=Path)
    kept = commands.add_parser("prefixes")
    kept.add_argument("--shots", type=int, default=100)
    kept.add_argument("--kept", type=int, default=100)
    other = commands.add_parser("graphs")
    other.add_argument("--clips", type=int, nargs="+", default=[60, 200, 600, 2000])
    given = parser.parse_args()
    if given.command == "shots":
        shots(given.shots, given.plot)
    elif given.command == "prefixes":
        prefixes(given.shots, given.kept)
    else:
        graphs(given.clips)


if __name__ == "__main__":
    main()
