"""A model by name: the embedded one, a hub id or a folder, one behind a server, or a cassette."""

from __future__ import annotations

from pathlib import Path

from stepc.diagnostics import Place, fail
from stepc.model.ask import Asker, Backend
from stepc.model.prompts import TemplateError, Templates
from stepc.model.replay import Replay
from stepc.model.server import Server, ServerModel
from stepc.model.transformers import EMBEDDED, TransformersModel
from stepc.video import Pictures


def load(
    name: str,
    pictures: Pictures,
    *,
    seed: int = 0,
    templates: str | None = None,
    record: Path | None = None,
    server: Server | None = None,
    trace: Path | None = None,
) -> Asker:
    """The model `name`, ready to be asked.

    `embedded`, `replay:FILE`, `openai:MODEL` behind a `server`, or a hub id or folder of a
    `transformers` model; with `record` its calls are kept in a cassette. Raises StepcError
    (M002-M005, M007).
    """
    backend: Backend
    if name.startswith("replay:"):
        backend = Replay(Path(name.removeprefix("replay:")))
    else:
        if name.startswith("openai:"):
            backend = ServerModel(name.removeprefix("openai:"), server or Server())
        else:
            backend = TransformersModel(name)
        if record is not None:
            backend = Replay(record, backend)
    try:
        chosen = Templates(templates or backend.templates or "default")
    except TemplateError as error:
        help = "each template is named like its request; see templates/default"
        raise fail("M005", f"the templates cannot be used: {error.problem}",
                   Place(error.template), help) from error  # fmt: skip
    return Asker(backend, chosen, pictures, seed, trace=trace)


__all__ = ["EMBEDDED", "load"]
