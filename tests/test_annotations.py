"""Readers of human annotations, each on small files in exactly the published form, with its traps."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import orjson
import pytest
from typer.testing import CliRunner

from stepc.annotations.convert import convert
from stepc.annotations.reader import READERS, Videos, read_pickle
from stepc.annotations.score import SceneScore, compare_graphs
from stepc.annotations.words import kind_of, names, predicate
from stepc.cli import app
from stepc.diagnostics import StepcError
from stepc.driver.compile_video import split_pipeline
from stepc.ir import types as t
from stepc.ir.load import load
from stepc.ir.verify import verify
from stepc.lang.parse import builtin
from stepc.lang.resolve import read_spec
from stepc.passmanager.base import Tools
from stepc.passmanager.run import run
from stepc.video.decode import Pictures


def vidor(folder: Path) -> Path:
    """A man who walks past a bench and holds a cup from 1.5 seconds on; ten frames a second."""
    frames = []
    for n in range(40):
        x = 10 + 4 * n
        there = [
            {
                "tid": 0,
                "bbox": {"xmin": x, "ymin": 20, "xmax": x + 30, "ymax": 110},
                "generated": 0,
                "tracker": "none",
            },
            {
                "tid": 1,
                "bbox": {"xmin": 150, "ymin": 60, "xmax": 190, "ymax": 110},
                "generated": 0,
                "tracker": "kcf",
            },
        ]
        if n >= 15:
            there.append(
                {
                    "tid": 2,
                    "bbox": {"xmin": x + 20, "ymin": 50, "xmax": x + 30, "ymax": 60},
                    "generated": 1,
                    "tracker": "x",
                }
            )
        frames.append(there)
    data = {
        "version": "VERSION 1.0",
        "video_id": "5159741010",
        "video_hash": "0",
        "video_path": "1025/5159741010.mp4",
        "frame_count": 40,
        "fps": 10,
        "width": 200,
        "height": 120,
        "subject/objects": [
            {"tid": 0, "category": "adult"},
            {"tid": 1, "category": "bench"},
            {"tid": 2, "category": "cup"},
        ],
        "trajectories": frames,
        "relation_instances": [
            {
                "subject_tid": 0,
                "object_tid": 2,
                "predicate": "hold",
                "begin_fid": 15,
                "end_fid": 40,
            },
            {
                "subject_tid": 0,
                "object_tid": 1,
                "predicate": "next_to",
                "begin_fid": 0,
                "end_fid": 31,
            },
            {
                "subject_tid": 0,
                "object_tid": 2,
                "predicate": "watch",
                "begin_fid": 39,
                "end_fid": 40,
            },
        ],
    }
    folder.mkdir(exist_ok=True)
    (folder / "5159741010.json").write_text(json.dumps(data), "utf-8")
    return folder


def action_genome(folder: Path) -> Path:
    """Objects have x, y, width and height, people have corners; one object is invisible."""

    def thing(name: str, box: Any, visible: bool = True, **said: list[str]) -> dict[str, Any]:
        kinds = ("attention", "spatial", "contacting")
        return {
            "class": name,
            "bbox": box,
            "visible": visible,
            **{f"{k}_relationship": said.get(k) for k in kinds},
            "metadata": {"tag": f"001YG.mp4/{name}/000031", "set": "train"},
        }

    objects = {
        f"001YG.mp4/{n:06d}.png": [
            thing(
                "table",
                (200.0, 150.0, 200.0, 100.0),
                attention=["not_looking_at"],
                spatial=["in_front_of"],
                contacting=["not_contacting"],
            ),
            thing(
                "cup/glass/bottle",
                (120.0, 80.0, 20.0, 30.0),
                attention=["looking_at"],
                spatial=["in_front_of"],
                contacting=["holding"],
            ),
            thing("chair", None, visible=False, attention=None),
        ]
        for n in (31, 91)
    }
    people = {
        key: {
            "bbox": np.array([[90.0, 40.0, 190.0, 260.0]], np.float32),
            "bbox_size": (480, 270),
            "bbox_score": np.array([0.99]),
            "bbox_mode": "xyxy",
            "keypoints": np.zeros((1, 17, 3)),
        }
        for key in objects
    }
    folder.mkdir(exist_ok=True)
    (folder / "object_bbox_and_relationship.pkl").write_bytes(pickle.dumps(objects, protocol=2))
    (folder / "person_bbox.pkl").write_bytes(pickle.dumps(people, protocol=2))
    (folder / "Charades_v1_classes.txt").write_text(
        "c106 Drinking from a cup/glass/bottle\nc107 Holding a cup\n", "utf-8"
    )
    (folder / "Charades_v1_train.csv").write_text(
        "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length\n"
        '001YG,X,Kitchen,6,7,Yes,"He drinks.",cup;table,"He, too.",c106 0.00 3.50,4.0\n',
        "utf-8",
    )
    return folder


def star(folder: Path) -> Path:
    row = {
        "question_id": "Interaction_T1_1",
        "question": "Which object was closed by the person?",
        "video_id": "WBS4I",
        "start": 8.9,
        "end": 15.5,
        "answer": "The closet/cabinet.",
        "question_program": [
            {"function": "Situations", "value_input": []},
            {"function": "Actions", "value_input": []},
            {"function": "Filter_Actions_with_Verb", "value_input": ["close"]},
            {"function": "Unique", "value_input": []},
            {"function": "Query_Objs", "value_input": []},
        ],
        "choices": [
            {"choice": c, "choice_program": [{"function": "Equal", "value_input": [v]}]}
            for c, v in (("The window.", "window"), ("The closet/cabinet.", "closet/cabinet"))
        ],
        "situations": {
            "000327": {
                "rel_pairs": [["o000", "o003"], ["o000", "o007"]],
                "rel_labels": ["r021", "r011"],
                "actions": ["a086"],
                "bbox": [
                    [142.5, 35.9, 225.1, 270.0],
                    [161.0, 128.0, 180.0, 138.0],
                    [92.9, 24.2, 175.9, 153.3],
                ],
                "bbox_labels": ["o003", "o007", "o000"],
            },
            "000445": {
                "rel_pairs": [["o000", "o003"]],
                "rel_labels": ["r021"],
                "actions": ["a086"],
                "bbox": [[142.5, 35.9, 225.1, 270.0], [92.9, 24.2, 175.9, 153.3]],
                "bbox_labels": ["o003", "o000"],
            },
        },
    }
    folder.mkdir(exist_ok=True)
    (folder / "STAR_train.json").write_text(json.dumps([row]), "utf-8")
    (folder / "STAR_classes").mkdir(exist_ok=True)
    for name, text in STAR_CLASSES.items():
        (folder / "STAR_classes" / name).write_text(text, "utf-8")
    return folder


STAR_CLASSES = {
    "action_classes.txt": "a086 close a closet/cabinet\na087 open a closet/cabinet\n",
    "action_mapping.txt": "a086 v000 o003\na087 v006 o003\n",
    "verb_classes.txt": "v000 close\nv006 open\n",
}


def gqa(folder: Path) -> Path:
    data = {
        "2386621": {
            "width": 500,
            "height": 333,
            "location": "kitchen",
            "weather": "none",
            "objects": {
                "681267": {
                    "name": "banana",
                    "x": 248,
                    "y": 99,
                    "w": 82,
                    "h": 85,
                    "attributes": ["small", "yellow"],
                    "relations": [{"name": "to the left of", "object": "681262"}],
                },
                "681262": {
                    "name": "spots",
                    "x": 245,
                    "y": 138,
                    "w": 16,
                    "h": 20,
                    "attributes": [],
                    "relations": [],
                },
                "681268": {
                    "name": "table",
                    "x": 0,
                    "y": 150,
                    "w": 500,
                    "h": 183,
                    "attributes": ["wooden"],
                    "relations": [],
                },
            },
        }
    }
    folder.mkdir(exist_ok=True)
    (folder / "val_sceneGraphs.json").write_text(json.dumps(data), "utf-8")
    return folder


def visual_genome(folder: Path) -> Path:
    graphs = [
        {
            "image_id": 1,
            "objects": [
                {
                    "object_id": 10,
                    "x": 20,
                    "y": 30,
                    "w": 100,
                    "h": 200,
                    "names": ["man"],
                    "synsets": ["man.n.01"],
                    "attributes": ["tall"],
                },
                {
                    "object_id": 11,
                    "x": 60,
                    "y": 100,
                    "w": 40,
                    "h": 40,
                    "names": ["bag", "handbag"],
                    "synsets": [],
                },
            ],
            "relationships": [
                {
                    "relationship_id": 5,
                    "subject_id": 10,
                    "object_id": 11,
                    "predicate": "HOLDING",
                    "synsets": [],
                }
            ],
        }
    ]
    folder.mkdir(exist_ok=True)
    (folder / "scene_graphs.json").write_text(json.dumps(graphs), "utf-8")
    (folder / "image_data.json").write_text(
        json.dumps([{"image_id": 1, "width": 400, "height": 300, "url": ""}]), "utf-8"
    )
    return folder


def pvsg(folder: Path) -> Path:
    """Five frames a second; the second range of the relation is in the last second."""
    data = {
        "objects": {"thing": ["adult", "ball"], "stuff": ["grass"]},
        "relations": ["holding"],
        "split": {"vidor": {"train": ["0001"], "val": []}},
        "data": [
            {
                "video_id": "0001",
                "meta": {"fps": 5, "num_frames": 20, "height": 60, "width": 100},
                "objects": [
                    {"object_id": 1, "category": "adult", "is_thing": True},
                    {"object_id": 2, "category": "ball", "is_thing": True},
                ],
                "relations": [[1, 2, "holding", [[0, 6], [14, 19]]]],
            }
        ],
    }
    masks = folder / "masks" / "0001"
    masks.mkdir(parents=True, exist_ok=True)
    for n in range(20):
        mask = np.zeros((60, 100), np.uint8)
        mask[10:50, 20:40] = 1
        mask[20:30, 40:50] = 2
        cv2.imwrite(str(masks / f"{n:04d}.png"), mask)
    (folder / "pvsg.json").write_text(json.dumps(data), "utf-8")
    return folder


def clevrer(folder: Path) -> Path:
    """A cube that moves until it meets a sphere in frame 40, which is not always in view."""
    frames = []
    for n in range(128):
        v = 0.1 if n < 40 else 0.0
        frames.append(
            {
                "frame_id": n,
                "objects": [
                    {
                        "object_id": 0,
                        "location": [0.1 * n, 0.0, 0.2],
                        "velocity": [v, 0.0, 0.0],
                        "inside_camera_view": True,
                    },
                    {
                        "object_id": 1,
                        "location": [4.0, 0.0, 0.2],
                        "velocity": [0.0, 0.0, 0.0],
                        "inside_camera_view": n >= 16,
                    },
                ],
            }
        )
    data = {
        "scene_index": 0,
        "video_filename": "video_00000.mp4",
        "object_property": [
            {"object_id": 0, "color": "red", "material": "metal", "shape": "cube"},
            {"object_id": 1, "color": "blue", "material": "rubber", "shape": "sphere"},
        ],
        "motion_trajectory": frames,
        "collision": [{"object_ids": [0, 1], "frame_id": 40, "location": [4.0, 0.0, 0.2]}],
    }
    folder.mkdir(exist_ok=True)
    (folder / "annotation_00000.json").write_text(json.dumps(data), "utf-8")
    return folder


def cater(folder: Path) -> Path:
    data = {
        "image_filename": "CATER_new_000001.avi",
        "objects": [
            {
                "shape": "cone",
                "size": "large",
                "color": "gold",
                "material": "metal",
                "instance": "Cone_0",
                "3d_coords": [0, 0, 0],
                "rotation": 0,
            },
            {
                "shape": "spl",
                "size": "small",
                "color": "gold",
                "material": "metal",
                "instance": "Spl_0",
                "3d_coords": [1, 1, 0],
                "rotation": 0,
            },
        ],
        "movements": {
            "Cone_0": [["_slide", None, 30, 60], ["_contain", "Spl_0", 90, 120]],
            "Spl_0": [],
        },
    }
    folder.mkdir(exist_ok=True)
    (folder / "CATER_new_000001.json").write_text(json.dumps(data), "utf-8")
    return folder


def visor(folder: Path) -> Path:
    """Three frames of a video with 60 a second; in the last one there may be more plates."""

    def square(x: float, y: float) -> list[list[list[float]]]:
        return [[[x, y], [x + 192, y], [x + 192, y + 108], [x, y + 108]]]

    def thing(
        name: str, x: float, y: float, touches: str = "", exhaustive: str = "y"
    ) -> dict[str, Any]:
        made = {
            "id": f"id-{name}",
            "name": name,
            "class_id": 1,
            "exhaustive": exhaustive,
            "segments": square(x, y),
        }
        return {**made, "in_contact_object": touches, "on_which_hand": None} if touches else made

    left = [thing("left hand", 0, 0, "id-plate"), thing("plate", 100, 50)]
    right = [thing("right hand", 960, 540, "id-knife"), thing("knife", 1000, 500, "inconclusive")]
    last = [
        thing("left hand", 0, 0, "hand-not-in-contact"),
        thing("plate", 100, 50, exhaustive="n"),
    ]
    frames = {121: left + right, 241: left + right, 361: last}
    data = {
        "info": {},
        "video_annotations": [
            {
                "image": {
                    "image_path": f"P01_01_seq_00001/P01_01_frame_{n:010d}.jpg",
                    "name": f"P01_01_frame_{n:010d}.jpg",
                    "subsequence": "P01_01_seq_00001",
                    "video": "P01_01",
                },
                "annotations": there,
            }
            for n, there in frames.items()
        ],
    }
    folder.mkdir(exist_ok=True)
    (folder / "P01_01.json").write_text(json.dumps(data), "utf-8")
    return folder


def movi(folder: Path) -> Path:
    """Boxes are ymin, xmin, ymax, xmax from 0 to 1; the ball is not in view at first."""
    data = {
        "metadata": {
            "video_name": "movi_a_0001",
            "width": 256,
            "height": 256,
            "num_frames": 24,
            "frame_rate": 12,
            "resolution": [256, 256],
            "num_instances": 2,
        },
        "camera": {},
        "instances": [
            {
                "shape_label": "cube",
                "color_label": "red",
                "material_label": "rubber",
                "size_label": "large",
                "bbox_frames": list(range(24)),
                "bboxes": [[0.5, 0.1, 0.7, 0.3]] * 24,
                "visibility": [900] * 24,
            },
            {
                "shape_label": "sphere",
                "color_label": "blue",
                "material_label": "metal",
                "size_label": "small",
                "bbox_frames": list(range(6, 24)),
                "bboxes": [[0.5, 0.9 - 0.03 * n, 0.6, 1.0 - 0.03 * n] for n in range(18)],
                "visibility": [0] * 6 + [200] * 18,
            },
        ],
    }
    folder.mkdir(exist_ok=True)
    (folder / "metadata.json").write_text(json.dumps(data), "utf-8")
    (folder / "events.json").write_text(
        json.dumps(
            {
                "collisions": [
                    {"instances": [0, 1], "frame": 20, "force": 0.3, "position": [0, 0, 0]},
                    {"instances": [-1, 1], "frame": 3, "force": 0.1, "position": [0, 0, 0]},
                ]
            }
        ),
        "utf-8",
    )
    return folder


def easg(folder: Path, *, twice: bool = False) -> Path:
    """Dough is cut with a knife, then put on a tray; boxes in the frames before, while and after."""

    def boxes(*rows: list[float]) -> np.ndarray[Any, Any]:
        return np.array(rows, np.float32)

    dough, knife = [0.25, 0.5, 0.25, 0.25], [0.6, 0.4, 0.1, 0.2]
    cut = "cut_(trim,_slice,_chop)"
    data = {
        "clip-1_000075": {
            "clip_frame_number": {"pre": 30, "pnr": 75, "post": 120},
            "annotations": {
                "a1": [
                    {"obj": "dough", "bbox": {m: boxes(dough) for m in ("pre", "pnr", "post")},
                     "verb": cut, "rel": "dobj"},
                    {"obj": "knife_(knife,_machete)", "bbox": {"pnr": boxes(knife)}, "verb": cut,
                     "rel": "with"},
                ]
            },
        },
        "clip-1_000195": {
            "clip_frame_number": {"pre": 150, "pnr": 195, "post": 240},
            "annotations": {
                "a2": [
                    {"obj": "dough", "bbox": {"pnr": boxes(dough, *[[0.1, 0.1, 0.1, 0.1]] * twice)},
                     "verb": "put_(place,_leave,_drop)", "rel": "dobj"},
                    {"obj": "tray", "bbox": {"pnr": boxes([0.2, 0.6, 0.5, 0.3]), "post": boxes()},
                     "verb": "put_(place,_leave,_drop)", "rel": "on"},
                ]
            },
        },
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / "easg_val.pkl").write_bytes(pickle.dumps(data))
    return folder


MAKERS: dict[str, Callable[[Path], Path]] = {
    "easg": easg,
    "vidor": vidor,
    "action-genome": action_genome,
    "star": star,
    "gqa": gqa,
    "visual-genome": visual_genome,
    "pvsg": pvsg,
    "clevrer": clevrer,
    "cater": cater,
    "visor": visor,
    "movi": movi,
}


def made(name: str, folder: Path) -> t.Fsg:
    """The only graph of a data set's example."""
    (scene,) = READERS.get(name).scenes(MAKERS[name](folder / name), Videos(None))
    unit = scene.unit()
    assert verify(unit) == []
    return unit


