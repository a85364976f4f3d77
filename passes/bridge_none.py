"""bridge-none: leave clips unconnected (the "w/o bridging" ablation).   tsg → stsg"""

from __future__ import annotations

from stepc.ir import types as t
from stepc.passmanager.base import Pass, Tools


class BridgeNone(Pass[t.Tsg, t.Stsg]):
    """Adds no reference edges and no events (section 4.4, w/o bridging)."""

    def run(self, unit: t.Tsg, tools: Tools) -> t.Stsg:
        gaps = (t.Gap(where=c.id, what="event") for c in unit.clips)
        return t.raise_to(t.Stsg, unit, gaps=(*unit.gaps, *gaps))
