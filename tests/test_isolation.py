"""One bug on one video costs that video: whatever is raised, wherever."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from test_golden import HERE

import stepc
import stepc.driver.compile_video
import stepc.driver.process_pool
import stepc.video.decode
from stepc.driver.compile_corpus import Summary, compile_corpus
from stepc.driver.compile_video import CompileConfig
from stepc.driver.local_engine import LocalEngine
from stepc.ir import types as t
from stepc.lang.parse import builtin
from stepc.model.load import ModelConfig
from stepc.passmanager.base import Pass
from stepc.passmanager.pipeline_text import DEFAULT
from stepc.passmanager.registry import pass_names, pass_type
from stepc.reporter import Collector
from stepc.world.render import write
from stepc.world.scene import make_film

PASSES = [n for n in pass_names() if issubclass(pass_type(n), Pass)]


class Odd(Exception):
    """An exception that nobody foresaw."""


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("isolation") / "films"
    folder.mkdir()
    for name in ("bad", "good"):
        write(make_film(random.Random(f"isolation/{name}"), 2), folder / f"{name}.mp4")
    return folder


def _compile(
    films: Path, out: Path, pipeline: str = DEFAULT, **more: Any
) -> tuple[Summary, Collector]:
    heard = Collector()
    config = CompileConfig(
        pipeline, "", builtin("step"), "step.step", ModelConfig(**more), verify_each=False
    )
    summary = compile_corpus([films], out, config, engine=LocalEngine(1), reporter=heard)
    return summary, heard


def _in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everything run in this process, where it can be made to fail."""

    def refuse(*_: Any) -> None:
        raise stepc.driver.process_pool.PoolFailed("not now", None)

    monkeypatch.setattr(stepc.driver.process_pool.WorkerPool, "__init__", refuse)


def _raising(real: Any, name: str = "bad") -> Any:
    def run(self: Any, unit: Any, *rest: Any) -> Any:
        if unit.name == name:
            raise Odd("something nobody foresaw")
        return real(self, unit, *rest)

    return run


QUICK = ("split,keyframes,parse-oneshot,lift,bridge-none,canonicalize,deny,"
         "sample,compose,check,refine,check")  # fmt: skip
PIPELINES = {
    **dict.fromkeys(("canonicalize", "deny", "sample", "compose", "check", "refine"), QUICK),
    "split-uniform": "split-uniform,keyframes,parse-oneshot,lift,bridge-none,sample,compose,check",
    "keyframes-uniform": "split,keyframes-uniform,parse-oneshot,lift,bridge-none,sample,compose,check",
    "parse-oneshot": "split,keyframes,parse-oneshot,lift,bridge-none,sample,compose,check",
    "lift": "split,keyframes,parse-oneshot,lift,bridge-none,sample,compose,check",
    "narrow": "split,keyframes,parse,merge,narrow,parse,merge,bridge,sample,compose,check",
    "place": "split,keyframes,parse-oneshot,place,lift,bridge-none,sample,compose,check",
    "parse-none": "split,keyframes,parse-none,lift,bridge-none,sample,compose,check",
    "merge-tracks": "split,keyframes,parse-oneshot,merge-tracks,bridge-none,sample,compose,check",
    "ground": "split,keyframes,parse-oneshot,ground,lift,bridge-none,sample,compose,check",
    "detect": "split,keyframes,parse-none,detect(from=BOXES),lift,bridge-none,sample,compose,check",
    "track": "split,keyframes,parse-none,track(from=BOXES),lift,bridge-none,sample,compose,check",
    "bridge-none": "split,keyframes,parse-oneshot,lift,bridge-none,sample,compose,check",
    "wrong-steps": QUICK + ",wrong-steps",
    "probe": "split,keyframes,parse-oneshot,lift,bridge-none,sample,compose,check,probe(samples=1)",
}


