"""The artifacts of a study: films, questions, datasets, models and results.

A study is an expression over artifacts. The folder of each artifact is named by a hash of all its inputs.
Studies in the same folder therefore share common artifacts, and an interrupted study resumes.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import random
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, field, fields
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import orjson

from stepc.dataset.read import load_dataset
from stepc.diagnostics import Diagnostic, Place, StepcError, fail, printable
from stepc.driver.compile_corpus import compile_corpus
from stepc.driver.compile_video import CompileConfig
from stepc.driver.process_pool import end_with_parent
from stepc.eval.records import HOWS, EvalSettings, Record, read_records
from stepc.eval.run import evaluate
from stepc.ir.text import read
from stepc.ir.types import Stsg
from stepc.model.cassette import Cassette
from stepc.model.load import ModelConfig, load
from stepc.model.server_options import ServerOptions
from stepc.model.transformers import LocalOptions
from stepc.passmanager.code_keys import code_key
from stepc.passmanager.registry import pass_names, pass_type
from stepc.reporter import Collector, Reporter
from stepc.runtime.atomic_files import write_whole
from stepc.train.loop import Recipe, train
from stepc.world.films import make_films
from stepc.world.questions import true_questions
from stepc.world.score import KINDS, Score, compare, confident

FORM = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
CONFIDENCES = (0.5, 0.9)
"""Shares of the replies from which the precision of facts is measured."""
DOUBTFUL = ("motions", "events")
"""Kinds of facts whose precision is measured: those that models get wrong most often."""
DONE = "done.json"
"""File with the metadata of an artifact; it exists only if the artifact is complete."""


def code() -> str:
    """A hash of the code that makes artifacts, including all passes."""
    passes = sorted({pass_type(name).__module__ for name in pass_names()})
    return code_key("stepc.world.artifacts", *passes).digest


@dataclass(frozen=True)
class Lab:
    """The folder of a study's artifacts, and the options of the models that make them."""

    root: Path
    local: LocalOptions
    server: ServerOptions = field(default_factory=ServerOptions)
    """Options for a teacher behind a server."""
    code: str = field(default_factory=code)
    """Hash of the code that makes artifacts. Workers get it from the process that starts them."""

    def folder(self, thing: Artifact) -> Path:
        """Folder of an artifact, named by its kind and a hash of its inputs and of the code that makes it."""
        inputs = [type(thing).__name__, asdict(thing), self.code]
        text = orjson.dumps(inputs, option=orjson.OPT_SORT_KEYS)
        return self.root / f"{thing.kind}-{hashlib.sha256(text).hexdigest()[:12]}"

    def known(self, thing: Artifact) -> dict[str, Any] | None:
        """Metadata of an artifact; None if it has not been made yet."""
        file = self.folder(thing) / DONE
        return orjson.loads(file.read_bytes()) if file.exists() else None

    def make(self, thing: Artifact) -> None:
        """Make an artifact whose parts already exist.

        Raises StepcError if it cannot be made, for example B014 if its folder cannot be written.
        """
        folder = self.folder(thing)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            place = Place(printable(str(folder)))
            raise fail("B014", f"cannot be written ({error.strerror})", place) from error
        told = {"made": asdict(thing), **thing.make(self, folder)}
        write_whole(folder / DONE, orjson.dumps(told, option=FORM))

    def choice(self, model: Model, record: Path | None = None) -> ModelConfig:
        """Model config for asking a model; `record` is a file to record its calls to."""
        name = model.name if isinstance(model, Start) else str(self.folder(model) / "model")
        return ModelConfig(name, local=self.local, server=self.server, record=record)


@dataclass(frozen=True)
class Artifact:
    """Something a study needs. Its fields are its inputs."""

    @property
    def kind(self) -> str:
        """Prefix of the folder name."""
        return type(self).__name__.lower()

    def make(self, lab: Lab, folder: Path) -> dict[str, Any]:
        """Make the artifact in `folder` and return its metadata."""
        raise NotImplementedError

    def parts(self) -> list[Artifact]:
        """The artifacts it is made from."""
        values = [getattr(self, f.name) for f in fields(self)]
        return [v for v in values if isinstance(v, Artifact)]


@dataclass(frozen=True)
class DataArtifact(Artifact):
    """A dataset."""

    def place(self, lab: Lab) -> Path:
        """Its folder or file."""
        return lab.folder(self)

    def filmed(self, lab: Lab) -> list[Path]:
        """Files of its videos, or folders of them."""
        raise NotImplementedError


