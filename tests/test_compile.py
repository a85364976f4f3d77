"""Whole corpora: the same bytes however they are compiled, and nothing lost to bad files."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import forked
import pytest
import recipes
from datasets import load_dataset
from hearing import Heard
from speaking import Lister
from test_golden import HERE

import stepc.driver.compile_corpus
import stepc.driver.local_engine
from stepc.dataset import parquet
from stepc.dataset.parquet import read_rows
from stepc.dataset.read import read_samples
from stepc.dataset.spool import CompiledUnit
from stepc.diagnostics import Diagnostic, StepcError
from stepc.driver.compile_corpus import compile_corpus
from stepc.driver.compile_video import CompileConfig, Compiler, links_of
from stepc.driver.local_engine import LocalEngine
from stepc.driver.results import VideoResult
from stepc.lang.parse import builtin
from stepc.model.load import ModelConfig
from stepc.model.plan import Assumptions, Plan, plan
from stepc.passmanager.pipeline_text import DEFAULT, LINK
from stepc.passmanager.run import run
from stepc.runtime.interrupts import uninterrupted
from stepc.world.render import write
from stepc.world.scene import make_film


def _order(model: str = "embedded", **more: Any) -> CompileConfig:
    seed = more.pop("seed", 0)
    choice = ModelConfig(model, **more)
    return CompileConfig(DEFAULT, LINK, builtin("step"), "step.step", choice, seed=seed)


def _compile(
    places: list[Path], out: Path, order: CompileConfig, jobs: int = 1
) -> list[Diagnostic]:
    said: list[Diagnostic] = []
    compile_corpus(places, out, order, engine=LocalEngine(jobs), reporter=Heard(said.append))
    return said


def _tree(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three films of two clips, and things that are no videos."""
    folder = tmp_path_factory.mktemp("corpus")
    for i in range(3):
        write(make_film(random.Random(f"corpus/{i}"), 2), folder / f"film-{i}.mp4")
    (folder / "notes.txt").write_text("not a video")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "film-9.mp4").write_text("not a video")
    (folder / "._film-0.mp4").write_text("what some systems leave beside a file")
    return folder


