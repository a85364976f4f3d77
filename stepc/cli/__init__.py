"""The command line. Results go to standard output, all other output to standard error."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, TextIO, cast

import typer

from stepc import __version__
from stepc.cli.app import errors, with_verbosity
from stepc.cli.common import app, say
from stepc.cli.lazy import make_lazy
from stepc.diagnostics import Diagnostic, Place, StepcError, fail
from stepc.runtime.extras import missing
from stepc.runtime.interrupts import Ended, end_like_ctrl_c

make_lazy(app)


def main() -> None:
    """Run the command line. Reports a StepcError as diagnostics, without a traceback, and exits with 1."""
    if sys.stdout is None:
        sys.stdout = cast(TextIO, _Closed())
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    sys.exit(_run())


UNWRITABLE = (errno.EBADF, errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG)


PATHS = ("-o", "--out", "--store", "--spec", "-s", "--record", "--trace", "--videos", "--adapter")
"""Options whose value is a path."""


class _Closed(io.TextIOBase):
    """Stands for a standard output that is closed."""

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, "it is closed")


def _run() -> int:
    """Run the command line; return the exit code."""
    ended = end_like_ctrl_c()
    try:
        _no_empty_argument(sys.argv[1:])
        code = _exit_code(lambda: app(prog_name="stepc"))
        if not sys.stdout.closed:  # as the language server leaves it
            sys.stdout.flush()
        return 128 + ended[0] if ended and code == 130 else code
    except StepcError as error:
        for diagnostic in error.diagnostics:
            say(diagnostic)
        return 1
    except ModuleNotFoundError as error:
        found = missing(error)
        if found is None:
            raise
        say(found)
        return 1
    except BrokenPipeError:
        _forget_output()
        return 1
    except Ended as signal:
        errors.print(f"stopped by {signal}")
        return 128 + signal.number
    except KeyboardInterrupt:
        errors.print("stopped")
        return 130
    except OSError as error:
        if error.filename is not None or error.errno not in UNWRITABLE:
            raise  # not standard output: files of our own have their diagnostics
        _forget_output()
        place = Place("standard output")
        say(Diagnostic("B014", f"cannot be written ({error.strerror or error})", place))
        return 1


def _exit_code(command: Callable[[], None]) -> int:
    try:
        command()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _forget_output() -> None:
    """Let nothing more be written to standard output, so that Python does not fail when it exits."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _no_empty_argument(arguments: list[str]) -> None:
    """Raises StepcError (U001) for an empty argument, which often comes from an unset variable.

    As a path it would be the current folder. The value of an option that takes no path may be empty.
    """
    for before, argument in pairwise(["", *arguments]):
        path = not before.startswith("-") or before in PATHS
        if (not argument and path) or argument in {f"{option}=" for option in PATHS}:
            help = "perhaps a variable of the shell is not set; the current folder is `.`"
            raise fail("U001", "an argument is empty", None, help)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"stepc {__version__}")
        raise typer.Exit


@app.callback()
@with_verbosity
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass
