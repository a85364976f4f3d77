"""A model by name: the embedded one, a hub id or a folder, one behind a server, or a cassette."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from stepc.diagnostics import Place, fail, printable
from stepc.model.batching import Shared
from stepc.model.cassette import CachedBackend, Recording, ReplayBackend
from stepc.model.client import Backend, ModelClient, Together
from stepc.model.openai_compatible import ServerModel, ServerOptions, address
from stepc.model.templates import Templates, spoken_to
from stepc.model.transformers import (
    EMBEDDED,
    TOGETHER,
    LocalOptions,
    ModelSettings,
    TransformersModel,
    identity,
    settings,
)
from stepc.store.base import Store
from stepc.video.decode import Pictures, digest


@dataclass(frozen=True)
class ModelConfig:
    """Which model, and how it is asked."""

    name: str = EMBEDDED
    """`embedded`, `replay:FILE`, `openai:MODEL` behind a server, or a hub id or folder."""
    templates: str | None = None
    """A set or a folder of them; without, the model's own."""
    local: LocalOptions = field(default_factory=LocalOptions)
    server: ServerOptions = field(default_factory=ServerOptions)
    together: int | None = None
    """The most requests about the same keyframes in one call; without, what suits the model."""
    video: bool = False
    """Whether keyframes of one clip are shown as a video."""
    record: Path | None = None
    """A cassette that keeps all calls."""
    redact: tuple[str, ...] = ()
    """Patterns of what is to be kept out of it, and of all that is made of the replies."""
    trace: Path | None = None


def load(
    choice: ModelConfig | str,
    pictures: Pictures,
    *,
    seed: int = 0,
    store: Store | None = None,
    shared: Shared | None = None,
) -> ModelClient:
    """The chosen model, ready to be asked. Raises StepcError (M002-M005, M007, U001, B014).

    With a store what it was asked before is not asked again, and it is loaded when it is first
    asked something new. What is `shared` is loaded once for all askers that share it.
    """
    if isinstance(choice, str):
        choice = ModelConfig(choice)
    for place, option in ((choice.record, "--record"), (choice.trace, "--trace")):
        if place is not None:
            _writable(place, option)
    patterns = [_pattern(text) for text in choice.redact]
    if choice.name.startswith("openai:"):
        address(choice.server)
        if choice.name == "openai:":
            help = "such as openai:gpt-4o, or what the server lists at /v1/models"
            raise fail("U001", "no model is named", Place("--model"), help)
    recorded = choice.record is not None and not choice.name.startswith("replay:")
    if patterns and not recorded:
        help = "name a cassette: --record FILE"
        raise fail("U001", "nothing is recorded that could be redacted", Place("--redact"), help)

    def make() -> Backend:
        return alone() if shared is None else shared.over(alone)

    def alone() -> Backend:
        backend: Backend
        if choice.name.startswith("replay:"):
            return ReplayBackend(Path(choice.name.removeprefix("replay:")))
        if choice.name.startswith("openai:"):
            backend = ServerModel(choice.name.removeprefix("openai:"), choice.server)
        else:
            backend = TransformersModel(choice.name, choice.local)
        if choice.record is not None:
            most = backend.together if choice.together is None else choice.together
            spoken = choice.templates or backend.templates or "default"
            return ReplayBackend(choice.record, Recording(backend, spoken, most, patterns))
        return backend

    known = None if store is None or recorded else identity_of(choice)
    backend: Backend
    if store is None or known is None:
        backend = make()
    else:
        own = settings(choice.name) if ":" not in choice.name else ModelSettings()
        shown, templates, most = known, own.templates, together(choice)
        if choice.name.startswith("openai:"):
            shown = choice.name
        if choice.name.startswith("replay:"):
            tape = make()
            shown, templates, most = tape.identity, tape.templates, tape.together
        backend = CachedBackend(store, make, known, shown, templates, most)
    most = backend.together if choice.together is None else choice.together
    chosen = Templates(choice.templates or spoken_to(choice.name, backend.templates))
    return ModelClient(backend, chosen, pictures, seed, trace=choice.trace, together=most,
                 video=choice.video)  # fmt: skip


def identity_of(choice: ModelConfig) -> str | None:
    """The identity of a model without loading it; None where that cannot be told."""
    if choice.name.startswith("replay:"):
        path = Path(choice.name.removeprefix("replay:"))
        return f"replay:{digest(path)}" if path.is_file() else None
    if choice.name.startswith("openai:"):
        where = choice.server.url or os.environ.get("OPENAI_BASE_URL") or ""
        return f"{choice.name}@{where}"
    return identity(choice.name, choice.local)


def together(choice: ModelConfig) -> Together:
    """The most requests about the same keyframes in one call, without loading the model."""
    if choice.together is not None:
        return choice.together
    if choice.name.startswith("replay:"):
        return ReplayBackend(Path(choice.name.removeprefix("replay:"))).together
    return TOGETHER if choice.name.startswith("openai:") else settings(choice.name).together


def _writable(place: Path, option: str) -> None:
    """Raises StepcError (B014) before the first call where none could be kept."""
    why = ""
    if place.is_dir():
        why = "it is a folder"
    elif not place.parent.is_dir():
        why = "its folder is not there"
    elif not os.access(place if place.exists() else place.parent, os.W_OK):
        why = "permission denied"
    if why:
        shown = printable(str(place))
        raise fail("B014", f"`{shown}` cannot be written ({why})", Place(option), "name a file")


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        message = f"`{text}` is no regular expression: {error}"
        raise fail("U001", message, Place("--redact"), "such as '[0-9]{16}'") from None


__all__ = ["EMBEDDED", "ModelConfig", "load", "together"]
