"""Servers as they are: about fifty ways to answer, refuse and fail, and what comes of each."""

from __future__ import annotations

import base64
import gzip
import json
import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import orjson
import pytest
from hearing import Heard

from stepc.diagnostics import Diagnostic, StepcError
from stepc.driver.compile_corpus import compile_corpus
from stepc.driver.compile_video import CompileConfig
from stepc.ir.types import Frame
from stepc.lang.parse import builtin
from stepc.model.backends import identity_of
from stepc.model.client import ModelClient, Usage
from stepc.model.load import ModelConfig
from stepc.model.openai_compatible import ServerModel
from stepc.model.requests import (
    Classify,
    Confirm,
    DescribeEvent,
    DescribeMotion,
    ListObjects,
    Mention,
    ObjectClaim,
    Request,
)
from stepc.model.server_features import Features, Refusal
from stepc.model.server_handshake import DIGITS, Digits
from stepc.model.server_options import ServerOptions, addresses
from stepc.model.server_pictures import EncodedPictures
from stepc.model.server_transport import hidden
from stepc.model.templates import Templates
from stepc.reporter import Collector
from stepc.video.decode import Pictures

Body = dict[str, Any]
Answer = tuple[int, Any]
SECRET = "sk-very-secret+key/0123456789"
CUP = Mention(label="cup")
FRAMES = tuple(Frame(video="f" * 64, at=at) for at in (0, 800))
REQUESTS: list[Request] = [
    ListObjects(frames=FRAMES[:1], narrative="A cup on a table."),
    Classify(frames=FRAMES[:1], target=CUP),
    Confirm(frames=FRAMES[:1], claim=ObjectClaim(target=CUP)),
    DescribeMotion(frames=FRAMES, target=CUP),
    DescribeEvent(frames=FRAMES),
]
RIGHT = [("cup", "table"), "dynamic", True, "falling", "a cup is falling"]


def content_of(asked: Body) -> str:
    """The reply of a model that sees and follows the instruction."""
    text = asked["messages"][0]["content"][-1]["text"]
    if "number is written" in text:
        return json.dumps({"number": DIGITS[0]})
    for word, reply in (
        ('{"objects"', '{"objects": ["cup", "table"]}'),
        ('{"kind"', '{"kind": "dynamic"}'),
        ('{"yes"', '{"yes": true}'),
        ('{"motion"', '{"motion": "falling"}'),
        ('{"event"', '{"event": "a cup is falling"}'),
        ('{"narrative"', '{"narrative": "A cup on a table."}'),
        ('{"attributes"', '{"attributes": {"color": "red"}}'),
        ('{"predicates"', '{"predicates": ["on"]}'),
    ):
        if word in text:
            return reply
    raise AssertionError(text)


def answer(asked: Body, content: Any = None, **more: Any) -> Answer:
    """A response as it should be, or with another content and further fields of each choice."""
    message = {"role": "assistant", "content": content_of(asked) if content is None else content}
    choice = {"index": 0, "message": message, "finish_reason": "stop", **more}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return 200, {"id": "x", "choices": [choice] * asked.get("n", 1), "usage": usage}


def wrong(status: int, message: str, **more: Any) -> Answer:
    return status, {"error": {"message": message, **more}}


class Server:
    """A server that behaves in one way; `asked` are the bodies that it received."""

    def __init__(self, mode: Callable[[Body], Any]) -> None:
        self.asked: list[Body] = []
        self.headers: list[dict[str, str]] = []
        self.mode, server, lock = mode, self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                pass

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    server.asked.append(body)
                    server.headers.append(dict(self.headers))
                made = server.mode(body)
                if callable(made):
                    made(self)
                    return
                status, data = made
                data = data if isinstance(data, bytes) else json.dumps(data).encode()
                send(self, status, data, {"Content-Type": "application/json"})

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


def send(to: Any, status: int, data: bytes, headers: dict[str, str]) -> None:
    to.send_response(status)
    for name, value in headers.items():
        to.send_header(name, value)
    to.send_header("Content-Length", str(len(data)))
    to.end_headers()
    to.wfile.write(data)


