"""Plug-ins: the example package, installed into an environment of its own, and every way to get it wrong."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_golden import HERE
from test_lsp import Editor, completed, session

import stepc
import stepc.model.templates  # each registers what it takes plug-ins for
import stepc.train.export
from stepc import forms, plugins
from stepc.dataset.formats import FORMATS, Format, rows_of
from stepc.diagnostics import StepcError
from stepc.languages import Language
from stepc.languages.english import English
from stepc.model.backends import BACKENDS, BackendType
from stepc.model.load import ModelConfig, identity_of, load, together
from stepc.passmanager.registry import PASSES
from stepc.store.open import open_store
from stepc.video.decode import Pictures
from stepc.world.render import write
from stepc.world.scene import make_film

EXAMPLE = HERE / "examples" / "plugin"
GRAPH = HERE / "golden" / "sample" / "the-shortest" / "input.stsg"


class Environment:
    """A virtual environment that sees this one's packages and the plug-ins that are installed into it."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder / "env", with_pip=False)
        self.python = folder / "env" / "bin" / "python"
        self.folder = folder
        site = Path(
            self._run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
        )
        (site / "dev.pth").write_text(f"{sysconfig.get_path('purelib')}\n{HERE}\n")

    def _run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        given = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
        given |= more
        return subprocess.run(
            [str(self.python), *words], cwd=self.folder, env=given, capture_output=True, text=True,
            timeout=300,
        )  # fmt: skip

    def install(self, package: Path) -> None:
        build = ["install", "--quiet", "--no-deps", "--no-build-isolation", str(package)]
        subprocess.run(
            [sys.executable, "-m", "pip", "--python", str(self.python), *build],
            check=True, capture_output=True, timeout=300,
        )  # fmt: skip

    def stepc(self, *words: str, rc: int = 0) -> str:
        done = self._run("-m", "stepc", *words)
        assert done.returncode == rc, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    made = Environment(tmp_path_factory.mktemp("plugin"))
    copy = made.folder / "source"
    copy.mkdir()
    subprocess.run(["cp", "-r", f"{EXAMPLE}/.", str(copy)], check=True)
    made.install(copy)
    (made.folder / "films").mkdir()
    write(make_film(random.Random("plug-in"), 2), made.folder / "films" / "one.mp4")
    made.stepc("compile", "films", "-o", "out", "--jobs", "1", "--no-store")
    return made


def test_plugins_are_listed_with_their_package(env: Environment) -> None:
    shown = env.stepc("plugins")
    assert "12 plug-ins" in shown and "stepc-example 0.1.0" in shown
    rows = json.loads(env._run("-m", "stepc", "plugins", "--json").stdout)["plugins"]
    assert {r["group"] for r in rows} == set(plugins.GROUPS)
    assert all(len(r["sha256"]) == 64 for r in rows)


def test_a_reader_of_annotations_of_a_plugin(env: Environment) -> None:
    (env.folder / "park.csv").write_text("1.0,man,near,dog\n3.0,man,holding,leash\n", "utf-8")
    assert "triplets" in env.stepc("import", "list")
    shown = env.stepc("import", "triplets", "park.csv", "-o", "graphs")
    assert "1 graph" in shown and "2 relations" in shown
    graph = (env.folder / "graphs" / "park.stsg").read_text("utf-8")
    assert 'by "annotation:triplets"' in graph and '"holding"' in graph


@pytest.mark.parametrize("module", ["forms", "passes", "backend", "benchmark", "formats", "german"])
def test_modules_of_a_plugin_can_be_imported_by_themselves(env: Environment, module: str) -> None:
    listed = "from stepc.plugins import installed; [p.load() for p in installed('stepc.forms')]"
    done = env._run("-c", f"import stepc_example.{module}; {listed}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("stepc passes dr", "drop-small"),
        ("stepc passes --pipeline rec", "recount"),
        ("stepc ask star", "starting"),
        ("stepc export x --to c", "csv"),
        ("stepc compile x --model par", "parrot:"),
        ("stepc compile x --templates ter", "terse"),
    ],
)
def test_shell_completion_offers_plugins(env: Environment, line: str, found: str) -> None:
    more = {"_STEPC_COMPLETE": "complete_bash", "COMP_WORDS": line}
    assert found in env._run("-m", "stepc", **more, COMP_CWORD=str(line.count(" "))).stdout


