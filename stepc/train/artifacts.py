"""What a study is made of, each thing once: films, questions, datasets, models, marks.

A study is an expression over these. The folder of each thing is named by a hash of all that it is made
of, so that studies in one folder share what they have in common, and one that was stopped goes on.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import shutil
from collections.abc import Callable, Iterable, Iterator
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
from stepc.eval.run import HOWS, EvalSettings, Record, evaluate, read_records
from stepc.ir.text import read
from stepc.model.cassette import Cassette
from stepc.model.load import ModelConfig, load
from stepc.model.openai_compatible import ServerOptions
from stepc.model.transformers import LocalOptions
from stepc.runtime.atomic_files import write_whole
from stepc.train.loop import Recipe, train
from stepc.world.films import make_films
from stepc.world.questions import true_questions
from stepc.world.score import KINDS, Score, compare

FORM = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
DONE = "done.json"
"""In the folder of a thing that was made to its end: what is to be known of it."""


@dataclass(frozen=True)
class Lab:
    """Where a study's things are, and what they are made with."""

    root: Path
    local: LocalOptions
    server: ServerOptions = field(default_factory=ServerOptions)
    """Of a teacher behind a server."""

    def folder(self, thing: Artifact) -> Path:
        """The folder of a thing."""
        text = orjson.dumps([type(thing).__name__, asdict(thing)], option=orjson.OPT_SORT_KEYS)
        return self.root / f"{thing.kind}-{hashlib.sha256(text).hexdigest()[:12]}"

    def known(self, thing: Artifact) -> dict[str, Any] | None:
        """What is known of a thing that was made; None if it was not."""
        file = self.folder(thing) / DONE
        return orjson.loads(file.read_bytes()) if file.exists() else None

    def make(self, thing: Artifact) -> None:
        """Make a thing whose parts are there. Raises StepcError for what makes it impossible."""
        folder = self.folder(thing)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            place = Place(printable(str(folder)))
            raise fail("B014", f"cannot be written ({error.strerror})", place) from error
        told = {"made": asdict(thing), **thing.make(self, folder)}
        write_whole(folder / DONE, orjson.dumps(told, option=FORM))

    def choice(self, model: Model, record: Path | None = None) -> ModelConfig:
        """How a model is asked."""
        name = model.name if isinstance(model, Start) else str(self.folder(model) / "model")
        return ModelConfig(name, local=self.local, server=self.server, record=record)


@dataclass(frozen=True)
class Artifact:
    """Something a study needs; what it is made of are its fields."""

    @property
    def kind(self) -> str:
        """What its folder is called by."""
        return type(self).__name__.lower()

    def make(self, lab: Lab, folder: Path) -> dict[str, Any]:
        """Make it; what is to be known of it."""
        raise NotImplementedError

    def parts(self) -> list[Artifact]:
        """The things it is made of."""
        values = [getattr(self, f.name) for f in fields(self)]
        return [v for v in values if isinstance(v, Artifact)]


@dataclass(frozen=True)
class RenderedVideos(Artifact):
    """Video files, or folders of them."""

    places: tuple[str, ...]

    def make(self, lab: Lab, folder: Path) -> dict[str, Any]:
        return {}

    def paths(self, lab: Lab) -> list[Path]:
        """Where they are."""
        return [Path(p) for p in self.places]


@dataclass(frozen=True)
class Films(Artifact):
    """Rendered films, whose true graphs are known."""

    number: int
    seed: int

    def make(self, lab: Lab, folder: Path) -> dict[str, Any]:
        make_films(folder, self.number, self.seed)
        return {}

    def paths(self, lab: Lab) -> list[Path]:
        return [lab.folder(self)]


@dataclass(frozen=True)
class GivenArtifact(Artifact):
    """A dataset that the user has."""

    data: str
    videos: RenderedVideos

    def make(self, lab: Lab, folder: Path) -> dict[str, Any]:
        return {"samples": len(load_dataset(Path(self.data), self.videos.paths(lab), 1).samples)}

    def place(self, lab: Lab) -> Path:
        """Where its samples are."""
        return Path(self.data)


@dataclass(frozen=True)
class Questions(Artifact):
    """Questions about the true graphs of films, as a teacher that never errs would ask."""

    videos: Films
    spec: str
    seed: int

    def make(self, lab: Lab, folder: Path) -> dict[str, Any]:
        films = lab.folder(self.videos)
        made = true_questions(films, folder, (self.spec, "study.step", None), self.seed)
        return {"samples": made.samples, "by_steps": made.by_steps}

    def place(self, lab: Lab) -> Path:
        return lab.folder(self)


