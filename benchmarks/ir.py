"""Measures reading and writing a unit: validated JSON, the text form, and plain orjson.

    python benchmarks/ir.py [--nodes 10 1000 100000] [--rounds 5]

Uses units of level stsg with the given number of nodes (objects and attributes, and relations between objects).
Each unit is written and read in three ways, alternating: as JSON through pydantic, with every element validated
(as the store does); as text with its parser (the form for people); and with plain orjson, which validates
nothing and returns dictionaries (the lower bound). Prints medians over the rounds, in milliseconds per unit.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import pairwise

import orjson

from stepc.ir import types as t
from stepc.ir.text import read, write

SHA = "0" * 64


def unit_of(nodes: int) -> t.Stsg:
    """A unit with about `nodes` nodes: half objects, half attributes, plus a relation between neighbours."""
    per_clip = 10
    clips, objects, attributes, relations, motions = [], [], [], [], []
    trust, origin = t.Trust(votes=3, asked=3), t.Origin()
    for c in range(max(1, nodes // per_clip)):
        start = 2000 * c
        keyframes = tuple(t.Keyframe(id=f"c{c}.k{k}", at=start + 900 * k) for k in range(2))
        clips.append(t.Clip(id=f"c{c}", start=start, end=start + 2000, keyframes=keyframes))
        frames = tuple(k.id for k in keyframes)
        names = [f"c{c}/thing.{i}" if i > 1 else f"c{c}/thing" for i in range(1, per_clip // 2 + 1)]
        for name in names:
            objects.append(
                t.Object(
                    id=name, label="thing", op="static", frames=frames, trust=trust, origin=origin
                )
            )
            attributes.append(
                t.Attribute(
                    id=f"{name}/red",
                    kind="color",
                    value="red",
                    frames=frames,
                    trust=trust,
                    origin=origin,
                )
            )
        for one, other in pairwise(names):
            relations.append(
                t.Relation(
                    subject=one,
                    object=other,
                    predicate="left of",
                    frames=frames,
                    trust=trust,
                    origin=origin,
                )
            )
    end = 2000 * len(clips)
    video = t.Video(file="v.mp4", sha256=SHA, duration=end, rate="25", width=320, height=240)
    return t.Stsg(name="v", video=video, clips=tuple(clips), objects=tuple(objects),
                  attributes=tuple(attributes), relations=tuple(relations), motions=tuple(motions))  # fmt: skip


def timed(work: Callable[[], object]) -> float:
    """Wall-clock time in milliseconds."""
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--nodes", nargs="+", type=int, default=[10, 1000, 100000])
    parser.add_argument("--rounds", type=int, default=5)
    told = parser.parse_args()
    print(
        f"{'nodes':>8}{'KB':>8}{'write':>9}{'read':>9}{'text out':>10}{'text in':>10}{'orjson out':>12}{'in':>8}"
    )
    for nodes in told.nodes:
        unit = unit_of(nodes)
        data, text = unit.to_json(), write(unit)
        plain = orjson.loads(data)
        works: dict[str, Callable[[], object]] = {
            "write": unit.to_json,
            "read": lambda data=data: t.from_json(data),  # type: ignore[misc]
            "text out": lambda unit=unit: write(unit),  # type: ignore[misc]
            "text in": lambda text=text: read(text),  # type: ignore[misc]
            "orjson out": lambda plain=plain: orjson.dumps(plain),  # type: ignore[misc]
            "in": lambda data=data: orjson.loads(data),  # type: ignore[misc]
        }
        taken: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(told.rounds if nodes < 50_000 else 1):
            for name, work in works.items():
                taken[name].append(timed(work))
        ms = {name: statistics.median(times) for name, times in taken.items()}
        there = len(unit.objects) + len(unit.attributes)
        print(f"{there:8,}{len(data) / 1024:8.0f}{ms['write']:9.2f}{ms['read']:9.2f}{ms['text out']:10.2f}"
              f"{ms['text in']:10.1f}{ms['orjson out']:12.2f}{ms['in']:8.2f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
