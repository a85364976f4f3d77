"""Diagnostics: a code, one sentence, the place with a caret, and a way out."""

from stepc.diagnostics.diagnostic import (
    Diagnostic,
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
    "Diagnostic",
    "Place",
    "Statistics",
    "StepcError",
    "brief",
    "did_you_mean",
    "fail",
    "nearest",
    "printable",
]
