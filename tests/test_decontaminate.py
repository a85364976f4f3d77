"""What a dataset shares with benchmarks: files, names, pictures, words; and the dataset without it."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hearing import Heard
from test_golden import footage
from typer.testing import CliRunner

from stepc.cli import app
from stepc.dataset.dataset import Dataset
from stepc.dataset.read import read_samples
from stepc.dataset.subset import write_part
from stepc.diagnostics import Diagnostic, StepcError
from stepc.eval.decontaminate import contamination, picture_hash
from stepc.ir.text import write
from stepc.video.decode import encode, frames
from stepc.video.probe import probe
from stepc.video.source import digest
from stepc.world.ground_truth import truth
from stepc.world.scene import make_film


def _rows(folder: Path, *rows: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    made = [
        {"id": f"q{i}", "question": f"What is {i}?", "answer": "a", **row}
        for i, row in enumerate(rows)
    ]
    (folder / "qra.jsonl").write_text("\n".join(map(json.dumps, made)), "utf-8")
    return folder


def _found(dataset: Path, *against: str, videos: list[Path] | None = None) -> list[tuple[str, ...]]:
    made = contamination(dataset, against, videos or [])
    return [(o.video, o.benchmark, o.other, o.how) for o in made.videos]


def test_files_and_names_tell(tmp_path: Path) -> None:
    mine = _rows(
        tmp_path / "mine",
        {"video": "a.mp4", "sha256": "ab" * 32},
        {"video": "Charades_v1_480/YSKX3.mp4"},
        {"video": "dQw4w9WgXcQ.webm"},
        {"video": "video.mp4"},
        {"video": "holiday_2019_beach.mp4"},
    )
    theirs = _rows(
        tmp_path / "theirs",
        {"video": "other.mp4", "sha256": "ab" * 32},
        {"video": "YSKX3_21.4_37.6.mp4"},
        {"video": "clips/dQw4w9WgXcQ.mp4"},
        {"video": "video.mp4"},
        {"video": "Holiday_2019_Beach.avi"},
    )
    assert _found(mine, str(theirs)) == [
        ("a.mp4", "theirs", "other.mp4", "same file"),
        ("Charades_v1_480/YSKX3.mp4", "theirs", "YSKX3_21.4_37.6.mp4", "same name"),
        ("dQw4w9WgXcQ.webm", "theirs", "clips/dQw4w9WgXcQ.mp4", "same name"),
        ("holiday_2019_beach.mp4", "theirs", "Holiday_2019_Beach.avi", "same name"),
    ]


@pytest.mark.parametrize("name", ["star", "agqa", "star-choice", "mvbench"])
def test_charades_underlies_benchmarks_whose_files_are_not_there(name: str, tmp_path: Path) -> None:
    mine = _rows(tmp_path / "mine", {"video": "YSKX3.mp4"}, {"video": "bikes.mp4"})
    assert _found(mine, name) == [("YSKX3.mp4", name, "Charades", "same collection")]
    made = contamination(mine, [name])
    samples, _ = read_samples(mine)
    assert made.gone(samples, questions=False, collections=False) == set()
    assert made.gone(samples, questions=False, collections=True) == {"q0"}


def _changed(video: Path, out: Path, name: str) -> Path:
    """A copy that is smaller, brighter, has black bars, or lacks its beginning."""
    ways = {
        "small": lambda x: cv2.resize(x, (192, 108)),
        "bright": lambda x: np.clip(x.astype(int) * 1.15 + 12, 0, 255).astype(np.uint8),
        "bars": lambda x: cv2.copyMakeBorder(x, 24, 24, 0, 0, cv2.BORDER_CONSTANT),
        "late": lambda x: x,
    }
    shown = [*frames(probe(video), 320)]
    shown = shown[len(shown) // 3 :] if name == "late" else shown
    out.mkdir(exist_ok=True)
    file = out / f"{name}.mp4"
    file.write_bytes(encode([ways[name](x) for _, x in shown], [at for at, _ in shown]))
    return file


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies of a clip under names that say nothing, and another clip."""
    folder = tmp_path_factory.mktemp("copies")
    for name in ("small", "bright", "bars", "late"):
        _changed(footage("bigbuckbunny.mp4"), folder, name)
    (folder / "zoo.mp4").write_bytes(footage("bikes.mp4").read_bytes())
    return folder


