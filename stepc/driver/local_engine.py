"""Engines compile the videos of a corpus. The local engine uses processes and threads of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Protocol

from stepc.diagnostics import Diagnostic
from stepc.driver.compile_video import CompileConfig, Compiler
from stepc.driver.process_pool import Limits, LostVideo, PoolFailed, WorkerPool, ended, threads
from stepc.driver.results import FrontEndResult, VideoResult
from stepc.model.backends import EMBEDDED, backend_type
from stepc.model.load import ModelConfig
from stepc.video import decode as video
from stepc.video.discover import VideoList


class Engine(Protocol):
    """Interface of an engine."""

    def ready(self, compiler: Compiler) -> None:
        """Check that the engine can start. Raises StepcError if it cannot."""

    def results(self, videos: Sequence[Path], compiler: Compiler) -> Iterator[VideoResult]:
        """Yield each result when it is ready, in any order."""


@dataclass(frozen=True)
class LocalEngine:
    """Compiles on this machine.

    With the embedded model, each worker process loads the model. Any other model is loaded once:
    worker processes run the passes before the first model call, and threads run the others.
    """

    jobs: int = 1
    """Videos compiled in parallel."""

    def ready(self, compiler: Compiler) -> None:
        """Check the passes, and load the model if one is asked. Raises StepcError (M002-M005)."""
        for each in compiler.passes:
            each.ready()
        if compiler.asks:
            compiler.asker()

    def results(self, videos: Sequence[Path], compiler: Compiler) -> Iterator[VideoResult]:
        """Yield each result when it is ready, in any order."""
        order = compiler.order
        left = VideoList()
        for path in videos:  # cached results need no worker
            known = compiler.known(path)
            if known is None:
                left.append(path)
            else:
                yield known
        if order.choice.record is not None or len(videos) <= 1:
            yield from map(compiler.compile, left)
            return
        under_way: dict[Path, None] = {}
        try:
            if order.choice.name == EMBEDDED and self.jobs > 1:
                yield from self._whole(compiler, left)
            else:
                for result in self._shared(compiler, left, under_way):
                    under_way.pop(result.path, None)
                    yield result
        except PoolFailed as failed:
            message = f"the worker processes cannot work ({failed}); compiling in this process"
            help = "the result is the same, but slower, and videos have no time or memory limits"
            compiler.reporter.diagnostic(Diagnostic("B022", message, None, help, "warning"))
            yield from map(
                compiler.compile, chain(under_way, left if failed.left is None else failed.left)
            )

    def _whole(self, compiler: Compiler, left: VideoList) -> Iterator[VideoResult]:
        """Compile in processes that each load the model. Raises PoolFailed."""
        number = min(len(left), self.jobs)
        pool = WorkerPool(number, compiler.limits, _whole, _prepare, (compiler.order,))
        with ended(pool):
            for path, result in pool.each(left):
                yield compiler.lost(path, result) if isinstance(result, LostVideo) else result

    def _shared(
        self, compiler: Compiler, left: VideoList, under_way: dict[Path, None]
    ) -> Iterator[VideoResult]:
        """Decode in processes, and call one model from threads. Raises PoolFailed.

        Adds each video to `under_way` before its model calls; the caller removes it with its result.
        """
        number = min(len(left), max(self.jobs, 2))
        with ended(looking(compiler.order, compiler.limits, number)) as workers:
            begun = _noted(workers.each(left), under_way)
            if self.jobs <= 1:
                yield from map(compiler.go_on, begun)
                return
            several = compiler.several(self.jobs)
            yield from threads(begun, [one.go_on for one in several])


Begun = tuple[Path, FrontEndResult | LostVideo]


def _noted(begun: Iterator[Begun], under_way: dict[Path, None]) -> Iterator[Begun]:
    for path, result in begun:
        under_way[path] = None
        yield path, result


def default_jobs(choice: ModelConfig, cluster: bool = False) -> int:
    """How many videos are compiled in parallel by default; on a cluster, per replica of the model."""
    if choice.name == EMBEDDED and not cluster:
        return os.cpu_count() or 1
    return 4 if backend_type(choice.name)[0].remote else 1


def looking(order: CompileConfig, limits: Limits, number: int) -> WorkerPool[FrontEndResult]:
    """Worker processes that run the passes before the first model call."""
    return WorkerPool(number, limits, _look, _prepare, (order,))


_worker: Compiler | None = None


def _prepare(order: CompileConfig) -> None:
    global _worker
    video.alone = False
    _worker = Compiler(order)


def _whole(path: Path) -> VideoResult:
    assert _worker is not None
    return _worker.compile(path)


def _look(path: Path) -> FrontEndResult:
    assert _worker is not None
    return _worker.begin(path)