def facts(unit: t.Fsg) -> set[tuple[str, str, str, str]]:
    """(subject, predicate, object, keyframe in seconds) of all relations."""
    labels = {o.id: o.label for o in unit.objects}
    at = {k.id: f"{k.at / 1000:g}" for k in unit.keyframes.values()}
    return {
        (labels[r.subject], r.predicate, labels[r.object], at[f])
        for r in unit.relations
        for f in r.frames
    }


def box(unit: t.Fsg, label: str, at: int) -> tuple[int, int, int, int]:
    labels, times = {o.id: o.label for o in unit.objects}, unit.keyframes
    (b,) = [b for b in unit.boxes if labels[b.owner] == label and times[b.frame].at == at]
    return b.left, b.top, b.right, b.bottom


def test_vidor(tmp_path: Path) -> None:
    unit = made("vidor", tmp_path)
    assert [k.at for k in unit.keyframes.values()] == [0, 1000, 2000, 3000]
    assert unit.video.duration == 4000 and unit.video.file == "5159741010.mp4"
    assert facts(unit) == {
        ("adult", "next to", "bench", "0"),
        ("adult", "next to", "bench", "1"),
        ("adult", "next to", "bench", "2"),
        ("adult", "next to", "bench", "3"),
        ("adult", "holding", "cup", "2"),
        ("adult", "holding", "cup", "3"),
    }
    assert {r.during for r in unit.relations if r.predicate == "holding"} == {(1500, 3900)}
    assert box(unit, "adult", 1000) == (250, 167, 400, 917)
    assert {o.op for o in unit.objects if o.label == "bench"} == {"static"}
    assert len(unit.tracks) == 3 and len(unit.tracks[0].points) == 20
    assert all(r.origin.source == "annotation:vidor" for r in unit.relations)


