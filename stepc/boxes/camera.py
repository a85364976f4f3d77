"""Whether the camera moves: by what most corners of the picture do that are not in boxes."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from stepc.ir.geometry import Area
from stepc.video.decode import Picture

UNCHANGED = 8
"""By how much the luma of a pixel may change, 0 to 255, in a picture that stays as it is."""
CORNERS = 200
"""Maximum corners to look for."""
ENOUGH = 12
"""Least number of corners that tell."""


def moved(before: Picture, now: Picture, boxes: Sequence[Area]) -> float | None:
    """By how many thousandths the background moves from one small picture (BGR) to the next.

    That is the largest shift of a corner of the picture under the best similarity; 0 if the picture outside
    of the boxes does not change. None if too few corners there are found again.
    """
    high, wide = now.shape[:2]
    mask = np.full((high, wide), 255, np.uint8)
    for b in boxes:
        mask[b.top * high // 1000 : -(-b.bottom * high // 1000),
             b.left * wide // 1000 : -(-b.right * wide // 1000)] = 0  # fmt: skip
    one, two = (cv2.cvtColor(x, cv2.COLOR_BGR2GRAY) for x in (before, now))
    changed = cv2.absdiff(one, two)[mask > 0]
    if changed.size and np.percentile(changed, 99) <= UNCHANGED:
        return 0.0
    corners = cv2.goodFeaturesToTrack(one, CORNERS, 0.01, 7, mask=mask)
    if corners is None or len(corners) < ENOUGH:
        return None
    there, found, _ = cv2.calcOpticalFlowPyrLK(one, two, corners, None)
    kept = found.ravel() == 1
    if kept.sum() < ENOUGH:
        return None
    how, inliers = cv2.estimateAffinePartial2D(
        corners[kept], there[kept], method=cv2.RANSAC, ransacReprojThreshold=1.5
    )
    if how is None or inliers.sum() < ENOUGH / 2:
        return None
    edges = np.array([[0, 0, 1], [wide, 0, 1], [0, high, 1], [wide, high, 1]], float)
    shift = np.abs(edges @ how.T - edges[:, :2]) / (wide, high)
    return float(1000 * shift.max())
