"""The engine of many machines, on a cluster made here: lost workers and machines, the same bytes."""

from __future__ import annotations

import contextlib
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import ray
from ray.cluster_utils import Cluster

from stepc.dataset.spool import CompiledUnit
from stepc.diagnostics import Diagnostic, StepcError, fail
from stepc.driver import ray_engine as cluster
from stepc.driver.compile_corpus import compile_corpus
from stepc.driver.compile_video import CompileConfig, Compiler
from stepc.driver.process_pool import Limits
from stepc.driver.ray_engine import Home, RayEngine
from stepc.driver.results import FrontEndResult, VideoResult
from stepc.ir.types import Frame
from stepc.lang.parse import builtin
from stepc.model.client import Usage
from stepc.model.load import ModelConfig
from stepc.model.server_options import ServerOptions
from stepc.passmanager.pipeline_text import DEFAULT, LINK
from stepc.reporter import Collector, Reporter
from stepc.video.probe import probe
from stepc.world.render import write
from stepc.world.scene import make_film

ORDER = CompileConfig(DEFAULT, LINK, builtin("step"), "step.step", seed=1)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three films, and a file that is none."""
    folder = tmp_path_factory.mktemp("films")
    for i in range(3):
        write(make_film(random.Random(f"cluster {i}"), 1), folder / f"film-{i}.mp4")
    (folder / "text.mp4").write_text("no film")
    return folder


@pytest.fixture(scope="module")
def here(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What this machine makes of them."""
    out = tmp_path_factory.mktemp("here")
    compile_corpus([films], out, ORDER, reporter=Reporter())
    return out


@pytest.fixture(scope="module")
def machines() -> Iterator[Cluster]:
    """Two machines with a GPU each, as far as Ray can tell.

    Ray ends workers where nearly all memory is in use, by whatever else the machine does; here it does not.
    """
    os.environ["RAY_memory_monitor_refresh_ms"] = "0"  # noqa: SIM112
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  # beside other tests, 15 gets next to no time
    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 3, "num_gpus": 1, "include_dashboard": False},
    )
    made.add_node(num_cpus=2, num_gpus=1)
    yield made
    made.shutdown()


