"""What surrounds stepc: streams, signals, arguments, and its own files when they are damaged."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from hearing import Heard
from test_golden import HERE

from stepc.dataset.dataset import Dataset
from stepc.dataset.read import read_samples
from stepc.diagnostics import Diagnostic, StepcError
from stepc.driver.compile_video import CompileConfig, Compiler
from stepc.eval.records import load_result
from stepc.ir.load import load
from stepc.ir.text import read, write
from stepc.ir.types import from_json
from stepc.ir.verify import verify
from stepc.lang.parse import builtin
from stepc.lang.source import spec_text
from stepc.model.cassette import Cassette
from stepc.store.base import name_of
from stepc.store.open import open_store
from stepc.store.sqlite import Database
from stepc.video.discover import find_videos

KITCHEN = HERE / "golden" / "sample" / "kitchen" / "input.stsg"


def shell(command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command line as a shell runs it; `stepc` is this checkout's."""
    stepc = f"{shlex.quote(sys.executable)} -m stepc"
    return subprocess.run(
        ["bash", "-c", command.replace("stepc ", f"{stepc} ", 1)], cwd=cwd, text=True,
        env={**os.environ, "PYTHONPATH": str(HERE), "NO_COLOR": "1", **environment},
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("command", "code", "word"),
    [
        (f"stepc opt {KITCHEN} >&-", 1, "B014"),
        (f"stepc opt {KITCHEN} > /dev/full", 1, "B014"),
        ("stepc passes > /dev/full", 1, "B014"),
        (f"stepc check {HERE}/specs/step.step --json >&-", 1, "B014"),
        (f"stepc opt {KITCHEN} | head -1", 0, ""),
        (f"stepc opt {KITCHEN} 2>&-", 0, ""),
        ("stepc opt - <&-", 1, "B006"),
        ('stepc compile "" -o out', 1, "U001"),
        ('stepc compile films -o ""', 1, "U001"),
        ("stepc compile films --out=", 1, "U001"),
        ("stepc plan films --model replay:.", 1, "M003"),
        ("mkfifo p; timeout 60 stepc check p.step", 1, ""),
        ("ulimit -f 0; stepc passes > some.txt", 1, "B014"),
        ("ulimit -f 0; stepc check p.step", 1, "not a regular file"),
    ],
)
def test_streams_and_arguments(command: str, code: int, word: str, tmp_path: Path) -> None:
    (tmp_path / "p.step").write_text('spec p ""\nimport "pipe.step"\n')
    os.mkfifo(tmp_path / "pipe.step")
    done = shell(command, tmp_path)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr and word in done.stderr


def test_half_a_surrogate_pair_in_a_diagnostic_stops_nothing() -> None:
    found = Diagnostic("M010", "caf\ud83d", help="\udc80 é", detail="\ud83d")
    for text in (found.text(), json.dumps(found.data()), found.detail):
        text.encode()
    assert "caf?" in found.text() and "é" in found.text()


def test_a_pipe_or_a_device_is_no_file_to_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.step")
    with pytest.raises(StepcError, match="not a regular file"):
        spec_text(tmp_path / "a.step")
    (tmp_path / "b.step").write_text('spec b ""\nimport "a.step"\n')
    done = shell("stepc check b.step", tmp_path)
    assert done.returncode == 1 and "not a regular file" in done.stderr
    done = shell("stepc dump /dev/zero --after split", tmp_path)
    assert done.returncode == 1 and "not a regular file" in done.stderr


