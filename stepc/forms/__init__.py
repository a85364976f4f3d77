"""Question forms: the ways in which a path can be asked.

A class defines the vocabulary of the form in specs, the end of its query, its answer, its leak rule and
its text. To add a form, add a file here, or name a class in the entry-point group `stepc.forms` of your
own package.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from stepc.diagnostics import StepcError
from stepc.forms.base import Form
from stepc.plugins import Registry
from stepc.runtime.discovery import classes_in


def _builtin() -> dict[str, Callable[[], type[Form]]]:
    named = [cls for cls in classes_in("stepc.forms", Form) if hasattr(cls, "name")]
    return {cls.name: functools.partial(_same, cls) for cls in named}


def _same(cls: type[Form]) -> type[Form]:
    return cls


def _accept(value: Any) -> str:
    if not inspect.isclass(value) or not issubclass(value, Form):
        return f"`{value!r}` is not a subclass of stepc.forms.Form"
    form = value()
    if not isinstance(form.order, int):
        return f"its order is {form.order!r}, not a number"
    return "" if isinstance(getattr(form, "help", None), str) else "it has no `help`"


class _FormTypes(Registry[type[Form]]):
    def wrong(self, name: str, value: Any) -> str:
        own = getattr(value, "name", None)
        found = super().wrong(name, value)
        if not found and own != name:
            return f"its `name` is {own!r}, but its entry point is named {name!r}"
        return found


_REGISTRY = _FormTypes("stepc.forms", _builtin, _accept)


class _Forms(Mapping[str, Form]):
    """The forms, loaded when first used: the module of a plug-in's form itself imports this package."""

    @functools.cached_property
    def _loaded(self) -> dict[str, Form]:
        """All forms that can be used."""
        forms: list[Form] = []
        for name in _REGISTRY.names():
            try:
                forms.append(_REGISTRY.get(name)())
            except StepcError as error:  # it must not stop those who do not use it
                self._broken[name] = error
        return {form.name: form for form in sorted(forms, key=lambda f: (f.order, f.name))}

    def __init__(self) -> None:
        self._broken: dict[str, StepcError] = {}

    def __getitem__(self, name: str) -> Form:
        """The form `name`. Raises KeyError if there is none, StepcError (X002, X003) if it is broken."""
        if name not in self._loaded and name in self._broken:
            raise self._broken[name]
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded)

    def __len__(self) -> int:
        return len(self._loaded)


FORMS: Mapping[str, Form] = _Forms()
"""All forms by name, in their order."""

__all__ = ["FORMS", "Form"]
