"""Client for OpenAI-compatible servers: concurrent calls, retries, usage, budgets.

Each completion is passed on (`done`) as soon as it arrives, so that an interrupted run loses no
call that was paid for. The API key comes from the environment (`OPENAI_API_KEY`); it is sent to
the server only and never logged.
"""

from __future__ import annotations

import base64
import dataclasses
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import orjson

from stepc.diagnostics import Diagnostic, Place, StepcError, fail
from stepc.ir.types import Frame
from stepc.model.backends import SERVED_TOGETHER
from stepc.model.client import Call, Completion, Together, Usage
from stepc.model.picture_tokens import longest_side
from stepc.model.reply import REFUSED_WHOLLY, ModelReply
from stepc.model.server_errors import (
    ABOUT_THE_REQUEST,
    HELP,
    REFUSED,
    Later,
    Refused,
    by_status,
    failure_of,
    status_in,
)
from stepc.model.server_features import CALLED, FORMS, LIMITS, Features, Refusal, used
from stepc.model.server_handshake import shake
from stepc.model.server_options import ServerOptions, addresses, api_key
from stepc.model.server_pictures import EncodedPictures, KeptPictures, Message
from stepc.model.server_request import response_format, session_of
from stepc.model.server_response import BadResponse, error_in, parse_body, replies_of, tokens_of
from stepc.model.server_transport import bounded_client, hidden, http_package, in_order
from stepc.model.transformers import most_tokens
from stepc.reporter import SILENT
from stepc.runtime.lazy import LazyModule
from stepc.video.decode import Pictures, encode, shrink

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = LazyModule("asyncio")

UNREADABLE_BODY = 200
SESSION = "X-Session-ID"
"""Header by which a balancer can send calls about one keyframe to one server."""
ABSENT = 3
"""Maximum attempts while the server has never been reached."""
HOPELESS = 5
"""Refused requests after which the run stops, if the server has answered none."""
LARGEST = 32 << 20
"""Maximum bytes of a response."""


class Memory(Protocol):
    """Keeps what a server can do between runs."""

    def load(self) -> Features | None:
        """The features of an earlier run; None if there are none."""

    def save(self, features: Features) -> None:
        """Keep features for later runs."""


