"""Holds back Ctrl-C while a step runs that must be done whole or not at all."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = [s for name in ("SIGINT", "SIGTERM", "SIGHUP") if (s := getattr(signal, name, None))]
"""What ends a run: Ctrl-C, a scheduler such as Slurm or Kubernetes, a terminal that goes away."""


class Ended(KeyboardInterrupt):
    """A signal other than Ctrl-C ends the run."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def end_like_ctrl_c() -> list[int]:
    """Let the other signals that end a run raise `Ended`, so that what is done is written first.

    Returns a list to which each of these signals is added when it comes.
    """
    came: list[int] = []

    def end(number: int, frame: Any) -> None:
        came.append(number)
        raise Ended(number)

    for number in SIGNALS[1:]:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, end)
    return came


@contextmanager
def own_handlers() -> Iterator[None]:
    """Put back the handlers of the signals that end a run, if the block replaces them."""
    usual = {s: signal.getsignal(s) for s in SIGNALS}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in usual.items():
                if handler is not None and signal.getsignal(number) != handler:
                    signal.signal(number, handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay the first signal that ends a run until the end of the block; a second one does not wait.

    Raises KeyboardInterrupt at the end of the block. Has no effect outside the main thread, and on
    signals that nobody turns into KeyboardInterrupt.
    """
    came: list[int] = []
    usual = {s: signal.getsignal(s) for s in SIGNALS}

    def later(number: int, frame: Any) -> None:
        if came:
            raise _interrupt(number)
        came.append(number)

    held = []
    try:
        for number, handler in usual.items():
            if callable(handler):
                signal.signal(number, later)
                held.append(number)
    except ValueError:  # not the main thread
        pass
    try:
        yield
    finally:
        for number in held:
            if signal.getsignal(number) is later:
                signal.signal(number, usual[number])
    if came:
        raise _interrupt(came[0])


def _interrupt(number: int) -> KeyboardInterrupt:
    return KeyboardInterrupt() if number == signal.SIGINT else Ended(number)
