"""Files that appear whole or not at all, and folders that say what is made in them."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from stepc.diagnostics import Place, fail, printable


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raises StepcError (B014) for what goes wrong with a file inside."""
    try:
        yield
    except OSError as error:
        place = Place(printable(str(path)))
        raise fail("B014", f"cannot be written ({error.strerror})", place) from error


@contextlib.contextmanager
def appearing(path: Path, sync: bool = True) -> Iterator[BinaryIO]:
    """A file to write in, that is at `path` whole or not at all, after a loss of power, too, with `sync`.

    Raises StepcError (B014).
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with writing(path):
            with partial.open("wb") as file:
                yield file
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
            partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_parts(path: Path, parts: Iterable[bytes], sync: bool = True) -> str:
    """Write a file whole or not at all, as `appearing` does. Its SHA-256. Raises StepcError (B014)."""
    whole = hashlib.sha256()
    with appearing(path, sync) as file:
        for part in parts:
            whole.update(part)
            file.write(part)
    return whole.hexdigest()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all. Raises StepcError (B014)."""
    write_parts(path, (data,), sync=False)


def claim(file: Path, facts: dict[str, Any], code: str, what: str) -> dict[str, Any] | None:
    """What `file` says is made in its folder; None if nothing yet. The folder is made.

    Raises StepcError: `code` if that is another one than `facts` tell, B014 if it cannot be used.
    """
    shown = Place(printable(str(file.parent)))
    new = orjson.loads(orjson.dumps(facts))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        old: dict[str, Any] | None = orjson.loads(file.read_bytes()) if file.exists() else None
    except (OSError, ValueError) as error:
        raise fail("B014", f"cannot be used ({error})", shown) from error
    other = [k for k in new if old is not None and old.get(k) != new[k]]
    if other:
        message = f"another {what} is in this folder: its {' and '.join(other)} differs"
        raise fail(code, message, shown, "name another folder with -o, or remove this one")
    return old