@dataclass(frozen=True)
class RenderedVideos(Artifact):
    """The user's videos: files or folders."""

    places: tuple[str, ...]

    def make(self, lab: Lab, folder: Path) -> dict[str, Any]:
        return {}

    def paths(self, lab: Lab) -> list[Path]:
        return [Path(p) for p in self.places]


@dataclass(frozen=True)
class Films(Artifact):
    """Films rendered with known ground-truth graphs."""

    number: int
    seed: int

    def make(self, lab: Lab, folder: Path) -> dict[str, Any]:
        make_films(folder, self.number, self.seed)
        return {}

    def paths(self, lab: Lab) -> list[Path]:
        return [lab.folder(self)]


@dataclass(frozen=True)
class GivenArtifact(DataArtifact):
    """A dataset provided by the user."""

    data: str
    videos: RenderedVideos

    def make(self, lab: Lab, folder: Path) -> dict[str, Any]:
        return {"samples": len(load_dataset(Path(self.data), self.videos.paths(lab), 1).samples)}

    def place(self, lab: Lab) -> Path:
        return Path(self.data)

    def filmed(self, lab: Lab) -> list[Path]:
        return self.videos.paths(lab)


@dataclass(frozen=True)
class Questions(DataArtifact):
    """Questions composed from the ground-truth graphs of films, as if by a teacher that makes no errors."""

    videos: Films
    spec: str
    seed: int
    links: str = ""
    """Link passes; by default those of the spec."""

    def make(self, lab: Lab, folder: Path) -> dict[str, Any]:
        films = lab.folder(self.videos)
        spec = self.spec, "study.step", None
        made = true_questions(films, folder, spec, self.seed, self.links)
        return {"samples": made.samples, "by_steps": made.by_steps}

    def filmed(self, lab: Lab) -> list[Path]:
        return self.videos.paths(lab)


@dataclass(frozen=True)
class Compiled(DataArtifact):
    """A dataset compiled from videos by a model."""

    videos: Films | RenderedVideos
    by: Model
    pipeline: str
    spec: str
    seed: int
    after: Compiled | None = None
    """Another dataset by the same model; its recorded calls are reused."""

    def make(self, lab: Lab, folder: Path) -> dict[str, Any]:
        tape = folder / "calls.jsonl"
        if self.after is not None and not tape.exists():
            partial = tape.with_suffix(".partial")
            shutil.copyfile(self.after.tape(lab), partial)
            partial.replace(tape)
        order = CompileConfig(
            self.pipeline, "", self.spec, "study.step", lab.choice(self.by, tape), seed=self.seed
        )
        heard = Collector()
        made = compile_corpus(
            self.videos.paths(lab), folder / "data", order,
            reporter=heard,
        )  # fmt: skip
        if made.interrupted or not made.samples:
            place = Place(printable(str(folder)))
            raise StepcError(
                *heard.diagnostics, Diagnostic("T003", "no samples were compiled", place)
            )
        return {
            "samples": made.samples,
            "by_steps": made.by_steps,
            "calls": made.usage.calls,
            "failed": made.failed,
            "graph": self._graph(lab, folder),
        }

    def _graph(self, lab: Lab, folder: Path) -> dict[str, float]:
        """F1 per kind of fact against the ground-truth graphs; empty if there are none.

        And the precision of facts that at least a share of the replies have, as `motions ≥ 1`.
        """
        total, sure = Score(), {least: Score() for least in CONFIDENCES}
        for place in self.videos.paths(lab):
            for true in place.glob("*.true.stsg") if place.is_dir() else ():
                unit = folder / "data" / "units" / true.name.replace(".true.stsg", ".stsg")
                if unit.exists():
                    made, right = (read(p.read_text("utf-8"), p.name).unit for p in (unit, true))
                    assert isinstance(made, Stsg) and isinstance(right, Stsg)
                    total.add(compare(made, right))
                    for least, score in sure.items():
                        score.add(compare(confident(made, least), right))
        if not total.true:
            return {}
        return {kind: total.f1(kind) for kind in KINDS} | {
            f"{kind} ≥ {least:.2g}": score.precision(kind)
            for least, score in sure.items()
            for kind in DOUBTFUL
        }

    def tape(self, lab: Lab) -> Path:
        """Path of the recording of all model calls."""
        return lab.folder(self) / "calls.jsonl"

    def place(self, lab: Lab) -> Path:
        return lab.folder(self) / "data"

    def filmed(self, lab: Lab) -> list[Path]:
        return self.videos.paths(lab)


