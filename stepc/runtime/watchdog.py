"""A worker's watch: what hangs, or eats memory, ends its own process and nothing else.

The watch is kept by a thread of the interpreter's that needs no lock of Python's, so that a decoder
that never comes back is noticed, too.
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
    """Watch this process: it ends where `alive` is not called for `patience` seconds (0: never), and may
    have so many bytes (0: as many as there are). `told` gets a traceback of where it hung."""
    global _patience, _file
    _patience, _file = patience, told
    if memory:
        with contextlib.suppress(ImportError, ValueError, OSError):
            import resource

            _, most = resource.getrlimit(resource.RLIMIT_DATA)
            resource.setrlimit(resource.RLIMIT_DATA, (memory, most))


def alive() -> None:
    """Something was done: a frame decoded, a model's reply, a pass."""
    global _seen
    if _patience and time.monotonic() - _seen > min(1.0, _patience / 4):
        _seen = time.monotonic()
        assert _file is not None
        faulthandler.dump_traceback_later(_patience, exit=True, file=_file)


def rest() -> None:
    """Nothing is to be done for a while."""
    global _seen
    _seen = 0.0
    if _patience:
        faulthandler.cancel_dump_traceback_later()
