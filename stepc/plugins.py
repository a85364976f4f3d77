"""Plug-ins: extensions in other installed packages, found by entry point and loaded at first use.

A registry holds the built-in things of one kind and those of plug-ins. A name that is built in, or that
two packages claim, is an error that names both (X001).
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from stepc.diagnostics import StepcError, crash, fail

T = TypeVar("T")
GROUPS: dict[str, str] = {
    "stepc.passes": "a pass: a subclass of stepc.Pass or stepc.LinkPass",
    "stepc.backends": "a model backend: a subclass of stepc.model.backends.BackendType",
    "stepc.benchmarks": "a benchmark: an instance of stepc.eval.benchmarks.Benchmark",
    "stepc.formats": "a dataset format (stepc.dataset.formats.Format) or an export"
    " (stepc.train.export.Export)",
    "stepc.annotations": "a reader of annotations: an instance of stepc.annotations.reader.AnnotationReader",
    "stepc.forms": "a question form: a subclass of stepc.forms.Form",
    "stepc.languages": "a language: a subclass of stepc.languages.Language",
    "stepc.specs": "a spec: the path of a .step file",
    "stepc.templates": "a template set: the path of a folder with .jinja files",
}
"""The entry-point groups, and what an entry point of each group must name."""
BUILT_IN = "stepc"


@dataclass(frozen=True)
class Plugin:
    """One entry point of an installed package."""

    group: str
    name: str
    package: str
    version: str
    value: str
    """`module:attribute`."""
    entry: importlib.metadata.EntryPoint

    def load(self) -> Any:
        """Import what the entry point names. Raises StepcError (X002) if that fails."""
        try:
            return self.entry.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plug-in's import may raise anything, and even exit
            message = f"plug-in `{self.name}` of {self.package} cannot be loaded: {error!r}"
            help = f"reinstall or remove the package: pip uninstall {self.package}"
            raise fail("X002", message, None, help) from error

    @contextlib.contextmanager
    def guarded(self, what: str) -> Iterator[None]:
        """Turn an exception of the plug-in's code into a StepcError (X004). `what` is what it did.

        A full disk stays an OSError.
        """
        try:
            yield
        except (StepcError, MemoryError):
            raise
        except Exception as error:  # a plug-in may raise anything
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            said = f"plug-in `{self.name}` of {self.package}: {what}"
            raise crash("X004", said, error) from error

    def is_of(self, kind: type) -> bool:
        """Whether it is of this class, or cannot be loaded, which its use reports."""
        try:
            return isinstance(self.load(), kind)
        except StepcError:
            return True

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of all Python and data files of its package."""
        return package_digest(self.value.partition(":")[0].partition(".")[0])

    def facts(self) -> dict[str, str]:
        """The description of the plug-in in manifests."""
        return {
            "group": self.group,
            "name": self.name,
            "package": self.package,
            "version": self.version,
            "sha256": self.digest,
        }