@pytest.fixture(scope="session")
def recorded(films: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The dataset of the films and the cassette of its model calls."""
    folder = tmp_path_factory.mktemp("recorded")
    said = _compile([films], folder / "out", _order(record=folder / "calls.jsonl"))
    assert said == []
    return folder / "out", folder / "calls.jsonl"


@pytest.mark.embedded
def test_a_dataset_has_all_it_should(recorded: tuple[Path, Path]) -> None:
    out, _ = recorded
    rows = [json.loads(line) for line in (out / "qra.jsonl").read_bytes().splitlines()]
    manifest = json.loads((out / "manifest.json").read_bytes())
    assert manifest["samples"] == len(rows) > 20
    assert {v["name"] for v in manifest["videos"]} == {"film-0", "film-1", "film-2"}
    assert manifest["skipped"] == [] and manifest["seed"] == 0
    assert manifest["model"].startswith("embedded@sha256:")
    assert {r["steps"] for r in rows} == {1, 2, 3}
    assert len({r["id"] for r in rows}) == len(rows)
    for row in rows:
        assert len(row["rationale"]) == row["steps"]
        for because in row["rationale"]:
            assert because["question"] and because["answer"] and because["text"]
        assert row["question"] and row["answer"] and row["query"] and row["type"]
        assert row["video"].endswith(".mp4") and row["set"] in ("train", "val", "test")
        assert row["origin"]["asks"] and row["origin"]["model"] == manifest["model"]
        for e in row["evidence"]:
            assert 0 <= e["start"] <= e["end"] and e["keyframes"] and e["nodes"]
            assert {k["id"].split(".")[0] for k in e["keyframes"]} == {e["clip"]}
            assert all(n.startswith(e["clip"]) for n in e["nodes"])
        assert {e["step"] for e in row["evidence"]} == set(range(1, row["steps"] + 1))
    for video in manifest["videos"]:
        assert (out / video["stsg"]["file"]).read_text("utf-8").startswith("stsg 1 ")
    assert not list(out.rglob("*.partial"))


@pytest.mark.embedded
def test_workers_and_order_change_no_byte(
    films: Path, recorded: tuple[Path, Path], tmp_path: Path
) -> None:
    out, cassette = recorded
    videos = sorted(films.glob("film-*.mp4"), reverse=True)
    _compile(videos, tmp_path / "two", _order(), jobs=2)
    assert _tree(tmp_path / "two") == _tree(out)
    _compile([*videos, films], tmp_path / "played", _order(f"replay:{cassette}"), jobs=1)
    assert _tree(tmp_path / "played") == _tree(out)


@pytest.mark.embedded
def test_bad_files_cost_only_themselves(
    films: Path, recorded: tuple[Path, Path], tmp_path: Path
) -> None:
    out, cassette = recorded
    corpus = tmp_path / "corpus"
    shutil.copytree(films, corpus)
    for name, recipe in {
        "empty.mp4": "empty",
        "noise.mkv": "noise",
        "sound.avi": "sound",
        "cut.mp4": "cut-off",
        "none.avi": "no-frames",
        "more/film-1.mkv": "film:x/1",
    }.items():
        recipes.make(recipe, corpus / name)
    said = _compile([corpus], tmp_path / "out", _order(f"replay:{cassette}"))
    assert sorted(d.code for d in said) == ["B001", "B002", "B002", "B003", "B004", "M001"]
    assert (tmp_path / "out" / "qra.jsonl").read_bytes() == (out / "qra.jsonl").read_bytes()
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert {s["file"] for s in manifest["skipped"]} >= {"empty.mp4", "noise.mkv", "none.avi"}


@pytest.mark.embedded
@pytest.mark.skipif(sys.platform != "linux", reason="file names of any bytes are Linux's")
def test_a_name_that_is_not_utf8(films: Path, recorded: tuple[Path, Path], tmp_path: Path) -> None:
    _, cassette = recorded
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    shutil.copy(films / "film-0.mp4", corpus / "film-0.mp4")
    odd = os.fsencode(corpus) + b"/caf\xe9.mp4"
    Path(os.fsdecode(odd)).write_bytes((films / "film-1.mp4").read_bytes())
    done = _stepc("compile", str(corpus), "-o", "out", "-m", f"replay:{cassette}", cwd=tmp_path)
    assert done.returncode == 1
    assert "[B009]" in done.stderr and "1 compiled, 1 failed" in done.stderr
    assert "Traceback" not in done.stderr


def _stepc(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return forked.stepc(arguments, cwd)


@pytest.mark.embedded
def test_memory_that_runs_out_is_one_videos_trouble(
    films: Path, recorded: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Compiler.start

    def starved(self: Compiler, path: Path, *more: Any) -> Any:
        if path.stem == "film-1":
            raise MemoryError
        return start(self, path, *more)

    monkeypatch.setattr(Compiler, "start", starved)
    said = _compile([films], tmp_path / "out", _order(f"replay:{recorded[1]}"))
    assert [d.code for d in said] == ["B012"]
    units = {p.name for p in (tmp_path / "out" / "units").iterdir()}
    assert units == {"film-0.stsg", "film-2.stsg"}


def _die(path: Path) -> VideoResult:
    """What a worker does whose process is killed by the system."""
    if path.stem == "film-1":
        os.kill(os.getpid(), signal.SIGKILL)
    return VideoResult(path, path.stem)


def test_a_worker_that_is_killed_is_named(films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepc.driver.local_engine, "_whole", _die)
    videos = sorted(films.glob("film-*.mp4"))
    done = list(LocalEngine(2).results(videos, Compiler(_order())))
    lost = {r.name: r.diagnostics[0] for r in done if r.diagnostics}
    assert lost.keys() == {"film-1"} and lost["film-1"].code == "B013"
    assert "SIGKILL" in lost["film-1"].message
    assert {r.name for r in done} == {"film-0", "film-1", "film-2"}


@pytest.mark.embedded
def test_stopped_in_the_middle(films: Path, tmp_path: Path) -> None:
    """Ctrl-C: what is done is in the dataset, nothing is half-written, no traceback."""
    many = tmp_path / "many"
    many.mkdir()
    for i in range(12):
        os.link(films / f"film-{i % 3}.mp4", many / f"film-{i}.mp4")
    for i in range(12):  # different files, so that none is taken for another
        path = many / f"film-{i}.mp4"
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data + bytes([i]))
    process = subprocess.Popen(
        [sys.executable, "-m", "stepc", "compile", "many", "-o", "out", "--jobs", "2"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(HERE)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # a shell without job control has its background ignore Ctrl-C, and so would this
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    units = tmp_path / "out" / "units"
    end = time.monotonic() + 240
    while time.monotonic() < end and not (units.exists() and list(units.glob("*.stsg"))):
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=240)
    assert process.returncode == 130, told
    assert "Traceback" not in told and "stopped" in told
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert manifest["interrupted"] is True
    assert 1 <= len(manifest["videos"]) < 12
    assert {p.stem for p in units.iterdir()} == {v["name"] for v in manifest["videos"]}
    rows = (tmp_path / "out" / "qra.jsonl").read_bytes().splitlines()
    assert len([json.loads(r) for r in rows]) == manifest["samples"] > 0


@pytest.mark.embedded
def test_an_interrupt_takes_a_finished_video_whole(
    films: Path, recorded: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while a unit is written: the video is in the dataset, and nothing else of it is lost."""
    write_unit = stepc.driver.compile_corpus.write_unit

    def interrupted(out: Path, made: CompiledUnit) -> None:
        write_unit(out, made)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(stepc.driver.compile_corpus, "write_unit", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # runners of tests ignore it
    try:
        _compile([films], tmp_path, _order(f"replay:{recorded[1]}"))
        with pytest.raises(KeyboardInterrupt), uninterrupted():  # the second one does not wait
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            pytest.fail("not interrupted")
    finally:
        signal.signal(signal.SIGINT, before)
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    assert manifest["interrupted"] is True
    assert [f"{v['name']}.stsg" for v in manifest["videos"]] == [
        p.name for p in (tmp_path / "units").iterdir()
    ]
    rows = (tmp_path / "qra.jsonl").read_bytes().splitlines()
    assert len(rows) == manifest["samples"] > 0


ABLATIONS = {
    "w/o splitting": DEFAULT.replace("split,keyframes", "split-uniform,keyframes-uniform"),
    "w/o parsing": DEFAULT.replace("parse,", "parse-oneshot,"),
    "w/o merging": DEFAULT.replace("merge", "lift"),
    "w/o bridging": DEFAULT.replace("bridge", "bridge-none"),
}


@pytest.mark.embedded
@pytest.mark.parametrize("name", ABLATIONS)
def test_every_ablation_runs(name: str, film: Path, tmp_path: Path) -> None:
    order = CompileConfig(ABLATIONS[name], LINK, builtin("step"), "step.step")
    assert _compile([film], tmp_path, order) == []
    rows = [json.loads(line) for line in (tmp_path / "qra.jsonl").read_bytes().splitlines()]
    assert rows
    types = {t for r in rows for t in r["type"].split(",")} if rows else set()
    assert types


def _interrupted(*_: Any) -> Iterator[VideoResult]:
    raise KeyboardInterrupt
    yield


def test_stopped_before_anything(films: Path, tmp_path: Path, monkeypatch: Any) -> None:
    tape, out = tmp_path / "calls.jsonl", tmp_path / "out"
    tape.write_text('{"model":"m","templates":"compact"}\n', "utf-8")
    monkeypatch.setattr(LocalEngine, "results", _interrupted)
    assert _compile([films], out, _order(f"replay:{tape}")) == []
    assert (out / "qra.jsonl").read_bytes() == b""
    assert json.loads((out / "manifest.json").read_bytes())["interrupted"] is True


@pytest.mark.embedded
@pytest.mark.parametrize("together", [1, 8])
def test_a_plan_says_what_a_compile_then_asks(together: int, tmp_path: Path) -> None:
    """Within a tenth, where what is assumed of keyframes is so."""
    for seed in range(2):
        write(make_film(random.Random(f"plan/{seed}"), 3), tmp_path / f"film{seed}.mp4")
    plans: list[Plan] = []
    asked: Counter[str] = Counter()
    for path in sorted(tmp_path.glob("*.mp4")):
        trace = tmp_path / f"{path.stem}.jsonl"
        compiler = Compiler(_order("embedded", together=together, trace=trace))
        asker = compiler.asker()
        if together > 1:
            asker.backend = Lister(asker.backend)
        looked: Any = None
        counts: dict[str, Any] = {}
        for done in run(compiler.passes, compiler.start(path), compiler.tools()):
            looked = done.unit if done.name == "keyframes" else looked
            counts[done.name] = done.unit
        rows = [json.loads(line) for line in trace.read_bytes().splitlines()]
        asked.update(r["request"] for r in rows if not (r["items"] > 1 and r["unread"]))
        fsg, stsg = counts["parse"], counts["bridge"]
        frames = len(looked.keyframes)
        n = len(fsg.objects) / frames
        assume = Assumptions(
            objects=n,
            attributes=len(fsg.attributes) / len(fsg.objects),
            relations=len(fsg.relations) / (frames * n * (n - 1) / 2),
            moving=len(stsg.motions) / (n * (frames - len(looked.clips))),
            back=len(stsg.references) / max(1, n * 3),
            narratives=sum(r["request"] == "list_objects" for r in rows) / frames,
            together=together,
            lacking=asker.templates.lacking,
        )
        plans.append(plan(looked.clips, compiler.passes, len(counts["sample"].paths), assume))
    planned: Counter[str] = Counter()
    for p in plans:
        planned.update({name: a.calls for name, a in p.asked.items()})  # type: ignore[dict-item]
    assert 0.9 < planned.total() / asked.total() < 1.1, (planned, asked)
    assert sum(p.naive for p in plans) > (2 if together == 1 else 6) * planned.total()


@pytest.mark.embedded
def test_a_dataset_block_drives_the_link_passes_and_what_is_written(
    films: Path, tmp_path: Path
) -> None:
    text = """spec mine

import step

override paths {
  count   8 per video
  steps   1..2
  form    choice
  options 4 from clip, graph, corpus
}

dataset {
  steps   1: 1/2, 2: 1/2
  answers <= 1/3
  most    5 per video
  sets    train: 60%, test: 40%
  formats jsonl, chat, parquet
}
"""
    order = CompileConfig(DEFAULT, "", text, "mine.step")
    assert links_of(Compiler(order).spec) == (
        'distract,dedupe,balance(mix="1:0.5000;2:0.5000",answer=0.3333,most=5),'
        "split-sets(val=0.0000,test=0.4000),emit"
    )
    assert not [d for d in _compile([films], tmp_path, order) if d.code != "B010"]
    rows = [json.loads(line) for line in (tmp_path / "qra.jsonl").read_bytes().splitlines()]
    assert rows and all(len(r["options"]) == 4 and r["answer"] in r["options"] for r in rows)
    steps = [r["steps"] for r in rows]
    assert max(Counter(r["video"] for r in rows).values()) <= 5
    assert set(steps) <= {1, 2} and {r["set"] for r in rows} <= {"train", "test"}
    chats = [json.loads(line) for line in (tmp_path / "chat.jsonl").read_bytes().splitlines()]
    assert len(chats) == 2 * len(rows)
    asked = chats[0]["messages"][0]["content"][1]["text"].splitlines()
    assert asked[0] == rows[0]["question"] and asked[1] == f"A. {rows[0]['options'][0]}"
    reply = chats[0]["messages"][1]["content"][0]["text"]
    assert reply in asked and reply.endswith(rows[0]["answer"])
    prompts = [c["messages"][0]["content"][1]["text"] for c in chats]
    assert len(set(prompts)) == len(prompts) == len({*prompts[::2]} | {*prompts[1::2]})
    told = [c["messages"][1]["content"][0]["text"] for c in chats if c["task"] == "rationale"]
    assert all(text.endswith(f". {row['answer']}") for text, row in zip(told, rows, strict=True))
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    assert set(manifest["files"]) == {"qra.jsonl", "chat.jsonl", "qra-00000.parquet"}
    found = load_dataset("parquet", data_files=str(tmp_path / "qra-*.parquet"), split="train",
                         cache_dir=str(tmp_path / "cache"))  # fmt: skip
    assert len(found) == len(rows) and found.features["steps"].dtype == "int64"
    told = [{k: v for k, v in row.items() if v is not None} for row in read_rows(
        [tmp_path / "qra-00000.parquet"])]  # fmt: skip
    assert told == [{k: v for k, v in row.items() if v is not None} for row in rows]
    from_lines, _ = read_samples(tmp_path)
    later = {**manifest, "files": {"qra-00000.parquet": manifest["files"]["qra-00000.parquet"]}}
    (tmp_path / "manifest.json").write_text(json.dumps(later))
    whole = (tmp_path / "qra.jsonl").read_bytes()
    (tmp_path / "qra.jsonl").write_bytes(whole.splitlines(keepends=True)[0])  # of a compile before
    assert read_samples(tmp_path) == (from_lines, [])
    (tmp_path / "qra.jsonl").unlink()
    assert read_samples(tmp_path) == (from_lines, [])
    assert read_samples(tmp_path / "qra-00000.parquet")[0] == from_lines


def test_parquet_is_written_in_shards_and_whole(tmp_path: Path) -> None:
    features = {"n": parquet.WHOLE, "who": {"a": parquet.TEXT, "b": parquet.many(parquet.NUMBER)}}
    rows = [{"n": i, "who": {"a": str(i), "b": [i / 2]}} for i in range(2500)]
    files = parquet.write_shards(tmp_path, "qra", rows, features, most=600)
    assert list(files) == [f"qra-{i:05}.parquet" for i in range(5)]
    assert list(read_rows(parquet.shards(tmp_path, "qra"))) == rows
    assert files == parquet.write_shards(tmp_path, "qra", rows, features, most=600)
    (tmp_path / "qra-more.parquet").touch()
    (one,) = parquet.write_shards(tmp_path, "qra", iter(rows[:10]), features, most=600)
    assert {p.name for p in tmp_path.iterdir()} == {one, "qra-more.parquet"}
    assert list(parquet.write_shards(tmp_path, "qra", [], features)) == [one]
    assert list(read_rows([tmp_path / one])) == []

    def broken() -> Iterator[dict[str, Any]]:
        yield rows[0]
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        parquet.write_shards(tmp_path, "other", broken(), features)
    with pytest.raises(StepcError) as error:
        parquet.write_parquet(tmp_path / "nowhere" / "x.parquet", rows, features)
    assert error.value.diagnostics[0].code == "B014"
    assert {p.name for p in tmp_path.iterdir()} == {one, "qra-more.parquet"}
    with pytest.raises(StepcError) as error:
        read_samples(tmp_path / "qra-more.parquet")
    assert error.value.diagnostics[0].code == "T001"


@pytest.mark.embedded
def test_an_imported_spec_is_part_of_what_made_the_dataset(films: Path, tmp_path: Path) -> None:
    (tmp_path / "base.step").write_text("spec base\nimport step\n", "utf-8")
    main = 'spec mine\nimport "base.step"\noverride paths { count 9 per video }\n'
    order = CompileConfig(DEFAULT, "", main, "mine.step", spec_folder=tmp_path)
    first = Compiler(order).spec
    (tmp_path / "base.step").write_text("spec base # again\nimport step\n", "utf-8")
    assert Compiler(order).spec.digest != first.digest
    _compile([films / "film-0.mp4"], tmp_path / "out", order, jobs=1)
    rows = (tmp_path / "out" / "qra.jsonl").read_bytes().splitlines()
    assert 0 < len(rows) <= 9
