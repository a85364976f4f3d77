"""track: join the boxes of a clip into tracks, which tell what is the same object.   fsg … fsg"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from pydantic import Field

from stepc.boxes.camera import moved
from stepc.boxes.detection import Detection, Detections
from stepc.boxes.eyes import Eyes, Glimpse, source_of, state
from stepc.boxes.matching import pair_boxes, without_doubles
from stepc.boxes.segmenter import ClipPicture, check_segmenter, follow_boxes, load_segmenter
from stepc.boxes.tracker import Followed, follow
from stepc.diagnostics import fail
from stepc.ir import types as t
from stepc.ir.geometry import MARGIN
from stepc.ir.words import normal
from stepc.passmanager.base import Tools
from stepc.video.decode import Picture, decoded_frames

Points = list[tuple[int, Detection]]


class FollowTracks(Eyes[t.Fsg, t.Fsg]):
    """Follows what a detector finds between keyframes, too.

    Boxes of one label that follow each other are one track, and the boxes of the graph's objects get its
    number: `merge` takes them as one object. Tracks that the file has already are taken as they are. An
    object is dynamic if its track moves, or if another keyframe says so. Where the camera moves, nothing is
    known of the movement of objects; the track then has no points there.

    With a `segmenter`, the boxes of the graph's objects are followed from keyframe to keyframe by their
    looks, and no detector is asked: SAM 2 (Ravi et al., 2024), EdgeTAM, SAM 3.
    """

    rate: float = Field(6, gt=0)
    """Maximum points of a track per second."""
    also: str = ""
    """A second file or detector, as in `from` or `model`: only boxes that both find are followed."""
    segmenter: str = ""
    """A video segmenter of `transformers` in place of a detector: a folder or a name on the hub, such as
    facebook/sam2.1-hiera-tiny."""
    most: int = Field(600, gt=1)
    """Maximum pictures of a clip that a segmenter looks at; of a longer one, fewer per second."""
    within: float = Field(0.1, ge=0)
    """Maximum distance of a keyframe from the picture that the detector saw, in seconds."""
    camera: bool = True
    """Whether to look at the pictures for movements of the camera."""

    def ready(self) -> None:
        super().ready()
        if self.segmenter:
            check_segmenter(self.segmenter)
        if self.also:
            self._second().ready()

    def reads(self, video: str) -> str:
        second = self._second().reads(video) if self.also else ""
        third = state(self.segmenter) if self.segmenter else ""
        return " ".join(filter(None, (super().reads(video), second, third)))

    def run(self, unit: t.Fsg, tools: Tools) -> t.Fsg:
        detections = (
            self._by_masks(unit, tools)
            if self.segmenter
            else self.detections(unit, tools, self._looks(unit, tools), self.least)
        )
        found = detections.at
        if self.also:
            second = self._second()
            other = second.detections(unit, tools, self._looks(unit, tools), second.least)
            least = 1000 * second.least
            found = {
                at: _agreed(there, [d for d in near if d.score >= least])
                for at, there in found.items()
                if (near := other.near(at, round(1000 * self.within))) is not None
            }
        given = any(d.track is not None for there in found.values() for d in there)
        source = detections.source if given else "track:iou"
        best = {
            at: without_doubles([d for d in there if d.score >= self.least * 1000], _same)
            for at, there in sorted(found.items())
        }
        shifts = self._shifts(unit, best, tools) if self.camera else {}
        numbers: dict[tuple[str, str], int] = {}
        tracks: list[t.Track] = []
        dynamic: set[str] = set()
        for clip in unit.clips:
            inside = {at: there for at, there in best.items() if clip.start <= at < clip.end}
            number = 0
            for followed in follow(inside, _same):
                mine = self._boxes(unit, clip, followed)
                if not mine:
                    tools.counts.add("tracks of no object of a keyframe")
                    continue
                number += 1
                numbers |= dict.fromkeys(mine, number)
                times = [k.at for k in clip.keyframes]
                points = _steady(self._thinned(followed.seen, times), times, shifts)
                if points:
                    shown = tuple(_point(at, d) for at, d in points)
                    tracks.append(t.Track(clip=clip.id, number=number, source=source, points=shown))
                if _moves([d for _, d in points]):
                    dynamic |= {owner for owner, _ in mine}
            tools.counts.add("tracks", number)
        boxes = (
            b.model_copy(update={"track": numbers.get((b.owner, b.frame))}) for b in unit.boxes
        )
        objects = (
            o.model_copy(update={"op": "dynamic"}) if o.id in dynamic else o for o in unit.objects
        )
        return unit.evolve(boxes=tuple(boxes), objects=tuple(objects), tracks=tuple(tracks))

    def _by_masks(self, unit: t.Fsg, tools: Tools) -> Detections:
        """The boxes of the objects of each clip, followed by their looks. Raises StepcError (M004, P012)."""
        if self.from_ or self.model or self.also:
            message = "`track` follows boxes by a segmenter, or what a detector finds"
            raise fail("P012", message, help='track(segmenter="facebook/sam2.1-hiera-tiny")')
        label = {o.id: o.label for o in unit.objects}
        at = {k.id: k.at for k in unit.keyframes.values()}
        boxes: dict[int, list[Detection]] = {}
        for b in unit.boxes:
            edges = b.left, b.top, b.right, b.bottom
            boxes.setdefault(at[b.frame], []).append(Detection(label[b.owner], *edges, b.score))
        segmenter = load_segmenter(self.segmenter)
        found: dict[int, list[Detection]] = {}
        looks: dict[str, list[ClipPicture]] = {c.id: [] for c in unit.clips}
        for look in self._looks(unit, tools):
            clip = next(c for c in unit.clips if c.start <= look.at < c.end)
            looks[clip.id].append(ClipPicture(look.at, look.picture, boxes.get(look.at, ())))
        for sights in looks.values():
            step = -(-len(sights) // self.most)
            near = [s for i, s in enumerate(sights) if s.boxes or not i % step]
            found |= follow_boxes(segmenter, near)
        return Detections(f"track:{segmenter.name}", found)

    def _second(self) -> FollowTracks:
        """This pass with the second detector only."""
        kind, name = source_of(self.also)
        return self.model_copy(update={"from_": "", "model": "", "also": "", kind: name})

    def _looks(self, unit: t.Fsg, tools: Tools) -> Iterator[Glimpse]:
        """Pictures of the clips, `rate` per second, and the keyframes, with the labels of their clip."""
        labels: dict[str, list[str]] = {c.id: [] for c in unit.clips}
        for o in unit.objects:
            labels[t.clip_of(o.id)].append(o.label)
        keyframes = {k.at for k in unit.keyframes.values()}
        left, last = list(unit.clips), -float("inf")
        for look in decoded_frames(tools.pictures.source(unit.video.sha256)):
            while left and look.at >= left[0].end:
                left.pop(0)
            due = look.at in keyframes or look.at - last >= 1000 / self.rate
            if left and look.at >= left[0].start and due:
                last = look.at
                yield Glimpse(look.at, look.picture(), labels[left[0].id])

    def _boxes(self, unit: t.Fsg, clip: t.Clip, followed: Followed) -> list[tuple[str, str]]:
        """(object, keyframe) of the boxes that are on a track, one per keyframe."""
        labels = {o.id: {normal(x) for x in (o.label, *o.called)} for o in unit.objects}
        made = []
        for keyframe in clip.keyframes:
            at, seen = min(followed.seen, key=lambda x: abs(x[0] - keyframe.at))
            if abs(at - keyframe.at) > 1000 * self.within:
                continue
            there = [b for b in unit.boxes if b.frame == keyframe.id]
            right = [b for b in there if normal(followed.label) in labels[b.owner]]
            made += [(right[i].owner, keyframe.id) for i, _ in pair_boxes(right, [seen], _any)]
        return made

    def _thinned(self, seen: Points, keyframes: Sequence[int]) -> Points:
        """At most `rate` points per second, among them those next to keyframes."""
        kept: Points = []
        next_to = {min((at for at, _ in seen), key=lambda x: abs(x - k)) for k in keyframes}
        for at, d in seen:
            if at in next_to or not kept or at - kept[-1][0] >= 1000 / self.rate:
                kept.append((at, d))
        return kept

    def _shifts(
        self, unit: t.Fsg, found: Mapping[int, Sequence[Detection]], tools: Tools
    ) -> dict[int, float]:
        """Time of a picture → by how much the background moved since the one before in its clip."""
        made: dict[int, float] = {}
        last: tuple[str, int, Picture] | None = None
        left = list(unit.clips)
        for look in decoded_frames(tools.pictures.source(unit.video.sha256)):
            while left and look.at >= left[0].end:
                left.pop(0)
            if not left or look.at < left[0].start or look.at not in found:
                continue
            if last and last[0] == left[0].id and look.at - last[1] < 1000 / self.rate:
                continue
            if last and last[0] == left[0].id:
                shift = moved(last[2], look.small, [*found[last[1]], *found[look.at]])
                made[look.at] = MARGIN if shift is None else shift
            last = left[0].id, look.at, look.small
        return made


def _same(one: str, other: str) -> bool:
    return normal(one) == normal(other)


def _agreed(ours: Sequence[Detection], theirs: Sequence[Detection]) -> list[Detection]:
    """Those of our boxes that others found in the same place under the same label."""
    pairs = pair_boxes(ours, theirs, lambda i, j: _same(ours[i].label, theirs[j].label))
    return [ours[i] for i, _ in sorted(pairs)]


def _any(one: int, other: int) -> bool:
    return True


def _point(at: int, d: Detection) -> t.TrackPoint:
    return t.TrackPoint(at=at, left=d.left, top=d.top, right=d.right, bottom=d.bottom)


def _moves(seen: Sequence[Detection]) -> bool:
    """Whether an object is seen at places that are clearly apart."""
    middles = [(d.left + d.right, d.top + d.bottom) for d in seen]  # twice the middles
    return any(max(way) - min(way) > 4 * MARGIN for way in zip(*middles, strict=True))


def _steady(points: Points, keyframes: Sequence[int], shifts: Mapping[int, float]) -> Points:
    """The points between those keyframes between which the camera stays where it is."""
    ends = [-1, *keyframes, 10**12]
    made = points
    for start, end in pairwise(ends):
        if sum(shift for at, shift in shifts.items() if start < at <= end) > MARGIN / 2:
            made = [x for x in made if not start < x[0] < end]
    return made
