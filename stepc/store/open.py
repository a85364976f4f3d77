"""Opens the store in a folder or at a URL."""

from __future__ import annotations

import os
from pathlib import Path

from stepc.reporter import SILENT, Reporter
from stepc.store.base import Store
from stepc.store.sqlite import Database


def default_place() -> str:
    """Return `$STEPC_STORE`, or the folder `stepc` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME")
    folder = Path(base) if base else Path.home() / ".cache"
    return os.environ.get("STEPC_STORE") or str(folder / "stepc")


def shared(place: str) -> bool:
    """Whether a store's place is a URL, which several machines may share."""
    return "://" in place


def open_store(place: str, reporter: Reporter = SILENT) -> Store:
    """Open the store in a folder or at an fsspec URL; creates it if it does not exist.

    `reporter` receives the warnings about the store (B015, B016).
    """
    if shared(place):
        from stepc.store.object_store import Objects

        return Objects(place, reporter)
    return Database(Path(place), reporter)
