"""Options of `stepc compile` from stepc.toml, pyproject.toml and environment variables.

click resolves the value of each option: command line, then environment variable, then
`Context.default_map`, then default. This module fills `default_map` from the files and reports
unknown names and wrong values, which click does not look at.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

from stepc.cli.app import log
from stepc.diagnostics import Diagnostic, Place, StepcError, did_you_mean, fail, printable

PREFIX = "STEPC_COMPILE"
TABLE = "compile"


@dataclass(frozen=True)
class Setting:
    """An option of compile, as configuration files and environment variables name it."""

    param: Any
    """The option as a click parameter."""
    type: Any
    """The type of its value."""

    @property
    def key(self) -> str:
        """The TOML key: the option without the leading dashes."""
        name: str = max(self.param.opts, key=len)
        return name.lstrip("-")

    @property
    def variables(self) -> list[str]:
        """The environment variables, in the order in which they are looked up."""
        own = self.param.envvar
        if own is None:
            return [f"{PREFIX}_{self.param.name.upper()}"]
        return [own] if isinstance(own, str) else list(own)


def settings(command: Any) -> dict[str, Setting]:
    """The options of a command that can be configured, by TOML key."""
    types = inspect.signature(command.callback, eval_str=True).parameters
    made = [
        Setting(param, get_args(types[param.name].annotation)[0])
        for param in command.params
        if param.param_type_name == "option" and param.expose_value
    ]
    return {setting.key: setting for setting in made}


def configure(ctx: typer.Context, config: Path | None) -> Path | None:
    """Callback of --config: read the configuration into the defaults of the command.

    Raises StepcError: U001 for unknown names and wrong values, B006 if a file cannot be read.
    """
    if ctx.resilient_parsing:  # shell completion
        return config
    known = settings(ctx.command)
    found = list(_wrong_variables(ctx, known))
    values: dict[str, Any] = {}
    for path in [config] if config is not None else reversed(_config_files()):
        try:
            values |= _File.read(path).values(ctx, known)
        except StepcError as error:
            found += error.diagnostics
    if found:
        raise StepcError(*found)
    ctx.default_map = {**(ctx.default_map or {}), **values}
    return config


def _config_files() -> list[Path]:
    """stepc.toml in the current folder, and the nearest pyproject.toml with a table [tool.stepc]."""
    found = [path for path in [Path("stepc.toml")] if path.is_file()]
    for folder in (Path(), *Path.cwd().parents):
        path = folder / "pyproject.toml"
        if path.is_file() and "stepc" in _File.read(path).table("tool"):
            return [*found, path]
    return found


def _wrong_variables(ctx: typer.Context, known: Mapping[str, Setting]) -> Iterator[Diagnostic]:
    """Diagnostics for unknown variables STEPC_COMPILE_… and for values that cannot be used."""
    names = {name: s for s in known.values() for name in s.variables}
    for name in sorted(os.environ):
        if name.startswith(f"{PREFIX}_") and name not in names:
            message = f"unknown environment variable `{printable(name)}`"
            yield Diagnostic(
                "U001", message, Place(f"${printable(name)}"), did_you_mean(name, names)
            )
    for setting in known.values():
        given = [name for name in setting.variables if os.environ.get(name)]
        if not given or setting.key == "config":
            continue
        log.debug("%s = %r", given[0], os.environ[given[0]])
        try:
            setting.param.process_value(ctx, setting.param.value_from_envvar(ctx))
        except typer.BadParameter as error:
            help = f"the variable gives the value of --{setting.key}"
            message = f"`{printable(os.environ[given[0]])}` cannot be used: {error.message}"
            yield Diagnostic("U001", message, Place(f"${given[0]}"), help)


@dataclass(frozen=True)
class _File:
    """A configuration file."""

    path: Path
    text: str
    data: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> _File:
        """Raises StepcError: B006 if the file cannot be read, U001 if it is not TOML."""
        shown = printable(str(path))
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise fail("B006", f"cannot be read ({reason})", Place(shown)) from None
        try:
            return cls(path, text, tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            at = re.search(r" \(at line (\d+), column (\d+)\)$", str(error))
            message = "not a TOML file: " + str(error).removesuffix(at[0] if at else "")
            lines = text.splitlines()
            place = Place(shown)
            if at and int(at[1]) <= len(lines):
                place = Place(shown, int(at[1]), int(at[2]), 1, lines[int(at[1]) - 1])
            raise fail(
                "U001", message, place, "the format is described at https://toml.io"
            ) from None

    def table(self, *names: str) -> dict[str, Any]:
        """A table, empty if the file has none. Raises StepcError (U001) if it is another value."""
        data = self.data
        for i, name in enumerate(names, 1):
            data = data.get(name, {})
            if not isinstance(data, dict):
                whole = ".".join(names[:i])
                message = f"`{whole}` must be a table"
                raise fail("U001", message, self._place(whole), f"write [{whole}]")
        return data

    def values(self, ctx: typer.Context, known: Mapping[str, Setting]) -> dict[str, Any]:
        """The values of the options by parameter name. Raises StepcError (U001)."""
        outer = ["tool", "stepc"] if self.path.name == "pyproject.toml" else []
        prefix = "".join(f"{name}." for name in outer)
        data = self.table(*outer)
        found = [self._unknown(prefix, key, [TABLE], known) for key in data if key != TABLE]
        made = {}
        for key, value in self.table(*outer, TABLE).items():
            setting = known.get(key)
            if setting is None or key == "config":
                keys = [k for k in known if k != "config"]
                found.append(self._unknown(f"{prefix}{TABLE}.", key, keys, {}))
                continue
            wrong = _wrong_value(ctx, setting, value)
            if wrong:
                place = self._place(f"{prefix}{TABLE}.{key}")
                found.append(Diagnostic("U001", f"`{key}` {wrong}", place, setting.param.help))
                continue
            made[setting.param.name] = self._resolved(setting, value)
            log.debug("%s: %s = %r", self.path, key, value)
        if found:
            raise StepcError(*found)
        return made

    def _unknown(
        self, table: str, key: str, right: list[str], options: Mapping[str, Setting]
    ) -> Diagnostic:
        help = did_you_mean(key, right)
        if key in options:
            help = f"put it into the table [{table}{TABLE}]"
        message = f"unknown key `{printable(table + key)}`"
        return Diagnostic("U001", message, self._place(table + key), help)

    def _place(self, wanted: str) -> Place:
        """The line of a key, which has the names of its tables before it; line 0 if not found."""
        shown, table = printable(str(self.path)), ""
        for number, line in enumerate(self.text.splitlines(), 1):
            header = re.match(r"\s*\[([^\[\]]+)\]", line)
            key = re.match(r"""\s*([\w."'\s-]+?)\s*=""", line)
            if header:
                table = re.sub(r"""["'\s]""", "", header[1]) + "."
                name, match = table[:-1], header
            elif key:
                name, match = table + re.sub(r"""["'\s]""", "", key[1]), key
            else:
                continue
            if name == wanted or name.startswith(wanted + "."):
                return Place(shown, number, match.start(1) + 1, len(match[1]), line)
        return Place(shown)

    def _resolved(self, setting: Setting, value: Any) -> Any:
        """A path relative to the folder of the file; any other value as it is."""
        folder = self.path.parent
        if Path not in (setting.type, *get_args(setting.type)) or folder == Path():
            return value
        return str(folder / value)


def _wrong_value(ctx: typer.Context, setting: Setting, value: Any) -> str:
    """Why a TOML value does not suit an option, or an empty string."""
    from pydantic import TypeAdapter, ValidationError

    try:
        TypeAdapter(setting.type).validate_json(json.dumps(value), strict=True)
    except (ValidationError, TypeError):
        return f"must be {_wanted(setting.type)}, not {_shown(value)}"
    try:
        setting.param.process_value(ctx, value)
    except typer.BadParameter as error:
        return f"cannot be {_shown(value)}: {error.message}"
    return ""


def _wanted(kind: Any) -> str:
    """A type in words."""
    words = {bool: "true or false", int: "an integer", float: "a number"}
    options = [each for each in get_args(kind) if each is not type(None)]
    if get_origin(kind) is Literal:
        return " or ".join(f'"{each}"' for each in options)
    if get_origin(kind) is list:
        return "an array of strings"
    if options:
        return _wanted(options[0])
    return words.get(kind, "a string")


def _shown(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except TypeError:
        return str(value)


def reference_table(command: Any) -> str:
    """A Markdown table of all settings of a command, for docs/reference/configuration.md."""
    rows = [
        "| Option | TOML key | Environment variable | Default | |",
        "| --- | --- | --- | --- | --- |",
    ]
    for key, setting in settings(command).items():
        param = setting.param
        names = "/".join(f"`{o}`" for o in [*param.opts, *param.secondary_opts])
        toml = "" if key == "config" else f"`{key}`"
        variables = ", ".join(f"`{v}`" for v in setting.variables)
        value = param.default
        default = "required" if param.required else "" if value is None else f"`{_shown(value)}`"
        help = " ".join((param.help or "").split()).replace("|", "\\|")
        rows.append(f"| {names} | {toml} | {variables} | {default} | {help} |")
    return "\n".join(rows) + "\n"
