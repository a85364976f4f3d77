"""Compares graphs with annotated ones, as the literature on scene graphs does.

Recall@K (Lu et al., 2016) is the share of the true triplets of a picture that are among the K surest induced
ones; mean recall@K (Tang et al., 2019) is the mean over predicates. Subject and object must be the true ones:
by label, and by their boxes if both graphs have them (IoU of at least 0.5).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from stepc.ir import types as t
from stepc.ir.geometry import iou
from stepc.ir.lexicon import Lexicon
from stepc.ir.words import normal, plain, same_relation

KS = (20, 50, 100)
"""The K of the literature."""
SAME_PLACE = 0.5
NEAR = 500
"""Maximum ms between keyframes that show the same."""


@dataclass
class SceneScore:
    """Counts over keyframes."""

    keyframes: int = 0
    unmatched: int = 0
    """Annotated keyframes near which the induced graph has none."""
    right: Counter[str] = field(default_factory=Counter)
    """What → how many induced ones are right: `objects`, `boxes`, `attributes`."""
    induced: Counter[str] = field(default_factory=Counter)
    true: Counter[str] = field(default_factory=Counter)
    found: dict[int, Counter[str]] = field(default_factory=lambda: {k: Counter() for k in KS})
    """K → predicate → true triplets that are among the first K."""
    asked: Counter[str] = field(default_factory=Counter)
    """Predicate → true triplets."""
    recalls: dict[int, list[float]] = field(default_factory=lambda: {k: [] for k in KS})
    """K → recall of each keyframe with a true triplet."""

    def recall(self, k: int) -> float:
        """Recall@K: the mean over keyframes. 1 if there is no true triplet."""
        each = self.recalls[k]
        return sum(each) / len(each) if each else 1.0

    def mean_recall(self, k: int) -> float:
        """Mean recall@K: the mean over predicates. 1 if there is no true triplet."""
        each = [self.found[k][p] / n for p, n in self.asked.items()]
        return sum(each) / len(each) if each else 1.0

    def facts(self) -> dict[str, Any]:
        """All figures as JSON."""
        kinds = {
            kind: {
                "right": self.right[kind], "induced": self.induced[kind], "true": self.true[kind]
            }
            for kind in ("objects", "boxes", "attributes")
        }  # fmt: skip
        return {
            "keyframes": self.keyframes,
            "unmatched": self.unmatched,
            **kinds,
            "triplets": sum(self.asked.values()),
            "recall": {str(k): round(self.recall(k), 4) for k in KS},
            "mean_recall": {str(k): round(self.mean_recall(k), 4) for k in KS},
        }

    def table(self) -> str:
        """The figures as text."""
        lines = [f"{'':12}{'precision':>10}{'recall':>8}{'true':>8}{'induced':>9}"]
        for kind in ("objects", "boxes", "attributes"):
            right, induced, true = (c[kind] for c in (self.right, self.induced, self.true))
            shares = (right / n if n else 1.0 for n in (induced, true))
            lines.append(f"{kind:12}{next(shares):10.3f}{next(shares):8.3f}{true:8d}{induced:9d}")
        lines.append(f"{'triplets':12}" + "".join(f"{f'R@{k}':>9}{f'mR@{k}':>9}" for k in KS))
        figures = "".join(f"{self.recall(k):9.3f}{self.mean_recall(k):9.3f}" for k in KS)
        lines.append(f"{sum(self.asked.values()):<12}{figures}")
        return "\n".join(lines)


def compare_graphs(induced: t.Fsg, true: t.Fsg, score: SceneScore) -> None:
    """Add the comparison of two graphs of one video to a score. Words are compared by both lexicons."""
    words = Lexicon((*induced.lexicon, *true.lexicon), normal, plain)
    mine, theirs = _Frames(induced), _Frames(true)
    for frame, at in theirs.times.items():
        near = min(mine.times, key=lambda f: abs(mine.times[f] - at), default=None)
        score.keyframes += 1
        there = near is not None and abs(mine.times[near] - at) <= NEAR
        score.unmatched += not there
        _compare(mine if there else None, near or "", theirs, frame, words, score)


class _Frames:
    """A graph by keyframe."""

    def __init__(self, unit: t.Fsg) -> None:
        self.times = {k.id: k.at for k in unit.keyframes.values()}
        self.objects: dict[str, list[t.Object]] = _by_frame(unit.objects)
        self.attributes: dict[str, list[t.Attribute]] = _by_frame(unit.attributes)
        self.relations: dict[str, list[t.Relation]] = _by_frame(unit.relations)
        self.boxes = {(b.owner, b.frame): b for b in unit.boxes}


def _by_frame(elements: Iterable[Any]) -> dict[str, list[Any]]:
    made: dict[str, list[Any]] = defaultdict(list)
    for e in elements:
        for frame in e.frames:
            made[frame].append(e)
    return made


def _compare(
    mine: _Frames | None, near: str, theirs: _Frames, frame: str, words: Lexicon, score: SceneScore
) -> None:
    """Add one annotated keyframe, and the induced one beside it."""
    ours = mine.objects[near] if mine else []
    pairs: dict[str, str] = {}
    if mine:
        there = theirs.objects[frame]
        pairs = dict(_matched(ours, near, mine.boxes, there, frame, theirs.boxes, words))
    score.induced["objects"] += len(ours)
    score.true["objects"] += len(theirs.objects[frame])
    score.right["objects"] += len(pairs)
    boxed = [(a, b) for a, b in pairs.items()
             if mine and (a, near) in mine.boxes and (b, frame) in theirs.boxes]  # fmt: skip
    score.induced["boxes"] += sum((o.id, near) in mine.boxes for o in ours) if mine else 0
    score.true["boxes"] += sum((o.id, frame) in theirs.boxes for o in theirs.objects[frame])
    score.right["boxes"] += len(boxed)
    said = {(pairs.get(a.owner), plain(words.display("attr", a.value)))
            for a in (mine.attributes[near] if mine else ())}  # fmt: skip
    score.induced["attributes"] += len(said)
    for a in theirs.attributes[frame]:
        score.true["attributes"] += 1
        score.right["attributes"] += (a.owner, plain(words.display("attr", a.value))) in said
    truth = {_triplet(r, None, words): plain(r.predicate) for r in theirs.relations[frame]}
    ranked = sorted(mine.relations[near] if mine else (), key=lambda r: -r.trust.confidence)
    given = list(dict.fromkeys(_triplet(r, pairs, words) for r in ranked))
    score.asked.update(truth.values())
    for k in KS:
        first = {*given[:k]}
        hits = [p for triplet, p in truth.items() if triplet in first]
        score.found[k].update(hits)
        if truth:
            score.recalls[k].append(len(hits) / len(truth))


def _triplet(
    r: t.Relation, names: Mapping[str, str] | None, words: Lexicon
) -> tuple[str, str, str]:
    """Subject, predicate and object, in the terms of the annotation if `names` has them."""
    ends = (x if names is None else names.get(x, f"?{x}") for x in (r.subject, r.object))
    return same_relation(next(ends), words.display("rel", r.predicate), next(ends))


def _matched(
    ours: list[t.Object], near: str, mine: Mapping[tuple[str, str], t.Box],
    theirs: list[t.Object], frame: str, true: Mapping[tuple[str, str], t.Box], words: Lexicon,
) -> Iterator[tuple[str, str]]:  # fmt: skip
    """Induced objects and the annotated ones that they are: the best places first, then in order."""
    free = {o.id for o in theirs}
    likely: list[tuple[float, int, str, str]] = []
    for i, a in enumerate(ours):
        for b in theirs:
            if not _same_name(a, b, words):
                continue
            one, other = mine.get((a.id, near)), true.get((b.id, frame))
            shared = iou(one, other) if one and other else SAME_PLACE
            if shared >= SAME_PLACE:
                likely.append((-shared, i, a.id, b.id))
    taken: set[str] = set()
    for _, _, a_, b_ in sorted(likely):
        if a_ not in taken and b_ in free:
            taken.add(a_)
            free.remove(b_)
            yield a_, b_


def _same_name(a: t.Object, b: t.Object, words: Lexicon) -> bool:
    """Whether two objects have a name in common, or one of them has a kind of the other's."""
    mine, theirs = ({normal(x) for x in (o.label, *o.called)} for o in (a, b))
    wider = {w for x in mine for w in words.related("label", x)}
    shown = {normal(words.display("label", x)) for x in mine}
    return bool((mine | wider | shown) & theirs)
