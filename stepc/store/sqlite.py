"""The store in a SQLite file."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path
from typing import Any

from stepc.reporter import SILENT, Reporter
from stepc.store.base import LAYOUT, Head, Store

SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
  name BLOB PRIMARY KEY,      -- SHA-256 of all inputs
  kind TEXT NOT NULL,         -- `call`, or the name of a pass
  hash BLOB NOT NULL,         -- SHA-256 of the uncompressed content
  facts BLOB NOT NULL,        -- JSON: facts that can be read without the content
  mark BLOB NOT NULL,         -- checksum of name, hash and facts
  content BLOB NOT NULL,      -- compressed
  used INTEGER NOT NULL       -- time of last use, in seconds since 1970
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_use ON entries (used);
"""
DAMAGE = (sqlite3.Error, UnicodeError, OverflowError)
"""What a damaged file leads to; UnicodeError comes from a message about damaged text."""
COLUMNS = {"name", "kind", "hash", "facts", "mark", "content", "used"}


class Database(Store):
    """A store in a SQLite file (`store-LAYOUT.sqlite` in a folder)."""

    def __init__(self, folder: Path, reporter: Reporter = SILENT) -> None:
        super().__init__(reporter)
        self.folder, self.path = folder, folder / f"store-{LAYOUT}.sqlite"
        self.place = str(self.path)
        self._db = self._opened()

    def stats(self) -> list[tuple[str, int, int]]:
        """Return (kind, number of entries, compressed bytes) per kind."""
        return self._all(
            "SELECT CAST(kind AS TEXT), count(*), sum(length(CAST(content AS BLOB))) FROM entries"
            " GROUP BY 1 ORDER BY 1"
        )

    def by_use(self) -> list[tuple[bytes, int]]:
        """Return (name, compressed bytes) of every entry, least recently used first."""
        return self._all("SELECT name, length(content) FROM entries ORDER BY used")

    def close(self) -> None:
        """Close the database connection."""
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

    def _all(self, sql: str, *values: Any) -> list[Any]:
        if self._db is None:
            return []
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.OperationalError as error:
            self._tell("B015", f"the store cannot be read ({error})")
        except DAMAGE as error:
            self._db.close()
            self._aside(str(error))
            self._db = self._opened()
        return []

    def _opened(self) -> sqlite3.Connection | None:
        """Open a connection; moves a file that is damaged or not a store aside and creates a new one."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._tell("B015", f"the store cannot be used ({error.strerror})")
            return None
        for _ in range(2):
            try:
                db = sqlite3.connect(
                    self.path, timeout=60, isolation_level=None,
                    check_same_thread=False,  # threads share it, but never use it in parallel
                )  # fmt: skip
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = NORMAL")
                columns = {row[1] for row in db.execute("PRAGMA table_info(entries)")}
                if columns and columns != COLUMNS:
                    db.close()
                    raise sqlite3.DatabaseError("it has other columns")
                db.executescript(SCHEMA)
                return db
            except sqlite3.OperationalError as error:
                self._tell("B015", f"the store cannot be used ({error})")
                return None
            except DAMAGE as error:
                self._aside(str(error))
        return None

    def _aside(self, why: str) -> None:
        """Move a damaged file aside."""
        self._tell("B016", f"the store is damaged ({why}); a new one is created")
        with contextlib.suppress(OSError):
            self.path.replace(self.path.with_suffix(f".damaged-{time.time_ns()}"))
        for end in ("-wal", "-shm"):
            with contextlib.suppress(OSError):
                Path(f"{self.path}{end}").unlink()

    def _asked(self, sql: str, *values: Any) -> Any:
        rows = self._all(sql, *values)
        return rows[0] if rows else None

    def _changed(self, sql: str, *values: Any) -> None:
        if self._db is None:
            return
        try:
            self._db.execute(sql, values)
        except sqlite3.OperationalError as error:  # a full disk, a folder that cannot be written
            self._tell("B015", f"the store cannot be written ({error})")
        except DAMAGE as error:
            self._db.close()
            self._aside(str(error))
            self._db = self._opened()
