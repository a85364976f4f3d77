"""Reads the text of a spec, from a file or from the specs that are shipped."""

from __future__ import annotations

import os
from pathlib import Path

from stepc.diagnostics import Place, did_you_mean, fail, printable
from stepc.lang.parse import builtin, shipped
from stepc.runtime.atomic_files import read_regular


def read_spec_file(path: Path) -> str:
    """The text of a spec file; a byte order mark, which some editors write, is not part of it.

    Raises OSError, also for a pipe or a device, and UnicodeDecodeError.
    """
    text = read_regular(path).decode("utf-8-sig")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def spec_text(path: str | os.PathLike[str] | None) -> tuple[str, str, Path | None]:
    """Text, name and folder of a spec file, or of a shipped spec by its name. Raises StepcError (B006)."""
    name = "step" if path is None else os.fspath(path)
    known = not name.endswith(".step")
    if known:
        try:
            return builtin(name), f"{name}.step", None
        except FileNotFoundError:
            pass
    try:
        return read_spec_file(Path(name)), Path(name).name, Path(name).parent
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        help = did_you_mean(name, shipped()) if known and "/" not in name else ""
        raise fail("B006", f"cannot be read ({reason})", Place(printable(name)), help) from None
