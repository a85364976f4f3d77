"""Loads a model by name: embedded, hub id, folder, OpenAI-compatible server, or cassette."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepc.diagnostics import Place, fail, printable
from stepc.model.backends import EMBEDDED, backend_type, identity_of
from stepc.model.batching import Shared
from stepc.model.cassette import CachedBackend, Recording, ReplayBackend
from stepc.model.client import Backend, ModelClient, Together
from stepc.model.openai_compatible import ServerModel
from stepc.model.server_features import Features
from stepc.model.server_options import ServerOptions
from stepc.model.transformers import LocalOptions
from stepc.reporter import SILENT, Reporter
from stepc.store.base import Store, name_of
from stepc.video.decode import Pictures

if TYPE_CHECKING:
    from stepc.model.templates import Templates


WINDOW = 4
"""Keyframes that are asked about before others, for each call in flight: few pictures for a server to keep,
and enough calls for it to be busy."""


@dataclass(frozen=True)
class ModelConfig:
    """Which model to use, and how to call it."""

    name: str = EMBEDDED
    """`embedded`, `replay:FILE`, `openai:MODEL` (a server), a hub id, or a folder."""
    templates: str | None = None
    """Template set or folder; None uses the model's own set."""
    local: LocalOptions = field(default_factory=LocalOptions)
    server: ServerOptions = field(default_factory=ServerOptions)
    together: int | None = None
    """Maximum requests about the same keyframes per call; None uses the model's own limit."""
    video: bool = False
    """Whether the keyframes of one clip are sent as a video."""
    record: Path | None = None
    """Cassette that records all calls."""
    redact: tuple[str, ...] = ()
    """Regular expressions; matches are removed from the cassette and from the replies."""
    trace: Path | None = None
    """JSONL file that receives one line per call (see `ModelClient.trace`)."""


def load(
    choice: ModelConfig | str,
    pictures: Pictures,
    *,
    seed: int = 0,
    store: Store | None = None,
    shared: Shared | None = None,
    reporter: Reporter = SILENT,
) -> ModelClient:
    """Return a client for the chosen model. Raises StepcError (M002-M005, M007, U001, B014).

    With a store, cached calls are answered from it, and the model is loaded on the first cache miss.
    With `shared`, all clients that pass the same object load the model once.
    """
    if isinstance(choice, str):
        choice = ModelConfig(choice)
    for place, option in ((choice.record, "--record"), (choice.trace, "--trace")):
        if place is not None:
            _writable(place, option)
    patterns = [_pattern(text) for text in choice.redact]
    kind, name = backend_type(choice.name)
    kind.check(name, choice)
    recorded = choice.record is not None and kind.recordable
    if patterns and not recorded:
        help = "name a cassette: --record FILE"
        raise fail("U001", "--redact requires a recording", Place("--redact"), help)

    def make() -> Backend:
        return alone() if shared is None else shared.over(alone)

    def alone() -> Backend:
        backend = kind.open(name, choice)
        if isinstance(backend, ServerModel):
            backend.reporter = reporter
            known = identity_of(choice)
            if store is not None and known is not None:
                backend.memory = FeatureMemory(store, known)
        if choice.record is not None and recorded:
            most = backend.together if choice.together is None else choice.together
            spoken = choice.templates or backend.templates or "default"
            return ReplayBackend(choice.record, Recording(backend, spoken, most, patterns))
        return backend

    key = None if store is None or recorded else identity_of(choice)
    backend: Backend
    if store is None or key is None:
        backend = make()
    else:
        about = kind.facts(name, choice)
        backend = CachedBackend(store, make, key, about.identity, about.templates, about.together)
    most = backend.together if choice.together is None else choice.together
    chosen = _templates(choice, backend.templates)
    window = WINDOW * choice.server.at_once if kind.remote else None
    return ModelClient(backend, chosen, pictures, seed, trace=choice.trace, together=most,
                 video=choice.video, window=window)  # fmt: skip


@dataclass(frozen=True)
class FeatureMemory:
    """What a server can do, kept in a store between runs."""

    store: Store
    server: str
    """The identity of the model and the server."""

    def load(self) -> Features | None:
        """The features of an earlier run; None if there are none."""
        facts = known_features(self.store, self.server)
        return Features.from_facts(facts) if facts else None

    def save(self, features: Features) -> None:
        """Keep features for later runs."""
        self.store.put(name_of("server", self.server), "server", b"", features.facts())


def known_features(store: Store, server: str) -> dict[str, Any] | None:
    """The facts about a server that an earlier run stored; None if there are none."""
    entry = store.get(name_of("server", server))
    try:
        return Features.from_facts(entry.facts).facts() if entry is not None else None
    except ValueError:
        return None


def together(choice: ModelConfig) -> Together:
    """Return the maximum requests about the same keyframes per call, without loading the model."""
    if choice.together is not None:
        return choice.together
    kind, name = backend_type(choice.name)
    return kind.facts(name, choice).together


def lacking(choice: ModelConfig) -> frozenset[str]:
    """Return the requests that the model's template set does not have, without loading the model."""
    kind, name = backend_type(choice.name)
    return _templates(choice, kind.facts(name, choice).templates).lacking


def _templates(choice: ModelConfig, own: str) -> Templates:
    """The templates of a model whose own files name the set `own`. Raises TemplateError (M005)."""
    from stepc.model.templates import TEMPLATE_SETS, Templates, spoken_to

    if choice.templates is None:
        return Templates(spoken_to(choice.name, own))
    return Templates(choice.templates, own if own in TEMPLATE_SETS else "default")


def _writable(place: Path, option: str) -> None:
    """Check before the first call that a file can be written. Raises StepcError (B014)."""
    why = ""
    if place.is_dir():
        why = "it is a folder"
    elif not place.parent.is_dir():
        why = "its folder does not exist"
    elif not os.access(place if place.exists() else place.parent, os.W_OK):
        why = "permission denied"
    if why:
        shown = printable(str(place))
        raise fail("B014", f"`{shown}` cannot be written ({why})", Place(option), "name a file")


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        message = f"`{text}` is not a regular expression: {error}"
        raise fail("U001", message, Place("--redact"), "for example '[0-9]{16}'") from None


__all__ = ["EMBEDDED", "ModelConfig", "identity_of", "lacking", "load", "together"]
