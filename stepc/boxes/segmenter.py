"""Video segmenters of `transformers` (SAM 2, EdgeTAM, SAM 3), which follow objects from their boxes."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from stepc.boxes.detection import Detection, in_thousandths
from stepc.boxes.detectors import loading
from stepc.ir.geometry import iou
from stepc.video.decode import Picture

KINDS = {
    "sam2": ("Sam2VideoModel", "Sam2VideoProcessor"),
    "sam2_video": ("Sam2VideoModel", "Sam2VideoProcessor"),
    "edgetam_video": ("EdgeTamVideoModel", "Sam2VideoProcessor"),
    "sam3_video": ("Sam3TrackerVideoModel", "Sam3TrackerVideoProcessor"),
    "sam3_tracker_video": ("Sam3TrackerVideoModel", "Sam3TrackerVideoProcessor"),
}
"""`model_type` → the classes of the model and of its processor. All of them take boxes."""
FOUND_AGAIN = 0.5
"""Least IoU of a box with where an object is followed to, that makes it this object."""


class ClipPicture(NamedTuple):
    """A picture of a clip, with what is known to be in it."""

    at: int
    """Time in ms."""
    picture: Picture
    boxes: Sequence[Detection] = ()


class Segmenter:
    """A model that follows objects through pictures from their boxes in the first one."""

    def __init__(self, name: str) -> None:
        """Load the model `name`. Raises StepcError (M004) if it cannot be loaded, or is no segmenter."""
        with loading(
            name, "a video segmenter: a folder, or a model on the hub; it needs torchvision"
        ):
            import torch
            import transformers

            model, processor = _classes(name)
            self.processor: Any = getattr(transformers, processor).from_pretrained(name)
            self.device = "cuda" if torch.cuda.is_available() else "cpu"
            self.model: Any = getattr(transformers, model).from_pretrained(name)
            self.model = self.model.to(self.device).eval()
        self.name = Path(name).name

    def follow(
        self, pictures: Sequence[Picture], boxes: Sequence[Detection]
    ) -> Iterator[list[Detection | None]]:
        """Where the objects are whose boxes in the first picture are given, picture by picture.

        None for what is out of sight.
        """
        import torch

        high, wide = pictures[0].shape[:2]
        session = self.processor.init_video_session(
            video=[*pictures], inference_device=self.device, video_storage_device="cpu",
            dtype=self.model.dtype,
        )  # fmt: skip
        edges = [
            [
                d.left * wide / 1000,
                d.top * high / 1000,
                d.right * wide / 1000,
                d.bottom * high / 1000,
            ]
            for d in boxes
        ]
        self.processor.add_inputs_to_inference_session(
            inference_session=session,
            frame_idx=0,
            obj_ids=[*range(len(boxes))],
            input_boxes=[edges],
        )
        with torch.inference_mode():
            for out in self.model.propagate_in_video_iterator(session, start_frame_idx=0):
                (masks,) = self.processor.post_process_masks(
                    [out.pred_masks], original_sizes=[[high, wide]], binarize=True
                )
                yield [
                    _around(mask[0], d, wide, high) for mask, d in zip(masks, boxes, strict=True)
                ]


def _around(mask: Any, like: Detection, wide: int, high: int) -> Detection | None:
    """The box around a mask, with the label and the score of another box; None if the mask is empty."""
    rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
    if not len(rows):
        return None
    edges = [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]
    area = in_thousandths([float(e) for e in edges], wide, high)
    return None if area is None else Detection(like.label, *area, like.score)


def follow_boxes(segmenter: Segmenter, sights: Sequence[ClipPicture]) -> dict[int, list[Detection]]:
    """Time → where the objects of a clip are, each with the number of its track.

    A box is of an object that is followed already, if that has its label and is at its place. Else it begins
    a track, which is followed to the end of the clip.
    """
    made: dict[int, list[Detection]] = {s.at: [] for s in sights}
    numbers = count(1)
    for first, sight in enumerate(sights):
        here = made[sight.at]
        new = [
            d
            for d in sight.boxes
            if not any(d.label == x.label and iou(d, x) >= FOUND_AGAIN for x in here)
        ]
        if not new:
            continue
        tracks = [next(numbers) for _ in new]
        rest = sights[first:]
        for at, found in zip(
            (s.at for s in rest), segmenter.follow([s.picture for s in rest], new), strict=True
        ):
            made[at] += [
                replace(d, track=n) for n, d in zip(tracks, found, strict=True) if d is not None
            ]
    return made


def _classes(name: str) -> tuple[str, str]:
    """The classes of a model and its processor. Raises ValueError if it is not a video segmenter."""
    import transformers

    kind = str(transformers.AutoConfig.from_pretrained(name).model_type)
    if kind not in KINDS:
        raise ValueError(f"`{kind}` follows no boxes through a video")
    return KINDS[kind]


def check_segmenter(name: str) -> None:
    """Check that there is a segmenter `name`, without its weights. Raises StepcError (M004)."""
    with loading(name, "a video segmenter: a folder, or a model on the hub; it needs torchvision"):
        _classes(name)


@functools.lru_cache(1)
def load_segmenter(name: str) -> Segmenter:
    """The segmenter `name`, loaded once. Raises StepcError (M004)."""
    return Segmenter(name)
