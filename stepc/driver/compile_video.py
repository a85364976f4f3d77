"""Compiles one video: runs the passes of a compile config with one model and one store.

The result of a video holds its diagnostics. A failure never affects other videos.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import ValidationError

from stepc.dataset.formats import FORMATS
from stepc.dataset.spool import CompiledUnit
from stepc.diagnostics import Diagnostic, Place, StepcError, crash, did_you_mean, fail, printable
from stepc.driver.graph_input import from_level, graph_at, video_beside
from stepc.driver.process_pool import Limits, LostVideo
from stepc.driver.results import FrontEndResult, VideoResult
from stepc.ir import types as t
from stepc.lang.resolve import read_spec
from stepc.lang.types import Spec
from stepc.model.backends import identity_of, scheme_of
from stepc.model.batching import Shared
from stepc.model.cassette import ReplayBackend
from stepc.model.client import ModelClient
from stepc.model.load import ModelConfig, known_features, load
from stepc.model.openai_compatible import ServerModel
from stepc.passmanager.base import LinkPass, Options, Pass, Tools
from stepc.passmanager.code_keys import code_key
from stepc.passmanager.memo import Memo, PassResult, hash_of
from stepc.passmanager.pipeline_text import parse_pipeline
from stepc.passmanager.registry import pass_plugin
from stepc.passmanager.run import run
from stepc.plugins import Plugin, installed
from stepc.reporter import SILENT, Reporter
from stepc.runtime import watchdog as watch
from stepc.runtime.lazy import LazyModule
from stepc.store.base import Entry, name_of
from stepc.store.open import open_store
from stepc.video.decode import Pictures
from stepc.video.discover import below, unit_name
from stepc.video.probe import probe
from stepc.video.source import VideoSource

if TYPE_CHECKING:
    import cv2
else:
    cv2 = LazyModule("cv2")

SENT = 64 << 20
"""Maximum bytes of decoded keyframes that a front-end result carries along."""


@dataclass(frozen=True)
class CompileConfig:
    """Everything that determines the output of a compile."""

    pipeline: str
    link: str
    """Link passes; if empty, those of the pipeline, or else of the spec's `dataset` block."""
    spec_text: str
    spec_name: str
    choice: ModelConfig = field(default_factory=ModelConfig)
    spec_folder: Path | None = None
    """Folder of the spec; imports are relative to it."""
    seed: int = 0
    verify_each: bool = True
    keep_decodable: bool = False
    """Whether to take what can be decoded of a damaged video; otherwise it fails (B007)."""
    places: tuple[str, ...] = ()
    """The files and folders that the user named; a video is named by its path below one of them."""
    store: str | Path | None = None
    """Folder or URL of the store that caches results; None disables it."""


def links_of(spec: Spec) -> str:
    """The link passes that a spec's `dataset` block requires, with their options."""
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
        message = f"corpus pass `{late.name}` must come after all per-video passes"
        raise fail("P005", message, Place("--pipeline"), "move it to the end of the pipeline")
    return units, links


