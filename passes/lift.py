"""lift: each keyframe's graph a clip's graph, nothing merged (the "w/o merging" ablation).   fsg → tsg"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from stepc.ir import types as t
from stepc.passmanager.base import Pass, Tools


class Lift(Pass[t.Fsg, t.Tsg]):
    """Frame scene graphs without the temporal merging (section 4.4, w/o merging).

    Each keyframe becomes a clip of its own, cut halfway between it and its neighbours, so that
    every frame's graph stands alone: no node holds in two keyframes, and there are no motions.
    (Left in one clip, an object seen twice would be two of one name, and no question about it
    would have one answer.)
    """

    def run(self, unit: t.Fsg, tools: Tools) -> t.Tsg:
        """The unit at level tsg, its clips numbered anew."""
        renamed: dict[str, str] = {}
        clips: list[t.Clip] = []
        for clip in unit.clips:
            halfway = [(a.at + b.at + 1) // 2 for a, b in pairwise(clip.keyframes)]
            edges = [clip.start, *halfway, clip.end]
            for keyframe, (start, end) in zip(clip.keyframes, pairwise(edges), strict=True):
                name = f"c{len(clips)}"
                frame = t.Keyframe(id=f"{name}.k0", at=keyframe.at)
                renamed[keyframe.id] = frame.id
                clips.append(t.Clip(id=name, start=start, end=end, keyframes=(frame,)))
        tools.counts.add("clips", len(clips))

        def moved(element: Any, *ends: str) -> Any:
            changes = {end: _moved(getattr(element, end), renamed) for end in ends}
            frames = tuple(renamed[f] for f in element.frames)
            return element.model_copy(update={**changes, "frames": frames})

        return t.raise_to(
            t.Tsg,
            unit,
            clips=tuple(clips),
            objects=tuple(moved(o, "id") for o in unit.objects),
            attributes=tuple(moved(a, "id") for a in unit.attributes),
            relations=tuple(moved(r, "subject", "object") for r in unit.relations),
        )


def _moved(identifier: str, renamed: dict[str, str]) -> str:
    frame, slash, rest = identifier.partition("/")
    return renamed[frame] + slash + rest