def test_without_a_home_folder_nothing_is_cached() -> None:
    """As in a container whose user has no entry in /etc/passwd."""
    code = """
import pwd, sys
def nobody(*_): raise KeyError("no entry")
pwd.getpwuid = nobody
from stepc.cli import main
from stepc.store.open import default_place
print(default_place())
sys.argv = ["stepc", *sys.argv[1:]]
main()
"""
    environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME")}
    environment.pop("STEPC_STORE", None)
    for command in (["check", str(HERE / "specs" / "step.step")], ["store", "stats"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *command], text=True, capture_output=True, check=False,
            env={**environment, "PYTHONPATH": str(HERE)},
        )  # fmt: skip
        assert done.returncode in (0, 1) and "Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_writes_what_is_done(number: int, tmp_path: Path) -> None:
    """As schedulers end jobs: the dataset of what is compiled, and the exit code of the signal."""
    script = tmp_path / "slow.py"
    script.write_text(
        "import sys, time\nimport stepc.driver.local_engine as e\n"
        "def results(self, videos, compiler):\n"
        "    print('ready', flush=True)\n    time.sleep(60)\n    yield from ()\n"
        "e.LocalEngine.results = results\n"
        "sys.argv = ['stepc', 'compile', 'films', '-o', 'out', '--model', 'replay:c.jsonl', '--no-store']\n"
        "from stepc.cli import main\nmain()\n"
    )
    (tmp_path / "c.jsonl").write_text('{"model":"m","templates":"compact"}\n')
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "a.mp4").write_bytes(b"x")
    process = subprocess.Popen(
        [sys.executable, str(script)], cwd=tmp_path, text=True,
        env={**os.environ, "PYTHONPATH": str(HERE)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: (  # whatever the shell of these tests ignores, as under nohup
            signal.signal(signal.SIGINT, signal.default_int_handler),
            signal.signal(number, signal.SIG_DFL) if number != signal.SIGINT else None,
        ),
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    time.sleep(0.2)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + number, told
    assert json.loads((tmp_path / "out" / "manifest.json").read_bytes())["interrupted"] is True
    assert "Traceback" not in told


def test_a_byte_order_mark_and_other_line_ends_are_no_part_of_a_spec(tmp_path: Path) -> None:
    text = (HERE / "specs" / "step.step").read_text("utf-8")
    for data in (b"\xef\xbb\xbf" + text.encode(), text.replace("\n", "\r\n").encode()):
        (tmp_path / "a.step").write_bytes(data)
        assert spec_text(tmp_path / "a.step")[0] == text
        assert shell("stepc check a.step", tmp_path).returncode == 0


# --- its own files -----------------------------------------------------------------------------


CALL: dict[str, Any] = {"key": "0" * 12, "request": "narrate", "text": "t", "frames": [["f", 1]],
                        "replies": ["a", {"text": "", "finish": "length"}]}  # fmt: skip
HEAD: dict[str, Any] = {"model": "m", "templates": "compact"}
BAD_CASSETTES: list[tuple[Any, Any]] = [
    ({**HEAD, "templates": 3}, CALL), ({**HEAD, "model": None}, CALL), ([1], CALL), ("x", CALL),
    ({**HEAD, "together": "many"}, CALL), ({**HEAD, "together": {"a": []}}, CALL),
    *((HEAD, {**CALL, **wrong}) for wrong in (
        {"replies": 5}, {"replies": [5]}, {"replies": None}, {"key": 1}, {"frames": 3},
        {"frames": [[1, 2]]}, {"frames": [["a"]]}, {"request": []}, {"text": None})),
    *((HEAD, {k: v for k, v in CALL.items() if k != name}) for name in CALL), (HEAD, [1]), (HEAD, 7),
]  # fmt: skip


@pytest.mark.parametrize("rows", BAD_CASSETTES, ids=lambda r: str(r)[:60])
def test_a_damaged_cassette_is_told(rows: tuple[Any, Any], tmp_path: Path) -> None:
    file = tmp_path / "c.jsonl"
    file.write_bytes(b"\n".join(map(orjson.dumps, (HEAD, CALL))))
    assert len(Cassette(file).calls) == 1
    file.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    with pytest.raises(StepcError) as error:
        Cassette(file)
    assert [d.code for d in error.value.diagnostics] == ["M003"]


def _store(folder: Path) -> tuple[Database, list[Diagnostic]]:
    said: list[Diagnostic] = []
    return Database(folder, Heard(said.append)), said


def test_a_foreign_or_damaged_store_is_told(tmp_path: Path) -> None:
    name = name_of("a")
    for number, sql in enumerate((
        "CREATE TABLE entries (a, b)", "CREATE TABLE entries (name PRIMARY KEY)",
        "CREATE TABLE other (a)",
    )):  # fmt: skip
        folder = tmp_path / str(number)
        folder.mkdir()
        with sqlite3.connect(folder / "store-1.sqlite") as db:
            db.execute(sql)
        store, said = _store(folder)
        store.put(name, "call", b"x", {})
        assert store.get(name) is not None and store.stats()[0][:2] == ("call", 1)
        assert {d.code for d in said} <= {"B016"}
        store.close()


@pytest.mark.parametrize("column", ["hash", "facts", "mark", "content", "used"])
@pytest.mark.parametrize("value", ["'text'", "7", "x'00'", "1.5"])
def test_an_entry_of_other_types_is_dropped(column: str, value: str, tmp_path: Path) -> None:
    store, said = _store(tmp_path)
    name = name_of("a")
    store.put(name, "call", b"content", {"a": 1})
    store.close()
    with sqlite3.connect(tmp_path / "store-1.sqlite") as db:
        db.execute(f"UPDATE entries SET {column} = {value}")
    store, said = _store(tmp_path)
    entry = store.get(name)
    content = store.read(entry) if entry is not None else None
    assert content in (None, b"content") and {d.code for d in said} <= {"B016"}
    assert store.verify() in (0, 1) and store.collect(0)[0] <= 1
    store.close()


def test_store_commands_work_on_a_damaged_store(tmp_path: Path) -> None:
    store, _ = _store(tmp_path)
    for i in range(400):
        store.put(name_of(i), "call", os.urandom(400), {})
    store.close()
    whole = (tmp_path / "store-1.sqlite").read_bytes()
    for at in (0, 200, 5000, len(whole) // 2, len(whole) - 3000):
        damaged = whole[:at] + os.urandom(2000) + whole[at + 2000 :]
        for command in ("stats", "verify", "gc --max-size 1K"):
            for old in tmp_path.glob("store-1*"):
                old.unlink()
            (tmp_path / "store-1.sqlite").write_bytes(damaged)
            done = shell(f"stepc store {command} --store {tmp_path}", tmp_path)
            assert done.returncode in (0, 1) and "Traceback" not in done.stderr, done.stderr


RUN = {"benchmark": "agqa", "how": "direct", "frames": 4, "video": False, "seed": 0, "model": "m"}
RECORD: dict[str, Any] = {"id": "1", "video": "v", "question": "q", "answer": "a", "rule": "match"}


@pytest.mark.parametrize(
    ("run", "record"),
    [(r, RECORD) for r in ([1], 7, None, {}, {**RUN, "benchmark": "none"}, {**RUN, "benchmark": []},
                           {**RUN, "missing": 3}, {**RUN, "missing": {"all": "x"}})]
    + [(RUN, r) for r in ({**RECORD, "groups": None}, {**RECORD, "steps": "x"}, {**RECORD, "id": 3}, [1],
                          {**RECORD, "groups": [["a"]]}, {"id": "1"})],
)  # fmt: skip
def test_a_damaged_result_is_told(run: Any, record: Any, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(orjson.dumps(run))
    (tmp_path / "records.jsonl").write_bytes(orjson.dumps(record) + b"\n")
    with pytest.raises(StepcError) as error:
        load_result(tmp_path)
    assert [d.code for d in error.value.diagnostics] == ["E005"]


def test_more_options_than_letters_is_told(tmp_path: Path) -> None:
    row = {"id": "1", "video": "v", "question": "q", "answer": "a"}
    rows = [{**row, "options": [str(i) for i in range(27)]}, {**row, "options": ["a", "b"]}]
    (tmp_path / "qra.jsonl").write_text("\n".join(map(json.dumps, rows)))
    samples, wrong = read_samples(tmp_path)
    assert len(samples) == 1 and samples[0].reply == "A. a" and [d.code for d in wrong] == ["T002"]


# --- the IR: what verifies is printed so that it can be read back ------------------------------


def _changed(where: str, value: Any) -> bytes:
    unit: Any = orjson.loads(load(KITCHEN).to_json())
    target, *steps = where.split(".")
    place: Any = unit
    for step in (target, *steps[:-1]) if steps else ():
        place = place[int(step)] if step.isdigit() else place[step]
    place[steps[-1] if steps else target] = value
    return orjson.dumps(unit)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("video.duration", 10**13), ("video.width", 10**9), ("video.rate", "1234567890"),
        ("clips.0.end", 10**12), ("objects.0.trust.votes", 10**9), ("objects.0.trust.asked", 10**10),
        ("objects.0.label", " "), ("objects.0.label", "\u00a0"), ("objects.0.label", "\t\n"),
        ("attributes.0.value", "  "), ("relations.0.predicate", "\r"), ("events.0.event", " "),
        ("level", []), ("level", None), ("level", {"a": 1}), ("clips.0.id", "c12345678901"),
    ],
)  # fmt: skip
def test_what_the_text_form_cannot_hold_is_refused(where: str, value: Any, tmp_path: Path) -> None:
    file = tmp_path / "unit.json"
    file.write_bytes(_changed(where, value))
    with pytest.raises(StepcError) as error:
        load(file)
    assert error.value.diagnostics[0].code[0] in "IV"


def test_an_unknown_key_of_great_depth_is_refused(tmp_path: Path) -> None:
    data = _changed("video.duration", 1)[:-1] + b',"x":' + b"[" * 600 + b"]" * 600 + b"}"
    with pytest.raises(ValueError):
        from_json(data)
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(StepcError):
        load(tmp_path / "a.json")


def test_an_event_step_needs_its_object_and_a_sample_its_query() -> None:
    text = (HERE / "golden" / "check").glob("*/input.qra")
    unit: Any = None
    for path in text:
        unit = read(path.read_text("utf-8"), path.name).unit
        if unit.samples:
            break
    assert unit is not None and verify(unit) == []
    sample = unit.samples[0].model_copy(update={"query": ()})
    bad = unit.evolve(samples=(sample, *unit.samples[1:]))
    assert "V064" in {d.code for d in verify(bad)}
    assert write(unit) == write(read(write(unit), "x").unit)


def test_without_a_terminal(film: Path, tmp_path: Path) -> None:
    """As in a service: no controlling terminal, no TERM, nothing to read from."""
    env = "setsid env -u TERM -u COLUMNS"
    for command in (
        "passes",
        f"check {HERE}/specs/step.step",
        f"dump {film} --after keyframes",
        "--help",
    ):
        done = shell(f"{env} stepc {command} < /dev/null", tmp_path)
        assert done.returncode == 0 and "Traceback" not in done.stderr and "\x1b" not in done.stdout


def test_deep_and_unreadable_folders(film: Path, tmp_path: Path) -> None:
    """Nested beyond what a path may hold, in a loop, or closed to this user."""
    (tmp_path / "films").mkdir()
    done = shell(
        "cd films && python3 -c \"import os\nfor _ in range(2000): os.mkdir('d' * 20); os.chdir('d' * 20)\"",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    (tmp_path / "films" / "loop").symlink_to(tmp_path / "films")
    (tmp_path / "films" / "one.mp4").write_bytes(film.read_bytes())
    (tmp_path / "films" / "closed").mkdir(mode=0)
    found, wrong = find_videos([tmp_path / "films"])
    assert [path.name for path in found] == ["one.mp4"]
    assert {d.code for d in wrong} == {"B006"}
    shell("rm -rf films", tmp_path)


def test_a_parquet_file_that_would_expand_without_bound(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    row = {"id": "a", "video": "a.mp4", "question": "who?", "answer": "a man", "set": "train"}
    pq.write_table(pa.Table.from_pylist([row] * 60_000), tmp_path / "bomb.parquet")
    pq.write_table(pa.Table.from_pylist([row] * 50), tmp_path / "small.parquet")
    with pytest.raises(StepcError) as error:
        read_samples(tmp_path / "bomb.parquet")
    (wrong,) = error.value.diagnostics
    assert wrong.code == "T001" and "60000 rows" in wrong.message
    assert len(read_samples(tmp_path / "small.parquet")[0]) == 50
    once = pa.DictionaryArray.from_arrays(
        pa.array([0] * 3000, pa.int32()), pa.array(["x" * 2_000_000])
    )
    many = pa.Table.from_pylist([{**row, "id": str(i)} for i in range(3000)]).append_column(
        "x", once
    )
    pq.write_table(many, tmp_path / "words.parquet", store_schema=False)
    with pytest.raises(StepcError, match="not a dataset"):
        read_samples(tmp_path / "words.parquet")


def test_pipes_in_place_of_own_files_do_not_hang(film: Path, tmp_path: Path) -> None:
    for name in ("ds", "out", "result"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "ds" / "qra.jsonl")
    for name in ("out/manifest.json", "result/run.json", "ds/manifest.json"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(StepcError, match="not a regular file"):
        read_samples(tmp_path / "ds")
    with pytest.raises(StepcError):
        load_result(tmp_path / "result")
    with pytest.raises(StepcError, match="not a regular file"):
        Dataset(tmp_path / "out")


def test_an_entry_of_another_unit_in_a_store_is_not_used(film: Path, tmp_path: Path) -> None:
    """A store may be shared; what it says of a unit must be of this unit."""
    order = CompileConfig("split,keyframes,parse-oneshot,lift,bridge-none,sample,compose,check", "",
                          builtin("step"), "step.step", store=str(tmp_path / "store"))  # fmt: skip
    first = Compiler(order).compile(film)
    assert first.made is not None
    with sqlite3.connect(next((tmp_path / "store").glob("*.sqlite"))) as files:
        ((name,),) = files.execute("SELECT name FROM entries WHERE kind = 'linked'").fetchall()
    store = open_store(str(tmp_path / "store"))
    entry = store.get(name)
    assert entry is not None
    card, rows, stsg = orjson.loads(store.read(entry) or b"")
    forged = [card.replace('"film"', '"../../PLANTED"', 1), rows, stsg]
    store.put(name, "linked", orjson.dumps(forged), {})
    again = Compiler(order).known(film)
    assert again is not None and again.made == first.made


def test_an_ir_file_of_another_editor_is_the_same_unit(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbf" + KITCHEN.read_bytes().replace(b"\n", b"\r\n")
    (tmp_path / "input.stsg").write_bytes(data)
    assert load(tmp_path / "input.stsg") == load(KITCHEN)
