"""Compiling in parallel: a failing video affects only itself; several workers share one model."""

from __future__ import annotations

import multiprocessing.spawn
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hearing import Heard
from speaking import Speaker, said

import stepc.driver.local_engine
from stepc.dataset.spool import Spool
from stepc.diagnostics import Diagnostic, Place, StepcError, fail
from stepc.driver.compile_corpus import compile_corpus
from stepc.driver.compile_video import CompileConfig
from stepc.driver.local_engine import LocalEngine
from stepc.driver.process_pool import Limits, LostVideo, PoolFailed, WorkerPool, ended, threads
from stepc.driver.results import FrontEndResult
from stepc.ir.types import Frame
from stepc.lang.parse import builtin
from stepc.model.batching import Shared
from stepc.model.client import Call, Completion, ModelClient
from stepc.model.load import ModelConfig
from stepc.model.requests import Confirm, EventClaim
from stepc.model.templates import Templates
from stepc.passmanager.pipeline_text import DEFAULT, LINK
from stepc.runtime import watchdog as watch
from stepc.video.decode import Pictures

# --- processes ---------------------------------------------------------------------------


def _nothing() -> None:
    pass


def _poison(path: Path) -> str:
    """What harmful files do to a decoder, by their name."""
    match path.name:
        case "hangs":
            time.sleep(600)
        case "lives long":
            for _ in range(12):
                time.sleep(0.25)
                watch.alive()
        case "eats":
            raise MemoryError if _eaten(4 << 30) is None else AssertionError
        case "crashes":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "leaves":
            os._exit(7)
        case "fails":
            raise OSError("no such device")
    return path.name.upper()


def _eaten(size: int) -> Any:
    try:
        return np.ones(size, np.uint8)
    except MemoryError:
        return None


def test_what_a_file_does_to_its_worker_is_told_of_it_alone() -> None:
    """A decoder that hangs, crashes or leaves; a long work that shows signs of life is no hanging."""
    names = ["a", "hangs", "b", "crashes", "leaves", "lives long", "fails", "c"]
    began = time.monotonic()
    with ended(WorkerPool(2, Limits(patience=2.0), _poison, _nothing, ())) as workers:
        made = dict(workers.each(map(Path, names)))
    assert time.monotonic() - began < 100
    right = {p.name: m for p, m in made.items() if isinstance(m, str)}
    assert right == {n: n.upper() for n in ("a", "b", "c", "lives long")}
    told = {p.name: m.diagnostic for p, m in made.items() if isinstance(m, LostVideo)}
    assert {n: d.code for n, d in told.items()} == {
        "hangs": "B017", "crashes": "B013", "leaves": "B013", "fails": "B021"
    }  # fmt: skip
    assert told["hangs"].message == "no progress for 2 s, in test_workers.py, _poison"
    assert "SIGSEGV" in told["crashes"].message and "exit code 7" in told["leaves"].message
    assert "no such device" in told["fails"].message


def test_a_worker_has_so_much_memory_and_no_more() -> None:
    with ended(WorkerPool(1, Limits(memory=1 << 30), _starved, _nothing, ())) as workers:
        assert dict(workers.each([Path("4294967296"), Path("1000")])) == {
            Path("4294967296"): "too much", Path("1000"): "enough"
        }  # fmt: skip
    assert Limits(memory=5).bytes_each(3) == 5 and Limits().bytes_each(1) >= 1 << 31


def _starved(path: Path) -> str:
    return "too much" if _eaten(int(path.name)) is None else "enough"


def _unable() -> None:
    raise MemoryError