def test_the_language_server_knows_plugins(env: Environment) -> None:
    spec = (EXAMPLE / "stepc_example" / "starting.step").read_text()

    async def what(editor: Editor) -> None:
        assert await editor.type(spec) == []
        (unknown,) = await editor.type(spec.replace("form starts", "form begins"))
        assert "starts" in unknown.message
        assert "starts" in await completed(editor, spec, "  form ")
        assert "starting" in await completed(editor, spec, "import ")

    session(what, str(env.python))


def test_a_pass_of_a_plugin_runs_and_is_in_the_manifest(env: Environment) -> None:
    assert "least" in env.stepc("passes", "drop-small")
    assert "drop-small" in env.stepc("passes")
    text = "split,keyframes,parse,merge,bridge,drop-small(least=3),sample,compose,check"
    env.stepc(
        "compile", "films", "-o", "dropped", "--pipeline", text, "--jobs", "1", "--store", "st"
    )
    manifest = json.loads((env.folder / "dropped" / "manifest.json").read_bytes())
    (plugin,) = manifest["plugins"]
    assert plugin["name"] == "drop-small" and plugin["version"] == "0.1.0"
    assert any("objects dropped" in counts for counts in manifest["counts"].values())


def test_a_change_of_a_plugin_runs_its_pass_again(env: Environment) -> None:
    text = "split,keyframes,parse,merge,bridge,drop-small(least=3),sample,compose,check"
    words = ["compile", "films", "-o", "again", "--pipeline", text, "--store", "changing"]
    env.stepc(*words)
    assert "drop-small" not in env.stepc(*words, "--explain-rebuild")
    (file,) = (env.folder / "env").rglob("stepc_example/passes.py")
    file.write_text(file.read_text() + "\n# changed\n")
    why = env.stepc(*words, "--explain-rebuild")
    assert "6:drop-small changed: stepc_example.passes" in why and "parse" not in why


def test_a_plan_asks_a_plugin_what_it_costs(env: Environment) -> None:
    shown = env.stepc("plan", "films", "--pipeline", "split,keyframes,parse,merge,bridge,recount")
    assert "count_objects" in shown


def test_a_backend_of_a_plugin_answers(env: Environment) -> None:
    words = ["dump", "films/one.mp4", "--after", "parse", "--model", "parrot:hello"]
    shown = env.stepc(
        *words, "--pipeline", "split,keyframes,parse(keep=0.1)", "--templates", "terse"
    )
    assert shown.startswith("fsg 1")


def test_replies_of_a_plugin_are_stored_with_its_code(env: Environment) -> None:
    program = "from stepc.model.load import *; print(identity_of(ModelConfig('parrot:x')))"
    before = env._run("-c", program).stdout
    (file,) = (env.folder / "env").rglob("stepc_example/backend.py")
    file.write_text(file.read_text() + "\n# changed\n")
    after = env._run("-c", program).stdout
    assert before.startswith("parrot:x ") and after.startswith("parrot:x ") and before != after


def test_a_form_and_a_spec_of_a_plugin_ask_questions(env: Environment) -> None:
    env.stepc(
        "opt", "out/units/one.stsg", "--pipeline", "sample,compose,check", "--spec", "starting"
    )
    shown = env.stepc("ask", "starting", "out/units/one.stsg", "-n", "2")
    assert "from when to when is" in shown.lower()


GERMAN = """stsg 1 "strasse"
video   "strasse.mp4" 4.000s 25fps 640x360 sha256:{0}

clip    c0 0.000..4.000
frame   c0.k0 at 1.000
frame   c0.k1 at 3.000
static  c0/ampel "Ampel" at c0.k0 c0.k1 [6/6 yes]
dynamic c0.k0/mann "Mann" [3/3 yes]
dynamic c0.k1/mann "Mann" [3/3 yes]
attr    c0/ampel/rot Farbe "rot" at c0.k0 c0.k1 [6/6 yes]
motion  c0.k0/mann -> c0.k1/mann "wartet" 1.000..3.000 [3/3 yes]
"""


def test_a_language_of_a_plugin_words_questions_and_is_read_back(env: Environment) -> None:
    (env.folder / "strasse.stsg").write_text(GERMAN.format("1" * 64))
    shown = env.stepc("ask", "auf-deutsch", "strasse.stsg", "-n", "9", "--seed", "2", "--read")
    assert "Q: Was macht der Mann?" in shown and "Der Mann wartet." in shown
    assert "Q: Ist die Ampel rot?" in shown and "A: ja" in shown and "-> ja" in shown
    assert "german" in env.stepc("plugins")