def test_action_genome(tmp_path: Path) -> None:
    unit = made("action-genome", tmp_path)
    assert [k.at for k in unit.keyframes.values()] == [1000, 3000], "frame 31 is the 31st, from 1"
    assert box(unit, "person", 1000) == (188, 148, 396, 963), "corners"
    assert box(unit, "cup", 1000) == (250, 296, 292, 407), "x, y, width and height"
    said = {(a, p, b) for a, p, b, _ in facts(unit)}
    assert said == {
        ("table", "in front of", "person"),
        ("cup", "in front of", "person"),
        ("person", "looking at", "cup"),
        ("person", "holding", "cup"),
    }
    assert {(e.predicate, e.trust.verdict) for e in unit.denied if isinstance(e, t.Relation)} == {
        ("looking at", "no"),
        ("touching", "no"),
    }
    assert isinstance(unit, t.Stsg)
    assert [(m.motion, m.start, m.end) for m in unit.motions] == [
        ("drinking from a cup or glass or bottle", 1000, 3000)
    ]
    assert "chair" not in {o.label for o in unit.objects}, "it is invisible"
    assert {o.called for o in unit.objects if o.label == "cup"} == {("glass", "bottle")}


def test_star(tmp_path: Path) -> None:
    unit = made("star", tmp_path)
    assert [k.at for k in unit.keyframes.values()] == [10867, 14800]
    assert ("person", "touching", "closet", "14.8") in facts(unit)
    assert ("person", "holding", "paper", "10.867") in facts(unit)
    assert isinstance(unit, t.Stsg)
    assert [(m.motion, m.start, m.end) for m in unit.motions] == [
        ("closing a closet or cabinet", 10867, 14800)
    ]


