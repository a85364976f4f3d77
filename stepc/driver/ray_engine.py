"""The engine for many machines. Ray Data schedules the work; each video is a row.

Tasks run the passes before the first model call, on any free CPU. Replicas of the model run the other
passes; they are actors with a share of the GPUs each. Results return to the process that runs the
command, which links them. The dataset equals that of the local engine.

Ray restarts a task or replica that ends, for example because a machine is lost or memory runs out.
Videos that still have no result are retried once, each alone. A video that takes down its worker again
is reported as on one machine (B013).
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import os
import socket
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from pydantic import TypeAdapter

from stepc.diagnostics import Diagnostic, Place, fail, printable
from stepc.driver.compile_video import CompileConfig, Compiler
from stepc.driver.local_engine import looking
from stepc.driver.process_pool import Limits, LostVideo, WorkerPool, threads
from stepc.driver.results import FrontEndResult, VideoResult
from stepc.ir import types as t
from stepc.model.backends import scheme_of
from stepc.model.load import identity_of
from stepc.model.templates import Templates
from stepc.passmanager.code_keys import code_key
from stepc.passmanager.registry import pass_names, pass_type
from stepc.runtime import watchdog as watch
from stepc.runtime.interrupts import own_handlers
from stepc.store.open import shared
from stepc.video.discover import below, unit_name
from stepc.video.source import VideoSource

AT_ONCE = 8
"""Maximum videos per task; if the task is lost, these are compiled again."""
AGAIN = 3
"""Maximum times that Ray restarts a lost task."""
WINDOW = 100_000
"""Videos submitted to the scheduler at a time."""
ENVIRONMENT = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HF_TOKEN", "HF_HOME", "HF_HUB_OFFLINE")
"""Environment variables that are passed to the workers."""
_RESULT = TypeAdapter(VideoResult)
_BEGUN = TypeAdapter(tuple[Diagnostic, ...])


@dataclass(frozen=True)
class RayEngine:
    """Compiles on the Ray cluster at `$RAY_ADDRESS`, or on a temporary one on this machine."""

    replicas: int = 1
    """Model replicas."""
    gpus: float = 0.0
    """GPUs per replica; may be a fraction."""
    jobs: int = 1
    """Videos per replica in parallel."""

    def ready(self, compiler: Compiler) -> None:
        """Check that the run can start. Only the replicas load a local model.

        Raises StepcError (U001 if a cassette is recorded or Ray is missing, M002-M005).
        """
        choice, kept = compiler.order.choice, compiler.order.store
        if choice.record is not None:
            message = "a cassette can only be recorded on one machine"
            raise fail("U001", message, Place("--record"), "remove --engine ray")
        _ray()
        for each in compiler.passes:
            each.ready()
        if not compiler.asks:
            return
        if scheme_of(choice.name) or kept:
            compiler.asker()
        else:
            identity_of(choice)
            Templates(choice.templates or "default")

    def results(self, videos: Sequence[Path], compiler: Compiler) -> Iterator[VideoResult]:
        """Yield each result when it is ready, in any order. Raises StepcError (B019, U001)."""
        with self._joined(compiler):
            for start in range(0, len(videos), WINDOW):
                left = dict.fromkeys(videos[start : start + WINDOW])
                for most in (AT_ONCE, 1):
                    for result in self._made(list(left), most, compiler):
                        if result.path in left:
                            del left[result.path]
                            yield result
                for path in left:
                    message = "its worker process ended twice"
                    place = Place(printable(str(path)))
                    help = "check that the file plays, or raise the limit with --memory GB"
                    yield compiler.lost(path, LostVideo(Diagnostic("B013", message, place, help)))

    def _made(self, videos: list[Path], most: int, compiler: Compiler) -> Iterator[VideoResult]:
        """Compile videos with at most `most` videos per task. Lost videos have no result."""
        if not videos:
            return
        ray = _ray()
        each = max(1, min(most, len(videos) // (4 * self.replicas)))
        known = (compiler.order, compiler.limits, Home.here())
        mine = (self._share(compiler.order), *known[1:], self.jobs)
        rows = ray.data.from_items(
            [{"path": str(path)} for path in videos],
            override_num_blocks=math.ceil(len(videos) / each),
        )
        begun = rows.map_batches(
            _begin, batch_size=None, batch_format="pyarrow", fn_args=known, num_cpus=1,
            ray_remote_args_fn=functools.partial(dict, max_retries=AGAIN),
        )  # fmt: skip
        made = begun.map_batches(
            Replica, batch_size=each, batch_format="pyarrow",
            fn_constructor_args=mine, num_cpus=1, num_gpus=self.gpus or None,
            compute=ray.data.ActorPoolStrategy(size=self.replicas),
            ray_remote_args_fn=functools.partial(dict, max_restarts=-1, max_task_retries=AGAIN),
        )  # fmt: skip
        try:
            for row in made.iter_rows():
                yield _RESULT.validate_json(row["result"])
        except ray.exceptions.RayError as error:
            message = f"the cluster failed ({str(error).strip().splitlines()[-1]})"
            help = "the store has what was compiled; check that all machines have the same stepc"
            raise fail("B019", message, Place("--engine ray"), help) from error

    def _share(self, order: CompileConfig) -> CompileConfig:
        """The compile config of one replica, with its share of the budget."""
        server, n = order.choice.server, self.replicas
        part = replace(
            server,
            max_requests=None if server.max_requests is None else server.max_requests // n,
            max_tokens=None if server.max_tokens is None else server.max_tokens // n,
            max_cost=None if server.max_cost is None else server.max_cost / n,
        )
        return replace(order, choice=replace(order.choice, server=part))

    @contextlib.contextmanager
    def _joined(self, compiler: Compiler) -> Iterator[None]:
        """Connect to Ray. An existing connection is reused and stays open. Raises StepcError (B019, U001)."""
        ray = _ray()
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        there = ray.is_initialized()
        if not there:
            more: dict[str, Any] = {}
            if "RAY_ADDRESS" not in os.environ:
                more["address"] = "local"
                more["num_cpus"] = max(os.cpu_count() or 1, self.replicas + 1)
                more["include_dashboard"] = False
            try:
                _answers(os.environ.get("RAY_ADDRESS", ""))
                with own_handlers():  # ray sets one for SIGTERM that ends the process
                    ray.init(log_to_driver=False, logging_level=logging.ERROR, **more)
            except (OSError, ValueError, RuntimeError) as error:
                where = os.environ.get("RAY_ADDRESS", "this machine")
                message = f"the cluster at {where} cannot be reached ({error})"
                raise fail(
                    "B019", message, Place("--engine ray"), "`ray status` shows whether it runs"
                ) from None
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.max_errored_blocks = -1  # `results` retries lost videos
        for handler in logging.getLogger("ray.data").handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setLevel(logging.CRITICAL)
        try:
            self._enough(ray, compiler)
            yield
        finally:
            if not there:
                ray.shutdown()

    def _enough(self, ray: Any, compiler: Compiler) -> None:
        """Report too few CPUs or GPUs (B019): a warning, since machines may still join the cluster.

        Raises StepcError: B019 if the cluster is a local one, U001 if not all machines reach the store.
        """
        kept, machines = compiler.order.store, sum(node["Alive"] for node in ray.nodes())
        if kept and not shared(str(kept)) and machines > 1:
            message = f"{machines} machines cannot share a store in a local folder"
            help = "--store file:///shared/store or s3://bucket/store, or --no-store"
            raise fail("U001", message, Place(printable(str(kept))), help)
        there = ray.cluster_resources()
        for name, wanted in (("CPU", self.replicas + 1), ("GPU", self.replicas * self.gpus)):
            if there.get(name, 0) < wanted:
                has = there.get(name, 0)
                message = f"the run needs {wanted:g} {name}s, but the cluster has {has:g}"
                help = "waiting for more machines; fewer --replicas or --gpus need less"
                if "RAY_ADDRESS" not in os.environ:
                    raise fail("B019", message, Place("--engine ray"), "lower --replicas or --gpus")
                compiler.reporter.diagnostic(
                    Diagnostic("B019", message, Place("--engine ray"), help, "warning")
                )


def _answers(address: str) -> None:
    """Raises OSError if nothing listens at HOST:PORT. Ray itself would retry for minutes."""
    host, _, port = address.rpartition(":")
    if "/" not in address and host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=20).close()


def _ray() -> Any:
    """Import Ray. Raises StepcError (U001) if it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
            import ray.data
    except ImportError:
        help = "pip install 'stepc[ray]'"
        raise fail("U001", "Ray is not installed", Place("--engine ray"), help) from None
    return ray