@dataclass
class ServerModel:
    """A model behind an OpenAI-compatible server (`/chat/completions`)."""

    model: str
    server: ServerOptions = field(default_factory=ServerOptions)
    templates: str = "default"
    together: Together = SERVED_TOGETHER
    spent: Usage = field(default_factory=Usage)
    """Requests, failed ones included, and tokens that count against the budget."""
    parallel: bool = True
    """Whether several threads may call `generate` in parallel. They share the limit `at_once`."""

    def __post_init__(self) -> None:
        import openai

        self.urls = addresses(self.server)
        self.key = api_key()
        self.openai, self.http = openai, http_package(openai)
        self.longest = longest_side(self.model, self.server.picture_size)
        folder = self.server.picture_folder
        self.encoded = EncodedPictures(self.server.pictures, self.longest, folder)
        self.kept = KeptPictures()
        self.identity = f"openai:{self.model}"
        self.extra: dict[str, Any] = orjson.loads(self.server.extra_body)
        self.lock = threading.Lock()
        self.slots = threading.Semaphore(self.server.at_once)
        self.asking = 0
        """Number of threads in `generate`."""
        self.over: StepcError | None = None
        """The error that stopped all further calls, if any."""
        self.features = Features()
        """What requests contain: what the server has not refused."""
        self.met = not self.server.handshake
        """Whether the handshake has begun, or is not wanted."""
        self.greeted = self.met
        """Whether the handshake is done."""
        self.reached = False
        """Whether the server has ever responded; one that has may come back after an outage."""
        self.answered = self.refused = 0
        """Requests that the server has answered, and those that it will not answer."""
        self.reporter = SILENT
        """Receives a warning about each feature that is left out."""
        self.said: set[str] = set()
        self.memory: Memory | None = None
        """Where the features of the server are kept between runs."""

    def generate(
        self, prompts: Iterable[Call], pictures: Pictures, done: Callable[[Completion], None]
    ) -> None:
        """Answer each call with one reply per seed. A call that the server refuses never stops a run.

        Raises StepcError: M008 if the server cannot be called, M009 if the budget is spent, M010 if
        the server refuses everything. Calls completed before that were passed to `done`.
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
        client = self._client()

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
            await self.meet(client)
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

    def _client(self) -> Any:
        """A client that follows no redirect, and reads no response without end."""
        s = self.server
        url = self.urls[0] if self.urls else None
        return bounded_client(self.openai, url, self.key, LARGEST, s.at_once, s.timeout)

    async def meet(self, client: Any) -> Features:
        """Try what the server can do, once (see `shake`). Raises StepcError (M008-M010)."""
        with self.lock:
            if self.met:
                return self.features
            self.met = True
        known = self.memory.load() if self.memory is not None else None
        untried = self.server.picture_folder is not None and known and known.references != "file"
        if known is not None and not untried:
            self.features, self.greeted = known, True
            return known

        async def ask(call: Call, pictures: Pictures) -> Completion:
            return await self._one(client, call, pictures)

        files = ("file",) if self.server.picture_folder is not None else ()
        references = (*files, "uuid") if self.urls else ()
        await shake(ask, self.features, self._tell, references)
        if self.kept.missed:
            self.features.references = ""
        self.greeted = True
        self._keep()
        return self.features

    def handshake(self) -> Features:
        """Try what the server can do, and return it. Raises StepcError (M008-M010)."""

        async def run() -> Features:
            async with self._client() as client:
                return await self.meet(client)

        return asyncio.run(run())

    def _keep(self) -> None:
        if self.memory is not None:
            self.memory.save(self.features)

    async def _one(self, client: Any, prompt: Call, pictures: Pictures) -> Completion:
        """Collect all replies to one call: in one request if the server supports `n`, else one by one."""
        message = self._message(prompt, pictures, self.features.video)
        replies: list[ModelReply] = []
        began, call = time.perf_counter(), Usage()
        while len(replies) < len(prompt.seeds):
            left = len(prompt.seeds) - len(replies)
            got = await self._asked(client, prompt, pictures, message, len(replies), left, call)
            replies += got
        took = time.perf_counter() - began
        tokens = call.tokens_in, call.tokens_out
        return Completion(
            prompt, tuple(replies), took, *tokens, call.retries, tokens_cached=call.tokens_cached
        )

    def _message(self, prompt: Call, pictures: Pictures, video: bool) -> Message:
        """The keyframes, as a video if the call may be one and `video`, and the instruction."""
        instruction = {"type": "text", "text": prompt.text}
        if not (prompt.video and video):
            return Message(prompt.frames, [instruction], False)
        shown = [pictures.at(f) for f in prompt.frames]
        if self.longest is not None:
            shown = [shrink(picture, self.longest) for picture in shown]
        data = base64.b64encode(encode(shown, [f.at for f in prompt.frames])).decode()
        url = {"url": f"data:video/mp4;base64,{data}"}
        return Message((), [{"type": "video_url", "video_url": url}, instruction], True)

    def _body(
        self, prompt: Call, content: list[Any], first: int, number: int, features: Features
    ) -> dict[str, Any]:
        """The request for samples `first` and on, with these features."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
        }
        if features.temperature:
            body["temperature"] = prompt.temperature
        if features.seed:
            body["seed"] = prompt.seeds[first] % (1 << 31)
        if limit := LIMITS[features.limit]:
            body[limit] = self.server.reply_tokens or most_tokens(prompt)
        if number > 1:
            body["n"] = number
        if prompt.schema is not None and (form := FORMS[features.form]):
            body["response_format"] = response_format(form, prompt)
        if self.server.reasoning_effort is not None:
            body["reasoning_effort"] = self.server.reasoning_effort
        return body

    async def _asked(  # long: one call with its retries, read from top to bottom
        self,
        client: Any,
        prompt: Call,
        pictures: Pictures,
        message: Message,
        first: int,
        left: int,
        call: Usage,
    ) -> list[ModelReply]:
        """Send one request until it succeeds; return its replies, at least one and at most `left`.

        What the server refuses by name is left out from then on. If it names nothing, features that have
        never worked are left out of this request one by one, and from then on if that helps.
        """
        tried, mine = 0, dataclasses.replace(self.features)
        session = session_of(prompt)
        servers = in_order(self.urls, session)
        fewer: Iterator[Features] | None = None
        """What is tried after a refusal that names nothing: features left out one by one."""
        wait: float | None
        why: Exception
        while True:
            if message.film and not mine.video:
                message = self._message(prompt, pictures, False)
            film = message.film
            number = left if mine.many else 1
            server = servers[tried % len(servers)] if servers else ""
            how = mine.references if self.kept.useful else ""
            named = self.kept.of(server, message.frames) if how == "uuid" else frozenset()
            shown = [self.encoded.part(f, pictures, how, f in named) for f in message.frames]
            body = self._body(prompt, [*shown, *message.parts], first, number, mine)
            self._afford()
            call.calls += 1
            try:
                replies = await self._call(client, server, session, body, call)
                if how == "uuid":
                    self.kept.note(server, message.frames, named)
                self._worked(mine, used(body, film), fewer is not None)
                if len(replies) < number and mine.many:
                    self._only_one()
                return replies[:number]  # a proxy may return too many
            except Refused as error:
                if self._as_data(mine, server, named):
                    continue
                refusal = error.refusal
                about = refusal.meaning in ABOUT_THE_REQUEST
                lasting = refusal.status not in REFUSED and not about
                nowhere = refusal.status == 404 and not refusal.meaning and not self.answered
                if refusal.meaning in ("key", "model", "option") or lasting or nowhere:
                    self._stop(error)
                if fewer is None and self._named(refusal, mine, body, film):
                    continue
                if fewer is None and refusal.meaning not in ABOUT_THE_REQUEST:
                    unproved = self._unproved(mine, used(body, film))
                    fewer = mine.fewer(unproved)
                following = next(fewer, None) if fewer is not None else None
                if following is None:
                    return self._request_refused(refusal, left)
                mine = following
                continue
            except Later as error:
                if error.status and self._as_data(mine, server, named):
                    continue
                wait, why, again = error.wait, error, True
                absent = not self.reached or (error.status == UNREADABLE_BODY and not self.answered)
                if absent and tried + 1 >= ABSENT:
                    again = False
                if error.status == 500 and tried >= 2:  # some servers reject a feature with 500
                    # llama.cpp: also for a reply that was cut off
                    helps = "video" if film else "response_format"
                    if helps in used(body, film) and mine.without(helps):
                        fewer = fewer or iter(())
            tried += 1
            if not again or tried >= self.server.attempts:
                if isinstance(why, Later) and why.refusal and self.answered:
                    return self._request_refused(why.refusal, left)
                self._stop(why)
            with self.lock:
                self.spent.retries += 1
            call.retries += 1
            pause = self.server.wait * 2 ** (tried - 1) * (0.5 + random.random())
            await asyncio.sleep(max(wait or 0.0, min(pause, 60.0)))

    def _as_data(self, mine: Features, server: str, named: frozenset[Frame]) -> bool:
        """Whether a request that failed is sent again with data in place of references to pictures."""
        if named:
            self.kept.forget(server, named)
            return True
        proved = "references" in self.features.proved
        if not mine.references or (proved and mine.references == "uuid"):
            return False
        mine.references = ""
        if proved:  # by an earlier run, perhaps with another folder
            self.kept.forget(server, named)
        else:
            self.features.references = ""
        return True

    def _worked(self, mine: Features, features: list[str], fewer: bool) -> None:
        """Remember which features have worked; with `fewer`, leave out for good what stood in the way."""
        with self.lock:
            self.answered += 1
            for feature in self.features.differing(mine) if fewer else ():
                if self.features.name(feature) not in self.features.proved:
                    self.features.take(feature, mine)
                    self._tell(feature, "")
            self.features.proved |= {mine.name(feature) for feature in features}

    def _only_one(self) -> None:
        """Ask for one reply per request from now on: the server returned fewer than asked for."""
        with self.lock:
            if self.features.many and self.features.without("n"):
                self._tell("n", "it returned fewer replies than asked for")

    def _unproved(self, mine: Features, features: list[str]) -> list[str]:
        return [feature for feature in features if mine.name(feature) not in self.features.proved]

    def _named(self, refusal: Refusal, mine: Features, body: dict[str, Any], film: bool) -> bool:
        """Leave out of `mine` the feature that a refusal names. Returns False if it names none."""
        meaning = refusal.meaning
        if film and meaning in ("image", "pictures"):
            meaning = "video"
        if meaning not in used(body, film):
            return False
        name = mine.name(meaning)
        with self.lock:
            new = self.features.name(meaning) == name and name not in self.features.proved
            if new and self.features.without(meaning):
                self._tell(meaning, refusal.message)
        return mine.without(meaning)

    def _request_refused(self, refusal: Refusal, number: int) -> list[ModelReply]:
        """The replies to a request that is refused. Raises StepcError (M010) if all requests are."""
        said = self._hidden(f"{refusal.status} {refusal.message}")
        if refusal.meaning == "blind":
            self._give_up(said)
        with self.lock:
            self.refused += 1
            hopeless = not self.answered and self.refused >= HOPELESS
        if hopeless:
            self._give_up(said)
        finish = f"{REFUSED_WHOLLY}: {refusal.meaning}" if refusal.meaning else REFUSED_WHOLLY
        return [ModelReply("", finish=finish, refusal=said[:400])] * number

    def _give_up(self, said: str) -> NoReturn:
        """Stop all calls because the server refuses them. Raises StepcError (M010)."""
        message = f"the server refuses every request: {said}"
        help = HELP.get(Refusal(400, said).meaning, "see what it supports: stepc model check MODEL")
        self.over = fail("M010", message, Place(self.identity), help)
        raise self.over from None

    def _stop(self, why: Exception) -> NoReturn:
        """Stop all calls. Raises StepcError (M008)."""
        refusal = why.refusal if isinstance(why, Refused) else None
        help = "check the server's address (--base-url) and the model's name"
        help = HELP.get(refusal.meaning, help) if refusal else help
        message = f"the server cannot be called: {self._hidden(str(why))}"
        self.over = fail("M008", message, Place(self.identity), help)
        raise self.over from None

    def _tell(self, feature: str, why: str) -> None:
        """Warn once that a feature is left out."""
        if feature in self.said and feature not in ("response_format", "limit"):
            return
        self.said.add(feature)
        instead = ""
        if feature == "response_format":
            instead = f"; using {FORMS[self.features.form] or 'no format'} instead"
        elif feature == "limit":
            instead = f"; using {LIMITS[self.features.limit] or 'no limit'} instead"
        message = f"the server does not accept {CALLED[feature]}{instead}"
        message += f" ({self._hidden(why)[:200]})" if why else ""
        help = HELP.get(feature, "the run goes on without it")
        self.reporter.diagnostic(Diagnostic("M012", message, Place(self.identity), help, "warning"))
        if self.greeted:
            self._keep()

    async def _call(
        self, client: Any, server: str, session: str, body: dict[str, Any], call: Usage
    ) -> list[ModelReply]:
        """Send one request. Raises Later if it may be retried, otherwise Refused."""
        http = self.http
        path = f"{server.rstrip('/')}/chat/completions" if server else "chat/completions"
        content = orjson.dumps(body | self.extra)
        try:
            async with asyncio.timeout(self.server.timeout):
                response = await client.post(path, content=content, headers={SESSION: session})
            self.reached = True
        except (TimeoutError, http.TimeoutException):
            self.reached = True
            raise Later(f"no whole response in {self.server.timeout:g} seconds") from None
        except http.HTTPError as error:
            self.reached = self.reached or not isinstance(error, http.ConnectError)
            raise Later(str(error) or type(error).__name__) from None
        except ValueError as error:  # a body that cannot be decoded
            raise Later(f"the response cannot be read: {error}") from None
        if not response.is_success:
            raise failure_of(response)
        try:
            parsed = parse_body(response.content)
            if wrong := error_in(parsed):  # with status 200, as some proxies do
                refusal = Refusal.read(status_in(wrong), {"error": wrong})
                raise by_status(refusal, None, alone=bool(parsed.get("choices")))
            replies = replies_of(parsed)
        except BadResponse as error:
            raise Later(self._hidden(str(error)), status=UNREADABLE_BODY) from None
        tokens = tokens_of(parsed)
        with self.lock:
            for spent in (self.spent, call):
                spent.tokens_in += tokens.sent
                spent.tokens_out += tokens.received
                spent.tokens_cached += tokens.cached
        return replies

    def _afford(self) -> None:
        """Count a request against the budget. Raises StepcError (M009) if the budget is spent."""
        with self.lock:
            if over := self.server.spent(self.spent):
                help = "raise the budget to continue; with --record no call is repeated"
                place = Place(self.identity)
                self.over = fail("M009", f"the budget is spent: {over}", place, help)
                raise self.over
            self.spent.calls += 1

    def _hidden(self, text: str) -> str:
        """Mask the API key in a text, also where it is encoded."""
        return hidden(text, self.key)
