"""Code keys: the part of a store key that identifies the code of a pass.

A code key covers the source of the pass's module and of every module of stepc or of the same package
that it imports, directly or indirectly; the data files that these modules read; the versions of the
packages that they use; and, if question forms or languages are among them, the plug-ins that add some. A
change to any of these changes the key. A change to any other file does not.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import inspect
import re
import secrets
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from stepc.plugins import installed
from stepc.runtime.word_lists import folders

_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]+)|import[ \t]+([\w., \t]+))",
    re.MULTILINE,
)
_TYPES_ONLY = re.compile(r"^if TYPE_CHECKING:\n(?:[ \t]+.*\n|\n)+", re.MULTILINE)
_PACKAGE = re.compile(r"classes_in\(\s*\"([\w.]+)\"")
_LAZY = re.compile(r"LazyModule\(\s*\"([\w.]+)\"")
_LISTS = re.compile(r"\bword_lines\(")
_DATA = re.compile(r"files\(\s*\"([\w.]+)\"\s*\)(?:\s*/\s*\"([\w.-]+)\")?")
ASKING = ("stepc.model.client", "stepc.model.templates", "stepc.video.decode")
"""Modules that call a model and read its replies. A pass that uses a model depends on them."""
DISTRIBUTIONS = {"cv2": "opencv-python", "sklearn": "scikit-learn", "PIL": "pillow"}
"""Distributions whose name differs from the package that they install."""


@dataclass(frozen=True)
class CodeKey:
    """Everything that some code depends on."""

    parts: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each source and data file, by module or path; version of each package."""

    @property
    def digest(self) -> str:
        """SHA-256 of all parts."""
        whole = hashlib.sha256()
        for name, value in sorted(self.parts.items()):
            whole.update(f"{name}={value}\n".encode())
        return whole.hexdigest()


@functools.cache
def code_key(*modules: str) -> CodeKey:
    """The code key of some modules.

    Imports are followed within stepc and within the packages of `modules`. Other packages count by their
    version.
    """
    own = {"stepc", *(m.partition(".")[0] for m in modules)}
    parts: dict[str, str] = {}
    packages: set[str] = set()
    left, seen = list(modules), set[str]()
    while left:
        module = left.pop()
        if module in seen:
            continue
        seen.add(module)
        source = _source(module)
        if source is None:
            continue
        parts[module] = hashlib.sha256(source).hexdigest()
        text = source.decode("utf-8", "replace")
        for imported in _imports(module, text):
            if imported.partition(".")[0] in own:
                left.append(imported)
            else:
                packages.add(imported.partition(".")[0])
        parts |= _data(text)
        if module == "stepc.forms":
            parts |= {f"form {p.name}": p.digest for p in installed("stepc.forms")}
        elif (
            module == "stepc.languages"
        ):  # other files of the package do not count, passes do not use them
            left += [p.value.partition(":")[0] for p in installed("stepc.languages")]
    for package in packages - sys.stdlib_module_names:
        version = _version(package)
        if version:
            parts[f"package {package}"] = version
    return CodeKey(parts)


def pass_key(kind: type, uses: Iterable[str] = ()) -> CodeKey:
    """The code key of a pass. If it uses `model`, this includes the code that calls a model."""
    asking = ASKING if "model" in uses else ()
    key = code_key(kind.__module__, *asking)
    if _path(kind.__module__) is not None:
        return key
    try:  # a class of a script or a notebook
        source = inspect.getsource(kind)
    except (OSError, TypeError):
        source = secrets.token_hex()  # unknown code: its results are never found again
    return CodeKey(
        {**key.parts, f"class {kind.__qualname__}": hashlib.sha256(source.encode()).hexdigest()}
    )


def _imports(module: str, text: str) -> set[str]:
    """The modules that a source imports at run time, including all modules of a scanned package."""
    found: set[str] = set()
    for source, names, plain in _IMPORT.findall(_TYPES_ONLY.sub("", text)):
        if plain:
            found |= {name.split()[0] for name in plain.split(",") if name.strip()}
            continue
        if source.startswith("."):
            package = module.rsplit(".", source.count(".") - len(source.lstrip(".")) or 1)[0]
            source = f"{package}.{source.lstrip('.')}".rstrip(".")
        found.add(source)
        for name in names.strip("()").split(","):
            if name.strip():
                found.add(f"{source}.{name.split()[0]}")  # the name may be a module
    found |= set(_LAZY.findall(text))
    for package in _PACKAGE.findall(text):
        found |= {f"{package}.{path.stem}" for path in _folder(package).glob("*.py")}
    return found


@functools.cache
def _source(module: str) -> bytes | None:
    """The source of a module. Returns None if `module` is not one, such as a name in a module."""
    path = _path(module)
    return path.read_bytes() if path is not None else None


@functools.cache
def _path(module: str) -> Path | None:
    parent = module.rpartition(".")[0]
    if parent and _path(parent) is not None and _path(parent).name != "__init__.py":  # type: ignore[union-attr]
        return None  # a name in a module
    if module in sys.modules:
        spec = getattr(sys.modules[module], "__spec__", None)
    else:
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, ValueError, AttributeError):
            return None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else Path("/nonexistent")


def _data(text: str) -> dict[str, str]:
    """The data files that a source reads with `importlib.resources.files`: one file or a whole folder."""
    parts: dict[str, str] = {}
    if _LISTS.search(text):
        for language, folder in folders().items():
            for path in sorted(folder.glob("*.txt")):
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                parts[f"stepc/grammar/{language}/{path.name}"] = digest
    for package, name in _DATA.findall(text):
        if package == "stepc.templates" or package == "stepc.specs":
            continue  # the text of the template or spec in use is in the key already
        folder = _folder(package)
        paths = [folder / name] if name else sorted(folder.iterdir()) if folder.is_dir() else []
        for path in paths:
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                parts[f"{package.replace('.', '/')}/{path.name}"] = digest
    return parts


@functools.cache
def _version(package: str) -> str:
    name = DISTRIBUTIONS.get(package, package)
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        owners = importlib.metadata.packages_distributions().get(package, [])
        return ",".join(f"{o} {importlib.metadata.version(o)}" for o in sorted(set(owners)))
