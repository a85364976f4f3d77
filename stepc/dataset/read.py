"""Reads a dataset for training: samples, the frames of their videos, and two instructions per sample.

Unusable samples are skipped and reported by number.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice, zip_longest
from pathlib import Path, PurePosixPath
from string import ascii_uppercase
from typing import Annotated, Any, Protocol

import orjson
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationError,
)

from stepc.dataset.parquet import read_rows, shards
from stepc.diagnostics import Diagnostic, Place, StepcError, fail, printable
from stepc.ir.skeleton import masked
from stepc.ir.types import Frame
from stepc.ir.words import chat_mark
from stepc.model.cassette import Cassette, row_replies
from stepc.model.requests import Ask, Explain
from stepc.model.templates import Templates
from stepc.runtime.atomic_files import read_regular
from stepc.runtime.names import Name
from stepc.video.decode import Pictures
from stepc.video.discover import below, find_videos, name_bases
from stepc.video.probe import probe
from stepc.video.source import VideoSource

MANY = 20
"""Maximum number of skipped samples that are reported one by one."""


_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
Text = Annotated[str, StringConstraints(max_length=20_000)]


class RationaleStep(BaseModel):
    """One step of a rationale: a sub-question, its answer, and the sentence that states it."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    question: Text = ""
    answer: Text = ""
    text: Text


class SeenBox(BaseModel):
    """A box of the evidence of a step."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    label: str
    at: float
    """In seconds."""
    box: tuple[int, int, int, int]
    """Left, upper, right and lower edge in thousandths of the picture."""


class SeenAt(BaseModel):
    """A keyframe of the evidence of a step."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    at: float
    """In seconds."""


class Seen(BaseModel):
    """A piece of the evidence of a step."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    step: int
    """The number of the step in the rationale, from 1."""
    start: float = 0.0
    end: float = 0.0
    """In seconds."""
    keyframes: tuple[SeenAt, ...] = ()
    boxes: tuple[SeenBox, ...] = ()


class FactRow(BaseModel):
    """What a step states, or what is false in its place."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    step: Annotated[int, Field(ge=1)]
    true: bool = True
    denied: bool = False
    subject: tuple[str, ...] = ()
    relation: tuple[str, ...] = ()
    inverse: tuple[str, ...] = ()
    object: tuple[str, ...] = ()
    answer: tuple[str, ...] = ()


class WrongText(BaseModel):
    """A false sentence in place of a step of the rationale."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    step: Annotated[int, Field(ge=1)]
    """The number of the step, from 1."""
    what: str = ""
    text: Text
    answer: Text
    """What the reply then answers."""


class TrainingSample(BaseModel):
    """The fields of a line of `qra.jsonl` that training needs. Without a rationale it is a QA sample."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    id: str
    video: str
    sha256: str = ""
    question: Text
    answer: Text
    rationale: tuple[RationaleStep, ...] = ()
    options: Annotated[tuple[str, ...], Field(max_length=26)] = ()
    """At most as many as there are letters."""
    answers: tuple[str, ...] = ()
    """All correct answers, if there are several."""
    steps: int = 0
    query: str = ""
    evidence: tuple[Seen, ...] = ()
    facts: tuple[FactRow, ...] = ()
    """What the steps state (`stepc.grading.process`)."""
    wrong_steps: tuple[WrongText, ...] = ()
    pair: str | None = None
    """The sample with the same question and another answer."""
    set: Annotated[Name, PlainValidator(Name.single)] = Name("train")
    """The set, `train`, `val` or `test` for datasets of stepc; files are named after it."""
    line: int = Field(0, exclude=True)
    """Line or row number in the file, from 1."""

    @property
    def reply(self) -> str:
        """The answer; for a multiple-choice question, its letter and text."""
        return self._replied(self.answer)

    def _replied(self, answer: str) -> str:
        if answer in self.options:
            return f"{ascii_uppercase[self.options.index(answer)]}. {answer}"
        return answer

    @property
    def skeleton(self) -> str:
        """The question with `_` for the words of its graph; empty if the record has no query."""
        said = {orjson.loads(word) for word in _QUOTED.findall(self.query)}
        said |= {*self.options, *(step.answer for step in self.rationale)}
        return masked(self.question, said) if self.query else ""

    @property
    def told(self) -> str:
        """The rationale followed by the answer; empty without a rationale."""
        if not self.rationale:
            return ""
        return " ".join([*(step.text for step in self.rationale), f"Answer: {self.reply}"])

    def untold(self, wrong: WrongText) -> str:
        """The rationale with a false step, followed by the answer to it."""
        texts = [
            wrong.text if number == wrong.step else step.text
            for number, step in enumerate(self.rationale, 1)
        ]
        return " ".join([*texts, f"Answer: {self._replied(wrong.answer)}"])


