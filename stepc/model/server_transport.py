"""The connection to a server: bounded responses, no redirects, and a key that nobody gets to see."""

from __future__ import annotations

import base64
import email.utils
import hashlib
import html
import re
import sys
import time
import urllib.parse
from collections.abc import AsyncIterator, Sequence
from typing import Any


def bounded_client(
    openai: Any, url: str | None, key: str, largest: int, at_once: int, timeout: float
) -> Any:
    """An HTTP client that follows no redirect, and gives up on responses of more than `largest` bytes.

    It also gives up on compressed responses, which are not asked for: a small body could unpack to
    gigabytes. Address, headers and proxies are those of the official client, whose own handling of a request
    takes longer than all the rest: it walks through pictures of megabytes several times.
    """
    official = openai.AsyncOpenAI(api_key=key or "none", base_url=url)
    headers = {**official.default_headers, **official.auth_headers, "Accept-Encoding": "identity"}
    headers = {name: value for name, value in headers.items() if isinstance(value, str)}
    httpx = http_package(openai)
    stream_base: Any = httpx.AsyncByteStream

    class Bounded(stream_base):  # type: ignore[misc]
        def __init__(self, stream: Any) -> None:
            self.stream = stream

        async def __aiter__(self) -> AsyncIterator[bytes]:
            size = 0
            async for part in self.stream:
                size += len(part)
                if size > largest:
                    raise httpx.ReadError(f"the response is larger than {largest >> 20} MB")
                yield part

        async def aclose(self) -> None:
            await self.stream.aclose()

    async def bound(response: Any) -> None:
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await response.aclose()
            raise httpx.ReadError("the response is compressed, which was not asked for")
        response.stream = Bounded(response.stream)

    limits = httpx.Limits(max_connections=max(100, at_once), max_keepalive_connections=at_once)
    return openai.DefaultAsyncHttpxClient(
        base_url=official.base_url,
        headers=headers,
        timeout=timeout,
        follow_redirects=False,
        limits=limits,
        event_hooks={"response": [bound]},
    )


def in_order(urls: Sequence[str], session: str) -> list[str]:
    """The servers, the one for this session first: it stays the same whatever becomes of the others.

    Rendezvous hashing (Thaler and Ravishankar, 1998).
    """
    return sorted(urls, key=lambda url: hashlib.sha256(f"{session} {url}".encode()).digest())


def http_package(openai: Any) -> Any:
    """The HTTP package that the official client uses."""
    return sys.modules[openai.DefaultAsyncHttpxClient.__mro__[1].__module__.partition(".")[0]]


def hidden(text: str, key: str) -> str:
    """Mask a key in a text: as it is, percent-encoded, in base64, and in another case."""
    if len(key) < 4:
        return text
    forms = {key, urllib.parse.quote(key, safe=""), key[::-1]}
    for raw in (key, f"Bearer {key}", f":{key}"):
        encoded = base64.b64encode(raw.encode()).decode().rstrip("=")
        forms |= {encoded, encoded.replace("+", "-").replace("/", "_")}
    forms |= {"".join(f"%{byte:02x}" for byte in key.encode()), key.encode().hex()}
    made = re.compile("|".join(map(re.escape, sorted(forms, key=len, reverse=True))), re.IGNORECASE)
    text = made.sub("…", text)
    # escaped in part, perhaps twice: `sk%2Dvery…`, `&#115;k…`, `\\u0073k…`, `\x73k…`
    plain = html.unescape(urllib.parse.unquote(text))
    plain = re.sub(r"\\+(?:u00|x)([0-9a-fA-F]{2})", lambda m: chr(int(m[1], 16)), plain)
    return "…" if key.lower() in plain.lower() else text


def wait_of(headers: Any) -> float | None:
    """Return the seconds of a `Retry-After` header (a number or a date), at most 600; None without one."""
    told = headers.get("retry-after")
    if told is None:
        return None
    try:
        seconds = float(told)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(told).timestamp() - time.time()
        except ValueError:
            return None
    return min(max(0.0, seconds), 600.0)  # max() maps NaN to 0
