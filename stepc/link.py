"""Linking: a corpus as link passes see it, and the dataset that is written of what they leave.

A corpus may be larger than memory. Its units lie in a file; link passes walk over a card of each, and
what they decide is a byte a sample.
"""

from __future__ import annotations

import hashlib
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import orjson

from stepc.diagnostics import Diagnostic, Statistics
from stepc.files import write_parts, writing
from stepc.ir import types as t
from stepc.ir.text import write

if TYPE_CHECKING:
    from stepc.pipeline import LinkPass


class Asked(NamedTuple):
    """What a link pass sees of a sample."""

    id: str
    question: str
    answer: str
    steps: int
    kind: str
    """What it asks for: its form, the last edge and the attribute's kind."""
    checked: bool
    room: int


class Card(NamedTuple):
    """What a link pass sees of a unit, and the manifest tells of it."""

    name: str
    file: str
    sha256: str
    stsg: str
    """SHA-256 of its STSG's text."""
    model: str
    objects: int
    samples: Sequence[Asked]


def card_of(unit: t.Qras, model: str = "", stsg: str = "") -> Card:
    """The card of a unit."""
    digest = hashlib.sha256(stsg.encode()).hexdigest() if stsg else ""
    samples = [
        Asked(s.id, s.question, s.answer, len(s.rationale), _kind(s), s.checked, s.room)
        for s in unit.samples
    ]
    video = unit.video
    return Card(unit.name, video.file, video.sha256, digest, model, len(unit.objects), samples)


def _kind(s: t.Sample) -> str:
    last = next((op for op in reversed(s.query) if isinstance(op, t.Follow)), None)
    if last is None:
        return s.form
    return " ".join((s.form, last.edge, last.way, last.word if last.edge == "attr" else ""))


@dataclass(frozen=True)
class Made:
    """A compiled unit as it waits to be linked: small, and cheap to send and to store."""

    card: bytes
    """JSON of its card."""
    rows: bytes
    """JSON: by the name of a format, for each sample its records."""
    stsg: str
    whole: bytes = b""
    """The unit's JSON, where a link pass looks into units."""

    @classmethod
    def of(cls, unit: t.Qras, model: str, spec: str, formats: Iterable[str]) -> Made:
        """What a unit gives."""
        from stepc.passes.emit import FORMATS

        stsg = write(t.raise_to(t.Stsg, unit))
        rows = {name: FORMATS[name][1](unit, model, spec) for name in formats}
        *head, samples = card_of(unit, model, stsg)
        card = orjson.dumps([*head, [tuple(sample) for sample in samples]])
        return cls(card, orjson.dumps(rows), stsg, unit.to_json())


def _card(data: bytes) -> Card:
    card = Card(*orjson.loads(data))
    return card._replace(samples=[Asked(*s) for s in card.samples])


class Units(Protocol):
    """Where the units of a corpus are, in the order of their names."""

    def cards(self) -> Iterator[Card]:
        """The card of each."""

    def whole(self, place: int) -> t.Qras:
        """One of them, by its place in the order."""


class Held:
    """Units in memory."""

    def __init__(self, units: Iterable[t.Qras]) -> None:
        self.units = sorted(units, key=lambda u: u.name)

    def cards(self) -> Iterator[Card]:
        """The card of each."""
        return map(card_of, self.units)

    def whole(self, place: int) -> t.Qras:
        """One of them."""
        return self.units[place]


class Spool:
    """Units in a file without a name in a folder, which is gone when the process ends.

    Raises StepcError (B014) where it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index: list[tuple[str, int, int, int, int]] = []
        """Name, offset, and the lengths of card, rows and unit; in order once `cards` was called."""
        self._sorted = True
        with writing(folder):
            self.file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self.end = 0

    def add(self, made: Made) -> Card:
        """Keep a unit for later."""
        card = _card(made.card)
        whole = zlib.compress(made.whole, 1) if made.whole else b""
        rows = zlib.compress(made.rows, 1)
        with writing(self.folder):
            self.file.seek(self.end)
            self.file.write(made.card + rows + whole)
        self.index.append((card.name, self.end, len(made.card), len(rows), len(whole)))
        self.end += len(made.card) + len(rows) + len(whole)
        self._sorted = False
        return card

    def model(self) -> str:
        """The model that made the first unit; empty without one."""
        return next((card.model for card in self.cards()), "")

    def _in_order(self) -> list[tuple[str, int, int, int, int]]:
        if not self._sorted:
            self.index.sort()
            self._sorted = True
        return self.index

    def _read(self, offset: int, length: int) -> bytes:
        self.file.seek(offset)
        return self.file.read(length)

    def cards(self) -> Iterator[Card]:
        """The card of each unit."""
        for _, offset, card, _, _ in self._in_order():
            yield _card(self._read(offset, card))

    def rows(self, place: int) -> dict[str, list[list[dict[str, Any]]]]:
        """By format, for each sample of a unit its records."""
        _, offset, card, rows, _ = self._in_order()[place]
        made: dict[str, list[list[dict[str, Any]]]]
        made = orjson.loads(zlib.decompress(self._read(offset + card, rows)))
        return made

    def whole(self, place: int) -> t.Qras:
        """One of the units."""
        _, offset, card, rows, whole = self._in_order()[place]
        unit = t.from_json(zlib.decompress(self._read(offset + card + rows, whole)))
        assert isinstance(unit, t.Qras)
        return unit


@dataclass(frozen=True)
class Corpus:
    """All units of a corpus, which of their samples are left, and the set each video belongs to."""

    units: Units
    kept: bytes | None = None
    """A byte for each sample, in order; 0: it was dropped. None: all are left."""
    sets: bytes = b""
    """For each unit the place of its set's name in `names`; empty: none was given."""
    names: tuple[str, ...] = ()
    options: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """What may be chosen, of samples (by number) whose choice was completed."""

    def walk(self) -> Iterator[tuple[int, Card, list[tuple[int, Asked]]]]:
        """Place and card of every unit, and its samples that are left, each with its number."""
        number = 0
        for place, card in enumerate(self.units.cards()):
            numbered = enumerate(card.samples, number)
            number += len(card.samples)
            yield place, card, [(i, s) for i, s in numbered if self.kept is None or self.kept[i]]

    def keeping(self, keep: Callable[[Card, int, Asked], bool], **more: Any) -> Corpus:
        """The corpus with those of its samples that are to be kept; asked for in order."""
        kept = bytearray()
        for _, card, left in self.walk():
            kept += bytes(len(card.samples))
            for number, sample in left:
                kept[number] = keep(card, number, sample)
        return replace(self, kept=bytes(kept), **more)

    def set_of(self, place: int) -> str:
        """The set of a unit."""
        return self.names[self.sets[place]] if self.sets else "train"

    def left(self) -> Iterator[tuple[str, t.Qras]]:
        """Each unit with the samples that are left, and its set."""
        for place, _, samples in self.walk():
            yield self.set_of(place), self.unit(place, samples)

    def unit(self, place: int, left: list[tuple[int, Asked]]) -> t.Qras:
        """A unit with the samples that are left."""
        numbers = {s.id: number for number, s in left}
        unit = self.units.whole(place)
        samples = [self._completed(numbers[s.id], s) for s in unit.samples if s.id in numbers]
        return unit.evolve(samples=tuple(samples))

    def _completed(self, number: int, sample: t.Sample) -> t.Sample:
        if number not in self.options:
            return sample
        return sample.model_copy(update={"options": self.options[number], "room": 0})


