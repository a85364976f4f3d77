"""Compiles a corpus: finds the videos, compiles each one, links the units and writes the dataset.

A video that fails becomes a diagnostic, and the others are compiled. Files are written atomically.
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from stepc import __version__
from stepc.dataset import parquet
from stepc.dataset.link import Linked, link_corpus
from stepc.dataset.previous import CARD, foreign, previous
from stepc.dataset.spool import CompiledUnit, Spool
from stepc.diagnostics import (
    Diagnostic,
    Place,
    StepcError,
    fail,
    printable,
    write_crash_file,
)
from stepc.driver.compile_video import CompileConfig, Compiler
from stepc.driver.local_engine import Engine, LocalEngine
from stepc.driver.process_pool import Limits
from stepc.driver.results import VideoResult
from stepc.ir import types as t
from stepc.model.backends import identity_of
from stepc.model.client import Usage
from stepc.model.sight import remembered
from stepc.passmanager.pipeline_text import check_levels, pipeline_text
from stepc.plugins import facts_of
from stepc.reporter import SILENT, Reporter, Tee
from stepc.runtime.atomic_files import write_whole, writing
from stepc.runtime.interrupts import Ended, uninterrupted
from stepc.runtime.names import Name
from stepc.runtime.output_folder import OutputFolder
from stepc.video.discover import find_videos, name_bases

STOPS = ("M002", "M003", "M004", "M005", "M007", "M008", "M009", "M010", "B019", "B020")
"""Codes that stop the run, because they affect every video: no model, no server, no budget, no cluster."""


@dataclass
class Summary:
    """Result of a compile."""

    samples: int = 0
    by_steps: dict[int, int] = field(default_factory=dict)
    compiled: int = 0
    failed: int = 0
    files: list[str] = field(default_factory=list)
    interrupted: bool = False
    signal: int = 0
    """The number of the signal that ended the run."""
    stopped: bool = False
    """Whether a diagnostic in `STOPS` ended the run."""
    found: int = 0
    """Videos whose results were all in the store."""
    kept: bool = False
    """Whether the dataset that was there was left as it was (B023)."""
    usage: Usage = field(default_factory=Usage)
    """Calls and tokens of the model."""
    server: dict[str, Any] | None = None
    """What the model's server can do."""
    seconds: dict[str, float] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)


def compile_corpus(
    places: list[Path],
    out: Path,
    order: CompileConfig,
    *,
    engine: Engine | None = None,
    limits: Limits | None = None,
    replace: bool = False,
    reporter: Reporter = SILENT,
) -> Summary:
    """Compile all videos in `places` into `out`.

    Writes `units/NAME.stsg` as each video is ready, then the dataset (`qra.jsonl`, or the files of the
    spec's `formats`) and `manifest.json`. Link passes that the config does not name are those of the
    spec's `dataset` block. A video that fails is reported and skipped; a traceback goes to
    `crashes/NAME.txt`.

    A dataset that `out` already holds stays as it is until the new one is complete. It is not replaced by
    one without some of its videos, or without samples of them (B023), unless `replace` is set. Raises
    StepcError if nothing can be compiled, B024 if another process writes to `out`.
    """
    order = dataclasses.replace(order, places=order.places or name_bases(places))
    summary = Summary()
    compiler = Compiler(order, _Running(summary, reporter), limits=limits)
    _checked(compiler)
    with OutputFolder(out) as folder:
        if not replace and "jsonl" in compiler.formats and (there := foreign(out)):
            message = f"`{there}` is there, and stepc did not write it"
            help = "to replace it anyway, use --replace; or name another folder with -o"
            raise fail("B023", message, Place(printable(str(out))), help)
        engine = engine or LocalEngine()
        _compile_into(folder, places, compiler, engine, summary, replace, reporter)
    return summary


def _compile_into(
    folder: OutputFolder,
    places: list[Path],
    compiler: Compiler,
    engine: Engine,
    summary: Summary,
    replace: bool,
    reporter: Reporter,
) -> None:
    videos, wrong = find_videos(places, compiler.order.places, graphs=True)
    total = compiler.reporter
    assert isinstance(total, _Running)
    summary.failed = len(wrong)
    skipped: list[Diagnostic] = list(wrong)
    for diagnostic in wrong:
        reporter.diagnostic(diagnostic)
    if videos:
        engine.ready(compiler)  # report a broken model before any video
    spool = Spool(folder.path)
    reporter.progress(0, len(videos))
    try:
        for result in engine.results(videos, compiler):
            total.add(result)
            # the unit file, the dataset and the manifest must name the same videos
            with uninterrupted():
                going = _taken(result, folder, spool, summary, skipped, reporter)
            if not going:
                break
            done = summary.compiled + summary.failed - len(wrong)
            reporter.progress(done, len(videos), result.name)
    except KeyboardInterrupt as end:
        summary.interrupted = True
        summary.signal = end.number if isinstance(end, Ended) else signal.SIGINT
    except StepcError as error:
        first = error.diagnostics[0]
        if first.code not in STOPS or not summary.compiled:
            raise
        reporter.diagnostic(first)
        summary.interrupted = summary.stopped = True
        skipped.append(first)
    finally:
        compiler.close()
    summary.server = summary.server or compiler.server()
    for diagnostic in (*_blind(summary, compiler), *summary.usage.losses()):
        reporter.diagnostic(diagnostic)
    missing = [] if replace else previous(folder.path).missing(spool.cards())
    if missing:
        summary.kept = True
        reporter.diagnostic(_would_lose(folder.path, missing))
        return
    write_dataset(folder, compiler, spool, skipped, summary)


