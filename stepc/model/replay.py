"""Cassettes: model calls recorded once and played back, keyed by what was asked."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

import orjson

from stepc.diagnostics import Place, fail, printable
from stepc.model.ask import Backend, Prompt
from stepc.video import Pictures


class Cassette:
    """A file of JSON lines, one call each, sorted by key."""

    def __init__(self, path: Path, *, torn: bool = False) -> None:
        self.path = path
        self.torn = torn
        """Whether half a last line is what a stopped recording left, and no mistake."""
        self.identity, self.templates = "", ""
        self.calls: dict[str, dict[str, object]] = {}
        if path.exists():
            self._load()

    def _load(self) -> None:
        place = Place(printable(str(self.path)))
        lines = self.path.read_bytes().splitlines(keepends=True)
        for number, line in enumerate(lines, 1):
            try:
                row = orjson.loads(line.rstrip())
                if number == 1:
                    self.identity, self.templates = row["model"], row["templates"]
                else:
                    self.calls[row["key"]] = row
            except (orjson.JSONDecodeError, KeyError, TypeError) as error:
                if self.torn and number == len(lines) > 1 and not line.endswith(b"\n"):
                    break
                message = f"line {number} is not a recorded call ({error})"
                raise fail("M003", message, place, "record the cassette again") from None

    def add(self, row: dict[str, object]) -> None:
        """Keep one call, in the file at once: what stops a run loses none."""
        if not self.calls and not self.path.exists():
            head = {"model": self.identity, "templates": self.templates}
            self.path.write_bytes(orjson.dumps(head) + b"\n")
        self.calls[str(row["key"])] = row
        with self.path.open("ab") as file:
            file.write(orjson.dumps(row) + b"\n")

    def save(self) -> None:
        """Write the file anew, sorted, whole or not at all."""
        head = {"model": self.identity, "templates": self.templates}
        rows = [head, *(self.calls[key] for key in sorted(self.calls))]
        partial = self.path.with_suffix(".partial")
        partial.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        partial.replace(self.path)


class Replay:
    """Plays a cassette; with a backend, records what is missing."""

    def __init__(self, path: Path, backend: Backend | None = None) -> None:
        if backend is None and not path.exists():
            help = "record one: --model MODEL --record FILE"
            raise fail("M002", "there is no such cassette", Place(printable(str(path))), help)
        self.cassette, self.backend = Cassette(path, torn=backend is not None), backend
        if backend is not None:
            self.cassette.identity = backend.identity
            self.cassette.templates = backend.templates
            if hasattr(backend, "keep"):
                backend.keep = self._keep
            if self.cassette.calls:
                self.cassette.save()  # without a torn last line
        self.identity = self.cassette.identity
        self.templates = self.cassette.templates

    def generate(self, prompts: Sequence[Prompt], pictures: Pictures) -> list[list[str]]:
        """The recorded texts. Raises StepcError (M001) for a call that was never recorded."""
        missing = [p for p in prompts if p.key not in self.cassette.calls]
        if missing and self.backend is None:
            raise fail(
                "M001",
                f"`{missing[0].request}` was never recorded: {missing[0].text!r}",
                Place(printable(str(self.cassette.path))),
                self._nearest(missing[0]),
            )
        if missing and self.backend is not None:
            given = self.backend.generate(missing, pictures)
            for prompt, texts in zip(missing, given, strict=True):
                if prompt.key not in self.cassette.calls:
                    self._keep(prompt, texts)
        return [list(self.cassette.calls[p.key]["replies"]) for p in prompts]  # type: ignore[call-overload]

    def _keep(self, prompt: Prompt, texts: list[str]) -> None:
        self.cassette.add(
            {
                "key": prompt.key,
                "request": prompt.request,
                "text": prompt.text,
                "frames": [[f.video[:12], f.at] for f in prompt.frames],
                "replies": texts,
            }
        )

    @property
    def calls(self) -> dict[str, dict[str, object]]:
        """What the recorded backend tells of its calls."""
        return getattr(self.backend, "calls", {})

    def close(self) -> None:
        """End a recording: the cassette is sorted, so that equal runs give equal files."""
        if self.backend is not None:
            self.cassette.save()

    def _nearest(self, prompt: Prompt) -> str:
        texts = [
            str(c["text"]) for c in self.cassette.calls.values() if c["request"] == prompt.request
        ]
        close = difflib.get_close_matches(prompt.text, texts, n=1, cutoff=0)
        again = "record again with --model MODEL --record FILE"
        return f"the nearest recorded one is {close[0]!r}; {again}" if close else again
