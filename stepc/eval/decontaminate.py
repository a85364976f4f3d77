"""Finds what a dataset shares with benchmarks: videos by file, name and pictures, questions by words."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from stepc.dataset.read import TrainingSample, read_samples
from stepc.diagnostics import Diagnostic, Place, StepcError, did_you_mean, fail, printable
from stepc.eval.benchmarks import BENCHMARKS, title
from stepc.grading.items import VideoIndex
from stepc.ir.words import words_of
from stepc.reporter import SILENT, Reporter
from stepc.runtime.lazy import LazyModule
from stepc.video.decode import Picture, decoded_frames
from stepc.video.discover import find_videos
from stepc.video.probe import probe
from stepc.video.source import digest

if TYPE_CHECKING:
    import cv2
    import numpy as np
else:
    cv2, np = LazyModule("cv2"), LazyModule("numpy")

COLLECTIONS = {
    "Charades": (r"[A-Z0-9]{5}", ("agqa", "star", "star-choice", "mvbench")),
    "ActivityNet": (r"v_[\w-]{11}", ("activitynet-qa", "mvbench", "tempcompass")),
    "MSVD": (r"[\w-]{11}_\d+_\d+", ("msvd-qa",)),
    "MSR-VTT": (r"video\d{1,5}", ("msrvtt-qa",)),
}
"""Collections of videos: the form of their names, and the benchmarks that are made from them.

Charades also underlies Action Genome and Charades-STA: their videos have its names.
"""
NGRAM = 8
"""Number of words in a row that two questions may not share."""
EVERY, MOST = 500, 128
"""Milliseconds between compared frames, and their maximum number per video."""
BITS, SHARE, LEAST = 8, 0.6, 3
"""Two frames are alike if their hashes differ in at most so many of 64 bits; two videos, if this share of the
frames of the shorter one is alike, and at least so many."""
BLACK = 24
"""Grey value up to which the bars of a picture are black."""
PLAIN = 8.0
"""Standard deviation of the grey values below which a picture shows too little to be compared."""


@dataclass(frozen=True)
class VideoOverlap:
    """A video of the dataset that a benchmark has as well."""

    video: str
    benchmark: str
    other: str
    """The benchmark's name of it; the collection for `same collection`."""
    how: str
    """`same file`, `same name`, `looks alike` or `same collection`."""
    share: float = 1.0
    """Share of the compared frames that are alike."""


@dataclass(frozen=True)
class QuestionOverlap:
    """A question of the dataset that a benchmark asks as well."""

    id: str
    benchmark: str
    other: str
    """The benchmark's id of it."""
    how: str
    """`same words` or `N words in a row`."""


@dataclass
class Contamination:
    """What a dataset shares with benchmarks."""

    videos: list[VideoOverlap] = field(default_factory=list)
    questions: list[QuestionOverlap] = field(default_factory=list)
    compared: dict[str, int] = field(default_factory=dict)
    """Number of the dataset's videos whose pictures were compared with those of a benchmark."""

    def data(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self)

    def gone(
        self, samples: Iterable[TrainingSample], *, questions: bool, collections: bool
    ) -> set[str]:
        """Ids of the samples to drop: all about a shared video, and on request also shared questions and all
        about videos of a collection that a benchmark is made from."""
        weak = () if collections else ("same collection",)
        videos = {o.video for o in self.videos if o.how not in weak}
        asked = {o.id for o in self.questions} if questions else set()
        return {s.id for s in samples if s.video in videos or s.id in asked}


@dataclass(frozen=True)
class _Against:
    """A benchmark that is compared with: its questions and videos, as far as they are given."""

    name: str
    questions: dict[str, str]
    """Id → question."""
    videos: dict[str, str]
    """Name → SHA-256 of the file, or "" if it is not known."""
    files: dict[str, Path]
    """Name → file, as far as it was found."""


def contamination(
    dataset: Path,
    against: Sequence[str],
    videos: Sequence[Path] = (),
    *,
    reporter: Reporter = SILENT,
) -> Contamination:
    """Compare a dataset with benchmarks.

    `against` has a benchmark's name, `NAME=FOLDER` with its files and videos, or the folder of another
    dataset of stepc or of videos. `videos` are those of the dataset; without them, pictures are not
    compared. Raises StepcError: T001 for the dataset, E001 for a benchmark, U001 for a name that is none.
    """
    samples, _ = read_samples(dataset)
    own = dict.fromkeys(s.video for s in samples)
    hashes = {s.video: s.sha256 for s in samples if s.sha256}
    files = _files(own, videos, reporter)
    looks = _Looks(reporter)
    made = Contamination()
    for text in against:
        other = _against(text)
        reporter.note(f"{other.name}: {len(other.videos)} videos, {len(other.questions)} questions")
        found = {o.video: o for o in _by_name(own, hashes, other)}
        left = [name for name in own if name not in found or found[name].how == "same collection"]
        if files and other.files:
            made.compared[other.name] = len(files)
            found |= {
                o.video: o for o in looks.alike({n: files[n] for n in left if n in files}, other)
            }
        made.videos += found.values()
        made.questions += _by_words(samples, other)
    return made


