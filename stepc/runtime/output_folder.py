"""An output folder: one process writes to it at a time, and its finished content is replaced as a whole."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import filelock
import orjson

from stepc.diagnostics import Place, fail, printable
from stepc.runtime.atomic_files import read_regular, writing
from stepc.runtime.interrupts import uninterrupted

LOCK = ".lock"
"""Name of the lock file in a folder; it holds the process that writes."""
ASIDE = ".partial"
"""Name of the folder with new files, inside one that holds a finished result."""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Create a folder and keep other processes from writing to it meanwhile.

    Raises StepcError: B014 if the folder cannot be created, B024 if another process writes to it.
    """
    file = folder / LOCK
    with writing(folder):
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(file, timeout=0, is_singleton=False)
        try:
            lock.acquire()
        except filelock.Timeout:
            message = f"another process writes to this folder{_owner(file)}"
            help = "wait for it, or name another folder with -o"
            raise fail("B024", message, Place(printable(str(folder))), help) from None
    try:
        with contextlib.suppress(OSError):
            file.write_bytes(orjson.dumps({"pid": os.getpid(), "host": platform.node(),
                                           "since": time.strftime("%Y-%m-%d %H:%M:%S")}))  # fmt: skip
        yield
    finally:
        with contextlib.suppress(OSError):  # while it is locked: nobody else holds it then
            file.unlink()
        lock.release()


def _owner(file: Path) -> str:
    """Which process holds a lock, as far as the file tells."""
    try:
        told = orjson.loads(read_regular(file))
        return f" (process {int(told['pid'])} on {printable(str(told['host']))})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


class OutputFolder:
    """A folder that holds one result, whose last file is `last`. Use it in a `with` statement.

    If the folder already holds a finished result, or `apart` is set, new files are written to a folder
    inside it, and `commit` moves them to their places. A run that fails leaves the old result as it was.
    """

    def __init__(self, path: Path, last: str = "manifest.json", apart: bool = False) -> None:
        self.path, self.last, self.apart = path, last, apart
        self._holding = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._holding.enter_context(locked(self.path))
        self.finished = (self.path / self.last).exists()
        """Whether the folder held a finished result at the start."""
        self._aside = self.path / ASIDE
        with writing(self.path):
            if self._aside.is_symlink():
                self._aside.unlink()
        shutil.rmtree(self._aside, ignore_errors=True)
        self.work = self._aside if self.finished or self.apart else self.path
        """Where to write files."""
        with writing(self.path):
            if self.work == self._aside:
                self.work.mkdir()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self._aside, ignore_errors=True)
        self._holding.close()

    @staticmethod
    def place(file: Path) -> Path:
        """Where a file in `work` ends up."""
        parts = list(file.parts)
        if ASIDE in parts:
            del parts[len(parts) - 1 - parts[::-1].index(ASIDE)]
        return Path(*parts)

    def files(self) -> list[str]:
        """The files in `work` so far, as sorted POSIX paths below it."""
        found = (p.relative_to(self.work) for p in self.work.rglob("*") if p.is_file())
        return sorted(p.as_posix() for p in found)

    def commit(self, obsolete: Iterable[Path] = ()) -> None:
        """Move the new files to their places, `last` as the last one, and remove `obsolete` ones.

        Obsolete files that were written anew stay. A signal waits until all is done. Raises StepcError
        (B014).
        """
        with uninterrupted(), writing(self.path):
            self._commit([path for path in obsolete if not self._new(path)])

    def _new(self, path: Path) -> bool:
        return (self.work / path.relative_to(self.path)).exists()

    def _commit(self, obsolete: Iterable[Path]) -> None:
        if self.work == self._aside:
            files = sorted(p for p in self._aside.rglob("*") if p.is_file())
            for file in sorted(files, key=lambda p: p == self._aside / self.last):
                place = self.path / file.relative_to(self._aside)
                place.parent.mkdir(parents=True, exist_ok=True)
                if not self._holds(place):
                    raise OSError(errno.EXDEV, f"{place.parent} leads to another folder")
                file.replace(place)
        for path in obsolete:
            with contextlib.suppress(OSError):
                if self._holds(path):
                    path.unlink()

    def _holds(self, file: Path) -> bool:
        """Whether a file lies in the folder itself, and not behind a symbolic link in it."""
        return file.parent.resolve().is_relative_to(self.path.resolve())
