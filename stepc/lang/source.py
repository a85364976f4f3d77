"""Reads the text of a spec, from a file or from the specs that are shipped."""

from __future__ import annotations

import os
from pathlib import Path

from stepc.diagnostics import Place, fail, printable
from stepc.lang.parse import builtin


def spec_text(path: str | os.PathLike[str] | None) -> tuple[str, str, Path | None]:
    """Text, name and folder of a spec file, or of a shipped spec by its name. Raises StepcError (B006)."""
    name = "step" if path is None else os.fspath(path)
    if not name.endswith(".step"):
        try:
            return builtin(name), f"{name}.step", None
        except FileNotFoundError:
            pass
    try:
        return Path(name).read_text("utf-8"), Path(name).name, Path(name).parent
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise fail("B006", f"cannot be read ({reason})", Place(printable(name))) from None
