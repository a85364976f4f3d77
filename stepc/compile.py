"""Compiling a corpus: find the videos, compile each alone, link, write the dataset.

A unit that fails becomes a diagnostic and the rest goes on. Files appear whole or not at all.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from stepc import __version__
from stepc.diagnostics import Diagnostic, Place, Statistics, StepcError, fail, printable
from stepc.ir import types as t
from stepc.ir.text import write
from stepc.model.ask import Asker, Tally
from stepc.model.load import Choice, load
from stepc.model.replay import Replay
from stepc.pipeline import (
    Corpus,
    Done,
    LinkPass,
    Memo,
    Options,
    Pass,
    Tools,
    check_levels,
    hash_of,
    parse_pipeline,
    pipeline_text,
    run,
)
from stepc.spec.read import read_spec
from stepc.spec.types import Spec
from stepc.store import Store, name_of
from stepc.video import Pictures, Source, probe

EXTENSIONS = frozenset(
    [
        ".mp4",
        ".m4v",
        ".mov",
        ".mkv",
        ".webm",
        ".avi",
        ".mpg",
        ".mpeg",
        ".mts",
        ".m2ts",
        ".ts",
        ".wmv",
        ".flv",
        ".ogv",
        ".3gp",
        ".gif",
    ]
)
"""What is taken for a video in a folder; a file named by itself is always tried."""


STOPS = ("M002", "M003", "M004", "M005", "M007", "M008", "M009")
"""What is wrong with the model for every video: it cannot be loaded, no server, no budget left."""


@dataclass(frozen=True)
class Order:
    """Everything that decides what a compile gives."""

    pipeline: str
    link: str
    """Link passes; empty: those of the pipeline, or of the spec's `dataset` block."""
    spec_text: str
    spec_name: str
    choice: Choice = field(default_factory=Choice)
    spec_folder: Path | None = None
    """Where the spec imports from."""
    seed: int = 0
    verify_each: bool = True
    store: Path | None = None
    """A folder in which what is made is kept, and found when it is wanted again."""


@dataclass
class Result:
    """What became of one video."""

    path: Path
    name: str
    unit: t.Qras | None = None
    stsg: str = ""
    identity: str = ""
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    found: int = 0
    """Passes whose result was there from before."""
    why: list[str] = field(default_factory=list)
    """Of each pass that ran why it had to."""
    diagnostics: tuple[Diagnostic, ...] = ()


def find_videos(places: list[Path]) -> tuple[list[Path], list[Diagnostic]]:
    """The video files in `places` (files or folders), sorted, and what is wrong with the rest."""
    found: dict[Path, None] = {}
    wrong: list[Diagnostic] = []
    for place in places:
        shown = Place(printable(str(place)))
        if place.is_dir():
            inside = sorted(
                (p for p in place.rglob("*") if _is_video(p, place)),
                key=os.fsencode,
            )
            if not inside:
                help = "videos are " + " ".join(sorted(EXTENSIONS))
                wrong.append(Diagnostic("B010", "there is no video in this folder", shown, help))
            found |= dict.fromkeys(inside)
        elif place.exists():
            found[place] = None
        else:
            wrong.append(Diagnostic("B006", "there is no such file or folder", shown))
    videos: list[Path] = []
    names: dict[str, Path] = {}
    seen: set[Path] = set()
    for path in sorted(found, key=lambda p: (unit_name(p), os.fsencode(p))):
        shown = Place(printable(str(path)))
        real = path.resolve()
        if real in seen:
            continue
        seen.add(real)
        try:
            str(path).encode("utf-8")
        except UnicodeEncodeError:
            message = "the file's name is not UTF-8"
            wrong.append(Diagnostic("B009", message, shown, "rename the file"))
            continue
        name = unit_name(path)
        if name in names:
            message = f"another video is already called `{name}`: {printable(str(names[name]))}"
            wrong.append(Diagnostic("B011", message, shown, "rename one of them"))
            continue
        names[name] = path
        videos.append(path)
    return videos, wrong


def _is_video(path: Path, folder: Path) -> bool:
    """Whether `path` in `folder` is taken for a video: by its extension; hidden ones are not."""
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return not hidden and path.suffix.lower() in EXTENSIONS and path.is_file()


def unit_name(path: Path) -> str:
    """What a video's unit is called: the file's name without its extension."""
    return printable(path.stem) or "video"