class Greys(Pictures):
    """Every frame a grey of its own."""

    def at(self, frame: Frame) -> Any:
        return np.full((40, 60, 3), frame.at // 20 % 255, np.uint8)


def ask(server: Server, **options: Any) -> tuple[list[Any], Usage, list[Diagnostic], ServerModel]:
    """Ask the five requests, one call at a time: values, usage, diagnostics, and the model."""
    given = {"at_once": 1, "wait": 0.001, "attempts": 3, "timeout": 5.0, **options}
    model = ServerModel("m", ServerOptions(server.url, **given))
    heard = Collector()
    model.reporter = heard
    client = ModelClient(model, Templates("default"), Greys())
    try:
        replies = client.ask(REQUESTS)
    except StepcError as error:
        return [], client.usage, [*heard.diagnostics, *error.diagnostics], model
    values = [next(iter(vars(r.read[0]).values())) if r.read else None for r in replies]
    return values, client.usage, heard.diagnostics, model


def refuses(*fields: str, status: int = 400, message: str = "", **more: Any) -> Any:
    """A server that refuses requests with a field."""

    def mode(asked: Body) -> Answer:
        there = [f for f in fields if f in asked]
        if there:
            said = message or f"Unsupported parameter: '{there[0]}' is not supported."
            return wrong(status, said, **({"param": there[0]} if more.get("param") else {}))
        return answer(asked)

    return mode


def pictures(asked: Body) -> int:
    return sum(part["type"] == "image_url" for part in asked["messages"][0]["content"])


THOUGHT = '<think>Perhaps {"yes": false}? {"kind": "static"} {"objects": ["dog"]}</think>'
ANSWERED: dict[str, Callable[[Body], Any]] = {
    "as it should": answer,
    "thinks aloud": lambda a: answer(a, THOUGHT + content_of(a)),
    "thinks, the template has begun": lambda a: answer(
        a, 'Perhaps {"yes": false}?</think>' + content_of(a)),
    "thinks in a field": lambda a: answer(
        a, message={"content": content_of(a), "reasoning_content": "hm"}),
    "channels": lambda a: answer(
        a, '<|channel|>analysis<|message|>{"yes": false}<|end|><|start|>assistant<|channel|>final'
           "<|message|>" + content_of(a) + "<|return|>"),
    "parts": lambda a: answer(a, [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                                  {"type": "text", "text": content_of(a)}]),
    "a tool call": lambda a: answer(a, message={"content": None, "tool_calls": [
        {"function": {"name": "reply", "arguments": content_of(a)}}]}),
    "a draft before it": lambda a: answer(a, '{"yes": false} no: ' + content_of(a)),
    "fences and prose": lambda a: answer(a, f"Sure!\n```json\n{content_of(a)}\n```\nAnything else?"),
    "special tokens": lambda a: answer(a, content_of(a) + "<|im_end|>\n<|im_start|>user\n{}"),
    "Python": lambda a: answer(a, str(json.loads(content_of(a)))),
    "curly quotes": lambda a: answer(a, re.sub(r'"([^"]*)"', "“\\1”", content_of(a))),
    "repeats the question": lambda a: answer(
        a, a["messages"][0]["content"][-1]["text"] + "\n\n" + content_of(a)),
    "usage of texts": lambda a: (
        200, {**answer(a)[1], "usage": {"prompt_tokens": "abc", "completion_tokens": None}}),
    "usage of a list": lambda a: (200, {**answer(a)[1], "usage": [1]}),
    "a choice alone": lambda a: (200, {"choices": answer(a)[1]["choices"][0]}),
    "one reply whatever n": lambda a: (200, {"choices": answer(a)[1]["choices"][:1]}),
    "a completion": lambda a: (200, {"choices": [{"text": content_of(a)}]}),
    "no index, no reason": lambda a: answer(a, finish_reason=None, index=None),
    "cut off after the answer": lambda a: answer(a, content_of(a) + " I hope", finish_reason="length"),
}  # fmt: skip
"""Modes in which every request gets its answer, without a diagnostic but that `n` is ignored."""


@pytest.mark.parametrize("name", ANSWERED)
def test_what_a_server_says_beside_the_answer_is_no_answer(name: str) -> None:
    server = Server(ANSWERED[name])
    values, usage, told, model = ask(server)
    assert values == RIGHT and usage.unread == 0
    ignores_n = name in ("a choice alone", "one reply whatever n", "a completion")
    assert [d.code for d in told] == ["M012"] * ignores_n and model.features.sees
    server.close()


LEFT_OUT: dict[str, tuple[Callable[[Body], Any], dict[str, Any], str]] = {
    "no max_tokens": (
        refuses("max_tokens", message="Unsupported parameter: 'max_tokens' is not supported with this"
                " model. Use 'max_completion_tokens' instead.", param=True),
        {"limit": "max_completion_tokens"}, "max_tokens"),
    "temperature is 1": (refuses("temperature", message="Unsupported value: 'temperature' does not"
                                 " support 0 with this model.", param=True),
                         {"temperature": False}, "temperature"),
    "no seed": (lambda a: (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"],
                                            "msg": "Extra inputs are not permitted"}]})
                if "seed" in a else answer(a), {"seed": False}, "seed"),
    "no n": (refuses("n", message="n > 1 is not supported"), {"n": False}, "several replies"),
    "no n, by name": (refuses("n", message="what?", param=True), {"n": False}, "several replies"),
    "no schema": (lambda a: wrong(400, "json_schema is not supported")
                  if a.get("response_format", {}).get("type") == "json_schema" else answer(a),
                  {"response_format": "json_object"}, "JSON schemas"),
    "no format": (refuses("response_format"), {"response_format": None}, "JSON schemas"),
    "an unknown field": (refuses("seed", message="bad request"), {"seed": False}, "seed"),
    "a reasoning model": (
        lambda a: next((refuses(f, param=True)(a) for f in ("max_tokens", "temperature", "n") if f in a),
                       answer(a)),
        {"limit": "max_completion_tokens", "temperature": False, "n": False}, "max_tokens"),
    "501 for schemas": (refuses("response_format", status=501, message="not implemented"),
                        {"response_format": None}, "JSON schemas"),
}  # fmt: skip
"""Modes in which a feature is left out, told once, and every request gets its answer."""


