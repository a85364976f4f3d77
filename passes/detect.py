"""detect: boxes for the objects of keyframes, and objects for boxes, by a detector.   fsg … fsg"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from itertools import chain, count
from typing import Literal, NamedTuple

from pydantic import Field

from stepc.boxes.detection import Detection
from stepc.boxes.eyes import Eyes, Glimpse
from stepc.boxes.matching import SAME_PLACE, pair_boxes, without_doubles
from stepc.ir import types as t
from stepc.ir.dependents import without
from stepc.ir.geometry import iou
from stepc.ir.words import normal
from stepc.languages.base import noun_classes
from stepc.passmanager.base import Tools

MOVING = frozenset(["person", "animal", "vehicle"])
"""Classes of things that may move by themselves."""


class Detect(Eyes[t.Fsg, t.Fsg]):
    """Compares the objects of each keyframe with what a detector finds in it.

    An object gets the box of its label: the one that covers the same place as its own box, if it has one,
    and else the only one of its label, or the n-th from the left if there are as many. Where a
    detector has two labels for one place, it adds no object: there may be either. Where there are more
    boxes of a label than objects, nobody knows which are which, nor how many objects there are. An object
    with a box of its own that is found again is confirmed. One whose label the detector knows and does not
    find is doubted: its verdict is taken back, so that `confirm` asks again. A box without an object becomes
    an object about which nobody was asked, and `confirm` asks the model.

    Two detectors need no model. What only one of them finds may be there or not:

        split,keyframes,parse-none,detect(from="one"),detect(from="two",missing=drop,extra=doubt),…
    """

    missing: Literal["doubt", "drop", "deny", "keep"] = "doubt"
    """What happens to an object that the detector does not find: `drop` leaves open whether it is there, and
    `deny` says that it is not. A detector whose labels are not known, as of a file without categories, is
    taken to find everything; with `doubt` only those labels that it finds somewhere in the video."""
    extra: Literal["add", "doubt", "ignore"] = "add"
    """What happens to a box without an object: `doubt` leaves open whether there is one."""
    unsure: float = Field(1, ge=0, le=1)
    """Boxes below `score`, down to this share of it, leave open whether there is an object."""
    within: float = Field(0.1, ge=0)
    """Maximum distance of the picture that the detector saw from the keyframe, in seconds."""

    def run(self, unit: t.Fsg, tools: Tools) -> t.Fsg:
        there: dict[str, list[t.Object]] = defaultdict(list)
        for o in unit.objects:
            there[o.frames[0]].append(o)
        looks = (
            Glimpse(
                k.at,
                tools.pictures.at(t.Frame(video=unit.video.sha256, at=k.at)),
                [o.label for o in there[frame]],
            )
            for frame, k in unit.keyframes.items()
        )
        least = self.least * self.unsure
        found = self.detections(unit, tools, looks, least)
        own = {b.owner: b for b in unit.boxes}
        everything = not found.words or (not found.whole and self.missing in ("drop", "deny"))
        known = None if everything else {normal(w) for w in found.words}
        made = _Made(unit, found.source)
        for frame, keyframe in unit.keyframes.items():
            near = found.near(keyframe.at, round(self.within * 1000))
            if near is None:
                tools.counts.add("keyframes that the detector did not see")
                for o in there[frame] if self.missing == "drop" else ():
                    made.missing(o, "drop")  # it may have seen nothing, or not looked
                continue
            near = without_doubles([d for d in near if d.score >= least * 1000], _same)
            best = [d for d in near if d.score >= self.least * 1000]
            seen = _compared(there[frame], best, own, known)
            seen.leave_open([d for d in near if _contested(d, near)], self.missing == "drop")
            for o, d in seen.pairs:
                made.found(o, d, confirmed=o.id in own)
            for o in seen.missing:
                made.missing(o, self.missing)
            if self.extra == "add":
                made.seen.add(frame)
                made.add(frame, seen.extra)
            elif self.extra == "doubt":
                made.open += [(frame, d.label) for d in seen.extra]
            seen.unsure.update(d.label for d in near if d.score < self.least * 1000)
            made.open += [(frame, label) for label in sorted(seen.unsure)]
            confirmed = sum(o.id in own for o, _ in seen.pairs)
            tools.counts.add("objects that are found again", confirmed)
            tools.counts.add("objects with a box", len(seen.pairs) - confirmed)
            tools.counts.add("objects that are not found", len(seen.missing))
            tools.counts.add("boxes without an object", len(seen.extra))
            tools.counts.add("labels that may have more objects", len(seen.unsure))
        return made.unit()


class _Compared(NamedTuple):
    """The objects and the boxes of a keyframe beside each other."""

    pairs: list[tuple[t.Object, Detection]]
    missing: list[t.Object]
    """Objects that the detector knows and does not find."""
    extra: list[Detection]
    """Boxes without an object."""
    unsure: set[str]
    """Labels that may have more objects: with more boxes than objects, or with unsure boxes."""

    def leave_open(self, contested: Sequence[Detection], found_too: bool) -> None:
        """Add no object for a box that has another label, too; with `found_too`, it confirms none either."""
        for d in (d for d in self.extra if any(d is x for x in contested)):
            self.unsure.add(d.label)
        self.extra[:] = [d for d in self.extra if all(d is not x for x in contested)]
        if found_too:
            lost = [(o, d) for o, d in self.pairs if any(d is x for x in contested)]
            self.missing.extend(o for o, _ in lost)
            self.pairs[:] = [(o, d) for o, d in self.pairs if all(o is not x for x, _ in lost)]


def _compared(
    objects: Sequence[t.Object],
    found: Sequence[Detection],
    own: Mapping[str, t.Box],
    known: Set[str] | None,
) -> _Compared:
    """Compare a keyframe. `known` are the labels that the detector knows, None for all."""
    pairs = _pairs(objects, found, own)
    free = [d for d in found if all(d is not x for _, x in pairs)]
    missing, unsure = [], set[str]()
    for o in objects:
        names = _names(o)
        if any(o is x for x, _ in pairs) or (known is not None and not names & known):
            continue
        alike = {normal(d.label) for d in free} & names
        if alike and o.id not in own:
            unsure |= alike
        else:
            missing.append(o)
    extra = [d for d in free if normal(d.label) not in unsure]
    return _Compared(pairs, missing, extra, unsure)


class _Made:
    """The graph with what was found."""

    def __init__(self, unit: t.Fsg, source: str) -> None:
        self.old, self.source = unit, source
        self.now: dict[str, t.Object] = {}
        """Object → how it is judged now."""
        self.boxes: list[t.Box] = []
        self.added: list[t.Object] = []
        self.dropped: set[str] = set()
        self.seen: set[str] = set()
        """Keyframes whose objects are all known now."""
        self.open: list[tuple[str, str]] = []
        """(keyframe, label of which it may have more)"""
        self.taken = {o.id for o in (*unit.objects, *unit.denied) if isinstance(o, t.Object)}

    def found(self, o: t.Object, d: Detection, confirmed: bool) -> None:
        if confirmed:
            self.now[o.id] = _judged(o, "yes")
        else:
            self.boxes.append(self._box(o.id, d))

    def missing(self, o: t.Object, what: str) -> None:
        if what == "drop":
            self.dropped.add(o.id)
            self.open.append((o.frames[0], o.label))
        elif what != "keep":
            self.now[o.id] = _judged(o, "no" if what == "deny" else "unasked")

    def add(self, frame: str, found: Sequence[Detection]) -> None:
        """Add objects for boxes, with ids that are not taken."""
        classes = noun_classes("english")
        for d in found:
            name = f"{frame}/{t.slug(d.label)}"
            identifier = next(
                x for x in chain([name], (f"{name}.{n}" for n in count(2))) if x not in self.taken
            )
            self.taken.add(identifier)
            moves = classes.get(d.label.lower()) in MOVING
            self.added.append(
                t.Object(op="dynamic" if moves else "static", id=identifier, label=d.label,
                         frames=(frame,), trust=t.Trust(votes=1, asked=1))
            )  # fmt: skip
            self.boxes.append(self._box(identifier, d))

    def _box(self, owner: str, d: Detection) -> t.Box:
        return t.Box(owner=owner, frame=t.frame_of(owner) or "", left=d.left, top=d.top,
                     right=d.right, bottom=d.bottom, score=d.score, source=self.source)  # fmt: skip

    def unit(self) -> t.Fsg:
        """The graph. What is denied or dropped takes along what depends on it."""
        no = [o for o in self.now.values() if o.trust.verdict == "no"]
        kept = without(self.old, {*self.dropped, *(o.id for o in no)})
        kept["objects"] = (*(self.now.get(o.id, o) for o in kept["objects"]), *self.added)
        kept["denied"] = (*kept["denied"], *no)
        kept["boxes"] = (*kept["boxes"], *self.boxes)
        open_ = (t.Gap(where=frame, what="object", word=label) for frame, label in self.open)
        kept["gaps"] = tuple(dict.fromkeys((
            *(g for g in kept["gaps"] if g.what != "object" or g.where not in self.seen), *open_,
        )))  # fmt: skip
        return self.old.evolve(**kept)


def _contested(d: Detection, others: Sequence[Detection]) -> bool:
    """Whether the detector has another label for the place of a box."""
    return any(not _same(d.label, x.label) and iou(d, x) >= SAME_PLACE for x in others)


def _same(one: str, other: str) -> bool:
    return normal(one) == normal(other)


def _pairs(
    objects: Sequence[t.Object], found: Sequence[Detection], own: Mapping[str, t.Box]
) -> list[tuple[t.Object, Detection]]:
    """Objects and their boxes: by place where they have a box, else by label."""
    boxed = [o for o in objects if o.id in own]
    names = [_names(o) for o in boxed]
    by_place = pair_boxes([own[o.id] for o in boxed], found,
                          lambda i, j: normal(found[j].label) in names[i])  # fmt: skip
    pairs = [(boxed[i], found[j]) for i, j in by_place]
    free = [d for d in found if all(d is not x for _, x in pairs)]
    bare = [o for o in objects if o.id not in own]
    for label in dict.fromkeys(normal(o.label) for o in bare):
        ours = [o for o in bare if normal(o.label) == label]
        theirs = [d for d in free if normal(d.label) in set().union(*map(_names, ours))]
        if len(ours) == len(theirs):
            pairs += zip(ours, sorted(theirs, key=lambda d: d.left + d.right), strict=True)
    return pairs


def _names(o: t.Object) -> set[str]:
    return {normal(x) for x in (o.label, *o.called)}


def _judged(o: t.Object, verdict: Literal["yes", "no", "unasked"]) -> t.Object:
    """An object with the detector's answer as one more vote, and a verdict."""
    votes = o.trust.votes + (verdict == "yes")
    trust = t.Trust(votes=votes, asked=o.trust.asked + 1, verdict=verdict)
    return o.model_copy(update={"trust": trust})
