"""Compares an induced STSG with the ground truth: precision and recall per kind of fact."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from stepc.ir import types as t
from stepc.ir.geometry import iou
from stepc.ir.graph import entities
from stepc.ir.words import normal, plain, same_relation

KINDS = (
    "objects", "kinds", "attributes", "relations", "motions", "references", "events", "boxes"
)  # fmt: skip
SAME_PLACE = 0.5
"""Least intersection over union of a box and the true one."""
Fact = tuple[object, ...]


@dataclass
class Score:
    """Counts per kind of fact: correct, induced, and in the ground truth."""

    right: Counter[str] = field(default_factory=Counter)
    induced: Counter[str] = field(default_factory=Counter)
    true: Counter[str] = field(default_factory=Counter)

    def add(self, other: Score) -> None:
        """Add another film's counts."""
        self.right += other.right
        self.induced += other.induced
        self.true += other.true

    def precision(self, kind: str) -> float:
        """Fraction of the induced facts that are true; 1 if none were induced."""
        return self.right[kind] / self.induced[kind] if self.induced[kind] else 1.0

    def recall(self, kind: str) -> float:
        """Fraction of the true facts that were induced; 1 if there are none."""
        return self.right[kind] / self.true[kind] if self.true[kind] else 1.0

    def f1(self, kind: str) -> float:
        """Harmonic mean of precision and recall."""
        both = self.precision(kind) + self.recall(kind)
        return 2 * self.precision(kind) * self.recall(kind) / both if both else 0.0

    def table(self) -> str:
        """Format as a plain-text table."""
        lines = [f"{'':12}{'precision':>10}{'recall':>10}{'true':>8}{'induced':>9}"]
        for kind in KINDS:
            lines.append(
                f"{kind:12}{self.precision(kind):10.3f}{self.recall(kind):10.3f}"
                f"{self.true[kind]:8d}{self.induced[kind]:9d}"
            )
        return "\n".join(lines)


def compare(induced: t.Stsg, true: t.Stsg) -> Score:
    """Count the facts of `induced` against those of `true`.

    Clips are matched by overlap, keyframes by the nearest keyframe of the true clip, and objects by label.
    A relation and its inverse are the same fact. A box is right if it is that of an object with the true
    label and covers what the true one covers, by intersection over union.
    """
    clips = {c.id: _most_overlap(c, true) for c in induced.clips}
    phases = _phases(induced, true, clips)
    own = {c.id: c.id for c in true.clips}
    ours = _facts(induced, clips, phases)
    theirs = _facts(true, own, _phases(true, true, own))
    score = Score()
    for kind in KINDS:
        score.induced[kind] = len(ours[kind])
        score.true[kind] = len(theirs[kind])
        score.right[kind] = len(ours[kind] & theirs[kind])
    found, there = _boxes(induced, clips, phases), _boxes(true, own, _phases(true, true, own))
    score.induced["boxes"], score.true["boxes"] = (
        sum(map(len, x.values())) for x in (found, there)
    )
    score.right["boxes"] = sum(_in_place(boxes, there.get(key, [])) for key, boxes in found.items())
    return score


def confident(unit: t.Stsg, least: float) -> t.Stsg:
    """A graph without the motions and events that less than a share of the replies have."""
    return unit.model_copy(
        update={
            "motions": tuple(m for m in unit.motions if m.trust.confidence >= least),
            "events": tuple(e for e in unit.events if e.trust.confidence >= least),
        }
    )


def _boxes(
    unit: t.Stsg, clips: dict[str, str], phases: dict[str, int]
) -> dict[tuple[str, int, str], list[t.Box]]:
    """(clip, phase, label) → boxes."""
    labels = {o.id: normal(o.label) for o in unit.objects}
    made: dict[tuple[str, int, str], list[t.Box]] = {}
    for b in unit.boxes:
        key = (clips[t.clip_of(b.owner)], phases[b.frame], labels[b.owner])
        made.setdefault(key, []).append(b)
    return made


def _in_place(found: list[t.Box], there: list[t.Box]) -> int:
    """How many boxes are where one of the true ones is, each true one counted once."""
    left = list(there)
    right = 0
    for box in found:
        best = max(left, key=lambda x: iou(box, x), default=None)
        if best is not None and iou(box, best) >= SAME_PLACE:
            left.remove(best)
            right += 1
    return right


def _most_overlap(clip: t.Clip, true: t.Stsg) -> str:
    def overlap(other: t.Clip) -> int:
        return min(clip.end, other.end) - max(clip.start, other.start)

    best = max(true.clips, key=overlap)
    return best.id if overlap(best) * 2 > clip.end - clip.start else f"none-{clip.id}"


def _phases(unit: t.Stsg, true: t.Stsg, clips: dict[str, str]) -> dict[str, int]:
    """For each keyframe, the index of the nearest keyframe of the true clip."""
    times = {c.id: [k.at for k in c.keyframes] for c in true.clips}
    phases = {}
    for k in unit.keyframes.values():
        there = times.get(clips[t.clip_of(k.id)], [0])
        phases[k.id] = min(range(len(there)), key=lambda i: abs(there[i] - k.at))
    return phases


def _facts(unit: t.Stsg, clips: dict[str, str], phases: dict[str, int]) -> dict[str, set[Fact]]:
    labels = {o.id: normal(o.label) for o in unit.objects}

    def where(node: str) -> str:
        return clips[t.clip_of(node)]

    made: dict[str, set[Fact]] = {kind: set() for kind in KINDS}
    for o in unit.objects:
        made["objects"].add((where(o.id), labels[o.id]))
        made["kinds"].add((where(o.id), labels[o.id], o.op))
    for a in unit.attributes:
        made["attributes"].add((where(a.id), labels[a.owner], plain(a.kind), plain(a.value)))
    for r in unit.relations:
        triple = same_relation(labels[r.subject], r.predicate, labels[r.object])
        made["relations"] |= {(where(r.subject), phases[f], *triple) for f in r.frames}
    for m in unit.motions:
        made["motions"].add((where(m.source), labels[m.source], plain(m.motion)))
    entity = entities(unit)
    first: dict[int, str] = {}
    for o in unit.objects:
        first.setdefault(entity[o.id], o.id)
    for f in unit.references:
        one, two = first[entity[f.first]], first[entity[f.second]]
        made["references"].add((where(one), labels[one], where(two), labels[two]))
    for e in unit.events:
        made["events"].add((clips[e.clip], plain(e.event)))
    return made
