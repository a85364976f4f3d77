"""Diagnostics: an error code, a one-sentence message, the source location, and a help line."""

from stepc.diagnostics.crash import crash, write_crash_file
from stepc.diagnostics.diagnostic import (
    Advice,
    Diagnostic,
    Fix,
    Note,
    Place,
    Statistics,
    StepcError,
    brief,
    did_you_mean,
    fail,
    nearest,
    printable,
)

__all__ = [
    "Advice",
    "Diagnostic",
    "Fix",
    "Note",
    "Place",
    "Statistics",
    "StepcError",
    "brief",
    "crash",
    "did_you_mean",
    "fail",
    "nearest",
    "printable",
    "write_crash_file",
]
