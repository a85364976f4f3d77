"""Compiled units in a temporary file, so that a corpus can be larger than memory."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from stepc.ir import types as t
from stepc.ir.text import write
from stepc.passmanager.corpus import SampleSummary, UnitSummary
from stepc.passmanager.summaries import summary_of
from stepc.runtime.atomic_files import writing


@dataclass(frozen=True)
class CompiledUnit:
    """A serialised compiled unit, ready for linking; compact, for transfer and storage."""

    card: bytes
    """The unit summary as JSON."""
    rows: bytes
    """JSON: by format name, the records of each sample."""
    stsg: str
    """The unit's STSG as IR text."""
    whole: bytes = b""
    """The whole unit as JSON, for link passes that need it."""

    @classmethod
    def of(cls, unit: t.Qras, model: str, spec: str, formats: Iterable[str]) -> CompiledUnit:
        """Serialise a unit, with its records in each format."""
        from stepc.dataset.formats import rows_of

        stsg = write(t.raise_to(t.Stsg, unit))
        rows = {name: rows_of(name, unit, model, spec) for name in formats}
        *head, samples = summary_of(unit, model, stsg)
        card = orjson.dumps([*head, [tuple(sample) for sample in samples]])
        return cls(card, orjson.dumps(rows), stsg, unit.to_json())


def _card(data: bytes) -> UnitSummary:
    card = UnitSummary(*orjson.loads(data))
    return card._replace(samples=[SampleSummary(*s) for s in card.samples])


class Spool:
    """Serialised units in an anonymous temporary file, deleted when the process exits.

    Raises StepcError (B014) if the file cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index: list[tuple[str, int, int, int, int]] = []
        """Name, offset, and lengths of unit summary, rows and unit; sorted by name on first read."""
        self._sorted = True
        with writing(folder):
            self.file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self.end = 0

    def add(self, made: CompiledUnit) -> UnitSummary:
        """Append a unit; return its summary."""
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
        """Return the model of the first unit; empty without units."""
        return next((card.model for card in self.cards()), "")

    def _in_order(self) -> list[tuple[str, int, int, int, int]]:
        if not self._sorted:
            self.index.sort()
            self._sorted = True
        return self.index

    def _read(self, offset: int, length: int) -> bytes:
        self.file.seek(offset)
        return self.file.read(length)

    def cards(self) -> Iterator[UnitSummary]:
        """Yield the summary of each unit, sorted by name."""
        for _, offset, card, _, _ in self._in_order():
            yield _card(self._read(offset, card))

    def rows(self, place: int) -> dict[str, list[list[dict[str, Any]]]]:
        """Return by format the records of each sample of the unit at `place`."""
        _, offset, card, rows, _ = self._in_order()[place]
        made: dict[str, list[list[dict[str, Any]]]]
        made = orjson.loads(zlib.decompress(self._read(offset + card, rows)))
        return made

    def whole(self, place: int) -> t.Qras:
        """Read the unit at `place`."""
        _, offset, card, rows, whole = self._in_order()[place]
        unit = t.from_json(zlib.decompress(self._read(offset + card + rows, whole)))
        assert isinstance(unit, t.Qras)
        return unit
