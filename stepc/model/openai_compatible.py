"""Any OpenAI-compatible server: many calls at once, retried, counted, within a budget.

A reply that came is handed on at once (`keep`), so that what stops a run loses no call that was
paid. Keys come from the environment (`OPENAI_API_KEY`) and go nowhere else.
"""

from __future__ import annotations

import asyncio
import base64
import email.utils
import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from pydantic import HttpUrl, TypeAdapter, ValidationError

from stepc.diagnostics import Place, StepcError, brief, fail
from stepc.model.client import Call, Completion, Together, Usage
from stepc.model.transformers import TOGETHER, most_tokens
from stepc.video.decode import Pictures, encode

AGAIN = frozenset([408, 409, 425, 429, 500, 502, 503, 504, 529])
"""Statuses after which a call is made again."""
NO = frozenset([400, 404, 415, 422, 501])
"""Statuses by which a server says that it does not know what was asked of it."""
ABSENT = 3
"""Attempts to reach a server that nobody has ever reached."""
FORMS = ("json_schema", "json_object", "")
"""Ways to ask for JSON, best first; what a server refuses is not asked of it again."""
QUALITY = 90
"""Of the JPEG that a picture is sent as."""


@dataclass(frozen=True)
class ServerOptions:
    """How a server is asked."""

    url: str | None = None
    """Without, `OPENAI_BASE_URL` or the official one."""
    at_once: int = 16
    """Calls that wait for the server at one time."""
    attempts: int = 8
    """How often a call is made before it is given up."""
    pictures: str = "jpeg"
    """How pictures are sent: `jpeg`, or `png`, which loses nothing and is larger."""
    timeout: float = 300.0
    """Seconds to wait for a reply."""
    wait: float = 0.5
    """Seconds before a second attempt; twice as long before each further one, with jitter."""
    max_requests: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    prices: tuple[float, float] = (0.0, 0.0)
    """Of a million tokens sent and received."""


def address(server: ServerOptions) -> str | None:
    """Where to ask; None: the official server.

    Raises StepcError: U001 where that is no address, M007 where there is neither one nor a key.
    """
    url = server.url or os.environ.get("OPENAI_BASE_URL")
    if url is None:
        if _key():
            return None
        help = "set OPENAI_API_KEY, or name a server: --base-url http://127.0.0.1:8000/v1"
        raise fail("M007", "there is no server to ask and no key", Place("--model"), help)
    try:
        TypeAdapter(HttpUrl).validate_python(url)
    except ValidationError as error:
        place = Place("--base-url" if server.url else "OPENAI_BASE_URL")
        message = f"`{brief(url)}` is no address of a server: {error.errors()[0]['msg']}"
        raise fail("U001", message, place, "such as http://127.0.0.1:8000/v1") from None
    return url


def _key() -> str:
    return os.environ.get("OPENAI_API_KEY") or ""


class _Later(Exception):
    """A call that may be made again, after so many seconds if the server says so."""

    def __init__(self, message: str, wait: float | None = None, status: int = 0) -> None:
        super().__init__(message)
        self.wait, self.status = wait, status