def _blind(summary: Summary, compiler: Compiler) -> Iterator[Diagnostic]:
    """Yield a warning (M013) if the model does not see: a server's, or any that was measured."""
    asked = compiler.asks and compiler.store is not None
    identity = identity_of(compiler.order.choice) if asked else None
    if compiler.store is not None and identity and remembered(compiler.store, identity) is False:
        message = "`stepc model check --videos` found that the model does not see what it is shown"
        help = "its answers may be guesses; try a larger model, or other --templates"
        yield Diagnostic("M013", message, Place(compiler.order.choice.name), help, "warning")
    elif (summary.server or {}).get("sees") is False:
        message = "the model did not read the number in a test picture: it may not see"
        help = "try it on your own frames: stepc model check MODEL --videos FOLDER"
        yield Diagnostic("M013", message, Place(compiler.order.choice.name), help, "warning")


def _would_lose(out: Path, missing: list[str]) -> Diagnostic:
    names = ", ".join(f"`{printable(name)}`" for name in missing[:3])
    rest = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    message = f"the dataset was not replaced: this run has no samples of {names}{rest}"
    help = "to replace it anyway, use --replace; or name another folder with -o"
    return Diagnostic("B023", message, Place(printable(str(out))), help)


class _Running(Tee):
    """Forwards all reports, and adds the usage of finished videos to the reported usage."""

    def __init__(self, summary: Summary, reporter: Reporter) -> None:
        super().__init__(reporter)
        self.summary, self.reporter = summary, reporter

    def usage(self, usage: Usage) -> None:
        both = dataclasses.replace(self.summary.usage)
        both.add(usage)
        self.reporter.usage(both)

    def add(self, result: VideoResult) -> None:
        self.summary.usage.add(result.usage)
        self.summary.server = result.server or self.summary.server
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
    folder: OutputFolder,
    spool: Spool,
    summary: Summary,
    skipped: list[Diagnostic],
    reporter: Reporter,
) -> bool:
    """Add the result of one video to the dataset. Returns False if the run must stop."""
    diagnostics = result.diagnostics
    for warning in result.warnings:
        reporter.diagnostic(warning)
    if not diagnostics and result.made is not None:
        try:
            write_unit(folder, result.made)
            spool.add(result.made)
            summary.compiled += 1
        except StepcError as error:
            diagnostics = error.in_file(printable(str(result.path))).diagnostics
    for diagnostic in diagnostics:
        if diagnostic.detail:
            file = Name(result.name).below(folder.path / "crashes", ".txt")
            if write_crash_file(file, diagnostic):
                diagnostic = dataclasses.replace(
                    diagnostic, help=f"the traceback is in {printable(str(file))}"
                )
        reporter.diagnostic(diagnostic)
    skipped += diagnostics[:1]
    if any(d.code in STOPS for d in diagnostics):
        summary.interrupted = summary.stopped = True
        return False
    summary.failed += bool(diagnostics)
    _add_up(summary, result)
    return True


def unit_file(folder: Path, name: str) -> Path:
    """The file of a unit's STSG. Raises StepcError (B014) if `name` is no name of a unit."""
    try:
        return Name(name).below(folder / "units", ".stsg")
    except ValueError as error:
        raise fail("B014", str(error), Place(printable(str(folder)))) from None


def write_unit(folder: OutputFolder, made: CompiledUnit) -> None:
    """Write a unit's STSG, unless the file already has this content. Raises StepcError (B014)."""
    name, text = str(orjson.loads(made.card)[0]), made.stsg.encode()
    old = unit_file(folder.path, name)
    try:
        if old.stat().st_size == len(text) and old.read_bytes() == text:
            return
    except OSError:
        pass
    file = unit_file(folder.work, name)
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, text)


def _add_up(summary: Summary, result: VideoResult) -> None:
    summary.found += result.found > 0 and result.found == len(result.counts)
    for key, seconds in result.seconds.items():
        summary.seconds[key] = summary.seconds.get(key, 0.0) + seconds
    for key, counts in result.counts.items():
        mine = summary.counts.setdefault(key, {})
        for name, n in counts.items():
            mine[name] = mine.get(name, 0) + n


def write_dataset(
    folder: OutputFolder,
    compiler: Compiler,
    spool: Spool,
    skipped: Iterable[Diagnostic],
    summary: Summary,
) -> None:
    """Link the compiled units, and write the dataset and its manifest. Raises StepcError (B014)."""
    order = compiler.order
    old = previous(folder.path)
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
            "model": spool.model() or (order.choice.name if compiler.asks else ""),
            "templates": order.choice.templates,
            "together": order.choice.together,
            "video": order.choice.video,
            **({"server": summary.server} if summary.server else {}),
            "spec": {
                "name": order.spec_name,
                "sha256": compiler.spec.digest,
            },
            "interrupted": summary.interrupted,
            "samples": summary.samples,
            "steps": {str(n): c for n, c in sorted(summary.by_steps.items())},
            "files": {n: {"sha256": sha} for n, sha in linked.files.items()},
        }

    linked = link_corpus(
        folder.work, spool, compiler.links, order.seed, compiler.formats, order.spec_name,
        summary.counts, about, skipped,
    )  # fmt: skip
    now = {card.name for card in spool.cards()}
    gone = [folder.path / name for name in old.files - set(summary.files)]
    gone += [folder.path / "data" / f"{name}.jsonl" for name in old.splits - set(linked.splits)]
    if old.splits and not linked.splits:
        gone += [folder.path / name for name in CARD]
    for name in set(old.units.values()) - now:
        with contextlib.suppress(StepcError):  # a damaged manifest may hold what is no name
            gone.append(unit_file(folder.path, name))
    folder.commit(gone)