def _files(own: Iterable[str], videos: Sequence[Path], reporter: Reporter) -> dict[str, Path]:
    """The files of the dataset's videos."""
    if not videos:
        return {}
    places, missing = find_videos([*videos])
    for diagnostic in missing:
        reporter.diagnostic(diagnostic)
    index = VideoIndex(places)
    there = {name: index.find(name) for name in own}
    for name in (name for name, path in there.items() if path is None):
        why = f"video `{printable(name)}` not found, or its name is ambiguous: its pictures are not compared"
        reporter.diagnostic(Diagnostic("E003", why, severity="warning"))
    return {name: path for name, path in there.items() if path is not None}


def _against(text: str) -> _Against:
    """Read what is compared with. Raises StepcError (E001, T001, U001)."""
    name, equals, where = text.partition("=")
    folder = Path(where) if equals else Path(text)
    if name in BENCHMARKS:
        if not equals:
            return _Against(name, {}, {}, {})
        reading = BENCHMARKS.get(name).read(folder)
        questions = {i.id: i.question for i in reading.items}
        videos = {i.video: i.sha256 for i in reading.items}
    elif text.strip() and folder.exists():
        name = printable(folder.name or str(folder))
        try:
            samples, _ = read_samples(folder)
        except StepcError:
            samples = []
        questions = {s.id: s.question for s in samples}
        videos = {s.video: s.sha256 for s in samples}
    else:
        help = did_you_mean(name, BENCHMARKS.names()) or "a benchmark, NAME=FOLDER, or a folder"
        raise fail(
            "U001", f"no benchmark and no folder: `{printable(text)}`", Place("--against"), help
        )
    index = VideoIndex([folder])
    files = {v: path for v in videos if (path := index.find(v)) is not None}
    if not videos:  # only videos
        places = sorted({p for paths in index.by_name.values() for p in paths})
        files = {p.relative_to(folder).as_posix() if folder.is_dir() else p.name: p for p in places}
        videos = dict.fromkeys(files, "")
        if not videos:
            raise fail("E001", "neither questions nor videos", Place(printable(str(folder))))
    files = {v: path for v, path in files.items() if path.is_file()}
    return _Against(
        name, questions, {**videos, **{v: videos[v] or digest(p) for v, p in files.items()}}, files
    )


def _by_name(own: Iterable[str], hashes: dict[str, str], other: _Against) -> Iterator[VideoOverlap]:
    """The same files, names, and collections."""
    files = {sha: name for name, sha in other.videos.items() if sha}
    names = {key: name for name in other.videos if (key := _key(name))}
    for video in own:
        key = _key(video)
        collection = next(
            (c for c, (form, made) in COLLECTIONS.items()
             if other.name in made and re.fullmatch(form, _stem(video))), ""
        )  # fmt: skip
        if hashes.get(video, "") in files:
            yield VideoOverlap(video, other.name, files[hashes[video]], "same file")
        elif key and key in names:
            yield VideoOverlap(video, other.name, names[key], "same name")
        elif collection and not other.videos:
            yield VideoOverlap(video, other.name, collection, "same collection")


def _stem(name: str) -> str:
    """The name of a video without folders, extension and span (`_21.4_37.6`)."""
    path = PurePosixPath(name)
    known = path.suffix.lower() in (".mp4", ".avi", ".mkv", ".webm", ".mov", ".gif")
    stem = path.stem if known else path.name
    return re.sub(r"_\d+\.\d+_\d+\.\d+$", "", stem)


def _key(name: str) -> str:
    """What identifies a video by its name; "" for names that say little, such as `video` or `0001`.

    That is the form of names of a known collection, or an id of eleven characters as YouTube has it, or a
    name of at least eight characters with letters and digits.
    """
    stem = _stem(name)
    if any(re.fullmatch(form, stem) for form, _ in COLLECTIONS.values()):
        return stem
    if re.fullmatch(r"[\w-]{11}", stem) and re.search(r"\d|[A-Z]", stem):
        return stem
    wordy = len(stem) >= 8 and re.search(r"[A-Za-z]", stem) and re.search(r"\d", stem)
    return stem.casefold() if wordy else ""