@dataclass(frozen=True)
class Compiled(Artifact):
    """A dataset that a model makes of videos."""

    videos: Films | RenderedVideos
    by: Model
    pipeline: str
    spec: str
    seed: int
    after: Compiled | None = None
    """Another one by the same model: what was asked there is not asked again."""

    def make(self, lab: Lab, folder: Path) -> dict[str, Any]:
        tape = folder / "calls.jsonl"
        if self.after is not None and not tape.exists():
            partial = tape.with_suffix(".partial")
            shutil.copyfile(self.after.tape(lab), partial)
            partial.replace(tape)
        order = CompileConfig(
            self.pipeline, "", self.spec, "study.step", lab.choice(self.by, tape), seed=self.seed
        )
        wrong: list[Diagnostic] = []
        made = compile_corpus(
            self.videos.paths(lab), folder / "data", order,
            say=wrong.append, progress=lambda a, b, name: None,
        )  # fmt: skip
        if made.interrupted or not made.samples:
            place = Place(printable(str(folder)))
            raise StepcError(*wrong, Diagnostic("T003", "no sample could be made", place))
        return {
            "samples": made.samples,
            "by_steps": made.by_steps,
            "calls": made.tally.calls,
            "failed": made.failed,
            "graph": self._graph(lab, folder),
        }

    def _graph(self, lab: Lab, folder: Path) -> dict[str, float]:
        """F1 of each kind of fact of the graphs against the true ones, where they are known."""
        total = Score()
        for place in self.videos.paths(lab):
            for true in place.glob("*.true.stsg") if place.is_dir() else ():
                unit = folder / "data" / "units" / true.name.replace(".true.stsg", ".stsg")
                if unit.exists():
                    two: list[Any] = [read(p.read_text("utf-8"), p.name).unit for p in (unit, true)]
                    total.add(compare(*two))
        return {kind: total.f1(kind) for kind in KINDS} if total.true else {}

    def tape(self, lab: Lab) -> Path:
        """The recording of all calls."""
        return lab.folder(self) / "calls.jsonl"

    def place(self, lab: Lab) -> Path:
        return lab.folder(self) / "data"


@dataclass(frozen=True)
class Start(Artifact):
    """A model as it is given."""

    name: str

    def make(self, lab: Lab, folder: Path) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class TrainedArtifact(Artifact):
    """A model that was trained further."""

    on: Model
    data: Data
    recipe: Recipe
    replay: Compiled | None = None
    """Whose calls keep it parsing as it did."""

    def make(self, lab: Lab, folder: Path) -> dict[str, Any]:
        videos = self.data.videos.paths(lab)
        dataset = load_dataset(self.data.place(lab), videos, self.recipe.frames)
        choice = lab.choice(self.on)
        made = train(
            dataset, choice.name, folder / "model", self.recipe, local=lab.local,
            tape=Cassette(self.replay.tape(lab)) if self.replay else None, say=lambda line: None,
        )  # fmt: skip
        shutil.rmtree(folder / "model" / "steps", ignore_errors=True)
        losses = [row["loss"] for row in made.history if "loss" in row]
        return {"samples": made.samples, "steps": made.steps, "loss": losses[-1:]}


@dataclass(frozen=True)
class Examined(Artifact):
    """What a model answers to held-out questions."""

    model: Model
    quiz: Data
    frames: int

    def make(self, lab: Lab, folder: Path) -> dict[str, Any]:
        places = [self.quiz.place(lab), *self.quiz.videos.paths(lab)]
        wrong: list[Diagnostic] = []
        for how in HOWS:
            evaluate(
                EvalSettings("world", how, self.frames), places, folder / how,
                lambda pictures: load(lab.choice(self.model), pictures),
                say=lambda line: None, tell=wrong.append,
            )  # fmt: skip
        return {"left out": len(wrong)}

    def records(self, lab: Lab) -> dict[str, list[Record]]:
        """Question by question, by the way it was asked."""
        return {how: read_records(lab.folder(self) / how) for how in HOWS}


Model = Start | TrainedArtifact
Data = Questions | Compiled | GivenArtifact


def all_of(things: Iterable[Artifact]) -> Iterator[Artifact]:
    """Things and all that they are made of, each once."""
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
    say: Callable[[str], None],
    tell: Callable[[Diagnostic], None],
) -> None:
    """Make things and what they are made of, so many at one time.

    What cannot be made is told, and what is made of it left out; all else goes on.
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
                        tell(diagnostic)
                elif error is not None:
                    pool.shutdown(cancel_futures=True)
                    raise error
                say(f"{left} left; {'no ' if error else ''}{lab.folder(thing).name}")
                sorter.done(thing)


def _begin(jobs: int) -> None:
    """As many threads a process as its share of the processors; it ends with the one that began it."""
    import os

    import torch

    end_with_parent()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))