def links_of(spec: Spec) -> str:
    """The link passes that a spec's `dataset` block asks for, with their options."""
    wish = spec.dataset
    options = []
    if wish.steps:
        options.append('mix="' + ";".join(f"{n}:{w:.4f}" for n, w in wish.steps) + '"')
    if wish.answers is not None:
        options.append(f"answer={wish.answers:.4f}")
    if wish.most is not None:
        options.append(f"most={wish.most}")
    balance = f"balance({','.join(options)})" if options else "balance"
    sets = "split-sets"
    if wish.sets:
        shares = dict(wish.sets)
        total = sum(shares.values())
        held = (f"{name}={shares.get(name, 0) / total:.4f}" for name in ("val", "test"))
        sets = f"split-sets({','.join(held)})"
    corpus = any("corpus" in b.sources for b in spec.blocks)
    return f"{'distract,' if corpus else ''}dedupe,{balance},{sets},emit"


def split_pipeline(text: str) -> tuple[list[Pass[Any, Any]], list[LinkPass]]:
    """Unit passes and link passes of a pipeline. Raises StepcError (P005) if they are mixed."""
    passes = parse_pipeline(text.strip(","))
    units = [p for p in passes if isinstance(p, Pass)]
    links = [p for p in passes if isinstance(p, LinkPass)]
    ordered: list[Options] = [*units, *links]
    if ordered != list(passes):
        late = next(p for p, q in zip(passes, ordered, strict=True) if p is not q)
        message = f"`{late.name}` joins a corpus, and passes over one video come after it"
        raise fail("P005", message, Place("--pipeline"), "put it last")
    return units, links


class Compiler:
    """Compiles one video after another with one model."""

    def __init__(
        self, order: Order, say: Callable[[Diagnostic], None] = lambda diagnostic: None
    ) -> None:
        self.order = order
        self.passes, _ = split_pipeline(order.pipeline)
        self.spec = read_spec(order.spec_text, order.spec_name, order.spec_folder)
        self.pictures = Pictures()
        kept = (
            order.store if order.choice.record is None else None
        )  # a recording leaves nothing out
        self.store = Store(kept, say) if kept else None
        self.memo = Memo(self.store, self._depends) if self.store else None
        self.told: Callable[[Tally], None] | None = None
        """Is told what the model was asked about the present video, call by call."""
        self._stands: dict[str, Any] = {}
        self._asker: Asker | None = None

    def asker(self) -> Asker:
        """The model; loaded when it is first needed. Raises StepcError (M002-M005)."""
        if self._asker is None:
            self._asker = load(
                self.order.choice, self.pictures, seed=self.order.seed, store=self.store
            )
        return self._asker

    def _depends(self, thing: str) -> Any:
        """JSON that stands for what a pass uses."""
        if thing not in self._stands:
            self._stands[thing] = self._depends_anew(thing)
        return self._stands[thing]

    def _depends_anew(self, thing: str) -> Any:
        match thing:
            case "seed":
                return self.order.seed
            case "drawing":
                return self.spec.drawing()
            case "wording":
                return self.spec.wording()
        asker = self.asker()
        choice = self.order.choice
        known = getattr(asker.backend, "known", None) or asker.backend.identity
        redact = list(choice.redact)
        return [known, asker.templates.digest, asker.together, asker.video, asker.seed, redact]

    def close(self) -> None:
        """End a recording."""
        if self._asker is not None and isinstance(self._asker.backend, Replay):
            self._asker.backend.close()

    def start(self, path: Path) -> t.Clips:
        """The unit of a video before any pass. Raises StepcError (B001-B006)."""
        source = self._probed(path)
        self.pictures.add(source)
        try:
            return t.Clips(name=unit_name(path), video=source.video)
        except ValidationError as error:
            raise fail("B002", str(error), Place(printable(str(path)))) from error

    def _probed(self, path: Path) -> Source:
        """The facts of a file; known from before where size and time of change are the same."""
        if self.store is None or not path.is_file():
            return probe(path)
        about = path.stat()
        name = name_of("probe", os.fsencode(path.resolve()).hex(), about.st_size, about.st_mtime_ns)
        entry = self.store.find(name)
        if entry is not None:
            return Source.from_facts(path, entry.facts)
        source = probe(path)
        self.store.keep(name, "probe", b"", source.facts())
        return source

    def whole(self, path: Path) -> bool:
        """Whether all that would be made of a video is there from before."""
        try:
            unit = self.start(path)
            made = self.memo.chain(self.passes, hash_of(unit)) if self.memo else []
        except StepcError:
            return False
        return len(made) == len(self.passes)

    def tools(self) -> Tools:
        """Fresh tools for one unit."""
        return Tools(self.pictures, self.asker, self.spec, self.order.seed)

    def compile(self, path: Path) -> Result:
        """Compile one video; what goes wrong with it is in the result."""
        result = Result(path, unit_name(path))
        place = printable(str(path))
        try:
            unit: t.Unit = self.start(path)
            tools = self.tools()
            asker = self.asker()
            asker.tally, asker.told = result.tally, self.told
            result.identity = asker.backend.identity
            last: Done | None = None
            for i, done in enumerate(
                run(self.passes, unit, tools, verify_each=self.order.verify_each, memo=self.memo)
            ):
                key = f"{i + 1}:{done.name}"
                result.counts[key] = dict(done.counts)
                result.seconds[key] = done.seconds
                result.found += done.found
                if done.why:
                    result.why.append(f"{result.name}: {key} {done.why}")
                last = done
            if last is not None:
                unit = last.unit
            if type(unit) is t.Stsg:
                result.stsg = write(unit)
            if isinstance(unit, t.Qras):
                result.unit = unit
                result.stsg = write(t.raise_to(t.Stsg, unit))
        except StepcError as error:
            result.diagnostics = error.in_file(place).diagnostics
        except MemoryError:
            result.diagnostics = (Diagnostic("B012", "memory ran out", Place(place)),)
        finally:
            self.pictures.sources.clear()
        return result


