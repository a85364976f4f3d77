"""The facts of a graph as plain sentences, for a model that is to answer from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stepc.ir import types as t
from stepc.lang.inflect import cap, the
from stepc.lang.nouns import clause, progressive
from stepc.proof import words
from stepc.proof.solver import Facts


def told(unit: t.Stsg, known: Facts, clips: Iterable[str]) -> list[str]:
    """All facts of some clips of a graph, a sentence each; a clip begins with its event and times."""
    names = _names(unit, known)
    made: list[str] = []
    for clip in sorted({*clips}, key=lambda c: int(c[1:])):
        made.append(_heading(unit, clip))
        made += dict.fromkeys(_sentences(unit, clip, names))
    return made


def _heading(unit: t.Stsg, clip: str) -> str:
    number, at = next((i, c) for i, c in enumerate(unit.clips, 1) if c.id == clip)
    event = next((clause(e.event) for e in unit.events if e.clip == clip), "")
    times = f"{at.start / 1000:.1f} to {at.end / 1000:.1f} seconds"
    return f"Part {number} of the video, {times}{f', while {event}' if event else ''}:"


def _names(unit: t.Stsg, known: Facts) -> dict[str, str]:
    """Object → what it is called: its label, with a number if several things of its clip have it."""
    alike: dict[tuple[str, str], list[int]] = {}
    for n, clip in known.clip.items():
        alike.setdefault((clip, words.label(known.label[n])), []).append(n)
    made = {}
    for o in unit.objects:
        n = known.thing[o.id]
        same = alike[t.clip_of(o.id), words.label(known.label[n])]
        number = f" (number {same.index(n) + 1})" if len(same) > 1 else ""
        made[o.id] = the(known.label[n]) + number
    return made


def _sentences(unit: t.Stsg, clip: str, names: dict[str, str]) -> Iterator[str]:
    for a in unit.attributes:
        if t.clip_of(a.id) == clip:
            yield cap(f"the {a.kind.replace('_', ' ')} of {names[a.owner]} is {a.value}.")
    for r in unit.relations:
        if t.clip_of(r.subject) == clip:
            yield cap(f"{names[r.subject]} is {progressive(r.predicate)} {names[r.object]}.")
    for m in unit.motions:
        if t.clip_of(m.source) == clip:
            times = f"{m.start / 1000:.1f} to {m.end / 1000:.1f} seconds"
            yield cap(f"{names[m.source]} is {progressive(m.motion)}, {times}.")
    for x in unit.references:
        ends = {t.clip_of(x.first): x.first, t.clip_of(x.second): x.second}
        if clip in ends:
            other = next(c for c in ends if c != clip)
            part = next(i for i, c in enumerate(unit.clips, 1) if c.id == other)
            yield cap(f"{names[ends[clip]]} is {names[ends[other]]} of part {part}.")
