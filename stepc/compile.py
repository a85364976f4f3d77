"""Compiling a corpus: find the videos, compile each alone, link, write the dataset.

A unit that fails becomes a diagnostic and the rest goes on. Files appear whole or not at all.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import cv2
import orjson
from pydantic import ValidationError

from stepc import __version__, watch
from stepc.corpus import find_videos, unit_name
from stepc.diagnostics import Diagnostic, Place, StepcError, fail, printable
from stepc.ir import types as t
from stepc.link import Linked, Made, Spool, link_corpus, write_whole
from stepc.model.ask import Asker, Tally
from stepc.model.load import EMBEDDED, Choice, load
from stepc.model.replay import Replay
from stepc.model.shared import Shared
from stepc.pipeline import (
    Done,
    LinkPass,
    Memo,
    Options,
    Pass,
    Tools,
    check_levels,
    code,
    hash_of,
    parse_pipeline,
    pipeline_text,
    run,
)
from stepc.spec.read import read_spec
from stepc.spec.types import Spec
from stepc.store import Entry, Store, name_of
from stepc.video import Picture, Pictures, Source, probe
from stepc.workers import Limits, Lost, Workers, ended, threads

SENT = 64 << 20
"""Bytes of a video's pictures that are handed on with it."""
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
    made: Made | None = None
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    found: int = 0
    """Passes whose result was there from before."""
    why: list[str] = field(default_factory=list)
    """Of each pass that ran why it had to."""
    diagnostics: tuple[Diagnostic, ...] = ()


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


@dataclass
class Begun:
    """What was made of a video before a model is asked."""

    source: Source | None = None
    unit: bytes = b""
    """JSON of the unit."""
    done: list[tuple[str, dict[str, int], float, bool, str]] = field(default_factory=list)
    """Of each pass: name, counts, seconds, whether it was found, why it ran."""
    pictures: dict[t.Frame, Picture] = field(default_factory=dict)
    """Keyframes, as far as they are not too many: they need not be decoded again."""
    diagnostics: tuple[Diagnostic, ...] = ()


