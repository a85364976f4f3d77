"""Runs work on many videos in parallel: in isolated worker processes, or in threads that share a model.

Decoding always runs in processes. A model therefore need not wait for it, and a file that hangs or crashes
the decoder only affects its own compilation. The number of videos in progress is bounded.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from stepc.diagnostics import Diagnostic, Place, crash, printable
from stepc.runtime import watchdog as watch
from stepc.runtime.lazy import LazyModule

if TYPE_CHECKING:
    import pebble
else:
    pebble = LazyModule("pebble")

T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """Time and memory limits of one video."""

    patience: float = 600.0
    """Maximum seconds without progress; 0 means no limit."""
    memory: int = 0
    """Memory limit of a worker in bytes; 0 means an equal share of 80 % of the machine's memory."""
    retry: bool = False
    """Whether to retry videos that an earlier run gave up on."""

    def facts(self) -> dict[str, Any]:
        """The limits, as stored with a video that was given up."""
        return {"patience": self.patience, "memory": self.memory}

    def more_than(self, facts: dict[str, Any]) -> bool:
        """Whether these limits exceed those in `facts`, so that a video given up then is worth a retry."""
        longer = facts["patience"] and (not self.patience or self.patience > facts["patience"])
        return bool(longer) or self.memory > facts["memory"]

    def bytes_each(self, workers: int) -> int:
        """Memory limit per worker in bytes; 0 means no limit."""
        if self.memory:
            return self.memory
        try:
            there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        except (ValueError, OSError, AttributeError):
            return 0
        return max(1 << 31, there * 4 // 5 // workers)


def end_with_parent() -> None:
    """Exit soon after the parent process exits.

    Otherwise the workers of a killed run would go on, and write to the same place as the next run.
    """
    import time

    parent = os.getppid()

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=look, daemon=True).start()


class WorkerUnable(Exception):
    """A worker process started, but cannot process any video."""


_told: Any = None
_unable: Exception | None = None
"""The exception of `prepare`, if it failed in this worker."""


def _begin(
    folder: str, limits: Limits, workers: int, prepare: Callable[..., None], args: Any
) -> None:
    global _told, _unable
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _told = (Path(folder) / str(os.getpid())).open("w")
    watch.begin(limits.patience, limits.bytes_each(workers), _told)
    try:
        prepare(*args)
    except Exception as error:  # the first task raises it: an initializer cannot report errors
        _unable = error


def _watched(work: Callable[[Path], T], path: Path) -> T:
    if _unable is not None:
        raise WorkerUnable(f"{type(_unable).__name__}: {_unable}".removesuffix(": "))
    watch.alive()
    try:
        return work(path)
    finally:
        watch.rest()


@dataclass
class LostVideo:
    """A video whose worker ended, with its diagnostic."""

    diagnostic: Diagnostic
    again: bool = False
    """Whether the next run retries it. False if the video took down its worker: skipped until --retry."""


class PoolFailed(Exception):
    """The worker processes cannot start or cannot continue, whatever the video.

    `.left` holds the videos without a result; None if no video was started.
    """

    def __init__(self, why: str, left: Iterable[Path] | None) -> None:
        super().__init__(why)
        self.left = left


ALIVE = 2.0
"""Seconds after which a pool that has made nothing is checked."""
_STARTING = threading.Lock()
_HANGUP = getattr(signal, "SIGHUP", signal.SIGTERM)


class _Process(SpawnProcess):
    """A spawned process that does not import the main module again.

    Workers only run functions of stepc. Otherwise, each worker would run a script again that compiles
    without a main guard.
    """

    @staticmethod
    def _Popen(process_obj: Any) -> Any:
        with _STARTING:
            main = sys.modules["__main__"]
            sys.modules["__main__"] = ModuleType("__main__")
            try:
                return SpawnProcess._Popen(process_obj)
            finally:
                sys.modules["__main__"] = main


class _Spawn(SpawnContext):
    Process = _Process