def test_the_programs_of_star_are_replayed(tmp_path: Path) -> None:
    folder = star(tmp_path)
    script = Path(__file__).parent.parent / "benchmarks" / "star.py"
    command = [
        sys.executable,
        str(script),
        str(folder / "STAR_train.json"),
        str(folder / "STAR_classes"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Interaction", "1", "same"] and not done.stderr


def test_gqa(tmp_path: Path) -> None:
    unit = made("gqa", tmp_path)
    assert unit.LEVEL == "fsg" and len(unit.keyframes) == 1
    assert facts(unit) == {("banana", "to the left of", "spots", "0")}
    assert {(a.kind, a.value) for a in unit.attributes} == {
        ("size", "small"),
        ("color", "yellow"),
        ("material", "wooden"),
    }
    assert box(unit, "banana", 0) == (496, 297, 660, 553)


def test_visual_genome(tmp_path: Path) -> None:
    unit = made("visual-genome", tmp_path)
    assert unit.LEVEL == "fsg" and facts(unit) == {("man", "holding", "bag", "0")}
    assert box(unit, "man", 0) == (50, 100, 300, 767)
    assert {o.called for o in unit.objects} == {(), ("handbag",)}


def test_pvsg(tmp_path: Path) -> None:
    unit = made("pvsg", tmp_path)
    assert {(a, p, b, at) for a, p, b, at in facts(unit)} == {
        ("adult", "holding", "ball", "0"),
        ("adult", "holding", "ball", "1"),
        ("adult", "holding", "ball", "3"),
    }
    assert box(unit, "ball", 1000) == (400, 333, 500, 500)


def test_clevrer(tmp_path: Path) -> None:
    unit = made("clevrer", tmp_path)
    assert ("cube", "colliding with", "sphere", "1.562") in facts(unit)
    assert {(a.kind, a.value) for a in unit.attributes} == {
        ("color", "red"),
        ("material", "metal"),
        ("color", "blue"),
        ("material", "rubber"),
    }
    assert isinstance(unit, t.Stsg)
    cube = [m for m in unit.motions if "cube" in m.source]
    assert {m.motion for m in cube if m.end <= 1250} == {"moving"}
    assert {m.motion for m in unit.motions if m.start >= 1600} == {"standing still"}
    first = next(iter(unit.keyframes))
    assert {o.label for o in unit.objects if first in o.frames} == {"cube"}, "out of view"


def test_cater(tmp_path: Path) -> None:
    unit = made("cater", tmp_path)
    assert isinstance(unit, t.Stsg)
    assert {m.motion for m in unit.motions} == {"sliding", "being placed over another object"}
    assert ("cone", "covering", "spl", "5") in facts(unit)


def test_visor(tmp_path: Path) -> None:
    unit = made("visor", tmp_path)
    assert [k.at for k in unit.keyframes.values()] == [2000, 4000, 6000], (
        "60 frames a second, from 1"
    )
    assert facts(unit) == {
        (hand, "touching", what, at)
        for hand, what in (("left hand", "plate"), ("right hand", "knife"))
        for at in ("2", "4")
    }
    assert {g.word for g in unit.gaps if g.what == "object"} == {"plate"}
    assert box(unit, "right hand", 2000) == (500, 500, 600, 600)


def test_movi(tmp_path: Path) -> None:
    unit = made("movi", tmp_path)
    assert box(unit, "cube", 0) == (100, 500, 300, 700), "ymin, xmin, ymax, xmax"
    assert ("cube", "colliding with", "sphere", "1.667") in facts(unit)
    assert {o.op for o in unit.objects if o.label == "sphere"} == {"dynamic"}
    assert {o.op for o in unit.objects if o.label == "cube"} == {"static"}


def test_easg(tmp_path: Path) -> None:
    unit = made("easg", tmp_path)
    assert [k.at for k in unit.keyframes.values()] == [1000, 2500, 4000, 6500], "30 frames a second"
    assert facts(unit) >= {
        ("camera wearer", "cutting", "dough", "1"),
        ("camera wearer", "cutting with", "knife", "2.5"),
        ("camera wearer", "putting on", "tray", "6.5"),
    }
    assert {r.during for r in unit.relations if r.predicate == "cutting"} == {(1000, 4000)}
    assert box(unit, "dough", 1000) == (250, 500, 500, 750), "x, y, width and height"
    assert not [g for g in unit.gaps if g.what == "object"]
    (scene,) = READERS.get("easg").scenes(easg(tmp_path / "twice", twice=True), Videos(None))
    gaps = [g for g in scene.unit().gaps if g.what == "object"]
    assert [(g.word, g.where) for g in gaps] == [("dough", "c0.k3")], "two boxes"
    assert not [b for b in unit.boxes if "camera" in b.owner]


QUESTIONS = {"easg", "vidor", "action-genome", "pvsg", "clevrer", "cater", "movi", "star", "visor"}


def test_the_page_counts_what_the_examples_give(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kinds = "keyframes", "objects", "relations", "motions", "attributes", "boxes"
    lines = [f"| data set | {' | '.join(kinds)} | questions |", "| --- |" + " ---: |" * 7]
    for name in sorted(MAKERS):
        unit: t.Unit = made(name, tmp_path)
        assert isinstance(unit, t.Fsg)
        counts = [len(getattr(unit, kind, ())) for kind in kinds]
        still = "" if isinstance(unit, t.Stsg) else "lift,bridge-none,"
        tools = Tools(Pictures(), spec=read_spec(builtin("agqa-like")), seed=1)
        for done in run(split_pipeline(f"{still}sample,compose,check")[0], unit, tools):
            unit = done.unit
        assert isinstance(unit, t.Qras) and len(unit.samples) >= 1
        lines.append(f"| `{name}` | " + " | ".join(map(str, [*counts, len(unit.samples)])) + " |")
    page = Path(__file__).parent.parent / "docs" / "how-to" / "annotations.md"
    text = page.read_text("utf-8")
    table = "\n".join(lines)
    got = re.sub(
        r"\| data set \| keyframes.*?\n\n", lambda m: f"{table}\n\n", text, flags=re.DOTALL
    )
    if request.config.getoption("--bless"):
        page.write_text(got, "utf-8")
    assert got == text


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_questions_are_proved_on_the_graph_of_each_source(name: str, tmp_path: Path) -> None:
    unit: t.Unit = made(name, tmp_path)
    tools = Tools(Pictures(), spec=read_spec(builtin("step")), seed=1)
    for done in run(split_pipeline("sample,compose,check")[0], unit, tools):
        unit = done.unit
    assert isinstance(unit, t.Qras) and unit.samples and all(s.checked for s in unit.samples)


def test_a_video_at_hand_tells_the_times_of_its_frames(tmp_path: Path) -> None:
    """A film of 24 frames a second, which the annotation takes to have ten."""
    films = tmp_path / "films"
    done = CliRunner().invoke(app, ["world", "render", "-o", str(films), "-n", "1", "--seed", "4"])
    assert done.exit_code == 0
    (film,) = films.glob("*.mp4")
    film.rename(films / "5159741010.mp4")
    (scene,) = READERS.get("vidor").scenes(vidor(tmp_path / "a"), Videos(films))
    unit = scene.unit()
    assert unit.video.rate == "24" and unit.video.duration > 6000
    assert [k.at for k in unit.keyframes.values()] == [0, 1000], "40 frames take 1.6 seconds"
    assert verify(unit) == []


def test_a_pickle_runs_nothing(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "touched",)

    file = tmp_path / "evil.pkl"
    file.write_bytes(pickle.dumps({"a": Evil()}))
    with pytest.raises(StepcError) as caught:
        read_pickle(file)
    assert caught.value.diagnostics[0].code == "B027" and not (tmp_path / "touched").exists()
    file.write_bytes(pickle.dumps({"a": np.arange(3.0), "b": [(1, "x")]}, protocol=2)[:-5])
    with pytest.raises(StepcError):
        read_pickle(file)


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_files_of_another_form_are_told(name: str, tmp_path: Path) -> None:
    for number, text in enumerate(("{}", "[]", "[3]", '{"a": {"b": 1}}', "null", "{", '"x"')):
        folder = tmp_path / str(number)
        folder.mkdir()
        for file in (
            "metadata.json",
            "pvsg.json",
            "scene_graphs.json",
            "object_bbox_and_relationship.pkl",
            "person_bbox.pkl",
            "easg_val.pkl",
        ):
            (folder / file).write_text(text, "utf-8")
        try:
            for scene in READERS.get(name).scenes(folder, Videos(None)):
                scene.unit()
        except StepcError as error:
            assert error.diagnostics[0].code == "B027"


def test_the_command_writes_a_file_for_each_video(tmp_path: Path) -> None:
    out = tmp_path / "graphs"
    done = CliRunner().invoke(
        app, ["import", "vidor", str(vidor(tmp_path / "in")), "-o", str(out), "--json"]
    )
    assert done.exit_code == 0, done.output
    counts = orjson.loads(done.stdout)
    assert counts["graphs"] == 1 and counts["relations"] > 2 and counts["lost"] == 1
    unit = load(out / "5159741010.stsg")
    assert isinstance(unit, t.Stsg)
    listed = CliRunner().invoke(app, ["import", "list"])
    assert all(name in listed.stdout for name in MAKERS)
    for wrong in (
        ["import", "vidorr", "x"],
        ["import", "vidor"],
        ["import", "vidor", str(tmp_path / "none")],
    ):
        assert CliRunner().invoke(app, wrong).exit_code == 1


def test_two_videos_of_one_name_are_told(tmp_path: Path) -> None:
    folder = vidor(tmp_path / "in")
    (folder / "again.json").write_text((folder / "5159741010.json").read_text("utf-8"), "utf-8")
    done = list(convert("vidor", folder, tmp_path / "out"))
    assert [(d.graphs, d.failed) for d in done] == [(1, 0), (0, 1)]


def test_recall_of_triplets(tmp_path: Path) -> None:
    true = made("vidor", tmp_path)
    perfect = SceneScore()
    compare_graphs(true, true, perfect)
    assert perfect.recall(20) == perfect.mean_recall(20) == 1 and perfect.unmatched == 0
    assert perfect.right == perfect.true == perfect.induced
    half = SceneScore()
    compare_graphs(
        true.evolve(relations=tuple(r for r in true.relations if r.predicate == "holding")),
        true,
        half,
    )
    assert half.mean_recall(20) == 0.5, "one predicate of two"
    assert half.recall(20) == pytest.approx((0 + 0 + 1 / 2 + 1 / 2) / 4)
    moved = true.evolve(
        boxes=tuple(
            b.model_copy(update={"left": max(0, b.left - 400), "right": max(1, b.right - 400)})
            for b in true.boxes
        )
    )
    wrong = SceneScore()
    compare_graphs(moved, true, wrong)
    assert wrong.recall(20) < 0.5 and wrong.right["boxes"] < wrong.true["boxes"]
    other = true.evolve(
        lexicon=(
            t.WordRelation(
                of="label", one="adult", how="~", other="man", trust=t.Trust(votes=1, asked=1)
            ),
        )
    )
    renamed = other.evolve(
        objects=tuple(
            o.model_copy(update={"label": "man"}) if o.label == "adult" else o
            for o in other.objects
        )
    )
    same = SceneScore()
    compare_graphs(renamed, true, same)
    assert same.recall(20) == 1


def test_the_command_compares_graphs_of_one_name(tmp_path: Path) -> None:
    out = tmp_path / "graphs"
    assert (
        CliRunner()
        .invoke(app, ["import", "pvsg", str(pvsg(tmp_path / "in")), "-o", str(out)])
        .exit_code
        == 0
    )
    done = CliRunner().invoke(app, ["score", str(out), str(out), "--json"])
    assert done.exit_code == 0, done.output
    figures = orjson.loads(done.stdout)
    assert figures["graphs"] == 1 and figures["recall"]["20"] == 1
    assert "mR@100" in CliRunner().invoke(app, ["score", str(out), str(out)]).stdout
    (tmp_path / "none").mkdir()
    assert CliRunner().invoke(app, ["score", str(out), str(tmp_path / "none")]).exit_code == 1


def test_words_of_data_sets() -> None:
    assert names("closet/cabinet") == ("closet", "cabinet")
    assert [predicate(x) for x in ("hold", "next_to", "beneath", "sitting_on", "watch")] == [
        "holding",
        "next to",
        "below",
        "sitting on",
        "watching",
    ]
    assert [kind_of(x) for x in ("red", "wooden", "large", "sunny")] == [
        "color",
        "material",
        "size",
        "state",
    ]


def test_graphs_are_compiled_from_their_level_on(tmp_path: Path) -> None:
    """Graphs beside videos, with the default pipeline. The true graph of a film is not compiled as well."""
    films, graphs = tmp_path / "films", tmp_path / "graphs"
    done = CliRunner().invoke(app, ["world", "render", "-o", str(films), "-n", "1", "--seed", "4"])
    assert done.exit_code == 0
    for name in ("vidor", "movi", "gqa"):
        source = MAKERS[name](tmp_path / name)
        assert (
            CliRunner().invoke(app, ["import", name, str(source), "-o", str(graphs)]).exit_code == 0
        )
    (film,) = films.glob("*.mp4")
    (true,) = films.glob("*.stsg")
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "true.stsg").write_text(true.read_text("utf-8"), "utf-8")
    out = tmp_path / "out"
    command = [
        "compile",
        str(films),
        str(graphs / "5159741010.stsg"),
        str(alone),
        "-o",
        str(out),
        "-j",
        "1",
    ]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    rows = [orjson.loads(line) for line in (out / "qra.jsonl").read_bytes().splitlines()]
    assert {row["video"] for row in rows} >= {"5159741010.mp4", film.name}
    names = {v["name"] for v in orjson.loads((out / "manifest.json").read_bytes())["videos"]}
    assert names == {film.stem, "5159741010", "true"}
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0, again.output