@pytest.mark.parametrize("attempt", range(4))
def test_processes_that_end_at_once_are_no_hang(
    attempt: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where this user may not start Python again. The pool's own threads may fail without a word."""
    monkeypatch.setattr(multiprocessing.spawn, "_python_exe", b"/bin/false")
    workers = WorkerPool(2, Limits(), _poison, _nothing, ())
    began = time.monotonic()
    with pytest.raises(PoolFailed), ended(workers):
        list(workers.each([Path("a"), Path("b")]))
    assert time.monotonic() - began < 60


def test_without_a_folder_for_temporary_files_no_pool_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", none)
    with pytest.raises(PoolFailed, match="no temporary folder") as error:
        WorkerPool(1, Limits(), _poison, _nothing, ())
    assert error.value.left is None


def test_workers_that_cannot_begin_blame_no_video() -> None:
    with (
        ended(WorkerPool(1, Limits(), _poison, _unable, ())) as workers,
        pytest.raises(PoolFailed, match=r"^MemoryError$") as error,
    ):
        list(workers.each([Path("a"), Path("b")]))
    assert sorted(error.value.left or ()) == [Path("a"), Path("b")]


def test_few_paths_are_under_way_however_many_there_are() -> None:
    taken: list[int] = []

    def paths() -> Iterable[Path]:
        for i in range(50):
            taken.append(i)
            yield Path(str(i))

    with ended(WorkerPool(2, Limits(), _poison, _nothing, ())) as workers:
        for done, _ in enumerate(workers.each(paths())):
            assert len(taken) <= done + 1 + 4
    assert len(taken) == 50


# --- videos that are given up ------------------------------------------------------------


def _stuck(path: Path) -> FrontEndResult:
    if path.stem == "film-1":
        time.sleep(600)
    stepc.driver.local_engine._prepare(_ORDER)
    return stepc.driver.local_engine._look(path)


_ORDER = CompileConfig("split-uniform,keyframes-uniform,parse,merge,bridge,sample,compose,check", LINK,
               builtin("step"), "step.step")  # fmt: skip


@pytest.fixture
def three(tmp_path: Path, film: Path) -> Path:
    """Three different files."""
    folder = tmp_path / "films"
    folder.mkdir()
    for i in range(3):
        (folder / f"film-{i}.mp4").write_bytes(film.read_bytes() + bytes([i]))
    return folder


@pytest.mark.embedded
def test_a_video_that_was_lost_is_left_alone_until_it_is_wanted(
    three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = replace(_ORDER, store=tmp_path / "store")

    def compiled(**limits: Any) -> tuple[int, list[Diagnostic]]:
        wrong: list[Diagnostic] = []
        made = compile_corpus([three], tmp_path / "out", order, limits=Limits(**limits),
                              reporter=Heard(wrong.append))  # fmt: skip
        return made.compiled, wrong

    monkeypatch.setattr(stepc.driver.local_engine, "_look", _stuck)
    before, (hung,) = compiled(patience=3.0)
    assert before == 2 and hung.code == "B017" and "film-1" in (hung.place or Place("")).file
    began = time.monotonic()
    before, (again,) = compiled(patience=3.0)
    assert before == 2 and again.code == "B018" and hung.message in again.message
    assert time.monotonic() - began < 20
    more = Limits(4.0, 0).facts()
    assert (
        Limits(5.0).more_than(more)
        and Limits(0.0).more_than(more)
        and Limits(4.0, 1).more_than(more)
    )
    assert not Limits(4.0).more_than(more) and not Limits(9.0).more_than(Limits(0.0).facts())
    monkeypatch.undo()
    assert compiled(retry=True) == (3, [])
    whole = (tmp_path / "out" / "qra.jsonl").read_bytes()
    assert compiled() == (3, []) and (tmp_path / "out" / "qra.jsonl").read_bytes() == whole


# --- threads -----------------------------------------------------------------------------


def test_threads_have_one_task_each_and_hand_on_what_goes_wrong() -> None:
    there, most = [0], [0]
    lock = threading.Lock()

    def work(n: int) -> int:
        with lock:
            there[0] += 1
            most[0] = max(most[0], there[0])
        time.sleep(0.01)
        with lock:
            there[0] -= 1
        if n == 90:
            raise ValueError("ninety")
        return n * n

    assert sorted(threads(range(30), [work] * 3)) == [n * n for n in range(30)]
    assert most[0] == 3
    with pytest.raises(ValueError, match="ninety"):
        list(threads(range(80, 100), [work] * 3))


def _prompt(video: str, text: str) -> Call:
    return Call(f"{video}/{text}", "r", text, (Frame(video=video * 64, at=0),), 0.0, (1, 2))


class _Slow(Speaker):
    """A model that may not be asked by two, sees pictures, and is slow at first."""

    def __init__(self) -> None:
        super().__init__(lambda p, seed: f"{p.text} {seed}")
        self.batches: list[set[str]] = []
        self.inside = False

    def generate(
        self, prompts: Iterable[Call], pictures: Pictures, done: Callable[[Completion], None]
    ) -> None:
        assert not self.inside
        self.inside = True
        try:
            every = list(prompts)
            self.batches.append({p.key for p in every})
            time.sleep(0.3 if len(self.batches) == 1 else 0)
            for prompt in every:
                done(Completion.of(prompt, (str(pictures.at(prompt.frames[0])),) * 2))
        finally:
            self.inside = False


class _Shown(Pictures):
    """Pictures of one video."""

    def __init__(self, video: str) -> None:
        super().__init__()
        self.video = video

    def at(self, frame: Frame) -> Any:
        assert frame.video == self.video * 64
        if self.video == "d":
            raise fail("B007", "is damaged")
        return self.video


def test_what_several_ask_at_the_same_time_is_one_batch() -> None:
    """Each sees its own video's pictures; what is wrong with one is told to no other."""
    shared, model, made = Shared(), _Slow(), list[Any]()
    backends = [shared.over(lambda: made.append(model) or model) for _ in "abcd"]  # type: ignore[func-returns-value]
    assert made == [model] and all(b is shared for b in backends)
    assert shared.identity == "speaker@1"
    told: dict[str, Any] = {}

    def ask(video: str) -> None:
        prompts = [_prompt(video, str(i)) for i in range(3)]
        try:
            told[video] = said(shared, prompts, _Shown(video))
        except StepcError as error:
            told[video] = error.diagnostics[0].code

    first = threading.Thread(target=ask, args=("a",))
    first.start()
    time.sleep(0.1)  # the model is busy with it
    rest = [threading.Thread(target=ask, args=(v,)) for v in "bcd"]
    for thread in rest:
        thread.start()
    for thread in (first, *rest):
        thread.join(20)
    assert told == {"d": "B007", **{v: [[v, v]] * 3 for v in "abc"}}
    assert {k[0] for k in model.batches[0]} == {"a"} and {k[0] for k in model.batches[1]} == {
        *"bcd"
    }


@pytest.mark.embedded
def test_one_model_for_several_videos_gives_what_it_gives_one_by_one(
    three: Path, tmp_path: Path
) -> None:
    """Threads over one model, with a cassette in its place: the same bytes."""
    tape = tmp_path / "calls.jsonl"
    order = replace(_ORDER, pipeline=DEFAULT, choice=ModelConfig(record=tape))
    alone = ModelConfig(f"replay:{tape}")
    for out, choice, jobs, store in (
        ("rec", order.choice, 1, None),
        ("one", alone, 1, None),
        ("many", alone, 3, tmp_path / "store"),
        ("again", alone, 3, tmp_path / "store"),
        ("objects", alone, 3, f"file://{tmp_path}/objects"),
    ):
        order = replace(order, choice=choice, store=store)
        wrong: list[Diagnostic] = []
        made = compile_corpus([three], tmp_path / out, order, engine=LocalEngine(jobs),
                              reporter=Heard(wrong.append))  # fmt: skip
        assert made.compiled == 3 and not wrong
    files = [p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*") if p.is_file()]
    assert len(files) >= 5
    for file in files:
        for out in ("many", "again", "objects"):
            assert (tmp_path / "one" / file).read_bytes() == (tmp_path / out / file).read_bytes()


def test_a_spool_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(StepcError) as error:
        Spool(tmp_path / "nowhere")
    assert error.value.diagnostics[0].code == "B014"


def test_a_reply_counts_as_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long asking pass is no hang while replies arrive."""
    seen: list[str] = []
    monkeypatch.setattr("stepc.model.client.watch.alive", lambda: seen.append("alive"))

    def say(prompt: Call, seed: int) -> str:
        seen.append("reply")
        return '{"yes": true}'

    pictures = Pictures(keep=4)
    for at in range(3):
        pictures.keep_at(Frame(video="0" * 64, at=at), np.zeros((8, 8, 3), np.uint8))
    asked = [
        Confirm(frames=(Frame(video="0" * 64, at=at),), claim=EventClaim(event=f"it rains {at}"))
        for at in range(3)
    ]
    ModelClient(Speaker(say), Templates("default"), pictures).ask(asked)
    assert seen.count("reply") == 3 and seen.count("alive") == 3