@dataclass(frozen=True)
class TrainingRow:
    """One training target."""

    task: str
    """`answer`, `rationale`, or `parse` (a replayed parsing call)."""
    text: str
    """The rendered instruction."""
    frames: tuple[Frame, ...]
    target: str


class MediaPlaces(Protocol):
    """Tells where the video of a sample is."""

    def of(
        self, source: VideoSource, frames: Sequence[Frame], pictures: Pictures
    ) -> str | list[str]:
        """The path of a video, or those of its frames."""


@dataclass
class TrainingData:
    """The samples of a dataset whose videos are available."""

    samples: list[TrainingSample] = field(default_factory=list)
    frames: dict[str, tuple[Frame, ...]] = field(default_factory=dict)
    """The frames that are shown, by the video's file name."""
    pictures: Pictures = field(default_factory=Pictures)
    left_out: list[Diagnostic] = field(default_factory=list)
    """Warnings about skipped samples and missing videos."""
    place: Path | None = None
    """The folder or file from which it was read."""
    media: MediaPlaces | None = None
    """Where an export has the videos."""

    def own_columns(self) -> bool:
        """Whether stepc wrote the dataset, so that its records have all of its columns."""
        return self.place is not None and (self.place / "manifest.json").is_file()

    def records(self, samples: Iterable[TrainingSample]) -> Iterator[dict[str, Any]]:
        """Read the whole records of samples again, in the order of the file. Raises StepcError (T001)."""
        lines = {s.line for s in samples}
        for number, row in enumerate(_rows_of(self.place) if self.place else (), 1):
            if number in lines:
                yield orjson.loads(row) if isinstance(row, bytes) else row

    def path(self, sample: TrainingSample) -> str | list[str]:
        """The path of a sample's video, as `media` has it: a file, or its frames; without it, absolute."""
        frames = self.frames[sample.video]
        source = self.pictures.source(frames[0].video)
        if self.media is None:
            return str(source.path.resolve())
        return self.media.of(source, frames, self.pictures)

    def rows(
        self, sample: TrainingSample, templates: Templates, rationale: bool
    ) -> list[TrainingRow]:
        """Return a sample's targets: the answer and, if `rationale` is set and it has one, the rationale."""
        frames = self.frames[sample.video]
        wanted: list[tuple[type[Ask | Explain], str]] = [(Ask, sample.reply)]
        if rationale and sample.told:
            wanted.append((Explain, sample.told))
        return [
            TrainingRow(kind.name, templates.render(ask), frames, target)
            for kind, target in wanted
            for ask in [kind(frames=frames, question=sample.question, options=sample.options)]
        ]

    def parses(self, tape: Cassette, most: int, seed: int) -> list[TrainingRow]:
        """Return recorded parsing calls about these videos as training targets.

        A model trained only on answers forgets how to parse. The target of a call is its most frequent
        reply (self-consistency); calls in which fewer than half of the replies agree are skipped. At
        most `most` calls are sampled, balanced over the kinds of request.
        """
        known = {sha[:12]: sha for sha in self.pictures.sources}
        kinds: dict[str, list[TrainingRow]] = {}
        for call in tape.calls.values():
            shown: Any = call["frames"]
            replies = [reply.text for reply in row_replies(call)]
            reply, votes = Counter(replies).most_common(1)[0] if replies else ("", 0)
            if reply and all(sha in known for sha, _ in shown) and 2 * votes >= len(replies):
                frames = tuple(Frame(video=known[sha], at=at) for sha, at in shown)
                row = TrainingRow("parse", str(call["text"]), frames, reply)
                kinds.setdefault(str(call["request"]), []).append(row)
        rng = random.Random(seed)
        drawn = [rng.sample(rows, len(rows)) for _, rows in sorted(kinds.items())]
        turns = (row for turn in zip_longest(*drawn) for row in turn if row is not None)
        return list(islice(turns, most))


