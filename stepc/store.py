"""The store: what was computed once is not computed again, whoever asks and whenever.

An entry's name is a hash of all that its content depends on (`name_of`), so nothing in the store
can be out of date: what depends on something else has another name. One SQLite file in WAL mode is
the store: many processes share it, a kill loses at most the entry being written, and small entries
(a model's replies) do not each cost a file. Every content has its own hash beside it and is
believed only if that is right. What is kept is JSON, compressed; never a pickle.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from stepc.diagnostics import Diagnostic, Place, printable

LAYOUT = 1
"""Of the file; one with another is left alone and a new one begun."""
FRESH = 24 * 3600
"""Seconds within which an entry's use is not noted again."""
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


def default_folder() -> Path:
    """`$STEPC_STORE`, or `stepc` in the user's cache folder."""
    told = os.environ.get("STEPC_STORE")
    if told:
        return Path(told)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "stepc"


def name_of(*parts: Any) -> bytes:
    """The name of what depends on `parts` (JSON): 32 bytes."""
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).digest()


def _mark(name: bytes, digest: bytes, facts: bytes) -> bytes:
    return hashlib.sha256(bytes(name) + bytes(digest) + bytes(facts)).digest()[:8]


@dataclass(frozen=True)
class Entry:
    """What is known of an entry without reading its content."""

    name: bytes
    hash: bytes
    """Of the content: who depends on it depends on this."""
    facts: dict[str, Any]


@dataclass
class Store:
    """A folder with a store; made if it is not there.

    What goes wrong with it (a full disk, a folder that cannot be written, a damaged file) is said once
    through `say` and costs time, never a result.
    """

    folder: Path
    say: Callable[[Diagnostic], None] = lambda diagnostic: None
    hits: int = 0
    misses: int = 0
    _db: sqlite3.Connection | None = None
    _said: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._db = self._opened()

    @property
    def path(self) -> Path:
        """The store's file."""
        return self.folder / f"store-{LAYOUT}.sqlite"

    def find(self, name: bytes) -> Entry | None:
        """The entry of that name, if there is one."""
        row = self._asked("SELECT hash, facts, mark, used FROM entries WHERE name = ?", name)
        if row is None:
            self.misses += 1
            return None
        if _mark(name, row[0], row[1]) != row[2]:
            self._tell("B016", "an entry is damaged; it is made anew", "warning")
            self._drop(name)
            return None
        if time.time() - row[3] > FRESH:
            self._changed("UPDATE entries SET used = ? WHERE name = ?", int(time.time()), name)
        self.hits += 1
        return Entry(name, bytes(row[0]), orjson.loads(row[1]))

    def read(self, entry: Entry) -> bytes | None:
        """An entry's content; None if it is gone or damaged (and then it is gone)."""
        row = self._asked("SELECT content, hash FROM entries WHERE name = ?", entry.name)
        if row is None:
            return None
        try:
            content = zlib.decompress(row[0])
        except zlib.error:
            content = b""
        if hashlib.sha256(content).digest() != bytes(row[1]):
            self._tell("B016", "an entry is damaged; it is made anew", "warning")
            self._drop(entry.name)
            return None
        return content

    def keep(self, name: bytes, kind: str, content: bytes, facts: dict[str, Any]) -> Entry:
        """Keep a content under its name."""
        digest, told = hashlib.sha256(content).digest(), orjson.dumps(facts)
        self._changed(
            "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)",
            name, kind, digest, told, _mark(name, digest, told), zlib.compress(content, 1),
            int(time.time()),
        )  # fmt: skip
        return Entry(name, digest, facts)

    # --- housekeeping --------------------------------------------------------------------

    def stats(self) -> list[tuple[str, int, int]]:
        """Kind, number of entries, bytes of their contents as kept."""
        return (
            list(
                self._db.execute(
                    "SELECT kind, count(*), sum(length(content)) FROM entries GROUP BY kind ORDER BY kind"
                )
            )
            if self._db
            else []
        )

    def verify(self) -> int:
        """Read every entry; those that are damaged are dropped. How many there were."""
        rows = self._db.execute("SELECT name FROM entries").fetchall() if self._db else []
        entries = [self.find(bytes(row[0])) for row in rows]
        return sum(entry is None or self.read(entry) is None for entry in entries)

    def collect(self, most: int) -> tuple[int, int]:
        """Drop what was not used for longest until contents take at most so many bytes.

        How many entries went, and their bytes.
        """
        if self._db is None:
            return 0, 0
        total = sum(size for _, _, size in self.stats())
        dropped = freed = 0
        rows = self._db.execute(
            "SELECT name, length(content) FROM entries ORDER BY used"
        ).fetchall()
        for name, size in rows:
            if total - freed <= most:
                break
            self._drop(bytes(name))
            dropped, freed = dropped + 1, freed + size
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("VACUUM")
        return dropped, freed

    def close(self) -> None:
        """Leave the store."""
        if self._db is not None:
            self._db.close()
            self._db = None

    # --- the file ------------------------------------------------------------------------

    def _opened(self) -> sqlite3.Connection | None:
        """A connection; a file that is no store, or a broken one, is put aside for a new one."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._tell("B015", f"the store cannot be used ({error.strerror})", "warning")
            return None
        for _ in range(2):
            try:
                db = sqlite3.connect(self.path, timeout=60, isolation_level=None)
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = NORMAL")
                db.executescript(SCHEMA)
                db.execute("SELECT count(*) FROM entries WHERE name = x'00'").fetchone()
                return db
            except sqlite3.OperationalError as error:
                self._tell("B015", f"the store cannot be used ({error})", "warning")
                return None
            except sqlite3.DatabaseError as error:
                self._aside(str(error))
        return None

    def _aside(self, why: str) -> None:
        """Put a damaged file aside."""
        self._tell("B016", f"the store is damaged ({why}); a new one is begun", "warning")
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
            self._tell("B015", f"the store cannot be read ({error})", "warning")
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
            self._tell("B015", f"the store cannot be written ({error})", "warning")
        except sqlite3.DatabaseError as error:
            self._db.close()
            self._aside(str(error))
            self._db = self._opened()

    def _drop(self, name: bytes) -> None:
        self._changed("DELETE FROM entries WHERE name = ?", name)

    def _tell(self, code: str, message: str, severity: str) -> None:
        if code not in self._said:
            self._said.add(code)
            help = "another folder: --store DIR; without one: --no-store"
            place = Place(printable(str(self.path)))
            self.say(Diagnostic(code, message, place, help, severity))