class WorkerPool(Generic[T]):
    """Worker processes. Each runs `prepare(*args)` once, then `work(path)` for one path after another."""

    def __init__(
        self,
        number: int,
        limits: Limits,
        work: Callable[[Path], T],
        prepare: Callable[..., None],
        args: Any,
    ) -> None:
        self.number, self.limits, self.work = number, limits, work
        if multiprocessing.current_process().daemon:
            raise PoolFailed("a daemon process cannot start processes", None)
        try:
            self.folder = tempfile.TemporaryDirectory(prefix="stepc-")
        except OSError as error:
            raise PoolFailed(f"no temporary folder: {error}", None) from error
        self.pool = pebble.ProcessPool(
            number,
            initializer=_begin,
            initargs=(self.folder.name, limits, number, prepare, args),
            context=_Spawn(),
        )

    def each(self, paths: Iterable[Path]) -> Iterator[tuple[Path, T | LostVideo]]:
        """Yield each path with its result when it is ready. At most two paths per worker are in progress."""
        left = iter(paths)
        running: dict[Any, Path] = {}
        again: set[Path] = set()

        def begin(path: Path) -> None:
            try:
                running[self.pool.schedule(_watched, (self.work, path))] = path
            except (RuntimeError, OSError) as error:
                raise PoolFailed(str(error), chain([path], running.values(), left)) from error

        while True:
            for path in islice(left, 2 * self.number - len(running)):
                begin(path)
            if not running:
                return
            ready, _ = wait(running, ALIVE, FIRST_COMPLETED)
            if not ready and not self.pool.active:  # the pool's threads failed without an error
                raise PoolFailed("they exit at once", chain(running.values(), left))
            for future in ready:
                path = running.pop(future)
                failed = future.exception()
                if isinstance(failed, (BrokenProcessPool, WorkerUnable)):
                    said = str(failed) if isinstance(failed, WorkerUnable) else "they exit at once"
                    raise PoolFailed(said, chain([path], running.values(), left))
                if self._gave_up(future) and path not in again:
                    again.add(path)
                    begin(path)
                else:
                    yield path, self._result(future, path)

    def _gave_up(self, future: Any) -> bool:
        """Whether a worker exited by itself without a hang. It may after the machine was suspended: retry."""
        error = future.exception()
        gave_up = isinstance(error, pebble.ProcessExpired) and (error.exitcode or 0) >= 0
        return gave_up and not self._hung(error.pid)

    def _result(self, future: Any, path: Path) -> T | LostVideo:
        place = Place(printable(str(path)))
        try:
            made: T = future.result()
            return made
        except pebble.ProcessExpired as error:
            where = self._hung(error.pid)
            if where:
                message = f"no progress for {self.limits.patience:g} s, {where}"
                help = "--patience SECONDS waits longer"
                return LostVideo(Diagnostic("B017", message, place, help))
            message = f"its worker process ended ({_how(error.exitcode)})"
            help = "check that the file plays, or raise the limit per worker with --memory GB"
            told_to = -(error.exitcode or 0) in (signal.SIGTERM, signal.SIGINT, _HANGUP)
            return LostVideo(Diagnostic("B013", message, place, help), again=told_to)
        except MemoryError:
            help = "raise the limit per worker with --memory GB"
            return LostVideo(Diagnostic("B012", "memory ran out", place, help))
        except Exception as error:  # raised by the work, or a result that cannot be pickled
            (wrong,) = crash("B021", "compiling the video", error, place).diagnostics
            return LostVideo(wrong, again=True)

    def _hung(self, pid: int | None) -> str:
        """Where a worker hung. Returns an empty string if it did not hang."""
        try:
            told = (Path(self.folder.name) / str(pid)).read_text("utf-8", "replace")
        except OSError:
            return ""
        if "Timeout" not in told:
            return ""
        first = re.search(r'File "(.*)", line (\d+) in (.*)', told.split("Thread 0x")[-1])
        return f"in {Path(first[1]).name}, {first[3]}" if first else "location unknown"

    def close(self, at_once: bool = False) -> None:
        """End the processes after their work, or immediately if `at_once`."""
        end = self.pool.stop if at_once else self.pool.close
        end()  # type: ignore[no-untyped-call]
        self.pool.join()
        self.folder.cleanup()


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            return signal.Signals(-code).name
        except ValueError:
            pass
    return f"exit code {code}"


@contextmanager
def ended(workers: WorkerPool[T]) -> Iterator[WorkerPool[T]]:
    """Closes the workers at the end; kills them if an exception is raised."""
    try:
        yield workers
    except BaseException:  # an interrupt must not leave workers behind, either
        workers.close(at_once=True)
        raise
    workers.close()


def threads(tasks: Iterable[T], works: Sequence[Callable[[T], Any]], /) -> Iterator[Any]:
    """Yield the result of each task when it is ready. Each of `works` runs in its own thread.

    Raises the first exception that one of them raises.
    """
    given: queue.SimpleQueue[Any] = queue.SimpleQueue()
    made: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def run(work: Callable[[T], Any]) -> None:
        while (task := given.get()) is not None:
            try:
                made.put((work(task[0]), None))
            except BaseException as error:
                made.put((None, error))

    for work in works:
        threading.Thread(target=run, args=(work,), daemon=True).start()

    def taken() -> Any:
        result, error = made.get()
        if error is not None:
            raise error
        return result

    running = 0
    try:
        for task in tasks:
            given.put((task,))
            running += 1
            if running == len(works):
                running -= 1
                yield taken()
        for _ in range(running):
            yield taken()
    finally:
        for _ in works:
            given.put(None)
