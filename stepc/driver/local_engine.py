"""Engines: who compiles the videos of a corpus. The one here is this machine, with processes and threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stepc.driver.compile_video import CompileConfig, Compiler, FrontEndResult, VideoResult
from stepc.driver.process_pool import Limits, LostVideo, WorkerPool, ended, threads
from stepc.model.load import EMBEDDED
from stepc.video import decode as video
from stepc.video.discover import VideoList


class Engine(Protocol):
    """Compiles videos."""

    def ready(self, compiler: Compiler) -> None:
        """Make sure that it can begin. Raises StepcError."""

    def results(self, videos: Sequence[Path], compiler: Compiler) -> Iterator[VideoResult]:
        """The results as they are ready, in whatever order."""


@dataclass(frozen=True)
class LocalEngine:
    """This machine, with so many videos at one time.

    The embedded model is loaded by each of as many processes. Any other is loaded once: processes
    do what comes before it is first asked, threads the rest.
    """

    jobs: int = 1

    def ready(self, compiler: Compiler) -> None:
        """Make sure that the model can be asked. Raises StepcError (M002-M005)."""
        compiler.asker()

    def results(self, videos: Sequence[Path], compiler: Compiler) -> Iterator[VideoResult]:
        """The results as they are ready, in whatever order."""
        order, limits, jobs = compiler.order, compiler.limits, self.jobs
        left = VideoList()
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
            whole = WorkerPool(min(len(left), jobs), limits, _whole, _prepare, (order,))
            with ended(whole):
                for path, result in whole.each(left):
                    yield compiler.lost(path, result) if isinstance(result, LostVideo) else result
            return
        with ended(looking(order, limits, min(len(left), max(jobs, 2)))) as workers:
            begun = workers.each(left)
            if jobs <= 1:
                yield from map(compiler.go_on, begun)
                return
            several = compiler.several(jobs)
            yield from threads(begun, [one.go_on for one in several])


def looking(order: CompileConfig, limits: Limits, number: int) -> WorkerPool[FrontEndResult]:
    """Processes that do what can be done before a model is asked."""
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
