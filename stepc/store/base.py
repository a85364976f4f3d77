"""The store: a content-addressed cache of pass results and model replies.

An entry's name is a hash of everything that its content depends on (`name_of`), so an entry is never out
of date: a result that depends on something else has another name. Each content is stored with its own
hash, and is used only if that hash is right. Contents are compressed JSON, never pickles.

On one machine the store is a SQLite file in WAL mode (`sqlite.py`): many processes share it, a kill loses
at most the entry that is being written, and small entries such as model replies do not each cost a file
(`benchmarks/store.py` compares it with LMDB and plain files). Several machines share a folder of
objects (`object_store.py`).
"""

from __future__ import annotations

import hashlib
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from stepc.diagnostics import Diagnostic, Place, printable

LAYOUT = 1
"""Of the file or the objects; one with another is left alone and a new one begun."""

FRESH = 24 * 3600
"""Seconds within which an entry's use is not noted again."""


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