@pytest.mark.embedded
@pytest.mark.parametrize("name", PASSES)
def test_a_pass_that_raises_costs_its_video(
    name: str, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _in_process(monkeypatch)
    kind: Any = pass_type(name)
    monkeypatch.setattr(kind, "run", _raising(kind.run))
    monkeypatch.setattr(kind, "joins", lambda self, following: False)
    before = "split" if name != "split" else ""
    for other in ("split", "keyframes"):
        monkeypatch.setattr(pass_type(other), "joins", lambda self, following: False)
    assert before is not None
    boxes = tmp_path / "boxes"
    boxes.mkdir()
    for video in ("good", "bad"):
        (boxes / f"{video}.json").write_text('[{"time": 0}]', "utf-8")
    pipeline = PIPELINES.get(name, DEFAULT).replace("BOXES", json.dumps(str(boxes)))
    summary, heard = _compile(films, tmp_path / "out", pipeline)
    wrong = [d for d in heard.diagnostics if d.severity == "error"]
    assert [d.code for d in wrong] == ["P010"] and f"`{name}`" in wrong[0].message
    assert "Odd: something nobody foresaw" in wrong[0].message and "bad" in str(wrong[0].place)
    assert (summary.compiled, summary.failed) == (1, 1)
    crash = (tmp_path / "out" / "crashes" / "bad.txt").read_text()
    assert "Traceback" in crash and "test_isolation.py" in crash
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert [v["name"] for v in manifest["videos"]] == ["good"]
    assert manifest["skipped"][0]["code"] == "P010"


@pytest.mark.embedded
@pytest.mark.parametrize("place", ["probe", "decode", "template", "backend", "verifier", "store"])
def test_whatever_raises_costs_its_video(
    place: str, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _in_process(monkeypatch)

    def failing(real: Any, which: Any) -> Any:
        def run(*args: Any, **more: Any) -> Any:
            if which(*args, **more):
                raise Odd("something nobody foresaw")
            return real(*args, **more)

        return run

    if place == "probe":
        real: Any = stepc.driver.compile_video.probe
        bad = failing(real, lambda path, *_: path.stem == "bad")
        monkeypatch.setattr(stepc.driver.compile_video, "probe", bad)
    elif place == "decode":
        real = stepc.video.decode._decode
        bad = failing(real, lambda source, *_, **__: source.path.stem == "bad")
        monkeypatch.setattr(stepc.video.decode, "_decode", bad)
    elif place == "template":
        from stepc.model.templates import Templates

        seen: list[int] = []
        bad = failing(Templates.render, lambda *_: seen.append(1) is None and len(seen) == 1)
        monkeypatch.setattr(Templates, "render", bad)
    elif place == "backend":
        from stepc.model.transformers import TransformersModel

        calls: list[int] = []
        bad = failing(
            TransformersModel.generate, lambda *_: calls.append(1) is None and len(calls) == 1
        )
        monkeypatch.setattr(TransformersModel, "generate", bad)
    elif place == "verifier":
        bad = failing(t.Qras.to_json, lambda self: self.name == "bad")
        monkeypatch.setattr(t.Qras, "to_json", bad)
    else:
        real = stepc.driver.compile_video.CompiledUnit.of
        bad = failing(real, lambda unit, *_: unit.name == "bad")
        monkeypatch.setattr(stepc.driver.compile_video.CompiledUnit, "of", bad)
    summary, heard = _compile(films, tmp_path / "out", QUICK)
    codes = [d.code for d in heard.diagnostics if d.severity == "error"]
    assert codes in (["B021"], ["P010"]), heard.diagnostics
    assert (summary.compiled, summary.failed) == (1, 1)


def test_a_template_that_fails_is_a_diagnostic(films: Path, tmp_path: Path) -> None:
    (tmp_path / "narrate.jinja").write_text("{#- answer: json -#}\nFrame {{ frames[1].at }}.\n")
    summary, heard = _compile(films, tmp_path / "out", templates=f"{tmp_path}/")
    assert {d.code for d in heard.diagnostics} == {"M005"} and not summary.compiled


SCRIPT = """
import sys
print("once", flush=True)
import stepc
dataset = stepc.compile([{films!r}], {out!r}, store={store!r}, jobs=2, pipeline={pipeline!r})
print(len(dataset), [d.code for d in dataset.diagnostics], flush=True)
"""
FAST = "split-uniform,keyframes-uniform,parse-oneshot,lift,bridge-none,sample,compose,check"


@pytest.mark.embedded
@pytest.mark.parametrize("way", ["a script", "a daemon", "standard input"])
def test_compiling_works_without_a_main_guard(way: str, films: Path, tmp_path: Path) -> None:
    text = SCRIPT.format(
        films=str(films), out=str(tmp_path / "out"), store=str(tmp_path / "st"), pipeline=FAST
    )
    if way == "a daemon":
        text = (
            "import multiprocessing\n"
            f"def work():\n    exec({text!r})\n"
            "if __name__ == '__main__':\n"
            "    p = multiprocessing.Process(target=work, daemon=True); p.start(); p.join()\n"
            "    sys_exit = p.exitcode; assert sys_exit == 0\n"
        )
    script = tmp_path / "plain.py"
    script.write_text(text)
    words = ["-"] if way == "standard input" else [str(script)]
    done = subprocess.run(
        [sys.executable, *words], input=text if words == ["-"] else None, cwd=HERE,
        capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("once") == 1, "a worker ran the script again"
    codes = done.stdout.splitlines()[-1].split(" ", 1)[1]
    assert codes == ("['B022']" if way == "a daemon" else "[]"), done.stdout + done.stderr
    again = tmp_path / "again"
    shutil.rmtree(tmp_path / "out")
    summary = stepc.compile([films], again, store=str(tmp_path / "st"), pipeline=FAST, jobs=1)
    assert summary.diagnostics == () and len(summary.names) == 2
