"""Which boxes are those of which objects of a keyframe."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from stepc.boxes.detection import Detection
from stepc.ir.geometry import Area, iou

SAME_PLACE = 0.5
"""Least intersection over union of two boxes of one object in one picture."""


def pair_boxes(
    ours: Sequence[Area],
    theirs: Sequence[Area],
    may_be: Callable[[int, int], bool],
    least: float = SAME_PLACE,
) -> list[tuple[int, int]]:
    """Pair boxes that cover the same place, so that they cover most in all.

    `may_be` tells whether the n-th of ours and the n-th of theirs may be of one object.
    """
    if not ours or not theirs:
        return []
    shared = np.array([[iou(a, b) if may_be(i, j) else 0.0 for j, b in enumerate(theirs)]
                       for i, a in enumerate(ours)])  # fmt: skip
    rows, columns = linear_sum_assignment(-shared)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if shared[i, j] >= least]


def without_doubles(
    found: Sequence[Detection], same: Callable[[str, str], bool]
) -> list[Detection]:
    """Detections without those that are of an object with a better score: same label, same place.

    Those on different tracks are of different objects, wherever they are.
    """
    kept: list[Detection] = []
    for d in sorted(found, key=lambda d: (-d.score, d.left, d.top, d.right, d.bottom, d.label)):
        others = (k for k in kept if None in (d.track, k.track) or d.track == k.track)
        if not any(same(d.label, k.label) and iou(d, k) >= SAME_PLACE for k in others):
            kept.append(d)
    return kept
