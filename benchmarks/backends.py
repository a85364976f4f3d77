"""Compiles the same dataset with the local model, a server, a faulty connection and a cassette.

    python benchmarks/backends.py [--films 20] [--sampled]

Compiles rendered films with the default pipeline in four ways: with the embedded model in the process; with
`transformers serve` running that model on loopback; through a proxy in front of it that drops, stalls,
truncates, refuses and duplicates traffic; and from the cassette recorded through the proxy. Then compares
the datasets. Models decode greedily, because two programs do not draw the same samples. With `--sampled`
they sample as in the default pipeline.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from test_server import Proxy, serving

from stepc.driver.compile_corpus import compile_corpus
from stepc.driver.compile_video import CompileConfig
from stepc.lang.parse import builtin
from stepc.model.load import ModelConfig
from stepc.model.server_options import ServerOptions
from stepc.model.transformers import embedded_folder
from stepc.passmanager.pipeline_text import DEFAULT, LINK
from stepc.reporter import PrintReporter
from stepc.world.render import write
from stepc.world.scene import make_film


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=20)
    parser.add_argument("--sampled", action="store_true")
    given = parser.parse_args()
    pipeline = DEFAULT
    if not given.sampled:
        for name in ("parse", "merge", "bridge"):
            pipeline = pipeline.replace(name, f"{name}(temperature=0)")
    name = f"openai:{embedded_folder()}"
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as open_:
        folder = Path(place)
        (folder / "films").mkdir()
        for i in range(given.films):
            write(make_film(random.Random(f"same/{i}")), folder / "films" / f"film-{i:02}.mp4")
        port = open_.enter_context(serving())
        proxy = Proxy(port)
        tape = folder / "calls.jsonl"
        usual = ServerOptions(f"http://127.0.0.1:{port}/v1", at_once=4, pictures="png")
        bad = ServerOptions(
            proxy.url, at_once=8, pictures="png", timeout=10, wait=0.01, attempts=50
        )
        ways = {
            "local": ModelConfig(trace=folder / "trace.jsonl"),
            "server": ModelConfig(name, "compact", server=usual, together=_together()),
            "bad line": ModelConfig(name, "compact", server=bad, together=_together(), record=tape),
            "cassette": ModelConfig(f"replay:{tape}"),
        }
        first: list[dict[str, Any]] = []
        before: list[dict[str, Any]] = []
        for way, choice in ways.items():
            order = CompileConfig(pipeline, LINK, builtin("step"), "step.step", choice, seed=1)
            began = time.perf_counter()
            summary = compile_corpus(
                [folder / "films"], folder / way, order, reporter=PrintReporter()
            )
            rows = [json.loads(x) for x in (folder / way / "qra.jsonl").read_bytes().splitlines()]
            for row in rows:
                _anonymous(row)
            first = first or rows
            both = [r for r in rows if r in first]
            same = "; same as the previous backend" if rows == before else ""
            before = rows
            print(
                f"{way:10}{len(rows):6} samples, {len(both)} of {len(first)} equal to the local model's{same};"
                f" {summary.usage.text()}; {time.perf_counter() - began:.0f} s",
                flush=True,
            )
        paid = Counter(json.dumps(asked, sort_keys=True) for asked in proxy.passed)
        late = sum(n - 1 for n in paid.values())
        print(
            f"bad line: {dict(proxy.done)}; {len(paid)} distinct calls answered, {late} answered again"
        )
        read = [json.loads(x) for x in (folder / "trace.jsonl").read_bytes().splitlines()]
        each = sum(x["tokens_in"] * x["samples"] for x in read)
        print(f"local: {each:,} tokens in if every sample had its own prefill")
        calls = len(tape.read_bytes().splitlines()) - 1
        print(f"{calls} calls recorded")


def _together() -> int:
    from stepc.model.backends import EMBEDDED
    from stepc.model.transformers import settings

    together = settings(EMBEDDED).together
    assert isinstance(together, int)
    return together


def _anonymous(row: dict[str, Any]) -> None:
    """Remove the model's name."""
    row["origin"].pop("model")


if __name__ == "__main__":
    main()
