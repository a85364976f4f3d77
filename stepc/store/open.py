"""Opens the store at a folder or a URL."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from stepc.diagnostics import Diagnostic
from stepc.store.base import Store
from stepc.store.sqlite import Database


def default_place() -> str:
    """`$STEPC_STORE`, or `stepc` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME")
    folder = Path(base) if base else Path.home() / ".cache"
    return os.environ.get("STEPC_STORE") or str(folder / "stepc")


def shared(place: str) -> bool:
    """Whether a store is one that several machines may reach: its place is a URL."""
    return "://" in place


def open_store(place: str, say: Callable[[Diagnostic], None] = lambda diagnostic: None) -> Store:
    """The store in a folder, or at a URL that fsspec knows; made if it is not there."""
    if shared(place):
        from stepc.store.object_store import Objects

        return Objects(place, say)
    return Database(Path(place), say)