class Compiler:
    """Compiles one video after another with one model."""

    def __init__(
        self,
        order: Order,
        say: Callable[[Diagnostic], None] = lambda diagnostic: None,
        shared: Shared | None = None,
        told: Callable[[Tally], None] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.order, self.say, self.shared = order, say, shared
        self.limits = limits or Limits()
        self.passes, links = split_pipeline(order.pipeline)
        self.spec = read_spec(order.spec_text, order.spec_name, order.spec_folder)
        if not links:
            _, links = split_pipeline(order.link or links_of(self.spec))
        self.links = links
        self.formats = self.spec.dataset.formats or ("jsonl",)
        self.pictures = Pictures()
        kept = (
            order.store if order.choice.record is None else None
        )  # a recording leaves nothing out
        self.store = Store(kept, say) if kept else None
        self.memo = Memo(self.store, self._depends) if self.store else None
        self.told = told
        """Is told what the model was asked about the present video, call by call."""
        self._stands: dict[str, Any] = {}
        self._asker: Asker | None = None

    def asker(self) -> Asker:
        """The model; loaded when it is first needed. Raises StepcError (M002-M005)."""
        if self._asker is None:
            self._asker = load(
                self.order.choice, self.pictures, seed=self.order.seed, store=self.store,
                shared=self.shared,
            )  # fmt: skip
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

    def start(self, path: Path, source: Source | None = None) -> t.Clips:
        """The unit of a video before any pass. Raises StepcError (B001-B006)."""
        known = self.probed(path)
        source = source or known or probe(path)
        if self.store is not None and known is None:
            self.store.keep(self._probe(path), "probe", b"", source.facts())
        self.pictures.add(source)
        try:
            return t.Clips(name=unit_name(path), video=source.video)
        except ValidationError as error:
            raise fail("B002", str(error), Place(printable(str(path)))) from error

    def probed(self, path: Path) -> Source | None:
        """The facts of a file that are known from before, where size and time of change are the same."""
        entry = self.store.find(self._probe(path)) if self.store is not None else None
        return Source.from_facts(path, entry.facts) if entry is not None else None

    def _probe(self, path: Path) -> bytes:
        """The name of what is known of a file."""
        return name_of("probe", *_file(path))

    def known(self, path: Path) -> Result | None:
        """What is stored of a video, where that is all, or that it was lost before; else None."""
        if self.memo is None or self.store is None:
            return None
        source = self.probed(path)
        chain = []
        if source is not None:
            unit = t.Clips(name=unit_name(path), video=source.video)
            chain = self.memo.chain(self.passes, hash_of(unit))
        if len(chain) < len(self.passes):
            lost = None if self.limits.retry else self.store.find(self._lost(path))
            if lost is None or self.limits.more_than(lost.facts):
                return None
            message = f"was given up before: {lost.facts['message']}"
            help = "--retry tries it again, as do more --patience or --memory"
            wrong = Diagnostic("B018", message, Place(printable(str(path))), help)
            return Result(path, unit_name(path), diagnostics=(wrong,))
        made = self._made(chain[-1].hash, None, chain[-1])
        if made is None:
            return None
        result = Result(path, unit_name(path), made, found=len(chain))
        for i, (p, entry) in enumerate(zip(self.passes, chain, strict=True), 1):
            result.counts[f"{i}:{p.name}"], result.seconds[f"{i}:{p.name}"] = (
                entry.facts["counts"],
                0.0,
            )
        return result

    def lost(self, path: Path, lost: Lost) -> Result:
        """A video whose worker ended. It is left alone from then on."""
        wrong = lost.diagnostic
        if self.store is not None:
            facts = {"message": wrong.message, **self.limits.facts()}
            self.store.keep(self._lost(path), "lost", b"", facts)
        return Result(path, unit_name(path), diagnostics=(wrong,))

    def _lost(self, path: Path) -> bytes:
        """The name of the note that a file was lost."""
        return name_of("lost", *_file(path), code())

    def _made(self, content: bytes, unit: t.Qras | None, entry: Entry | None = None) -> Made | None:
        """What is linked of a unit whose JSON has this hash: stored, or made of it."""
        identity = self.asker().backend.identity
        whole = any(link.whole for link in self.links)
        name = name_of(
            "linked", code(), content.hex(), self.order.spec_name, identity, list(self.formats)
        )
        if self.store is not None and entry is not None:
            there = self.store.find(name)
            data = self.store.read(there) if there else None
            stored = self.store.read(entry) if whole or data is None else b""
            if stored is None:
                return None
            if data is not None:
                card, rows, stsg = (text.encode() for text in orjson.loads(data))
                return Made(card, rows, stsg.decode(), stored)
            read = t.from_json(stored)
            unit = read if isinstance(read, t.Qras) else None
        if unit is None:
            return None
        made = Made.of(unit, identity, self.order.spec_name, self.formats)
        if self.store is not None:
            texts = [made.card.decode(), made.rows.decode(), made.stsg]
            self.store.keep(name, "linked", orjson.dumps(texts), {})
        return made if whole else replace(made, whole=b"")

    def tools(self) -> Tools:
        """Fresh tools for one unit."""
        return Tools(self.pictures, self.asker, self.spec, self.order.seed)

    def begin(self, path: Path) -> Begun:
        """What can be made of a video before a model is asked; what goes wrong with it is told."""
        begun = Begun()
        try:
            unit: t.Unit = self.start(path)
            passes = list(takewhile(lambda p: "model" not in p.uses, self.passes))
            for done in run(passes, unit, self.tools(), verify_each=self.order.verify_each,
                            memo=self.memo):  # fmt: skip
                unit = done.unit
                begun.done.append(
                    (done.name, dict(done.counts), done.seconds, done.found, done.why)
                )
            begun.unit = unit.to_json()
            begun.source = self.pictures.source(unit.video.sha256)
            begun.pictures = self.pictures.kept(unit.video.sha256, SENT)
        except StepcError as error:
            begun.diagnostics = error.in_file(printable(str(path))).diagnostics
        except NO_MEMORY as error:
            begun.diagnostics = _memory(path, error)
        finally:
            self.pictures.clear()
        return begun

    def go_on(self, begun: tuple[Path, Begun | Lost]) -> Result:
        """Compile a video further that was begun, or lost."""
        path, start = begun
        return self.lost(path, start) if isinstance(start, Lost) else self.compile(path, start)

    def compile(self, path: Path, begun: Begun | None = None) -> Result:
        """Compile one video, further if it was begun; what goes wrong with it is in the result."""
        result = Result(path, unit_name(path))
        if begun is not None and begun.diagnostics:
            result.diagnostics = begun.diagnostics
            return result
        try:
            unit: t.Unit = self.start(path, begun.source if begun else None)
            tools = self.tools()
            asker = self.asker()
            asker.tally, asker.told = result.tally, self.told
            passes = self.passes
            for name, counts, seconds, found, why in begun.done if begun else ():
                self._note(result, name, counts, seconds, found, why)
                passes = passes[1:]
            if begun is not None:
                unit = t.from_json(begun.unit)
                for frame, picture in begun.pictures.items():
                    self.pictures.keep_at(frame, picture)
            last: Done | None = None
            for done in run(
                passes, unit, tools, verify_each=self.order.verify_each, memo=self.memo,
                first=len(self.passes) - len(passes),
            ):  # fmt: skip
                self._note(result, done.name, dict(done.counts), done.seconds, done.found, done.why)
                last = done
            if last is not None:
                unit = last.unit
            if isinstance(unit, t.Qras):
                result.made = self._made(hash_of(unit), unit)
        except StepcError as error:
            result.diagnostics = error.in_file(printable(str(path))).diagnostics
        except NO_MEMORY as error:
            result.diagnostics = _memory(path, error)
        finally:
            self.pictures.clear()
        return result

    def _note(
        self,
        result: Result,
        name: str,
        counts: dict[str, int],
        seconds: float,
        found: bool,
        why: str,
    ) -> None:
        key = f"{len(result.counts) + 1}:{name}"
        result.counts[key], result.seconds[key] = counts, seconds
        result.found += found
        if why:
            result.why.append(f"{result.name}: {key} {why}")
        watch.alive()


def _file(path: Path) -> tuple[str, int, int]:
    """What a file is told by without reading it: its path, size and time of change."""
    try:
        about = path.stat()
    except OSError:
        return os.fsencode(path).hex(), 0, 0
    return os.fsencode(path.resolve()).hex(), about.st_size, about.st_mtime_ns


NO_MEMORY = (MemoryError, cv2.error)


def _memory(path: Path, error: Exception) -> tuple[Diagnostic]:
    """That memory ran out. Raises what is wrong if that is something else."""
    if isinstance(error, cv2.error) and error.code != cv2.Error.StsNoMem:
        raise error
    return (Diagnostic("B012", "memory ran out", Place(printable(str(path)))),)


def results(videos: list[Path], order: Order, jobs: int, compiler: Compiler) -> Iterator[Result]:
    """The results as they are ready, in whatever order; so many videos at one time.

    The embedded model is loaded by each of as many processes. Any other is loaded once: processes
    do what comes before it is first asked, threads the rest.
    """
    limits = compiler.limits
    left = []
    for path in videos:  # what needs no work needs no worker
        known = compiler.known(path)
        if known is None:
            left.append(path)
        else:
            yield known
    if order.choice.record is not None or len(videos) <= 1:
        yield from map(compiler.compile, left)
        return
    if order.choice.name == EMBEDDED and jobs > 1:
        whole = Workers(min(len(left), jobs), limits, _whole, _prepare, (order,))
        with ended(whole):
            for path, result in whole.each(left):
                yield compiler.lost(path, result) if isinstance(result, Lost) else result
        return
    looking = Workers(min(len(left), max(jobs, 2)), limits, _look, _prepare, (order,))
    with ended(looking):
        begun = looking.each(left)
        if jobs <= 1:
            yield from map(compiler.go_on, begun)
            return
        shared = Shared()
        several = [
            Compiler(order, compiler.say, shared, compiler.told, limits) for _ in range(jobs)
        ]
        yield from threads(begun, [one.go_on for one in several])


_worker: Compiler | None = None


def _prepare(order: Order) -> None:
    global _worker
    _worker = Compiler(order)


def _whole(path: Path) -> Result:
    assert _worker is not None
    return _worker.compile(path)


def _look(path: Path) -> Begun:
    assert _worker is not None
    return _worker.begin(path)


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
    seconds: dict[str, float] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)


