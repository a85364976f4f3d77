"""Holds back Ctrl-C while a step runs that must be done whole or not at all."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay the first Ctrl-C (SIGINT) until the end of the block; a second one interrupts immediately.

    Raises KeyboardInterrupt at the end of the block. Has no effect outside the main thread, and where
    somebody else handles SIGINT.
    """
    came = False
    usual = signal.getsignal(signal.SIGINT)

    def later(*frame: Any) -> None:
        nonlocal came
        if came:
            raise KeyboardInterrupt
        came = True

    try:
        if usual is signal.default_int_handler:
            signal.signal(signal.SIGINT, later)
    except ValueError:  # not the main thread
        pass
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is later:
            signal.signal(signal.SIGINT, usual)
    if came:
        raise KeyboardInterrupt