@pytest.mark.parametrize("name", LEFT_OUT)
def test_only_what_a_server_refuses_is_left_out(name: str) -> None:
    mode, facts, word = LEFT_OUT[name]
    server = Server(mode)
    values, _, told, model = ask(server)
    assert values == RIGHT
    whole = {"n": True, "seed": True, "temperature": True, "response_format": "json_schema",
             "limit": "max_tokens", "several_pictures": True, "video": True, "sees": True,
             "references": None}  # fmt: skip
    assert model.features.facts() == {**whole, **facts}
    assert {d.code for d in told} == {"M012"} and word in told[0].message
    assert len({d.message for d in told}) == len(told)
    refused = [a for a in server.asked if server.mode(a)[0] != 200]
    assert len(refused) <= 7  # of the handshake alone: each refusal is learnt once
    server.close()


def _once(status: int, message: str, when: Callable[[Body], bool]) -> Callable[[Body], Any]:
    return lambda a: wrong(status, message) if when(a) else answer(a)


def _asks(word: str) -> Callable[[Body], bool]:
    return lambda a: word in a["messages"][0]["content"][-1]["text"]


COSTS_ITSELF: dict[str, tuple[Callable[[Body], Any], list[int], str]] = {
    "a filtered prompt": (_once(400, "The response was filtered due to the prompt triggering Azure"
                                " OpenAI's content management policy.", _asks('{"kind"')), [1], "refused"),
    "a refused picture": (_once(400, "cannot identify image file", _asks('{"yes"')), [2], "refused"),
    "a 400 without a reason": (_once(400, "bad request", _asks('{"kind"')), [1], "refused"),
    "one picture": (lambda a: wrong(400, "At most 1 image(s) may be provided in one request.")
                    if pictures(a) > 1 else answer(a), [3, 4], "more pictures"),
    "a short context": (lambda a: wrong(400, "This model's maximum context length is 4096 tokens.")
                        if pictures(a) > 1 else answer(a), [3, 4], "more tokens"),
    "413": (lambda a: (413, b"<html>Request Entity Too Large</html>") if pictures(a) > 1 else answer(a),
            [3, 4], "more tokens"),
    "a refusal of the model": (lambda a: answer(a, message={"content": None, "refusal": "I won't."})
                               if _asks('{"kind"')(a) else answer(a), [1], "refused"),
    "the filter stops it": (lambda a: answer(a, "", finish_reason="content_filter")
                            if _asks('{"kind"')(a) else answer(a), [1], "refused"),
    "no message": (lambda a: answer(a, message=None, finish_reason="error")
                   if _asks('{"kind"')(a) else answer(a), [1], "empty"),
    "an error in the choice": (lambda a: answer(a, message=None, error={"message": "upstream", "code": 502})
                               if _asks('{"kind"')(a) else answer(a), [1], "refused"),
    "only reasoning": (lambda a: answer(a, message={"content": None, "reasoning_content": "hm"},
                                        finish_reason="length")
                       if _asks('{"kind"')(a) else answer(a), [1], "cut off"),
    "only reasoning, and it ends": (
        lambda a: answer(a, message={"content": None, "reasoning_content": "hm"})
        if _asks('{"kind"')(a) else answer(a), [1], "reasoning without an answer"),
    "a filter at the handshake": (
        _once(400, "The response was filtered by the content management policy.",
              _asks("number is written")), [], ""),
    "an accident at the handshake": (
        _once(400, "cannot identify image file", _asks("number is written")), [], ""),
    "thinks without end": (lambda a: answer(a, '<think>It is {"kind": "static"} or',
                                            finish_reason="length")
                           if _asks('{"kind"')(a) else answer(a), [1], "cut off"),
    "cut off inside": (lambda a: answer(a, '{"objects": ["cup", "ta', finish_reason="length")
                       if _asks('{"objects"')(a) else answer(a), [0], "cut off"),
    "says nothing": (lambda a: answer(a, "") if _asks('{"kind"')(a) else answer(a), [1], "empty"),
    "a number": (lambda a: answer(a, 7) if _asks('{"kind"')(a) else answer(a), [1], "empty"),
    "prose": (lambda a: answer(a, "What a lovely picture!") if _asks('{"kind"')(a) else answer(a),
              [1], "unreadable"),
    "cannot determine": (lambda a: answer(a, '{"event": "I cannot determine what happens"}')
                         if _asks('{"event"')(a) else answer(a), [4], "no answer"),
    "n/a": (lambda a: answer(a, '{"motion": "N/A"}') if _asks('{"motion"')(a) else answer(a),
            [3], "no answer"),
    "the placeholder": (lambda a: answer(a, '{"event": "..."}') if _asks('{"event"')(a) else answer(a),
                        [4], "no answer"),
    "half an emoji": (lambda a: (200, json.dumps(answer(a, "cut \ud83d")[1]).encode())
                      if _asks('{"kind"')(a) else answer(a), [1], "unreadable"),
    "deep nesting": (lambda a: answer(a, "[" * 50_000) if _asks('{"kind"')(a) else answer(a),
                     [1], "unreadable"),
    "a runaway": (lambda a: answer(a, "\n" * 100 + "a" * 100_000) if _asks('{"kind"')(a) else answer(a),
                  [1], "too long"),
}  # fmt: skip
"""Modes in which some requests get no answer: which, and why."""


