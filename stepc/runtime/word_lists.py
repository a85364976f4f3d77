"""Reads the word lists of languages: by them the words of graphs are compared.

Graphs are compared by the lists of all languages, because a graph does not say which language it is in.
"""

from __future__ import annotations

import functools
import importlib.util
from importlib.resources import files
from pathlib import Path

from stepc.plugins import installed

GROUP = "stepc.languages"
"""The entry-point group of languages. The lists of a plug-in's language are in the folder of its package."""


@functools.cache
def folders() -> dict[str, Path]:
    """Language → the folder of its word lists."""
    own = Path(str(files("stepc.grammar") / "step.lark")).parent
    found = {place.name: place for place in sorted(own.iterdir()) if place.is_dir()}
    for plugin in installed(GROUP):
        spec = importlib.util.find_spec(plugin.value.partition(":")[0].partition(".")[0])
        if spec is not None and spec.origin is not None:
            found.setdefault(plugin.name, Path(spec.origin).parent)
    return found


@functools.cache
def forms(keyword: str, language: str = "") -> tuple[str, ...]:
    """The words of the lines of `forms` that begin with a keyword, such as `article`."""
    lines = (line.split(None, 1) for line in word_lines("forms", language))
    return tuple(x.strip() for name, rest in lines if name == keyword for x in rest.split("|"))


@functools.cache
def word_lines(name: str, language: str = "") -> tuple[str, ...]:
    """The lines of the list `name` of one language, or of all of them, without comments and empty lines."""
    made: list[str] = []
    for each, folder in folders().items():
        path = folder / f"{name}.txt"
        if language in ("", each) and path.is_file():
            lines = path.read_text("utf-8").splitlines()
            made += [line for line in lines if line.strip() and not line.startswith("#")]
    return tuple(made)
