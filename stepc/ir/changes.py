"""What differs between two units: facts and samples that are new, gone, or changed, by kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from stepc.edges import ELEMENTS
from stepc.ir import types as t
from stepc.ir.literals import quote, seconds, span
from stepc.ir.text import denial, query_text, statement

How = Literal["added", "removed", "changed"]
Keyed = tuple[str, tuple[str, ...], str]
"""Kind, what identifies it, and its text."""


@dataclass(frozen=True)
class Change:
    """Something that only one of two units or datasets has, or that they have differently."""

    where: str
    """The name of the unit, or of the video."""
    kind: str
    """`object`, `attr`, `rel`, `motion`, `sample` …"""
    before: str
    """Its text in the first; empty if it is added."""
    after: str
    """Its text in the second; empty if it is removed."""

    @property
    def how(self) -> How:
        """Whether it is added, removed or changed."""
        if not self.before:
            return "added"
        return "changed" if self.after else "removed"


def unit_changes(one: t.Unit, other: t.Unit, trust: bool = True) -> Iterator[Change]:
    """What differs between two units of any levels.

    Facts are the same if they say the same of the same ids: their keyframes, times and votes may then differ,
    and that is a change. Samples are the same if they ask the same. Without `trust`, votes and verdicts are
    not compared. The keys of model calls never are.
    """
    yield from changes(one.name, _all(one, trust), _all(other, trust))


def changes(where: str, one: Iterable[Keyed], other: Iterable[Keyed]) -> Iterator[Change]:
    """What differs between two lists of things, in the order of the first, then of the second."""
    left: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for kind, key, text in other:
        left.setdefault((kind, key), []).append(text)
    for kind, key, text in one:
        texts = left.get((kind, key), [])
        if text in texts:
            texts.remove(text)
        else:
            after = texts.pop(0) if texts else ""
            yield Change(where, kind, text, after)
    for (kind, _), texts in left.items():
        yield from (Change(where, kind, "", text) for text in texts)


def _all(unit: t.Unit, trust: bool) -> Iterator[Keyed]:
    """Everything in a unit."""
    v = unit.video
    yield "video", (), f"video   {quote(v.file)} {seconds(v.duration)}s sha256:{v.sha256}"
    for clip in unit.clips:
        yield "clip", (clip.id,), f"clip    {clip.id} {span(clip.start, clip.end)}"
        for k in clip.keyframes:
            yield "keyframe", (k.id,), f"frame   {k.id} at {seconds(k.at)}"

    def said(e: t.Element, denied: bool = False) -> str:
        bare = e if trust else e.model_copy(update={"trust": _SAME})
        return denial(bare, calls=False) if denied else statement(bare, calls=False)

    for word in getattr(unit, "lexicon", ()):
        yield "word", (word.of, word.one, word.how, word.other), said(word)
    for o in getattr(unit, "objects", ()):
        yield "object", (o.id,), said(o)
    for kind in ELEMENTS.values():
        for e in getattr(unit, kind.field, ()):
            yield kind.name, kind.keys(e), said(e)
    for e in getattr(unit, "denied", ()):
        kind = ELEMENTS[type(e)]
        yield "denied", (kind.name, *kind.keys(e)), said(e, denied=True)
    for gap in getattr(unit, "gaps", ()):
        yield "gap", (statement(gap),), statement(gap)
    for box in getattr(unit, "boxes", ()):
        yield "box", (box.owner, box.frame), statement(box)
    for track in getattr(unit, "tracks", ()):
        yield "track", (track.clip, str(track.number)), statement(track)
    for s in getattr(unit, "samples", ()):
        yield "sample", (s.question,), _sample(s)


_SAME = t.Trust(votes=1, asked=1)


def _sample(s: t.Sample) -> str:
    """A sample on one line: question, answer, rationale, query."""
    told = " ".join(b.text for b in s.rationale)
    options = f" ({', '.join(s.options)})" if s.options else ""
    return f"sample  {s.question}{options} {s.answer} | {told} | {query_text(s.query)}"