@pytest.mark.parametrize("name", COSTS_ITSELF)
def test_what_is_refused_or_said_wrongly_costs_only_itself(name: str) -> None:
    mode, lost, why = COSTS_ITSELF[name]
    server = Server(mode)
    values, usage, told, model = ask(server)
    assert values == [None if i in lost else right for i, right in enumerate(RIGHT)]
    assert usage.unread == len(lost) and all(why in key for key in usage.why)
    assert {d.code for d in told} <= {"M012"}  # one picture: told once
    assert model.features.form == 0 and model.features.many and model.features.limit == 0
    server.close()


STOPS: dict[str, tuple[Callable[[Body], Any], str, str, int]] = {
    "a wrong key": (lambda a: wrong(401, f"Incorrect API key provided: {SECRET}"),
                    "M008", "OPENAI_API_KEY", 1),
    "no right": (lambda a: wrong(403, "Forbidden"), "M008", "OPENAI_API_KEY", 1),
    "no quota": (lambda a: wrong(429, "You exceeded your current quota", code="insufficient_quota"),
                 "M008", "quota", 1),
    "no money": (lambda a: wrong(402, "Insufficient credits"), "M008", "", 1),
    "no such model": (lambda a: wrong(404, "The model `m` does not exist"), "M008", "name", 1),
    "no eyes": (lambda a: wrong(400, "m is not a multimodal model"), "M010", "vision", 1),
    "no mmproj": (lambda a: wrong(500, "image input is not supported - hint: you may need to provide the"
                                  " mmproj"), "M010", "vision", 1),
    "an error in every choice": (
        lambda a: answer(a, message=None, error={"message": "Provider returned error", "code": 502}),
        "M008", "address", 3),
    "not the address": (lambda a: (404, b"404 page not found"), "M008", "address", 1),
    "always busy": (lambda a: wrong(429, "slow down"), "M008", "", 3),
    "an error with status 200": (lambda a: (200, {"error": {"message": "Provider returned error",
                                                            "code": 429}}), "M008", "", 3),
    "an HTML page": (lambda a: (200, b"<html>a portal</html>"), "M008", "", 3),
    "nothing": (lambda a: (200, b""), "M008", "", 3),
    "an empty object": (lambda a: (200, {}), "M008", "", 3),
    "choices of text": (lambda a: (200, {"choices": "abc"}), "M008", "", 3),
    "choices of nothing": (lambda a: (200, {"choices": []}), "M008", "", 3),
    "choices of texts": (lambda a: (200, {"choices": ["a"]}), "M008", "", 3),
    "a list": (lambda a: (200, [1]), "M008", "", 3),
    "100,000 brackets": (lambda a: (200, b"[" * 100_000), "M008", "nested", 3),
    "an error as text": (lambda a: (500, {"error": "boom"}), "M008", "", 3),
    "an error as list": (lambda a: (503, {"error": ["boom"]}), "M008", "", 3),
}  # fmt: skip
"""Modes that stop the run: code, a word of the diagnostic, and the most requests until then."""