def spread(
    source: VideoSource, number: int, span: tuple[float, float] | None = None
) -> tuple[Frame, ...]:
    """Return the frames at the middles of `number` equal parts of a video.

    `span` limits this to a range (start, end) in seconds. Returns fewer frames if the video has fewer.
    Times are exact for a constant frame rate; otherwise the next frame after each time is shown.
    """
    rate = Fraction(source.video.rate)
    whole = max(1, int(source.video.duration * rate / 1000))
    first, count = 0, whole
    if span is not None:
        start, end = (min(max(0.0, x), source.video.duration / 1000) for x in span)
        first = min(whole - 1, int(start * rate))
        count = max(1, min(whole, int(end * rate)) - first)
    number = min(number, count)
    places = [first + (2 * i + 1) * count // (2 * number) for i in range(number)]
    return tuple(Frame(video=source.video.sha256, at=round(p / rate * 1000)) for p in places)


def read_samples(dataset: Path) -> tuple[list[TrainingSample], list[Diagnostic]]:
    """Read the samples of a dataset folder, a file like `qra.jsonl`, or a Parquet shard.

    Returns the samples and a warning (T002) per unusable line. Raises StepcError (T001) if the file
    cannot be read or contains no sample.
    """
    shown = printable(str(_parts(dataset)[2]))
    samples, wrong = [], []
    for number, row in enumerate(_rows_of(dataset), 1):
        if isinstance(row, bytes) and not row.strip():
            continue
        try:
            read = orjson.loads(row) if isinstance(row, bytes) else row
            sample = TrainingSample.model_validate(read).model_copy(update={"line": number})
            if not sample.question.strip() or not sample.answer.strip():
                raise ValueError("its question or answer is empty")
            texts = (sample.video, sample.question, sample.told, sample.reply,
                     *sample.options, *sample.answers,
                     *(x for step in sample.rationale for x in (step.question, step.answer)),
                     *(x for w in sample.wrong_steps for x in (w.text, w.answer)))  # fmt: skip
            if mark := chat_mark(*texts):
                raise ValueError(f"its text holds `{mark}`, which trainers do not take for text")
            samples.append(sample)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            wrong.append(left_out(shown, number, f"{where}: {first['msg']}"))
        except ValueError as error:
            wrong.append(left_out(shown, number, str(error)))
    if not samples:
        message = "the dataset contains no sample"
        raise StepcError(*wrong[:MANY], Diagnostic("T001", message, Place(shown)))
    return samples, wrong


def _parts(dataset: Path) -> tuple[list[Path], Path, Path]:
    """The Parquet files of a dataset if it is read from them, its file of lines, and which it is."""
    file = dataset / "qra.jsonl" if dataset.is_dir() else dataset
    parts = [file] if file.suffix == ".parquet" else _shards(dataset)
    return parts, file, dataset if parts else file


def _rows_of(dataset: Path) -> Iterator[Any]:
    """The rows of a dataset's Parquet files, or else its lines. Raises StepcError (T001)."""
    parts, file, place = _parts(dataset)
    try:
        yield from read_rows(parts) if parts else read_regular(file).splitlines()
    except (OSError, ValueError) as error:
        help = "a dataset is the folder that `stepc compile … -o DATASET` writes"
        why = getattr(error, "strerror", None) or str(error)
        shown = Place(printable(str(place)))
        raise fail("T001", f"the dataset cannot be read ({why})", shown, help) from None


def _shards(dataset: Path) -> list[Path]:
    """Return the shards of a dataset folder.

    Empty if `qra.jsonl` exists and is listed in the manifest, or the manifest cannot be read.
    """
    try:
        told = orjson.loads(read_regular(dataset / "manifest.json"))["files"]
        lines = "qra.jsonl" in told
    except (OSError, ValueError, KeyError, TypeError):
        lines = True
    return [] if lines and (dataset / "qra.jsonl").exists() else shards(dataset, "qra")


def left_out(file: str, line: int, why: str) -> Diagnostic:
    message = f"sample {line} is skipped: {why}"
    return Diagnostic("T002", message, Place(file), severity="warning")


def load_dataset(
    dataset: Path, videos: list[Path], frames: int, named_from: Sequence[str | Path] = ()
) -> TrainingData:
    """Load a dataset and its videos, with `frames` frames per video.

    Videos are found in `videos` (files or folders) by their paths below `named_from`, by default below
    those of `name_bases`, or else by file name if only one file has it. They are checked by SHA-256 if
    the sample has one. Raises StepcError (T001, T003) if no sample can be used.
    """
    samples, wrong = read_samples(dataset)
    made = TrainingData(left_out=wrong, place=dataset)
    places, missing = find_videos(videos, named_from)
    there = _Videos(places, [*named_from] or name_bases(videos))
    made.left_out += missing
    sources: dict[str, VideoSource | str] = {}
    for sample in samples:
        if sample.video not in sources:
            sources[sample.video] = _found(there.find(sample.video), sample.video)
        source = sources[sample.video]
        if isinstance(source, VideoSource) and sample.sha256 not in ("", source.video.sha256):
            source = f"its video `{printable(sample.video)}` is not the file it was compiled from"
        if isinstance(source, str):
            made.left_out.append(left_out(printable(str(dataset)), sample.line, source))
            continue
        if sample.video not in made.frames:
            shown = _decodable(source, frames, made.pictures)
            if isinstance(shown, str):
                sources[sample.video] = shown
                made.left_out.append(left_out(printable(str(dataset)), sample.line, shown))
                continue
            made.frames[sample.video] = shown
            made.left_out += made.pictures.source(shown[0].video).warnings()
        made.samples.append(sample)
    if not made.samples:
        help = "name the folder of its videos: --videos FOLDER"
        raise StepcError(
            *made.left_out[:MANY],
            Diagnostic("T003", "no sample's video was found", Place(printable(str(dataset))), help),
        )
    return made


class _Videos:
    """The videos that are there, by their paths below `places`, and by file names that are unique."""

    def __init__(self, videos: Sequence[Path], places: Sequence[str | Path]) -> None:
        count = Counter(path.name for path in videos)
        self.by_path = {below(path, places): path for path in videos}
        self.by_name = {path.name: path for path in videos if count[path.name] == 1}

    def find(self, name: str) -> Path | None:
        """The video that a sample names; None if it is not there, or its name is ambiguous."""
        return self.by_path.get(name) or self.by_name.get(PurePosixPath(name).name)


def _found(path: Path | None, name: str, keep: bool = False) -> VideoSource | str:
    """Probe a video; returns the reason as text if it cannot be used.

    Of a damaged one, only what can be decoded is used, which is all that `keep` takes.
    """
    if path is None:
        return f"its video `{printable(name)}` was not found"
    try:
        return probe(path, name, keep)
    except StepcError as error:
        wrong = error.diagnostics[0]
    if wrong.code == "B007" and not keep:
        return _found(path, name, keep=True)
    return f"its video: {wrong.message}"


def undecodable(pictures: Pictures, frames: Sequence[Frame]) -> str:
    """Why one of these frames of a video cannot be shown; empty if all can.

    The last is tried first: of a file that was cut off, it is the one that is missing.
    """
    try:
        for frame in reversed(frames):
            pictures.at(frame)
    except StepcError as error:
        return f"its video: {error.diagnostics[0].message}"
    return ""


def _decodable(source: VideoSource, number: int, pictures: Pictures) -> tuple[Frame, ...] | str:
    """The frames to show, of what can be decoded of a video; the reason as text if that is nothing."""
    pictures.add(source)
    frames = spread(source, number)
    why = undecodable(pictures, frames)
    if not why or source.keep:
        return why or frames
    again = _found(source.path, source.video.file, keep=True)
    return again if isinstance(again, str) else _decodable(again, number, pictures)


def told(left_out: list[Diagnostic]) -> Iterator[Diagnostic]:
    """Yield the first `MANY` diagnostics of skipped samples, and one with the number of the rest."""
    yield from left_out[:MANY]
    if len(left_out) > MANY:
        yield Diagnostic(
            "T002", f"{len(left_out) - MANY} more samples are skipped", severity="warning"
        )
