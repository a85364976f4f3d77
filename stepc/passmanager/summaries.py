"""Summaries of units and their samples, for the passes over a corpus."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from stepc.ir import types as t
from stepc.ir.sightings import Sightings
from stepc.ir.skeleton import masked
from stepc.ir.text import query_text
from stepc.passmanager.corpus import SampleSummary, UnitSummary


def summary_of(unit: t.Qras, model: str = "", stsg: str = "") -> UnitSummary:
    """Summarize a unit."""
    digest = hashlib.sha256(stsg.encode()).hexdigest() if stsg else ""
    seen, paths = Sightings(unit), {p.id: p for p in unit.paths}
    samples = [
        SampleSummary(
            s.id,
            s.question,
            s.answer,
            len(s.rationale),
            _kind(s),
            s.checked,
            s.room,
            skeleton(s),
            s.options,
            query_text(s.query[1:]).casefold(),
            tuple((p.shown, p.right, p.asked) for p in s.probes),
            (*seen.demand(paths[s.path]),),
            tuple(sorted(seen.things(paths[s.path]))),
        )
        for s in unit.samples
    ]
    video = unit.video
    return UnitSummary(
        unit.name,
        video.file,
        video.sha256,
        digest,
        model,
        len(unit.objects),
        len(seen.alike),
        samples,
    )


def skeleton(s: t.Sample) -> str:
    """The question of a sample in small letters, with `_` for words of its graph and `#` for numbers."""
    queries = (s.query, *(b.query for b in s.rationale))
    said = {op.words for query in queries for op in query if op.words}
    said |= {s.claim, *s.options, *(b.answer for b in s.rationale)}
    return masked(s.question, said)


def _kind(s: t.Sample) -> str:
    last = next((op for op in reversed(s.query) if isinstance(op, t.Follow)), None)
    if last is None:
        return s.form
    return " ".join((s.form, last.edge, last.way, last.word if last.edge == "attr" else ""))


class UnitsInMemory:
    """A unit source that holds all units in memory."""

    def __init__(self, units: Iterable[t.Qras]) -> None:
        self.units = sorted(units, key=lambda u: u.name)

    def cards(self) -> Iterator[UnitSummary]:
        return map(summary_of, self.units)

    def whole(self, place: int) -> t.Qras:
        return self.units[place]
