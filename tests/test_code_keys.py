"""Keys of passes: what is edited decides what runs again, and nothing is missed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from test_golden import HERE

from stepc.passmanager import code_keys
from stepc.passmanager.code_keys import CodeKey, pass_key
from stepc.passmanager.memo import Memo
from stepc.passmanager.registry import pass_names, pass_type
from stepc.store.open import open_store

PRINT = """
import json
from stepc.passmanager.code_keys import pass_key
from stepc.passmanager.registry import pass_names, pass_type
kinds = {n: pass_type(n) for n in pass_names()}
print(json.dumps({n: pass_key(k, getattr(k, "uses", ())).digest for n, k in kinds.items()}))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout without the model's weights, in which files may be edited."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("stepc", "passes", "grammar", "templates", "specs"):
        skip = shutil.ignore_patterns("__pycache__", "*.safetensors")
        shutil.copytree(HERE / name, folder / name, symlinks=True, ignore=skip)
    return folder


def _keys(folder: Path) -> dict[str, str]:
    given = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PRINT], cwd=folder, env=given, capture_output=True, text=True,
        check=True, timeout=120,
    )  # fmt: skip
    keys: dict[str, str] = json.loads(done.stdout)
    return keys


@pytest.fixture(scope="module")
def before(copy: Path) -> dict[str, str]:
    return _keys(copy)


MODEL = {
    "deny",
    "ground",
    "parse",
    "parse-oneshot",
    "confirm",
    "merge",
    "bridge",
    "refine",
    "probe",
}
WORDS = MODEL | {
    "canonicalize",
    "detect",
    "merge-tracks",
    "place",
    "track",
    "narrow",
    "wrong-steps",
    "sample",
    "compose",
    "check",
    "distract",
    "balance",
    "blind",
    "pairs",
    "dedupe",
}
FRAMES = {"narrow", "split", "keyframes", "keyframes-uniform", "detect", "track", *MODEL}
"""Passes that look at pictures, or ask a model that does."""


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("passes/compose.py", {"compose"}),
        ("passes/split.py", {"split"}),
        ("stepc/passmanager/fused_decode.py", {"split", "keyframes"}),
        ("stepc/sampling/finish.py", {"deny", "sample"}),
        ("stepc/proof/words.py", {"check", "distract", "refine", "wrong-steps"}),
        ("stepc/model/templates.py", MODEL),
        ("grammar/english/predicates.txt", WORDS),
        ("grammar/english/nouns.txt", WORDS),
        ("stepc/ir/levels.py", None),
        ("stepc/edges/rel.py", None),
        ("stepc/cli/common.py", set()),
        ("stepc/world/score.py", set()),
        ("stepc/driver/ray_engine.py", set()),
        ("stepc/diagnostics/catalogue.py", set()),
        ("stepc/train/loop.py", set()),
        ("grammar/pipeline.lark", set()),
        ("specs/step.step", set()),
    ],
)
def test_an_edited_file_runs_again_what_depends_on_it(
    file: str, changed: set[str] | None, copy: Path, before: dict[str, str]
) -> None:
    path = copy / file
    text = path.read_bytes()
    path.write_bytes(text + b"\n")
    try:
        after = _keys(copy)
    finally:
        path.write_bytes(text)
    found = {name for name in before if before[name] != after[name]}
    assert found == (set(before) if changed is None else changed)


def test_a_new_pass_runs_nothing_again(copy: Path, before: dict[str, str]) -> None:
    (copy / "passes" / "mine.py").write_text((copy / "passes" / "lift.py").read_text())
    try:
        after = _keys(copy)
    finally:
        (copy / "passes" / "mine.py").unlink()
    assert {n: k for n, k in after.items() if n != "mine"} == before and "mine" in after


def _fresh(monkeypatch: pytest.MonkeyPatch, change: Callable[[str], str]) -> dict[str, str]:
    real = code_keys.importlib.metadata.version
    monkeypatch.setattr(
        code_keys.importlib.metadata, "version", lambda name: change(name) or real(name)
    )
    code_keys.code_key.cache_clear()
    code_keys._version.cache_clear()
    kinds = {n: pass_type(n) for n in pass_names()}
    return {n: pass_key(k, getattr(k, "uses", ())).digest for n, k in kinds.items()}


@pytest.mark.parametrize(
    ("package", "changed"),
    [
        ("scenedetect", {"split"}),
        ("scikit-learn", {"blind"}),
        ("av", FRAMES),
        (
            "inflect",
            {
                "parse",
                "parse-oneshot",
                "merge",
                "merge-tracks",
                "deny",
                "sample",
                "compose",
                "check",
                "distract",
                "refine",
                "wrong-steps",
            },
        ),
        ("typer", set()),
        ("torch", {"detect", "track"}),
    ],
)
def test_another_version_of_a_package_runs_again_what_uses_it(
    package: str, changed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as same:
        before = _fresh(same, lambda name: "")
    with monkeypatch.context() as newer:
        after = _fresh(newer, lambda name: "99" if name == package else "")
    code_keys.code_key.cache_clear()
    code_keys._version.cache_clear()
    assert {name for name in before if before[name] != after[name]} == changed


def test_why_a_pass_runs_again_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import stepc.passmanager.memo as memo_module
    from stepc.ir.load import load

    unit = load(HERE / "golden" / "sample" / "the-shortest" / "input.stsg")
    memo = Memo(open_store(str(tmp_path)), lambda thing: thing)
    check = pass_type("check")()
    old = CodeKey(
        {
            "stepc.passes.check": "1",
            "stepc/grammar/english/predicates.txt": "2",
            "package lark": "1.3",
        }
    )
    new = CodeKey(
        {
            "stepc.passes.check": "1",
            "stepc/grammar/english/predicates.txt": "3",
            "package lark": "1.4",
        }
    )
    monkeypatch.setattr(memo_module, "pass_key", lambda kind, uses: old)
    assert memo.why(check, 1, unit, b"") == "not in the store yet"  # type: ignore[arg-type]
    first = memo.name(check, b"")  # type: ignore[arg-type]
    monkeypatch.setattr(memo_module, "pass_key", lambda kind, uses: new)
    why = memo.why(check, 1, unit, b"")  # type: ignore[arg-type]
    assert why == "changed: package lark; stepc/grammar/english/predicates.txt"
    assert memo.name(check, b"") != first  # type: ignore[arg-type]
