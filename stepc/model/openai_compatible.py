"""Client for OpenAI-compatible servers: concurrent calls, retries, usage, budgets.

Each completion is passed on (`done`) as soon as it arrives, so that an interrupted run loses no
call that was paid for. The API key comes from the environment (`OPENAI_API_KEY`); it is sent to
the server only and never logged.
"""

from __future__ import annotations

import base64
import email.utils
import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

from pydantic import HttpUrl, TypeAdapter, ValidationError

from stepc.diagnostics import Place, StepcError, brief, fail
from stepc.model.backends import TOGETHER
from stepc.model.client import Call, Completion, Together, Usage
from stepc.model.transformers import most_tokens
from stepc.runtime.lazy import LazyModule
from stepc.video.decode import Pictures, encode

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = LazyModule("asyncio")

AGAIN = frozenset([408, 409, 425, 429, 500, 502, 503, 504, 529])
"""HTTP statuses after which a call is retried."""
NO = frozenset([400, 404, 415, 422, 501])
"""HTTP statuses that mean the server does not support a feature of the request."""
ABSENT = 3
"""Maximum attempts while the server has never been reached."""
FORMS = ("json_schema", "json_object", "")
"""Values of `response_format`, best first. A value that the server refuses is not used again."""
QUALITY = 90
"""JPEG quality of the images that are sent."""


@dataclass(frozen=True)
class ServerOptions:
    """How a server is called."""

    url: str | None = None
    """Base URL; None uses `OPENAI_BASE_URL` or the official server."""
    at_once: int = 16
    """Maximum concurrent calls."""
    attempts: int = 8
    """Maximum attempts per call."""
    pictures: str = "jpeg"
    """Image format: `jpeg`, or `png`, which is lossless and larger."""
    timeout: float = 300.0
    """Timeout of a call in seconds."""
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


def address(server: ServerOptions) -> str | None:
    """Return the server's base URL; None for the official server.

    Raises StepcError: U001 if the URL is invalid, M007 if there is neither a URL nor an API key.
    """
    url = server.url or os.environ.get("OPENAI_BASE_URL")
    if url is None:
        if _key():
            return None
        help = "set OPENAI_API_KEY, or name a server: --base-url http://127.0.0.1:8000/v1"
        raise fail("M007", "neither a server nor an API key is set", Place("--model"), help)
    try:
        TypeAdapter(HttpUrl).validate_python(url)
    except ValidationError as error:
        place = Place("--base-url" if server.url else "OPENAI_BASE_URL")
        message = f"`{brief(url)}` is not a valid server URL: {error.errors()[0]['msg']}"
        raise fail("U001", message, place, "for example http://127.0.0.1:8000/v1") from None
    return url


def _key() -> str:
    return os.environ.get("OPENAI_API_KEY") or ""


class _Later(Exception):
    """A failure that may be temporary: the call may be retried after `wait` seconds, if given."""

    def __init__(self, message: str, wait: float | None = None, status: int = 0) -> None:
        super().__init__(message)
        self.wait, self.status = wait, status