def test_copies_look_alike_and_other_videos_do_not(copies: Path, tmp_path: Path) -> None:
    rows = [{"video": p.name, "sha256": digest(p)} for p in sorted(copies.iterdir())]
    mine = _rows(tmp_path / "mine", *rows)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "bunny.mp4").write_bytes(footage("bigbuckbunny.mp4").read_bytes())
    (theirs / "damaged.mp4").write_bytes(b"no video")
    heard: list[Diagnostic] = []
    made = contamination(mine, [str(theirs)], [copies], reporter=Heard(heard.append))
    assert {o.video for o in made.videos} == {"small.mp4", "bright.mp4", "bars.mp4", "late.mp4"}
    assert {(o.other, o.how) for o in made.videos} == {("bunny.mp4", "looks alike")}
    assert made.compared == {"theirs": 5} and [d.code for d in heard] == ["E003"]
    assert _found(mine, str(theirs)) == []  # without the videos, nothing tells
    assert _found(mine, str(copies))[0][3] == "same file"


def test_namesakes_are_compared_and_what_is_missing_is_said(copies: Path, tmp_path: Path) -> None:
    mine = _rows(tmp_path / "mine", {"video": "small.mp4"}, {"video": "gone.mp4"})
    for folder, clip in (("a", "bikes.mp4"), ("b", "bigbuckbunny.mp4")):
        (tmp_path / "theirs" / folder).mkdir(parents=True)
        (tmp_path / "theirs" / folder / "clip.mp4").write_bytes(footage(clip).read_bytes())
    heard: list[Diagnostic] = []
    made = contamination(mine, [str(tmp_path / "theirs")], [copies], reporter=Heard(heard.append))
    assert [(o.video, o.other) for o in made.videos] == [("small.mp4", "b/clip.mp4")]
    assert [d.code for d in heard] == ["E003"] and "gone.mp4" in heard[0].message


def test_a_plain_picture_has_no_hash() -> None:
    plain = np.full((90, 160, 3), 200, np.uint8)
    black = np.zeros((90, 160, 3), np.uint8)
    assert picture_hash(plain) is None and picture_hash(black) is None
    drawn = plain.copy()
    drawn[20:60, 30:90] = 20
    assert picture_hash(drawn) is not None


