"""What is shipped: the wheel has everything, and the repository has nothing it must not."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from test_golden import HERE

from stepc.diagnostics.catalogue import PAGES
from stepc.passmanager.registry import PASSES, pass_names

SOURCES = [p for top in ("stepc", "passes") for p in sorted((HERE / top).rglob("*.py"))]


def _build(source: Path, target: Path, kind: str) -> Path:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(target)],
        cwd=source,
        check=True,
        capture_output=True,
        timeout=120,
    )
    return next(target.glob("*.whl" if kind == "wheel" else "*.tar.gz"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(HERE, tmp_path_factory.mktemp("wheel"), "wheel")


def test_the_wheel_runs_by_itself(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    for needed in (
        "stepc/grammar/ir.lark",
        "stepc/grammar/step.lark",
        "stepc/grammar/pipeline.lark",
        "stepc/grammar/english/predicates.txt",
        "stepc/templates/default/narrate.jinja",
        "stepc/templates/compact/narrate.jinja",
        "stepc/specs/step.step",
        "stepc/model/embedded/model.safetensors",
        "stepc/py.typed",
        "stepc/eval/paper.json",
        *(f"stepc/passes/{name.replace('-', '_')}.py" for name in PASSES.builtin_names()),
    ):
        assert needed in names
    assert not [n for n in names if n.startswith(("passes/", "grammar/", "tests/"))]
    assert wheel.stat().st_size < 10_000_000
    done = subprocess.run(
        [sys.executable, "-m", "stepc", "passes"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert {line.split()[0] for line in done.stdout.splitlines()[:-2]} == set(pass_names())


def test_a_wheel_made_from_the_sdist_is_the_same(wheel: Path, tmp_path: Path) -> None:
    archive = _build(HERE, tmp_path, "sdist")
    with tarfile.open(archive) as file:
        file.extractall(tmp_path / "source", filter="data")
    again = _build(next((tmp_path / "source").iterdir()), tmp_path / "again", "wheel")
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(again) as two:
        assert one.namelist() == two.namelist()


def test_every_code_in_the_source_has_a_page() -> None:
    used = {
        code for path in SOURCES for code in re.findall(r'"([A-Z]\d{3})"', path.read_text("utf-8"))
    }
    assert used - set(PAGES) == set()
    assert set(PAGES) - used == set()


def test_weights_are_small() -> None:
    folder = HERE / "stepc" / "model" / "embedded"
    assert sum(p.stat().st_size for p in folder.iterdir()) < 10_000_000


def test_no_question_text_in_python() -> None:
    """What is asked of a viewer is in specs, what is asked of a model in templates."""
    for path in SOURCES:
        if "world" in path.parts or path.name in ("catalogue.py", "cli.py"):
            continue
        text = re.sub(r'"""(.|\n)*?"""', "", path.read_text("utf-8"))
        assert not re.search(r'"(What|Which|Who|Is|Does) [^"]*\?"', text), path


def test_constraints_are_exact() -> None:
    for line in (HERE / "constraints.txt").read_text("utf-8").splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[^\s=]+", line), line


def test_long_files_and_functions_say_why() -> None:
    """At most 500 lines per file and 60 per function, unless a comment explains why."""
    for path in SOURCES:
        lines = path.read_text("utf-8").splitlines()
        if len(lines) > 500:
            assert any(line.startswith("# Long: ") for line in lines), path
        for node in ast.walk(ast.parse("\n".join(lines))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                long = (node.end_lineno or 0) - node.lineno + 1 > 60
                head = " ".join(lines[node.lineno - 1 : node.body[0].lineno - 1])
                assert not long or "#" in head, f"{path}:{node.lineno} {node.name}"
