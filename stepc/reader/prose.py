"""The facts of a graph as plain sentences, for a model that is to answer from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from stepc.ir import types as t
from stepc.languages import Language
from stepc.proof import words
from stepc.proof.facts import Facts


def told(unit: t.Stsg, known: Facts, clips: Iterable[str]) -> list[str]:
    """All facts of some clips of a graph, a sentence each; a clip begins with its event and times."""
    prose = _Prose(unit, known)
    made: list[str] = []
    for clip in sorted({*clips}, key=lambda c: int(c[1:])):
        made.append(prose.heading(clip))
        made += dict.fromkeys(prose.sentences(clip))
    return made


class _Prose:
    """The sentences of a graph, in the language of its facts."""

    def __init__(self, unit: t.Stsg, known: Facts) -> None:
        self.unit, self.known = unit, known
        self.language: Language = known.language
        self.part = {clip.id: number for number, clip in enumerate(unit.clips, 1)}
        self.names = self._names()

    def said(self, what: str, **words_: Any) -> str:
        """A sentence of the language, with its words."""
        return self.language.sentence(self.language.facts[what].format(**words_))

    def heading(self, clip: str) -> str:
        """The line before the facts of a clip."""
        at = next(c for c in self.unit.clips if c.id == clip)
        event = next((e.event for e in self.unit.events if e.clip == clip), "")
        return self.said(
            "event" if event else "part",
            number=self.part[clip],
            event=self.language.framed("clause", event),
            time=self.time(at.start, at.end),
        )

    def time(self, start: int, end: int) -> str:
        """A time range in tenths of seconds."""
        return self.language.span(f"{start / 1000:.1f}", f"{end / 1000:.1f}")

    def _names(self) -> dict[str, str]:
        """Object → what it is called: its label, with a number if several things of its clip have it."""
        known = self.known
        alike: dict[tuple[str, str], list[int]] = {}
        for n, clip in known.clip.items():
            alike.setdefault((clip, words.label(known.label[n])), []).append(n)
        made = {}
        for o in self.unit.objects:
            n = known.thing[o.id]
            same = alike[t.clip_of(o.id), words.label(known.label[n])]
            name = self.language.the(self.language.noun(known.label[n]))
            if len(same) > 1:
                name = self.language.facts["alike"].format(name=name, number=same.index(n) + 1)
            made[o.id] = name
        return made

    def sentences(self, clip: str) -> Iterator[str]:
        """The facts of a clip."""
        unit, names, normalised = self.unit, self.names, self.language.normalised
        for a in unit.attributes:
            if t.clip_of(a.id) == clip:
                kind = a.kind.replace("_", " ")
                yield self.said("attr", kind=kind, name=names[a.owner], value=a.value)
        for r in unit.relations:
            if t.clip_of(r.subject) == clip:
                ends = {"name": names[r.subject], "other": names[r.object]}
                yield self.said("rel", predicate=normalised(r.predicate), **ends)
        for m in unit.motions:
            if t.clip_of(m.source) == clip:
                time, motion = self.time(m.start, m.end), normalised(m.motion)
                yield self.said("motion", name=names[m.source], motion=motion, time=time)
        for x in unit.references:
            ends = {t.clip_of(x.first): x.first, t.clip_of(x.second): x.second}
            if clip in ends:
                other = next(c for c in ends if c != clip)
                name, also = names[ends[clip]], names[ends[other]]
                yield self.said("ref", name=name, other=also, number=self.part[other])
