"""Cassettes: recorded model calls that are played back, keyed by a hash of the request."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from stepc.diagnostics import Place, fail, printable
from stepc.model.client import Backend, Call, Completion, Together
from stepc.model.reply import ModelReply
from stepc.runtime.atomic_files import read_regular, write_whole
from stepc.store.base import Store, name_of
from stepc.video.decode import Pictures


class Cassette:
    """A JSONL file: a header, then one recorded call per line, sorted by key."""

    def __init__(self, path: Path, *, torn: bool = False) -> None:
        self.path = path
        self.torn = torn
        """Whether to accept an incomplete last line, which an interrupted recording leaves behind."""
        self.identity, self.templates = "", ""
        self.together: Together = 1
        self.calls: dict[str, dict[str, object]] = {}
        if path.exists():
            self._load()

    def _load(self) -> None:
        place = Place(printable(str(self.path)))
        try:
            lines = read_regular(self.path).splitlines(keepends=True)
        except OSError as error:
            why = error.strerror or str(error)
            raise fail("M003", f"the cassette cannot be read ({why})", place) from None
        for number, line in enumerate(lines, 1):
            try:
                row = orjson.loads(line.rstrip())
                if number == 1:
                    self.identity, self.templates = _text(row["model"]), _text(row["templates"])
                    self.together = _together(row.get("together", 1))
                else:
                    row_replies(row)
                    for name in ("request", "text"):
                        _text(row[name])
                    for video, at in row["frames"]:
                        _text(video), int(at)
                    self.calls[_text(row["key"])] = row
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                if self.torn and number == len(lines) > 1 and not line.endswith(b"\n"):
                    break
                message = f"line {number} is not a recorded call ({error})"
                raise fail("M003", message, place, "record the cassette again") from None

    def _head(self) -> dict[str, object]:
        head: dict[str, object] = {"model": self.identity, "templates": self.templates}
        return head if self.together == 1 else {**head, "together": self.together}

    def add(self, row: dict[str, object]) -> None:
        """Add one call and append it to the file immediately, so that an interrupted run loses none."""
        if not self.calls and not self.path.exists():
            self.path.write_bytes(orjson.dumps(self._head()) + b"\n")
        self.calls[str(row["key"])] = row
        with self.path.open("ab") as file:
            file.write(orjson.dumps(row) + b"\n")

    def save(self) -> None:
        """Rewrite the file, sorted by key, atomically."""
        rows = [self._head(), *(self.calls[key] for key in sorted(self.calls))]
        write_whole(self.path, b"".join(orjson.dumps(row) + b"\n" for row in rows))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{str(value)[:40]} is not a text")
    return value


def _together(value: object) -> Together:
    known = value.values() if isinstance(value, dict) else [value]
    if not all(isinstance(n, int) and n > 0 for n in known):
        raise ValueError("`together` is not a number of requests")
    return value  # type: ignore[return-value]


def row_replies(row: dict[str, object]) -> tuple[ModelReply, ...]:
    """The replies of a recorded call. Raises ValueError if they are none."""
    replies = row.get("replies")
    if not isinstance(replies, list):
        raise ValueError("a recorded call without replies")
    return tuple(map(ModelReply.load, replies))


@dataclass(frozen=True)
class Recording:
    """The backend to record, and how it is called; the cassette stores the same settings."""

    backend: Backend
    templates: str = "default"
    together: Together = 1
    redact: Sequence[re.Pattern[str]] = ()
    """Patterns replaced by `[redacted]` in the cassette and in the replies that are returned."""


@dataclass
class CachedBackend:
    """Answers cached calls from a store; creates the backend on the first cache miss."""

    store: Store
    make: Callable[[], Backend]
    known: str
    """The model's identity in the cache key."""
    identity: str
    templates: str
    together: Together
    _backend: Backend | None = None

    def generate(
        self, prompts: Iterable[Call], pictures: Pictures, done: Callable[[Completion], None]
    ) -> None:
        """Answer cached calls from the store; send the others to the backend and cache the replies.

        A failed reply is not cached, so that the next run asks for that sample again.
        """
        prompts = list(prompts)
        missing: dict[str, tuple[Call, list[ModelReply | None]]] = {}
        for prompt in prompts:
            known = self._known(prompt)
            left = [s for s, reply in zip(prompt.seeds, known, strict=True) if reply is None]
            if left:
                missing[prompt.key] = replace(prompt, seeds=tuple(left)), known
            else:
                done(Completion(prompt, tuple(r for r in known if r), asked=False))
        whole = {prompt.key: prompt for prompt in prompts}

        def keep(call: Completion) -> None:
            prompt, (_, known) = whole[call.prompt.key], missing[call.prompt.key]
            new = iter(call.replies)
            replies = tuple(next(new) if r is None else r for r in known)
            kept = [None if prompt.failed(r) else r.stored() for r in replies]
            if any(kept):
                self.store.put_call(self._name(prompt), orjson.dumps(kept))
            done(replace(call, prompt=prompt, replies=replies))

        if missing:
            self.backend().generate([call for call, _ in missing.values()], pictures, keep)

    def _known(self, prompt: Call) -> list[ModelReply | None]:
        """The cached reply of each sample; None for those that are not cached, because they failed."""
        content = self.store.get_call(self._name(prompt))
        try:
            stored = orjson.loads(content) if content is not None else []
            replies = [None if r is None else ModelReply.load(r) for r in stored]
        except ValueError:  # another program's entry
            replies = []
        return replies if len(replies) == len(prompt.seeds) else [None] * len(prompt.seeds)

    @property
    def inner(self) -> Backend | None:
        """The backend, if it was created."""
        return self._backend

    def backend(self) -> Backend:
        """Return the backend, created on first use. Raises StepcError (M002-M005, M007)."""
        if self._backend is None:
            self._backend = self.make()
        return self._backend

    def _name(self, prompt: Call) -> bytes:
        return name_of("call", self.known, prompt.whole or prompt.key)