@dataclass
class Linked:
    """What linking gave."""

    by_steps: dict[int, int] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file of the dataset."""


def link_corpus(
    out: Path,
    spool: Spool,
    links: Sequence[LinkPass],
    seed: int,
    formats: Sequence[str],
    spec: str,
    counts: dict[str, dict[str, int]],
    about: Callable[[Linked], dict[str, Any]],
    skipped: Iterable[Diagnostic],
) -> Linked:
    """Link the units of a spool; write the dataset and its manifest, which begins with what `about` tells.

    `counts` is told what the passes counted. Raises StepcError (B014).
    """
    from stepc.parquet import write_shards
    from stepc.passes.emit import COLUMNS, FORMATS

    corpus = Corpus(spool)
    for number, link in enumerate(links, 1):
        told = Statistics()
        corpus = link.run(corpus, seed, told)
        counts[f"link {number}:{link.name}"] = dict(told)
    linked = Linked()
    left: list[int] = []
    for _, _, samples in corpus.walk():
        left.append(len(samples))
        for _, sample in samples:
            linked.by_steps[sample.steps] = linked.by_steps.get(sample.steps, 0) + 1
    for name in formats:
        file, rows_of = FORMATS[name]

        def rows(name: str = name, rows_of: Any = rows_of) -> Iterator[dict[str, Any]]:
            for place, card, samples in corpus.walk():
                if any(number in corpus.options for number, _ in samples):
                    unit = corpus.unit(place, samples)
                    made = rows_of(unit, card.model, spec)
                elif samples:
                    every = dict(
                        zip((s.id for s in card.samples), spool.rows(place)[name], strict=True)
                    )
                    made = [every[s.id] for _, s in samples]
                else:
                    continue
                for row in (row for of_sample in made for row in of_sample):
                    yield {**row, "set": corpus.set_of(place)}

        if name == "parquet":
            linked.files |= write_shards(out, file, rows(), COLUMNS)
        else:
            linked.files[file] = write_parts(
                out / file, (orjson.dumps(row) + b"\n" for row in rows())
            )
    write_parts(out / "manifest.json", _manifest(corpus, about(linked), left, counts, skipped))
    return linked


def _manifest(
    corpus: Corpus,
    about: dict[str, Any],
    left: list[int],
    counts: dict[str, dict[str, int]],
    skipped: Iterable[Diagnostic],
) -> Iterator[bytes]:
    """The manifest in parts, so that it never is in memory whole."""
    head = {**about, "counts": {k: dict(sorted(v.items())) for k, v in sorted(counts.items())}}
    yield orjson.dumps(head, option=orjson.OPT_INDENT_2)[:-2] + b',\n  "videos": ['
    first = True
    for place, card, _ in corpus.walk():
        video = {
            "name": card.name,
            "file": card.file,
            "sha256": card.sha256,
            "set": corpus.set_of(place) if corpus.sets else None,
            "samples": left[place],
            "stsg": {"file": f"units/{card.name}.stsg", "sha256": card.stsg},
        }
        text = orjson.dumps(video, option=orjson.OPT_INDENT_2).replace(b"\n", b"\n    ")
        yield (b"\n    " if first else b",\n    ") + text
        first = False
    yield b"]" if first else b"\n  ]"
    told = [
        {"file": Path(d.place.file).name if d.place else None, "code": d.code, "why": d.message}
        for d in sorted(skipped, key=lambda d: (d.place.file if d.place else "", d.code))
    ]
    text = orjson.dumps({"skipped": told}, option=orjson.OPT_INDENT_2)
    yield b"," + text[1:] + b"\n"
