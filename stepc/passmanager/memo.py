"""Keys of pass results in a store, and reasons why a pass has to run again."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from stepc.diagnostics import Place, Statistics, StepcError, fail
from stepc.ir.types import Unit, from_json
from stepc.passmanager.base import Pass
from stepc.passmanager.code_keys import CodeKey, pass_key
from stepc.store.base import Entry, Store, name_of


@dataclass
class PassResult:
    """Result of a pass: the unit, its seconds, and its counts."""

    name: str
    load: Callable[[], Unit]
    """Returns the unit."""
    seconds: float
    counts: Statistics
    why: str = ""
    """Why the pass ran; empty without a store."""
    found: bool = False
    """Whether the result came from the store."""

    @functools.cached_property
    def unit(self) -> Unit:
        """The unit after the pass. Raises StepcError (B016) if the store has lost it."""
        return self.load()


MOST_NAMED = 4
"""Maximum number of changed modules, files and packages to name."""
INPUT_NAMES = {
    "decoding": "--keep-decodable",
    "model": "the model or how it is asked",
    "seed": "the seed",
    "drawing": "what the spec draws",
    "wording": "the spec's words",
    "vocabulary": "the spec's vocabulary",
}


@dataclass
class Memo:
    """Pass results in a store, by the pass, its input, and everything it uses."""

    store: Store
    depends: Callable[[str], Any]
    """Returns JSON that identifies an input in `Pass.uses`, by its name."""
    video: str = ""
    """The name of the video's file, for passes that read files about it."""

    def of(self, video: str) -> Memo:
        """The memo for a video, given the name of its file."""
        return replace(self, video=video)

    def name(self, p: Pass[Any, Any], content: bytes) -> bytes:
        """The store key of the result of a pass on a unit whose JSON has the hash `content`."""
        code = pass_key(type(p), p.uses).digest
        inputs = {thing: self.depends(thing) for thing in sorted(p.uses)}
        inputs |= {"files": read} if (read := p.reads(self.video)) else {}
        return name_of("pass", p.name, code, p.model_dump(mode="json"), content.hex(), inputs)

    def chain(self, passes: list[Pass[Any, Any]], content: bytes) -> list[Entry]:
        """The stored results of the first passes, up to the first one that is missing."""
        found: list[Entry] = []
        for p in passes:
            entry = self.store.get(self.name(p, content))
            counts = entry.facts.get("counts") if entry is not None else None
            if entry is None or not isinstance(counts, dict):
                break
            if not all(type(n) is int for n in counts.values()):
                break
            found.append(entry)
            content = entry.hash
        return found

    def found(
        self, passes: list[Pass[Any, Any]], content: bytes
    ) -> tuple[list[Entry], Unit] | None:
        """The chain and its last unit, without damaged entries. Returns None if the chain is empty."""
        chain = self.chain(passes, content)
        while chain:
            stored = self.store.read(chain[-1])
            with contextlib.suppress(StepcError):  # content that no pass of this version wrote
                if stored is not None:
                    return chain, from_json(stored)
            chain.pop()
        return None

    def load(self, entry: Entry) -> Unit:
        """Load a stored unit. Raises StepcError (B016) if it is missing or damaged."""
        content = self.store.read(entry)
        if content is None:
            message = "a stored result is missing or damaged"
            raise fail("B016", message, Place(self.store.place), "run again")
        return from_json(content)

    def put(self, p: Pass[Any, Any], before: bytes, unit: Unit, done: PassResult) -> Entry:
        """Store the result of a pass."""
        facts = {"counts": dict(done.counts), "seconds": round(done.seconds, 6)}
        return self.store.put(self.name(p, before), p.name, unit.to_json(), facts)

    def why(self, p: Pass[Any, Any], place: int, unit: Unit, before: bytes) -> str:
        """Why the pass at this place in the pipeline has to run on a video. Records this run."""
        code = pass_key(type(p), p.uses)
        now: dict[str, Any] = {
            "its input": before.hex(),
            "code": code.digest,
            **{f"its option {k}": v for k, v in p.model_dump(mode="json").items()},
            **{INPUT_NAMES[x]: name_of(self.depends(x)).hex() for x in sorted(p.uses)},
            **({"the files that it reads": read} if (read := p.reads(self.video)) else {}),
        }
        name = name_of("last", unit.video.sha256, unit.name, place, p.name)
        last = self.store.get(name)
        self.store.put(name, "last", b"", now)
        self._note_code(code)
        if last is None:
            return "not in the store yet"
        shown: list[str] = []
        for k, v in now.items():
            was = last.facts.get(k)
            if was == v:
                continue
            if k == "code":
                shown += self._changed(str(was), code)
            else:
                shown.append(f"{k}, {was} → {v}" if k.startswith("its option") else k)
        return f"changed: {'; '.join(shown)}" if shown else "no longer in the store"

    def _note_code(self, code: CodeKey) -> None:
        """Store the parts of a code key once, so that a later run can name what changed."""
        name = name_of("code", code.digest)
        if self.store.get(name) is None:
            self.store.put(name, "code", b"", code.parts)

    def _changed(self, was: str, now: CodeKey) -> list[str]:
        """Names of the modules, data files and packages in which two code keys differ."""
        entry = self.store.get(name_of("code", was))
        if entry is None:
            return ["the code"]
        names = sorted(
            n for n in {*entry.facts, *now.parts} if entry.facts.get(n) != now.parts.get(n)
        )
        few = names[:MOST_NAMED]
        return [*few, f"and {len(names) - len(few)} more"] if len(names) > len(few) else few


def hash_of(unit: Unit) -> bytes:
    """SHA-256 of a unit's JSON, as used in store keys."""
    return hashlib.sha256(unit.to_json()).digest()
