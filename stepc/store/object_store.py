"""A store that several machines reach: objects in a shared folder or an object storage.

Where it is is a URL that fsspec knows: `file:///shared/store`, `s3://bucket/store`, `gs://bucket/store`.
An object is a line of JSON and the compressed content. It appears whole: storages put an object so,
and in a folder it is renamed when it is written.

What a pass made is an object. A model's replies, hundreds a video and a few hundred bytes each, would cost
more to put than to keep: those about one video are packed, as many as came in some seconds or until
a pass ended, and all packs of a video are read when the first of them is asked for.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from stepc.diagnostics import Diagnostic
from stepc.store.base import FRESH, LAYOUT, Entry, Head, Store

PACKED = 10.0
"""Seconds for which replies wait to be packed at most."""


class Objects(Store):
    """A store at a URL. What was not used for longest is not known there: `by_use` goes by when an
    entry was written."""

    def __init__(
        self, url: str, say: Callable[[Diagnostic], None] = lambda diagnostic: None
    ) -> None:
        super().__init__(say)
        self.place, self.root = url, ""
        self.files: Any = None
        self._last: tuple[bytes, bytes] = (b"", b"")
        """The entry that was found last: who finds one reads it next."""
        self._video = ""
        self._packs: dict[str, str] | None = None
        """The replies about the present video; None: not read yet."""
        self._new: dict[str, str] = {}
        """Those of them that are not yet kept."""
        self._since = 0.0
        try:
            import fsspec

            self.files, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
            self.root = f"{root.rstrip('/')}/v{LAYOUT}"
            self._renames = "file" in self._protocols()
        except Exception as error:  # what a storage's client raises is its own affair
            self.files = None
            self._tell("B015", f"the store cannot be used ({_why(error)})")

    def stats(self) -> list[tuple[str, int, int]]:
        """Number of entries and their bytes; what made them is in the objects alone."""
        sizes = [size for _, size in self.by_use()]
        return [("objects", len(sizes), sum(sizes))] if sizes else []

    def by_use(self) -> list[tuple[bytes, int]]:
        """Name and bytes of every entry, first those that were written before all others."""
        found = self._done(lambda files: files.find(self.root, detail=True)) or {}
        rows = []
        for path, about in found.items():
            name = self._name(path)
            if name is not None:
                rows.append((_time(about), name, int(about["size"])))
        return [(name, size) for _, name, size in sorted(rows)]

    def close(self) -> None:
        """Leave the store."""
        self.about("")
        self.files = None

    def about(self, video: str) -> None:
        """What is called from now on is about this video; what was is packed."""
        self._pack()
        self._video, self._packs = video, None

    def call(self, name: bytes) -> bytes | None:
        """What a model replied about the present video."""
        if not self._video:
            return super().call(name)
        if self._packs is None:
            self._packs = self._unpacked()
        found = self._packs.get(name.hex())
        return None if found is None else found.encode()

    def keep_call(self, name: bytes, content: bytes) -> None:
        """Keep what a model replied, with others about the same video."""
        if not self._video:
            return super().keep_call(name, content)
        if self._packs is None:
            self._packs = self._unpacked()
        now = time.monotonic()
        self._since = self._since if self._new else now
        self._new[name.hex()] = self._packs[name.hex()] = content.decode()
        if now - self._since > PACKED:
            self._pack()

    def _pack(self) -> None:
        """Keep the replies that wait."""
        if self._new:
            content, self._new = orjson.dumps(self._new, option=orjson.OPT_SORT_KEYS), {}
            name = f"calls/{self._video[:2]}/{self._video}/{hashlib.sha256(content).hexdigest()}"
            super().keep(name.encode(), "calls", content, {})

    def _unpacked(self) -> dict[str, str]:
        """All replies about the present video."""
        folder = f"{self.root}/calls/{self._video[:2]}/{self._video}"
        made: dict[str, str] = {}
        with contextlib.suppress(FileNotFoundError):
            for path in self._done(lambda files: files.find(folder), FileNotFoundError) or ():
                name = self._name(path)
                content = super().call(name) if name is not None else None
                made |= orjson.loads(content) if content is not None else {}
        return made

    def _use(self, name: bytes) -> None:
        """Is not noted: an object's time is that of its writing."""

    def _shrink(self) -> None:
        """Remove what was being written when a machine stopped, a day ago or more."""
        old = time.time() - FRESH
        found = self._done(lambda files: files.find(self.root, detail=True)) or {}
        for path, about in found.items():
            if self._name(path) is None and _time(about) < old:
                with contextlib.suppress(FileNotFoundError):
                    self._done(functools.partial(_remove, path), FileNotFoundError)

    def _protocols(self) -> tuple[str, ...]:
        told = getattr(self.files, "protocol", ())
        return (told,) if isinstance(told, str) else tuple(told)

    def _path(self, name: bytes) -> str:
        """Where an entry is: by its hash, or as a pack is called."""
        text = name.hex() if len(name) == 32 else ""
        return f"{self.root}/{text[:2]}/{text}" if text else f"{self.root}/{name.decode()}"

    def _name(self, path: str) -> bytes | None:
        """The name of the entry at a path; None if there is none."""
        name = path.rpartition("/")[2]
        if len(name) != 64 or not set(name) <= set("0123456789abcdef"):
            return None
        within = path.partition(f"{self.root}/calls/")[2]
        return f"calls/{within}".encode() if within else bytes.fromhex(name)

    def _whole(self, name: bytes) -> bytes | None:
        """An object."""
        path = self._path(name)
        try:
            data: bytes | None = self._done(lambda files: files.cat_file(path), FileNotFoundError)
        except FileNotFoundError:
            return None
        return data

    def _head(self, name: bytes) -> Head | None:
        data = self._whole(name)
        if data is None:
            return None
        self._last = (bytes(name), data)
        try:
            told = orjson.loads(data[: data.index(b"\n")])
            facts, mark = told["facts"].encode(), bytes.fromhex(told["mark"])
            return Head(bytes.fromhex(told["hash"]), facts, mark, told["used"])
        except (ValueError, KeyError, TypeError, AttributeError):
            self._damaged(name)
            return None

    def _content(self, name: bytes) -> bytes | None:
        last, data = self._last
        self._last = (b"", b"")
        if last != bytes(name):
            data = self._whole(name) or b""
        head, _, packed = data.partition(b"\n")
        return packed if head else None

    def keep(self, name: bytes, kind: str, content: bytes, facts: dict[str, Any]) -> Entry:
        """Keep a content under its name; the replies that it was made of before it."""
        self._pack()
        return super().keep(name, kind, content, facts)

    def _put(self, name: bytes, kind: str, head: Head, packed: bytes) -> None:
        told = {
            "kind": kind,
            "hash": head.hash.hex(),
            "facts": head.facts.decode(),
            "mark": head.mark.hex(),
            "used": head.used,
        }
        path, data = self._path(name), orjson.dumps(told) + b"\n" + packed

        def put(files: Any) -> None:
            if not self._renames:
                files.pipe_file(path, data)
                return
            partial = f"{path}.{uuid.uuid4().hex}"
            files.makedirs(path.rpartition("/")[0], exist_ok=True)
            try:
                files.pipe_file(partial, data)
                Path(partial).replace(path)
            except BaseException:
                if files.exists(partial):
                    files.rm_file(partial)
                raise

        self._done(put)

    def _drop(self, name: bytes) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._done(functools.partial(_remove, self._path(name)), FileNotFoundError)

    def _done(self, what: Callable[[Any], Any], *raised: type[Exception]) -> Any:
        """What is done with the files; what goes wrong is said, or raised if it is one of `raised`."""
        if self.files is None:
            return None
        try:
            return what(self.files)
        except raised:
            raise
        except Exception as error:  # what a storage's client raises is its own affair
            self._tell("B015", f"the store cannot be used ({_why(error)})")
            return None


def _remove(path: str, files: Any) -> None:
    files.rm_file(path)


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _time(about: dict[str, Any]) -> float:
    """When an object was written, as its storage tells it."""
    for key in ("mtime", "LastModified", "last_modified", "updated", "created"):
        told = about.get(key)
        if isinstance(told, datetime):
            return told.timestamp()
        if isinstance(told, str):
            try:
                return datetime.fromisoformat(told).timestamp()
            except ValueError:
                continue
        if isinstance(told, int | float):
            return float(told)
    return 0.0
