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

from stepc.forms.base import Form
from stepc.plugins import Registry
from stepc.runtime.discovery import classes_in


def _builtin() -> dict[str, Callable[[], type[Form]]]:
    named = [cls for cls in classes_in("stepc.forms", Form) if hasattr(cls, "name")]
    return {cls.name: functools.partial(_same, cls) for cls in named}


def _same(cls: type[Form]) -> type[Form]:
    return cls


def _accept(value: Any) -> str:
    if inspect.isclass(value) and issubclass(value, Form) and hasattr(value, "name"):
        return ""
    return f"`{value!r}` is not a subclass of stepc.forms.Form with a name"


_REGISTRY: Registry[type[Form]] = Registry("stepc.forms", _builtin, _accept)


class _Forms(Mapping[str, Form]):
    """The forms, loaded when first used: the module of a plug-in's form itself imports this package."""

    @functools.cached_property
    def _loaded(self) -> dict[str, Form]:
        forms: list[Form] = [_REGISTRY.get(name)() for name in _REGISTRY.names()]
        return {form.name: form for form in sorted(forms, key=lambda f: (f.order, f.name))}

    def __getitem__(self, name: str) -> Form:
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded)

    def __len__(self) -> int:
        return len(self._loaded)


FORMS: Mapping[str, Form] = _Forms()
"""All forms by name, in their order."""

__all__ = ["FORMS", "Form"]
