"""The corpus that link passes work on: a summary of each unit, and which samples are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

from stepc.ir import types as t


class SampleSummary(NamedTuple):
    """Summary of a sample for link passes."""

    id: str
    question: str
    answer: str
    steps: int
    kind: str
    """What the question asks for: form, last edge, direction, and the kind of an attribute."""
    checked: bool
    room: int
    skeleton: str = ""
    """The question without the words of its graph: "what color is the _?"."""
    options: tuple[str, ...] = ()
    asks: str = ""
    """The query without its scope: what is asked, wherever and whenever."""
    probes: tuple[tuple[str, int, int], ...] = ()
    """What a model was shown, the number of its right answers, and that of its answers."""
    demand: tuple[int, int, int] = (0, 0, 0)
    """In how many clips, keyframes and milliseconds its evidence is seen."""
    entities: tuple[int, ...] = ()
    """Numbers of the things that its path leads to or from, the same in all clips."""


class UnitSummary(NamedTuple):
    """Summary of a unit for link passes and for the manifest."""

    name: str
    file: str
    sha256: str
    stsg: str
    """SHA-256 of its STSG text."""
    model: str
    objects: int
    entities: int
    """Number of things, the same in all clips."""
    samples: Sequence[SampleSummary]


class UnitSource(Protocol):
    """The units of a corpus, sorted by name."""

    def cards(self) -> Iterator[UnitSummary]:
        """Iterate over the summaries of all units."""

    def whole(self, place: int) -> t.Qras:
        """Load the unit at this position."""


@dataclass(frozen=True)
class Corpus:
    """All units of a corpus, which of their samples are kept, and the set of each video."""

    units: UnitSource
    kept: bytes | None = None
    """One byte per sample, in order; 0 if it was dropped. None keeps all samples."""
    sets: bytes = b""
    """One byte per unit: the index of its set in `names`. If empty, every unit is in the set `train`."""
    names: tuple[str, ...] = ()
    options: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """By sample number, the options of multiple choices that a pass completed."""
    notes: dict[int, dict[str, Any]] = field(default_factory=dict)
    """By sample number, what passes found out about it: further columns of its record."""
    measured: dict[str, Any] = field(default_factory=dict)
    """What passes measured of the whole corpus, for the manifest."""

    def walk(self) -> Iterator[tuple[int, UnitSummary, list[tuple[int, SampleSummary]]]]:
        """Yield the position and summary of every unit, and its kept samples with their numbers."""
        number = 0
        for place, card in enumerate(self.units.cards()):
            numbered = enumerate(card.samples, number)
            number += len(card.samples)
            yield place, card, [(i, s) for i, s in numbered if self.kept is None or self.kept[i]]

    def keeping(
        self, keep: Callable[[UnitSummary, int, SampleSummary], bool], **more: Any
    ) -> Corpus:
        """A copy that keeps only samples for which `keep` is true. Calls `keep` in order."""
        kept = bytearray()
        for _, card, left in self.walk():
            kept += bytes(len(card.samples))
            for number, sample in left:
                kept[number] = keep(card, number, sample)
        return replace(self, kept=bytes(kept), **more)

    def set_of(self, place: int) -> str:
        return self.names[self.sets[place]] if self.sets else "train"

    def left(self) -> Iterator[tuple[str, t.Qras]]:
        """Yield the set of each unit, and the unit with its kept samples."""
        for place, _, samples in self.walk():
            yield self.set_of(place), self.unit(place, samples)

    def unit(self, place: int, left: list[tuple[int, SampleSummary]]) -> t.Qras:
        """The unit at `place`, reduced to the samples in `left`."""
        numbers = {s.id: number for number, s in left}
        unit = self.units.whole(place)
        samples = [self._completed(numbers[s.id], s) for s in unit.samples if s.id in numbers]
        return unit.evolve(samples=tuple(samples))

    def _completed(self, number: int, sample: t.Sample) -> t.Sample:
        if number not in self.options:
            return sample
        return sample.model_copy(update={"options": self.options[number], "room": 0})