_worker: Compiler | None = None


def end_with_parent() -> None:
    """End this process soon after the one that started it: else a killed run's workers go on, and
    write where the next run does."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _begin(order: Order) -> None:
    global _worker
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker = Compiler(order)


def _work(path: Path) -> Result:
    assert _worker is not None
    return _worker.compile(path)


def results(videos: list[Path], order: Order, jobs: int, compiler: Compiler) -> Iterator[Result]:
    """The results as they are ready, in whatever order; with `jobs` workers."""
    if compiler.memo is not None:  # what needs no work needs no worker
        known = [path for path in videos if compiler.whole(path)]
        for path in known:
            yield compiler.compile(path)
        videos = [path for path in videos if path not in {*known}]
    if jobs <= 1 or len(videos) <= 1 or order.choice.record is not None:
        for path in videos:
            yield compiler.compile(path)
        return
    import multiprocessing

    pool = ProcessPoolExecutor(
        min(jobs, len(videos)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(order,),
    )
    try:
        waiting = {pool.submit(_work, path): path for path in videos}
        while waiting:
            ready, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in ready:
                path = waiting.pop(future)
                try:
                    yield future.result()
                except OSError as error:
                    yield _lost(path, error)
                except RuntimeError as error:  # the pool's: a worker was killed
                    yield _lost(path, error)
    except (KeyboardInterrupt, GeneratorExit):
        for process in list(getattr(pool, "_processes", {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _lost(path: Path, error: Exception) -> Result:
    message = f"the worker that compiled it ended: {error or type(error).__name__}"
    found = Diagnostic("B013", message, Place(printable(str(path))), "try it with --jobs 1")
    return Result(path, unit_name(path), diagnostics=(found,))


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all. Raises StepcError (B014)."""
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        place = Place(printable(str(path)))
        raise fail("B014", f"cannot be written ({error.strerror})", place) from error


def claim(file: Path, facts: dict[str, Any], code: str, what: str) -> dict[str, Any] | None:
    """What `file` says is made in its folder; None if nothing yet. The folder is made.

    Raises StepcError: `code` if that is another one than `facts` tell, B014 if it cannot be used.
    """
    shown = Place(printable(str(file.parent)))
    new = orjson.loads(orjson.dumps(facts))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        old: dict[str, Any] | None = orjson.loads(file.read_bytes()) if file.exists() else None
    except (OSError, ValueError) as error:
        raise fail("B014", f"cannot be used ({error})", shown) from error
    other = [k for k in new if old is not None and old.get(k) != new[k]]
    if other:
        message = f"another {what} is in this folder: its {' and '.join(other)} differs"
        raise fail(code, message, shown, "name another folder with -o, or remove this one")
    return old


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
    tally: Tally = field(default_factory=Tally)
    """What the model was asked."""
    why: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)


