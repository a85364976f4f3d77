"""Writes edited videos, and the graph of each: what its pictures prove about how it was edited."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stepc.diagnostics import Diagnostic, Place, StepcError, fail, printable
from stepc.ir import types as t
from stepc.ir.text import write
from stepc.passes.split import Split
from stepc.passmanager.base import Tools
from stepc.passmanager.run import run
from stepc.pretext.edits import EDITS, RATE, Edit, EditedPart, Footage, film, plan
from stepc.pretext.proof import SmallFilm, objection
from stepc.reporter import SILENT, Reporter
from stepc.runtime.atomic_files import write_whole
from stepc.runtime.names import Name
from stepc.video.decode import Pictures
from stepc.video.discover import below, find_videos, name_bases, unit_name
from stepc.video.probe import probe

GRAIN = 500
"""Parts are as long as a multiple of this, in ms."""
SURE = t.Trust(votes=1, asked=1, verdict="yes")
ORIGIN = t.Origin(source="edit")


@dataclass(frozen=True)
class Editing:
    """How videos are edited."""

    edits: tuple[Edit, ...] = EDITS
    parts: int = 4
    """Number of parts of the video itself, 2 to 8."""
    length: int = 2000
    """Length of each part in the edited video, in ms; down to half of it where no shot is long enough."""
    tries: int = 4
    """How often a video is edited anew whose pictures do not prove the edits."""
    longest: int = 448
    """Longer side of the edited video, in pixels, at most."""
    seed: int = 0


@dataclass
class Edited:
    """What became of the videos."""

    made: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    """Why edits were not proved, or why a video cannot be edited."""
    diagnostics: list[Diagnostic] = field(default_factory=list)


def edited_videos(
    videos: Sequence[Path], out: Path, how: Editing, reporter: Reporter = SILENT
) -> Edited:
    """Edit each video and write it to `out/videos`, and its graph to `out/graphs`.

    The part of another video is from the next one. A video that cannot be edited is left out, and reported
    (B028). Raises StepcError (B014) if `out` cannot be written.
    """
    for folder in ("videos", "graphs"):
        _make_folder(out / folder)
    places, missing = find_videos(list(videos))
    bases = name_bases(list(videos))
    done = Edited(diagnostics=list(missing))
    shots: dict[str, Footage] = {}
    for path in places:
        name = unit_name(below(path, bases))
        try:
            shots[name] = longest_shot(path)
        except StepcError as error:
            done.dropped["unusable file"] += 1
            done.diagnostics += error.diagnostics
    names = list(shots)
    for i, name in enumerate(names):
        if "/" in name:
            _make_folder((out / "videos" / name).parent)
            _make_folder((out / "graphs" / name).parent)
        other = shots[names[(i + 1) % len(names)]] if len(names) > 1 else None
        why = _edited(name, shots[name], other, out, how, done)
        if why:
            where = Place(printable(name))
            done.diagnostics.append(Diagnostic("B028", why, where, severity="warning"))
        reporter.note(f"{i + 1} of {len(names)} videos, {done.made} edited")
    return done


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        place = Place(printable(str(folder)))
        raise fail("B014", f"cannot be written ({error.strerror})", place) from None


def longest_shot(path: Path) -> Footage:
    """The longest shot of a video. Raises StepcError (B001-B007) if it cannot be read."""
    source = probe(path)
    pictures = Pictures()
    pictures.add(source)
    unit: t.Unit = t.Clips(name="video", video=source.video)
    for made in run([Split()], unit, Tools(pictures)):
        unit = made.unit
    assert isinstance(unit, t.Clips)
    clip = max(unit.clips, key=lambda c: c.end - c.start)
    return Footage(source, clip.start, clip.end)


def _edited(
    name: str, shot: Footage, other: Footage | None, out: Path, how: Editing, done: Edited
) -> str:
    """Edit a video until its pictures prove it. Returns why they do not, or ""."""
    edits = [e for e in how.edits if e != "source" or other is not None]
    length = _length(shot, other, edits, how)
    if not edits or length is None:
        done.dropped["too short"] += 1
        return f"no shot is long enough for {how.parts} parts; the longest has {_seconds(shot)}"
    rng = random.Random(f"{how.seed}/{shot.source.video.sha256}")
    file = Name(name).below(out / "videos", ".mp4")
    why = ""
    own, foreign = (
        SmallFilm(shot.source),
        SmallFilm(other.source) if other and "source" in edits else None,
    )
    for _ in range(how.tries):
        parts = plan(shot, other, edits, how.parts, length, rng)
        write_whole(file, film(shot, other, parts, how.longest))
        source = probe(file)
        why = objection(SmallFilm(source), own, foreign, parts)
        if not why:
            unit = graph(name, source.video, parts, edits)
            place = Name(name).below(out / "graphs", ".stsg")
            write_whole(place, write(unit).encode())
            done.made += 1
            return ""
        done.dropped[why] += 1
    file.unlink()
    place = Name(name).below(out / "graphs", ".stsg")
    place.unlink(missing_ok=True)  # of an earlier run
    return f"its pictures do not show how it was edited: {why}"


def _seconds(shot: Footage) -> str:
    return f"{(shot.end - shot.start) / 1000:.1f} seconds"


def _length(
    shot: Footage, other: Footage | None, edits: Sequence[Edit], how: Editing
) -> int | None:
    """The length of each part in ms; None if the shot is too short."""
    room = (shot.end - shot.start) // (how.parts + ("speed" in edits))
    if other is not None and "source" in edits:
        room = min(room, other.end - other.start)
    length = min(how.length, room) // GRAIN * GRAIN
    return length if 2 * length >= how.length else None


def graph(name: str, video: t.Video, parts: Sequence[EditedPart], edits: Sequence[Edit]) -> t.Stsg:
    """The graph of an edited video: an object for each part, in a clip of its own, and how it was edited.

    A part is called by its time, such as "part from 2.0 to 4.0 seconds".
    """
    clips, objects, attributes = [], [], []
    start, length = 0, len(parts[0].times()) * 1000 / RATE
    for i, part in enumerate(parts):
        end = video.duration if i == len(parts) - 1 else round((i + 1) * length)
        times = [start + (end - start) // 4, start + 3 * (end - start) // 4]
        frames = tuple(t.Keyframe(id=f"c{i}.k{k}", at=at) for k, at in enumerate(times))
        clips.append(t.Clip(id=f"c{i}", start=start, end=end, keyframes=frames))
        label = f"part from {i * length / 1000:.1f} to {(i + 1) * length / 1000:.1f} seconds"
        seen = tuple(f.id for f in frames)
        node = t.Object(op="static", id=f"c{i}/{t.slug(label)}", label=label, noun="thing",
                        frames=seen, trust=SURE, origin=ORIGIN)  # fmt: skip
        objects.append(node)
        attributes += [
            t.Attribute(id=f"{node.id}/{t.slug(kind)}", kind=kind, value=value, frames=seen,
                        trust=SURE, origin=ORIGIN)
            for kind, value in _facts(part, edits)
        ]  # fmt: skip
        start = end
    return t.Stsg(name=name, video=video, clips=tuple(clips), objects=tuple(objects),
                  attributes=tuple(attributes))  # fmt: skip


def _facts(part: EditedPart, edits: Sequence[Edit]) -> Iterator[tuple[str, str]]:
    """Kind and value of each fact about a part."""
    if "source" in edits:
        yield "source", "another video" if part.place is None else "this video"
    if part.place is None:  # nothing is asked about how it was played, or where it was
        return
    if "place" in edits:
        yield "place", f"number {part.place + 1}"
    if "direction" in edits:
        yield "direction", "backwards" if part.backwards else "forwards"
    if "speed" in edits:
        yield "speed", "double" if part.speed == 2 else "normal"