class _Looks:
    """Compares videos by perceptual hashes of their frames (the lowest frequencies of the DCT, 64 bits)."""

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter
        self.known: dict[Path, Any] = {}

    def alike(self, own: dict[str, Path], other: _Against) -> Iterator[VideoOverlap]:
        """Videos that show the same as one of the other ones, the most similar of them."""
        theirs = {
            name: made for name, path in other.files.items() if len(made := self.of(path)) >= LEAST
        }
        for video, path in own.items():
            mine = self.of(path)
            shares = {name: _shared(mine, made) for name, made in theirs.items()}
            best = max(shares, key=lambda name: shares[name], default="")
            if best and shares[best] >= SHARE:
                yield VideoOverlap(video, other.name, best, "looks alike", round(shares[best], 3))

    def of(self, path: Path) -> Any:
        """The hashes of a video's frames, uint64; none if it cannot be read."""
        if path not in self.known:
            try:
                self.known[path] = _hashes(path)
            except StepcError as error:
                for d in error.diagnostics:
                    self.reporter.diagnostic(
                        Diagnostic("E003", d.message, d.place, severity="warning")
                    )
                self.known[path] = np.zeros(0, np.uint64)
        return self.known[path]


def _hashes(path: Path) -> Any:
    source = probe(path)
    every = max(EVERY, source.video.duration // MOST)
    made: list[int] = []
    due = 0
    for look in decoded_frames(source):
        if look.at >= due and len(made) < MOST:
            due = look.at + every
            if (bits := picture_hash(look.picture(256))) is not None:
                made.append(bits)
    return np.array(made, np.uint64)


def picture_hash(picture: Picture) -> int | None:
    """The perceptual hash of a picture, (H, W, 3) uint8 RGB, 64 bits; None if it shows hardly anything."""
    grey = _unframed(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
    if float(grey.std()) < PLAIN:
        return None
    small = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:8, :8].flatten()
    bits = low > np.median(low[1:])
    return int("".join("1" if bit else "0" for bit in bits), 2)


def _unframed(grey: Any) -> Any:
    """A grey picture without black bars."""
    rows, columns = ((grey > BLACK).any(axis=axis).nonzero()[0] for axis in (1, 0))
    if not len(rows):
        return grey
    return grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _shared(mine: Any, theirs: Any) -> float:
    """The share of the frames of the shorter video that have a frame like them in the other one."""
    few, many = sorted((mine, theirs), key=len)
    if len(few) < LEAST:
        return 0.0
    apart = np.bitwise_count(few[:, None] ^ many[None, :]).min(axis=1)
    return float((apart <= BITS).mean())


def _by_words(samples: Sequence[TrainingSample], other: _Against) -> Iterator[QuestionOverlap]:
    """Questions with the same words, or with `NGRAM` words in a row."""
    whole: dict[tuple[str, ...], str] = {}
    parts: dict[int, str] = {}
    for id, question in other.questions.items():
        said = words_of(question)
        whole.setdefault(said, id)
        for part in _ngrams(said):
            parts.setdefault(part, id)
    seen: dict[tuple[str, ...], tuple[str, str]] = defaultdict(lambda: ("", ""))
    for sample in samples:
        said = words_of(sample.question)
        if said not in seen:
            shared = next((parts[p] for p in _ngrams(said) if p in parts), "")
            how = f"{NGRAM} words in a row" if shared else ""
            seen[said] = (whole[said], "same words") if said in whole else (shared, how)
        if how := seen[said][1]:
            yield QuestionOverlap(sample.id, other.name, seen[said][0], how)


def _ngrams(said: Sequence[str]) -> Iterator[int]:
    """Hashes of all runs of `NGRAM` words, so that millions of them fit in memory."""
    for i in range(len(said) - NGRAM + 1):
        text = " ".join(said[i : i + NGRAM]).encode()
        yield int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def table(made: Contamination, samples: Sequence[TrainingSample]) -> list[str]:
    """What was found, in lines to read."""
    lines = []
    names = dict.fromkeys([*(o.benchmark for o in made.videos), *(o.benchmark for o in made.questions),
                           *made.compared])  # fmt: skip
    for name in names:
        shown = title(name) if name in BENCHMARKS else name
        hows: dict[str, list[VideoOverlap]] = defaultdict(list)
        for o in made.videos:
            if o.benchmark == name:
                hows[o.how].append(o)
        told = [f"{len(of)} videos: {how}" for how, of in sorted(hows.items())]
        asked = sum(o.benchmark == name for o in made.questions)
        told += [f"{asked} questions"] if asked else []
        lines.append(f"{shown}: {'; '.join(told) or 'nothing in common'}")
        for how, of in sorted(hows.items()):
            lines += [f"  {printable(o.video)} = {printable(o.other)} ({how})" for o in of[:5]]
    drop = made.gone(samples, questions=False, collections=False)
    lines.append(f"{len(drop)} of {len(samples)} samples are about shared videos")
    return lines