@pytest.mark.parametrize("name", STOPS)
def test_what_concerns_every_request_stops_the_run_soon(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mode, code, word, most = STOPS[name]
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    server = Server(mode)
    values, _, told, _ = ask(server)
    assert values == [] and told[-1].code == code
    assert word in f"{told[-1].message} {told[-1].help}" and SECRET not in told[-1].text()
    assert len(server.asked) <= most
    server.close()


def _redirect(asked: Body) -> Any:
    other = {"Location": "http://127.0.0.1:1/v1/chat/completions"}
    return lambda to: send(to, 307, b"", other)


def _huge(asked: Body) -> Any:
    def reply(to: Any) -> None:
        to.send_response(200)
        to.send_header("Content-Length", str(1 << 34))
        to.end_headers()
        part = b" " * (1 << 20)
        try:
            for _ in range(1 << 14):
                to.wfile.write(part)
        except OSError:
            to.close_connection = True

    return reply


def _bomb(asked: Body) -> Any:
    data = gzip.compress(b" " * (1 << 26))
    return lambda to: send(to, 200, data, {"Content-Encoding": "gzip"})


def _slow(asked: Body) -> Any:
    def reply(to: Any) -> None:
        to.send_response(200)
        to.send_header("Content-Length", "100000")
        to.end_headers()
        try:
            for _ in range(1000):
                to.wfile.write(b" ")
                time.sleep(0.2)
        except OSError:
            to.close_connection = True

    return reply


@pytest.mark.parametrize(
    ("mode", "word"),
    [
        (_redirect, "redirects"),
        (_huge, "larger"),
        (_bomb, "compressed"),
        (_slow, "no whole response"),
    ],
)
def test_a_response_is_bounded(mode: Callable[[Body], Any], word: str) -> None:
    server = Server(mode)
    began = time.monotonic()
    values, _, told, _ = ask(server, timeout=1.5, attempts=2)
    assert values == [] and told[-1].code == "M008" and word in told[-1].message
    assert time.monotonic() - began < 20
    server.close()


def test_a_model_that_does_not_see_is_told(film: Path, tmp_path: Path) -> None:
    server = Server(
        lambda a: answer(a, '{"number": "1234"}') if "number is" in str(a) else answer(a)
    )
    manifest, said = _compiled(server, film, tmp_path)
    assert "M013" in {d.code for d in said} and manifest["server"]["sees"] is False
    server.close()


def test_failures_are_asked_again_by_the_next_run_and_nothing_else_is(
    film: Path, tmp_path: Path
) -> None:
    """A repaired server: the replies that failed are asked for, and the others are not paid twice."""
    broken = [True]

    def mode(asked: Body) -> Any:
        if broken[0] and _asks('{"kind"')(asked):
            return answer(asked, "<think>", finish_reason="length")
        return answer(asked)

    server = Server(mode)
    _, said = _compiled(server, film, tmp_path)
    (lost,) = [d for d in said if d.code == "M011"]
    assert "`classify`" in lost.message and "100%" in lost.message and "cut off" in lost.message
    assert "--reply-tokens" in lost.help
    first = len(server.asked)
    broken[0] = False
    manifest, said = _compiled(server, film, tmp_path)
    again = server.asked[first:]
    assert again and all(_asks('{"kind"')(a) for a in again[:2])
    assert [d for d in said if d.code == "M011"] == []
    assert manifest["server"]["sees"] is True  # known from the first run, without another handshake
    assert not any("number is written" in str(a) for a in again)
    count = len(server.asked)
    _compiled(server, film, tmp_path)
    assert len(server.asked) == count
    server.close()


def _compiled(server: Server, film: Path, folder: Path) -> tuple[Any, list[Diagnostic]]:
    choice = ModelConfig("openai:m", server=ServerOptions(server.url, wait=0.001), together=1)
    parse = "parse(names=words,relate=pairs)"
    passes = f"split-uniform,keyframes-uniform,{parse},lift,bridge-none,sample,compose,check"
    order = CompileConfig(passes, "dedupe,emit", builtin("step"), "step.step", choice,
                          store=folder / "store")  # fmt: skip
    said: list[Diagnostic] = []
    compile_corpus([film], folder / "out", order, reporter=Heard(said.append))
    return json.loads((folder / "out" / "manifest.json").read_bytes()), said


@pytest.mark.parametrize(
    "text",
    [SECRET, "sk-very-secret%2Bkey%2F0123456789", "SK-VERY-SECRET+KEY/0123456789",
     "c2stdmVyeS1zZWNyZXQra2V5LzAxMjM0NTY3ODk", "sk%2Dvery-secret%2bkey/0123456789",
     SECRET.encode().hex(), SECRET[::-1], "".join(f"&#{ord(c)};" for c in SECRET),
     "".join(f"\\\\u{ord(c):04x}" for c in SECRET), "".join(f"\\x{ord(c):02x}" for c in SECRET)],
)  # fmt: skip
def test_the_key_is_hidden_in_any_encoding(text: str) -> None:
    assert "…" in hidden(f"no such key: Bearer {text}!", SECRET)
    assert text not in hidden(f"no such key: Bearer {text}!", SECRET)


def test_large_pictures_are_scaled_down_where_asked_for() -> None:
    def longest(asked: Body) -> int:
        parts = asked["messages"][0]["content"]
        url = next(p["image_url"]["url"] for p in parts if p["type"] == "image_url")
        data = np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8)
        return max(cv2.imdecode(data, cv2.IMREAD_COLOR).shape[:2])

    keys = set()
    for side, sent in (("full", 224), (64, 64), (500, 224)):
        server = Server(answer)
        ask(server, picture_size=side)
        assert longest(server.asked[0]) == sent  # the handshake's picture
        server.close()
        for form in ("jpeg", "png"):
            options = ServerOptions("http://a/v1", picture_size=side, pictures=form)
            keys.add(identity_of(ModelConfig("openai:m", server=options)))
    assert len(keys) == 6, "replies to other pictures are other replies"


