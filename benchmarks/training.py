"""Compares training with a bare training loop: time per sample and peak memory.

    python benchmarks/training.py [--films 6] [--steps 20] [--rounds 3]

Trains the embedded model on questions about rendered films, alternating between `stepc.train` and a loop with
only the model, AdamW and the same batches, each in a separate process. Prints the medians of time and peak
memory, and their ratios. Work before the first step is not counted.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from stepc.dataset.read import TrainingData, load_dataset
from stepc.ir.text import write as write_ir
from stepc.lang.parse import builtin
from stepc.video.source import digest
from stepc.world.ground_truth import truth
from stepc.world.questions import true_questions
from stepc.world.render import write
from stepc.world.scene import make_film

BATCH = 4
FRAMES = 4


def _bare(dataset: TrainingData, steps: int, out: Path) -> tuple[float, float]:
    """Train with a bare loop; returns the start and end time in seconds."""
    import torch
    from torch.nn.functional import cross_entropy

    from stepc.model.templates import Templates
    from stepc.model.transformers import TransformersModel
    from stepc.train.collate import Collator

    own = TransformersModel("embedded")
    net = own.model.train()
    collate = Collator(own.processor, lambda prompts: own.inputs(prompts, dataset.pictures, False))
    items = [dataset.rows(s, Templates("compact"), True) for s in dataset.samples]
    items = random.Random(0).sample(items, len(items))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4)
    began = time.perf_counter()
    for step in range(steps):
        at = step * BATCH % (len(items) - BATCH)
        batch = collate(items[at : at + BATCH])
        targets, task = batch.pop("targets"), batch.pop("task")
        length = targets.shape[1]
        logits = net(**batch, logits_to_keep=length + 1, use_cache=False).logits[:, :-1]
        loss = sum(
            cross_entropy(logits[task == t].flatten(0, 1), targets[task == t].flatten())
            for t in (0, 1)
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return began, time.perf_counter()


def _stepc(dataset: TrainingData, steps: int, out: Path) -> tuple[float, float]:
    """Train with `stepc.train`; returns the times of its first batch and last step in seconds."""
    import stepc.train.loop as loop

    marks: list[float] = []

    class Timed(loop.StepTrainer):
        def get_batch_samples(self, *given: Any) -> Any:
            marks.append(time.perf_counter())
            return super().get_batch_samples(*given)

    save = loop._save
    loop._save = lambda *given: marks.append(time.perf_counter())  # type: ignore[assignment]
    loop.StepTrainer = Timed  # type: ignore[misc]
    recipe = loop.Recipe(frames=FRAMES, steps=steps, rate=1e-4, batch=BATCH, save_every=10**6)
    loop.train(dataset, "embedded", out, recipe)
    loop._save = save
    return marks[0], marks[-1]


def _measured(way: Any, folder: Path, steps: int, out: Path, told: Any) -> None:
    dataset = load_dataset(folder / "quiz", [folder / "films"], FRAMES)
    dataset.samples = [s.model_copy(update={"set": "train"}) for s in dataset.samples]
    for sample in dataset.samples:  # decode in advance, for both variants
        for frame in dataset.frames[sample.video]:
            dataset.pictures.at(frame)
    began, ended = way(dataset, steps, out)
    told.put((ended - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--films", type=int, default=6)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    ways = {"bare loop": _bare, "stepc": _stepc}
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "films").mkdir()
        for i in range(given.films):
            film = make_film(random.Random(f"training/{i}"), 2)
            path = folder / "films" / f"{i}.mp4"
            write(film, path)
            unit = truth(film, f"{i}", path.name, digest(path))
            path.with_suffix(".true.stsg").write_text(write_ir(unit), "utf-8")
        spec = (builtin("step"), "step.step", None)
        true_questions(folder / "films", folder / "quiz", spec, 0)
        for number in range(given.rounds):
            for name, way in ways.items():
                told: Any = multiprocessing.Queue()
                out = folder / f"{name}-{number}"
                work = (way, folder, given.steps, out, told)
                process = multiprocessing.Process(target=_measured, args=work)
                process.start()
                took[name].append(told.get())
                process.join()
    samples = given.steps * BATCH
    for name, rows in took.items():
        seconds, memory = (statistics.median(r[i] for r in rows) for i in (0, 1))
        print(f"{name:14}{seconds / samples * 1000:10.1f} ms per sample{memory:10.0f} MB peak")
    one, other = (took[name] for name in ways)
    pairs = list(zip(one, other, strict=True))
    time_, memory = (statistics.median(b[i] / a[i] for a, b in pairs) for i in (0, 1))
    print(f"stepc takes {time_:.3f} times as long and {memory:.3f} times as much memory")


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
