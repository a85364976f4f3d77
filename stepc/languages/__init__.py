"""Languages in which specs are written: word forms, texts of answers, and what a reader needs to know.

To add a language, add a module here, with word lists in `grammar`, or name a class in the entry-point group
`stepc.languages` of your own package, with word lists in the folder of the package.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from stepc.languages.base import Language
from stepc.plugins import Registry
from stepc.runtime.discovery import classes_in
from stepc.runtime.word_lists import GROUP


def _builtin() -> dict[str, Callable[[], type[Language]]]:
    return {
        cls.name: functools.partial(_same, cls) for cls in classes_in("stepc.languages", Language)
    }


def _same(cls: type[Language]) -> type[Language]:
    return cls


def _accept(value: Any) -> str:
    if not inspect.isclass(value) or not issubclass(value, Language):
        return f"`{value!r}` is not a subclass of stepc.languages.Language"
    needed = ("help", "links", "or_", "order", "parts", "anything", "facts")
    lacking = [name for name in needed if not hasattr(value, name)]
    lacking += sorted(value.__abstractmethods__)
    return f"it has no `{lacking[0]}`" if lacking else ""


class _LanguageTypes(Registry[type[Language]]):
    def wrong(self, name: str, value: Any) -> str:
        found = super().wrong(name, value)
        own = getattr(value, "name", None)
        if not found and own != name:
            return f"its `name` is {own!r}, but its entry point is named {name!r}"
        return found


_REGISTRY = _LanguageTypes(GROUP, _builtin, _accept)


class _Languages(Mapping[str, Language]):
    """The languages, each loaded when it is first used."""

    def __init__(self) -> None:
        self._made: dict[str, Language] = {}

    def __getitem__(self, name: str) -> Language:
        """The language `name`. Raises KeyError if there is none, StepcError (X001-X003) if it is broken."""
        if name not in self._made:
            self._made[name] = _REGISTRY.get(name)()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_REGISTRY.names())

    def __len__(self) -> int:
        return len(_REGISTRY.names())


LANGUAGES: Mapping[str, Language] = _Languages()
"""All languages by name."""
DEFAULT = "english"
"""The language of a spec that names none."""


def normalised(word: str) -> str:
    """A predicate or motion of a model as it stands after "is": by the rules of all languages."""
    for language in LANGUAGES.values():
        word = language.normalised(word)
    return word


__all__ = ["DEFAULT", "LANGUAGES", "Language", "normalised"]