def _stepc(*arguments: Any, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "stepc", *map(str, arguments)]
    return subprocess.Popen(command, env={**os.environ, **environment}, text=True,
                            stderr=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def _of(cluster: Cluster, what: str) -> list[psutil.Process]:
    """Workers of a cluster that do something, by its name."""
    raylets = [node.all_processes["raylet"][0].process.pid for node in cluster.list_all_nodes()]
    made = []
    for worker in (w for pid in raylets for w in psutil.Process(pid).children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            if what in " ".join(worker.cmdline()):
                made.append(worker)
    return made


def _words(process: psutil.Process) -> list[str]:
    """The words of a process's title; none once it has ended."""
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


LOSSES = max(1, int(os.environ.get("STEPC_KILLS", "1")) // 40)
"""How often a run loses something; more often by `make test-kill`."""


@pytest.mark.embedded
@pytest.mark.parametrize("lost", ["a replica", "a machine"])
def test_a_cluster_makes_the_same_dataset_whatever_it_loses(
    lost: str, machines: Cluster, films: Path, here: Path, tmp_path: Path
) -> None:
    out, store = tmp_path / "out", f"file://{tmp_path}/store"
    asked = ["compile", films, "-o", out, "--seed", 1, "--store", store, "--engine", "ray"]
    run = _stepc(*asked, "--replicas", 2, "--gpus", 0.5, RAY_ADDRESS=machines.address)
    began, ended = time.monotonic(), 0
    while run.poll() is None and time.monotonic() - began < 240 + 60 * LOSSES:
        time.sleep(0.1)
        replicas = _of(machines, "Replica") if ended < LOSSES else []
        busy = any("submit" in " ".join(_words(r)) for r in replicas)
        if busy and (not ended or len(list((out / "units").glob("*.stsg"))) > ended):
            if lost == "a replica":
                random.choice(replicas).kill()
            else:
                machines.remove_node(machines.list_all_nodes()[-1])
                machines.add_node(num_cpus=2, num_gpus=1)
            ended += 1
    _, told = run.communicate()
    assert ended and run.returncode == 1, told  # one file is no film
    assert "3 compiled, 1 failed" in told and "error[B002]" in told and "text.mp4" in told
    assert _tree(out) == _tree(here)


@pytest.mark.embedded
def test_a_file_that_hangs_is_told_as_on_one_machine(
    machines: Cluster, films: Path, tmp_path: Path
) -> None:
    """A file of a million gigabytes: nobody ever comes to its end."""
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "film.mp4").write_bytes((films / "film-0.mp4").read_bytes())
    with (folder / "endless.mp4").open("wb") as file:
        file.truncate(1 << 43)
    asked = ["compile", folder, "-o", tmp_path / "out", "--engine", "ray", "--no-store"]
    run = _stepc(*asked, "--patience", 20, RAY_ADDRESS=machines.address)
    _, told = run.communicate(timeout=240)
    assert "1 compiled, 1 failed" in told and run.returncode == 1, told
    assert re.search(r"error\[B017\]: no progress for", told)


# --- what needs no cluster ---------------------------------------------------------------


@dataclass(frozen=True)
class _Losing(RayEngine):
    """A cluster that loses some videos, some of them once."""

    lost: list[list[Path]] = field(default_factory=list)

    def _made(self, videos: list[Path], most: int, compiler: Compiler) -> Iterator[VideoResult]:
        self.lost.append(videos)
        for path in videos:
            if path.stem not in ("always",) and (path.stem != "once" or most == 1):
                yield VideoResult(path, path.stem)

    def _joined(self, compiler: Compiler) -> Any:
        return contextlib.nullcontext()


def test_videos_that_are_lost_are_tried_once_more_each_by_itself() -> None:
    videos = [Path(f"{name}.mp4") for name in ("a", "once", "always", "b")]
    engine = _Losing()
    made = {r.name: r for r in engine.results(videos, Compiler(ORDER))}
    assert engine.lost == [videos, videos[1:3]] and set(made) == {"a", "b", "once", "always"}
    assert [d.code for d in made["always"].diagnostics] == ["B013"]
    assert not made["once"].diagnostics


class _Broken:
    """In Ray's place, a cluster that goes away."""

    exceptions = ray.exceptions

    def __getattr__(self, name: str) -> Any:
        return self

    def __call__(self, *given: Any, **more: Any) -> Any:
        return self

    def iter_rows(self) -> Iterator[dict[str, Any]]:
        """The rows until it goes away."""
        yield cluster._row(VideoResult(Path("a.mp4"), "a"))
        raise ray.exceptions.RaySystemError("the head is gone")


def test_a_cluster_that_goes_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_ray", _Broken)
    made = RayEngine()._made([Path("a.mp4"), Path("b.mp4")], 1, Compiler(ORDER))
    assert next(made).name == "a"
    with pytest.raises(StepcError) as error:
        next(made)
    (wrong,) = error.value.diagnostics
    assert wrong.code == "B019" and "the head is gone" in wrong.message


@dataclass(frozen=True)
class _Leaving(RayEngine):
    """A cluster that goes away after so many videos."""

    after: int = 0

    def ready(self, compiler: Compiler) -> None:
        """It is."""

    def results(self, videos: Sequence[Path], compiler: Compiler) -> Iterator[VideoResult]:
        """Some."""
        for path in videos[: self.after]:
            yield compiler.compile(path)
        raise fail("B019", "the cluster cannot go on")


@pytest.mark.embedded
def test_what_a_cluster_made_before_it_went_away_is_written(film: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(film.read_bytes() + b"\0")
    for after in (1, 0):
        heard = Collector()
        out = tmp_path / f"out-{after}"
        whole = partial(compile_corpus, [film, other], out, ORDER, reporter=heard,
                        engine=_Leaving(after=after))  # fmt: skip
        if after:
            made = whole()
            assert made.compiled == 1 and made.stopped
            assert [d.code for d in heard.diagnostics] == ["B019"]
            assert made.samples and (out / "qra.jsonl").exists()
            continue
        with pytest.raises(StepcError):
            whole()
        assert not (out / "qra.jsonl").exists()


def test_ray_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(StepcError) as error:
        RayEngine().ready(Compiler(ORDER))
    (wrong,) = error.value.diagnostics
    assert wrong.code == "U001" and "stepc[ray]" in wrong.help


def test_what_is_sent_comes_out_as_it_was(film: Path) -> None:
    picture = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    begun = FrontEndResult(probe(film), b"{}", [("split", {"clips": 2}, 0.25, False, "never made")],
                  {Frame(video="a" * 64, at=40): picture, Frame(video="b" * 64, at=0): picture[:1]},
                  (Diagnostic("B007", "is cut off"),))  # fmt: skip
    row = cluster._table([cluster._packed(film, begun)]).to_pylist()[0]
    back = cluster._unpacked(film, row)
    assert back.source == begun.source and back.unit == begun.unit and back.done == begun.done
    assert back.diagnostics == begun.diagnostics and list(back.pictures) == list(begun.pictures)
    assert all((back.pictures[f] == p).all() for f, p in begun.pictures.items())
    made = VideoResult(film, "film", CompiledUnit(b"[1]", b"{}", "ä", b"{}"), {"1:split": {"clips": 2}},
                  {"1:split": 1 / 3}, Usage(calls=3, seconds=0.1), 2, ["why"], begun.diagnostics)  # fmt: skip
    assert cluster._RESULT.validate_json(cluster._row(made)["result"]) == made


def test_a_budget_is_shared_out() -> None:
    server = ServerOptions("http://127.0.0.1:1/v1", max_requests=10, max_tokens=None, max_cost=1.0)
    order = replace(ORDER, choice=ModelConfig("openai:x", server=server))
    part = RayEngine(replicas=4)._share(order)
    assert part.choice.server == replace(server, max_requests=2, max_cost=0.25)
    assert replace(part, choice=order.choice) == order


def test_another_stepc_on_a_machine_ends_the_run() -> None:
    import pyarrow as pa

    table = pa.table({"path": ["a/film.mp4", "b/film.mp4"]})
    rows = cluster._begin(table, ORDER, Limits(), Home("other code", "", ())).to_pylist()
    made = [cluster._RESULT.validate_json(row["result"]) for row in rows]
    assert [[d.code for d in one.diagnostics] for one in made] == [["B020"]] * 2
    assert Home.here().stranger(Path("film.mp4")) == ()


def test_the_environment_goes_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("OTHER_KEY", "other")
    monkeypatch.chdir(tmp_path)
    home = Home.here()
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.chdir("/")
    home.settle()
    assert os.environ["OPENAI_API_KEY"] == "secret" and Path.cwd() == tmp_path
    assert "OTHER_KEY" not in dict(home.environment)
    replace(home, folder="/is/not/there").settle()


def test_what_goes_wrong_in_a_replica_is_told_of_the_video(film: Path, tmp_path: Path) -> None:
    tape = tmp_path / "calls.jsonl"
    tape.write_text('{"model":"m","templates":"compact"}\n', "utf-8")
    order = replace(ORDER, choice=ModelConfig(f"replay:{tape}"))
    replica = cluster.Replica(order, Limits(patience=0), Home.here(), 2)
    row = cluster._packed(film, FrontEndResult(probe(film), b"not JSON"))
    done = cluster._row(VideoResult(film, "done"))
    made = replica(cluster._table([row, done])).to_pylist()
    told = {r.name: r for r in (cluster._RESULT.validate_json(row["result"]) for row in made)}
    assert [d.code for d in told["film"].diagnostics] == ["B021"] and not told["done"].diagnostics


@pytest.mark.parametrize(
    ("more", "environment", "code", "told"),
    [
        (["--engine", "ray", "--record", "calls.jsonl"], {}, "U001", "recorded on one machine"),
        (["--engine", "ray"], {"RAY_ADDRESS": "127.0.0.1:1"}, "B019", "cannot be reached"),
        (["--engine", "ray", "--gpus", "64"], {}, "B019", "the run needs 64 GPUs"),
        (["--replicas", "2"], {}, "U001", "require --engine ray"),
        (["--gpus", "0.5"], {}, "U001", "require --engine ray"),
    ],
)
def test_a_cluster_that_is_not_there_is_said(
    more: list[str], environment: dict[str, str], code: str, told: str, film: Path, tmp_path: Path
) -> None:
    run = _stepc("compile", film, "-o", tmp_path / "out", *more, **environment)
    _, said = run.communicate(timeout=200)
    assert run.returncode == 1 and f"error[{code}]" in said and told in said, said
    assert "Traceback" not in said


def test_a_store_of_one_machine_is_not_shared_by_many(
    machines: Cluster, film: Path, tmp_path: Path
) -> None:
    asked = ["compile", film, "-o", tmp_path / "out", "--engine", "ray"]
    run = _stepc(*asked, "--store", tmp_path / "store", RAY_ADDRESS=machines.address)
    _, said = run.communicate(timeout=200)
    assert "error[U001]: 2 machines cannot share a store" in said and run.returncode == 1
    assert not (tmp_path / "out" / "qra.jsonl").exists()