# --- on the machines ---------------------------------------------------------------------


@dataclass(frozen=True)
class Home:
    """Code, folder and environment of the process that runs the command."""

    code: str
    folder: str
    environment: tuple[tuple[str, str], ...]

    @classmethod
    def here(cls) -> Home:
        """Describe this process."""
        told = tuple((name, os.environ[name]) for name in ENVIRONMENT if name in os.environ)
        return cls(_code(), str(Path.cwd()), told)

    def settle(self) -> None:
        """Take over the environment variables, and the folder if it exists here."""
        os.environ.update(self.environment)
        with contextlib.suppress(OSError):
            os.chdir(self.folder)

    def stranger(self, path: Path) -> tuple[Diagnostic, ...]:
        """A diagnostic (B020) if this machine has different code; otherwise empty."""
        if _code() == self.code:
            return ()
        message = "a cluster machine has a different stepc"
        place = Place(printable(str(path)))
        return (Diagnostic("B020", message, place, "install the same version on all machines"),)


def _code() -> str:
    """A hash of all code that runs on a cluster."""
    kinds = [pass_type(name).__module__ for name in pass_names()]
    return code_key("stepc.driver.ray_engine", *kinds).digest


@functools.cache
def _hands(
    order: CompileConfig, limits: Limits, home: Home
) -> tuple[Compiler, WorkerPool[FrontEndResult]]:
    """The compiler of this process, and a worker process that isolates crashes of the decoder."""
    home.settle()
    share = replace(limits, memory=limits.bytes_each(os.cpu_count() or 1))  # as many tasks as cores
    return Compiler(order, limits=limits), looking(order, share, 1)


