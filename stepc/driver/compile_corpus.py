"""Compiles a corpus: finds the videos, compiles each one, links the units and writes the dataset.

A video that fails becomes a diagnostic, and the others are compiled. Files are written atomically.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from stepc import __version__
from stepc.dataset import parquet
from stepc.dataset.link import Linked, link_corpus
from stepc.dataset.spool import CompiledUnit, Spool
from stepc.diagnostics import (
    Diagnostic,
    Place,
    StepcError,
    fail,
    printable,
    write_crash_file,
)
from stepc.driver.compile_video import CompileConfig, Compiler, VideoResult
from stepc.driver.local_engine import Engine, LocalEngine
from stepc.driver.process_pool import Limits
from stepc.ir import types as t
from stepc.model.client import Usage
from stepc.passmanager.pipeline_text import check_levels, pipeline_text
from stepc.plugins import facts_of
from stepc.reporter import SILENT, Reporter, Tee
from stepc.runtime.atomic_files import write_whole, writing
from stepc.runtime.interrupts import uninterrupted
from stepc.video.discover import find_videos

STOPS = ("M002", "M003", "M004", "M005", "M007", "M008", "M009", "B019", "B020")
"""Codes that stop the run, because they affect every video: no model, no server, no budget, no cluster."""


@dataclass
class Summary:
    """Result of a compile."""

    samples: int = 0
    by_steps: dict[int, int] = field(default_factory=dict)
    compiled: int = 0
    failed: int = 0
    objects: int = 0
    files: list[str] = field(default_factory=list)
    interrupted: bool = False
    stopped: bool = False
    """Whether a diagnostic in `STOPS` ended the run."""
    usage: Usage = field(default_factory=Usage)
    """Calls and tokens of the model."""
    seconds: dict[str, float] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)


def compile_corpus(
    places: list[Path],
    out: Path,
    order: CompileConfig,
    *,
    engine: Engine | None = None,
    limits: Limits | None = None,
    reporter: Reporter = SILENT,
) -> Summary:
    """Compile all videos in `places` into `out`.

    Writes `units/NAME.stsg` as each video is ready, then the dataset (`qra.jsonl`, or the files of the
    spec's `formats`) and `manifest.json`. Link passes that the config does not name are those of the
    spec's `dataset` block. A video that fails is reported and skipped; a traceback goes to
    `crashes/NAME.txt`. Raises StepcError if nothing can be compiled.
    """
    summary = Summary()
    total = _Running(summary, reporter)
    compiler = Compiler(order, total, limits=limits)
    engine = engine or LocalEngine()
    _checked(compiler)
    videos, wrong = find_videos(places)
    summary.failed = len(wrong)
    skipped: list[Diagnostic] = list(wrong)
    for diagnostic in wrong:
        reporter.diagnostic(diagnostic)
    with writing(out):
        (out / "units").mkdir(parents=True, exist_ok=True)
    if videos:
        engine.ready(compiler)  # report a broken model before any video
    spool = Spool(out)
    reporter.progress(0, len(videos))
    try:
        for result in engine.results(videos, compiler):
            total.add(result)
            with (
                uninterrupted()
            ):  # the unit file, the dataset and the manifest name the same videos
                going = _taken(result, out, spool, summary, skipped, reporter)
            if not going:
                break
            done = summary.compiled + summary.failed - len(wrong)
            reporter.progress(done, len(videos), result.name)
    except KeyboardInterrupt:
        summary.interrupted = True
    except StepcError as error:
        first = error.diagnostics[0]
        if first.code not in STOPS or not summary.compiled:
            raise
        reporter.diagnostic(first)
        summary.interrupted = summary.stopped = True
        skipped.append(first)
    finally:
        compiler.close()
    write_dataset(out, order, compiler, spool, skipped, summary)
    return summary


class _Running(Tee):
    """Forwards all reports, and adds the usage of finished videos to the reported usage."""

    def __init__(self, summary: Summary, reporter: Reporter) -> None:
        super().__init__(reporter)
        self.summary, self.reporter = summary, reporter

    def usage(self, usage: Usage) -> None:
        both = replace(self.summary.usage)
        both.add(usage)
        self.reporter.usage(both)

    def add(self, result: VideoResult) -> None:
        self.summary.usage.add(result.usage)
        for line in result.why:
            self.reporter.note(line)
        self.reporter.usage(self.summary.usage)


def _checked(compiler: Compiler) -> None:
    """Raises StepcError if the pipeline (P005) or a format cannot produce a dataset."""
    last = check_levels(compiler.passes, t.Clips)
    if last is not t.Qras:
        message = f"the pipeline ends at level {last.LEVEL}, but a dataset needs level qra"
        help = "end it with sample,compose,check, or print one level with `stepc dump`"
        raise fail("P005", message, Place("--pipeline"), help)
    if "parquet" in compiler.formats:
        parquet.needed()


def _taken(
    result: VideoResult,
    out: Path,
    spool: Spool,
    summary: Summary,
    skipped: list[Diagnostic],
    reporter: Reporter,
) -> bool:
    """Add the result of one video to the dataset. Returns False if the run must stop."""
    diagnostics = result.diagnostics
    if not diagnostics and result.made is not None:
        try:
            write_unit(out, result.made)
            summary.objects += spool.add(result.made).objects
            summary.compiled += 1
        except StepcError as error:
            diagnostics = error.in_file(printable(str(result.path))).diagnostics
    for diagnostic in diagnostics:
        if diagnostic.detail:
            file = write_crash_file(out / "crashes", result.name, diagnostic)
            if file is not None:
                diagnostic = replace(diagnostic, help=f"the traceback is in {printable(str(file))}")
        reporter.diagnostic(diagnostic)
    skipped += diagnostics[:1]
    if any(d.code in STOPS for d in diagnostics):
        summary.interrupted = summary.stopped = True
        return False
    summary.failed += bool(diagnostics)
    _add_up(summary, result)
    return True


def write_unit(out: Path, made: CompiledUnit) -> None:
    """Write a unit's STSG, unless the file already has this content. Raises StepcError (B014)."""
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
    """Link the compiled units, and write the dataset and its manifest. Raises StepcError (B014)."""

    used = facts_of(compiler.plugins())
    plugins = {"plugins": used} if used else {}

    def about(linked: Linked) -> dict[str, Any]:
        summary.by_steps, summary.files = linked.by_steps, list(linked.files)
        summary.samples = sum(linked.by_steps.values())
        return {
            "stepc": __version__,
            "schema": t.SCHEMA,
            "python": ".".join(map(str, sys.version_info[:2])),
            "pipeline": pipeline_text([*compiler.passes, *compiler.links]),
            "seed": order.seed,
            **plugins,
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
