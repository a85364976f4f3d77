"""The store: a content-addressed cache of pass results and model replies.

An entry's name is a hash of all inputs of its content (`name_of`), so an entry never goes stale: a
result with other inputs has another name. Each content is stored with its own hash, which is checked
on every read. Contents are compressed JSON, never pickles.

On one machine the store is a SQLite file in WAL mode (`sqlite.py`): many processes share it, a killed
process loses at most the entry it is writing, and small entries such as model replies do not need a
file each (`benchmarks/store.py` compares it with LMDB and plain files). Several machines share objects
in a folder or an object storage (`object_store.py`).
"""

from __future__ import annotations

import hashlib
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from stepc.diagnostics import Diagnostic, Place, printable
from stepc.reporter import Reporter

LAYOUT = 1
"""Version of the storage layout. A store of another version is ignored, and a new one is created."""

FRESH = 24 * 3600
"""Minimum seconds between two updates of an entry's time of last use."""


def name_of(*parts: Any) -> bytes:
    """Return the name (32 bytes, SHA-256) of an entry whose inputs are `parts` (JSON-compatible)."""
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).digest()


def _mark(name: bytes, digest: bytes, facts: bytes) -> bytes:
    return hashlib.sha256(bytes(name) + bytes(digest) + bytes(facts)).digest()[:8]


class Head(NamedTuple):
    """The metadata stored with a content."""

    hash: bytes
    """SHA-256 of the uncompressed content."""
    facts: bytes
    """JSON: facts that can be read without the content."""
    mark: bytes
    """Checksum of name, hash and facts."""
    used: int
    """Time of last use, in seconds since 1970."""


@dataclass(frozen=True)
class Entry:
    """An entry's metadata, available without reading its content."""

    name: bytes
    hash: bytes
    """SHA-256 of the content. Names of dependent entries are derived from it."""
    facts: dict[str, Any]


class Store(ABC):
    """Base of all stores: maps names to entries.

    Failures (a full disk, a folder that cannot be written, a damaged file) are reported once per code
    to the reporter (B015, B016) and never raised; the affected results are recomputed.
    """

    place: str
    """Path or URL, as shown to the user."""

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter
        self.hits = self.misses = 0
        self._said: set[str] = set()

    def get(self, name: bytes, *, use: bool = True) -> Entry | None:
        """Get an entry's metadata; None on a cache miss. Updates the time of last use."""
        row = self._head(name)
        if row is None:
            self.misses += 1
            return None
        try:
            typed = all(isinstance(x, bytes) for x in (name, row.hash, row.facts, row.mark))
            whole = typed and _mark(name, row.hash, row.facts) == row.mark
            facts = orjson.loads(row.facts) if whole else {}
            late = time.time() - row.used > FRESH
        except (TypeError, ValueError):  # values of other types
            whole = False
        if not whole or not isinstance(facts, dict):
            self._damaged(name)
            return None
        if use and late:
            self._use(name)
        self.hits += 1
        return Entry(name, row.hash, facts)

    def read(self, entry: Entry) -> bytes | None:
        """Read an entry's content; None if it is missing or damaged. Damaged entries are dropped."""
        packed = self._content(entry.name)
        if packed is None:
            return None
        try:
            content = zlib.decompress(packed)
        except (zlib.error, TypeError):
            content = b""
        if hashlib.sha256(content).digest() != entry.hash:
            self._damaged(entry.name)
            return None
        return content

    def put(self, name: bytes, kind: str, content: bytes, facts: dict[str, Any]) -> Entry:
        """Put a content under a name. `kind` is `call` or the name of a pass; `facts` is JSON-compatible."""
        digest, told = hashlib.sha256(content).digest(), orjson.dumps(facts)
        head = Head(digest, told, _mark(name, digest, told), int(time.time()))
        self._put(name, kind, head, zlib.compress(content, 1))
        return Entry(name, digest, facts)

    def about(self, video: str) -> None:
        """Set the video (SHA-256) that the following calls belong to; an empty string for none."""
        _ = video

    def get_call(self, name: bytes) -> bytes | None:
        """Get a cached model reply; None if it is missing or damaged."""
        entry = self.get(name)
        return self.read(entry) if entry is not None else None

    def put_call(self, name: bytes, content: bytes) -> None:
        """Put a model reply."""
        self.put(name, "call", content, {})

    def verify(self) -> int:
        """Read every entry and drop damaged ones. Returns the number of damaged entries."""
        bad = 0
        for name, _ in self.by_use():
            entry = self.get(name, use=False)
            bad += entry is None or self.read(entry) is None
        return bad

    def collect(self, most: int) -> tuple[int, int]:
        """Drop the least recently used entries until contents take at most `most` bytes.

        Returns the number of dropped entries and their total bytes.
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
        """Return (kind, number of entries, compressed bytes) per kind."""

    @abstractmethod
    def by_use(self) -> Iterable[tuple[bytes, int]]:
        """Return (name, compressed bytes) of every entry, least recently used first."""

    @abstractmethod
    def close(self) -> None:
        """Release all resources."""

    @abstractmethod
    def _head(self, name: bytes) -> Head | None:
        """Return an entry's metadata; None if the entry is missing."""

    @abstractmethod
    def _content(self, name: bytes) -> bytes | None:
        """Return an entry's compressed content; None if the entry is missing."""

    @abstractmethod
    def _put(self, name: bytes, kind: str, head: Head, packed: bytes) -> None:
        """Write an entry; replaces an existing one."""

    @abstractmethod
    def _drop(self, name: bytes) -> None:
        """Delete an entry."""

    @abstractmethod
    def _use(self, name: bytes) -> None:
        """Set an entry's time of last use to now, if the storage supports it."""

    @abstractmethod
    def _shrink(self) -> None:
        """Free the space of dropped entries."""

    def _damaged(self, name: bytes) -> None:
        self._tell("B016", "an entry is damaged; it is computed again")
        self._drop(name)

    def _tell(self, code: str, message: str) -> None:
        if code not in self._said:
            self._said.add(code)
            help = "use another store with --store PLACE, or none with --no-store"
            self.reporter.diagnostic(
                Diagnostic(code, message, Place(printable(self.place)), help, "warning")
            )
