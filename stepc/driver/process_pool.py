"""Compiling many videos at one time: in processes that may fail alone, or as threads that share a model.

Decoding is always done by processes, so that a model never waits for it, and so that a file that hangs or
crashes the decoder ends nothing but its own compiling. Few videos are under way at any time, however
many there are.
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
    """What one video may take."""

    patience: float = 600.0
    """Seconds in which something has to be heard of it; 0: it may take for ever."""
    memory: int = 0
    """Bytes that a worker may have; 0: its share of four fifths of the machine's."""
    retry: bool = False
    """Whether videos are tried again that were lost before."""

    def facts(self) -> dict[str, Any]:
        """What is noted of a video that was lost."""
        return {"patience": self.patience, "memory": self.memory}

    def more_than(self, facts: dict[str, Any]) -> bool:
        """Whether a video that was lost under other limits may do under these."""
        longer = facts["patience"] and (not self.patience or self.patience > facts["patience"])
        return bool(longer) or self.memory > facts["memory"]

    def bytes_each(self, workers: int) -> int:
        """Bytes a worker."""
        if self.memory:
            return self.memory
        try:
            there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        except (ValueError, OSError, AttributeError):
            return 0
        return max(1 << 31, there * 4 // 5 // workers)


def end_with_parent() -> None:
    """End this process soon after the one that started it: else a killed run's workers go on, and
    write where the next run does."""
    import time

    parent = os.getppid()

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=look, daemon=True).start()


class WorkerUnable(Exception):
    """A worker process started and cannot work, whatever it is given."""


_told: Any = None
_unable: Exception | None = None
"""Why this worker cannot work."""


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
    except Exception as error:  # raised by the first task: a pool cannot be told
        _unable = error


def _watched(work: Callable[[Path], T], path: Path) -> T:
    if _unable is not None:
        raise WorkerUnable(f"{type(_unable).__name__}: {_unable}")
    watch.alive()
    try:
        return work(path)
    finally:
        watch.rest()


@dataclass
class LostVideo:
    """What is wrong with a video whose worker ended."""

    diagnostic: Diagnostic
    again: bool = False
    """Whether the next run tries it again; a video that harmed its worker is skipped until --retry."""


class PoolFailed(Exception):
    """The worker processes cannot start or cannot go on, whatever the videos.

    `.left` are the videos that are not done; None if none was begun.
    """

    def __init__(self, why: str, left: Iterable[Path] | None) -> None:
        super().__init__(why)
        self.left = left


_STARTING = threading.Lock()


class _Process(SpawnProcess):
    """A spawned process that does not import the main module again.

    Workers run functions of stepc only. Without this, a script that compiles at its top level would be run
    again by each of its workers.
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
    """Processes that each do `work` for one path after another, after `prepare(*args)`."""

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
            raise PoolFailed("a daemon process may not start others", None)
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
        """What came of each path, as it is ready; those of two paths a worker are under way."""
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
            ready, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ready:
                path = running.pop(future)
                failed = future.exception()
                if isinstance(failed, (BrokenProcessPool, WorkerUnable)):
                    said = str(failed) if isinstance(failed, WorkerUnable) else "they end at once"
                    raise PoolFailed(said, chain([path], running.values(), left))
                if self._gave_up(future) and path not in again:
                    again.add(path)
                    begin(path)
                else:
                    yield path, self._result(future, path)

    def _gave_up(self, future: Any) -> bool:
        """Whether a worker ended by itself: after a pause of the whole machine it may, and means nothing."""
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
            return LostVideo(Diagnostic("B013", message, place, help))
        except MemoryError:
            help = "raise the limit per worker with --memory GB"
            return LostVideo(Diagnostic("B012", "memory ran out", place, help))
        except Exception as error:  # whatever the work raised, or what cannot be sent back
            (wrong,) = crash("B021", "compiling the video", error, place).diagnostics
            return LostVideo(wrong, again=True)

    def _hung(self, pid: int | None) -> str:
        """Where a worker hung, of those that did."""
        try:
            told = (Path(self.folder.name) / str(pid)).read_text("utf-8", "replace")
        except OSError:
            return ""
        if "Timeout" not in told:
            return ""
        first = re.search(r'File "(.*)", line (\d+) in (.*)', told.split("Thread 0x")[-1])
        return f"in {Path(first[1]).name}, {first[3]}" if first else "location unknown"

    def close(self, at_once: bool = False) -> None:
        """End the processes; `at_once` those at work, too."""
        end = self.pool.stop if at_once else self.pool.close
        end()  # type: ignore[no-untyped-call]
        self.pool.join()
        self.folder.cleanup()


def _how(code: int | None) -> str:
    """How a process ended."""
    if code is not None and code < 0:
        try:
            return signal.Signals(-code).name
        except ValueError:
            pass
    return f"exit code {code}"


@contextmanager
def ended(workers: WorkerPool[T]) -> Iterator[WorkerPool[T]]:
    """Workers that are ended, whatever happens."""
    try:
        yield workers
    except BaseException:
        workers.close(at_once=True)
        raise
    workers.close()


def threads(tasks: Iterable[T], works: Sequence[Callable[[T], Any]], /) -> Iterator[Any]:
    """What came of tasks, as it is ready; each of `works` has one at a time, in a thread of its own.

    Raises what one of them raised.
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
