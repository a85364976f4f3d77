"""A store shared by several machines: objects in a shared folder or an object storage.

Its place is any URL that fsspec supports: `file:///shared/store`, `s3://bucket/store`,
`gs://bucket/store`. An object is a line of JSON followed by the compressed content. Writes are atomic:
object storages guarantee this, and in a folder a finished file is renamed.

Each pass result is one object. Model replies number hundreds per video at a few hundred bytes each, too
small for an object each: the replies about one video are packed into one object every `PACKED` seconds
and at the end of a pass. The first lookup for a video reads all of its packs.
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

from stepc.reporter import SILENT, Reporter
from stepc.store.base import FRESH, LAYOUT, Entry, Head, Store

PACKED = 10.0
"""Maximum seconds that replies wait before they are packed. Checked when a reply is put."""


class Objects(Store):
    """A store at a URL. Times of last use are not recorded, so `by_use` sorts by time of writing."""

    def __init__(self, url: str, reporter: Reporter = SILENT) -> None:
        super().__init__(reporter)
        self.place, self.root = url, ""
        self.files: Any = None
        self._last: tuple[bytes, bytes] = (b"", b"")
        """Name and data of the last entry found, since callers usually read it next."""
        self._video = ""
        self._packs: dict[str, str] | None = None
        """The replies about the current video; None before they are read."""
        self._new: dict[str, str] = {}
        """Replies that are not yet packed."""
        self._since = 0.0
        self._renames = False
        """Whether objects are local files, which are written to another name and renamed."""
        try:
            import fsspec

            self.files, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
            self.root = f"{root.rstrip('/')}/v{LAYOUT}"
            self._renames = "file" in self._protocols()
        except Exception as error:  # storage clients may raise anything
            self.files = None
            self._tell("B015", f"the store cannot be used ({_why(error)})")

    def stats(self) -> list[tuple[str, int, int]]:
        """Return the number of objects and their bytes. Kinds are unknown without reading the objects."""
        sizes = [size for _, size in self.by_use()]
        return [("objects", len(sizes), sum(sizes))] if sizes else []

    def by_use(self) -> list[tuple[bytes, int]]:
        """Return (name, bytes) of every entry, oldest first."""
        found = self._done(lambda files: files.find(self.root, detail=True)) or {}
        rows = []
        for path, about in found.items():
            name = self._name(path)
            if name is not None:
                rows.append((_time(about), name, int(about["size"])))
        return [(name, size) for _, name, size in sorted(rows)]

    def close(self) -> None:
        """Pack pending replies and release all resources."""
        self.about("")
        self.files = None

    def about(self, video: str) -> None:
        """Pack pending replies; set the video that the following calls belong to."""
        self._pack()
        self._video, self._packs = video, None

    def get_call(self, name: bytes) -> bytes | None:
        """Get a cached reply about the current video; None if it is missing."""
        if not self._video:
            return super().get_call(name)
        if self._packs is None:
            self._packs = self._unpacked()
        found = self._packs.get(name.hex())
        return None if found is None else found.encode()

    def put_call(self, name: bytes, content: bytes) -> None:
        """Put a reply; it is packed later with others about the current video."""
        if not self._video:
            return super().put_call(name, content)
        if self._packs is None:
            self._packs = self._unpacked()
        now = time.monotonic()
        self._since = self._since if self._new else now
        self._new[name.hex()] = self._packs[name.hex()] = content.decode()
        if now - self._since > PACKED:
            self._pack()

    def _pack(self) -> None:
        """Write the pending replies as one object."""
        if self._new:
            content, self._new = orjson.dumps(self._new, option=orjson.OPT_SORT_KEYS), {}
            name = f"calls/{self._video[:2]}/{self._video}/{hashlib.sha256(content).hexdigest()}"
            super().put(name.encode(), "calls", content, {})

    def _unpacked(self) -> dict[str, str]:
        """Read all packed replies about the current video."""
        folder = f"{self.root}/calls/{self._video[:2]}/{self._video}"
        made: dict[str, str] = {}
        with contextlib.suppress(FileNotFoundError):
            for path in self._done(lambda files: files.find(folder), FileNotFoundError) or ():
                name = self._name(path)
                content = super().get_call(name) if name is not None else None
                made |= _pack(content) if content is not None else {}
        return made

    def _use(self, name: bytes) -> None:
        """Do nothing: times of last use are not recorded."""

    def _shrink(self) -> None:
        """Remove partial files that interrupted writes left behind, if they are older than `FRESH`."""
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
        """Return the path of an entry, derived from its hash, or of a pack."""
        text = name.hex() if len(name) == 32 else ""
        return f"{self.root}/{text[:2]}/{text}" if text else f"{self.root}/{name.decode()}"

    def _name(self, path: str) -> bytes | None:
        """Return the name of the entry at a path; None if the path is not an entry."""
        name = path.rpartition("/")[2]
        if len(name) != 64 or not set(name) <= set("0123456789abcdef"):
            return None
        within = path.partition(f"{self.root}/calls/")[2]
        return f"calls/{within}".encode() if within else bytes.fromhex(name)

    def _whole(self, name: bytes) -> bytes | None:
        """Read an object; None if it is missing."""
        path = self._path(name)
        try:
            if self._renames and not Path(path).is_file():  # a pipe, which would wait for ever
                return None
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

    def put(self, name: bytes, kind: str, content: bytes, facts: dict[str, Any]) -> Entry:
        """Put a content under a name, after the pending replies it depends on."""
        self._pack()
        return super().put(name, kind, content, facts)

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
        """Run `what` on the file system. Reports errors as B015, except those in `raised`."""
        if self.files is None:
            return None
        try:
            return what(self.files)
        except raised:
            raise
        except Exception as error:  # storage clients may raise anything
            self._tell("B015", f"the store cannot be used ({_why(error)})")
            return None


def _pack(content: bytes) -> dict[str, str]:
    """The replies in a pack; none if it holds something else."""
    try:
        told = orjson.loads(content)
    except ValueError:
        return {}
    return {k: v for k, v in told.items() if isinstance(v, str)} if isinstance(told, dict) else {}


def _remove(path: str, files: Any) -> None:
    files.rm_file(path)


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _time(about: dict[str, Any]) -> float:
    """Return the time an object was written, from its storage's metadata; 0 if unknown."""
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
