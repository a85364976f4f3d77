"""The store: what was computed once is not computed again, whoever asks and whenever.

An entry's name is a hash of all that its content depends on (`name_of`), so nothing in the store
can be out of date: what depends on something else has another name. Every content has its own hash
beside it and is believed only if that is right. What is kept is JSON, compressed; never a pickle.

On one machine one SQLite file in WAL mode is the store (`Database`): many processes share it, a kill
loses at most the entry being written, and small entries (a model's replies) do not each cost a file
(benchmarks/store.py has it beside LMDB and files).
What several machines reach is a folder of objects (`stepc.objects`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from stepc.diagnostics import Diagnostic, Place, printable

LAYOUT = 1
"""Of the file or the objects; one with another is left alone and a new one begun."""
FRESH = 24 * 3600
"""Seconds within which an entry's use is not noted again."""


def default_place() -> str:
    """`$STEPC_STORE`, or `stepc` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME")
    folder = Path(base) if base else Path.home() / ".cache"
    return os.environ.get("STEPC_STORE") or str(folder / "stepc")


def shared(place: str) -> bool:
    """Whether a store is one that several machines may reach: its place is a URL."""
    return "://" in place


def open_store(place: str, say: Callable[[Diagnostic], None] = lambda diagnostic: None) -> Store:
    """The store in a folder, or at a URL that fsspec knows; made if it is not there."""
    if shared(place):
        from stepc.objects import Objects

        return Objects(place, say)
    return Database(Path(place), say)


def name_of(*parts: Any) -> bytes:
    """The name of what depends on `parts` (JSON): 32 bytes."""
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).digest()


def _mark(name: bytes, digest: bytes, facts: bytes) -> bytes:
    return hashlib.sha256(bytes(name) + bytes(digest) + bytes(facts)).digest()[:8]


class Head(NamedTuple):
    """What is kept beside a content."""

    hash: bytes
    """SHA-256 of the content before it was compressed."""
    facts: bytes
    mark: bytes
    used: int
    """Seconds since 1970."""


@dataclass(frozen=True)
class Entry:
    """What is known of an entry without reading its content."""

    name: bytes
    hash: bytes
    """Of the content: who depends on it depends on this."""
    facts: dict[str, Any]


class Store(ABC):
    """Entries by their names.

    What goes wrong with it (a full disk, a folder that cannot be written, a damaged file) is said once
    through `say` and costs time, never a result.
    """

    place: str
    """What the user knows it by."""

    def __init__(self, say: Callable[[Diagnostic], None]) -> None:
        self.say = say
        self.hits = self.misses = 0
        self._said: set[str] = set()

    def find(self, name: bytes) -> Entry | None:
        """The entry of that name, if there is one."""
        row = self._head(name)
        if row is None:
            self.misses += 1
            return None
        if _mark(name, row.hash, row.facts) != row.mark:
            self._damaged(name)
            return None
        if time.time() - row.used > FRESH:
            self._use(name)
        self.hits += 1
        return Entry(name, row.hash, orjson.loads(row.facts))

    def read(self, entry: Entry) -> bytes | None:
        """An entry's content; None if it is gone or damaged (and then it is gone)."""
        packed = self._content(entry.name)
        if packed is None:
            return None
        try:
            content = zlib.decompress(packed)
        except zlib.error:
            content = b""
        if hashlib.sha256(content).digest() != entry.hash:
            self._damaged(entry.name)
            return None
        return content

    def keep(self, name: bytes, kind: str, content: bytes, facts: dict[str, Any]) -> Entry:
        """Keep a content under its name."""
        digest, told = hashlib.sha256(content).digest(), orjson.dumps(facts)
        head = Head(digest, told, _mark(name, digest, told), int(time.time()))
        self._put(name, kind, head, zlib.compress(content, 1))
        return Entry(name, digest, facts)

    def about(self, video: str) -> None:
        """What is called from now on is about this video (SHA-256); none: about no video."""
        _ = video

    def call(self, name: bytes) -> bytes | None:
        """What a model replied, if it is here and undamaged."""
        entry = self.find(name)
        return self.read(entry) if entry is not None else None

    def keep_call(self, name: bytes, content: bytes) -> None:
        """Keep what a model replied."""
        self.keep(name, "call", content, {})

    def verify(self) -> int:
        """Read every entry; those that are damaged are dropped. How many there were."""
        bad = 0
        for name, _ in self.by_use():
            entry = self.find(name)
            bad += entry is None or self.read(entry) is None
        return bad

    def collect(self, most: int) -> tuple[int, int]:
        """Drop what was not used for longest until contents take at most so many bytes.

        How many entries went, and their bytes.
        """
        every = list(self.by_use())
        total = sum(size for _, size in every)
        dropped = freed = 0
        for name, size in every:
            if total - freed <= most:
                break
            self._drop(name)
            dropped, freed = dropped + 1, freed + size
        self._shrink()
        return dropped, freed

    @abstractmethod
    def stats(self) -> list[tuple[str, int, int]]:
        """Kind, number of entries, bytes of their contents as kept."""

    @abstractmethod
    def by_use(self) -> Iterable[tuple[bytes, int]]:
        """Name and bytes of every entry, first those that were not used for longest."""

    @abstractmethod
    def close(self) -> None:
        """Leave the store."""

    @abstractmethod
    def _head(self, name: bytes) -> Head | None:
        """What is kept beside a content."""

    @abstractmethod
    def _content(self, name: bytes) -> bytes | None:
        """A content as it was put."""

    @abstractmethod
    def _put(self, name: bytes, kind: str, head: Head, packed: bytes) -> None:
        """Keep an entry; in the place of one that is there."""

    @abstractmethod
    def _drop(self, name: bytes) -> None:
        """Forget an entry."""

    @abstractmethod
    def _use(self, name: bytes) -> None:
        """Note that an entry was used now, where that can be noted."""

    @abstractmethod
    def _shrink(self) -> None:
        """Give the room of what was dropped back."""

    def _damaged(self, name: bytes) -> None:
        self._tell("B016", "an entry is damaged; it is made anew")
        self._drop(name)

    def _tell(self, code: str, message: str) -> None:
        if code not in self._said:
            self._said.add(code)
            help = "another place: --store PLACE; without one: --no-store"
            self.say(Diagnostic(code, message, Place(printable(self.place)), help, "warning"))


SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
  name BLOB PRIMARY KEY,      -- SHA-256 of all it depends on
  kind TEXT NOT NULL,         -- `call`, or the pass that made it
  hash BLOB NOT NULL,         -- SHA-256 of the content before it was compressed
  facts BLOB NOT NULL,        -- JSON: what is told of it without reading it
  mark BLOB NOT NULL,         -- of name, hash and facts: whether they are what was written
  content BLOB NOT NULL,
  used INTEGER NOT NULL       -- seconds since 1970
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_use ON entries (used);
"""


class Database(Store):
    """A store in a SQLite file in a folder."""

    def __init__(
        self, folder: Path, say: Callable[[Diagnostic], None] = lambda diagnostic: None
    ) -> None:
        super().__init__(say)
        self.folder, self.path = folder, folder / f"store-{LAYOUT}.sqlite"
        self.place = str(self.path)
        self._db = self._opened()

    def stats(self) -> list[tuple[str, int, int]]:
        """Kind, number of entries, bytes of their contents as kept."""
        return self._all(
            "SELECT kind, count(*), sum(length(content)) FROM entries GROUP BY kind ORDER BY kind"
        )

    def by_use(self) -> list[tuple[bytes, int]]:
        """Name and bytes of every entry, first those that were not used for longest."""
        return self._all("SELECT name, length(content) FROM entries ORDER BY used")

    def close(self) -> None:
        """Leave the store."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _head(self, name: bytes) -> Head | None:
        row = self._asked("SELECT hash, facts, mark, used FROM entries WHERE name = ?", name)
        return Head(*row) if row else None

    def _content(self, name: bytes) -> bytes | None:
        row = self._asked("SELECT content FROM entries WHERE name = ?", name)
        return row[0] if row else None

    def _put(self, name: bytes, kind: str, head: Head, packed: bytes) -> None:
        self._changed(
            "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)",
            name, kind, head.hash, head.facts, head.mark, packed, head.used,
        )  # fmt: skip

    def _drop(self, name: bytes) -> None:
        self._changed("DELETE FROM entries WHERE name = ?", name)

    def _use(self, name: bytes) -> None:
        self._changed("UPDATE entries SET used = ? WHERE name = ?", int(time.time()), name)

    def _shrink(self) -> None:
        self._changed("VACUUM")

    def _all(self, sql: str) -> list[Any]:
        return self._db.execute(sql).fetchall() if self._db else []

    def _opened(self) -> sqlite3.Connection | None:
        """A connection; a file that is no store, or a broken one, is put aside for a new one."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._tell("B015", f"the store cannot be used ({error.strerror})")
            return None
        for _ in range(2):
            try:
                db = sqlite3.connect(
                    self.path, timeout=60, isolation_level=None,
                    check_same_thread=False,  # made in one and used in another, by one at a time
                )  # fmt: skip
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = NORMAL")
                db.executescript(SCHEMA)
                db.execute("SELECT count(*) FROM entries WHERE name = x'00'").fetchone()
                return db
            except sqlite3.OperationalError as error:
                self._tell("B015", f"the store cannot be used ({error})")
                return None
            except sqlite3.DatabaseError as error:
                self._aside(str(error))
        return None

    def _aside(self, why: str) -> None:
        """Put a damaged file aside."""
        self._tell("B016", f"the store is damaged ({why}); a new one is begun")
        with contextlib.suppress(OSError):
            self.path.replace(self.path.with_suffix(f".damaged-{time.time_ns()}"))
        for end in ("-wal", "-shm"):
            with contextlib.suppress(OSError):
                Path(f"{self.path}{end}").unlink()

    def _asked(self, sql: str, *values: Any) -> Any:
        if self._db is None:
            return None
        try:
            return self._db.execute(sql, values).fetchone()
        except sqlite3.OperationalError as error:
            self._tell("B015", f"the store cannot be read ({error})")
        except sqlite3.DatabaseError as error:
            self._db.close()
            self._aside(str(error))
            self._db = self._opened()
        return None

    def _changed(self, sql: str, *values: Any) -> None:
        if self._db is None:
            return
        try:
            self._db.execute(sql, values)
        except sqlite3.OperationalError as error:  # a full disk, a folder that cannot be written
            self._tell("B015", f"the store cannot be written ({error})")
        except sqlite3.DatabaseError as error:
            self._db.close()
            self._aside(str(error))
            self._db = self._opened()
