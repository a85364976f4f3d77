"""Measures what is recompiled after each kind of change: passes, model calls and seconds.

    python benchmarks/rebuild.py [--films 10]

Compiles rendered films with the embedded model and a store. Then, each time from a copy of that store, it makes
one change and recompiles. Prints the model calls, the seconds, the passes that ran (and for how many videos), and
a warning if the dataset differs from one compiled without a store.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from stepc.driver.compile_corpus import Summary, compile_corpus
from stepc.driver.compile_video import CompileConfig
from stepc.lang.parse import builtin
from stepc.model.load import ModelConfig
from stepc.model.transformers import embedded_folder
from stepc.passmanager.pipeline_text import DEFAULT
from stepc.reporter import PrintReporter
from stepc.world.render import write
from stepc.world.scene import make_film

STEP = builtin("step")


def compiled(films: Path, out: Path, order: CompileConfig) -> tuple[Summary, Counter[str], float]:
    """Compile; returns the summary, how often each pass ran, and the seconds."""
    ran: Counter[str] = Counter()

    class Why(PrintReporter):
        def note(self, text: str) -> None:
            ran[text.split(": ", 1)[1].split(" ")[0]] += 1

    began = time.perf_counter()
    made = compile_corpus([films], out, order, reporter=Why())
    return made, ran, time.perf_counter() - began


def other_model(to: Path) -> Path:
    """A different model: the embedded model with one weight changed slightly."""
    shutil.copytree(embedded_folder(), to)
    weights = load_file(to / "model.safetensors")
    first = sorted(weights)[0]
    weights[first] = weights[first].clone()
    weights[first].view(-1)[0] += 1e-4
    save_file(weights, to / "model.safetensors", {"format": "pt"})
    return to


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--films", type=int, default=10)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        made, films = root / "made", root / "films"
        made.mkdir()
        for i in range(told.films + 1):
            write(make_film(random.Random(f"rebuild/{i}")), made / f"film-{i}.mp4")
        templates = root / "templates"
        shutil.copytree(embedded_folder().parents[1] / "templates" / "compact", templates)
        event = templates / "event.jinja"
        event.write_text(event.read_text("utf-8").replace("what", "what  "), "utf-8")

        base = CompileConfig(DEFAULT, "", STEP, "step.step", seed=1, store=root / "base")
        changes: dict[str, tuple[int, CompileConfig]] = {
            "empty store": (0, base),
            "no change": (0, base),
            "a word of a question": (
                0,
                replace(base, spec_text=STEP.replace("What is", "Which is")),
            ),
            "the sampled paths": (
                0,
                replace(base, spec_text=STEP + "override paths { count 9 per video }\n"),
            ),
            "a threshold": (
                0,
                replace(base, pipeline=DEFAULT.replace("parse", "parse(keep=0.6)")),
            ),
            "a template": (0, replace(base, choice=ModelConfig(templates=str(templates)))),
            "the model": (0, replace(base, choice=ModelConfig(str(other_model(root / "other"))))),
            "one new video": (1, base),
            "one video removed": (-1, base),
        }
        first = 0.0
        print(
            f"{'':22}{'calls':>8}{'seconds':>9}{'share':>8}  passes that ran, and for how many videos"
        )
        for name, (more, order) in changes.items():
            shutil.rmtree(films, ignore_errors=True)
            films.mkdir()
            for i in range(told.films + more):
                shutil.copy2(made / f"film-{i}.mp4", films)
            store = root / "store"
            shutil.rmtree(store, ignore_errors=True)
            if name != "empty store":
                shutil.copytree(root / "base", store)
            summary, ran, seconds = compiled(
                films, root / "out", order if name == "empty store" else replace(order, store=store)
            )
            first = first or seconds
            alone: Any = None
            if name != "empty store":
                compiled(films, root / "anew", replace(order, store=None))
                alone = [(root / x / "qra.jsonl").read_bytes() for x in ("out", "anew")]
            same = (
                ""
                if alone is None or alone[0] == alone[1]
                else "   DATASET DIFFERS FROM ONE WITHOUT A STORE"
            )
            passes = ", ".join(f"{p.split(':')[-1]} {n}" for p, n in ran.items()) or "none"
            print(
                f"{name:22}{summary.usage.calls:8,}{seconds:9.1f}{seconds / first:8.1%}  {passes}{same}",
                flush=True,
            )


if __name__ == "__main__":
    main()
