"""Compiling a corpus: find the videos, compile each alone, link, write the dataset.

A unit that fails becomes a diagnostic and the rest goes on. Files appear whole or not at all.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from stepc import __version__
from stepc.dataset import parquet
from stepc.dataset.link import Linked, link_corpus
from stepc.dataset.spool import CompiledUnit, Spool
from stepc.diagnostics import Diagnostic, Place, StepcError, fail, printable
from stepc.driver.compile_video import CompileConfig, Compiler, VideoResult
from stepc.driver.local_engine import Engine, LocalEngine
from stepc.driver.process_pool import Limits
from stepc.ir import types as t
from stepc.model.client import Usage
from stepc.passmanager.pipeline_text import check_levels, pipeline_text
from stepc.runtime.atomic_files import write_whole
from stepc.video.discover import find_videos

STOPS = ("M002", "M003", "M004", "M005", "M007", "M008", "M009", "B019", "B020")
"""What is wrong for every video: no model can be loaded, no server, no budget left, no cluster."""


@dataclass
class Summary:
    """What a compile did."""

    samples: int = 0
    by_steps: dict[int, int] = field(default_factory=dict)
    compiled: int = 0
    failed: int = 0
    objects: int = 0
    files: list[str] = field(default_factory=list)
    interrupted: bool = False
    stopped: bool = False
    """Whether what is wrong with the model ended the run."""
    tally: Usage = field(default_factory=Usage)
    """What the model was asked."""
    seconds: dict[str, float] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)


def compile_corpus(
    places: list[Path],
    out: Path,
    order: CompileConfig,
    *,
    engine: Engine | None = None,
    limits: Limits | None = None,
    say: Callable[[Diagnostic], None],
    progress: Callable[[int, int, str], None],
    told: Callable[[Usage], None] = lambda tally: None,
    why: Callable[[str], None] = lambda line: None,
) -> Summary:
    """Compile all videos in `places` into `out`.

    Writes `units/NAME.stsg` as each is ready, then the dataset (`qra.jsonl`, or what the spec's
    `formats` name) and `manifest.json`. Link passes that the order does not name are those of
    the spec's `dataset` block. Raises
    StepcError for what makes the whole compile impossible; what is wrong with a video is said.
    """
    compiler, engine = Compiler(order, say, limits=limits), engine or LocalEngine()
    last = check_levels(compiler.passes, t.Clips)
    if last is not t.Qras:
        message = f"the pipeline ends at level {last.LEVEL}, a dataset is made of qra"
        help = "end with sample,compose,check; or look at one level with `stepc dump`"
        raise fail("P005", message, Place("--pipeline"), help)
    if "parquet" in compiler.formats:
        parquet.needed()
    videos, wrong = find_videos(places)
    for diagnostic in wrong:
        say(diagnostic)
    summary = Summary(failed=len(wrong))
    try:
        (out / "units").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        place = Place(printable(str(out)))
        raise fail("B014", f"cannot be written ({error.strerror})", place) from error
    if videos:
        engine.ready(compiler)  # what is wrong with the model is said before any video
    spool = Spool(out)
    skipped: list[Diagnostic] = list(wrong)

    def tell(of_this: Usage) -> None:
        both = replace(summary.tally)
        both.add(of_this)
        told(both)

    compiler.told = tell
    progress(0, len(videos), "")
    try:
        for result in engine.results(videos, compiler):
            summary.tally.add(result.tally)
            for line in result.why:
                why(line)
            told(summary.tally)
            for diagnostic in result.diagnostics:
                say(diagnostic)
            if any(d.code in STOPS for d in result.diagnostics):
                summary.interrupted = summary.stopped = True
                skipped += result.diagnostics[:1]
                break
            if result.diagnostics:
                summary.failed += 1
                skipped += result.diagnostics[:1]
            elif result.made is not None:
                write_unit(out, result.made)
                summary.objects += spool.add(result.made).objects
                summary.compiled += 1
            _add_up(summary, result)
            progress(summary.compiled + summary.failed - len(wrong), len(videos), result.name)
    except KeyboardInterrupt:
        summary.interrupted = True
    except StepcError as error:
        first = error.diagnostics[0]
        if first.code not in STOPS or not summary.compiled:
            raise
        say(first)
        summary.interrupted = summary.stopped = True
        skipped.append(first)
    finally:
        compiler.close()
    write_dataset(out, order, compiler, spool, skipped, summary)
    return summary


def write_unit(out: Path, made: CompiledUnit) -> None:
    """Write a unit's STSG, unless it is there as it should be. Raises StepcError (B014)."""
    file, text = out / "units" / f"{orjson.loads(made.card)[0]}.stsg", made.stsg.encode()
    try:
        if file.stat().st_size == len(text) and file.read_bytes() == text:
            return
    except OSError:
        pass
    write_whole(file, text)


def _add_up(summary: Summary, result: VideoResult) -> None:
    for key, seconds in result.seconds.items():
        summary.seconds[key] = summary.seconds.get(key, 0.0) + seconds
    for key, counts in result.counts.items():
        mine = summary.counts.setdefault(key, {})
        for name, n in counts.items():
            mine[name] = mine.get(name, 0) + n


def write_dataset(
    out: Path,
    order: CompileConfig,
    compiler: Compiler,
    spool: Spool,
    skipped: Iterable[Diagnostic],
    summary: Summary,
) -> None:
    """Link what is done, and write the dataset and its manifest. Raises StepcError (B014)."""

    def about(linked: Linked) -> dict[str, Any]:
        summary.by_steps, summary.files = linked.by_steps, list(linked.files)
        summary.samples = sum(linked.by_steps.values())
        return {
            "stepc": __version__,
            "schema": t.SCHEMA,
            "python": ".".join(map(str, sys.version_info[:2])),
            "pipeline": pipeline_text([*compiler.passes, *compiler.links]),
            "seed": order.seed,
            "model": spool.model() or order.choice.name,
            "templates": order.choice.templates,
            "together": order.choice.together,
            "video": order.choice.video,
            "spec": {
                "name": order.spec_name,
                "sha256": compiler.spec.digest,
            },
            "interrupted": summary.interrupted,
            "samples": summary.samples,
            "steps": {str(n): c for n, c in sorted(summary.by_steps.items())},
            "files": {n: {"sha256": sha} for n, sha in linked.files.items()},
        }

    link_corpus(
        out, spool, compiler.links, order.seed, compiler.formats, order.spec_name,
        summary.counts, about, skipped,
    )  # fmt: skip