def compile_corpus(
    places: list[Path],
    out: Path,
    order: Order,
    *,
    jobs: int = 1,
    say: Callable[[Diagnostic], None],
    progress: Callable[[int, int, str], None],
    told: Callable[[Tally], None] = lambda tally: None,
) -> Summary:
    """Compile all videos in `places` into `out`.

    Writes `units/NAME.stsg` as each is ready, then the dataset (`qra.jsonl`, or what the spec's
    `formats` name) and `manifest.json`. Link passes that the order does not name are those of
    the spec's `dataset` block. Raises
    StepcError for what makes the whole compile impossible; what is wrong with a video is said.
    """
    compiler = Compiler(order, say)
    link = order.link or ("" if split_pipeline(order.pipeline)[1] else links_of(compiler.spec))
    units, links = split_pipeline(order.pipeline + "," + link)
    last = check_levels(units, t.Clips)
    if last is not t.Qras:
        message = f"the pipeline ends at level {last.LEVEL}, a dataset is made of qra"
        help = "end with sample,compose,check; or look at one level with `stepc dump`"
        raise fail("P005", message, Place("--pipeline"), help)
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
        compiler.asker()  # what is wrong with the model is said before any video
    done: list[Result] = []
    skipped: list[Diagnostic] = list(wrong)

    def tell(of_this: Tally) -> None:
        both = replace(summary.tally)
        both.add(of_this)
        told(both)

    compiler.told = tell
    progress(0, len(videos), "")
    try:
        for result in results(videos, order, jobs, compiler):
            summary.tally.add(result.tally)
            summary.why += result.why
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
            elif result.unit is not None:
                write_whole(out / "units" / f"{result.name}.stsg", result.stsg.encode())
                done.append(result)
                summary.compiled += 1
            _add_up(summary, result)
            progress(len(done) + summary.failed - len(wrong), len(videos), result.name)
    except KeyboardInterrupt:
        summary.interrupted = True
    finally:
        compiler.close()
    link_corpus(out, order, compiler.spec, links, done, skipped, summary)
    return summary


def _add_up(summary: Summary, result: Result) -> None:
    for key, seconds in result.seconds.items():
        summary.seconds[key] = summary.seconds.get(key, 0.0) + seconds
    for key, counts in result.counts.items():
        mine = summary.counts.setdefault(key, {})
        for name, n in counts.items():
            mine[name] = mine.get(name, 0) + n


def link_corpus(
    out: Path,
    order: Order,
    spec: Spec,
    links: list[LinkPass],
    done: list[Result],
    skipped: list[Diagnostic],
    summary: Summary,
) -> None:
    """Link what is done, and write the dataset and its manifest. Raises StepcError (B014)."""
    from stepc.passes.emit import FORMATS

    done.sort(key=lambda r: r.name)
    corpus = Corpus(units=tuple(r.unit for r in done if r.unit is not None))
    summary.objects = sum(len(u.objects) for u in corpus.units)
    for number, link in enumerate(links, 1):
        counts = Statistics()
        corpus = link.run(corpus, order.seed, counts)
        summary.counts[f"link {number}:{link.name}"] = dict(counts)
    identity = done[0].identity if done else ""
    written = {}
    for name in spec.dataset.formats or ("jsonl",):
        file, records = FORMATS[name]
        written[file] = b"".join(records(corpus, identity, order.spec_name))
        write_whole(out / file, written[file])
    for u in corpus.units:
        for s in u.samples:
            n = len(s.rationale)
            summary.by_steps[n] = summary.by_steps.get(n, 0) + 1
    summary.samples = sum(summary.by_steps.values())
    summary.files = list(written)
    sets = dict(corpus.sets)
    left = {u.name: len(u.samples) for u in corpus.units}
    manifest = {
        "stepc": __version__,
        "schema": t.SCHEMA,
        "python": ".".join(map(str, sys.version_info[:2])),
        "pipeline": pipeline_text([*split_pipeline(order.pipeline)[0], *links]),
        "seed": order.seed,
        "model": identity or order.choice.name,
        "templates": order.choice.templates,
        "together": order.choice.together,
        "video": order.choice.video,
        "spec": {
            "name": order.spec_name,
            "sha256": spec.digest,
        },
        "interrupted": summary.interrupted,
        "samples": summary.samples,
        "steps": {str(n): c for n, c in sorted(summary.by_steps.items())},
        "files": {n: {"sha256": hashlib.sha256(d).hexdigest()} for n, d in written.items()},
        "counts": {k: dict(sorted(v.items())) for k, v in summary.counts.items()},
        "videos": [
            {
                "name": r.name,
                "file": r.unit.video.file,
                "sha256": r.unit.video.sha256,
                "set": sets.get(r.name),
                "samples": left.get(r.name, 0),
                "stsg": {
                    "file": f"units/{r.name}.stsg",
                    "sha256": hashlib.sha256(r.stsg.encode()).hexdigest(),
                },
            }
            for r in done
            if r.unit is not None
        ],
        "skipped": [
            {"file": Path(d.place.file).name if d.place else None, "code": d.code, "why": d.message}
            for d in sorted(skipped, key=lambda d: (d.place.file if d.place else "", d.code))
        ],
    }
    manifest["counts"] = dict(sorted(manifest["counts"].items()))  # type: ignore[attr-defined]
    write_whole(
        out / "manifest.json",
        orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE),
    )