@dataclass(frozen=True)
class Start(Artifact):
    """A model used as given, without training."""

    name: str

    def make(self, lab: Lab, folder: Path) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class TrainedArtifact(Artifact):
    """A model trained on a dataset."""

    on: Model
    data: DataArtifact
    recipe: Recipe
    replay: Compiled | None = None
    """Dataset whose recorded parsing calls are replayed to preserve the model's parsing ability."""

    def make(self, lab: Lab, folder: Path) -> dict[str, Any]:
        videos = self.data.filmed(lab)
        dataset = load_dataset(self.data.place(lab), videos, self.recipe.frames)
        choice = lab.choice(self.on)
        made = train(
            dataset, choice.name, folder / "model", self.recipe, local=lab.local,
            tape=Cassette(self.replay.tape(lab)) if self.replay else None,
        )  # fmt: skip
        shutil.rmtree(folder / "model" / "steps", ignore_errors=True)
        losses = [row["loss"] for row in made.history if "loss" in row]
        return {"samples": made.samples, "steps": made.steps, "loss": losses[-1:]}


@dataclass(frozen=True)
class Examined(Artifact):
    """A model's answers to held-out questions."""

    model: Model
    quiz: DataArtifact
    frames: int

    def make(self, lab: Lab, folder: Path) -> dict[str, Any]:
        places = [self.quiz.place(lab), *self.quiz.filmed(lab)]
        heard = Collector()
        for how in HOWS:
            evaluate(
                EvalSettings("world", how, self.frames), places, folder / how,
                lambda pictures: load(lab.choice(self.model), pictures),
                reporter=heard,
            )  # fmt: skip
        return {"left out": len(heard.diagnostics)}

    def records(self, lab: Lab) -> dict[str, list[Record]]:
        """Records by prompting mode (`direct`, `reasoned`)."""
        return {how: read_records(lab.folder(self) / how) for how in HOWS}


@dataclass(frozen=True)
class SampledPart(DataArtifact):
    """Some samples of a dataset, drawn at random: as many as another one has."""

    of: Questions | Compiled
    number: int
    seed: int

    def make(self, lab: Lab, folder: Path) -> dict[str, Any]:
        rows = (self.of.place(lab) / "qra.jsonl").read_bytes().splitlines(keepends=True)
        drawn = random.Random(self.seed).sample(range(len(rows)), min(self.number, len(rows)))
        write_whole(folder / "qra.jsonl", b"".join(rows[i] for i in sorted(drawn)))
        return {"samples": len(drawn)}

    def filmed(self, lab: Lab) -> list[Path]:
        return self.of.filmed(lab)


Model = Start | TrainedArtifact


def all_of(things: Iterable[Artifact]) -> Iterator[Artifact]:
    """Yield the artifacts and everything they are made from, without duplicates."""
    seen: set[Artifact] = set()
    left = list(things)
    while left:
        thing = left.pop()
        if thing not in seen:
            seen.add(thing)
            yield thing
            left += thing.parts()


def make_all(
    things: Iterable[Artifact],
    lab: Lab,
    jobs: int,
    reporter: Reporter,
) -> None:
    """Make artifacts and everything they are made from, with `jobs` processes in parallel.

    If an artifact fails, its diagnostics are reported, everything that depends on it is skipped, and the
    rest continues.
    """
    needs = {thing: thing.parts() for thing in all_of(things)}
    left = sum(lab.known(thing) is None for thing in needs)
    sorter = TopologicalSorter(needs)
    sorter.prepare()
    failed: set[Artifact] = set()
    running: dict[Future[None], Artifact] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _begin, (jobs,)) as pool:
        while sorter.is_active():
            for thing in sorter.get_ready():
                if failed.intersection(thing.parts()):
                    failed.add(thing)
                elif lab.known(thing) is None:
                    running[pool.submit(lab.make, thing)] = thing
                    continue
                sorter.done(thing)
            if not running:
                continue
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                thing = running.pop(future)
                error = future.exception()
                left -= 1
                if isinstance(error, StepcError):
                    failed.add(thing)
                    for diagnostic in error.diagnostics:
                        reporter.diagnostic(diagnostic)
                elif error is not None:
                    pool.shutdown(cancel_futures=True)
                    raise error
                reporter.note(f"{left} to do; {lab.folder(thing).name}{' failed' if error else ''}")
                sorter.done(thing)


def _begin(jobs: int) -> None:
    """Initialise a worker: give it its share of CPU threads, and end it when the parent process ends."""
    import os

    import torch

    end_with_parent()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))
