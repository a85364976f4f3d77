"""The command line as a new user meets it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_golden import HERE

COMMANDS = [
    [],
    ["compile"],
    ["dump"],
    ["opt"],
    ["check"],
    ["fmt"],
    ["ask"],
    ["paths"],
    ["lsp"],
    ["passes"],
    ["explain"],
    ["world"],
    ["world", "render"],
    ["world", "train"],
    ["world", "score"],
    ["world", "ask"],
    ["train"],
    ["selftrain"],
    ["study"],
    ["eval"],
    ["eval", "world"],
    ["eval", "compare"],
    ["eval", "table"],
    ["export"],
]


def _run(
    arguments: list[str], cwd: Path, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stepc", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(HERE), "COLUMNS": "100", "NO_COLOR": "1"},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def _example(command: list[str], cwd: Path) -> str:
    shown = _run([*command, "--help"], cwd)
    assert shown.returncode == 0, shown.stderr
    found = re.search(r"Example: (stepc .*?)\s*$", " ".join(shown.stdout.split()))
    assert found, shown.stdout
    return found[1]


@pytest.mark.embedded
def test_the_examples_of_every_help_work_one_after_another(tmp_path: Path) -> None:
    """In the order a new user would try them, in an empty folder."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "step.step").write_text((HERE / "specs" / "step.step").read_text())
    examples = {" ".join(c): _example(c, tmp_path) for c in COMMANDS}
    order = [
        "world render",
        "dump",
        "compile",
        "",
        "world",
        "opt",
        "world score",
        "world ask",
        "train",
        "eval world",
    ]
    assert set(order) < set(examples)
    order += [c for c in examples if c not in order and c != "world train"]
    for name in order:
        for part in examples[name].split(" && "):
            done = _run(part.split()[1:], tmp_path)
            assert done.returncode == 0, (part, done.stderr)
    assert (tmp_path / "out" / "qra.jsonl").stat().st_size > 0
    train = examples["world train"].split()[1:]
    train[train.index("--minutes") + 1] = "0.05"
    done = _run(train, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "unseen:" in done.stderr
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["model_type"] == "idefics3"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: " ".join(c) or "stepc")
def test_wrong_usage_is_2(command: list[str], tmp_path: Path) -> None:
    done = _run([*command, "--no-such-option"], tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr and "no-such-option" in done.stderr


@pytest.mark.parametrize("name", ["input.stsg"])
def test_opt_without_a_pipeline_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    path = HERE / "golden" / "sample" / "kitchen" / name
    text = path.read_text("utf-8")
    assert _run(["opt", str(path)], tmp_path).stdout == text
    assert _run(["opt", "-"], tmp_path, stdin=text).stdout == text
    data = _run(["opt", str(path), "--json"], tmp_path).stdout
    assert json.loads(data)["level"] == "stsg"
    assert _run(["opt", "-"], tmp_path, stdin=data).stdout == text


def test_dumps_between_passes_and_stop_after(tmp_path: Path) -> None:
    path = HERE / "golden" / "sample" / "kitchen" / "input.stsg"
    chosen = ["opt", str(path), "-p", "sample,compose,check"]
    every = _run([*chosen, "--dump-after", "all", "--stats"], tmp_path)
    for name, level in (("sample", "paths"), ("compose", "qra"), ("check", "qra")):
        assert f"; after {name}\n{level} 1 " in every.stderr
        assert re.search(rf"\d\.\d\d s  \d:{name}", every.stderr)
    assert every.stdout.startswith("qra 1 ")
    one = _run([*chosen, "--dump-after", "compose"], tmp_path)
    assert one.stderr.count("; after ") == 1
    stopped = _run([*chosen, "--stop-after", "sample"], tmp_path)
    assert stopped.stdout.startswith("paths 1 ")
    rest = _run(["opt", "-", "-p", "compose,check"], tmp_path, stdin=stopped.stdout)
    assert rest.stdout == every.stdout
    linked = _run([*chosen[:2], "-p", "sample,compose,check,dedupe,emit", "--stats"], tmp_path)
    assert linked.stdout == every.stdout and ":emit" in linked.stderr
    early = _run([*chosen[:2], "-p", "sample,emit"], tmp_path)
    assert early.returncode == 1 and "[P005]" in early.stderr
    wrong = _run([*chosen, "--stop-after", "merge"], tmp_path)
    assert wrong.returncode == 1 and "[P002]" in wrong.stderr


def test_a_closed_pipe_is_no_failure_of_ours(tmp_path: Path) -> None:
    path = HERE / "golden" / "sample" / "kitchen" / "input.stsg"
    done = subprocess.run(
        f"{sys.executable} -m stepc opt {path} | head -c 1",
        shell=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "s" and "Traceback" not in done.stderr


def test_version_and_every_page(tmp_path: Path) -> None:
    from stepc import __version__
    from stepc.diagnostics.catalogue import PAGES

    assert _run(["--version"], tmp_path).stdout == f"stepc {__version__}\n"
    for code, page in PAGES.items():
        assert page.shown(code).startswith(f"{code}: ")
        assert page.text
    assert _run(["explain", "s311"], tmp_path).stdout.startswith("S311: ")