def package_digest(package: str) -> str:
    """SHA-256 of all Python and data files of an installed package or module."""
    spec = importlib.util.find_spec(package)
    whole = hashlib.sha256()
    for place in sorted(spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(place).rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                whole.update(f"{path.relative_to(place)}\0".encode() + path.read_bytes())
    if spec and not spec.submodule_search_locations and spec.origin:
        whole.update(Path(spec.origin).read_bytes())
    return whole.hexdigest()


@functools.cache
def _distributions() -> tuple[importlib.metadata.Distribution, ...]:
    """The installed packages whose list of entry points names stepc.

    No other list is parsed, because every command waits for this.
    """
    found = []
    for distribution in importlib.metadata.distributions():
        with contextlib.suppress(Exception):  # damaged metadata: no plug-ins
            if "[stepc." in (distribution.read_text("entry_points.txt") or ""):
                found.append(distribution)
    return tuple(found)


@functools.cache
def installed(group: str) -> tuple[Plugin, ...]:
    """The plug-ins of a group, sorted by name."""
    found = []
    for distribution in _distributions():
        try:
            entries = distribution.entry_points.select(group=group)
            about = distribution.metadata
            package, version = str(about["Name"] or ""), str(about["Version"] or "")
        except Exception:  # the metadata of any package may be damaged; then it has no plug-ins
            continue
        for entry in entries:
            name = package or "an unknown package"
            found.append(Plugin(group, entry.name, name, version, entry.value, entry))
    # of a package that is on the path twice, the first counts
    unique = {(p.name, p.package, p.value): p for p in reversed(found)}
    return tuple(sorted(unique.values(), key=lambda p: (p.name, p.package)))


REGISTRIES: dict[str, list[Registry[Any]]] = {}
"""All registries that were created, by group."""


class Registry(Generic[T]):
    """The things of one kind by name, built in and from plug-ins. Each is loaded at first use."""

    def __init__(
        self,
        group: str,
        builtin: Callable[[], Mapping[str, Callable[[], T]]],
        accept: Callable[[Any], str] = lambda value: "",
    ) -> None:
        """Create a registry.

        `builtin` returns loaders by name. `accept` returns what is wrong with a plug-in's value, or an empty
        string.
        """
        self.group, self._builtin, self._accept = group, builtin, accept
        self._loaded: dict[str, T] = {}
        REGISTRIES.setdefault(group, []).append(self)

    def builtin_names(self) -> tuple[str, ...]:
        """The names that are built in."""
        return tuple(self._builtin())

    def _plugins(self) -> dict[str, Plugin]:
        """The plug-ins by name. Raises StepcError (X001) if a name is already in use."""
        owners = dict.fromkeys(self._builtin(), BUILT_IN)
        found: dict[str, Plugin] = {}
        for plugin in installed(self.group):
            if not self._concerns(plugin):
                continue
            if plugin.name in owners:
                raise clash(plugin, owners[plugin.name])
            owners[plugin.name] = plugin.package
            found[plugin.name] = plugin
        return found

    def _concerns(self, plugin: Plugin) -> bool:
        """Whether a plug-in of the group belongs to this registry."""
        return True

    def guarded(self, name: str, what: str) -> contextlib.AbstractContextManager[None]:
        """Where the code of `name` runs: what a plug-in raises is X004 (see `Plugin.guarded`)."""
        plugin = self.plugin(name)
        return contextlib.nullcontext() if plugin is None else plugin.guarded(what)

    def names(self) -> tuple[str, ...]:
        """All names, sorted. Raises StepcError (X001)."""
        return tuple(sorted({*self._builtin(), *self._plugins(), *self._loaded}))

    def add(self, name: str, value: T) -> None:
        """Register something in this process. Raises StepcError (X001) if the name is already in use.

        A class may replace one of the same module and name: in a notebook, a cell is run again.
        """
        known = self._loaded.get(name)
        if known is value:
            return
        if known is not None and _where(known) != _where(value):
            message = f"`{name}` ({self.group}) is already in use, by {_where(known)}"
            raise fail("X001", message, None, "use another name")
        if name in self._builtin() or name in self._plugins():
            if self.get(name) is not value:
                message = f"`{name}` ({self.group}) is already in use"
                raise fail("X001", message, None, "use another name")
            return
        self._loaded[name] = value

    def __contains__(self, name: object) -> bool:
        return name in self._loaded or name in self._plugins() or name in self._builtin()

    def plugin(self, name: str) -> Plugin | None:
        """The plug-in that provides `name`. Returns None if it is built in."""
        return self._plugins().get(name)

    def get(self, name: str) -> T:
        """The thing called `name`. Raises KeyError if there is none, StepcError (X001-X003)."""
        if name not in self._loaded:
            plugins, builtin = self._plugins(), self._builtin()
            if name in builtin:
                self._loaded[name] = builtin[name]()
            else:
                plugin = plugins[name]
                value = plugin.load()
                wrong = self.wrong(name, value)
                if wrong:
                    message = f"plug-in `{name}` of {plugin.package} is not usable: {wrong}"
                    raise fail("X003", message, None, f"it must be {GROUPS[self.group]}")
                self._loaded[name] = value
        return self._loaded[name]

    def wrong(self, name: str, value: Any) -> str:
        """What is wrong with a plug-in's value; empty if nothing is."""
        try:
            return self._accept(value)
        except Exception as error:  # even its `repr` may raise
            return f"{type(error).__name__}: {error}"


def _where(value: Any) -> str:
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', repr(value))}"


def facts_of(plugins: Iterable[Plugin | None]) -> list[dict[str, str]]:
    """The description of the plug-ins of a run in its manifest, sorted and without duplicates."""
    unique = {(p.group, p.name): p for p in plugins if p is not None}
    return [unique[key].facts() for key in sorted(unique)]


def problems() -> list[StepcError]:
    """Errors of the installed plug-ins: name clashes (X001), failed imports (X002), wrong things (X003).

    Clashes with built-in names and wrong things are found in the groups whose registries are imported.
    """
    found = []
    for group in GROUPS:
        owners: dict[str, str] = {}
        for registry in REGISTRIES.get(group, ()):
            owners |= dict.fromkeys(registry.builtin_names(), BUILT_IN)
        for plugin in installed(group):
            if plugin.name in owners:
                found.append(clash(plugin, owners[plugin.name]))
                continue
            owners.setdefault(plugin.name, plugin.package)
            try:
                value = plugin.load()
            except StepcError as error:
                found.append(error)
                continue
            wrong = [registry.wrong(plugin.name, value) for registry in REGISTRIES.get(group, ())]
            if wrong and all(wrong):
                message = f"plug-in `{plugin.name}` of {plugin.package} is not usable: {wrong[0]}"
                found.append(fail("X003", message, None, f"it must be {GROUPS[group]}"))
    return found


def clash(plugin: Plugin, owner: str) -> StepcError:
    """The error for a plug-in whose name belongs to another package (X001)."""
    message = f"`{plugin.name}` ({plugin.group}) is claimed by {owner} and by {plugin.package}"
    return fail("X001", message, None, f"uninstall one: pip uninstall {plugin.package}")
