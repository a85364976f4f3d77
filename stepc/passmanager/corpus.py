"""A corpus as link passes see it: a summary of each unit, and which samples stay."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from stepc.ir import types as t

if TYPE_CHECKING:
    pass


class SampleSummary(NamedTuple):
    """What a link pass sees of a sample."""

    id: str
    question: str
    answer: str
    steps: int
    kind: str
    """What it asks for: its form, the last edge and the attribute's kind."""
    checked: bool
    room: int


class UnitSummary(NamedTuple):
    """What a link pass sees of a unit, and the manifest tells of it."""

    name: str
    file: str
    sha256: str
    stsg: str
    """SHA-256 of its STSG's text."""
    model: str
    objects: int
    samples: Sequence[SampleSummary]


def summary_of(unit: t.Qras, model: str = "", stsg: str = "") -> UnitSummary:
    """The card of a unit."""
    digest = hashlib.sha256(stsg.encode()).hexdigest() if stsg else ""
    samples = [
        SampleSummary(s.id, s.question, s.answer, len(s.rationale), _kind(s), s.checked, s.room)
        for s in unit.samples
    ]
    video = unit.video
    return UnitSummary(
        unit.name, video.file, video.sha256, digest, model, len(unit.objects), samples
    )


def _kind(s: t.Sample) -> str:
    last = next((op for op in reversed(s.query) if isinstance(op, t.Follow)), None)
    if last is None:
        return s.form
    return " ".join((s.form, last.edge, last.way, last.word if last.edge == "attr" else ""))


class UnitSource(Protocol):
    """Where the units of a corpus are, in the order of their names."""

    def cards(self) -> Iterator[UnitSummary]:
        """The card of each."""

    def whole(self, place: int) -> t.Qras:
        """One of them, by its place in the order."""


class UnitsInMemory:
    """Units in memory."""

    def __init__(self, units: Iterable[t.Qras]) -> None:
        self.units = sorted(units, key=lambda u: u.name)

    def cards(self) -> Iterator[UnitSummary]:
        """The card of each."""
        return map(summary_of, self.units)

    def whole(self, place: int) -> t.Qras:
        """One of them."""
        return self.units[place]


@dataclass(frozen=True)
class Corpus:
    """All units of a corpus, which of their samples are left, and the set each video belongs to."""

    units: UnitSource
    kept: bytes | None = None
    """A byte for each sample, in order; 0: it was dropped. None: all are left."""
    sets: bytes = b""
    """For each unit the place of its set's name in `names`; empty: none was given."""
    names: tuple[str, ...] = ()
    options: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """What may be chosen, of samples (by number) whose choice was completed."""

    def walk(self) -> Iterator[tuple[int, UnitSummary, list[tuple[int, SampleSummary]]]]:
        """Place and card of every unit, and its samples that are left, each with its number."""
        number = 0
        for place, card in enumerate(self.units.cards()):
            numbered = enumerate(card.samples, number)
            number += len(card.samples)
            yield place, card, [(i, s) for i, s in numbered if self.kept is None or self.kept[i]]

    def keeping(
        self, keep: Callable[[UnitSummary, int, SampleSummary], bool], **more: Any
    ) -> Corpus:
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

    def unit(self, place: int, left: list[tuple[int, SampleSummary]]) -> t.Qras:
        """A unit with the samples that are left."""
        numbers = {s.id: number for number, s in left}
        unit = self.units.whole(place)
        samples = [self._completed(numbers[s.id], s) for s in unit.samples if s.id in numbers]
        return unit.evolve(samples=tuple(samples))

    def _completed(self, number: int, sample: t.Sample) -> t.Sample:
        if number not in self.options:
            return sample
        return sample.model_copy(update={"options": self.options[number], "room": 0})
