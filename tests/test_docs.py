"""The documentation: it builds without a warning, and every block in it is run or checked.

What a fenced block must be, by the first word of its info string:

- `console`: run in the page's own folder, in page order. A line after `$ ` is a command; the lines
  below it are its output, where `…` stands for anything. `{exit=1}`: the last command fails so.
- `sh`, `console` or `python` with `{.not-run reason="…"}`: not run. Commands of stepc must parse:
  every option must exist.
- `python`: run as one script per page, after the page's commands.
- `step`: a spec without a mistake. `json`, `toml`, `yaml`: parses; entry points are those of the example
  plug-in. With `{file=NAME}` the block becomes that file.
- `text`: output or a drawing, never a command. `lark`: compared with the grammar by test_spec.

The folder holds `films` and `out`, made from `stepc world render -o films -n 2 --seed 7` and
`stepc compile films -o out`. `--bless` writes the output that comes out into the pages.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from test_golden import HERE

import stepc.cli  # its commands register themselves
from stepc.cli.common import app
from stepc.diagnostics import StepcError
from stepc.lang.resolve import read_spec

DOCS = HERE / "docs"
PAGES = [HERE / "README.md", *sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts)]
NAMES = [p.relative_to(HERE).as_posix() for p in PAGES]
FENCE = re.compile(r"^(`{3,})(?P<info>[^\n`]*)\n(?P<text>.*?)^\1$", re.MULTILINE | re.DOTALL)
ATTRIBUTES = re.compile(r'([\w-]+)=(?:"([^"]*)"|([^\s"}]+))')
DIRECTIVES = {"eval-rst", "toctree", "note", "warning"}
SHELL = {"sh", "bash", "console"}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    kind: str
    flags: str
    text: str
    span: tuple[int, int]
    """Where its text stands in the page."""

    @property
    def not_run(self) -> bool:
        return ".not-run" in self.flags

    @property
    def told(self) -> dict[str, str]:
        return {key: one or other for key, one, other in ATTRIBUTES.findall(self.flags)}

    @property
    def place(self) -> str:
        line = self.page.read_text("utf-8")[: self.span[0]].count("\n")
        return f"{self.page.relative_to(HERE)}:{line}"


def blocks(page: Path) -> list[Block]:
    made = []
    for m in FENCE.finditer(page.read_text("utf-8")):
        kind, _, flags = m["info"].strip().partition(" ")
        made.append(Block(page, kind, flags.strip(), m["text"], m.span("text")))
    return made


def lines(text: str) -> list[str]:
    """The lines of a script: continued ones joined, prompts and output left out."""
    text = re.sub(r"\\\n\s*", "", text)
    prompted = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
    return prompted or text.splitlines()


def calls(text: str) -> Iterator[list[str]]:
    """The words of every command of a script, with the variables before it left out."""
    for line in lines(text):
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split, lexer.commenters = True, "#"
        words: list[str] = []
        skip = False
        for token in [*lexer, ";"]:
            if skip:
                skip = False
            elif re.fullmatch(r"[<>]+", token):
                skip = True  # the file that follows is no argument
            elif re.fullmatch(r"[|;&]+", token):
                while words and re.fullmatch(r"\w+=.*", words[0], re.DOTALL):
                    del words[0]
                if words:
                    yield words
                words = []
            else:
                words.append(token)


@cache
def command(words: tuple[str, ...]) -> tuple[Any, int]:
    """The command that the words begin with, and how many of them name it."""
    here: Any = typer.main.get_command(app)
    taken = 0
    while hasattr(here, "commands"):
        name = words[taken] if taken < len(words) else ""
        assert name in here.commands, f"stepc has no command `{' '.join(words[: taken + 1])}`"
        here, taken = here.commands[name], taken + 1
    return here, taken


def parses(words: list[str]) -> None:
    """Parse a command line of stepc without running it: every option and value must be right."""
    if words == ["--version"] or words[-1:] == ["--help"]:
        return
    found, taken = command(tuple(words))
    found.make_context(f"stepc {' '.join(words[:taken])}", list(words[taken:]))


def check_call(words: list[str]) -> None:
    """A command that is not run: what it names of this project must be there."""
    if words[0] == "stepc":
        parses(words[1:])
    elif "-m" in words and words[words.index("-m") + 1] == "stepc":
        parses(words[words.index("-m") + 2 :])
    elif words[0] == "make":
        for target in words[1:]:
            made = (HERE / "Makefile").read_text("utf-8")
            assert re.search(rf"^{re.escape(target)}:", made, re.MULTILINE), f"no target {target}"
    elif words[:2] == ["pip", "install"]:
        text = (HERE / "pyproject.toml").read_text("utf-8").split("[project.optional-")[1]
        for extra in re.findall(r"stepc\[([\w,]+)\]", " ".join(words)):
            for name in extra.split(","):
                assert re.search(rf"^{name} = ", text, re.MULTILINE), f"no extra {name}"
    elif words[0] == "python" and words[1].endswith(".py"):
        assert (HERE / words[1]).is_file(), f"no script {words[1]}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_block_is_of_a_known_kind_and_checked(page: Path) -> None:
    for block in blocks(page):
        try:
            check(block)
        except (AssertionError, SystemExit, Exception) as error:
            pytest.fail(f"{block.place}: {error!r}", pytrace=False)


def check(block: Block) -> None:
    if block.not_run:
        assert block.kind in SHELL | {"python"} and block.told.get("reason"), "no reason"
    if block.kind in SHELL:
        assert block.kind == "console" or block.not_run, (
            "mark it `console`, or say why it is not run"
        )
        for words in calls(block.text):
            check_call(words)
    elif block.kind == "python":
        compile(block.text, block.place, "exec")
        for module, names in re.findall(r"^from (stepc[\w.]*) import (.+)$", block.text, re.M):
            for name in names.split(", "):
                assert hasattr(import_module(module), name), f"{module} has no {name}"
    elif block.kind == "step":
        with_folder = HERE / "specs" if "import" in block.text else None
        read_spec(block.text, block.place, with_folder)
    elif block.kind == "json":
        json.loads(block.text)
    elif block.kind == "toml":
        given = tomllib.loads(block.text).get("project", {}).get("entry-points", {})
        example = tomllib.loads((HERE / "examples/plugin/pyproject.toml").read_text("utf-8"))
        there = example["project"]["entry-points"]
        assert all(there[group].items() >= names.items() for group, names in given.items())
    elif block.kind == "yaml":
        assert isinstance(yaml.safe_load(block.text), dict)
        for command in re.findall(r"run: (.+)", block.text):
            for words in calls(command):
                check_call(words)
    elif block.kind == "text":
        assert not re.search(r"^(\$ )?stepc [a-z]+ \S", block.text, re.MULTILINE), "a command"
    elif block.kind == "lark":
        assert block.page.name == "step.md"
    elif block.kind == "jinja":
        assert "file" in block.told
    else:
        assert block.kind.strip("{}") in DIRECTIVES, f"unknown kind `{block.kind}`"


@pytest.mark.parametrize(
    "kind, flags, text",
    [
        ("", "", "stepc compile films -o out"),
        ("sh", "", "stepc compile films -o out"),
        ("sh", "{.not-run}", "stepc compile films -o out"),
        ("sh", '{.not-run reason="slow"}', "stepc compile films -o out --no-such-option"),
        ("sh", '{.not-run reason="slow"}', "A=1 stepc compile films \\\n  --jobs many -o out"),
        ("sh", '{.not-run reason="slow"}', "cat x | stepc no-such-command > y"),
        ("sh", '{.not-run reason="slow"}', "torchrun -m stepc train out --nothing"),
        ("sh", '{.not-run reason="slow"}', "make nothing"),
        ("sh", '{.not-run reason="slow"}', "pip install 'stepc[nothing]'"),
        ("console", "", "$ stepc check"),
        ("python", "", "from stepc.diagnostics import nothing"),
        ("python", "", "for"),
        ("step", "", "spec x"),
        ("json", "", "{"),
        ("toml", "", "a ="),
        ("text", "", "stepc compile films"),
        ("yaml", "", "a: [1"),
        ("yaml", "", "- run: stepc golden run"),
        ("yaml", "", "steps:\n- run: stepc golden nothing"),
        ("ini", "", "a = 1"),
    ],
)
def test_a_block_that_is_wrong_is_found(kind: str, flags: str, text: str) -> None:
    with pytest.raises((AssertionError, SystemExit, Exception)):
        check(Block(HERE / "README.md", kind, flags, text, (0, 0)))


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_named_in_the_text_exist(page: Path) -> None:
    text = FENCE.sub("", page.read_text("utf-8"))
    for line in re.findall(r"`stepc ([a-z][^`]*)`", text):
        words = [w for w in line.split() if w not in ("…", "\\|")]
        if "|" in line or words[0] in ("lsp",):
            words = words[:1]
        found: Any = typer.main.get_command(app)
        while words and hasattr(found, "commands") and words[0] in found.commands:
            found = found.commands[words.pop(0)]
        known = {o for p in found.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
        assert not hasattr(found, "commands") or not words or words[0].isupper(), f"stepc {line}"
        for word in words:
            if word.startswith("-") and len(word) > 1 and not hasattr(found, "commands"):
                assert word.split("=")[0] in known, f"stepc {line}: no option {word}"


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rendered films and the dataset compiled from them."""
    folder = tmp_path_factory.mktemp("docs")
    for line in ("world render -o films -n 2 --seed 7", "compile films -o out"):
        subprocess.run(
            [sys.executable, "-m", "stepc", *line.split()],
            cwd=folder, env=environment(), check=True, capture_output=True, timeout=300,
        )  # fmt: skip
    return folder