class _Refused(Exception):
    """The server will not do what was asked, however often."""

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
    """Requests, whatever came of them, and tokens; what the budget is about."""
    parallel: bool = True
    """Whether several threads may ask at one time. Together they make no more calls at once than one."""

    def __post_init__(self) -> None:
        import openai

        self.url = address(self.server)
        self.key = _key()
        self.openai = openai
        self.identity = f"openai:{self.model}"
        self.lock = threading.Lock()
        self.slots = threading.Semaphore(self.server.at_once)
        self.asking = 0
        """Threads that ask."""
        self.over: StepcError | None = None
        """What ended the asking."""
        self.form = 0
        """The first way to ask for JSON that the server has not refused."""
        self.took: set[int] = set()
        """The ways it has answered to."""
        self.reached = False
        """Whether anybody was there yet; a server that was may come back."""
        self.many = True
        """Whether the server gives several replies to one request."""
        self.video = True
        """Whether the server takes videos."""

    def generate(
        self, prompts: Iterable[Call], pictures: Pictures, done: Callable[[Completion], None]
    ) -> None:
        """One text a seed for each prompt.

        Raises StepcError: M008 where the server cannot be asked, M009 where the budget is spent,
        M010 where it refuses a request for good; of what came before `done` was told.
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
        """As many calls at once as may be, each taking the next prompt when it is done.

        Calls on their way when something goes wrong for good are waited for; no new one is made.
        """
        client = self.openai.AsyncOpenAI(
            api_key=self.key or "none",
            base_url=self.url,
            timeout=self.server.timeout,
            max_retries=0,
        )

        async def work() -> None:
            for prompt in prompts:
                while not self.slots.acquire(blocking=False):  # other threads have them all
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
        """All replies to one prompt: together where the server does so, the rest one by one."""
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
        """A message: the keyframes as the server takes them, then the instruction."""
        shown = [pictures.at(f) for f in prompt.frames]
        if prompt.video and self.video:
            data = base64.b64encode(encode(shown, [f.at for f in prompt.frames])).decode()
            url = {"url": f"data:video/mp4;base64,{data}"}
            parts: list[dict[str, Any]] = [{"type": "video_url", "video_url": url}]
        else:
            parts = [_picture(p, self.server.pictures) for p in shown]
        return [*parts, {"type": "text", "text": prompt.text}]

    async def _asked(
        self,
        client: Any,
        prompt: Call,
        pictures: Pictures,
        content: list[Any],
        first: int,
        number: int,
        call: Usage,
    ) -> list[str]:
        """The replies to one request, however often it has to be made."""
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
                return texts[:number]  # some line may double them
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
                    help = "fewer or smaller keyframes make it shorter"
                    raise fail("M010", message, Place(self.identity), help) from None
                wait, why, again = None, error, False
            except _Later as error:
                wait, why, again = error.wait, error, True
                if not self.reached and tried + 1 >= ABSENT:
                    again = False
                if error.status == 500 and tried >= 2:  # some servers say no like this
                    if content[0]["type"] == "video_url":
                        self.video = False
                        content[:] = self._content(prompt, pictures)
                    elif FORMS[form]:  # llama.cpp: of a reply that was cut off, too
                        form += 1
                        if not self.took:
                            self.form = max(self.form, form)
            tried += 1
            if not again or tried >= self.server.attempts:
                message = f"the server cannot be asked: {self._hidden(str(why))}"
                help = "is its address right (--base-url), and the model's name one it knows?"
                self.over = fail("M008", message, Place(self.identity), help)
                raise self.over from None
            with self.lock:
                self.spent.retries += 1
            call.retries += 1
            pause = self.server.wait * 2 ** (tried - 1) * (0.5 + random.random())
            await asyncio.sleep(max(wait or 0.0, min(pause, 60.0)))

    async def _call(self, client: Any, body: dict[str, Any], call: Usage) -> list[str]:
        """One request. Raises _Later where it may be made again, else _Refused."""
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
        except ValueError as error:  # a body that is no JSON
            raise _Later(f"no JSON in the reply: {error}") from None
        choices = getattr(made, "choices", None)
        if not choices:  # a page of some proxy, or an error with status 200
            raise _Later(f"no reply in the answer: {brief(self._hidden(str(made)))}")
        used = getattr(made, "usage", None)
        with self.lock:
            for spent in (self.spent, call):
                spent.tokens_in += int(getattr(used, "prompt_tokens", 0) or 0)
                spent.tokens_out += int(getattr(used, "completion_tokens", 0) or 0)
        return [str(c.message.content or "") for c in choices]

    def _afford(self) -> None:
        """Count a request. Raises StepcError (M009) where the budget does not allow it."""
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
            help = "raise it to go on; with --record no call is made twice"
            self.over = fail("M009", f"the budget is spent: {over}", Place(self.identity), help)
            raise self.over
        spent.calls += 1

    def _told(self, error: Any) -> str:
        """What a server said of an error, on one line; without the key before it is cut short."""
        body = error.body if isinstance(error.body, dict) else {}
        said = " ".join(f"{error.status_code} {body.get('message') or error.message}".split())
        return self._hidden(said)[:200]

    def _hidden(self, text: str) -> str:
        """A text without the key."""
        return text.replace(self.key, "…") if self.key else text


def _wait(headers: Any) -> float | None:
    """Seconds that `Retry-After` asks for, as a number or a date; at most ten minutes."""
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
    return min(max(0.0, seconds), 600.0)  # a NaN is no time


def _format(form: str, prompt: Call) -> dict[str, Any]:
    if form == "json_object":
        return {"type": "json_object", "schema": prompt.schema}
    named = {"name": prompt.request, "schema": prompt.schema, "strict": False}
    return {"type": "json_schema", "json_schema": named}


def _picture(pixels: Any, form: str) -> dict[str, Any]:
    """A picture (H, W, 3; uint8 RGB) as a data URI."""
    from PIL import Image

    file = BytesIO()
    Image.fromarray(pixels).save(file, form.upper(), quality=QUALITY)
    data = base64.b64encode(file.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/{form};base64,{data}"}}
