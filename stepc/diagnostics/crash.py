"""Turns an unexpected exception into a diagnostic, with a traceback for a crash file."""

from __future__ import annotations

import platform
import sys
import traceback
from pathlib import Path

from stepc.diagnostics.diagnostic import Diagnostic, Place, StepcError


def crash(code: str, what: str, error: BaseException, place: Place | None = None) -> StepcError:
    """A diagnostic for an exception that nobody foresaw.

    `what` says what failed (`pass boom`). The traceback is the diagnostic's `detail`, which `compile` writes
    into a crash file.
    """
    frames = traceback.extract_tb(error.__traceback__)
    at = f", {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    said = " ".join(str(error).split())
    message = f"{what} failed ({type(error).__name__}: {said[:200]}{at})"
    detail = (
        f"{message}\n{place.file if place else ''}\n\n"
        f"Python {sys.version.split()[0]} on {platform.platform()}\n\n"
        + "".join(traceback.format_exception(error))
    )
    help = "the exception that caused it, `__cause__`, has the traceback"
    return StepcError(Diagnostic(code, message, place, help, detail=detail))


def write_crash_file(file: Path, diagnostic: Diagnostic) -> bool:
    """Write a diagnostic's traceback to a file. Returns whether that was possible."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(diagnostic.detail, "utf-8", errors="backslashreplace")
    except OSError:
        return False
    return True
