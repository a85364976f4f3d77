"""Reads a unit from a file, in its text or its JSON form, and verifies it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from stepc.diagnostics import Place, StepcError, fail, printable
from stepc.ir.text import Read, read
from stepc.ir.types import Unit, from_json
from stepc.ir.verify import verify


def load(path: str | os.PathLike[str]) -> Unit:
    """Read an IR file of any level, text or JSON, and verify it; `-` reads standard input.

    Raises StepcError with everything that is wrong, as `read_file` does.
    """
    return read_file(path)[0]


def read_file(path: str | os.PathLike[str]) -> tuple[Unit, Read | None]:
    """Like `load`, with the lines of a text form.

    Raises StepcError with everything that is wrong: B006 if the file cannot be read, I001-I004 if it is not
    IR, V codes for broken rules.
    """
    shown = printable(str(path))
    try:
        if str(path) == "-":
            if sys.stdin is None:
                raise OSError(0, "standard input is closed")
            data = sys.stdin.buffer.read()
        else:
            data = Path(path).read_bytes()
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise fail("B006", f"cannot be read ({reason})", Place(shown)) from None
    got = None
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")  # as some editors write
    if text.lstrip().startswith("{"):
        try:
            unit = from_json(text.encode())
        except (ValueError, TypeError, RecursionError) as error:
            said = " ".join(str(error).splitlines()[:3])
            raise fail("I003", f"not the JSON form of a unit: {said}", Place(shown)) from None
    else:
        got = read(text, shown)
        unit = got.unit
    found = verify(unit, got, shown)
    if found:
        raise StepcError(*found)
    return unit, got