def test_options_are_passed_through() -> None:
    server = Server(answer)
    ask(server, reply_tokens=4096, reasoning_effort="low", extra_body='{"top_k": 20}')
    for asked in server.asked:
        assert asked["max_tokens"] == 4096 and asked["reasoning_effort"] == "low"
        assert asked["top_k"] == 20
    server.close()


@pytest.mark.parametrize(
    ("message", "code", "wanted"),
    [
        (
            "Rate limit reached. Please try again in 7s. Visit https://aka.ms/oai/quotaincrease",
            "",
            "",
        ),
        (
            "You exceeded your current quota, check your plan and billing. Please retry in 36s.",
            "429",
            "",
        ),
        ("You exceeded your current quota", "insufficient_quota", "quota"),
        ("Insufficient credits", "", "quota"),
    ],
)
def test_a_limit_that_goes_by_is_no_empty_purse(message: str, code: str, wanted: str) -> None:
    assert Refusal(429, message, "", code).meaning == wanted


@pytest.mark.parametrize(
    "refusal",
    [wrong(400, "bad request"), wrong(400, "video_url is not supported"), wrong(500, "boom")],
)
def test_pictures_are_sent_where_a_video_is_refused(refusal: Answer) -> None:
    """Whatever the server says of it, and without giving up anything else."""
    server = Server(lambda a: refusal if "video_url" in str(a["messages"]) else answer(a))
    model = ServerModel("m", ServerOptions(server.url, at_once=1, wait=0.001, attempts=8))
    client = ModelClient(model, Templates("default"), Greys(), video=True)
    (reply,) = client.ask([DescribeEvent(frames=FRAMES)])
    assert reply.read and len(server.asked) <= 9 and model.features.many
    server.close()


def test_a_filtered_prompt_with_403_costs_only_itself() -> None:
    server = Server(lambda a: wrong(403, "Your input was flagged by moderation.")
                    if _asks('{"kind"')(a) else answer(a))  # fmt: skip
    values, _, _, _ = ask(server)
    assert values == [None if i == 1 else right for i, right in enumerate(RIGHT)]
    server.close()


def test_several_replies_are_asked_for_at_a_temperature() -> None:
    """vLLM refuses `n` at temperature 0; that is no reason to do without it."""

    def mode(asked: Body) -> Answer:
        if asked.get("n", 1) > 1 and asked.get("temperature") == 0:
            return wrong(400, "n must be 1 when using greedy sampling, got 2.")
        return answer(asked)

    server = Server(mode)
    _, _, told, model = ask(server)
    assert model.features.many and not told
    server.close()


# --- several servers ---------------------------------------------------------------------


