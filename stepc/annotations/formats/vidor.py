"""VidOR and VidVRD: tracks of all frames, and relations with the frames in which they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stepc.annotations.reader import FilePerVideo, Videos
from stepc.annotations.scene import AnnotatedScene, Edges, spread
from stepc.annotations.words import predicate

APART = 1000
"""ms from one keyframe to the next."""
POINTS = 160
"""ms from one point of a track to the next."""


class VidorReader(FilePerVideo):
    """Frames count from 0, and a relation holds in the frames `[begin_fid, end_fid)`."""

    name = "vidor"
    title = "VidOR, VidVRD"
    help = "The JSON file of a video, or a folder of them."

    def scene(self, data: dict[str, Any], file: Path, videos: Videos) -> AnnotatedScene:
        size = int(data["width"]), int(data["height"])
        name, rate = str(data["video_id"]), float(data.get("fps") or 30)
        path = Path(str(data.get("video_path") or f"{name}.mp4"))
        places = data["trajectories"]
        clock = videos.clock(
            path.stem, path.name, size, int(data.get("frame_count") or len(places)), rate
        )
        scene = AnnotatedScene(name, clock.shown, "vidor")
        labels = {o["tid"]: str(o["category"]).replace("_", " ") for o in data["subject/objects"]}
        times = [clock.at(n) for n in range(len(places))]
        known = [x for x in times if x is not None]
        keyframes, points = {*spread(known, APART)}, {*spread(known, POINTS)}
        for at, there in zip(times, places, strict=True):
            for x in there if at is not None else ():
                assert at is not None
                box = _edges(x["bbox"])
                if at in keyframes:
                    scene.see(x["tid"], labels[x["tid"]], at, box)
                if at in points or at in keyframes:
                    scene.follow(x["tid"], at, box)
        for r in data["relation_instances"]:
            begin, end = int(r["begin_fid"]), int(r["end_fid"])
            start, last = clock.at(begin), clock.at(max(begin, end - 1))
            if start is None or last is None or start >= last:
                scene.lost += 1
                continue
            held = [at for at in sorted(keyframes) if start <= at <= last]
            said = predicate(str(r["predicate"]))
            scene.relate(r["subject_tid"], said, r["object_tid"], held, (start, last))
        return scene


def _edges(box: dict[str, Any]) -> Edges:
    return float(box["xmin"]), float(box["ymin"]), float(box["xmax"]), float(box["ymax"])


READER = VidorReader()