def environment(path: Path | None = None) -> dict[str, str]:
    before = f"{path}{os.pathsep}" if path else ""
    return {
        **os.environ, "PYTHONPATH": str(HERE), "PATH": before + os.environ["PATH"],
        "COLUMNS": "100", "NO_COLOR": "1", "OMP_NUM_THREADS": "1", "TERM": "dumb", "PYTHONUNBUFFERED": "1",
    }  # fmt: skip


def scripts(page: Path) -> list[tuple[int, int, str, str, int]]:
    """Start, end, command, output and exit code of each command of a page, in order."""
    found = []
    for block in blocks(page):
        if block.kind != "console" or block.not_run:
            continue
        parts = list(
            re.finditer(r"^\$ ((?:[^\n]*\\\n)*[^\n]*)\n((?:(?!\$ ).*\n)*)", block.text, re.M)
        )
        assert parts and not block.text[: parts[0].start()].strip(), f"{block.place}: no `$ `"
        for part in parts:
            at = block.span[0]
            wanted = int(block.told.get("exit", 0)) if part is parts[-1] else 0
            found.append((at + part.start(2), at + part.end(2), part[1], part[2], wanted))
    return found


RUN = [
    p
    for p in PAGES
    if p.name != "specs.md"  # test_spec runs its commands and compares what they print
    and any(b.kind in ("console", "python") and not b.not_run for b in blocks(p))
]