def test_a_format_and_an_export_of_a_plugin_are_written(env: Environment) -> None:
    spec = env.folder / "two.step"
    spec.write_text('spec two "two formats"\nimport step\ndataset { formats jsonl, questions }\n')
    env.stepc("compile", "films", "-o", "both", "--spec", "two.step", "--jobs", "1", "--no-store")
    rows = (env.folder / "both" / "questions.jsonl").read_text().splitlines()
    assert rows and set(json.loads(rows[0])) == {"id", "question", "set"}
    env.stepc("export", "both", "--videos", "films", "--to", "csv", "-o", "csv")
    assert (env.folder / "csv" / "samples.csv").read_text().startswith("video,question,answer")


def test_a_benchmark_of_a_plugin_is_evaluated(env: Environment) -> None:
    data = env.folder / "choices"
    data.mkdir()
    row = {"video": "one", "question": "what is there ?", "right": "a circle", "wrong": "a whale"}
    (data / "two-choices.json").write_text(json.dumps([row]))
    shown = env.stepc("eval", "two-choices", "--data", "choices", "--videos", "films", "-o", "seen")
    assert "Two choices" in shown


class _Entry:
    """An entry point that is not installed."""

    def __init__(self, name: str, value: Any, package: str, group: str = "stepc.passes") -> None:
        self.name, self.value, self.group, self.package = name, f"{package}:x", group, package
        self._value = value

    def load(self) -> Any:
        if isinstance(self._value, BaseException):
            raise self._value
        return self._value


class _Installed:
    """A package that is not installed, with one entry point."""

    def __init__(self, entry: _Entry) -> None:
        self.entry = entry
        self.metadata = {"Name": entry.package, "Version": "1"}

    def read_text(self, name: str) -> str:
        assert name == "entry_points.txt"
        if self.entry.group == "damaged":
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
        return f"[{self.entry.group}]\n{self.entry.name} = {self.entry.value}\n"

    @property
    def entry_points(self) -> _Installed:
        return self

    def select(self, group: str) -> list[_Entry]:
        return [self.entry] * (self.entry.group == group)


