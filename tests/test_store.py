"""The store: what is found again after which change, what is believed, and what a kill leaves."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hearing import Heard
from test_golden import HERE

import stepc.passmanager.memo
from stepc.diagnostics import Diagnostic
from stepc.driver.compile_corpus import Summary, compile_corpus
from stepc.driver.compile_video import CompileConfig
from stepc.ir import types as t
from stepc.lang.parse import builtin
from stepc.model.load import ModelConfig
from stepc.passmanager.base import Pass, Tools
from stepc.passmanager.code_keys import CodeKey, pass_key
from stepc.passmanager.pipeline_text import DEFAULT, LINK
from stepc.passmanager.registry import pass_names, pass_type
from stepc.reporter import Collector
from stepc.store.base import Entry, name_of
from stepc.store.object_store import Objects
from stepc.store.open import open_store
from stepc.store.sqlite import Database
from stepc.video.decode import Pictures
from stepc.world.render import write
from stepc.world.scene import make_film

STEP = builtin("step")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short film; another one beside it, to be added."""
    folder = tmp_path_factory.mktemp("films")
    for i in range(2):
        place = folder / ("later" if i else "films") / f"film-{i}.mp4"
        place.parent.mkdir(exist_ok=True)
        write(make_film(random.Random(f"store/{i}"), 2), place)
    return folder


