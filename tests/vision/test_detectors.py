"""Detectors and segmenters whose processors need torchvision, as tiny models."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

import detectors
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from stepc.boxes.detection import Detection
from stepc.boxes.detectors import Detector
from stepc.boxes.segmenter import ClipPicture, _around, follow_boxes, load_segmenter
from stepc.cli import app
from stepc.ir import types as t
from stepc.ir.text import read
from stepc.world.ground_truth import truth
from stepc.world.render import write
from stepc.world.scene import make_film


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


def test_sam_2_follows_boxes(tmp_path: Path) -> None:
    torch.manual_seed(1)
    detectors.sam2(tmp_path)
    segmenter = load_segmenter(str(tmp_path))
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (90, 160, 3), dtype=np.uint8) for _ in range(4)]
    boxes = [Detection("dog", 100, 100, 400, 700, 900), Detection("cup", 500, 200, 900, 900)]
    found = list(segmenter.follow(pictures, boxes))
    assert len(found) == 4 and {len(x) for x in found} == {2}
    seen = [d for there in found for d in there if d is not None]
    assert {(d.label, d.score) for d in seen} <= {("dog", 900), ("cup", 1000)}
    assert all(0 <= d.left < d.right <= 1000 and 0 <= d.top < d.bottom <= 1000 for d in seen)
    masks = [torch.zeros(90, 160, dtype=torch.bool) for _ in boxes]
    masks[0][9:45, 16:80] = True
    assert _around(masks[0], boxes[0], 160, 90) == Detection("dog", 100, 100, 500, 500, 900)
    assert _around(masks[1], boxes[1], 160, 90) is None
    sights = [ClipPicture(at, p, boxes if at == 0 else ()) for at, p in enumerate(pictures)]
    tracks = follow_boxes(segmenter, sights)
    assert {d.track for there in tracks.values() for d in there} <= {1, 2}


def test_a_film_is_followed_by_a_segmenter(tmp_path: Path) -> None:
    torch.manual_seed(1)
    (tmp_path / "sam").mkdir()
    detectors.sam2(tmp_path / "sam")
    made = make_film(random.Random(5))
    write(made, tmp_path / "film.mp4")
    sha = hashlib.sha256((tmp_path / "film.mp4").read_bytes()).hexdigest()
    unit = truth(made, "film", "film.mp4", sha)
    rows = [
        {"time": p.at / 1000, "label": "thing",
         "xyxy": [e / 1000 for e in (p.left, p.top, p.right, p.bottom)]}
        for track in unit.tracks for p in track.points
    ]  # fmt: skip
    (tmp_path / "film.json").write_text(json.dumps(rows), "utf-8")
    pipeline = (f'split,keyframes,parse-none,detect(from="{tmp_path}/film.json"),'
                f'track(segmenter="{tmp_path}/sam",rate=3)')  # fmt: skip
    command = ["dump", str(tmp_path / "film.mp4"), "--pipeline", pipeline, "--after", "track"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    fsg = read(done.stdout).unit
    assert isinstance(fsg, t.Fsg) and fsg.boxes
    assert {x.source for x in fsg.tracks} <= {"track:sam"}
