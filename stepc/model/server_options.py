"""How a model server is called: its address, limits, budget, and what is passed through to it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import HttpUrl, TypeAdapter, ValidationError

from stepc.diagnostics import Place, brief, fail
from stepc.model.picture_tokens import PictureSize

if TYPE_CHECKING:
    from stepc.model.client import Usage


@dataclass(frozen=True)
class ServerOptions:
    """How a server is called."""

    url: str | None = None
    """Base URL; None uses `OPENAI_BASE_URL` or the official server. Of several, separated by commas, each
    call goes to the one that its first keyframe decides, whose prefix cache may hold it."""
    at_once: int = 16
    """Maximum concurrent calls."""
    attempts: int = 8
    """Maximum attempts per call."""
    pictures: str = "jpeg"
    """Image format: `jpeg`, or `png`, which is lossless and larger."""
    picture_size: PictureSize = "auto"
    """Maximum pixels of the longer side of a picture; larger ones are scaled down. `auto` is what suits the
    family of the model (see `stepc.model.picture_tokens`), `full` scales none."""
    picture_folder: Path | None = None
    """A folder that the server can read, too. Pictures are written to it and sent as `file://` URLs, if the
    handshake shows that the server reads them."""
    timeout: float = 300.0
    """Maximum seconds from sending a request to the end of its response."""
    wait: float = 0.5
    """Seconds before the second attempt. Doubles before each further attempt, with jitter."""
    max_requests: int | None = None
    """Budget: maximum requests, retries included."""
    max_tokens: int | None = None
    """Budget: maximum input and output tokens together."""
    max_cost: float | None = None
    """Budget: maximum cost, in the currency of `prices`."""
    prices: tuple[float, float] = (0.0, 0.0)
    """Prices per million input tokens and per million output tokens."""
    reply_tokens: int | None = None
    """Maximum tokens of a reply, reasoning included; None uses what each request needs."""
    reasoning_effort: str | None = None
    """Sent as it is, for models that reason: `low`, `medium`, `high` or what the server knows."""
    extra_body: str = "{}"
    """Further fields of each request: a JSON object."""
    handshake: bool = True
    """Whether to try the server's features before the first call (see `ServerModel.meet`)."""

    def spent(self, usage: Usage) -> str:
        """What has used up the budget, or ""."""
        if self.max_requests is not None and usage.calls >= self.max_requests:
            return f"{usage.calls} requests"
        if self.max_tokens is not None and usage.tokens_in + usage.tokens_out >= self.max_tokens:
            return f"{usage.tokens_in + usage.tokens_out} tokens"
        if self.max_cost is not None and usage.cost(self.prices) >= self.max_cost:
            return f"a cost of {usage.cost(self.prices):.2f}"
        return ""


def addresses(server: ServerOptions) -> list[str]:
    """Return the base URLs of the servers; none for the official one.

    Raises StepcError: U001 if a URL is invalid or the folder for pictures is missing, M007 if there is
    neither a URL nor an API key.
    """
    folder = server.picture_folder
    if folder is not None and not folder.is_dir():
        place = Place("--picture-folder")
        help = "name a folder that the server may read (vLLM: --allowed-local-media-path)"
        raise fail("U001", f"`{brief(str(folder))}` is not a folder", place, help)
    given = server.url or os.environ.get("OPENAI_BASE_URL")
    if given is None:
        if api_key():
            return []
        help = "set OPENAI_API_KEY, or name a server: --base-url http://127.0.0.1:8000/v1"
        raise fail("M007", "neither a server nor an API key is set", Place("--model"), help)
    urls = [url.strip() for url in given.split(",")]
    for url in urls:
        try:
            TypeAdapter(HttpUrl).validate_python(url)
        except ValidationError as error:
            place = Place("--base-url" if server.url else "OPENAI_BASE_URL")
            message = f"`{brief(url)}` is not a valid server URL: {error.errors()[0]['msg']}"
            raise fail("U001", message, place, "for example http://127.0.0.1:8000/v1") from None
    return list(dict.fromkeys(urls))


def api_key() -> str:
    return os.environ.get("OPENAI_API_KEY") or ""
