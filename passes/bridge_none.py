"""bridge-none: clips side by side, nothing between them (the "w/o bridging" ablation).   tsg → stsg"""

from __future__ import annotations

from stepc.ir import types as t
from stepc.passmanager.base import Pass, Tools


class BridgeNone(Pass[t.Tsg, t.Stsg]):
    """The clips' graphs as they are: no reference edges and no events."""

    def run(self, unit: t.Tsg, tools: Tools) -> t.Stsg:
        """The unit at level stsg."""
        return t.raise_to(t.Stsg, unit)
