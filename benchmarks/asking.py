"""Measures the cost of asking a model: calls per video with each optimisation, and stepc's own overhead.

    python benchmarks/asking.py calls [--films 10] [--shots 0] [--model embedded]
    python benchmarks/asking.py overhead [--calls 2000] [--rounds 5]
    python benchmarks/asking.py flight [--calls 2000] [--at-once 16 64 256]
    python benchmarks/asking.py queue [--queued 1000 10000 100000]
    python benchmarks/asking.py reading [--samples 3]

`calls` compiles rendered films to graphs, first naively (one request and one sample per call, every pair
of objects of two clips compared), then with one more optimisation at a time, and compares each result with
the ground truth. `overhead` sends the same calls to a server that replies immediately, alternating between
the bare official client and stepc, and compares CPU time; with `--height 720` each call shows one of ten
pictures of that height. `flight` asks a server that replies after 200 ms, and prints how many calls it had at
once. `queue` sends a growing number of calls to such a
server at once and prints the memory per call. `reading` draws several samples per prompt, with one prefill
per prompt and with one prefill per sample.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import multiprocessing
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openai
from PIL import Image

from stepc.driver.bench import in_flight
from stepc.driver.compile_video import CompileConfig, Compiler
from stepc.ir import types as t
from stepc.ir.text import read
from stepc.lang.parse import builtin
from stepc.model.client import Call, Completion, ModelClient, Reply
from stepc.model.load import ModelConfig
from stepc.model.openai_compatible import ServerModel
from stepc.model.requests import Classify, Mention, Request
from stepc.model.server_options import ServerOptions
from stepc.model.templates import Templates
from stepc.model.transformers import TransformersModel
from stepc.passmanager.pipeline_text import DEFAULT
from stepc.video.decode import Pictures
from stepc.video.source import digest
from stepc.world.ground_truth import truth
from stepc.world.render import write
from stepc.world.scene import make_film
from stepc.world.score import KINDS, Score, compare

GRAPH = DEFAULT.split(",sample")[0]


# --- calls -------------------------------------------------------------------------------


class Counting(ModelClient):
    """Counts the calls needed if every request and every sample were a separate call."""

    naive = 0

    def ask(
        self, requests: Sequence[Request], *, samples: int = 1, temperature: float = 0.0
    ) -> list[Reply]:
        self.naive += len(requests) * samples
        return super().ask(requests, samples=samples, temperature=temperature)


def calls(films: int, shots: int, model: str) -> None:
    """Print the table of optimisations, naive first; each row includes the optimisations above it."""
    ways = [
        ("one request and one sample per call", "none", 1),
        ("shared prefill, no duplicate calls", "none", 1),
        ("pairs with different labels pruned", "label", 1),
        ("lists of up to 8", "label", 8),
        ("lists of up to 16", "label", 16),
        ("pairs with conflicting attributes pruned", "attributes", 8),
    ]
    print(
        f"{'':42}{'calls':>8}{'tokens in':>11}{'out':>8}  F1: {' '.join(f'{k[:5]:>5}' for k in KINDS)}"
    )
    with tempfile.TemporaryDirectory() as folder:
        made = [make_film(random.Random(f"asking/{i}"), shots or None) for i in range(films)]
        for i, film in enumerate(made):
            write(film, Path(folder) / f"{i}.mp4")
        first = 0.0
        for number, (name, prune, together) in enumerate(ways):
            order = CompileConfig(
                GRAPH.replace("bridge", f"bridge(prune={prune})"),
                "",
                builtin("step"),
                "step.step",
                ModelConfig(model, together=together),
            )
            compiler = Compiler(order)
            own = compiler.asker()
            asker = Counting(own.backend, own.templates, own.pictures, together=together)
            compiler._asker = asker
            score, naive, asked, sent, got = Score(), 0, 0, 0, 0
            for i, film in enumerate(made):
                path = Path(folder) / f"{i}.mp4"
                result = compiler.compile(path)
                assert not result.diagnostics, result.diagnostics
                assert result.made is not None
                unit = read(result.made.stsg).unit
                assert isinstance(unit, t.Stsg)
                score.add(compare(unit, truth(film, f"{i}", f"{i}.mp4", digest(path))))
                asked += result.usage.calls
                sent, got = sent + result.usage.tokens_in, got + result.usage.tokens_out
            naive = asker.naive
            count = naive if number == 0 else asked
            first = first or naive
            f1 = [2 * score.right[k] / max(1, score.induced[k] + score.true[k]) for k in KINDS]
            tokens = (
                f"{sent / films:11,.0f}{got / films:8,.0f}"
                if number
                else f"{'':11}{got / films:8,.0f}"
            )
            print(
                f"{name:42}{count / films:8,.1f}{tokens}      {' '.join(f'{x:5.3f}' for x in f1)}"
                f"  {count / first:.1%}",
                flush=True,
            )


# --- a server that replies immediately -------------------------------------------------------

REPLY = json.dumps(
    {
        "id": "x", "object": "chat.completion", "created": 0, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop",
                     "message": {"role": "assistant", "content": '{"kind": "static"}'}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 6, "total_tokens": 106},
    }
).encode()  # fmt: skip


def _serve(port: Any, delay: float) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
            + str(len(REPLY)).encode() + b"\r\n\r\n"
        )  # fmt: skip
        try:
            while True:
                told = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(told.split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                if delay:
                    await asyncio.sleep(delay)
                writer.write(head + REPLY)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=1 << 24)
        port.value = server.sockets[0].getsockname()[1]
        await server.serve_forever()

    asyncio.run(main())


def _url(delay: float = 0.0) -> str:
    port = multiprocessing.Value("i", 0)
    multiprocessing.Process(target=_serve, args=(port, delay), daemon=True).start()
    while not port.value:
        time.sleep(0.05)
    return f"http://127.0.0.1:{port.value}/v1"


class Footage(Pictures):
    """Ten pictures of one height, 16:9, that compress as footage does."""

    def __init__(self, height: int) -> None:
        super().__init__()
        made = np.random.default_rng(0)
        size = height * 16 // 9, height
        small = made.integers(0, 256, (10, height // 8, size[0] // 8, 3), np.uint8)
        noise = made.normal(0, 6, (10, height, size[0], 3))
        self.shown = [
            np.clip(cv2.resize(a, size, interpolation=cv2.INTER_CUBIC) + n, 0, 255).astype(np.uint8)
            for a, n in zip(small, noise, strict=True)
        ]

    def at(self, frame: t.Frame) -> Any:
        return self.shown[frame.at]


def _requests(number: int, first: int = 0, height: int = 0) -> list[Request]:
    return [
        Classify(
            frames=(t.Frame(video="0" * 64, at=i % 10),) if height else (),
            target=Mention(label=f"cup {first + i}"),
        )
        for i in range(number)
    ]


def _shown(pictures: Pictures, frame: t.Frame) -> dict[str, Any]:
    """A picture as users of the official client send it."""
    file = BytesIO()
    Image.fromarray(pictures.at(frame)).save(file, "JPEG", quality=90)
    data = base64.b64encode(file.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{data}"}}


def _bare(url: str, prompts: list[Call], pictures: Pictures) -> None:
    """The same calls with the official client alone, at the same concurrency."""

    async def main() -> None:
        gate = asyncio.Semaphore(16)
        async with openai.AsyncOpenAI(api_key="none", base_url=url, max_retries=0) as client:

            async def one(p: Call) -> str:
                async with gate:
                    made = await client.chat.completions.create(
                        model="m",
                        messages=[
                            {
                                "role": "user",
                                "content": [
                                    *(_shown(pictures, f) for f in p.frames),
                                    {"type": "text", "text": p.text},
                                ],
                            }
                        ],  # type: ignore[list-item, misc]
                        temperature=p.temperature,
                        seed=p.seeds[0] % (1 << 31),
                        max_tokens=32,
                        response_format={
                            "type": "json_schema",
                            "json_schema": {"name": "x", "schema": p.schema, "strict": False},
                        },
                    )
                return str(made.choices[0].message.content)

            await asyncio.gather(*(one(p) for p in prompts))

    asyncio.run(main())


def overhead(number: int, rounds: int, height: int) -> None:
    """Print CPU time per call: the client alone, stepc, and the difference."""
    url = _url()
    templates = Templates("default")
    pictures = Footage(height) if height else Pictures()
    took: dict[str, list[float]] = {"client alone": [], "stepc": []}
    for i in range(rounds + 1):
        options = ServerOptions(url, handshake=False)
        asker = ModelClient(ServerModel("m", options, together=1), templates, pictures)
        requests = _requests(number, i * number, height)
        prompts = [asker._prompt(r, 1, 0.0) for r in requests]
        began = time.process_time()
        _bare(url, prompts, pictures)
        middle = time.process_time()
        asker.ask(requests)
        ended = time.process_time()
        if i:  # the first round is a warm-up
            took["client alone"].append((middle - began) / number)
            took["stepc"].append((ended - middle) / number)
    for name, seconds in took.items():
        print(f"{name:20}{statistics.median(seconds) * 1000:8.3f} ms per call")
    added = statistics.median(b - a for a, b in zip(*took.values(), strict=True))
    print(f"{'stepc adds':20}{added * 1000:8.3f} ms per call")


def flight(number: int, numbers: Sequence[int], height: int) -> None:
    """Print how many calls a server had at once that replies after 200 ms."""
    url = _url(0.2)
    print(f"{'at once':>8}{'median':>9}{'most':>7}{'calls/s':>9}")
    for at_once in numbers:
        with tempfile.TemporaryDirectory() as folder:
            trace = Path(folder) / "calls.jsonl"
            options = ServerOptions(url, at_once, handshake=False)
            model = ServerModel("m", options, together=1)
            pictures = Footage(height) if height else Pictures()
            asker = ModelClient(model, Templates("default"), pictures, trace=trace, together=1)
            began = time.perf_counter()
            asker.ask(_requests(number, 0, height))
            took = time.perf_counter() - began
            rows = [json.loads(line) for line in trace.read_text().splitlines()]
        median, most = in_flight((r["began"], r["began"] + r["seconds"]) for r in rows)
        print(f"{at_once:8}{median:9.0f}{most:7}{number / took:9.0f}", flush=True)


def _grown(url: str, number: int, ask: bool, told: Any) -> None:
    """Memory growth in KB, measured in a separate process."""
    model = ServerModel("m", ServerOptions(url))
    asker = ModelClient(model, Templates("default"), Pictures())
    asker.ask(_requests(200))

    def stream() -> Iterator[Call]:
        for i in range(number):
            yield asker._prompt(_requests(1, 1000 + i)[0], 1, 0.0)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if ask:
        asker.ask(_requests(number, 1000))
    else:
        model.generate(stream(), Pictures(), lambda call: None)
    told.value = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before


def queue(numbers: Sequence[int]) -> None:
    """Print memory growth by number of queued calls: of the backend alone, and with requests and answers."""
    url = _url()
    print(f"{'queued':>10}{'backend, MB':>14}{'with requests and answers, MB':>32}{'KB/call':>10}")
    for number in numbers:
        grown = []
        for ask in (False, True):
            told = multiprocessing.Value("d", 0.0)
            process = multiprocessing.Process(target=_grown, args=(url, number, ask, told))
            process.start()
            process.join()
            grown.append(told.value)
        print(
            f"{number:10,}{grown[0] / 1024:14.1f}{grown[1] / 1024:32.1f}{grown[1] / number:10.2f}",
            flush=True,
        )


# --- samples from one prefill ------------------------------------------------------------


def reading(samples: int) -> None:
    """Time the embedded model with several samples per prompt: one prefill per sample, or one per prompt."""
    from stepc.world.examination import Examination

    exam = Examination(8)
    model = TransformersModel("embedded")
    asker = ModelClient(model, Templates("compact"), exam.pictures)
    asked = [r for many in exam.questions().values() for r, _ in many if r.frames]
    together = [asker._prompt(r, samples, 0.7) for r in asked]
    alone = [replace(p, seeds=(s,)) for p in together for s in p.seeds]
    took: dict[str, list[float]] = {"per sample": [], "per prompt": []}
    texts: dict[str, list[tuple[str, ...]]] = {}
    for _ in range(6):
        for name, prompts in (("per sample", alone), ("per prompt", together)):
            got: list[Completion] = []
            began = time.perf_counter()
            model.generate(prompts, exam.pictures, got.append)
            took[name].append(time.perf_counter() - began)
            texts[name] = sorted(c.texts for c in got)
    assert sorted(x for many in texts["per prompt"] for x in many) == sorted(
        x for many in texts["per sample"] for x in many
    )
    one, other = (statistics.median(x[1:]) for x in took.values())
    print(
        f"{len(asked)} prompts, {samples} samples each: one prefill per sample {one:.2f} s,"
        f" one per prompt {other:.2f} s, {one / other:.2f} times as fast"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["calls", "overhead", "flight", "queue", "reading"])
    parser.add_argument("--height", type=int, default=0)
    parser.add_argument("--at-once", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--films", type=int, default=10)
    parser.add_argument("--shots", type=int, default=0)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--queued", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--samples", type=int, default=3)
    given = parser.parse_args()
    match given.what:
        case "calls":
            calls(given.films, given.shots, given.model)
        case "overhead":
            overhead(given.calls, given.rounds, given.height)
        case "flight":
            flight(given.calls, given.at_once, given.height)
        case "queue":
            queue(given.queued)
        case _:
            reading(given.samples)


if __name__ == "__main__":
    main()