@pytest.mark.parametrize("page", RUN, ids=lambda p: p.relative_to(HERE).as_posix())
def test_commands_and_code_do_what_the_page_says(
    page: Path, made: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    for name in ("specs", "golden", "templates"):
        (tmp_path / name).symlink_to(HERE / name)
    for name in ("films", "out"):
        shutil.copytree(made / name, tmp_path / name)
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "stepc").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m stepc "$@"\n')
    (tools / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    for block in blocks(page):
        if "file" in block.told:
            (tmp_path / block.told["file"]).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / block.told["file"]).write_text(block.text, "utf-8")
    text = page.read_text("utf-8")
    for start, end, line, output, wanted in reversed(ran(page, tmp_path, tools)):
        if output is not None:
            assert request.config.getoption("--bless"), f"$ {line}\n{output}\n(exit code {wanted})"
            text = text[:start] + output + text[end:]
    if request.config.getoption("--bless"):
        page.write_text(text, "utf-8")
    code = [b.text for b in blocks(page) if b.kind == "python" and not b.not_run]
    if code:
        (tmp_path / "page.py").write_text("\n\n".join(code), "utf-8")
        done = subprocess.run(
            [sys.executable, "page.py"], cwd=tmp_path, env=environment(tools),
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


def ran(page: Path, folder: Path, tools: Path) -> list[tuple[int, int, str, str | None, int]]:
    """Each command, with its output where that is not what the page says."""
    made: list[tuple[int, int, str, str | None, int]] = []
    for start, end, line, output, wanted in scripts(page):
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line], cwd=folder, env=environment(tools),
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == wanted, f"$ {line}\n{done.stdout}{done.stderr}"
        outs = [done.stdout, done.stdout + done.stderr, done.stderr]
        same = not output.strip() or any(like(output, out) for out in outs)
        made.append((start, end, line, None if same else outs[1].strip() + "\n", done.returncode))
    return made


