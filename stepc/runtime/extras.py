"""Names the extra of stepc that installs a missing package."""

from __future__ import annotations

from stepc.diagnostics import Diagnostic

EXTRAS = {
    "torch": "local",
    "transformers": "local",
    "tokenizers": "local",
    "huggingface_hub": "local",
    "accelerate": "train",
    "peft": "train",
    "pyarrow": "export",
    "matplotlib": "plots",
    "fsspec": "ray",
    "ray": "ray",
}
"""Extras by the package that is imported."""


def extra_of(error: ModuleNotFoundError) -> str | None:
    """Return the extra that installs the missing package, or None if no extra does."""
    return EXTRAS.get((error.name or "").partition(".")[0])


def install(extra: str) -> str:
    """Return the command that installs an extra."""
    return f"pip install 'stepc[{extra}]'"


def missing(error: ModuleNotFoundError) -> Diagnostic | None:
    """Build the T005 error of a missing package, or None if no extra installs it."""
    extra = extra_of(error)
    if extra is None:
        return None
    package = str(error.name).partition(".")[0]
    return Diagnostic("T005", f"this needs the package `{package}`", None, install(extra))