def _begin(table: Any, order: CompileConfig, limits: Limits, home: Home) -> Any:
    """A Ray task: run the passes before the first model call on each video of `table`."""
    rows: list[dict[str, Any]] = []
    paths = [Path(path) for path in table.column("path").to_pylist()]
    wrong = home.stranger(paths[0])
    if wrong:
        named = ((path, unit_name(below(path, order.places))) for path in paths)
        return _table([_row(VideoResult(*each, diagnostics=wrong)) for each in named])
    compiler, workers = _hands(order, limits, home)
    left = []
    for path in paths:
        known = compiler.known(path)
        if known is None:
            left.append(path)
        else:
            rows.append(_row(known))
    for path, begun in workers.each(left):
        if isinstance(begun, LostVideo):
            rows.append(_row(compiler.lost(path, begun)))
        else:
            rows.append(_packed(path, begun))
    return _table(rows)


class Replica:
    """A Ray actor: holds a model and finishes the videos that `_begin` started."""

    def __init__(self, order: CompileConfig, limits: Limits, home: Home, jobs: int) -> None:
        home.settle()
        self.several = Compiler(order, limits=limits).several(jobs)
        watch.begin(limits.patience, 0, sys.stderr)

    def __call__(self, table: Any) -> Any:
        """Finish the videos of `table`."""
        rows = table.to_pylist()
        begun = [row for row in rows if not row["result"]]
        works: list[Callable[[Any], VideoResult]] = [
            functools.partial(_gone_on, one) for one in self.several
        ]
        watch.alive()
        try:
            made = list(threads(begun, works))
        finally:
            watch.rest()
        return _table([row for row in rows if row["result"]] + [_row(result) for result in made])


def _gone_on(compiler: Compiler, row: dict[str, Any]) -> VideoResult:
    path = Path(row["path"])
    try:
        return compiler.go_on((path, _unpacked(path, row)))
    except Exception as error:
        message = f"its worker failed: {error!r}"
        wrong = Diagnostic("B013", message, Place(printable(str(path))))
        return VideoResult(path, compiler.name(path), diagnostics=(wrong,))


# --- rows --------------------------------------------------------------------------------


def _table(rows: list[dict[str, Any]]) -> Any:
    import pyarrow as pa

    columns = [("path", pa.string()), ("unit", pa.large_binary()), ("told", pa.binary()),
               ("pixels", pa.large_binary()), ("result", pa.large_binary())]  # fmt: skip
    return pa.Table.from_pylist(rows, pa.schema(columns))


def _row(result: VideoResult) -> dict[str, Any]:
    """The row of a finished video."""
    return {"path": str(result.path), "result": _RESULT.dump_json(result)}


def _packed(path: Path, begun: FrontEndResult) -> dict[str, Any]:
    """The row of a video whose front end is done."""
    told = {
        "source": begun.source.facts() if begun.source else None,
        "done": begun.done,
        "shapes": [[f.video, f.at, *p.shape[:2]] for f, p in begun.pictures.items()],
        "wrong": orjson.Fragment(_BEGUN.dump_json(begun.diagnostics)),
    }
    pixels = b"".join(picture.tobytes() for picture in begun.pictures.values())
    return {"path": str(path), "unit": begun.unit, "told": orjson.dumps(told), "pixels": pixels}


def _unpacked(path: Path, row: dict[str, Any]) -> FrontEndResult:
    told = orjson.loads(row["told"])
    begun = FrontEndResult(unit=row["unit"], diagnostics=_BEGUN.validate_python(told["wrong"]))
    begun.done = [tuple(done) for done in told["done"]]
    if told["source"]:
        begun.source = VideoSource.from_facts(path, told["source"])
    pixels, offset = np.frombuffer(row["pixels"], np.uint8), 0
    for video, at, height, width in told["shapes"]:
        size = height * width * 3
        picture = pixels[offset : offset + size].reshape(height, width, 3)
        begun.pictures[t.Frame(video=video, at=at)] = picture.copy()
        offset += size
    return begun
