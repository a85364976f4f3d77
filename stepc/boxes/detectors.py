"""Detectors of `transformers`, from a hub or a folder: with labels of their own, or for any words."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stepc.boxes.detection import Detection, in_thousandths
from stepc.boxes.faces import NAME as FACES
from stepc.boxes.faces import FaceDetector, version
from stepc.diagnostics import fail
from stepc.ir.words import normal
from stepc.video.decode import Picture


class Detector:
    """A model that finds objects in pictures, such as D-FINE, YOLOS, Grounding DINO or OWLv2."""

    def __init__(self, name: str) -> None:
        """Load the model `name`. Raises StepcError (M004) if it cannot be loaded, or is no detector."""
        with loading(name):
            import torch
            import transformers

            config, self.any_words = _config(name)
            load = (
                transformers.AutoModelForZeroShotObjectDetection
                if self.any_words
                else transformers.AutoModelForObjectDetection
            )
            opened = (
                transformers.AutoProcessor if self.any_words else transformers.AutoImageProcessor
            )
            self.processor: Any = opened.from_pretrained(name)
            device = "cuda" if torch.cuda.is_available() else "cpu"
            self.model: Any = load.from_pretrained(name).to(device).eval()
        self.name = Path(name).name
        self.words = frozenset(
            () if self.any_words else map(str, getattr(config, "id2label", {}).values())
        )

    def find(self, picture: Picture, labels: Sequence[str], least: float) -> list[Detection]:
        """What is found in a picture (RGB) with at least the score `least`, 0 to 1.

        A model for any words looks for `labels`, and finds nothing if there are none.
        """
        import torch

        asked = list(dict.fromkeys(map(str.lower, labels)))
        if self.any_words and not asked:
            return []
        size = [picture.shape[:2]]
        more: dict[str, Any] = {"text": [asked]} if self.any_words else {}
        inputs = self.processor(images=[picture], return_tensors="pt", **more).to(self.model.device)
        with torch.inference_mode():
            outputs = self.model(**inputs)
        if not self.any_words:
            (found,) = self.processor.post_process_object_detection(
                outputs, threshold=least, target_sizes=size
            )
            names = [str(self.model.config.id2label[int(i)]) for i in found["labels"]]
        else:
            (found,) = self.processor.post_process_grounded_object_detection(
                outputs, threshold=least, target_sizes=size, text_labels=[asked]
            )
            said = found.get("text_labels")
            names = [str(x) for x in (found["labels"] if said is None else said)]
        made: list[Detection] = []
        if not len(found["scores"]):  # the names may be [""] then
            return made
        for name, score, box in zip(names, found["scores"], found["boxes"], strict=True):
            label = _asked(name, asked) if self.any_words else name
            high, wide = picture.shape[:2]
            area = in_thousandths([float(e) for e in box], wide, high)
            if label and area is not None:
                made.append(Detection(label, *area, min(1000, round(1000 * float(score)))))
        return made


def _asked(said: str, asked: Sequence[str]) -> str:
    """The label of those asked for that a model says, perhaps only in part or with others; "" if none."""
    words = set(normal(said).split())
    exact = [label for label in asked if normal(label) == normal(said)]
    inside = [label for label in asked if set(normal(label).split()) <= words]
    near = exact or inside
    return near[0] if len(near) == 1 else ""


@contextmanager
def loading(
    name: str, wanted: str = "a detector: a folder, or a model on the hub"
) -> Iterator[None]:
    """Turn what goes wrong while a model is loaded into an error (M004). `wanted` says what it must be."""
    try:
        yield
    except (ImportError, OSError, ValueError, KeyError) as error:
        said = " ".join(str(error).split())[:300]
        help = f"name {wanted}, with stepc[local]"
        message = f"the model `{name}` cannot be loaded: {said}"
        raise fail("M004", message, help=help) from None


def _config(name: str) -> tuple[Any, bool]:
    """The config of a detector, and whether it takes any words. Raises ValueError if it is none."""
    import transformers
    from transformers.models.auto import modeling_auto

    config = transformers.AutoConfig.from_pretrained(name)
    kind = type(config)
    any_words = kind in modeling_auto.MODEL_FOR_ZERO_SHOT_OBJECT_DETECTION_MAPPING
    if not any_words and kind not in modeling_auto.MODEL_FOR_OBJECT_DETECTION_MAPPING:
        raise ValueError(f"{kind.__name__.removesuffix('Config')} is no detector")
    return config, any_words


def check_detector(name: str) -> None:
    """Check that there is a detector `name`, without its weights. Raises StepcError (M004)."""
    if name == FACES:
        version()
        return
    with loading(name):
        _config(name)


@functools.lru_cache(2)
def load_detector(name: str) -> Detector | FaceDetector:
    """The detector `name`, loaded once. Raises StepcError (M004)."""
    return FaceDetector() if name == FACES else Detector(name)
