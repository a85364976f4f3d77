"""Imports heavy packages on first use, because many commands need none of them.

`if TYPE_CHECKING: import cv2`, then `else: cv2 = LazyModule("cv2")`, keeps type checkers informed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


class LazyModule:
    """Stands for a module, and imports it when an attribute is first read."""

    def __init__(self, name: str, prepare: Callable[[Any], None] | None = None) -> None:
        """`prepare` is called once with the imported module."""
        self._name, self._prepare = name, prepare
        self._module: Any = None

    def __getattr__(self, attribute: str) -> Any:
        if self._module is None:
            if (
                attribute.startswith("__") and attribute != "__version__"
            ):  # tools that inspect objects
                raise AttributeError(attribute)
            self._module = importlib.import_module(self._name)
            if self._prepare is not None:
                self._prepare(self._module)
        return getattr(self._module, attribute)
