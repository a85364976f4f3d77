"""Opens the store in a folder or at a URL."""

from __future__ import annotations

import os
from pathlib import Path

from stepc.diagnostics import Diagnostic, Place, printable
from stepc.reporter import SILENT, Reporter
from stepc.runtime.cache_folder import cache_folder
from stepc.store.base import Store
from stepc.store.sqlite import Database


def default_place() -> str:
    """Return `$STEPC_STORE`, or the folder `stepc` in the user's cache folder.

    Returns a folder for temporary files if the user has no cache folder.
    """
    return os.environ.get("STEPC_STORE") or str(cache_folder() or _temporary_folder())


def _temporary_folder() -> Path:
    """Return the store's folder among the temporary files, private to the user."""
    import tempfile

    folder = Path(tempfile.gettempdir()) / f"stepc-{os.getuid() if hasattr(os, 'getuid') else 0}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        about = folder.lstat()
        own = folder.is_dir() and not folder.is_symlink()
        if own and (not hasattr(os, "getuid") or about.st_uid == os.getuid()):
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="stepc-"))  # somebody else owns the folder


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
    if Path(place).name.startswith("stepc-") and cache_folder() is None:
        message = "the user has no cache folder: results are cached among the temporary files"
        help = "name a folder with --store or $STEPC_STORE, or turn caching off with --no-store"
        reporter.diagnostic(Diagnostic("B015", message, Place(printable(place)), help, "warning"))
    return Database(Path(place), reporter)