def _by_keyframe(server: Server) -> list[str]:
    """The first picture of each request after the handshake."""
    return [
        next(p["image_url"]["url"] for p in parts if p["type"] == "image_url")
        for parts in (body["messages"][0]["content"] for body in server.asked)
        if "number is written" not in parts[-1]["text"]
    ]


def _many(urls: str) -> list[list[bool]]:
    """Ask four questions about each of twelve keyframes."""
    model = ServerModel("m", ServerOptions(urls, at_once=4, wait=0.001, timeout=5.0))
    client = ModelClient(model, Templates("default"), Greys())
    asked = [
        Confirm(
            frames=(Frame(video="1" * 64, at=1000 * i),),
            claim=ObjectClaim(target=Mention(label=label)),
        )
        for i in range(12)
        for label in ("cup", "man", "dog", "car")
    ]
    return [[a.yes for a in reply.read] for reply in client.ask(asked)]


def test_calls_about_one_keyframe_go_to_one_server() -> None:
    servers = [Server(answer) for _ in range(3)]
    try:
        assert _many(",".join(s.url for s in servers)) == [[True]] * 48
        shown = [set(_by_keyframe(s)) for s in servers]
        assert sum(map(len, shown)) == 12 and all(shown), (
            "each keyframe at one, and none without work"
        )
        sessions = [h["X-Session-ID"] for s in servers for h in s.headers]
        assert len(set(sessions)) == 12 + 2  # the handshake has its own
    finally:
        for server in servers:
            server.close()


def test_another_server_answers_for_one_that_does_not() -> None:
    here, gone = Server(answer), Server(answer)
    gone.close()
    try:
        assert _many(f"{gone.url},{here.url}") == [[True]] * 48
        assert len(set(_by_keyframe(here))) == 12 and not gone.asked
    finally:
        here.close()


@pytest.mark.parametrize("urls", ["http://a/v1,", "http://a/v1,b", "not a url"])
def test_each_address_is_checked(urls: str) -> None:
    with pytest.raises(StepcError) as error:
        addresses(ServerOptions(urls))
    assert error.value.diagnostics[0].code == "U001"


class Keeping:
    """A server that keeps some pictures by their names, and reads files of a folder."""

    def __init__(self, kept: int, folder: Path | None = None) -> None:
        self.kept, self.folder = kept, folder
        self.pictures: dict[str, bytes] = {}
        self.data = self.named = self.missed = self.files = 0
        self.told: list[list[int]] = []
        """The grey of each picture of each request that was answered"""

    def __call__(self, asked: Body) -> Answer:
        *parts, instruction = asked["messages"][0]["content"]
        shown = []
        for part in parts:
            name, url = part.get("uuid"), (part["image_url"] or {}).get("url", "")
            if url.startswith("file://"):
                if self.folder is None:
                    return wrong(
                        400, "Cannot load local files without `--allowed-local-media-path`."
                    )
                path = Path(url.removeprefix("file://"))
                assert path.parent == self.folder.resolve()
                shown.append(path.read_bytes())
                self.files += 1
            elif url:
                shown.append(base64.b64decode(url.partition(",")[2]))
                self.data += 1
            elif name not in self.pictures:
                self.missed += 1
                return wrong(400, "Expected a cached item for mm_hash")
            else:
                shown.append(self.pictures.pop(name))
                self.named += 1
            if name and self.kept:
                self.pictures[name] = shown[-1]
                self.pictures = dict([*self.pictures.items()][-self.kept :])
        decoded = [cv2.imdecode(np.frombuffer(x, np.uint8), cv2.IMREAD_COLOR) for x in shown]
        if "number is written" in instruction["text"]:
            return answer(asked, json.dumps({"number": _digits(decoded[0])}))
        self.told.append([round(x.mean()) for x in decoded])
        return answer(asked)


def _digits(picture: Any) -> str:
    """The digits in a picture of the handshake."""
    off = [
        np.abs(Digits().at(Frame(video="0" * 64, at=i))[..., ::-1] - 1.0 * picture).mean()
        for i in range(len(DIGITS))
    ]
    return DIGITS[off.index(min(off))]


