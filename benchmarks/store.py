"""Compares store backends: SQLite, LMDB, plain files written with rename, and objects through fsspec.

    python benchmarks/store.py

The store of a corpus has many small entries (model replies) and some large ones (units). For each backend the
benchmark measures putting entries, getting existing entries, looking up missing entries, and four processes
that put and get in parallel. Backends alternate in rounds; medians are printed. Requires `lmdb`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import lmdb
import orjson

from stepc.reporter import SILENT
from stepc.store.base import Head, Store, name_of
from stepc.store.object_store import Objects
from stepc.store.sqlite import Database


class Files(Store):
    """One file per entry, written under a temporary name and then renamed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(SILENT)
        self.folder, self.place = folder, str(folder)

    def _path(self, name: bytes) -> Path:
        text = name.hex()
        return self.folder / text[:2] / text

    def _head(self, name: bytes) -> Head | None:
        try:
            with self._path(name).open("rb") as file:
                told = orjson.loads(file.readline())
        except FileNotFoundError:
            return None
        return _head(told)

    def _content(self, name: bytes) -> bytes | None:
        try:
            return self._path(name).read_bytes().partition(b"\n")[2]
        except FileNotFoundError:
            return None

    def _put(self, name: bytes, kind: str, head: Head, packed: bytes) -> None:
        path = self._path(name)
        partial = path.with_name(uuid.uuid4().hex)
        try:
            partial.write_bytes(_line(head) + packed)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(_line(head) + packed)
        partial.replace(path)

    def _drop(self, name: bytes) -> None:
        self._path(name).unlink(missing_ok=True)

    def stats(self) -> list[tuple[str, int, int]]:
        """Not needed here."""
        return []

    def by_use(self) -> Iterable[tuple[bytes, int]]:
        """Not needed here."""
        return []

    def close(self) -> None:
        """No resources are open."""

    def _use(self, name: bytes) -> None:
        pass

    def _shrink(self) -> None:
        pass


class Lmdb(Files):
    """LMDB. With `safe` (LMDB's default) every write waits for the disk."""

    def __init__(self, folder: Path, safe: bool) -> None:
        super().__init__(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.db = lmdb.open(str(folder), map_size=1 << 34, sync=safe, metasync=safe)

    def _get(self, name: bytes) -> bytes | None:
        with self.db.begin() as read:
            found: bytes | None = read.get(name)
        return found

    def _head(self, name: bytes) -> Head | None:
        data = self._get(name)
        return None if data is None else _head(orjson.loads(data[: data.index(b"\n")]))

    def _content(self, name: bytes) -> bytes | None:
        return (self._get(name) or b"").partition(b"\n")[2]

    def _put(self, name: bytes, kind: str, head: Head, packed: bytes) -> None:
        with self.db.begin(write=True) as write:
            write.put(name, _line(head) + packed)

    def close(self) -> None:
        """Close the database."""
        self.db.close()


def _line(head: Head) -> bytes:
    told = [head.hash.hex(), head.facts.decode(), head.mark.hex(), head.used]
    return orjson.dumps(told) + b"\n"


def _head(told: list[str | int]) -> Head:
    digest, facts, mark, used = told
    return Head(bytes.fromhex(digest), facts.encode(), bytes.fromhex(mark), used)  # type: ignore


KINDS: dict[str, Callable[[Path], Store]] = {
    "SQLite (stepc)": lambda folder: Database(folder),
    "LMDB": lambda folder: Lmdb(folder, safe=False),
    "LMDB, synchronous": lambda folder: Lmdb(folder, safe=True),
    "files with rename": lambda folder: Files(folder),
    "objects via fsspec (stepc)": lambda folder: Objects(f"file://{folder}"),
}


def fill(store: Store, numbers: range, size: int) -> None:
    """Put entries of `size` bytes."""
    for i in numbers:
        text = random.Random(i).randbytes(size // 2).hex().encode()
        store.put(name_of("here", i), "call", text, {"i": i})


def ask(store: Store, numbers: range) -> None:
    """Get existing entries."""
    for i in numbers:
        entry = store.get(name_of("here", i))
        assert entry is not None and store.read(entry)


def miss(store: Store, numbers: range) -> None:
    """Look up missing entries."""
    assert not any(store.get(name_of("not here", i)) for i in numbers)


def one_of_four(kind: str, folder: Path, quarter: int, number: int, size: int) -> None:
    """Put and get one process's share of the entries."""
    store = KINDS[kind](folder)
    numbers = range(number + quarter * number // 4, number + (quarter + 1) * number // 4)
    fill(store, numbers, size)
    ask(store, numbers)
    store.close()


def timed(work: Callable[[], None]) -> float:
    """Wall-clock time in seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def four(kind: str, folder: Path, number: int, size: int) -> None:
    """Run four processes on one store."""
    several = [
        multiprocessing.get_context("fork").Process(
            target=one_of_four, args=(kind, folder, k, number, size)
        )
        for k in range(4)
    ]
    for one in several:
        one.start()
    for one in several:
        one.join()
        assert one.exitcode == 0


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", type=int, default=10_000, help="number of 300-byte entries")
    parser.add_argument("--large", type=int, default=500, help="number of 60,000-byte entries")
    parser.add_argument(
        "--folder", type=Path, help="where to create the stores (default: temporary folder)"
    )
    told = parser.parse_args()
    for number, size in ((told.small, 300), (told.large, 60_000)):
        every: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
        for _ in range(told.rounds):
            for kind, make in KINDS.items():
                folder = Path(tempfile.mkdtemp(dir=told.folder))
                store, numbers = make(folder), range(number)
                row = [
                    timed(partial(work, *more))
                    for work, more in ((fill, (store, numbers, size)), (ask, (store, numbers)),
                                       (miss, (store, numbers)))
                ]  # fmt: skip
                store.close()
                row.append(timed(partial(four, kind, folder, number, size)))
                blocks = sum(p.lstat().st_blocks * 512 for p in folder.rglob("*") if not p.is_dir())
                every[kind].append([*row, blocks / 1e6])
                shutil.rmtree(folder)
        print(f"{number:,} entries of {size:,} bytes, on {os.cpu_count()} cores")
        print(f"{'':28}{'put':>9}{'get':>9}{'miss':>9}{'four':>9}{'MB':>9}   (µs per entry)")
        for kind, rows in every.items():
            *seconds, blocks = (statistics.median(column) for column in zip(*rows, strict=True))
            shown = "".join(f"{s / number * 1e6:9.0f}" for s in seconds)
            print(f"{kind:28}{shown}{blocks:9.1f}")


if __name__ == "__main__":
    main()
