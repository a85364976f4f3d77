"""What went wrong with a request to a server: whether to send it again, and what helps."""

from __future__ import annotations

import contextlib
from typing import Any

from stepc.diagnostics import printable
from stepc.model.server_features import Refusal
from stepc.model.server_response import BadResponse, parse_body
from stepc.model.server_transport import wait_of

AGAIN = frozenset([408, 409, 425, 429, *range(500, 600)]) - {501}
"""HTTP statuses after which a call is retried."""
REFUSED = frozenset([400, 404, 413, 415, 422, 501])
"""HTTP statuses that mean that the server will not answer this request."""
ABOUT_THE_REQUEST = ("filter", "length", "pictures", "blind", "image")
"""Refusals that no other form of the request would change."""
HELP = {
    "blind": "choose a vision-language model, or start the server with the model's vision part",
    "model": "check the model's name; most servers list theirs at /v1/models",
    "key": "set OPENAI_API_KEY to a key that this server accepts",
    "quota": "check the account's quota; what is done is in the store",
    "length": "use fewer or smaller pictures (--picture-size 768), or allow a longer context at the server",
    "pictures": "allow more pictures per request at the server (vLLM: --limit-mm-per-prompt)",
    "option": "check --reasoning-effort and --extra-body",
}
"""What helps against a refusal, by its meaning."""


class Later(Exception):
    """A failure that may be temporary: the call may be retried after `wait` seconds, if given.

    With a `refusal`, it is of this request alone: if it stays, other requests go on.
    """

    def __init__(
        self,
        message: str,
        wait: float | None = None,
        status: int = 0,
        refusal: Refusal | None = None,
    ) -> None:
        super().__init__(message)
        self.wait, self.status, self.refusal = wait, status, refusal


class Refused(Exception):
    """The server will not answer this request."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.status} {refusal.message}")
        self.refusal = refusal


def failure_of(response: Any) -> Exception:
    """What a response with a status other than 2xx means: `Later` or `Refused`."""
    status = response.status_code
    if 300 <= status < 400:
        where = response.headers.get("location", "another address")
        said = f"it redirects to {printable(where)[:200]}, and redirects are not followed"
        return Refused(Refusal(status, said))
    body: Any = response.text
    with contextlib.suppress(BadResponse):
        body = parse_body(response.content)
    return by_status(Refusal.read(status, body), wait_of(response.headers))


def by_status(refusal: Refusal, wait: float | None, alone: bool = False) -> Exception:
    """`Later` if the request may be sent again, otherwise `Refused`. `alone`: only this request failed."""
    if refusal.status in AGAIN and refusal.meaning not in ("quota", "blind"):
        said = f"{refusal.status} {refusal.message}"
        return Later(said, wait, refusal.status, refusal if alone else None)
    return Refused(refusal)


def status_in(error: Any) -> int:
    """The HTTP status in an error that came with status 200; 400 if there is none."""
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(code, str) and code.isdecimal():
        code = int(code)
    return code if isinstance(code, int) and 400 <= code < 600 else 400