@pytest.fixture(scope="module")
def filled(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that has seen the film compiled."""
    folder = tmp_path_factory.mktemp("filled")
    summary, _ = _compiled(films / "films", folder, folder / "store")
    assert summary.compiled == 1 and summary.usage.calls > 100
    return folder


def _compiled(
    place: Path,
    folder: Path,
    store: Path | None,
    pipeline: str = DEFAULT,
    spec: str = STEP,
    seed: int = 1,
    choice: ModelConfig | None = None,
    **more: Any,
) -> tuple[Summary, list[Diagnostic]]:
    said: list[Diagnostic] = []
    order = CompileConfig(
        pipeline, LINK, spec, "step.step", choice or ModelConfig(), seed=seed, store=store, **more
    )
    lines: list[str] = []
    summary = compile_corpus(
        [place], folder / "out", order, reporter=Heard(said.append, lines.append)
    )
    (folder / "why").write_text("\n".join(lines))
    return summary, said


def _why(folder: Path) -> list[str]:
    """Why passes ran in the last compile."""
    return (folder / "why").read_text().splitlines()


def _data(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted((folder / "out").rglob("*"))
        if p.is_file()
    }


def _copy(filled: Path, to: Path) -> Path:
    shutil.copytree(filled / "store", to / "store")
    return to / "store"


CHANGES: dict[str, tuple[dict[str, Any], str, str]] = {
    "nothing": ({}, "", "none"),
    "a comment in the spec": ({"spec": "# so it is\n" + STEP}, "", "none"),
    "a word of a question": (
        {"spec": STEP.replace("What is", "Which is")}, "compose check refine check", "refine",
    ),
    "the seed": ({"seed": 2}, "", "all"),
    "a threshold": ({"pipeline": DEFAULT.replace("parse", "parse(keep=0.6)")}, "parse", "none"),
    "pruning": ({"pipeline": DEFAULT.replace("bridge", "bridge(prune=attributes)")}, "bridge", "none"),
}  # fmt: skip


@pytest.mark.embedded
@pytest.mark.parametrize("change", CHANGES)
def test_what_is_made_again_after_a_change(
    change: str, filled: Path, films: Path, tmp_path: Path
) -> None:
    more, ran, asked = CHANGES[change]
    summary, _ = _compiled(films / "films", tmp_path, _copy(filled, tmp_path), **more)
    first = [line.split(":")[2].split()[0] for line in _why(tmp_path) if "film-0" in line]
    if change != "the seed":
        assert " ".join(first) == ran
    match asked:
        case "none":
            assert summary.usage.calls == 0
        case "refine":
            whole, _ = _compiled(films / "films", tmp_path / "anew", None, **more)
            assert 0 < summary.usage.calls < whole.usage.calls / 4
        case _:
            assert summary.usage.calls > 100
    if change in ("nothing", "a threshold", "pruning", "a comment in the spec"):
        assert _data(tmp_path)["out/qra.jsonl"] == _data(filled)["out/qra.jsonl"]


@pytest.mark.embedded
def test_a_template_and_a_model_ask_anew_but_cuts_are_kept(
    filled: Path, films: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    text = (HERE / "templates" / "compact" / "event.jinja").read_text("utf-8")
    for path in (HERE / "templates" / "compact").iterdir():
        shutil.copy(path, tmp_path / "mine")
    (tmp_path / "mine" / "event.jinja").write_text(text.replace("what", "what  "), "utf-8")
    store = _copy(filled, tmp_path)
    choice = ModelConfig(templates=f"{tmp_path}/mine")
    summary, _ = _compiled(films / "films", tmp_path, store, choice=choice)
    assert 0 < summary.usage.calls < 30  # of each clip its event
    first = [line for line in _why(tmp_path) if "film-0" in line]
    assert first[0].split(":")[2].split()[0] == "parse"
    assert "changed: the model or how it is asked" in first[0]


@pytest.mark.embedded
def test_other_code_makes_anew_and_asks_nothing(
    filled: Path, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def newer(kind: Any, uses: Any) -> CodeKey:
        return CodeKey({**pass_key(kind, uses).parts, "stepc.newer": "1"})

    monkeypatch.setattr(stepc.passmanager.memo, "pass_key", newer)
    summary, _ = _compiled(films / "films", tmp_path, _copy(filled, tmp_path))
    assert summary.usage.calls == 0 and len(_why(tmp_path)) == len(DEFAULT.split(","))
    assert _why(tmp_path)[0].endswith("changed: stepc.newer")
    assert _data(tmp_path) == _data(filled)


@pytest.mark.embedded
def test_a_video_more_or_less(filled: Path, films: Path, tmp_path: Path) -> None:
    store = _copy(filled, tmp_path)
    shutil.copytree(films / "films", tmp_path / "more")
    shutil.copy(films / "later" / "film-1.mp4", tmp_path / "more")
    summary, _ = _compiled(tmp_path / "more", tmp_path, store)
    assert {line.split(":")[0] for line in _why(tmp_path)} == {"film-1"} and summary.compiled == 2
    (tmp_path / "more" / "film-0.mp4").unlink()
    summary, _ = _compiled(tmp_path / "more", tmp_path, store)
    assert _why(tmp_path) == [] and summary.compiled == 1 and summary.usage.calls == 0


def _damage_a_content(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE entries SET content = substr(content, 1, 40) WHERE kind = 'refine'")


def _damage_the_hashes(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE entries SET hash = zeroblob(32) WHERE kind IN ('check', 'call')")


def _damage_the_file(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[:4000] = random.Random(0).randbytes(4000)
    path.write_bytes(data)


def _cut_the_file(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _scatter(path: Path) -> None:
    rng, data = random.Random(1), bytearray(path.read_bytes())
    for _ in range(2000):
        data[rng.randrange(100, len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


@pytest.mark.embedded
@pytest.mark.parametrize(
    "harm", [_damage_a_content, _damage_the_hashes, _damage_the_file, _cut_the_file, _scatter]
)
def test_what_is_damaged_is_not_believed(
    harm: Callable[[Path], None], filled: Path, films: Path, tmp_path: Path
) -> None:
    store = _copy(filled, tmp_path)
    path = Database(store).path
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    harm(path)
    summary, said = _compiled(films / "films", tmp_path, store)
    assert summary.compiled == 1 and summary.failed == 0
    assert {d.code for d in said} <= {"B015", "B016"}
    assert _data(tmp_path) == {**_data(filled), **_manifest(tmp_path)}
    again, _ = _compiled(films / "films", tmp_path, store)
    assert again.compiled == 1 and (harm is _scatter or again.usage.calls == 0)
    assert _data(tmp_path) == {**_data(filled), **_manifest(tmp_path)}


def _manifest(folder: Path) -> dict[str, str]:
    return {k: v for k, v in _data(folder).items() if k.endswith("manifest.json")}


@pytest.mark.embedded
def test_a_store_that_cannot_be_used_costs_time_only(films: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    summary, said = _compiled(films / "later", tmp_path, tmp_path / "file")
    assert summary.compiled == 1 and [d.code for d in said] == ["B015"]


def test_a_full_disk_costs_time_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Collector()
    store = Database(tmp_path, heard)
    store.put(b"a" * 32, "call", b"1" * 100, {})
    assert store._db is not None
    store._db.execute("PRAGMA max_page_count = 8")
    for i in range(300):
        store.put(name_of(i), "call", random.Random(i).randbytes(2000), {})
    assert [d.code for d in heard.diagnostics] == ["B015"]
    entry = store.get(b"a" * 32)
    assert entry is not None and store.read(entry) == b"1" * 100


def _fill(place: str, first: int) -> None:
    store = open_store(place)
    for i in range(first, first + 300):
        store.put(name_of(i), "call", str(i).encode(), {"i": i})
        found = store.get(name_of(i))
        assert found is not None and store.read(found) == str(i).encode()


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_many_processes_share_a_store(scheme: str, tmp_path: Path) -> None:
    place = f"{scheme}{tmp_path}"
    processes = [multiprocessing.Process(target=_fill, args=(place, 100 * k)) for k in range(4)]
    for p in processes:
        p.start()
    for p in processes:
        p.join()
    assert [p.exitcode for p in processes] == [0] * 4
    ((_, number, _),) = open_store(place).stats()
    assert number == 600 and open_store(place).verify() == 0
    assert scheme or Database(tmp_path).stats()[0][0] == "call"


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    store = Database(tmp_path)
    for i in range(50):
        store.put(name_of(i), "call", random.Random(i).randbytes(1000), {})
    assert store._db is not None
    store._db.execute("UPDATE entries SET used = used - 100000")
    for i in range(10):
        assert store.get(name_of(i)) is not None  # used again
    dropped, freed = store.collect(20_000)
    assert 28 <= dropped <= 31 and freed >= 1000 * dropped
    assert all(store.get(name_of(i)) for i in range(10))
    assert store.collect(20_000) == (0, 0)


# --- a store of objects ------------------------------------------------------------------


@pytest.fixture(params=["file://", "memory://"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where objects are."""
    return f"{request.param}{tmp_path}/objects"


def test_objects_are_kept_found_and_dropped(url: str) -> None:
    heard = Collector()
    store = open_store(url, heard)
    assert isinstance(store, Objects) and store.get(name_of(0)) is None and store.stats() == []
    for i in range(20):
        kept = store.put(name_of(i), "call", random.Random(i).randbytes(1000), {"i": i})
        assert store.get(name_of(i)) == kept
        store.files.modified(store._path(name_of(i)))
    entry = store.get(name_of(7))
    assert entry is not None and entry.facts == {"i": 7}
    assert store.get(name_of(8)) is not None  # another one between finding and reading
    assert store.read(entry) == store.read(entry) == random.Random(7).randbytes(1000)
    again = store.put(name_of(7), "call", b"other", {})
    assert store.read(again) == b"other" and store.stats()[0][1] == 20
    dropped, freed = store.collect(8_000)
    assert 12 <= dropped <= 14 and freed >= 1000 * (dropped - 1) and store.verify() == 0
    assert store.get(name_of(0)) is None and store.get(name_of(19)) is not None
    store.close()
    assert store.get(name_of(19)) is None and heard.diagnostics == []


def test_replies_about_a_video_are_packed(url: str) -> None:
    heard = Collector()
    store, other = open_store(url, heard), open_store(url, heard)
    store.put_call(name_of("alone"), b'["a"]')
    for video in ("a" * 64, "b" * 64):
        store.about(video)
        assert store.get_call(name_of(0)) is None
        for i in range(50):
            store.put_call(name_of(i), f'["{video[0]} {i}"]'.encode())
            assert store.get_call(name_of(i)) == f'["{video[0]} {i}"]'.encode()
        store.put(name_of("pass", video), "parse", b"{}", {})  # a pass ends: what it asked is safe
        other.about(video)
        assert other.get_call(name_of(49)) == f'["{video[0]} 49"]'.encode()
        other.put_call(name_of(50), b'["more"]')
        store.put_call(name_of("lost"), b'["not kept yet"]')
    assert store.stats()[0][1] == 1 + 2 + 2 + 1 + 1  # of both, and what waited when they went on
    other.about("")
    store.close()
    again = open_store(url, heard)
    again.about("a" * 64)
    assert [again.get_call(name_of(i)) for i in (0, 50, "lost")] == [
        b'["a 0"]', b'["more"]', b'["not kept yet"]'
    ]  # fmt: skip
    again.about("")
    assert again.get_call(name_of(0)) is None and again.get_call(name_of("alone")) == b'["a"]'
    assert again.verify() == 0 and heard.diagnostics == []
    assert isinstance(again, Objects)
    pack = next(p for p in again.files.find(again.root) if f"/{'a' * 64}/" in p)
    again.files.pipe_file(pack, _flip(again.files.cat_file(pack)))
    again.about("a" * 64)
    assert None in [again.get_call(name_of(i)) for i in (0, 50, "lost")]
    assert [d.code for d in heard.diagnostics] == ["B016"] and not again.files.exists(pack)
    assert again.collect(0)[0] == 8 and again.stats() == []


def _flip(data: bytes) -> bytes:
    return data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]


