"""Atomic file writes, and folders that record which result they hold."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from stepc.diagnostics import Place, fail, printable


def read_regular(path: Path) -> bytes:
    """Read a file that data names. Raises OSError if it is a pipe or a device, which may never end."""
    if path.exists() and not path.is_file():
        raise OSError(0, "it is not a regular file")
    return path.read_bytes()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Convert any OSError in the block to StepcError (B014)."""
    try:
        yield
    except OSError as error:
        place = Place(printable(str(path)))
        raise fail("B014", f"cannot be written ({error.strerror})", place) from error


@contextlib.contextmanager
def appearing(path: Path, sync: bool = True) -> Iterator[BinaryIO]:
    """Open a file for writing that replaces `path` atomically when the block succeeds.

    With `sync` the data is flushed to disk first, so that it survives a power failure. Raises
    StepcError (B014).
    """
    partial = path.with_name(f".{os.getpid()}-{secrets.token_hex(4)}.partial")
    try:
        with writing(path):
            with partial.open("wb") as file:
                yield file
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
            partial.replace(path)
    except BaseException:  # an interrupt must not leave half a file, either
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


def write_parts(path: Path, parts: Iterable[bytes], sync: bool = True) -> str:
    """Write a file atomically (see `appearing`); return its SHA-256. Raises StepcError (B014)."""
    whole = hashlib.sha256()
    with appearing(path, sync) as file:
        for part in parts:
            whole.update(part)
            file.write(part)
    return whole.hexdigest()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file atomically, without flushing it to disk. Raises StepcError (B014)."""
    write_parts(path, (data,), sync=False)


def claim(file: Path, facts: dict[str, Any], code: str, what: str) -> dict[str, Any] | None:
    """Check that the folder of `file` is new, or holds the result that `facts` describe.

    Creates the folder. Returns the content of `file` (JSON), or None if it does not exist. Raises
    StepcError: `code` if the content differs from `facts`, B014 if the folder cannot be used. `what`
    names the kind of result in the message.
    """
    shown = Place(printable(str(file.parent)))
    new = orjson.loads(orjson.dumps(facts))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        old: dict[str, Any] | None = orjson.loads(read_regular(file)) if file.exists() else None
        if not isinstance(old, dict | None):
            raise ValueError(f"{file.name} holds something else")
    except (OSError, ValueError) as error:
        raise fail("B014", f"the folder cannot be used ({error})", shown) from error
    other = [k for k in new if old is not None and old.get(k) != new[k]]
    if other:
        message = f"this folder holds another {what}, with different {' and '.join(other)}"
        raise fail(code, message, shown, "name another folder with -o, or remove this one")
    return old