def _about(client: ModelClient, number: int) -> list[list[int]]:
    """Ask four questions about each of some pairs of keyframes; the grey of each picture that is meant."""
    frames = [Frame(video="1" * 64, at=1000 * i) for i in range(number)]
    asked = [
        Confirm(frames=pair, claim=ObjectClaim(target=Mention(label=label)))
        for pair in pairwise(frames)
        for label in ("cup", "man", "dog", "car")
    ]
    assert [[a.yes for a in reply.read] for reply in client.ask(asked)] == [[True]] * len(asked)
    return [[f.at // 20 % 255 for f in request.frames] for request in asked]


@pytest.mark.parametrize("kept", [1000, 3, 0])
def test_a_picture_that_a_server_has_kept_is_only_named(kept: int) -> None:
    """A server that keeps few pictures is sent them again, and no references if they are of no use."""
    mode = Keeping(kept)
    server = Server(mode)
    try:
        model = ServerModel("m", ServerOptions(server.url, at_once=1, wait=0.001, timeout=5.0))
        client = ModelClient(model, Templates("default"), Greys())
        meant = _about(client, 30)
        assert sorted(mode.told) == sorted(meant)
        if kept == 1000:
            assert model.features.references == "uuid" and mode.missed == 0
            assert mode.data == 30 + 4  # and those of the handshake
        elif kept == 3:
            assert mode.named > 100 and mode.missed < 10
        else:
            assert model.features.references == "" and mode.missed == 1 and mode.named == 0
    finally:
        server.close()


def test_references_end_where_a_server_forgets() -> None:
    mode = Keeping(1)
    server = Server(mode)
    try:
        options = ServerOptions(server.url, at_once=1, wait=0.001, timeout=5.0)
        model = ServerModel("m", options)
        meant = _about(ModelClient(model, Templates("default"), Greys()), 30)
        assert sorted(mode.told) == sorted(meant)
        assert model.features.references == "uuid" and not model.kept.useful
        assert mode.missed == 8
    finally:
        server.close()


def test_a_server_reads_files_where_it_may(tmp_path: Path) -> None:
    for folder in (tmp_path, None):
        mode = Keeping(0, folder)
        server = Server(mode)
        try:
            options = ServerOptions(
                server.url, at_once=1, wait=0.001, timeout=5.0, picture_folder=tmp_path
            )
            model = ServerModel("m", options)
            meant = _about(ModelClient(model, Templates("default"), Greys()), 5)
            assert sorted(mode.told) == sorted(meant)
            assert model.features.references == ("file" if folder else "")
            if folder:
                assert mode.data == 3 and mode.files == 2 + 2 * len(meant)
                assert len([*tmp_path.iterdir()]) == 5 + 1
            else:
                assert mode.files == 0
        finally:
            server.close()
    with pytest.raises(StepcError) as error:
        ServerModel("m", ServerOptions("http://a/v1", picture_folder=tmp_path / "none"))
    assert error.value.diagnostics[0].code == "U001"


class Remembered:
    """What an earlier run found out."""

    def __init__(self, references: str) -> None:
        self.features = Features(sees=True, references=references)

    def load(self) -> Features | None:
        return Features.from_facts(self.features.facts())

    def save(self, features: Features) -> None:
        self.features = features


@pytest.mark.parametrize(
    ("known", "given"), [("", True), ("uuid", True), ("file", True), ("file", False)]
)
@pytest.mark.parametrize("readable", [True, False])
def test_what_an_earlier_run_knows_of_references(
    known: str, given: bool, readable: bool, tmp_path: Path
) -> None:
    """A folder that is given for the first time is tried. If it cannot be read, data is sent."""
    mode = Keeping(0, tmp_path if readable else None)
    server = Server(mode)
    try:
        folder = tmp_path if given else None
        options = ServerOptions(
            server.url, at_once=1, wait=0.001, timeout=5.0, picture_folder=folder
        )
        model = ServerModel("m", options)
        model.memory = Remembered(known)
        meant = _about(ModelClient(model, Templates("default"), Greys()), 15)
        assert sorted(mode.told) == sorted(meant)
        shown = mode.files if given and readable else mode.data
        assert 2 * len(meant) <= shown < 2 * len(meant) + 8
        assert len(server.asked) < len(meant) + 12  # few of them in vain
    finally:
        server.close()


def test_a_keyframe_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Frame] = []

    class Counted(Greys):
        def at(self, frame: Frame) -> Any:
            made.append(frame)
            return super().at(frame)

    pictures_ = EncodedPictures("jpeg", None)
    frames = [Frame(video="0" * 64, at=20 * i) for i in range(5)]
    parts = [pictures_.part(f, Counted()) for _ in range(3) for f in frames]
    assert len(made) == 5 and len({orjson.dumps(p) for p in parts}) == 5
    monkeypatch.setattr("stepc.model.server_pictures.ENCODED", 2 * len(orjson.dumps(parts[0])) + 9)
    pictures_ = EncodedPictures("jpeg", None)
    for frame in frames:
        pictures_.part(frame, Counted())
    assert len(pictures_.kept) == 2 and pictures_.size <= 2 * len(orjson.dumps(parts[0])) + 9
