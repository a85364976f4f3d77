"""merge-tracks: objects of keyframes become objects of clips by their tracks, without a model.   fsg → tsg"""

from __future__ import annotations

from itertools import pairwise

from stepc.ir import types as t
from stepc.ir.coreference import groups_by_track
from stepc.passes.merge import Merge
from stepc.passmanager.base import Pass, Tools


class MergeTracks(Pass[t.Fsg, t.Tsg]):
    """Takes objects on one track as one object, and asks nothing.

    What objects do is not known; `place` adds movements by tracks. Objects without a track stay apart: which
    of them are the same is not known, and nothing is asked that depends on it.
    """

    def run(self, unit: t.Fsg, tools: Tools) -> t.Tsg:
        tsg, moving = Merge().merged(unit, groups_by_track(unit), tools)
        at = {k.id: k.at for k in tsg.keyframes.values()}
        gaps = [t.Gap(where=c.id, what="motion") for c in tsg.clips if len(c.keyframes) < 2]
        for members in moving:
            row = sorted(members, key=lambda m: at[t.frame_of(m) or ""])
            if len(row) == 1:
                gaps.append(t.Gap(where=row[0], what="motion"))
            gaps += [t.Gap(where=a, what="motion", other=b) for a, b in pairwise(row)]
        return tsg.evolve(gaps=(*tsg.gaps, *gaps))