def like(wanted: str, got: str) -> bool:
    """Whether an output is the one on the page, where `…` stands for anything."""
    parts = [re.escape(" ".join(p.split())) for p in wanted.strip().split("…")]
    return re.fullmatch(r"\s?.*\s?".join(parts), " ".join(got.split())) is not None


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """With the command of `make docs`, which treats warnings as errors."""
    rule = (HERE / "Makefile").read_text("utf-8").split("\ndocs:")[1].split("\n")[1].split()
    assert rule[:4] == ["$(BIN)/python", "-m", "sphinx", "-W"], rule
    arguments = [str(tmp_path) if a == "docs/_build/html" else a for a in rule[3:]]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-d", str(tmp_path / "trees"), *arguments],
        cwd=HERE, env=environment(), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown = (tmp_path / "reference" / "cli.html").read_text("utf-8")
    for words, _ in commanded():
        assert f"stepc {words}" in shown
    for page in tmp_path.rglob("*.html"):
        text = page.read_text("utf-8")
        assert not re.search(r"<(script|link|img)[^>]* (src|href)=\"https?://", text), page


def commanded() -> Iterator[tuple[str, Any]]:
    def walk(here: Any, name: str) -> Iterator[tuple[str, Any]]:
        if not hasattr(here, "commands"):
            yield name, here
        for each, below in getattr(here, "commands", {}).items():
            yield from walk(below, f"{name} {each}".strip())

    yield from walk(typer.main.get_command(app), "")


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_outside_the_site_lead_somewhere(name: str) -> None:
    """Sphinx checks those between the pages."""
    text = (HERE / name).read_text("utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        assert (HERE / path).exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.+)$", (HERE / path).read_text("utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in heads]
            assert anchor in slugs, target


def test_old_paths_of_pages_are_gone() -> None:
    names = "models|training|evaluation|cluster|step|specs|paper|store|world|benchmarks"
    old = re.compile(rf"docs/({names})\.md")
    for path in [
        *HERE.glob("*.md"),
        *(HERE / "stepc").rglob("*.py"),
        *(HERE / "tests").glob("*.py"),
    ]:
        if path.name != "test_docs.py":
            assert not old.search(path.read_text("utf-8")), path


def test_the_readme_is_short() -> None:
    text = (HERE / "README.md").read_text("utf-8")
    assert len(text.splitlines()) < 150
    assert "make demo" in text and "make test" in text and "docs/_static/sample.svg" in text
    assert StepcError and stepc.cli
