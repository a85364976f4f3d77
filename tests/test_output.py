"""Output folders: one writer at a time, and nothing finished is lost; names in data stay inside them."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
from hearing import Heard

from stepc.dataset.previous import previous
from stepc.dataset.read import read_samples
from stepc.diagnostics import Diagnostic, StepcError
from stepc.driver.compile_corpus import compile_corpus
from stepc.driver.compile_video import CompileConfig
from stepc.lang.parse import builtin
from stepc.model.load import ModelConfig
from stepc.runtime.atomic_files import appearing, write_whole
from stepc.runtime.escape import csv_cell, markdown, yaml
from stepc.runtime.names import Name
from stepc.runtime.output_folder import OutputFolder, locked
from stepc.video.discover import below, find_videos, name_bases, unit_name
from stepc.world.render import write
from stepc.world.scene import make_film

PASSES = "split-uniform,keyframes-uniform,parse,lift,bridge-none,sample,compose,check"


def _compile(
    places: list[Path], out: Path, model: str, replace: bool = False, **more: object
) -> tuple[list[Diagnostic], bool]:
    said: list[Diagnostic] = []
    choice = ModelConfig(model)
    order = CompileConfig(PASSES, "dedupe,emit", builtin("step"), "step.step", choice)
    summary = compile_corpus(places, out, order, replace=replace, reporter=Heard(said.append))
    return said, summary.kept


@pytest.fixture
def tape(tmp_path: Path) -> str:
    """A cassette without calls: films that need one fail, and grey ones too."""
    file = tmp_path / "calls.jsonl"
    file.write_text('{"model":"m","templates":"compact"}\n')
    return f"replay:{file}"


def _dataset(out: Path, videos: list[dict[str, str]]) -> bytes:
    """A finished dataset, as far as a compile looks at it."""
    out.mkdir()
    (out / "qra.jsonl").write_bytes(b'{"id":"1"}\n')
    (out / "manifest.json").write_text(json.dumps({"videos": videos}))
    return (out / "qra.jsonl").read_bytes()


@pytest.mark.parametrize("what", ["a typo", "an empty folder", "a failing video"])
def test_a_run_that_made_less_leaves_the_dataset(what: str, tape: str, tmp_path: Path) -> None:
    before = _dataset(tmp_path / "out", [{"name": "film", "sha256": "0" * 64}])
    (tmp_path / "empty").mkdir()
    (tmp_path / "film.mp4").write_bytes(b"no film")
    place = {"a typo": "flims", "an empty folder": "empty", "a failing video": "film.mp4"}[what]
    said, kept = _compile([tmp_path / place], tmp_path / "out", tape)
    assert kept and said[-1].code == "B023" and "`film`" in said[-1].message
    assert (tmp_path / "out" / "qra.jsonl").read_bytes() == before
    left = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert left == ["manifest.json", "qra.jsonl"]
    _, kept = _compile([tmp_path / place], tmp_path / "out", tape, replace=True)
    assert not kept and (tmp_path / "out" / "qra.jsonl").read_bytes() == b""


@pytest.mark.parametrize("manifest", ["", "{", '{"videos": 5}', None])
def test_a_dataset_without_a_manifest_is_not_lost_either(
    manifest: str | None, tape: str, tmp_path: Path
) -> None:
    _dataset(tmp_path / "out", [])
    rows = [{"video": "a.mp4", "sha256": "0" * 64}, {"video": "b.mp4"}, {"video": 5}]
    data = "\n".join([*map(json.dumps, rows), "no JSON"]).encode()
    (tmp_path / "out" / "qra.jsonl").write_bytes(data)
    (tmp_path / "out" / "manifest.json").unlink()
    if manifest is not None:
        (tmp_path / "out" / "manifest.json").write_text(manifest)
    said, kept = _compile([tmp_path / "flims"], tmp_path / "out", tape)
    assert kept and said[-1].code == "B023" and "`a`, `b`" in said[-1].message
    assert (tmp_path / "out" / "qra.jsonl").read_bytes() == data


def test_a_video_that_has_no_samples_any_more_is_a_loss() -> None:
    def card(name: str, samples: int) -> Any:
        return SimpleNamespace(name=name, sha256=name * 64, samples=[0] * samples)

    def entry(name: str, **more: object) -> dict[str, object]:
        return {"name": name, "sha256": name * 64, **more}

    old = [entry("a", samples=2), entry("b", samples=0), entry("c"), {"name": "d"}, {"sha256": "x"}]
    with TemporaryDirectory() as folder:
        (Path(folder) / "manifest.json").write_text(
            json.dumps({"videos": old, "files": {"../x": 1}})
        )
        before = previous(Path(folder))
    assert before.files == set()
    every = [card(name, 1) for name in "abcd"]
    assert before.missing(every) == []
    assert before.missing([card("a", 0), *every[1:]]) == ["a"]
    assert before.missing([every[0], card("b", 0), *every[2:]]) == []
    assert before.missing([*every[:2], card("c", 0), card("d", 0)]) == ["c", "d"]
    assert before.missing(every[:1]) == ["b", "c", "d"]


def test_the_old_result_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    write_whole(tmp_path / "manifest.json", b"old")
    write_whole(tmp_path / "a.txt", b"old")
    with pytest.raises(KeyError), OutputFolder(tmp_path) as folder:
        write_whole(folder.work / "a.txt", b"new")
        raise KeyError
    assert (tmp_path / "a.txt").read_bytes() == b"old"
    with OutputFolder(tmp_path) as folder:
        (folder.work / "units").mkdir(parents=True)
        for name in ("a.txt", "units/x", "manifest.json"):
            write_whole(folder.work / name, b"new")
        assert (tmp_path / "a.txt").read_bytes() == b"old"
        folder.commit()
    assert {p.name: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == dict.fromkeys(
        ["a.txt", "x", "manifest.json"], b"new"
    )


def test_files_of_the_old_dataset_do_not_stay_beside_the_new_one(tmp_path: Path) -> None:
    """Such as Parquet shards, which would be read as if they were of the new dataset."""
    for name in ("manifest.json", "qra-00000.parquet", "qra-00001.parquet", "mine.txt"):
        write_whole(tmp_path / name, b"old")
    with OutputFolder(tmp_path) as folder:
        for name in ("manifest.json", "qra-00000.parquet"):
            write_whole(folder.work / name, b"new")
        folder.commit([tmp_path / "qra-00000.parquet", tmp_path / "qra-00001.parquet"])
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {
        "manifest.json": b"new", "qra-00000.parquet": b"new", "mine.txt": b"old",
    }  # fmt: skip


def test_two_processes_do_not_write_to_one_folder(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from stepc.runtime.output_folder import locked\n" \
           "with locked(Path(sys.argv[1])): print('in', flush=True); input()"  # fmt: skip
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    assert other.stdout is not None and other.stdout.readline() == "in\n"
    with pytest.raises(StepcError) as error, locked(tmp_path):
        pass
    (wrong,) = error.value.diagnostics
    assert wrong.code == "B024" and f"process {other.pid}" in wrong.message
    other.communicate("\n")
    with locked(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_partial_files_of_two_writers_differ(tmp_path: Path) -> None:
    file, begun = tmp_path / ("x" * 250), threading.Barrier(2)

    def put(data: bytes) -> None:
        with appearing(file) as part:
            part.write(data[:3])
            begun.wait()
            part.write(data[3:])
            begun.wait()

    writers = [threading.Thread(target=put, args=(one,)) for one in (b"aaaaaa", b"bbbbbb")]
    [w.start() for w in writers]
    [w.join() for w in writers]
    assert file.read_bytes() in (b"aaaaaa", b"bbbbbb") and len(list(tmp_path.iterdir())) == 1


ESCAPES = ["../x", "/tmp/x", "a/../x", "a//x", ".", "", "..", "a\\..\\x", "a\nb", "a\x00", "./x"]


def test_one_bad_link_costs_itself_alone(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        (tmp_path / name).write_text(name)
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    videos, wrong = find_videos([tmp_path])
    assert [p.name for p in videos] == ["a.mp4", "b.mp4", "c.mp4"]
    assert [d.code for d in wrong] in (["B006"], []), "some systems only say that it is no file"


@pytest.mark.parametrize("text", ESCAPES)
def test_a_name_leads_nowhere_else(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a name"):
        Name(text)
    row = {"id": "1", "video": "v", "question": "q", "answer": "a"}
    lines = [json.dumps({**row, "set": text}), json.dumps({**row, "set": "tmp/x"}), json.dumps(row)]
    (tmp_path / "qra.jsonl").write_text("\n".join(lines))
    samples, wrong = read_samples(tmp_path)
    assert [s.set for s in samples] == ["train"]
    assert [d.code for d in wrong] == ["T002", "T002"] and "is not a" in wrong[0].message


def test_long_names_are_shortened_and_stay_apart(tmp_path: Path) -> None:
    one, other = (Name(f"a/{'ü' * 125}{end}").below(tmp_path, ".stsg") for end in "xy")
    assert one != other and one.parent == other.parent == tmp_path / "a"
    assert len(os.fsencode(one.name)) <= 205


def test_videos_are_named_by_their_paths_below_the_folder(tmp_path: Path) -> None:
    for file in ("a/clip.mp4", "b/clip.mp4", "clip.mp4", "b/.hidden/x.mp4", "b/deep/er/x.y.mkv"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(file)
    videos, wrong = find_videos([tmp_path])
    names = [unit_name(below(path, [tmp_path])) for path in videos]
    assert names == ["a/clip", "b/clip", "b/deep/er/x.y", "clip"] and wrong == []


def test_videos_of_one_path_in_several_folders_are_named_by_what_holds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in ("a/day/clip.mp4", "b/day/clip.mp4", "b/other.mp4"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(file)
    monkeypatch.chdir(tmp_path)

    def names(*places: Path) -> list[str]:
        videos, wrong = find_videos(places)
        assert wrong == []
        return [unit_name(below(path, name_bases(places))) for path in videos]

    a, b = Path("a"), Path("b")
    assert (
        names(a, b)
        == names(tmp_path / "a", tmp_path / "b")
        == ["a/day/clip", "b/day/clip", "b/other"]
    )
    assert names(a / "day/clip.mp4", b / "day/clip.mp4") == ["a/day/clip", "b/day/clip"]
    assert names(a, b / "other.mp4") == ["day/clip", "other"], "no two are alike"
    assert names(b, b / "day") == ["day/clip", "other"], "one video, found twice"
    for places in ((a, tmp_path / "b"), (a, Path("../") / tmp_path.name / "b")):
        assert [d.code for d in find_videos(places)[1]] == ["B011"], (
            "no folder is known to hold both"
        )
    (tmp_path / "a/day/clip.mkv").write_text("x")
    assert [d.code for d in find_videos([a])[1]] == ["B011"]
    (tmp_path / "b/day/clip.mp4").unlink()
    assert name_bases([a, b]) == ("a", "b"), "two in one folder change no names"


def test_places_that_cannot_be_read_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "film.mp4").write_text("x")
    monkeypatch.chdir(tmp_path)
    for _ in range(1300):  # deeper than Python's recursion, and than the longest path
        Path("ddd").mkdir()
        os.chdir("ddd")
    monkeypatch.chdir(tmp_path)
    try:
        videos, wrong = find_videos([tmp_path, Path("x" * 300), Path("y"), Path("film.mp4/z")])
    finally:
        subprocess.run(["rm", "-rf", "ddd"], check=True)
    assert [v.name for v in videos] == ["film.mp4"]
    assert {d.code for d in wrong} == {"B006"} and len(wrong) == 4
    assert any("File name too long" in d.message for d in wrong)


def test_videos_of_one_name_make_one_dataset(tape: str, tmp_path: Path) -> None:
    """Nothing is asked here: the calls of both films fail, and each is named by its path."""
    for i, name in enumerate(("a", "b")):
        (tmp_path / "films" / name).mkdir(parents=True)
        write(make_film(random.Random(i), 1), tmp_path / "films" / name / "clip.mp4")
    said, _ = _compile([tmp_path / "films"], tmp_path / "out", tape)
    assert {d.code for d in said} == {"M001"}
    places = [d.place.file for d in said if d.place]
    assert len(places) == 2


def test_what_is_written_for_people_is_escaped() -> None:
    assert markdown("a | b\n<img>") == r"a \| b \<img\>"
    assert [csv_cell(x) for x in ("=1+1", "@x", "-1", "a=b")] == ["'=1+1", "'@x", "'-1", "a=b"]
    assert json.loads(yaml('a: "b"\n- c')) == 'a: "b"\n- c'
