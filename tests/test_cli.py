"""The command line as a new user meets it."""

from __future__ import annotations

import importlib
import json
import os
import random
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import forked
import pytest
from test_annotations import gqa
from test_golden import HERE
from typer.main import get_command
from typer.testing import CliRunner

from stepc.cli import app
from stepc.cli.app import HEADINGS
from stepc.cli.common import count
from stepc.cli.config import reference_table, settings
from stepc.cli.model_options import choosing
from stepc.diagnostics import StepcError
from stepc.diagnostics.catalogue import PAGES
from stepc.passmanager.registry import option_lines, pass_names, pass_type
from stepc.world.render import write
from stepc.world.scene import make_film

COMMANDS = [
    [],
    ["compile"],
    ["plan"],
    ["bench"],
    ["decontaminate"],
    ["push"],
    ["pretext"],
    ["diff"],
    ["golden"],
    ["golden", "record"],
    ["golden", "run"],
    ["golden", "bless"],
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
    ["import"],
    ["score"],
]


def _run(
    arguments: list[str], cwd: Path, stdin: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return forked.stepc(arguments, cwd, stdin, **environment)


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
    gqa(tmp_path)
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
    order += [c for c in examples if c not in order and c not in ("world train", "push", "pretext")]
    for name in order:
        for part in examples[name].split(" && "):
            done = _run(part.split()[1:], tmp_path)
            assert done.returncode == 0, (part, done.stderr)
    assert (tmp_path / "out" / "qra.jsonl").stat().st_size > 0
    compared = _json(["eval", "compare", "result", "result"], tmp_path)
    assert compared["benchmark"] == "world" and compared["rows"][0]["label"] == "all"
    assert _keys(compared) <= _documented("eval compare")
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


def test_dumps_between_passes_and_after(tmp_path: Path) -> None:
    path = HERE / "golden" / "sample" / "kitchen" / "input.stsg"
    chosen = ["opt", str(path), "-p", "sample,compose,check"]
    every = _run([*chosen, "--dump-after", "all", "--stats"], tmp_path)
    for name, level in (("sample", "paths"), ("compose", "qra"), ("check", "qra")):
        assert f"; after {name}\n{level} 1 " in every.stderr
        assert re.search(rf"\d\.\d\d s  \d:{name}", every.stderr)
    assert every.stdout.startswith("qra 1 ")
    one = _run([*chosen, "--dump-after", "compose"], tmp_path)
    assert one.stderr.count("; after ") == 1
    stopped = _run([*chosen, "--after", "sample"], tmp_path)
    assert stopped.stdout.startswith("paths 1 ")
    rest = _run(["opt", "-", "-p", "compose,check"], tmp_path, stdin=stopped.stdout)
    assert rest.stdout == every.stdout
    linked = _run([*chosen[:2], "-p", "sample,compose,check,dedupe,emit", "--stats"], tmp_path)
    assert linked.stdout == every.stdout and ":emit" in linked.stderr
    early = _run([*chosen[:2], "-p", "sample,emit"], tmp_path)
    assert early.returncode == 1 and "[P005]" in early.stderr
    wrong = _run([*chosen, "--after", "merge"], tmp_path)
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


ROOT = get_command(app)


def _commands(
    command: Any = ROOT, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, (*path, name))


def _ids(value: Any) -> str:
    return " ".join(value) or "stepc" if isinstance(value, tuple) else ""


@pytest.mark.parametrize(("path", "command"), [*_commands()], ids=_ids)
def test_help_has_headings_and_no_colour(path: tuple[str, ...], command: Any) -> None:
    environment = {"COLUMNS": "100", "FORCE_COLOR": "1", "NO_COLOR": None}
    shown = CliRunner().invoke(app, [*path, "--help"], env=environment)
    assert shown.exit_code == 0 and "\x1b" not in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    heading, under = "", {}
    for line in shown.stdout.split("  Example:")[0].splitlines():
        if found := re.match(r"([A-Z][a-z ]+):$", line):
            heading = found[1]
        for option in re.findall(r"^  (?:-\w, )?(--[\w-]+)", line):
            under[option] = heading
    assert set(under.values()) <= {*HEADINGS}
    hidden = {"--help", "--version", "--install-completion", "--show-completion"}
    assert {option for option, h in under.items() if h == "Options"} <= hidden
    assert {max(p.opts, key=len) for p in command.params if p.param_type_name == "option"} <= {
        *under
    }


def test_compile_groups_its_options() -> None:
    shown = CliRunner().invoke(app, ["compile", "--help"], env={"COLUMNS": "80"}).stdout
    found = re.findall(r"^([A-Z][\w ]+):$", shown, re.MULTILINE)
    assert found == ["Arguments", "Input and output", "Pipeline", "Model", "Server", "Budget",
                     "Local model", "Store", "Limits", "Cluster", "Reporting", "Options"]  # fmt: skip


SAME_THING = {
    "--out": "Output folder",
    "--model": "",
    "--against": "",
    "--videos": "Video files",
    "--films": "Number of films to render",
    "--questions": "Number of questions",
    "--frames": "Frames shown per video",
    "--templates": "Template set",
    "--jobs": "",
    "--pipeline": "Passes, separated by commas",
    "--quiz": "Dataset of held-out questions",
    "--generation-batch": "Samples that a local model generates in parallel",
}
"""Options whose help differs between commands, and the beginning that all of them share."""


def test_an_option_name_means_the_same_in_every_command() -> None:
    helps: dict[str, set[str]] = {}
    meant: dict[str, set[tuple[str, ...]]] = {}
    for _, command in _commands():
        for param in command.params:
            if param.param_type_name == "option":
                name = max(param.opts, key=len)
                helps.setdefault(name, set()).add(param.help)
                for short in (o for o in param.opts if len(o) == 2 and o != "-n"):
                    meant.setdefault(short, set()).add(name)
    for name, texts in helps.items():
        start = SAME_THING.get(name)
        assert len(texts) == 1 or start is not None, (name, texts)
        assert all(text.startswith(start or "") for text in texts), (name, texts)
    assert all(len(names) == 1 for names in meant.values()), meant


@pytest.mark.parametrize(
    "command", ["compile x", "selftrain x -o y --record z", "plan x --record z", "plan x --bits 4",
                "train x --rate 1", "study steps -o x --config y", "opt x --stop-after parse"],
)  # fmt: skip
def test_what_has_no_effect_is_refused(command: str, tmp_path: Path) -> None:
    assert CliRunner().invoke(app, command.split()).exit_code == 2


def test_generation_and_training_have_their_own_batch() -> None:
    names = {p.name for p in dict(_commands())["selftrain",].params}
    assert {"generation_batch", "batch_size"} <= names


def test_a_command_cannot_shadow_a_shared_option() -> None:
    def command(choice: Any, device: str = "x") -> None: ...

    with pytest.raises(TypeError, match="device"):
        choosing(command)


def _json(arguments: list[str], cwd: Path, code: int = 0) -> Any:
    done = _run([*arguments, "--json"], cwd)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def _documented(command: str) -> set[str]:
    """The words of the paragraph about --json in a command's help."""
    text = dict(_commands())[tuple(command.split())].help
    return set(re.findall(r"[a-z_]+", text[text.index("--json") :]))


def _keys(data: Any) -> set[str]:
    if isinstance(data, list):
        return set().union(*map(_keys, data))
    return {*data}.union(*map(_keys, data.values())) if isinstance(data, dict) else set()


def test_json_of_plan_and_passes(film: Path, tmp_path: Path) -> None:
    plan = _json(["plan", str(film), "--price", "1/2", "--calls-per-second", "5"], tmp_path)
    assert plan["videos"] == 1 and plan["clips"] == 2 and plan["cost"] > 0 and plan["hours"] > 0
    assert plan["total"]["calls"] == pytest.approx(sum(r["calls"] for r in plan["requests"]), abs=9)
    assert _keys(plan) <= _documented("plan")
    more = _json(["plan", str(film), "--corpus", "1000"], tmp_path)
    assert more["extrapolated_to"] == 1000 and more["cost"] is None
    assert more["naive_calls"] == pytest.approx(1000 * plan["naive_calls"], rel=0.01)
    every = _json(["passes"], tmp_path)
    assert [p["name"] for p in every["passes"]] == list(pass_names())
    assert _keys(every) <= _documented("passes")
    [merge] = _json(["passes", "merge"], tmp_path)["passes"]
    assert (merge["takes"], merge["gives"]) == ("fsg", "tsg")
    assert "samples" in {o["name"] for o in merge["options"]}


def test_json_of_check(tmp_path: Path) -> None:
    (tmp_path / "bad.step").write_text("nonsense\n")
    [first, *_] = _json(["check", "bad.step"], tmp_path, 1)
    assert {*first} <= _documented("check")
    assert (first["severity"], first["file"], first["line"]) == ("error", "bad.step", 1)
    assert _json(["check", str(HERE / "specs" / "step.step")], tmp_path) == []


def test_json_of_the_store(film: Path, tmp_path: Path) -> None:
    kept = ["--store", str(tmp_path / "kept")]
    done = _run(["dump", str(film), "--after", "keyframes", *kept], tmp_path)
    assert done.returncode == 0, done.stderr
    stats = _json(["store", "stats", *kept], tmp_path)
    assert stats["entries"] == sum(k["entries"] for k in stats["kinds"]) > 0
    assert stats["bytes"] > 0 and _keys(stats) <= _documented("store stats")
    assert _json(["store", "verify", *kept], tmp_path) == {"damaged": 0}
    gone = _json(["store", "gc", "--max-size", "0", *kept], tmp_path)
    assert gone["dropped"] == stats["entries"] and {*gone} <= _documented("store gc")


def _completed(line: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What click's shell completion offers for the last word of a command line."""
    core = next(c.__module__ for c in type(ROOT).__mro__ if c.__name__ == "Command")
    package = core.removesuffix(".core")  # click, or the copy of it that typer brings along
    complete = importlib.import_module(f"{package}.shell_completion").ShellComplete
    monkeypatch.setattr(complete, "__abstractmethods__", frozenset())
    *words, last = line.split(" ")
    made = complete(ROOT, {}, "stepc", "_STEPC_COMPLETE").get_completions(words, last)
    return [item.value for item in made]


def test_completion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.step").touch()
    (tmp_path / "mine.txt").touch()
    (tmp_path / "mill").mkdir()
    expected = {
        "se": ["selftrain"],
        "compile films --eng": ["--engine"],
        "compile films --engine ": ["local", "ray"],
        "compile films --pipeline keyf": ["keyframes", "keyframes-uniform"],
        "compile films -p split,keyframes(per_clip=3),par": [
            "split,keyframes(per_clip=3),parse",
            "split,keyframes(per_clip=3),parse-none",
            "split,keyframes(per_clip=3),parse-oneshot",
        ],
        "opt x -p keyframes(per": ["keyframes(per_clip="],
        "opt x -p keyframes(per_clip=2,per": [],
        "opt x -p keyfram(per": [],
        "opt x -p refine(accept=": [],
        "dump x --pipeline split,keyframes,parse --after ": ["split", "keyframes", "parse"],
        "opt x -p sample(x=1),compose --dump-after ": ["all", "sample", "compose"],
        "compile x --spec m": ["mill/", "mine.step"],
        "explain S31": sorted(c for c in PAGES if c.startswith("S31")),
        "explain s311": ["s311"],
        "passes split-s": ["split-sets"],
        "eval mv": ["mvbench"],
        "eval table 1 --form ": ["markdown", "csv"],
        "export x --to ll": ["llamafactory", "llava"],
        "compile x --model op": ["openai:"],
    }
    for line, words in expected.items():
        assert _completed(line, monkeypatch) == words, line
    assert "dedupe" in _completed("dump x --after ", monkeypatch)
    options = _completed("opt x -p keyframes(", monkeypatch)
    assert len(options) == len(option_lines(pass_type("keyframes")))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    script = _run(["--show-completion", shell], tmp_path)
    assert script.returncode == 0 and f"_STEPC_COMPLETE=complete_{shell}" in script.stdout
    monkeypatch.setenv("_STEPC_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("COMP_WORDS", "stepc explain S311")
    monkeypatch.setenv("COMP_CWORD", "2")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "stepc explain S311")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    assert "S311" in _run([], tmp_path).stdout
    monkeypatch.delenv("_STEPC_COMPLETE")
    monkeypatch.setenv("HOME", str(tmp_path))
    installed = _run(["--install-completion", shell], tmp_path)
    assert installed.returncode == 0, installed.stderr
    assert [p for p in tmp_path.rglob("*stepc*") if p.is_file()]


def test_quiet_verbose_and_colour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = HERE / "golden" / "sample" / "kitchen" / "input.stsg"
    plain = ["opt", str(path), "-p", "sample", "--stats"]
    normal = _run(plain, tmp_path)
    assert "1:sample" in normal.stderr and "DEBUG" not in normal.stderr
    for arguments in (["-q", *plain], [*plain, "--quiet"]):
        quiet = _run(arguments, tmp_path)
        assert quiet.stdout == normal.stdout and quiet.stderr == ""
    for arguments in (["-v", *plain], [*plain, "--verbose"]):
        verbose = _run(arguments, tmp_path)
        assert verbose.stdout == normal.stdout
        assert "DEBUG stepc: pass sample: " in verbose.stderr and "1:sample" in verbose.stderr
    wrong = _run(["-q", "explain", "X"], tmp_path)
    assert wrong.returncode == 1 and wrong.stderr.startswith("error[U001]")
    both = _run(["-v", *plain, "-q"], tmp_path)
    assert both.returncode == 2 and "exclude each other" in both.stderr
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[31m" not in _run(["explain", "X"], tmp_path).stderr
    colour = subprocess.run(
        [sys.executable, "-m", "stepc", "explain", "X"], cwd=tmp_path, capture_output=True,
        env={**{k: v for k, v in os.environ.items() if k != "NO_COLOR"}, "PYTHONPATH": str(HERE),
             "TERM": "xterm"}, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "\x1b[1;31m" in colour.stderr


def _seen(*arguments: str) -> dict[str, Any]:
    """The values that compile gets from the command line, the environment and the files."""
    with dict(_commands())["compile",].make_context("compile", ["films", *arguments]) as context:
        return dict(context.params)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with both configuration files in its folder `inner`, which is the current one."""
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    (tmp_path / "pyproject.toml").write_text(
        "[tool.stepc.compile]\nseed = 1\njobs = 1\npatience = 1\ngpus = 0.5\n"
        'spec = "specs/mine.step"\nmodel = "folder/model"\n'
    )
    (tmp_path / "inner" / "pyproject.toml").write_text('[project]\nname = "x"\n')
    (tmp_path / "inner" / "stepc.toml").write_text(
        '[compile]\nout = "out"\nseed = 2\njobs = 2\npatience = 2\nno-store = true\n'
        'redact = ["a b", "c"]\nverify-each = false\nstore = "from-file"\n'
    )
    monkeypatch.delenv("STEPC_STORE")
    return tmp_path


def test_where_an_option_comes_from(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPC_COMPILE_SEED", "3")
    monkeypatch.setenv("STEPC_COMPILE_JOBS", "3")
    got = _seen("--seed", "4", "--use-store")
    assert [got[k] for k in ("seed", "jobs", "patience", "gpus", "memory")] == [4, 3, 2, 0.5, 0]
    assert got["out"] == Path("out") and got["spec"] == project / "specs" / "mine.step"
    assert got["model"] == "folder/model" and got["verify_each"] is False
    assert list(got["redact"]) == ["a b", "c"] and got["no_store"] is False
    assert got["store"] == "from-file" and _seen()["no_store"] is True
    monkeypatch.setenv("STEPC_STORE", "general")
    monkeypatch.setenv("STEPC_COMPILE_STATS", "yes")
    assert _seen()["store"] == "general" and _seen()["stats"] is True
    monkeypatch.setenv("STEPC_COMPILE_STORE", "own")
    assert _seen()["store"] == "own" and _seen("--store", "x")["store"] == "x"
    (project / "other.toml").write_text('[compile]\nout = "o"\npatience = 9\n')
    for other in (["--config", str(project / "other.toml")], []):
        got = _seen(*other)
        assert got["patience"] == 9 and got["gpus"] == 0 and got["out"] == project / "o"
        monkeypatch.setenv("STEPC_COMPILE_CONFIG", str(project / "other.toml"))


@pytest.mark.parametrize(
    ("text", "line", "message", "help"),
    [
        ("[compile]\nsed = 1", 2, "unknown key `compile.sed`", "did you mean `seed`?"),
        ("[compile]\n\n'max_cost'=1", 3, "unknown key `compile.max_cost`", "`max-cost`"),
        ("[complie]\nseed = 1", 1, "unknown key `complie`", "did you mean `compile`?"),
        ("seed = 1", 1, "unknown key `seed`", "put it into the table [compile]"),
        ("compile.config = 'x'", 1, "unknown key `compile.config`", ""),
        ("compile = 1", 1, "`compile` must be a table", "[compile]"),
        ("[compile]\nseed = true", 2, "`seed` must be an integer, not true", "Seed"),
        ("[compile]\nseed = 1.0", 2, "`seed` must be an integer, not 1.0", ""),
        ("[compile]\njobs = '2'", 2, '`jobs` must be an integer, not "2"', ""),
        ("[compile]\njobs = -2", 2, "`jobs` cannot be -2: ", ""),
        ("[compile]\nmemory = 'x'", 2, '`memory` must be a number, not "x"', ""),
        ("[compile]\nstats = 1", 2, "`stats` must be true or false, not 1", ""),
        ("[compile]\nengine = 'rai'", 2, '`engine` must be "local" or "ray", not "rai"', ""),
        ("[compile]\nmodel = 2026-01-01", 2, "`model` must be a string, not 2026-01-01", ""),
        ("[compile]\nredact = 'x'", 2, '`redact` must be an array of strings, not "x"', ""),
        ("[compile]\nspec = {a = 1}", 2, '`spec` must be a string, not {"a": 1}', ""),
        ("[compile\nseed = 1", 1, "not a TOML file: ", "toml.io"),
    ],
)
def test_wrong_configuration(
    text: str, line: int, message: str, help: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stepc.toml").write_text(text)
    with pytest.raises(StepcError) as error:
        _seen("-o", "out")
    [found] = error.value.diagnostics
    assert found.code == "U001" and found.message.startswith(message)
    assert found.place and (found.place.file, found.place.line) == ("stepc.toml", line)
    assert help in found.help
    (tmp_path / "stepc.toml").unlink()
    (tmp_path / "pyproject.toml").write_text("[tool.stepc.compile]\nseed = 'x'\n")
    with pytest.raises(StepcError, match=r"pyproject.toml:2:1"):
        _seen("-o", "out")
    with pytest.raises(StepcError, match="B006"):
        _seen("-o", "out", "--config", "none.toml")


def test_every_mistake_of_the_configuration_is_reported(project: Path) -> None:
    (project / "inner" / "stepc.toml").write_text("[compile]\nsed = 1\njobs = 'x'\n")
    (project / "pyproject.toml").write_text("[tool.stepc]\ncompil = 1\n")
    environment = {"STEPC_COMPILE_GPU": "1", "STEPC_COMPILE_JOBS": "many"}
    done = _run(["compile", "films", "-o", "out"], project / "inner", **environment)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.count("error[U001]") == 5
    for part in ("`STEPC_COMPILE_GPUS`?", "`many` cannot be used", "$STEPC_COMPILE_JOBS",
                 "tool.stepc.compil`", "stepc.toml:2:1", "stepc.toml:3:1"):  # fmt: skip
        assert part in done.stderr, part


def test_configuration_compiles(film: Path, tmp_path: Path) -> None:
    (tmp_path / "stepc.toml").write_text('[compile]\nout = "made"\nseed = 5\n')
    done = _run(["compile", str(film), "-v"], tmp_path, STEPC_COMPILE_JOBS="1")
    assert done.returncode == 0 and (tmp_path / "made" / "qra.jsonl").exists(), done.stderr
    assert "stepc.toml: out = 'made'" in done.stderr
    assert "STEPC_COMPILE_JOBS = '1'" in done.stderr


def test_the_configuration_page_has_every_option(request: pytest.FixtureRequest) -> None:
    page = HERE / "docs" / "reference" / "configuration.md"
    text = page.read_text("utf-8")
    start, end = text.index("-->\n", text.index("<!-- generated")) + 4, text.index("<!-- end -->")
    got = f"{text[:start]}\n{reference_table(dict(_commands())['compile',])}\n{text[end:]}"
    if request.config.getoption("--bless"):
        page.write_text(got, "utf-8")
    assert got == text, "run pytest --bless and read the page"
    example = text[text.index("```toml") + 8 : text.index("```\n\nIn `pyproject")]
    assert {*tomllib.loads(example)["compile"]} <= {*settings(dict(_commands())["compile",])}


@pytest.mark.parametrize(
    ("n", "shown"), [(0, "0 films"), (1, "1 film"), (2, "2 films"), (1000, "1,000 films")]
)
def test_counts(n: int, shown: str) -> None:
    assert count(n, "film") == shown


def test_ask_says_why_nothing_is_asked(tmp_path: Path) -> None:
    unit = tmp_path / "u.stsg"
    text = (HERE / "golden" / "check" / "a-gap-of-a-keyframe.case").read_text()
    graph = text[text.index("stsg 1") : text.index("--- spec")]
    unit.write_text(graph)
    spec = tmp_path / "own.step"
    spec.write_text(
        'spec own "colours"\npaths { count 9 per video steps 1 start attr }\n'
        'edge attr(o -> v) { find v { ask "Which {v.kind} has {o}?" because "{o} is {v}." } }\n'
    )
    told = _run(["ask", str(spec), str(unit)], tmp_path).stderr
    assert "0 questions" in told and "stepc paths" in told
    assert "nothing can be asked: " in told and "it depends on what is not known (3 times)" in told
    unit.write_text("\n".join(line for line in graph.splitlines() if not line.startswith("attr")))
    assert (
        "no edge of the graph gives a question"
        in _run(["ask", str(spec), str(unit)], tmp_path).stderr
    )


def test_ask_counts_the_ambiguous(tmp_path: Path) -> None:
    unit = HERE / "golden" / "specs" / "agqa-like-street" / "input.stsg"
    one = _run(["ask", str(HERE / "specs" / "step.step"), str(unit)], tmp_path).stderr
    assert re.fullmatch(r"\d+ questions?: \d+ with one answer on the graph\n", one)
    case = HERE / "golden" / "sample" / "several-answers"
    several = _run(["ask", str(case / "spec.step"), str(case / "input.stsg"), "-n", "99"], tmp_path)
    found = re.search(r"(\d+) questions: (\d+) with one .*, (\d+) with several", several.stderr)
    assert found and int(found[1]) == int(found[2]) + int(found[3])
    assert len(re.findall(r"  A: .* or ", several.stdout)) == int(found[3]) > 0


def test_ask_prints_all_meanings_of_a_question(tmp_path: Path) -> None:
    unit = HERE / "golden" / "specs" / "agqa-like-street" / "input.stsg"
    out = _run(["ask", "agqa-like", str(unit), "-n", "40", "--read"], tmp_path).stdout
    shown = [block.splitlines() for block in out.strip().split("\n\n")]
    assert len(shown) > 10
    for lines in shown:
        answer = next(x for x in lines if x.startswith("  A: ")).removeprefix("  A: ")
        means = [x for x in lines if x.startswith("  means: ")]
        assert means and any(x.lower().endswith(f" -> {answer.lower()}") for x in means), lines
    assert "means:" not in _run(["ask", "agqa-like", str(unit)], tmp_path).stdout


@pytest.mark.embedded
def test_log_json_writes_one_object_per_line(tmp_path: Path) -> None:
    write(make_film(random.Random("log"), 2), tmp_path / "film.mp4")
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    words = [
        "compile",
        "film.mp4",
        "bad.mp4",
        "-o",
        "out",
        "--no-store",
        "--jobs",
        "1",
        "--log-json",
    ]
    done = _run(words, tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    rows = [json.loads(line) for line in done.stderr.splitlines()]
    assert {r["event"] for r in rows} == {"diagnostic", "progress", "usage", "note"}
    assert [r["code"] for r in rows if r["event"] == "diagnostic"] == ["B002"]
    assert [r["done"] for r in rows if r["event"] == "progress"][-1] == 2
    assert "1 compiled, 1 failed" in rows[-1]["text"]


def test_check_fixes_what_has_a_fix(tmp_path: Path) -> None:
    wrong = 'spec mine "x"\nimport step\noverride paths { cuont 4 per video  start atr }\n'
    (tmp_path / "mine.step").write_text(wrong, "utf-8")
    told = _json(["check", "mine.step"], tmp_path, 1)[0]
    assert told["fix"] == {"line": 3, "column": 18, "length": 5, "text": "count"}
    done = _run(["check", "--fix", "mine.step"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "mine.step: 2 fixes" in done.stderr
    assert (tmp_path / "mine.step").read_text("utf-8") == wrong.replace("cuont", "count").replace(
        "atr", "attr"
    )
