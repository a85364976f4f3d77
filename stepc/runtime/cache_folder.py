"""The user's folder for cached files."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path | None:
    """Return `stepc` in $XDG_CACHE_HOME or in the platform's cache folder; creates nothing.

    Returns None if nothing can be written there, for example if the user has no home folder.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    if base:
        folder = Path(base) / "stepc"
    else:
        try:
            folder = platformdirs.user_cache_path("stepc", appauthor=False)
        except RuntimeError:  # the user has no home folder
            return None
        if not folder.is_absolute():  # older versions of platformdirs leave `~` in the path
            return None
    there = next((p for p in (folder, *folder.parents) if os.access(p, os.F_OK)), Path())
    return folder if os.access(there, os.W_OK | os.X_OK) else None
