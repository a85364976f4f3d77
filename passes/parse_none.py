"""parse-none: keyframes without a graph, for objects that come from elsewhere.   clips → fsg"""

from __future__ import annotations

from stepc.ir import types as t
from stepc.passmanager.base import Pass, Tools


class ParseNone(Pass[t.Clips, t.Fsg]):
    """Asks nothing. Each keyframe has an empty graph, and everything about it is unknown.

    `detect` adds what detectors find: `split,keyframes,parse-none,detect(from="boxes"),…`.
    """

    def run(self, unit: t.Clips, tools: Tools) -> t.Fsg:
        gaps = (
            t.Gap(where=frame, what=what)
            for frame in unit.keyframes
            for what in ("object", "attr", "rel")
        )
        return t.raise_to(t.Fsg, unit, gaps=tuple(gaps))
