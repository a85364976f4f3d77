"""lift: make each keyframe's graph its own clip, unmerged (the "w/o merging" ablation).   fsg → tsg"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from stepc.ir import types as t
from stepc.passmanager.base import Pass, Tools


class Lift(Pass[t.Fsg, t.Tsg]):
    """Skips temporal merging (section 4.4, w/o merging).

    Each keyframe becomes a clip of its own, cut halfway to its neighbours, so that each frame's graph
    stands alone: no node spans two keyframes, and there are no motions. (In one clip, an object seen
    twice would be two nodes with the same label, and no question about it would have a unique answer.)
    """

    def run(self, unit: t.Fsg, tools: Tools) -> t.Tsg:
        """Raise the unit to level tsg, with new clip numbers."""
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
            changes: dict[str, object] = {
                end: _moved(getattr(element, end), renamed) for end in ends
            }
            if isinstance(element, t.Relation):
                changes["during"] = None
            frames = tuple(renamed[f] for f in element.frames)
            return element.model_copy(update={**changes, "frames": frames})

        return t.raise_to(
            t.Tsg,
            unit,
            clips=tuple(clips),
            objects=tuple(moved(o, "id") for o in unit.objects),
            attributes=tuple(moved(a, "id") for a in unit.attributes),
            relations=tuple(moved(r, "subject", "object") for r in unit.relations),
            denied=tuple(
                moved(e, *(("subject", "object") if isinstance(e, t.Relation) else ("id",)))
                for e in unit.denied
            ),
            tracks=(),
            boxes=tuple(
                b.model_copy(update={"owner": _moved(b.owner, renamed), "frame": renamed[b.frame]})
                for b in unit.boxes
            ),
            gaps=(
                *(
                    g.model_copy(
                        update={
                            "where": _moved(g.where, renamed),
                            "other": g.other and _moved(g.other, renamed),
                        }
                    )
                    for g in unit.gaps
                    if t.frame_of(g.where) and g.what != "motion"
                ),
                *(t.Gap(where=c.id, what="motion") for c in clips),
            ),
        )


def _moved(identifier: str, renamed: dict[str, str]) -> str:
    frame, slash, rest = identifier.partition("/")
    return renamed[frame] + slash + rest