class _Refused(Exception):
    """A permanent failure: the server will refuse the request every time."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass
class ServerModel:
    """A model behind an OpenAI-compatible server (`/chat/completions`)."""

    model: str
    server: ServerOptions = field(default_factory=ServerOptions)
    templates: str = "default"
    together: Together = TOGETHER
    spent: Usage = field(default_factory=Usage)
    """Requests, failed ones included, and tokens that count against the budget."""
    parallel: bool = True
    """Whether several threads may call `generate` in parallel. They share the limit `at_once`."""

    def __post_init__(self) -> None:
        import openai

        self.url = address(self.server)
        self.key = _key()
        self.openai = openai
        self.identity = f"openai:{self.model}"
        self.lock = threading.Lock()
        self.slots = threading.Semaphore(self.server.at_once)
        self.asking = 0
        """Number of threads in `generate`."""
        self.over: StepcError | None = None
        """The error that stopped all further calls, if any."""
        self.form = 0
        """Index in `FORMS` of the first value that the server has not refused."""
        self.took: set[int] = set()
        """Indices in `FORMS` that the server has accepted."""
        self.reached = False
        """Whether the server has ever responded; one that has may come back after an outage."""
        self.many = True
        """Whether the server returns several replies per request (`n`)."""
        self.video = True
        """Whether the server accepts videos."""

    def generate(
        self, prompts: Iterable[Call], pictures: Pictures, done: Callable[[Completion], None]
    ) -> None:
        """Answer each call with one text per seed.

        Raises StepcError: M008 if the server cannot be called, M009 if the budget is spent, M010 if
        the server refuses a request permanently. Calls completed before that were passed to `done`.
        """
        with self.lock:
            if not self.asking:
                self.over = None
            self.asking += 1
        try:
            asyncio.run(self._all(iter(prompts), pictures, done))
        finally:
            with self.lock:
                self.asking -= 1

    async def _all(
        self, prompts: Iterator[Call], pictures: Pictures, done: Callable[[Completion], None]
    ) -> None:
        """Run `at_once` workers. Each takes the next call when it finishes one.

        After a permanent failure no new call starts; calls in flight are awaited.
        """
        client = self.openai.AsyncOpenAI(
            api_key=self.key or "none",
            base_url=self.url,
            timeout=self.server.timeout,
            max_retries=0,
        )

        async def work() -> None:
            for prompt in prompts:
                while not self.slots.acquire(
                    blocking=False
                ):  # all slots are taken by other threads
                    await asyncio.sleep(0.01)
                try:
                    if self.over is not None:
                        raise self.over
                    done(await self._one(client, prompt, pictures))
                finally:
                    self.slots.release()

        async with client:
            tasks = [asyncio.create_task(work()) for _ in range(self.server.at_once)]
            try:
                ended = await asyncio.gather(*tasks, return_exceptions=True)
            except asyncio.CancelledError:
                for task in tasks:
                    task.cancel()
                raise
        for each in ended:
            if isinstance(each, BaseException):
                raise each

    async def _one(self, client: Any, prompt: Call, pictures: Pictures) -> Completion:
        """Collect all replies to one call: in one request if the server supports `n`, else one by one."""
        content = self._content(prompt, pictures)
        texts: list[str] = []
        began, call = time.perf_counter(), Usage()
        while len(texts) < len(prompt.seeds):
            left = len(prompt.seeds) - len(texts)
            number = left if self.many else 1
            got = await self._asked(client, prompt, pictures, content, len(texts), number, call)
            if len(got) < number:
                self.many = False
            texts += got
        took = time.perf_counter() - began
        return Completion(prompt, tuple(texts), took, call.tokens_in, call.tokens_out, call.retries)

    def _content(self, prompt: Call, pictures: Pictures) -> list[dict[str, Any]]:
        """Build the message: the keyframes as images or as a video, then the instruction."""
        shown = [pictures.at(f) for f in prompt.frames]
        if prompt.video and self.video:
            data = base64.b64encode(encode(shown, [f.at for f in prompt.frames])).decode()
            url = {"url": f"data:video/mp4;base64,{data}"}
            parts: list[dict[str, Any]] = [{"type": "video_url", "video_url": url}]
        else:
            parts = [_picture(p, self.server.pictures) for p in shown]
        return [*parts, {"type": "text", "text": prompt.text}]

    async def _asked(  # long: one call with its retries, read from top to bottom
        self,
        client: Any,
        prompt: Call,
        pictures: Pictures,
        content: list[Any],
        first: int,
        number: int,
        call: Usage,
    ) -> list[str]:
        """Send one request until it succeeds; return its replies.

        Falls back when the server refuses a feature: video, JSON format, several replies.
        """
        tried, form = 0, self.form
        wait: float | None
        why: Exception
        while True:
            form = max(form, self.form) if prompt.schema is not None else len(FORMS) - 1
            body: dict[str, Any] = {
                "model": self.model,
                "messages": [{"role": "user", "content": content}],
                "temperature": prompt.temperature,
                "seed": prompt.seeds[first] % (1 << 31),
                "max_tokens": most_tokens(prompt),
            }
            if number > 1:
                body["n"] = number
            if FORMS[form]:
                body["response_format"] = _format(FORMS[form], prompt)
            self._afford()
            call.calls += 1
            try:
                texts = await self._call(client, body, call)
                self.took.add(form)
                return texts[:number]  # a proxy may return too many
            except _Refused as error:
                if prompt.video and self.video and error.status in NO:
                    self.video = False
                if content[0]["type"] == "video_url" and not self.video:
                    content[:] = self._content(prompt, pictures)
                    continue
                if FORMS[form] and error.status in NO:
                    self.form = max(self.form, form + 1)
                    continue
                if number > 1 and error.status in (400, 422):
                    self.many, number = False, 1
                    continue
                if error.status in (400, 413, 422):
                    message = f"the server refuses `{prompt.request}`: {self._hidden(str(error))}"
                    help = "use fewer or smaller keyframes to shorten the request"
                    raise fail("M010", message, Place(self.identity), help) from None
                wait, why, again = None, error, False
            except _Later as error:
                wait, why, again = error.wait, error, True
                if not self.reached and tried + 1 >= ABSENT:
                    again = False
                if error.status == 500 and tried >= 2:  # some servers reject a feature with 500
                    if content[0]["type"] == "video_url":
                        self.video = False
                        content[:] = self._content(prompt, pictures)
                    elif FORMS[form]:  # llama.cpp: also for a reply that was cut off
                        form += 1
                        if not self.took:
                            self.form = max(self.form, form)
            tried += 1
            if not again or tried >= self.server.attempts:
                message = f"the server cannot be called: {self._hidden(str(why))}"
                help = "check the server's address (--base-url) and the model's name"
                self.over = fail("M008", message, Place(self.identity), help)
                raise self.over from None
            with self.lock:
                self.spent.retries += 1
            call.retries += 1
            pause = self.server.wait * 2 ** (tried - 1) * (0.5 + random.random())
            await asyncio.sleep(max(wait or 0.0, min(pause, 60.0)))

    async def _call(self, client: Any, body: dict[str, Any], call: Usage) -> list[str]:
        """Send one request. Raises _Later if it may be retried, otherwise _Refused."""
        openai = self.openai
        try:
            made = await client.chat.completions.create(**body)
            self.reached = True
        except openai.APIStatusError as error:
            self.reached = True
            if error.status_code in AGAIN:
                wait = _wait(error.response.headers)
                raise _Later(self._told(error), wait, error.status_code) from None
            raise _Refused(error.status_code, self._told(error)) from None
        except (openai.APIConnectionError, openai.APIResponseValidationError) as error:
            if type(error.__cause__).__name__ != "ConnectError":
                self.reached = True
            raise _Later(str(error) or type(error).__name__) from None
        except ValueError as error:  # the body is not JSON
            raise _Later(f"the response is not JSON: {error}") from None
        choices = getattr(made, "choices", None)
        if not choices:  # a proxy's error page, or an error with status 200
            raise _Later(f"the response contains no reply: {brief(self._hidden(str(made)))}")
        used = getattr(made, "usage", None)
        with self.lock:
            for spent in (self.spent, call):
                spent.tokens_in += int(getattr(used, "prompt_tokens", 0) or 0)
                spent.tokens_out += int(getattr(used, "completion_tokens", 0) or 0)
        return [str(c.message.content or "") for c in choices]

    def _afford(self) -> None:
        """Count a request against the budget. Raises StepcError (M009) if the budget is spent."""
        with self.lock:
            self._counted(self.server, self.spent)

    def _counted(self, s: ServerOptions, spent: Usage) -> None:
        over = ""
        if s.max_requests is not None and spent.calls >= s.max_requests:
            over = f"{spent.calls} requests"
        elif s.max_tokens is not None and spent.tokens_in + spent.tokens_out >= s.max_tokens:
            over = f"{spent.tokens_in + spent.tokens_out} tokens"
        elif s.max_cost is not None and spent.cost(s.prices) >= s.max_cost:
            over = f"a cost of {spent.cost(s.prices):.2f}"
        if over:
            help = "raise the budget to continue; with --record no call is repeated"
            self.over = fail("M009", f"the budget is spent: {over}", Place(self.identity), help)
            raise self.over
        spent.calls += 1

    def _told(self, error: Any) -> str:
        """Format a server's error on one line of at most 200 characters, the API key removed first."""
        body = error.body if isinstance(error.body, dict) else {}
        said = " ".join(f"{error.status_code} {body.get('message') or error.message}".split())
        return self._hidden(said)[:200]

    def _hidden(self, text: str) -> str:
        """Mask the API key in a text."""
        return text.replace(self.key, "…") if self.key else text


def _wait(headers: Any) -> float | None:
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


def _format(form: str, prompt: Call) -> dict[str, Any]:
    if form == "json_object":
        return {"type": "json_object", "schema": prompt.schema}
    named = {"name": prompt.request, "schema": prompt.schema, "strict": False}
    return {"type": "json_schema", "json_schema": named}


def _picture(pixels: Any, form: str) -> dict[str, Any]:
    """Encode an image (H, W, 3; uint8 RGB) as a data URI."""
    from PIL import Image

    file = BytesIO()
    Image.fromarray(pixels).save(file, form.upper(), quality=QUALITY)
    data = base64.b64encode(file.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/{form};base64,{data}"}}