def compile_corpus(
    places: list[Path],
    out: Path,
    order: Order,
    *,
    jobs: int = 1,
    limits: Limits | None = None,
    say: Callable[[Diagnostic], None],
    progress: Callable[[int, int, str], None],
    told: Callable[[Tally], None] = lambda tally: None,
    why: Callable[[str], None] = lambda line: None,
) -> Summary:
    """Compile all videos in `places` into `out`.

    Writes `units/NAME.stsg` as each is ready, then the dataset (`qra.jsonl`, or what the spec's
    `formats` name) and `manifest.json`. Link passes that the order does not name are those of
    the spec's `dataset` block. Raises
    StepcError for what makes the whole compile impossible; what is wrong with a video is said.
    """
    compiler = Compiler(order, say, limits=limits)
    last = check_levels(compiler.passes, t.Clips)
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
    spool = Spool(out)
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
                keep_unit(out, result.made)
                summary.objects += spool.add(result.made).objects
                summary.compiled += 1
            _add_up(summary, result)
            progress(summary.compiled + summary.failed - len(wrong), len(videos), result.name)
    except KeyboardInterrupt:
        summary.interrupted = True
    finally:
        compiler.close()
    write_dataset(out, order, compiler, spool, skipped, summary)
    return summary


def keep_unit(out: Path, made: Made) -> None:
    """Write a unit's STSG, unless it is there as it should be. Raises StepcError (B014)."""
    file, text = out / "units" / f"{orjson.loads(made.card)[0]}.stsg", made.stsg.encode()
    try:
        if file.stat().st_size == len(text) and file.read_bytes() == text:
            return
    except OSError:
        pass
    write_whole(file, text)


def _add_up(summary: Summary, result: Result) -> None:
    for key, seconds in result.seconds.items():
        summary.seconds[key] = summary.seconds.get(key, 0.0) + seconds
    for key, counts in result.counts.items():
        mine = summary.counts.setdefault(key, {})
        for name, n in counts.items():
            mine[name] = mine.get(name, 0) + n


def write_dataset(
    out: Path,
    order: Order,
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