def test_questions_share_words(tmp_path: Path) -> None:
    long = "While the man in the red shirt walks to the old door, what does he hold?"
    mine = _rows(
        tmp_path / "mine",
        {"video": "a", "question": "What color is the cup?"},
        {"video": "b", "question": long},
        {"video": "c", "question": "What is the dog doing?"},
        {"video": "d", "question": "what COLOR is the cup"},
    )
    theirs = _rows(
        tmp_path / "theirs",
        {"video": "x", "question": "What color is the cup?"},
        {
            "video": "y",
            "question": "Who is it that the man in the red shirt walks to the old house with?",
        },
        {"video": "z", "question": "What is the dog doing here?"},
    )
    made = contamination(mine, [str(theirs)])
    assert [(o.id, o.other, o.how) for o in made.questions] == [
        ("q0", "q0", "same words"), ("q1", "q1", "8 words in a row"), ("q3", "q0", "same words"),
    ]  # fmt: skip
    assert made.videos == []
    samples, _ = read_samples(mine)
    assert made.gone(samples, questions=True, collections=False) == {"q0", "q1", "q3"}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset about three films in all formats."""
    folder = tmp_path_factory.mktemp("compiled")
    for seed in range(3):
        unit = truth(make_film(random.Random(seed)), f"f{seed}", f"f{seed}.mp4", f"{seed:064x}")
        (folder / f"f{seed}.stsg").write_text(write(unit), "utf-8")
    spec = "spec mine\nimport step\ndataset { formats jsonl, parquet, chat }\n"
    (folder / "mine.step").write_text(spec, "utf-8")
    passes = "split,keyframes,parse-none,lift,bridge-none,sample,compose,check,emit"
    command = ["compile", str(folder), "-o", str(folder / "out"), "-s", str(folder / "mine.step"),
               "--pipeline", passes, "--no-store"]  # fmt: skip
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    return folder / "out"


def test_a_clean_dataset_is_whole(compiled: Path, tmp_path: Path) -> None:
    theirs = _rows(tmp_path / "theirs", {"video": "x.mp4", "sha256": f"{1:064x}"})
    out = tmp_path / "clean"
    command = ["decontaminate", str(compiled), "--against", str(theirs)]
    done = CliRunner().invoke(app, [*command, "-o", str(out)])
    assert done.exit_code == 0 and "f1.mp4 = x.mp4 (same file)" in done.output, done.output
    old, new = Dataset(compiled), Dataset(out)
    rows = [*new]
    assert rows == [r for r in old if r["video"] != "f1.mp4"] and 0 < len(new) == len(rows) < len(
        old
    )
    assert new.names == ["f0", "f2"] and {p.stem for p in (out / "units").iterdir()} == {"f0", "f2"}
    assert {v["samples"] for v in new.manifest["videos"]} == {
        sum(r["video"] == f"{name}.mp4" for r in rows) for name in ("f0", "f2")
    }
    import pyarrow.parquet as pq

    (shard,) = out.glob("qra-*.parquet")
    assert [r["id"] for r in pq.read_table(shard).to_pylist()] == [r["id"] for r in rows]
    chats = [json.loads(x)["id"] for x in (out / "chat.jsonl").read_text("utf-8").splitlines()]
    assert {c.rpartition("/")[0] for c in chats} == {r["id"] for r in rows}
    assert len(chats) == 2 * len(rows)
    for name, about in new.manifest["files"].items():
        assert digest(out / name) == about["sha256"]
    assert new.manifest["without"] == {"against": [str(theirs)], "samples": len(old) - len(new)}
    assert "measured" not in new.manifest and sum(new.manifest["steps"].values()) == len(new)
    again = CliRunner().invoke(app, [*command, "-o", str(out)])
    assert again.exit_code == 1 and "B023" in str(again.exception)
    told = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert told["dropped"] == len(old) - len(new) and told["samples"] == len(old)


def test_what_is_left_has_no_row_that_cannot_be_read(compiled: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    shutil.copytree(compiled, odd)
    lines = (odd / "qra.jsonl").read_text("utf-8").splitlines()
    row = json.loads(lines[0])
    lines[0] = json.dumps({**row, "question": "What is <image>?"})
    rows = [json.loads(x) for x in lines]
    lines[1] = json.dumps({**rows[1], "pair": rows[-1]["id"]})
    (odd / "qra.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    theirs = _rows(tmp_path / "theirs", {"video": "x.mp4", "sha256": rows[-1]["sha256"]})
    command = ["decontaminate", str(odd), "--against", str(theirs), "-o", str(tmp_path / "clean")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0 and "sample 1 is skipped" in done.output, done.output
    left = [*Dataset(tmp_path / "clean")]
    assert row["id"] not in {r["id"] for r in left} and not any("pair" in r for r in left)
    (odd / "data" / "train.jsonl").write_text("{")
    with pytest.raises(StepcError) as error:
        write_part(odd, tmp_path / "other", {r["id"] for r in Dataset(compiled)}, {})
    assert error.value.diagnostics[0].code == "T001"
    with pytest.raises(StepcError) as error:
        write_part(compiled, tmp_path / "nothing", set(), {})
    assert error.value.diagnostics[0].code == "T003" and not (tmp_path / "nothing").exists()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "README.md").write_text("mine")
    with pytest.raises(StepcError) as error:
        write_part(compiled, tmp_path / "taken", {row["id"]}, {})
    assert error.value.diagnostics[0].code == "B023"


def test_bad_input_is_said(compiled: Path, tmp_path: Path) -> None:
    for against, code in (
        ("sta", "U001"),
        ("", "U001"),
        (str(tmp_path), "E001"),
        (f"star={tmp_path}", "E001"),
    ):
        with pytest.raises(StepcError) as error:
            contamination(compiled, [against])
        assert error.value.diagnostics[0].code == code
    with pytest.raises(StepcError) as error:
        contamination(tmp_path / "nowhere", ["star"])
    assert error.value.diagnostics[0].code == "T001"
    done = CliRunner().invoke(app, ["decontaminate", str(compiled)])
    assert done.exit_code == 1 and "--against" in str(done.exception)