@pytest.fixture
def installing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Pretends that packages with these entry points are installed, and no others."""

    def install(*entries: _Entry) -> None:
        found = [_Installed(entry) for entry in entries]
        monkeypatch.setattr(plugins.importlib.metadata, "distributions", lambda: found)
        plugins._distributions.cache_clear()
        plugins.installed.cache_clear()

    for registries in plugins.REGISTRIES.values():
        for registry in registries:
            monkeypatch.setattr(registry, "_loaded", {})
    monkeypatch.delitem(forms.FORMS.__dict__, "_loaded", raising=False)
    monkeypatch.setattr(forms.FORMS, "_broken", {})
    yield install
    monkeypatch.undo()
    plugins._distributions.cache_clear()
    plugins.installed.cache_clear()
    forms.FORMS.__dict__.pop("_loaded", None)


@pytest.mark.parametrize(
    ("entries", "code", "words"),
    [
        ([_Entry("split", int, "mine")], "X001", ["`split`", "stepc", "mine"]),
        ([_Entry("x", int, "one"), _Entry("x", int, "two")], "X001", ["`x`", "one", "two"]),
        ([_Entry("x", ImportError("no numpy"), "mine")], "X002", ["mine", "no numpy"]),
        ([_Entry("x", SystemExit("bye"), "mine")], "X002", ["mine", "bye"]),
        ([_Entry("x", int, "mine")], "X003", ["not a pass"]),
    ],
)
def test_what_is_wrong_with_a_plugin_names_its_package(
    entries: list[_Entry], code: str, words: list[str], installing: Callable[..., None]
) -> None:
    installing(_Entry("x", int, "other", "damaged"), *entries)
    with pytest.raises(StepcError) as error:
        PASSES.names()
        PASSES.get(entries[0].name)
    (wrong,) = error.value.diagnostics
    assert wrong.code == code and all(w in wrong.message for w in words)
    assert code in [d.code for e in plugins.problems() for d in e.diagnostics]


class Ask(forms.Form):
    """A form that is no form."""

    name = "mine"


class Loud(forms.Form):
    name, help = "loud", "Raises."

    def __init__(self) -> None:
        raise RuntimeError("loud")


@pytest.mark.parametrize(
    ("group", "name", "value"),
    [
        ("stepc.forms", "ask", Ask),  # a built-in name
        ("stepc.backends", "openai", BackendType),
        ("stepc.specs", "step", __file__),
        ("stepc.templates", "default", "."),
        ("stepc.formats", "jsonl", Format("other.jsonl", lambda *a: [])),
    ],
)
def test_a_built_in_name_cannot_be_taken(
    group: str, name: str, value: Any, installing: Callable[..., None]
) -> None:
    installing(_Entry(name, value, "mine", group))
    assert [d.code for e in plugins.problems() for d in e.diagnostics] == ["X001"]
    with pytest.raises(StepcError) as error:
        for registry in plugins.REGISTRIES[group]:
            registry.get(name)
    assert error.value.diagnostics[0].code == "X001"


@pytest.mark.parametrize("value", [Ask, Loud, int, ImportError("gone")])
def test_a_broken_form_stops_only_who_uses_it(value: Any, installing: Callable[..., None]) -> None:
    installing(_Entry("loud", value, "mine", "stepc.forms"))
    assert "ask" in forms.FORMS and stepc.load_spec("step").blocks
    with pytest.raises(StepcError) as error:
        _ = forms.FORMS["loud"]
    assert error.value.diagnostics[0].code in ("X002", "X003")
    assert [d.code for e in plugins.problems() for d in e.diagnostics] in (["X002"], ["X003"])


class Mute(English):
    name = "mute"
    duration = Language.duration


@pytest.mark.parametrize(
    ("value", "lacks"),
    [(type("Bare", (Language,), {"name": "mute"}), "`help`"), (Mute, "`duration`")],
)
def test_a_language_that_lacks_something_says_what(
    value: Any, lacks: str, installing: Callable[..., None]
) -> None:
    installing(_Entry("mute", value, "mine", "stepc.languages"))
    (error,) = plugins.problems()
    assert error.diagnostics[0].code == "X003" and lacks in error.diagnostics[0].message


@pytest.mark.parametrize("file", ["../x", "/x", "a/b", "manifest.json", "qra", "", 5, "a\0b", ".."])
def test_a_format_writes_a_file_of_its_own(file: Any, installing: Callable[..., None]) -> None:
    installing(_Entry("mine", Format(file, lambda *a: []), "mine", "stepc.formats"))
    with pytest.raises(StepcError) as error:
        FORMATS.get("mine")
    assert error.value.diagnostics[0].code == "X003"


@pytest.mark.parametrize(
    "records", [lambda *a: [], lambda *a: 5, lambda *a: 1 / 0, lambda *a: [[{1}]]]
)
def test_code_that_raises_names_its_package(records: Any, installing: Callable[..., None]) -> None:
    installing(_Entry("mine", Format("mine.jsonl", records), "mine", "stepc.formats"))
    unit = stepc.run("sample,compose,check", stepc.load(GRAPH))
    assert isinstance(unit, stepc.Qras)
    with pytest.raises(StepcError) as error:
        rows_of("mine", unit, "model", "spec")
    (wrong,) = error.value.diagnostics
    assert wrong.code == "X004" and "`mine` of mine" in wrong.message


def test_a_backend_that_raises_names_its_package(
    installing: Callable[..., None], tmp_path: Path
) -> None:
    def kind(**methods: Any) -> type[BackendType]:
        return type("Kind", (BackendType,), methods)

    def boom(*words: Any) -> Any:
        raise ZeroDivisionError("boom")

    def nothing(*words: Any) -> Any:
        return None

    good = {"open": nothing}
    for methods in (
        {"__init__": boom}, {"check": boom}, {"key": boom}, {"facts": boom}, {"open": boom}, good,
        {"key": lambda *a: 5}, {"key": lambda *a: "x", "facts": nothing},
    ):  # fmt: skip
        installing(_Entry("mine", kind(**methods), "mine", "stepc.backends"))
        BACKENDS._loaded.pop("mine", None)
        with pytest.raises(StepcError) as error:
            for store in (None, open_store(str(tmp_path))):
                load("mine:x", Pictures(), store=store)
            together("mine:x")
            identity_of(ModelConfig("mine:x"))
        assert error.value.diagnostics[0].code == "X004", methods
