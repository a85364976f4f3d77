"""A first use of an installed stepc, without torch: checks a spec, reads IR, finds scene cuts, asks a server.

Run it with the Python that stepc is installed for: `python smoke.py`. It needs nothing but stepc.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import numpy as np

REPLIES: dict[str, dict[str, Any]] = {
    '{"narrative"': {"narrative": "A red cup stands on a brown table. A cat sits beside the cup."},
    '{"objects"': {"objects": ["cup", "table", "cat"]},
    '{"attributes"': {"attributes": {"color": "red"}},
    '{"kind"': {"kind": "static"},
    '{"relations"': {
        "relations": [
            {"subject": a, "predicate": "on", "object": b} for a, b in ((1, 2), (1, 3), (2, 3))
        ]
    },
    '{"same": [[1,': {"same": [[n, n + 3] for n in (1, 2, 3)]},
    '{"same"': {"same": []},
    '{"event"': {"event": "a cat is sitting"},
    '{"yes"': {"yes": True},
}
"""Replies of the server, by the form that an instruction asks for."""


class Server(BaseHTTPRequestHandler):
    """An OpenAI-compatible server with fixed replies."""

    asked = 0

    def log_message(self, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = json.dumps(asked["messages"], ensure_ascii=False).replace('\\"', '"')
        reply = next((reply for form, reply in REPLIES.items() if form in text), {})
        choice = {"message": {"role": "assistant", "content": json.dumps(reply)}, "index": 0}
        choices = [{**choice, "finish_reason": "stop"}] * (asked.get("n") or 1)
        body = json.dumps(
            {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": choices}
        ).encode()
        Server.asked += 1
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def render(path: Path) -> None:
    """Write a video of two shots, with a moving square in each."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for i in range(96):
            image = np.full((96, 128, 3), 40 if i < 48 else 200, np.uint8)
            image[30:60, i : i + 30] = (200, 60, 30) if i < 48 else (20, 60, 90)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def stepc(*words: str | Path, status: int = 0) -> str:
    """Run a command; return what it prints."""
    command = [sys.executable, *os.environ.get("STEPC_SMOKE_BEFORE", "-m stepc").split(), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode != status:
        raise SystemExit(f"{words} exited with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout + done.stderr


def main(folder: Path) -> None:
    """Try the core of stepc in a folder. Raises SystemExit or AssertionError."""
    os.environ["STEPC_STORE"] = str(folder / "store")
    (folder / "videos").mkdir()
    video = folder / "videos" / "shots.mp4"
    render(video)
    assert "stepc" in stepc("--version")
    assert "1 file checked" in stepc("check", _builtin("step.step", folder))
    dump = folder / "shots.stsg"
    dump.write_text(stepc("dump", video, "--after", "keyframes"), "utf-8")
    assert dump.read_text("utf-8").count("clip ") == 2, dump.read_text("utf-8")
    assert stepc("opt", dump) == dump.read_text("utf-8")
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{http.server_address[1]}/v1"
        said = stepc("compile", folder / "videos", "-o", folder / "out", "--model", "openai:m",
                     "--base-url", url, "--seed", "1", "--together", "1")  # fmt: skip
        http.shutdown()
    samples = (folder / "out" / "qra.jsonl").read_text("utf-8").splitlines()
    assert samples and Server.asked > 5, said
    print(f"{len(samples)} samples from {Server.asked} replies; {_versions()}")


def _builtin(name: str, folder: Path) -> Path:
    from importlib.resources import files

    path = folder / name
    path.write_text((files("stepc.specs") / name).read_text("utf-8"), "utf-8")
    return path


def _versions() -> str:
    names = ("av", "numpy", "opencv-python", "scenedetect", "scikit-learn", "pydantic", "openai")
    python = ".".join(map(str, sys.version_info[:3]))
    return f"Python {python}, " + ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in names
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(Path(made))
