"""Exports a dataset in the formats of other trainers.

`trl`: TRL's prompt and completion with pictures, Parquet. `llamafactory`: sharegpt messages and
`dataset_info.json`. `ms-swift`: messages and videos, JSON lines; `ms-swift-grounded`: the keyframes of
the evidence, and rationales that say where in them the objects are. `llava`: conversations, JSON.
`video-r1`: its problems with process and solution, JSON. `turns`: dialogues of sub-questions.
`tool-calls`: traces that crop the video to the evidence, as LongVT has them. `hf`: the samples as Parquet,
with a dataset card. `dpo`, `ms-swift-dpo`: preferences between a rationale and the same with one wrong
step. `grpo`, `verl`, `easyr1`: prompts with accepted answers, steps and facts for the rewards of
`stepc.grading`, Parquet. `lmms-eval`: a task for that evaluation harness.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from dataclasses import replace as changed
from itertools import islice
from pathlib import Path

import orjson

from stepc.dataset.read import MANY, TrainingData, left_out, spread
from stepc.diagnostics import Diagnostic, Place, StepcError, fail, printable
from stepc.model.templates import Templates
from stepc.plugins import Plugin, Registry
from stepc.runtime.atomic_files import read_regular, write_whole
from stepc.runtime.names import Name
from stepc.runtime.output_folder import OutputFolder
from stepc.train import conversations, lmms_task, tables
from stepc.train.media import Media, MediaKind
from stepc.train.rows import Thought
from stepc.video.decode import decoded_frames
from stepc.video.source import VideoSource, decoding_errors


@dataclass(frozen=True)
class Export:
    """A way to write a dataset for another trainer or evaluator."""

    write: Callable[[TrainingData, Path, Templates, Thought], None]
    """Writes the dataset to a folder that exists. Raises StepcError (T005) if a package is missing."""
    least_frames: int = 1
    """Least number of frames of a video. Trainers that decode a video themselves take at least two."""
    frame_lists: bool = True
    """Whether a list of frames may stand in place of a video."""
    needs: str = ""
    """A field of a sample without which it is not written, such as `wrong_steps`."""


class _Exports(Registry[Export]):
    def _concerns(self, plugin: Plugin) -> bool:
        return plugin.is_of(Export)


EXPORTS = _Exports(
    "stepc.formats",
    lambda: {
        "trl": lambda: Export(tables.trl),
        "llamafactory": lambda: Export(conversations.llamafactory, least_frames=2),
        "ms-swift": lambda: Export(conversations.ms_swift, least_frames=2),
        "ms-swift-grounded": lambda: Export(conversations.ms_swift_grounded, least_frames=2),
        "ms-swift-dpo": lambda: Export(
            conversations.ms_swift_dpo, least_frames=2, needs="wrong_steps"
        ),
        "llava": lambda: Export(conversations.llava, least_frames=2, frame_lists=False),
        "video-r1": lambda: Export(conversations.video_r1, least_frames=2, frame_lists=False),
        "turns": lambda: Export(conversations.turns, least_frames=2),
        "tool-calls": lambda: Export(conversations.tool_calls, least_frames=2, frame_lists=False),
        "hf": lambda: Export(tables.hf),
        "dpo": lambda: Export(tables.dpo, needs="wrong_steps"),
        "grpo": lambda: Export(tables.grpo),
        "verl": lambda: Export(tables.verl, least_frames=2, frame_lists=False),
        "easyr1": lambda: Export(tables.easyr1, least_frames=2, frame_lists=False),
        "lmms-eval": lambda: Export(lmms_task.lmms_eval),
    },
)
"""All exports."""


def _inside(dataset: TrainingData, out: Path) -> str:
    """The name of a video whose file lies in a folder; empty if there is none."""
    folder = out.resolve()
    for video, frames in dataset.frames.items():
        source = dataset.pictures.source(frames[0].video)
        if source.path.resolve().is_relative_to(folder):
            return video
    return ""


def _with(dataset: TrainingData, needed: str) -> TrainingData:
    """The samples that have a field. Raises StepcError (T003) if none has it."""
    some = [s for s in dataset.samples if not needed or getattr(s, needed)]
    if not some:
        help = f"compile with the pass `{needed.replace('_', '-')}`"
        raise fail("T003", f"no sample has `{needed}`", None, help)
    return changed(dataset, samples=some)


def _frames(source: VideoSource, most: int) -> int:
    """The number of frames of a video, counted up to `most`."""
    try:
        return sum(1 for _ in islice(decoded_frames(source), most))
    except decoding_errors():
        return 0


def _long_enough(dataset: TrainingData, least: int) -> TrainingData:
    """The samples whose videos have at least `least` frames, and a warning (T002) for each other one."""
    fit, short = [], []
    for sample in dataset.samples:
        source = dataset.pictures.source(dataset.frames[sample.video][0].video)
        if len(spread(source, least)) < least and (number := _frames(source, least)) < least:
            why = f"its video has {number} frame, and trainers that read this format take {least}"
            short.append(left_out(sample.video, sample.line, why))
        else:
            fit.append(sample)
    if not fit:
        raise StepcError(*short[:MANY], Diagnostic("T003", "no sample's video is long enough"))
    return changed(dataset, samples=fit, left_out=short)


RECORD = "export.json"
"""The file that tells what an export holds."""


@dataclass(frozen=True)
class _Record:
    """What an export holds."""

    to: str = ""
    """Its format; empty if there is no export."""
    videos: dict[str, int] = field(default_factory=dict)
    """The samples of each video."""
    files: list[str] = field(default_factory=list)
    """Its files, as paths below the folder."""

    @classmethod
    def read(cls, out: Path) -> _Record:
        """The record in a folder; empty if there is none, or it cannot be read."""
        try:
            told = orjson.loads(read_regular(out / RECORD))
            files = [str(Name(name)) for name in told["files"]]
            return cls(
                str(told["to"]), {str(name): int(n) for name, n in told["videos"].items()}, files
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def lost(self, to: str, videos: Mapping[str, int]) -> str:
        """What would be lost if an export of these videos replaced this one; empty if nothing."""
        if self.to not in ("", to):
            return f"the folder holds one for `{printable(self.to)}`"
        gone = [f"`{printable(name)}`" for name in self.videos if name not in videos]
        rest = f" and {len(gone) - 3} more" if len(gone) > 3 else ""
        return f"this one has no samples of {', '.join(gone[:3])}{rest}" if gone else ""


def export(
    dataset: TrainingData,
    to: str,
    out: Path,
    templates: Templates,
    thought: Thought,
    replace: bool = False,
    media: MediaKind = "link",
) -> TrainingData:
    """Write a dataset to the folder `out` in the format `to`, a name in `EXPORTS`.

    An export that `out` already holds stays as it is until the new one is complete. It is not replaced by
    one in another format, or without some of its videos (B023), unless `replace` is set. Videos are linked
    into the folder or copied, or named where they are, as `media` says. Returns what was
    written: the samples whose videos are long enough for the format, and in `left_out` a warning (T002)
    for each other one. Raises StepcError: B014 if `out` cannot be written, B023 if it holds a dataset or
    an export that would be lost, B024 if another process writes to it, T003 if no video is long enough,
    T005 if a package is missing.
    """
    place = Place(printable(str(out)))
    if (out / "manifest.json").exists():
        raise fail("B023", "this folder holds a dataset", place, "name another folder with -o")
    try:
        with OutputFolder(out, RECORD, apart=True) as folder, EXPORTS.guarded(to, "`write`"):
            chosen = EXPORTS.get(to)
            written = _long_enough(_with(dataset, chosen.needs), chosen.least_frames)
            before = _Record.read(out)
            videos = dict(sorted(Counter(s.video for s in written.samples).items()))
            help = "to replace it anyway, use --replace; or name another folder with -o"
            if lost := "" if replace else before.lost(to, videos):
                raise fail("B023", f"the export was not replaced: {lost}", place, help)
            if media == "frames" and not chosen.frame_lists:
                help = "name another with --media"
                raise fail(
                    "U001", f"`{to}` takes videos, no lists of frames", Place("--media"), help
                )
            if media == "absolute" and (video := _inside(written, out)):
                message = f"`{printable(video)}` is a file of this export, which is replaced"
                help = "use --media link, or name another folder with -o"
                raise fail("U001", message, Place("--media"), help)
            placed = changed(written, media=Media(media, folder.work))
            chosen.write(placed, folder.work, templates, thought)
            files = folder.files()
            own = {*before.files, RECORD} if before.to else {*before.files}
            foreign = [name for name in (*files, RECORD) if name not in own]
            if not replace and (there := [name for name in foreign if os.path.lexists(out / name)]):
                message = f"`{printable(there[0])}` is there, and {RECORD} does not list it"
                raise fail("B023", message, place, help)
            now = _Record(to, videos, files)
            write_whole(folder.work / RECORD, orjson.dumps(asdict(now), option=orjson.OPT_INDENT_2))
            folder.commit([out / name for name in before.files if name not in files])
            return written
    except OSError as error:
        raise fail("B014", f"cannot be written ({error.strerror})", place) from error