class ReplayBackend:
    """Plays a cassette back. With a `Recording`, sends missing calls to its backend and records them."""

    def __init__(self, path: Path, recorded: Recording | None = None) -> None:
        if recorded is None and not path.exists():
            help = "record one: --model MODEL --record FILE"
            raise fail("M002", "the cassette does not exist", Place(printable(str(path))), help)
        self.cassette = Cassette(path, torn=recorded is not None)
        self.backend = self.inner = recorded.backend if recorded else None
        self.redact = recorded.redact if recorded else ()
        if recorded is not None:
            self.cassette.identity = recorded.backend.identity
            self.cassette.templates = recorded.templates
            self.cassette.together = recorded.together
            if self.cassette.calls:
                self.cassette.save()  # drops an incomplete last line
        self.identity = self.cassette.identity
        self.templates = self.cassette.templates
        self.together = self.cassette.together

    def generate(
        self, prompts: Iterable[Call], pictures: Pictures, done: Callable[[Completion], None]
    ) -> None:
        """Answer from the recorded calls. While recording, calls with a failed reply are repeated.

        Without a recording backend, raises StepcError (M001) for a call that was never recorded.
        """
        missing = []
        for prompt in prompts:
            row = self.cassette.calls.get(prompt.key)
            replies = row_replies(row) if row is not None else ()
            if replies and not (self.backend and any(map(prompt.failed, replies))):
                done(Completion(prompt, replies))
            elif self.backend is None:
                message = f"`{prompt.request}` was never recorded: {prompt.text!r}"
                place = Place(printable(str(self.cassette.path)))
                raise fail("M001", message, place, self._nearest(prompt))
            else:
                missing.append(prompt)

        def keep(call: Completion) -> None:
            call = replace(call, replies=tuple(map(self._redacted_reply, call.replies)))
            self._keep(call)
            done(call)

        if missing and self.backend is not None:
            self.backend.generate(missing, pictures, keep)

    def _redacted_reply(self, reply: ModelReply) -> ModelReply:
        text, thought, refusal = map(self._redacted, (reply.text, reply.thought, reply.refusal))
        return replace(reply, text=text, thought=thought, refusal=refusal)

    def _redacted(self, text: str) -> str:
        for pattern in self.redact:
            text = pattern.sub("[redacted]", text)
        return text

    def _keep(self, call: Completion) -> None:
        prompt = call.prompt
        self.cassette.add(
            {
                "key": prompt.key,
                "request": prompt.request,
                "text": self._redacted(prompt.text),
                "frames": [[f.video[:12], f.at] for f in prompt.frames],
                "replies": [reply.stored() for reply in call.replies],
            }
        )

    def close(self) -> None:
        """Finish a recording: sorts the cassette, so that equal runs produce equal files."""
        if self.backend is not None:
            self.cassette.save()

    def _nearest(self, prompt: Call) -> str:
        texts = [
            str(c["text"]) for c in self.cassette.calls.values() if c["request"] == prompt.request
        ]
        close = difflib.get_close_matches(prompt.text, texts, n=1, cutoff=0)
        again = "record again with --model MODEL --record FILE"
        return f"the closest recorded call is {close[0]!r}; {again}" if close else again
