"""place: add the relations and movements that boxes tell, and deny those that they refute.   fsg … stsg"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain, combinations, pairwise
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from stepc.diagnostics import Statistics
from stepc.ir import types as t
from stepc.ir.geometry import (
    ALIKE,
    MARGIN,
    RELATIONS,
    holds,
    movement,
    movement_of,
    word_for,
)
from stepc.ir.graph import entities
from stepc.ir.joining import join_equal
from stepc.ir.words import normal, same_relation
from stepc.passmanager.base import Pass, Tools
from stepc.runtime.word_lists import folders

SOURCE = "geometry"
FOLLOWED = 1000
"""Maximum ms between two points of a track that tell what happens between them."""
SURE = t.Trust(votes=1, asked=1, verdict="yes")
_NEVER = frozenset(["inside", "around", "touching"])
"""Relations of which boxes tell at most that they do not hold."""
_TOLD = tuple(name for name in RELATIONS if name not in _NEVER)


class PlaceByBoxes(Pass[t.Fsg, t.Fsg]):
    """Compares a graph with its boxes, without a model.

    Between objects with boxes it adds the relations of `add` where they clearly hold, and notes where this
    cannot be told: nothing is asked then that depends on it. A stated relation that the boxes of a keyframe
    refute is denied there: a cup is not on a table from which it is apart. In graphs of clips, each moving
    object with a track gets its movement between neighbouring keyframes if it has no other motion. The
    relations of a keyframe in which nobody else looked for any are known then, as far as boxes tell them.
    """

    keeps_level: ClassVar[bool] = True

    add: str = "left"
    """Relations to add, separated by spaces: left, right, above, below, overlapping, larger, smaller, nearer,
    farther. A relation is also read from its other end: right of what is left."""
    refuted: Literal["deny", "keep"] = "deny"
    """Whether stated relations and movements that boxes refute are denied, or only counted."""
    margin: int = Field(MARGIN, ge=0, le=500)
    """Thousandths of the picture within which nothing is claimed."""
    language: str = "english"
    """The language in which relations and movements are written."""

    @field_validator("add")
    @classmethod
    def _known(cls, text: str) -> str:
        for name in text.split():
            if name not in _TOLD:
                raise ValueError(f"`{name}` is not one of {', '.join(_TOLD)}")
        return text

    @field_validator("language")
    @classmethod
    def _spoken(cls, name: str) -> str:
        if name not in folders():
            raise ValueError(f"`{name}` is not one of {', '.join(folders())}")
        return name

    def run(self, unit: t.Fsg, tools: Tools) -> t.Fsg:
        if not unit.boxes:
            return unit
        made = self._relations(unit, tools.counts)
        return self._motions(made, tools.counts) if isinstance(made, t.Tsg) else made

    # --- relations -----------------------------------------------------------------------

    def _relations(self, unit: t.Fsg, counts: Statistics) -> t.Fsg:
        boxes = {(b.owner, b.frame): b for b in unit.boxes}
        order = {frame: i for i, frame in enumerate(unit.keyframes)}
        kept: list[t.Relation] = []
        denied: list[t.Relation] = [e for e in unit.denied if isinstance(e, t.Relation)]
        known: dict[tuple[str, str, str], set[str]] = defaultdict(set)
        """Relation, whichever way it is said → keyframes in which it is stated or denied."""
        for r in (*unit.relations, *denied):
            known[same_relation(r.subject, r.predicate, r.object)].update(r.frames)
        for r in unit.relations:
            answers = {f: self._holds(r.predicate, r.subject, r.object, f, boxes) for f in r.frames}
            wrong = tuple(f for f, said in answers.items() if said is False)
            origin = r.origin.model_copy(update={"source": SOURCE})
            if wrong:
                counts.add("relations that boxes refute")
            elif r.trust.verdict == "unasked" and all(answers.values()):
                counts.add("relations that boxes confirm")
                yes = r.trust.model_copy(update={"verdict": "yes"})
                r = r.model_copy(update={"trust": yes, "origin": origin})
            right = r.frames
            if wrong and self.refuted == "deny":
                no = r.trust.model_copy(update={"verdict": "no"})
                update = {"frames": wrong, "trust": no, "origin": origin, "during": None}
                denied.append(r.model_copy(update=update))
                right = tuple(f for f in r.frames if f not in wrong)
            if right:
                kept.append(r.model_copy(update={"frames": right}))
        new, gaps = self._new(unit, boxes, known)
        counts.add("relations by boxes", len(new))
        counts.add("relations that boxes do not tell", len(gaps))
        made = [
            t.Relation(subject=a, predicate=word, object=b, frames=tuple(frames), trust=SURE,
                       origin=t.Origin(source=SOURCE))
            for (a, word, b), frames in new.items()
        ]  # fmt: skip
        examined = (
            {t.Gap(where=b.frame, what="rel") for b in unit.boxes} if self.add.strip() else ()
        )
        others = [e for e in unit.denied if not isinstance(e, t.Relation)]
        return unit.evolve(
            relations=join_equal([*kept, *made], order),
            denied=(*others, *join_equal(denied, order)),
            gaps=tuple(dict.fromkeys((*(g for g in unit.gaps if g not in examined), *gaps))),
        )

    def _holds(
        self, predicate: str, one: str, other: str, frame: str, boxes: dict[tuple[str, str], t.Box]
    ) -> bool | None:
        """Whether a predicate holds between two objects by their boxes; None if these do not tell."""
        a, b = boxes.get((one, frame)), boxes.get((other, frame))
        return holds(predicate, a, b, self.margin) if a and b else None

    def _new(
        self,
        unit: t.Fsg,
        boxes: dict[tuple[str, str], t.Box],
        known: dict[tuple[str, str, str], set[str]],
    ) -> tuple[dict[tuple[str, str, str], list[str]], dict[t.Gap, None]]:
        """The relations to add with their keyframes, and what is not known, keyframe by keyframe."""
        there: dict[str, list[t.Object]] = defaultdict(list)
        for o in unit.objects:
            for frame in o.frames:
                there[frame].append(o)
        new: dict[tuple[str, str, str], list[str]] = {}
        gaps: dict[t.Gap, None] = {}
        for frame, objects in there.items():
            if not any((o.id, frame) in boxes for o in objects):
                continue
            for name, word in self._words():
                for a, b in combinations(objects, 2):
                    alike = name not in ALIKE or normal(a.label) == normal(b.label)
                    for one, other in ((a, b), (b, a)):
                        if frame in known.get(same_relation(one.id, word, other.id), ()):
                            continue
                        said = self._holds(word, one.id, other.id, frame, boxes) if alike else None
                        if said:
                            new.setdefault((one.id, word, other.id), []).append(frame)
                            known[same_relation(one.id, word, other.id)].add(frame)
                        elif said is None:
                            ends = (_sight(o, frame) for o in (one, other))
                            gaps[
                                t.Gap(where=next(ends), what="rel", other=next(ends), word=word)
                            ] = None
        return new, gaps

    def _words(self) -> Iterator[tuple[str, str]]:
        """The relations to add, and how they are said."""
        for name in dict.fromkeys(self.add.split()):
            word = word_for(name, self.language)
            if word is not None:
                yield name, word

    # --- motions -------------------------------------------------------------------------

    def _motions(self, unit: t.Tsg, counts: Statistics) -> t.Tsg:
        """The unit with movements by tracks."""
        at = {k.id: k.at for k in unit.keyframes.values()}
        boxes = {b.owner: b for b in unit.boxes}
        tracks = {(x.clip, x.number): x.points for x in unit.tracks}
        stated: dict[tuple[str, str], list[t.Motion]] = defaultdict(list)
        for m in unit.motions:
            stated[m.source, m.target].append(m)
        settled = {(m.source, m.target) for m in unit.denied if isinstance(m, t.Motion)}
        told: dict[tuple[str, str], t.Motion] = {}
        gaps: dict[t.Gap, None] = dict.fromkeys(unit.gaps)
        denied: list[t.Denied] = list(unit.denied)
        for nodes in _moving(unit):
            for one, other in pairwise(sorted(nodes, key=lambda o: at[o.frames[0]])):
                start, end, pair = at[one.frames[0]], at[other.frames[0]], (one.id, other.id)
                first, last = boxes.get(one.id), boxes.get(other.id)
                found = word = None
                if first and last and first.track is not None and first.track == last.track:
                    points = tracks.get((t.clip_of(one.id), first.track), ())
                    seen = [p for p in points if start < p.at < end]
                    times = [start, *(p.at for p in seen), end]
                    followed = all(b - a <= FOLLOWED for a, b in pairwise(times))
                    found = movement([first, *seen, last], self.margin) if followed else None
                    word = found and word_for(found, self.language)
                wrong = [m for m in stated[pair] if _refutes(found, m)]
                counts.add("motions that tracks refute", len(wrong))
                if self.refuted == "deny":
                    stated[pair] = [m for m in stated[pair] if m not in wrong]
                    for m in wrong:
                        no = m.trust.model_copy(update={"verdict": "no"})
                        denied.append(m.model_copy(update={"trust": no}))
                if stated[pair]:
                    continue
                gap = t.Gap(where=one.id, what="motion", other=other.id)
                if word is None:
                    if pair not in settled:
                        gaps[gap] = None
                    continue
                counts.add("motions by tracks")
                gaps.pop(gap, None)
                told[pair] = t.Motion(source=one.id, target=other.id, motion=word, start=start,
                                      end=end, trust=SURE, origin=t.Origin(source=SOURCE))  # fmt: skip
        return unit.evolve(
            motions=(*chain.from_iterable(stated.values()), *told.values()),
            denied=tuple(denied),
            gaps=tuple(gaps),
        )


def _refutes(found: str | None, stated: t.Motion) -> bool:
    """Whether a movement that a track tells makes a stated motion false."""
    claimed = movement_of(stated.motion)
    return None not in (found, claimed) and claimed != found


def _sight(o: t.Object, frame: str) -> str:
    """An object as it was found in a keyframe, before it was merged; itself if that is not known."""
    return next((n for n in o.origin.nodes if t.frame_of(n) == frame), o.id)


def _moving(unit: t.Tsg) -> Iterator[Sequence[t.Object]]:
    """The dynamic nodes of each individual of a clip."""
    entity = entities(unit)
    groups: dict[int, list[t.Object]] = defaultdict(list)
    for o in unit.objects:
        if o.op == "dynamic":
            groups[entity[o.id]].append(o)
    yield from groups.values()
