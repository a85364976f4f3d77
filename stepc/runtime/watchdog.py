"""A worker's watchdog: a worker that hangs or exceeds its memory limit ends only its own process.

The watchdog runs in a thread of `faulthandler` that does not need the GIL, so it also detects a
decoder that never returns.
"""

from __future__ import annotations

import contextlib
import faulthandler
import time
from typing import IO

_patience = 0.0
_file: IO[str] | None = None
_seen = 0.0


def begin(patience: float, memory: int, told: IO[str]) -> None:
    """Start watching this process.

    The process exits if `alive` is not called for `patience` seconds (0 disables this); a traceback is
    written to `told` first. `memory` limits the process's data in bytes (0 means no limit). The clock
    starts with the first call of `alive`.
    """
    global _patience, _file
    _patience, _file = patience, told
    if memory:
        with contextlib.suppress(ImportError, ValueError, OSError):
            import resource

            _, most = resource.getrlimit(resource.RLIMIT_DATA)
            resource.setrlimit(resource.RLIMIT_DATA, (memory, most))


def alive() -> None:
    """Report progress, such as a decoded frame, a model reply or a finished pass."""
    global _seen
    if _patience and time.monotonic() - _seen > min(1.0, _patience / 4):
        _seen = time.monotonic()
        assert _file is not None
        faulthandler.dump_traceback_later(_patience, exit=True, file=_file)


def rest() -> None:
    """Suspend the watchdog until the next call of `alive`."""
    global _seen
    _seen = 0.0
    if _patience:
        faulthandler.cancel_dump_traceback_later()
