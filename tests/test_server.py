"""Models behind OpenAI-compatible servers: a real one, and a proxy before it that misbehaves."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hearing import Heard
from speaking import said

from stepc.diagnostics import Diagnostic, StepcError
from stepc.driver.compile_corpus import compile_corpus
from stepc.driver.compile_video import CompileConfig, Compiler
from stepc.ir.text import write
from stepc.ir.types import Frame
from stepc.lang.parse import builtin
from stepc.model.batching import Shared
from stepc.model.client import Call, ModelClient
from stepc.model.load import ModelConfig
from stepc.model.openai_compatible import ServerModel
from stepc.model.requests import (
    Classify,
    DescribeEvent,
    DescribeMotion,
    Mention,
    Narrate,
    Request,
    SameObject,
)
from stepc.model.server_options import ServerOptions
from stepc.model.server_transport import wait_of
from stepc.model.templates import Templates
from stepc.model.transformers import embedded_folder
from stepc.passmanager.run import run
from stepc.video.decode import Pictures

PARSED = "split,keyframes,parse(samples=1,temperature=0)"
ONCE = "confirm(temperature=0)"
WHOLE = (
    f"{PARSED},{ONCE},merge(temperature=0),bridge(temperature=0),{ONCE},"
    "sample,compose,check,refine,check"
)
NAME = f"openai:{embedded_folder()}"
SECRET = "sk-very-secret-0123456789"


def plain(url: str | None = None, **more: Any) -> ServerOptions:
    """Options of a server that is not met first, so that its requests are those of the test."""
    return ServerOptions(url, handshake=False, **more)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@contextlib.contextmanager
def serving() -> Iterator[int]:
    """`transformers serve` with the embedded model, while it is wanted; its port."""
    port = free_port()
    command = [Path(sys.executable).with_name("transformers"), "serve", embedded_folder()]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--host", "127.0.0.1", "--device", "cpu"],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            assert process.poll() is None
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
                connection.request("GET", "/health")
                if connection.getresponse().status == 200:
                    break
            except OSError:
                time.sleep(0.2)
        yield port
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def served() -> Iterator[int]:
    """The port of `transformers serve` with the embedded model."""
    with serving() as port:
        yield port


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of llama.cpp's server with a tiny model that sees."""
    port = free_port()
    folder = tmp_path_factory.mktemp("llama")
    command = [sys.executable, Path(__file__).with_name("llama.py"), folder, str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout is not None and b"http://" in process.stdout.readline()
        yield port
    finally:
        process.kill()
        process.wait()


class Proxy:
    """Passes calls on, when it does: now and then it fails first, in every way it knows."""

    WAYS = ("drop", "stall", "cut", "429", "503", "html", "garbage", "double", "empty")

    def __init__(
        self, upstream: int | None, ways: tuple[str, ...] = WAYS, often: float = 0.4
    ) -> None:
        self.upstream, self.ways, self.often = upstream, ways, often
        self.rng, self.lock = random.Random(1), threading.Lock()
        self.done: Counter[str] = Counter()
        self.passed: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                proxy.handle(self, json.loads(body), body)

        class Many(ThreadingHTTPServer):
            request_queue_size = 128

        self.http = Many(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"

    def handle(self, to: Any, asked: dict[str, Any], body: bytes) -> None:
        """Fail, or answer."""
        with self.lock:
            self.keys.add(to.headers.get("Authorization", ""))
            fails = self.rng.random() < self.often
            way = self.rng.choice(self.ways) if fails else ""
            self.done[way] += 1
        to.close_connection = way in ("drop", "stall", "cut")
        match way:
            case "drop":
                return
            case "stall":
                time.sleep(5)
            case "429" | "503":
                self._send(to, int(way), b'{"error": {"message": "busy"}}', {"Retry-After": "0.02"})
            case "html":
                self._send(to, 200, b"<html>a portal</html>", {"Content-Type": "text/html"})
            case "garbage":
                self._send(to, 200, b'{"choices": [{"mess')
            case "empty":
                self._send(to, 200, b"{}")
            case "cut":
                to.send_response(200)
                to.send_header("Content-Type", "application/json")
                to.send_header("Content-Length", "5000")
                to.end_headers()
                to.wfile.write(b'{"id": "x", "choices": [')
            case _:
                status, answer = self._answer(asked, body)
                if way == "double":
                    data = json.loads(answer)
                    data["choices"] *= 2
                    answer = json.dumps(data).encode()
                self._send(to, status, answer)

    def _answer(self, asked: dict[str, Any], body: bytes) -> tuple[int, bytes]:
        with self.lock:
            self.passed.append(asked)
        if self.upstream is None:
            return self.stub(asked)
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=120)
        connection.request(
            "POST", "/v1/chat/completions", body, {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        return answer.status, answer.read()

    def stub(self, asked: dict[str, Any]) -> tuple[int, bytes]:
        """An answer without a model."""
        text = asked["messages"][0]["content"][-1]["text"]
        choices = [{"index": 0, "message": {"role": "assistant", "content": text.upper()}}]
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        return 200, json.dumps({"id": "x", "choices": choices, "usage": usage}).encode()

    def _send(self, to: Any, status: int, body: bytes, more: dict[str, str] | None = None) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it waits no longer
            self._sent(to, status, body, more)

    def _sent(self, to: Any, status: int, body: bytes, more: dict[str, str] | None) -> None:
        to.send_response(status)
        for name, value in {"Content-Type": "application/json", **(more or {})}.items():
            to.send_header(name, value)
        to.send_header("Content-Length", str(len(body)))
        to.end_headers()
        to.wfile.write(body)


class Greys(Pictures):
    """Every frame a grey of its own."""

    def at(self, frame: Frame) -> Any:
        """40 by 60 pixels."""
        return np.full((40, 60, 3), frame.at // 20 % 255, np.uint8)


def _order(
    pipeline: str, model: str, server: ServerOptions | None = None, **more: Any
) -> CompileConfig:
    text = builtin("step")
    choice = ModelConfig(model, "compact", server=server or plain(), together=1, **more)
    return CompileConfig(pipeline, "", text, "step.step", choice)


def _dumped(film: Path, order: CompileConfig) -> str:
    compiler = Compiler(order)
    units = [d.unit for d in run(compiler.passes, compiler.start(film), compiler.tools())]
    compiler.close()
    return write(units[-1])


@pytest.mark.embedded
def test_a_server_gives_the_same_dataset_as_the_local_model(film: Path, served: int) -> None:
    server = plain(f"http://127.0.0.1:{served}/v1", at_once=4, pictures="png")
    assert _dumped(film, _order(WHOLE, NAME, server)) == _dumped(film, _order(WHOLE, "embedded"))


@pytest.mark.embedded
def test_whatever_goes_wrong_on_the_way_no_call_is_lost_nor_paid_twice(
    film: Path, served: int, tmp_path: Path
) -> None:
    proxy = Proxy(served)
    server = plain(proxy.url, at_once=8, pictures="png", timeout=4.0, wait=0.01, attempts=30)
    tape = tmp_path / "calls.jsonl"
    got = _dumped(film, _order(PARSED, NAME, server, record=tape))
    assert got == _dumped(film, _order(PARSED, "embedded"))
    assert set(proxy.done) == {"", *Proxy.WAYS}
    paid = Counter(json.dumps(asked, sort_keys=True) for asked in proxy.passed)
    assert (
        len(proxy.passed) <= len(tape.read_bytes().splitlines()) * 1.1
    )  # but for replies too late
    assert len(paid) == len(tape.read_bytes().splitlines()) - 1
    assert got == _dumped(film, _order(PARSED, f"replay:{tape}"))


def _prompts(number: int, samples: int = 1, schema: dict[str, Any] | None = None) -> list[Call]:
    return [
        Call(f"{i:012x}", "narrate", f"say {i}", (), 0.0, tuple(range(samples)), schema)
        for i in range(number)
    ]


def test_several_samples_of_a_server_that_gives_one() -> None:
    proxy = Proxy(None, often=0)
    model = ServerModel("m", plain(proxy.url))
    assert said(model, _prompts(1, 3)) == [["SAY 0"] * 3]
    assert [p.get("n", 1) for p in proxy.passed] == [3, 1, 1]
    assert [p["seed"] for p in proxy.passed] == [0, 1, 2]
    assert model.spent.tokens_in == 30 and model.spent.tokens_out == 15


def test_a_reply_that_comes_twice_is_one_sample() -> None:
    """Each sample has its own seed: what some line doubles does not stand for the next one."""
    proxy = Proxy(None, ways=("double",), often=1)
    assert said(ServerModel("m", plain(proxy.url)), _prompts(1, 5)) == [["SAY 0"] * 5]
    assert [p["seed"] for p in proxy.passed] == [0, 2, 3, 4]  # the first answer to n=5 was two


def test_a_schema_is_sent_until_it_is_refused() -> None:
    class Plain(Proxy):
        def stub(self, asked: dict[str, Any]) -> tuple[int, bytes]:
            if "response_format" in asked:
                return 400, b'{"error": {"message": "what is a response_format?"}}'
            return super().stub(asked)

    proxy = Plain(None, often=0)
    model = ServerModel("m", plain(proxy.url, at_once=1))
    schema = {"type": "object"}
    assert said(model, _prompts(2, schema=schema)) == [["SAY 0"], ["SAY 1"]]
    forms = [p.get("response_format", {}).get("type") for p in proxy.passed]
    assert forms == ["json_schema", "json_object", None, None]


def test_another_make_of_server_holds_replies_to_their_schema(llama: int) -> None:
    """llama.cpp: pictures, n, json_schema, lists; 500 where a reply is cut off; no videos."""
    model = ServerModel("tiny", plain(f"http://127.0.0.1:{llama}/v1", at_once=2, wait=0.01))
    frames = tuple(Frame(video="f" * 64, at=at) for at in (0, 800, 2000))
    cup = Mention(label="cup")
    requests: list[Request] = [
        *(Classify(frames=frames[:1], target=Mention(label=x)) for x in ("cup", "man", "dog")),
        *(SameObject(frames=frames[:2], first=cup, second=Mention(label=x)) for x in "abc"),
        DescribeEvent(frames=frames),
        Narrate(frames=frames[:1]),
    ]

    def asked(video: bool, together: int) -> list[Any]:
        asker = ModelClient(model, Templates("default"), Greys(), together=together, video=video)
        replies = asker.ask(requests, samples=2, temperature=1.0)
        assert len(replies) == 8 and asker.usage.tokens_in > 500
        return replies[:6]

    for replies in (asked(False, 1), asked(False, 8), asked(True, 1)):
        assert sum(len(r.read) for r in replies) >= 9  # the others end in the middle
    for _ in range(3):  # a reply that is cut off is 500 as well, and tells nothing of videos
        if model.features.video:
            asked(True, 1)
    assert model.features.many and not model.features.video
    assert (
        model.features.form == 0
    )  # what was cut off was asked for in other ways, the rest was not


def test_a_clip_is_sent_as_a_video_to_a_server_that_takes_it() -> None:
    """An MP4 with the times of the keyframes; pictures where it is refused, and ever after."""

    class Picky(Proxy):
        def stub(self, asked: dict[str, Any]) -> tuple[int, bytes]:
            kinds = [part["type"] for part in asked["messages"][0]["content"]]
            if self.ways == ("no",) and "video_url" in kinds:
                return 400, b'{"error": {"message": "what is a video_url?"}}'
            return super().stub(asked)

    times = (0, 800, 2000)
    frames = tuple(Frame(video="f" * 64, at=at) for at in times)
    cup = Mention(label="cup")
    requests: list[Request] = [
        DescribeEvent(frames=frames),
        DescribeMotion(frames=frames[:2], target=cup),
        SameObject(frames=frames[:2], first=cup, second=cup),
    ]
    sent = {}
    for ways in (("yes",), ("no",)):
        proxy = Picky(None, ways=ways, often=0)
        model = ServerModel("m", plain(proxy.url, at_once=1))
        ModelClient(model, Templates("default"), Greys(), video=True).ask(requests)
        sent[ways[0]] = [
            [part["type"] for part in p["messages"][0]["content"]] for p in proxy.passed
        ]
        if ways == ("yes",):
            url = proxy.passed[-1]["messages"][0]["content"][0]["video_url"]["url"]
            with av.open(BytesIO(base64.b64decode(url.partition(",")[2]))) as film:
                shown = [round(float(f.pts * f.time_base) * 1000) for f in film.decode(video=0)]
            assert shown == list(times)
    pictures = ["image_url", "image_url", "text"]
    video = ["video_url", "text"]
    assert sent["yes"] == [video, pictures, video]  # what is asked of the same keyframes together
    assert sent["no"] == [video, pictures, pictures, ["image_url", *pictures]]


@pytest.mark.embedded
def test_a_budget_stops_and_the_next_run_goes_on(film: Path, served: int, tmp_path: Path) -> None:
    proxy = Proxy(served, often=0)
    tape = tmp_path / "calls.jsonl"
    wrong: list[Diagnostic] = []

    def compiled(server: ServerOptions) -> Any:
        order = _order(WHOLE, NAME, server, record=tape)
        return compile_corpus([film], tmp_path / "out", order, reporter=Heard(wrong.append))  # fmt: skip

    small = plain(proxy.url, at_once=4, pictures="png", max_requests=40)
    assert compiled(small).stopped and [d.code for d in wrong] == ["M009"]
    assert len(proxy.passed) == 40 == len(tape.read_bytes().splitlines()) - 1
    summary = compiled(plain(proxy.url, at_once=4, pictures="png"))
    assert summary.compiled == 1 and not summary.stopped
    paid = Counter(json.dumps(asked, sort_keys=True) for asked in proxy.passed)
    assert set(paid.values()) == {1}


@pytest.mark.parametrize(
    "limit", [{"max_tokens": 100}, {"max_cost": 100 * 1e-6, "prices": (1.0, 1.0)}]
)
def test_budgets_of_tokens_and_of_money(limit: dict[str, Any]) -> None:
    proxy = Proxy(None, often=0)
    model = ServerModel("m", plain(proxy.url, at_once=1, **limit))
    kept: list[str] = []
    with pytest.raises(StepcError) as error:
        model.generate(_prompts(20), Pictures(), lambda call: kept.append(call.prompt.key))
    assert error.value.diagnostics[0].code == "M009"
    assert len(kept) == 7  # of 15 tokens each


@pytest.mark.parametrize("most", [None, 50])
def test_videos_at_one_time_share_calls_at_once_and_the_budget(most: int | None) -> None:
    class Counting(Proxy):
        inside = highest = 0

        def stub(self, asked: dict[str, Any]) -> tuple[int, bytes]:
            with self.lock:
                self.inside += 1
                self.highest = max(self.highest, self.inside)
            time.sleep(0.02)
            with self.lock:
                self.inside -= 1
            return super().stub(asked)

    proxy, shared = Counting(None, often=0), Shared()
    server = plain(proxy.url, at_once=4, max_requests=most)
    told: list[Any] = []

    def ask() -> None:
        model = shared.over(lambda: ServerModel("m", server))
        try:
            told.append(said(model, _prompts(30), Pictures()))
        except StepcError as error:
            told.append(error.diagnostics[0].code)

    several = [threading.Thread(target=ask) for _ in range(3)]
    for thread in several:
        thread.start()
    for thread in several:
        thread.join(60)
    assert 2 <= proxy.highest <= 4
    if most is None:
        assert told == [[[f"SAY {i}"] for i in range(30)]] * 3 and len(proxy.passed) == 90
    else:
        assert "M009" in told and len(proxy.passed) == most


def test_the_key_goes_nowhere_but_to_the_server(
    monkeypatch: pytest.MonkeyPatch, film: Path, tmp_path: Path
) -> None:
    class Strict(Proxy):
        def stub(self, asked: dict[str, Any]) -> tuple[int, bytes]:
            return 401, json.dumps({"error": {"message": f"no such key: {SECRET}"}}).encode()

    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    proxy = Strict(None, often=0)
    tape, wrong = tmp_path / "calls.jsonl", list[Diagnostic]()
    order = _order(WHOLE, "openai:m", plain(proxy.url), record=tape)
    summary = compile_corpus([film], tmp_path / "out", order, reporter=Heard(wrong.append))  # fmt: skip
    assert summary.stopped and [d.code for d in wrong] == ["M008"]
    assert proxy.keys == {f"Bearer {SECRET}"}
    files = [p.read_text("utf-8") for p in tmp_path.rglob("*") if p.is_file()]
    assert not any(
        SECRET[:12] in text for text in [*files, repr(order), *(d.text() for d in wrong)]
    )


def test_what_cannot_be_asked_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(StepcError) as error:
        ServerModel("m")
    assert error.value.diagnostics[0].code == "M007"
    nobody = plain(f"http://127.0.0.1:{free_port()}/v1", attempts=2, wait=0.01)
    with pytest.raises(StepcError) as error:
        said(ServerModel("m", nobody), _prompts(3))
    assert error.value.diagnostics[0].code == "M008"
    began = (
        time.perf_counter()
    )  # nobody was ever there: no eight attempts, each after a longer wait
    nobody = plain(f"http://127.0.0.1:{free_port()}/v1")
    with pytest.raises(StepcError):
        said(ServerModel("m", nobody), _prompts(3))
    assert time.perf_counter() - began < 15
    for url in ("not-a-url", "ftp://host/v1", "http://", "http://host:99999/v1", ""):
        with pytest.raises(StepcError) as error:
            ServerModel("m", plain(url))
        assert error.value.diagnostics[0].code == ("U001" if url else "M007")

    class Short(Proxy):
        def stub(self, asked: dict[str, Any]) -> tuple[int, bytes]:
            return 400, b'{"error": {"message": "too long"}}'

    with pytest.raises(StepcError) as error:
        said(ServerModel("m", ServerOptions(Short(None, often=0).url)), _prompts(20))
    assert error.value.diagnostics[0].code == "M010"


def test_each_call_is_traced(film: Path, tmp_path: Path) -> None:
    proxy = Proxy(None, ways=("503",), often=0.3)
    trace, wrong = tmp_path / "trace.jsonl", list[Diagnostic]()
    server = plain(proxy.url, wait=0.001, attempts=30, prices=(1.0, 0.0))
    order = _order(WHOLE, "openai:m", server, trace=trace, record=tmp_path / "calls.jsonl")
    summary = compile_corpus([film], tmp_path / "out", order, reporter=Heard(wrong.append))  # fmt: skip
    rows = [json.loads(line) for line in trace.read_bytes().splitlines()]
    assert sum(row.get("tokens_in", 0) for row in rows) == 10 * len(proxy.passed)
    assert sum(row.get("retries", 0) for row in rows) == proxy.done["503"] > 0
    assert {"narrate", "list_objects"} <= {row["request"] for row in rows}
    assert all(row["seconds"] > 0 and row["pictures"] == 1 for row in rows[:2])
    told = summary.usage.text((1.0, 0.0))
    assert f"{proxy.done['503']} retried" in told and "cost" in told and "tokens/s" in told


def test_how_long_a_server_asks_towait_of() -> None:
    assert wait_of({}) is None and wait_of({"retry-after": "soon"}) is None
    assert wait_of({"retry-after": "nan"}) == 0
    assert wait_of({"retry-after": "7"}) == 7 and wait_of({"retry-after": "100000"}) == 600
    assert wait_of({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
