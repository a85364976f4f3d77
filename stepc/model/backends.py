"""The kinds of model that `--model` can name: `SCHEME:REST` for those with a scheme, else a local model.

A backend type says how a model of its kind is checked, loaded and identified. To add one, subclass
`BackendType` and name the class in the entry-point group `stepc.backends`; the entry point's name
is the scheme.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepc.diagnostics import Place, fail, nearest
from stepc.model.client import Backend, Together
from stepc.model.picture_tokens import longest_side
from stepc.plugins import Plugin, Registry, installed

if TYPE_CHECKING:
    from stepc.model.load import ModelConfig

EMBEDDED = "embedded"
TOGETHER, SERVED_TOGETHER = 1, 24
"""Requests about the same keyframes per call, where a model does not say how many suit it: of a model on this
machine, and behind a server. Video-LLMs that are served are large enough for lists."""


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model before it is loaded."""

    identity: str
    """What the manifest calls it."""
    templates: str = "default"
    """The template set that suits it."""
    together: Together = TOGETHER
    """How many requests about the same keyframes it answers well in one call."""


class BackendType:
    """How models of one kind are named, loaded and identified. Stateless."""

    remote = False
    """Whether calls go over a network, so that several videos are compiled in parallel by default."""
    recordable = True
    """Whether `--record` can record its calls."""

    def check(self, name: str, config: ModelConfig) -> None:
        """Check a name before anything is loaded. Raises StepcError."""

    def open(self, name: str, config: ModelConfig) -> Backend:
        """Load the model called `name` (what follows the scheme). Raises StepcError (M002-M005, M007)."""
        raise NotImplementedError

    def key(self, name: str, config: ModelConfig) -> str | None:
        """What its replies are stored by: all that they depend on. None if they cannot be stored."""
        return None

    def facts(self, name: str, config: ModelConfig) -> ModelFacts:
        """What is known of the model without loading it."""
        return ModelFacts(config.name)


class ReplayType(BackendType):
    """`replay:FILE`: plays a cassette."""

    recordable = False

    def open(self, name: str, config: ModelConfig) -> Backend:
        from stepc.model.cassette import ReplayBackend

        return ReplayBackend(Path(name))

    def key(self, name: str, config: ModelConfig) -> str | None:
        from stepc.video.source import digest

        path = Path(name)
        return f"replay:{digest(path)}" if path.is_file() else None

    def facts(self, name: str, config: ModelConfig) -> ModelFacts:
        tape = self.open(name, config)
        return ModelFacts(tape.identity, tape.templates, tape.together)


class ServerType(BackendType):
    """`openai:MODEL`: a model behind an OpenAI-compatible server."""

    remote = True

    def check(self, name: str, config: ModelConfig) -> None:
        from stepc.model.server_options import addresses

        addresses(config.server)
        if not name:
            help = "for example openai:gpt-4o, or a name that the server lists at /v1/models"
            raise fail("U001", "the model's name is missing", Place("--model"), help)

    def open(self, name: str, config: ModelConfig) -> Backend:
        from stepc.model.openai_compatible import ServerModel

        return ServerModel(name, config.server)

    def facts(self, name: str, config: ModelConfig) -> ModelFacts:
        return ModelFacts(config.name, together=SERVED_TOGETHER)

    def key(self, name: str, config: ModelConfig) -> str | None:
        server = config.server
        where = server.url or os.environ.get("OPENAI_BASE_URL") or ""
        more = (server.reply_tokens, server.reasoning_effort, server.extra_body.strip("{} "))
        shown = (server.pictures, longest_side(name, server.picture_size))
        sent = f" {shown}" if shown != ("jpeg", None) else ""
        return f"{config.name}@{where}" + (f" {more}" if any(more) else "") + sent


class LocalType(BackendType):
    """A hub id, a folder, or `embedded`: a model that `transformers` loads on this machine."""

    def check(self, name: str, config: ModelConfig) -> None:
        scheme, colon, rest = name.partition(":")
        close = nearest(scheme, BACKENDS.names()) if colon and not Path(name).exists() else ""
        if close:
            message = f"there is no kind of model called `{scheme}`"
            help = f"did you mean `{close}:{rest}`?"
            raise fail("U001", message, Place("--model"), help)

    def open(self, name: str, config: ModelConfig) -> Backend:
        from stepc.model.transformers import TransformersModel

        return TransformersModel(name, config.local)

    def key(self, name: str, config: ModelConfig) -> str | None:
        from stepc.model.transformers import identity

        return identity(name, config.local)

    def facts(self, name: str, config: ModelConfig) -> ModelFacts:
        from stepc.model.transformers import settings

        own = settings(name)
        return ModelFacts(self.key(name, config) or name, own.templates, own.together)


def _builtin() -> dict[str, Callable[[], type[BackendType]]]:
    return {"replay": lambda: ReplayType, "openai": lambda: ServerType}


def _accept(value: Any) -> str:
    if inspect.isclass(value) and issubclass(value, BackendType):
        return ""
    return f"`{value!r}` is not a subclass of stepc.model.backends.BackendType"


BACKENDS: Registry[type[BackendType]] = Registry("stepc.backends", _builtin, _accept)
"""The backend types with a scheme."""


def scheme_of(name: str) -> str:
    """The scheme of a model's name; empty for a local model."""
    scheme, colon, _ = name.partition(":")
    return scheme if colon and scheme in BACKENDS else ""


def backend_type(name: str) -> tuple[BackendType, str]:
    """The backend type of a model's name, and the name without its scheme."""
    scheme = scheme_of(name)
    if not scheme:
        return LocalType(), name
    kind, owner = BACKENDS.get(scheme), BACKENDS.plugin(scheme)
    return (kind() if owner is None else _Guarded(kind, owner)), name.removeprefix(f"{scheme}:")


class _Guarded(BackendType):
    """A backend type of a plug-in. What its code raises is X004; so is a value of the wrong type."""

    def __init__(self, kind: type[BackendType], owner: Plugin) -> None:
        self.owner = owner
        with owner.guarded("its backend type"):
            self.kind = kind()
            self.remote, self.recordable = bool(self.kind.remote), bool(self.kind.recordable)

    def check(self, name: str, config: ModelConfig) -> None:
        with self.owner.guarded("`check`"):
            self.kind.check(name, config)

    def open(self, name: str, config: ModelConfig) -> Backend:
        with self.owner.guarded("`open`"):
            backend = self.kind.open(name, config)
            for part in ("identity", "templates", "together", "generate"):
                if not hasattr(backend, part):
                    raise TypeError(f"it returned {type(backend).__name__}, which has no `{part}`")
        return backend

    def key(self, name: str, config: ModelConfig) -> str | None:
        with self.owner.guarded("`key`"):
            key = self.kind.key(name, config)
            if not isinstance(key, str | None):
                raise TypeError(f"it returned {type(key).__name__}, not a text or None")
        return key

    def facts(self, name: str, config: ModelConfig) -> ModelFacts:
        with self.owner.guarded("`facts`"):
            facts = self.kind.facts(name, config)
            if not isinstance(facts, ModelFacts):
                raise TypeError(f"it returned {type(facts).__name__}, not ModelFacts")
        return facts


def identity_of(config: ModelConfig) -> str | None:
    """What a model's replies are stored by, without loading it; None if it cannot be determined.

    Of a plug-in, the code of its package is a part of it.
    """
    kind, name = backend_type(config.name)
    key = kind.key(name, config)
    scheme = scheme_of(config.name)
    owner = next((p for p in installed(BACKENDS.group) if p.name == scheme), None)
    return f"{key} {owner.digest[:16]}" if key is not None and owner is not None else key
