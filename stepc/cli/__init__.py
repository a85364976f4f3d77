"""The command line. Results go to standard output, all other output to standard error."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from stepc import __version__
from stepc.cli.app import errors, with_verbosity
from stepc.cli.common import app, say
from stepc.cli.lazy import make_lazy
from stepc.diagnostics import StepcError
from stepc.runtime.extras import missing

make_lazy(app)


def main() -> None:
    """Run the command line. Reports a StepcError as diagnostics, without a traceback, and exits with 1."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        app(prog_name="stepc")
    except StepcError as error:
        for diagnostic in error.diagnostics:
            say(diagnostic)
        sys.exit(1)
    except ModuleNotFoundError as error:
        found = missing(error)
        if found is None:
            raise
        say(found)
        sys.exit(1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print("stopped")
        sys.exit(130)


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
