"""The stand-in as a model of stepc, and as an OpenAI-compatible server.

    python -m standin.server --port 8123 [--errors 0.07] [--clean] [--folder FOLDER]

from the folder `tests`; --folder names one with other descriptions and keyframes.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from standin.footage import HERE, Footage, Picture, View
from standin.replies import Manner, Model
from stepc.model.client import Call, Completion
from stepc.video.decode import Pictures


class Standin:
    """The stand-in in this process: a backend of stepc."""

    templates = "default"
    together = 16
    parallel = True

    def __init__(self, footage: Footage | None = None, manner: Manner | None = None) -> None:
        self.footage, self.manner = footage or Footage(), manner or Manner()
        self.identity = f"standin@{self.manner}"
        self.asked: Counter[str] = Counter()
        """Request → replies."""
        self.calls: Counter[str] = Counter()
        """Request → calls, in this process."""

    def view(self, picture: Picture) -> View:
        """The keyframe that a picture shows."""
        return self.footage.view(picture)

    def say(self, text: str, views: Sequence[View], seed: object) -> str:
        """The reply to an instruction. Equal seeds give equal replies."""
        shown = [(v.clip.name, v.at) for v in views]
        key = hashlib.sha256(f"{text}|{shown}|{seed}".encode()).hexdigest()
        name, reply = Model(self.manner, random.Random(key), self.footage.pools).reply(text, views)
        self.asked[name] += 1
        return reply

    def generate(
        self, prompts: Iterable[Call], pictures: Pictures, done: Callable[[Completion], None]
    ) -> None:
        """Answer each call."""
        for prompt in prompts:
            self.calls[prompt.request] += 1
            views = [self.view(pictures.at(frame)) for frame in prompt.frames]
            seeds = prompt.seeds if prompt.temperature else [0] * len(prompt.seeds)
            done(Completion.of(prompt, [self.say(prompt.text, views, s) for s in seeds]))


def _decoded(url: str) -> Picture:
    data = np.frombuffer(base64.b64decode(url.split(",", 1)[1]), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model: Standin
    delay = 0.0

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def _send(self, data: Any) -> None:
        body = json.dumps(data).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._send({"object": "list", "data": [{"id": "standin-7b", "object": "model"}]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        content = asked["messages"][-1]["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        urls = [p["image_url"]["url"] for p in parts if p["type"] == "image_url"]
        text = "\n".join(p["text"] for p in parts if p["type"] == "text")
        views = [self.model.view(_decoded(url)) for url in urls]
        cold = not asked.get("temperature")
        seeds = [0 if cold else (asked.get("seed", 0), n) for n in range(asked.get("n", 1))]
        told = [self.model.say(text, views, seed) for seed in seeds]
        time.sleep(self.delay)
        choices = [
            {"index": n, "finish_reason": "stop", "message": {"role": "assistant", "content": t}}
            for n, t in enumerate(told)
        ]
        sent, got = 400 * len(views) + len(text) // 4, sum(map(len, told)) // 4
        usage = {"prompt_tokens": sent, "completion_tokens": got, "total_tokens": sent + got}
        self._send({"id": "x", "object": "chat.completion", "created": 0, "model": asked.get("model"),
                    "choices": choices, "usage": usage})  # fmt: skip


@contextmanager
def serving(model: Standin, port: int = 0, delay: float = 0.0) -> Iterator[str]:
    """Serve a stand-in on 127.0.0.1, each reply after `delay` seconds; yields the base URL."""
    handler = type("Handler", (_Handler,), {"model": model, "delay": delay})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--errors", type=float, default=Manner.errors)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each reply")
    parser.add_argument("--clean", action="store_true")
    parser.add_argument("--folder", type=Path, default=HERE)
    given = parser.parse_args()
    model = Standin(Footage(given.folder), Manner(given.errors, given.clean))
    with serving(model, given.port, given.delay) as url:
        print("listening on", url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
