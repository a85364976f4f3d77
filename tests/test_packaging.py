"""Checkouts, wheels and environments: what a user installs works, also without torch and symbolic links.

Tests marked `packaging` download packages; `make test-packaging` runs them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import platformdirs
import pytest
from test_golden import HERE
from test_layout import _build

from stepc.cli.lazy import MODULES
from stepc.reporter import Collector
from stepc.runtime.cache_folder import cache_folder
from stepc.store.open import default_place, open_store

FOLDERS = ("passes", "grammar", "templates", "specs")
SMOKE = HERE / "tests" / "smoke.py"
PROJECT: dict[str, Any] = tomllib.loads((HERE / "pyproject.toml").read_text("utf-8"))["project"]
HEAVY = ("torch", "transformers", "tokenizers", "huggingface_hub", "llguidance")
"""Packages of the extra `local`."""
LAZY = (
    *HEAVY, "openai", "sklearn", "scipy", "scenedetect", "cv2", "av", "numpy", "pygls", "inflect",
    "jinja2", "pebble", "asyncio", "PIL", "pyarrow", "matplotlib",
)  # fmt: skip
"""Packages that commands on text do not import."""
TRAINERS = ("llamafactory==0.9.5", "ms-swift==4.6.0", "lmms-eval==0.7.3", "trl==1.16.0")


def _run(*command: str | Path, cwd: Path | None = None, **environment: str) -> Any:
    """Run a command without the variables that would let it find this checkout."""
    own = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(
        command, cwd=cwd, env={**own, **environment}, capture_output=True, text=True, timeout=900
    )


def _done(*command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    """Run a command that must succeed; return what it prints."""
    done = _run(*command, cwd=cwd, **environment)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return str(done.stdout)


@pytest.fixture(scope="module")
def no_links(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout as git makes it with `core.symlinks=false`: a link is a file that holds its target."""
    copy = tmp_path_factory.mktemp("checkout") / "stepc"
    shutil.copytree(
        HERE / "stepc", copy / "stepc", symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
    )
    for folder in FOLDERS:
        shutil.copytree(HERE / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
        link = copy / "stepc" / folder
        assert link.is_symlink() or link.is_file()
        link.unlink()
        link.write_text(f"../{folder}", "utf-8")
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(HERE / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(HERE, tmp_path_factory.mktemp("wheel"), "wheel")


def _environment(folder: Path) -> Path:
    """An environment that sees the packages of this one, but not its stepc; its Python."""
    _done(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    site = _done(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    (Path(site) / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    return python


INSTALL = ("-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-build-isolation")


def test_a_checkout_without_links_works_from_source(no_links: Path) -> None:
    shown = _done(sys.executable, "-m", "stepc", "passes", cwd=no_links)
    assert "keyframes-uniform" in shown and "split-sets" in shown
    _done(sys.executable, "-m", "stepc", "check", "specs/step.step", cwd=no_links)
    place = (
        "import stepc.passes as p, stepc.passmanager.code_keys as k;"
        "print(p.__file__, k.code_key('stepc.passes.sample').digest)"
    )
    file, code = _done(sys.executable, "-c", place, cwd=no_links).split()
    assert Path(file) == no_links / "passes" / "__init__.py"
    assert _done(sys.executable, "-c", place, cwd=HERE).split()[1] == code


def test_a_checkout_without_links_works_as_an_editable_install(
    no_links: Path, tmp_path: Path
) -> None:
    python = _environment(tmp_path / "env")
    _done(python, *INSTALL, "-e", no_links)
    stepc = python.with_name("stepc")
    assert "keyframes-uniform" in _done(stepc, "passes", cwd=tmp_path)
    _done(stepc, "check", no_links / "specs" / "step.step", cwd=tmp_path)
    shown = _done(python, "-c", "import stepc; print(stepc.__path__)", cwd=tmp_path)
    assert str(no_links) in shown


def test_a_wheel_from_a_checkout_without_links_is_complete(
    no_links: Path, wheel: Path, tmp_path: Path
) -> None:
    other = _build(no_links, tmp_path, "wheel")
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(other) as two:
        assert sorted(one.namelist()) == sorted(two.namelist())
        for name in one.namelist():
            assert one.read(name) == two.read(name) or name.endswith("/RECORD")


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_without_a_folder_a_build_fails(
    no_links: Path, tmp_path: Path, folder: str, kind: str
) -> None:
    shutil.copytree(no_links, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / folder)
    command = (sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", tmp_path / "dist")
    done = _run(*command, cwd=tmp_path / "copy")
    assert done.returncode != 0
    assert f"the folder `{folder}` is missing" in done.stderr
    assert not list(tmp_path.glob("dist/*"))


def test_a_wheel_is_installed_by_pip(wheel: Path, tmp_path: Path) -> None:
    python = _environment(tmp_path / "env")
    _done(python, *INSTALL, wheel)
    place = "import stepc.passes; print(stepc.passes.__file__)"
    assert str(tmp_path) in _done(python, "-c", place, cwd=tmp_path)
    assert "10 samples" in _done(python, SMOKE, cwd=tmp_path)


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w.-]", r, maxsplit=1)[0].lower() for r in requirements}


def test_the_core_is_light_and_the_extras_are_named() -> None:
    core, extras = PROJECT["dependencies"], PROJECT["optional-dependencies"]
    assert not _names(core) & {*HEAVY, "torchvision", "accelerate", "peft"}
    assert {"torch", "transformers", "tokenizers", "llguidance"} <= _names(extras["local"])
    for extra in ("video", "adapters", "train", "bits", "dev"):
        assert "stepc[local]" in extras[extra]


# A package that is not installed. `None` in `sys.modules` would not do: scipy looks there for torch.
BLOCKED = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from stepc.cli import main

main()
"""


def _light(tmp_path: Path, *words: str | Path) -> Any:
    """Run a command where the packages of the extra `local` are missing."""
    script = tmp_path / "light.py"
    script.write_text(BLOCKED, "utf-8")
    return _run(sys.executable, script, *words, cwd=tmp_path, PYTHONPATH=str(HERE))


def test_the_core_works_without_torch(tmp_path: Path) -> None:
    """Checks, reads IR, decodes a video and compiles with a server."""
    script = tmp_path / "light.py"
    script.write_text(BLOCKED, "utf-8")
    environment = {"PYTHONPATH": str(HERE), "STEPC_SMOKE_BEFORE": str(script)}
    assert "10 samples" in _done(sys.executable, SMOKE, cwd=tmp_path, **environment)


@pytest.mark.parametrize("model", ["embedded", "some/model"])
def test_a_local_model_names_its_extra(model: str, film: Path, tmp_path: Path) -> None:
    done = _light(tmp_path, "compile", film, "-o", tmp_path / "out", "--model", model)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "error[M004]" in done.stderr and "it needs torch" in done.stderr
    assert "pip install 'stepc[local]'" in done.stderr


def test_a_detector_of_faces_needs_no_torch(film: Path, tmp_path: Path) -> None:
    done = _light(tmp_path, "compile", film, "-o", tmp_path / "out", "--eyes", "centerface")
    assert done.returncode == 0 and "1 compiled, 0 failed" in done.stdout + done.stderr, done.stderr


def test_training_names_its_extra(tmp_path: Path) -> None:
    for words in (("world", "train", "-o", "x"), ("train", "d", "--videos", "v", "-o", "x")):
        done = _light(tmp_path, *words)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert "error[T005]" in done.stderr and "pip install 'stepc[local]'" in done.stderr


UNIT = HERE / "golden" / "sample"


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        (None, ()),
        (["--version"], ()),
        (["check", str(HERE / "specs" / "step.step")], ()),
        (["explain", "S311"], ()),
        (["opt", "unit.stsg"], ()),
        (
            ["opt", "unit.stsg", "--pipeline", "sample,compose,check"],
            ("numpy", "inflect", "lemminflect"),
        ),
    ],
)
def test_heavy_packages_are_not_imported(
    words: list[str] | None, allowed: tuple[str, ...], tmp_path: Path
) -> None:
    shutil.copy(next(UNIT.glob("*/input.stsg")), tmp_path / "unit.stsg")
    run = "import stepc" if words is None else "from stepc.cli import main; main()"
    script = (
        f"import sys\nsys.argv[1:] = {words or []}\n"
        f"try:\n    {run}\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print('heavy:', *sorted({{*sys.modules}} & {{*{LAZY}}}))"
    )
    shown = _done(sys.executable, "-c", script, cwd=tmp_path, PYTHONPATH=str(HERE))
    assert set(shown.splitlines()[-1].split()[1:]) <= {*allowed}


def test_commands_are_where_they_are_looked_up() -> None:
    """Each module registers the commands that the table of lazy modules names, and no others."""
    script = (
        "import importlib, sys, stepc.cli\nfrom stepc.cli.common import app, model_app, world\n"
        "importlib.import_module(f'stepc.cli.{sys.argv[1]}')\n"
        "names = {c.name or c.callback.__name__ for c in app.registered_commands}\n"
        "names |= {g.name for g in app.registered_groups} - {'world', 'model'}\n"
        "names |= {n for n, g in (('world', world), ('model', model_app)) if g.registered_commands}\n"
        "print(*names)"
    )
    for module, names in MODULES.items():
        shown = _done(sys.executable, "-c", script, module, PYTHONPATH=str(HERE))
        assert {*shown.split()} == {*names}, module


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("STEPC_STORE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_place() == str(platformdirs.user_cache_path("stepc", appauthor=False))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_place() == str(tmp_path / "xdg" / "stepc")
    monkeypatch.setenv("STEPC_STORE", str(tmp_path / "own"))
    assert default_place() == str(tmp_path / "own")


def test_a_user_without_a_home_has_a_temporary_store(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in a container that runs with the number of a user that it does not know."""
    monkeypatch.delenv("STEPC_STORE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)

    def unknown(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    place = Path(default_place())
    assert cache_folder() is None
    assert place.parent == tmp_path and place.stat().st_mode & 0o77 == 0
    said = Collector()
    store = open_store(str(place), said)
    store.close()
    assert [(d.code, d.severity) for d in said.diagnostics] == [("B015", "warning")]
    monkeypatch.setattr("os.getuid", lambda: 54321)  # the folder is somebody else's
    (tmp_path / "stepc-54321").mkdir()
    assert Path(default_place()).name != "stepc-54321"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs another user")
def test_a_home_that_cannot_be_written_is_not_used(tmp_path: Path) -> None:
    """The code runs as another user, who may not read this checkout: so it is imported before."""
    script = (
        "import os, sys, tempfile\nfrom stepc.store.open import default_place\n"
        "os.setgroups([]); os.setgid(54321); os.setuid(54321)\nprint(default_place())"
    )
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o11)
    environment = {"PYTHONPATH": str(HERE), "HOME": "/root", "TMPDIR": str(tmp_path)}
    own = {k: v for k, v in os.environ.items() if k not in ("STEPC_STORE", "XDG_CACHE_HOME")}
    shown = subprocess.run(
        [sys.executable, "-c", script], env={**own, **environment}, capture_output=True, text=True
    )
    assert shown.stdout.strip() == str(tmp_path / "stepc-54321"), shown.stderr


# What follows downloads packages.


def _uv(*words: str | Path, cwd: Path | None = None) -> Any:
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    assert uv is not None, "install stepc[dev]"
    return _run(uv, *words, cwd=cwd)


def _interpreter(version: str) -> str:
    """A Python of this version, of pyenv or on the path; skips the test if there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    places = [*map(str, pyenv.glob(f"{version}.*/bin/python")), shutil.which(f"python{version}")]
    for place in filter(None, places):
        if _run(place, "-c", "").returncode == 0:
            return place
    pytest.skip(f"there is no Python {version} here")


def _by_uv(wheel: str, version: str, folder: Path, *options: str) -> Path:
    """An environment with stepc and its real dependencies; its Python."""
    python = _interpreter(version)
    done = _uv("venv", "-q", "--python", python, folder)
    assert done.returncode == 0, done.stderr
    done = _uv("pip", "install", "-q", "--python", folder / "bin" / "python", *options, wheel)
    assert done.returncode == 0, done.stderr
    return folder / "bin" / "python"


@pytest.mark.packaging
def test_pip_installs_the_core(wheel: Path, tmp_path: Path) -> None:
    _done(sys.executable, "-m", "venv", tmp_path / "env")
    python = tmp_path / "env" / "bin" / "python"
    _done(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", wheel)
    shown = _done(python, "-m", "pip", "list").lower()
    assert not {line.split()[0] for line in shown.splitlines()} & {*HEAVY}
    assert "10 samples" in _done(python, SMOKE, cwd=tmp_path)
    done = _run(python, "-m", "stepc", "model", "check", "embedded", "-n", "1", cwd=tmp_path)
    assert done.returncode == 1 and "pip install 'stepc[local]'" in done.stderr


@pytest.mark.packaging
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_uv_installs_the_newest_versions_of_the_core(
    wheel: Path, tmp_path: Path, version: str
) -> None:
    python = _by_uv(f"stepc @ file://{wheel}", version, tmp_path / "env")
    shown = _done(python, SMOKE, cwd=tmp_path)
    assert "10 samples" in shown
    print(shown)


@pytest.mark.packaging
def test_uv_installs_the_oldest_versions_of_the_core(wheel: Path, tmp_path: Path) -> None:
    made = _uv("pip", "compile", "-q", "--python-version", "3.11", "--resolution", "lowest-direct",
               HERE / "pyproject.toml", "-o", tmp_path / "oldest.txt")  # fmt: skip
    assert made.returncode == 0, made.stderr
    options = ("--constraints", str(tmp_path / "oldest.txt"))
    python = _by_uv(f"stepc @ file://{wheel}", "3.11", tmp_path / "env", *options)
    assert "10 samples" in _done(python, SMOKE, cwd=tmp_path)


@pytest.mark.packaging
def test_uv_installs_the_source_distribution_with_extras(tmp_path: Path) -> None:
    sdist = _build(HERE, tmp_path, "sdist")
    python = _by_uv(f"stepc[export,plots] @ file://{sdist}", "3.12", tmp_path / "env")
    _done(python, "-c", "import pyarrow, matplotlib, stepc.passes")
    assert "10 samples" in _done(python, SMOKE, cwd=tmp_path)


def _resolved(tmp_path: Path, *wanted: str) -> set[str]:
    """What uv would install, for Python 3.11."""
    requirements = tmp_path / "wanted.in"
    requirements.write_text("\n".join(wanted), "utf-8")
    done = _uv("pip", "compile", "-q", "--python-version", "3.11", "--no-annotate", requirements)
    assert done.returncode == 0, done.stderr
    return {line for line in done.stdout.splitlines() if line and line[0] != "#"}


@pytest.mark.packaging
@pytest.mark.parametrize("extra", sorted(PROJECT["optional-dependencies"]))
def test_each_extra_can_be_resolved(wheel: Path, tmp_path: Path, extra: str) -> None:
    assert _resolved(tmp_path, f"stepc[{extra}] @ file://{wheel}")


@pytest.mark.packaging
@pytest.mark.parametrize("extra", ["", "[local]"])
@pytest.mark.parametrize("trainer", TRAINERS)
def test_trainers_share_an_environment(
    wheel: Path, tmp_path: Path, trainer: str, extra: str
) -> None:
    assert trainer in _resolved(tmp_path, f"stepc{extra} @ file://{wheel}", trainer)