@pytest.mark.parametrize(
    "harm",
    [
        _flip,
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: data.replace(b'"facts":"{}"', b'"facts":"[]"'),
        lambda data: b"[1]" + data[data.index(b"\n") :],
        lambda data: b"nothing of the kind",
    ],
)
def test_a_damaged_object_is_not_believed(harm: Callable[[bytes], bytes], url: str) -> None:
    heard = Collector()
    store = open_store(url, heard)
    assert isinstance(store, Objects)
    whole = store.put(name_of("x"), "call", b"content" * 20, {})
    path = store._path(whole.name)
    store.files.pipe_file(path, harm(store.files.cat_file(path)))
    entry = store.get(whole.name)
    assert entry is None or store.read(entry) is None
    assert [d.code for d in heard.diagnostics] == ["B016"] and store.get(whole.name) is None
    assert store.put(name_of("x"), "call", b"content" * 20, {}) == whole
    assert store.get(whole.name) == whole and store.verify() == 0


def test_what_was_being_written_when_a_machine_stopped_goes(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/objects")
    store.put(name_of("x"), "call", b"content", {})
    assert isinstance(store, Objects)
    path = Path(store._path(name_of("x")))
    old, new = path.with_name(path.name + ".0f"), path.with_name(path.name + ".1f")
    for half in (old, new):
        half.write_bytes(b"half")
    os.utime(old, (1, 1))
    assert store.stats()[0][1] == 1 and store.collect(1 << 30) == (0, 0)
    assert path.exists() and new.exists() and not old.exists()


@pytest.mark.parametrize("url", ["nothing://here", "s3://bucket/store", "file:///proc/nowhere"])
def test_objects_that_cannot_be_reached_cost_time_only(url: str) -> None:
    heard = Collector()
    store = open_store(url, heard)  # s3fs is not installed
    entry = store.put(name_of("x"), "call", b"content", {})
    assert store.get(entry.name) is None and store.read(entry) is None
    assert store.stats() == [] and store.verify() == 0 and store.collect(0) == (0, 0)
    assert [d.code for d in heard.diagnostics] == ["B015"]


@pytest.mark.embedded
def test_what_is_in_objects_is_not_made_again(films: Path, tmp_path: Path) -> None:
    url = f"file://{tmp_path}/objects"
    first, _ = _compiled(films / "films", tmp_path / "one", url)
    again, said = _compiled(films / "films", tmp_path / "two", url)
    assert first.usage.calls > 0 == again.usage.calls and said == []
    for name in ("qra.jsonl", "manifest.json"):
        one, two = tmp_path / "one" / "out", tmp_path / "two" / "out"
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_a_pass_says_what_it_uses() -> None:
    class Sly(Pass[t.Stsg, t.Stsg]):
        name = "sly"

        def run(self, unit: t.Stsg, tools: Tools) -> t.Stsg:
            tools.the_spec()
            return unit

    tools = Tools(Pictures(), uses=Sly.uses)
    with pytest.raises(TypeError, match="must declare it in `uses`"):
        Sly().run(None, tools)  # type: ignore[arg-type]
    users = {n for n in pass_names() if "model" in getattr(pass_type(n), "uses", ())}
    assert users == {
        "parse", "parse-oneshot", "ground", "confirm", "merge", "bridge", "deny", "refine", "probe"
    }  # fmt: skip


def test_names_depend_on_all_their_parts(tmp_path: Path) -> None:
    assert name_of("a", {"x": 1, "y": 2}) == name_of("a", {"y": 2, "x": 1})
    assert len({name_of("a", 1), name_of("a", "1"), name_of("a", [1]), name_of("a1")}) == 4
    (tmp_path / "file").touch()
    nowhere = Database(tmp_path / "file" / "store")
    assert nowhere.get(b"x" * 32) is None and nowhere.read(Entry(b"x" * 32, b"", {})) is None
    assert nowhere.stats() == [] and nowhere.verify() == 0 and nowhere.collect(0) == (0, 0)


KILLS = int(os.environ.get("STEPC_KILLS", "3"))
"""How often a run is killed; more of them by `make test-kill`."""


def _lose_power(folder: Path, rng: random.Random) -> None:
    """What a loss of power leaves: files cut short, or as long as they were with nothing in the end."""
    for path in [p for p in folder.rglob("*") if p.is_file() and rng.random() < 0.4]:
        size = path.stat().st_size
        left = rng.choice([0, rng.randrange(size + 1), max(0, size - 4096)])
        with path.open("r+b") as file:
            file.truncate(left)
            if rng.random() < 0.5:
                file.truncate(size)


@pytest.mark.embedded
def test_a_killed_run_goes_on_to_the_same_dataset(films: Path, tmp_path: Path) -> None:
    """Killed with its workers or without, with a loss of power after it or none, as often as may be."""
    rng = random.Random(KILLS)
    both = tmp_path / "films"
    both.mkdir()
    for film in [*(films / "films").glob("*.mp4"), *(films / "later").glob("*.mp4")]:
        shutil.copy2(film, both / film.name)
    assert len(list(both.iterdir())) == 2
    whole = tmp_path / "undisturbed"
    order = CompileConfig(DEFAULT, "", STEP, "step.step", seed=1)
    compile_corpus([both], whole / "out", order, reporter=Heard(print))
    command = [
        sys.executable, "-m", "stepc", "compile", both, "-o", tmp_path / "out",
        "--store", tmp_path / "store", "--seed", "1",
    ]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(HERE)}
    for _ in range(KILLS):
        process = subprocess.Popen(
            [*command, "--jobs", rng.choice("12")], env=env, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        time.sleep(rng.uniform(0.5, 8))
        if process.poll() is None:
            alone = rng.random() < 0.3
            (os.kill if alone else os.killpg)(process.pid, signal.SIGKILL)
        process.wait()
        if rng.random() < 0.3:
            _lose_power(tmp_path / "store", rng)
            _lose_power(tmp_path / "out", rng)
        if rng.random() < 0.2:  # now and then a new beginning, so that there is something to kill
            shutil.rmtree(tmp_path / "store", ignore_errors=True)
    done = subprocess.run([*command, "--jobs", "2"], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert _data(tmp_path) == _data(whole)


def _command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stepc", *words],
        cwd=HERE, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_pipe_in_place_of_an_object_does_not_hang(tmp_path: Path) -> None:
    name = "ab" + 62 * "0"
    (tmp_path / "v1" / "ab").mkdir(parents=True)
    os.mkfifo(tmp_path / "v1" / "ab" / name)
    done = _command("store", "verify", "--store", f"file://{tmp_path}")
    assert done.returncode == 1 and "1 damaged entry" in done.stderr


def test_odd_values_in_a_store_are_counted_escaped_and_dropped(tmp_path: Path) -> None:
    _command("store", "stats", "--store", str(tmp_path))
    (file,) = tmp_path.glob("*.sqlite")
    with sqlite3.connect(file) as db:
        for name, kind, digest in (
            (b"1", "\x1b[31mRED", b"x"),
            (b"2", b"\x01", b"x"),
            (3 * 10**9, "k", 2**62),
        ):
            row = (name, kind, digest, b"{}", b"x", b"x", 0)
            db.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    shown = _command("store", "stats", "--store", str(tmp_path))
    assert shown.returncode == 0 and "\x1b" not in shown.stdout and "RED" in shown.stdout
    assert "3 damaged entries" in _command("store", "verify", "--store", str(tmp_path)).stderr


@pytest.mark.parametrize("size", ["-5", "infG", "nanG", "G"])
def test_a_size_that_is_none_empties_no_store(size: str, tmp_path: Path) -> None:
    done = _command("store", "gc", f"--max-size={size}", "--store", str(tmp_path))
    assert done.returncode != 0 and "U001" in done.stderr and "Traceback" not in done.stderr