class Compiler:
    """Compiles one video after another with one model."""

    def __init__(
        self,
        order: CompileConfig,
        reporter: Reporter = SILENT,
        shared: Shared | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.order, self.reporter, self.shared = order, reporter, shared
        self.limits = limits or Limits()
        self.passes, links = split_pipeline(order.pipeline)
        self.spec = read_spec(order.spec_text, order.spec_name, order.spec_folder)
        if not links:
            _, links = split_pipeline(order.link or links_of(self.spec))
        self.links = links
        self.formats = self.spec.dataset.formats or ("jsonl",)
        for name in self.formats:
            if name not in FORMATS:
                help = did_you_mean(name, FORMATS.names())
                raise fail("S502", f"unknown dataset format `{name}`", Place(order.spec_name), help)
        self.pictures = Pictures()
        # no store while recording: a cassette must hold every call
        kept = order.store if order.choice.record is None else None
        self.store = open_store(str(kept), reporter) if kept else None
        self.memo = Memo(self.store, self._depends) if self.store else None
        self._stands: dict[str, Any] = {}
        self._asker: ModelClient | None = None

    def asker(self) -> ModelClient:
        """The model client. The first call loads the model. Raises StepcError (M002-M005)."""
        if self._asker is None:
            self._asker = load(
                self.order.choice, self.pictures, seed=self.order.seed, store=self.store,
                shared=self.shared, reporter=self.reporter,
            )  # fmt: skip
        return self._asker

    def server(self) -> dict[str, Any] | None:
        """What the model's server can do; None for another model, or if it was never asked."""
        if not self.asks:
            return None
        backend: Any = self._asker.backend if self._asker is not None else None
        while backend is not None and not isinstance(backend, ServerModel):
            backend = getattr(backend, "inner", None)
        if backend is not None and backend.met:
            facts: dict[str, Any] = backend.features.facts()
            return facts
        key = identity_of(self.order.choice) if self.store is not None else None
        return known_features(self.store, key) if self.store is not None and key else None

    def _depends(self, thing: str) -> Any:
        """JSON that identifies an input of a pass: one of `Pass.uses`."""
        if thing not in self._stands:
            self._stands[thing] = self._depends_anew(thing)
        return self._stands[thing]

    def _depends_anew(self, thing: str) -> Any:
        match thing:
            case "seed":
                return self.order.seed
            case "decoding":
                return self.order.keep_decodable
            case "drawing":
                return self.spec.drawing()
            case "wording":
                return self.spec.wording()
            case "vocabulary":
                return [e.model_dump(mode="json") for e in self.spec.vocabulary]
        asker = self.asker()
        choice = self.order.choice
        known = getattr(asker.backend, "known", None) or asker.backend.identity
        redact = list(choice.redact)
        return [known, asker.templates.digest, asker.together, asker.video, asker.seed, redact]

    @functools.cached_property
    def asks(self) -> bool:
        """Whether any pass asks a model. If none does, none is loaded."""
        return any("model" in p.uses for p in self.passes)

    @functools.cached_property
    def identity(self) -> str:
        """The identity of the model that the passes ask. Empty if they ask none."""
        return self.asker().backend.identity if self.asks else ""

    @functools.cached_property
    def code(self) -> str:
        """A hash of the code that compiles a video with this pipeline."""
        return compile_code(self.passes)

    def plugins(self) -> list[Plugin | None]:
        """The plug-ins that the compile uses: passes, the backend, forms, the language, …"""
        forms = {form for b in self.spec.blocks for form, _ in b.form}
        return [
            *(pass_plugin(p.name) for p in (*self.passes, *self.links)),
            *(p for p in installed("stepc.forms") if p.name in forms),
            *(p for p in installed("stepc.languages") if p.name == self.spec.use),
            *(p for p in installed("stepc.formats") if p.name in self.formats),
            *(p for p in installed("stepc.specs") if f"{p.name}.step" == self.order.spec_name),
            *(p for p in installed("stepc.templates") if p.name == self.order.choice.templates),
            *(
                p
                for p in installed("stepc.backends")
                if p.name == scheme_of(self.order.choice.name)
            ),
        ]

    def several(self, number: int) -> list[Compiler]:
        """Create `number` compilers that share one model; each is used by one thread."""
        shared = Shared()
        return [Compiler(self.order, self.reporter, shared, self.limits) for _ in range(number)]

    def close(self) -> None:
        """Close the cassette, if one is being recorded."""
        if self._asker is not None and isinstance(self._asker.backend, ReplayBackend):
            self._asker.backend.close()

    def name(self, path: Path) -> str:
        """The name of a video's unit: its path below the folder that the user named."""
        return unit_name(self._below(path))

    def _below(self, path: Path) -> str:
        return below(path, self.order.places)

    def start(self, path: Path, source: VideoSource | None = None) -> t.Clips | t.Fsg:
        """The unit of a video before any pass, or a graph. Raises StepcError (B001-B006, I and V codes)."""
        graph = graph_at(path)
        if graph is not None:
            source = source or video_beside(graph, path)
            if source is not None:
                self.pictures.add(source)
            return graph.evolve(name=self.name(path))
        known = self.probed(path)
        source = source or known or probe(path, self._below(path), self.order.keep_decodable)
        if self.store is not None and known is None:
            self.store.put(self._probe(path), "probe", b"", source.facts())
        self.pictures.add(source)
        try:
            return t.Clips(name=self.name(path), video=source.video)
        except ValidationError as error:
            raise fail("B002", str(error), Place(printable(str(path)))) from error

    def probed(self, path: Path) -> VideoSource | None:
        """Cached facts of a file. Returns None if its path, size or modification time is new."""
        entry = self.store.get(self._probe(path)) if self.store is not None else None
        try:
            return VideoSource.from_facts(path, entry.facts) if entry is not None else None
        except (
            KeyError,
            ValueError,
            TypeError,
            AttributeError,
            ArithmeticError,
            IndexError,
        ):  # another version's entry
            return None

    def _probe(self, path: Path) -> bytes:
        return name_of("probe", self._below(path), self.order.keep_decodable, *_file(path))

    def known(self, path: Path) -> VideoResult | None:
        """The result of a video that needs no work.

        All its passes are in the store, or an earlier run gave up on it (B018). Returns None otherwise.
        """
        if self.memo is None or self.store is None:
            return None
        source, graph = self.probed(path), None
        with contextlib.suppress(StepcError):
            graph = graph_at(path)
        chain, passes = [], self.passes
        if graph is not None or source is not None:
            unit: t.Unit = (
                graph.evolve(name=self.name(path))
                if graph is not None
                else t.Clips(name=self.name(path), video=source.video)  # type: ignore[union-attr]
            )
            passes = from_level(self.passes, unit) if graph is not None else self.passes
            with contextlib.suppress(
                StepcError
            ):  # what a pass reads may be missing; compiling tells it
                chain = self.memo.of(unit.video.file).chain(passes, hash_of(unit))
        if len(chain) < len(passes) or not chain:
            lost = None if self.limits.retry else self.store.get(self._lost(path))
            if lost is None or self.limits.more_than(lost.facts):
                return None
            message = f"skipped: an earlier run gave up on this video ({lost.facts['message']})"
            help = "use --retry, or a higher --patience or --memory"
            wrong = Diagnostic("B018", message, Place(printable(str(path))), help)
            return VideoResult(path, self.name(path), diagnostics=(wrong,))
        made = self._made(self.name(path), chain[-1].hash, None, chain[-1])
        if made is None:
            return None
        result = VideoResult(path, self.name(path), made, found=len(chain))
        result.warnings = tuple(source.warnings()) if source is not None else ()
        before = len(self.passes) - len(passes)
        for i, (p, entry) in enumerate(zip(passes, chain, strict=True), before + 1):
            result.counts[f"{i}:{p.name}"], result.seconds[f"{i}:{p.name}"] = (
                entry.facts["counts"],
                0.0,
            )
        return result

    def lost(self, path: Path, lost: LostVideo) -> VideoResult:
        """The result of a video whose worker ended. Later runs skip it, unless `lost.again` is set."""
        wrong = lost.diagnostic
        if self.store is not None and not lost.again:
            facts = {"message": wrong.message, **self.limits.facts()}
            self.store.put(self._lost(path), "lost", b"", facts)
        return VideoResult(path, self.name(path), diagnostics=(wrong,))

    def _lost(self, path: Path) -> bytes:
        return name_of("lost", *_file(path), self.code)

    def _made(
        self, called: str, content: bytes, unit: t.Qras | None, entry: Entry | None = None
    ) -> CompiledUnit | None:
        """The linkable form of the unit `called` so, from the store or from `unit`.

        `content` is the hash of its JSON.

        Returns None if the store has lost it.
        """
        identity = self.identity
        whole = any(link.whole for link in self.links)
        name = name_of(
            "linked", self.code, content.hex(), self.order.spec_name, identity, list(self.formats),
            [p.digest for p in installed("stepc.formats") if p.name in self.formats],
        )  # fmt: skip
        if self.store is not None and entry is not None:
            there = self.store.get(name)
            data = self.store.read(there) if there else None
            stored = self.store.read(entry) if whole or data is None else b""
            if stored is None:
                return None
            if data is not None:
                with contextlib.suppress(ValueError, TypeError, AttributeError, IndexError):
                    card, rows, stsg = (text.encode() for text in orjson.loads(data))
                    if orjson.loads(card)[0] == called:
                        return CompiledUnit(card, rows, stsg.decode(), stored)
                stored = self.store.read(entry)  # the entry belongs to another unit; build it anew
                if stored is None:
                    return None
            read = t.from_json(stored)
            unit = read if isinstance(read, t.Qras) else None
        if unit is None:
            return None
        made = CompiledUnit.of(unit, identity, self.order.spec_name, self.formats)
        if self.store is not None:
            texts = [made.card.decode(), made.rows.decode(), made.stsg]
            self.store.put(name, "linked", orjson.dumps(texts), {})
        return made if whole else replace(made, whole=b"")

    def tools(self) -> Tools:
        """New tools for one unit."""
        return Tools(self.pictures, self.asker, self.spec, self.order.seed)

    def begin(self, path: Path) -> FrontEndResult:
        """Run the passes before the first model call. The result holds any diagnostics."""
        begun = FrontEndResult()
        try:
            unit: t.Unit = self.start(path)
            left = self.passes if isinstance(unit, t.Clips) else from_level(self.passes, unit)
            passes = list(takewhile(lambda p: "model" not in p.uses, left))
            for done in run(passes, unit, self.tools(), verify_each=self.order.verify_each,
                            memo=self.memo):  # fmt: skip
                unit = done.unit
                begun.done.append(
                    (done.name, dict(done.counts), done.seconds, done.found, done.why)
                )
            begun.unit = unit.to_json()
            begun.source = self.pictures.sources.get(unit.video.sha256)
            begun.pictures = self.pictures.kept(unit.video.sha256, SENT)
        except StepcError as error:
            begun.diagnostics = error.in_file(printable(str(path))).diagnostics
        except Exception as error:
            begun.diagnostics = _failed(path, error)
        finally:
            self.pictures.clear()
        return begun

    def go_on(self, begun: tuple[Path, FrontEndResult | LostVideo]) -> VideoResult:
        """Finish a video after `begin`, or turn a lost video into its result."""
        path, start = begun
        return self.lost(path, start) if isinstance(start, LostVideo) else self.compile(path, start)

    def compile(self, path: Path, begun: FrontEndResult | None = None) -> VideoResult:
        """Compile one video; continue from `begun` if given. The result holds any diagnostics."""
        result = VideoResult(path, self.name(path))
        if begun is not None and begun.diagnostics:
            result.diagnostics = begun.diagnostics
            return result
        try:
            unit: t.Unit = self.start(path, begun.source if begun else None)
            source = self.pictures.sources.get(unit.video.sha256)
            if self.store is not None:
                self.store.about(unit.video.sha256)
            tools = self.tools()
            if self.asks:
                asker = self.asker()
                asker.usage, asker.told = result.usage, self.reporter.usage
            passes = self.passes if isinstance(unit, t.Clips) else from_level(self.passes, unit)
            result.before = len(self.passes) - len(passes)
            for name, counts, seconds, found, why in begun.done if begun else ():
                self._note(result, name, counts, seconds, found, why)
                passes = passes[1:]
            if begun is not None:
                unit = t.from_json(begun.unit)
                for frame, picture in begun.pictures.items():
                    self.pictures.keep_at(frame, picture)
            last: PassResult | None = None
            for done in run(
                passes, unit, tools, verify_each=self.order.verify_each, memo=self.memo,
                first=len(self.passes) - len(passes),
            ):  # fmt: skip
                self._note(result, done.name, dict(done.counts), done.seconds, done.found, done.why)
                last = done
            if last is not None:
                unit = last.unit
            result.server = self.server()
            result.warnings = tuple(source.warnings()) if source is not None else ()
            if (
                self.store is not None and source is not None and source.damage
            ):  # a later run without decoding repeats the warning
                self.store.put(self._probe(path), "probe", b"", source.facts())
            if isinstance(unit, t.Qras):
                result.made = self._made(unit.name, hash_of(unit), unit)
        except StepcError as error:
            result.diagnostics = error.in_file(printable(str(path))).diagnostics
        except Exception as error:
            result.diagnostics = _failed(path, error)
        finally:
            if self.store is not None:
                self.store.about("")
            self.pictures.clear()
        return result

    def _note(
        self,
        result: VideoResult,
        name: str,
        counts: dict[str, int],
        seconds: float,
        found: bool,
        why: str,
    ) -> None:
        key = f"{result.before + len(result.counts) + 1}:{name}"
        result.counts[key], result.seconds[key] = counts, seconds
        result.found += found
        if why:
            result.why.append(f"{result.name}: {key} {why}")
        watch.alive()


def compile_code(passes: Sequence[Pass[Any, Any]]) -> str:
    """A hash of the code that compiles a video with these passes."""
    modules = sorted({type(p).__module__ for p in passes})
    return code_key("stepc.driver.compile_video", *modules).digest


def _file(path: Path) -> tuple[str, int, int]:
    """Identifies a file without reading it: path, size and modification time."""
    try:
        about = path.stat()
    except OSError:
        return os.fsencode(path).hex(), 0, 0
    return os.fsencode(path.resolve()).hex(), about.st_size, about.st_mtime_ns


def _failed(path: Path, error: Exception) -> tuple[Diagnostic, ...]:
    """Diagnostic for an unexpected exception: B012 if memory ran out, otherwise B021."""
    place = Place(printable(str(path)))
    no_memory = isinstance(error, cv2.error) and error.code == cv2.Error.StsNoMem
    if isinstance(error, MemoryError) or no_memory:
        return (Diagnostic("B012", "memory ran out", place),)
    return crash("B021", "compiling the video", error, place).diagnostics
