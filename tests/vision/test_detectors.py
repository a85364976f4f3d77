"""Detectors whose processors need torchvision, as tiny models."""

from __future__ import annotations

from pathlib import Path

import detectors
import numpy as np
import pytest
import torch

from stepc.boxes.detectors import Detector


def test_omdet_turbo_finds_the_words_that_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if torch.version.cuda is None:  # the operator is not in this build of torchvision
        monkeypatch.setattr("torchvision.ops.boxes.nms", lambda boxes, scores, _: scores.argsort())
    torch.manual_seed(0)
    detectors.omdet_turbo(tmp_path)
    eyes = Detector(str(tmp_path))
    picture = np.random.default_rng(0).integers(0, 255, (90, 160, 3), dtype=np.uint8)
    found = eyes.find(picture, ["person", "a dog"], 0.0)
    assert eyes.any_words and found and {d.label for d in found} <= {"person", "a dog"}
    assert all(d.left < d.right <= 1000 and d.top < d.bottom <= 1000 for d in found)
    assert eyes.find(picture, [], 0.0) == []
