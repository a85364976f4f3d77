"""The functions of the public API: compiling videos, running passes, reading specs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import NoneType
from typing import Any

from stepc.dataset.dataset import Dataset
from stepc.diagnostics import Diagnostic, StepcError, printable
from stepc.driver.compile_corpus import compile_corpus
from stepc.driver.compile_video import CompileConfig, Compiler
from stepc.driver.local_engine import LocalEngine, default_jobs
from stepc.driver.process_pool import Limits
from stepc.ir.types import Unit
from stepc.lang.resolve import read_spec
from stepc.lang.source import spec_text
from stepc.lang.types import Spec
from stepc.model.load import ModelConfig
from stepc.passmanager.base import LinkPass, Pass
from stepc.passmanager.pipeline_text import DEFAULT, parse_pipeline, pipeline_text
from stepc.passmanager.registry import PASSES
from stepc.passmanager.run import run as run_passes
from stepc.passmanager.run import run_alone
from stepc.reporter import Collector, LoggingReporter, Reporter, Tee
from stepc.store.open import default_place

PathLike = str | os.PathLike[str]
Pipeline = str | Pass[Any, Any] | LinkPass | Sequence["str | Pass[Any, Any] | LinkPass"]


def compile(
    videos: PathLike | Iterable[PathLike],
    out: PathLike,
    *,
    spec: PathLike | None = None,
    model: str | ModelConfig = "embedded",
    pipeline: Pipeline | None = None,
    store: PathLike | bool = True,
    jobs: int = 0,
    seed: int = 0,
    verify_each: bool = True,
    replace: bool = False,
    reporter: Reporter | None = None,
) -> Dataset:
    """Compile videos into a dataset and return it.

    Args:
        videos: a video file, a folder of them, or several of both.
        out: the folder of the dataset; it is created if it does not exist.
        spec: a `.step` file, or the name of a built-in spec; None is `step`, the paper's spec.
        model: a name as for `--model` (`embedded`, a hub id, a folder, `openai:MODEL`, `replay:FILE`), or a
            `ModelConfig`, which has all options.
        pipeline: passes as text (`split,keyframes,…`), a pass object, or a sequence of names and pass
            objects.
        store: where results are cached. True is `$STEPC_STORE` or the user's cache folder, False disables
            the store; otherwise a folder or URL.
        jobs: videos compiled in parallel; 0 chooses a number that suits the model.
        seed: seed of all random choices.
        verify_each: verify the unit after each pass.
        replace: replace a dataset in `out` even if the new one lacks videos of it.
        reporter: receives diagnostics, progress and usage; None logs to the logger `stepc`.

    A video that fails is reported and skipped; `Dataset.diagnostics` holds its diagnostics. `compile`
    works in a script without a main guard, in a notebook, and in a daemon process. Raises StepcError if
    nothing can be compiled, for example because no video was found (B006, B010), because of a mistake in
    the spec (S codes), or because the model cannot be loaded (M002-M005); B023 if a finished dataset would
    lose videos, B024 if another process writes to `out`. Raises ValueError or TypeError for an argument of
    the wrong kind.
    """
    config = _config(spec, model, pipeline, seed, verify_each, store)
    _check(reporter=reporter, jobs=jobs, replace=replace, out=out)
    heard = Collector()
    engine = LocalEngine(jobs or default_jobs(config.choice))
    summary = compile_corpus(
        _paths(videos),
        Path(out),
        config,
        engine=engine,
        limits=Limits(),
        replace=replace,
        reporter=Tee(reporter or LoggingReporter(), heard),
    )
    if summary.kept:
        raise StepcError(*(d for d in heard.diagnostics if d.code == "B023"))
    if not summary.compiled and {d.code for d in heard.diagnostics} <= {"B006", "B010"}:
        raise StepcError(*heard.diagnostics or [Diagnostic("B010", "no video was given")])
    return Dataset(out, heard.diagnostics)


def compile_video(
    video: PathLike,
    *,
    spec: PathLike | None = None,
    model: str | ModelConfig = "embedded",
    pipeline: Pipeline | None = None,
    store: PathLike | bool = True,
    seed: int = 0,
    verify_each: bool = True,
    reporter: Reporter | None = None,
) -> Unit:
    """Compile one video in this process and return its unit after the last pass.

    The arguments are those of `compile`. Raises StepcError if the video or a pass fails.
    """
    config = _config(spec, model, pipeline, seed, verify_each, store)
    _check(reporter=reporter)
    compiler = Compiler(config, reporter or LoggingReporter())
    try:
        unit: Unit = compiler.start(Path(video))
        steps = run_passes(
            compiler.passes, unit, compiler.tools(), verify_each=verify_each, memo=compiler.memo
        )
        for done in steps:
            unit = done.unit
    except StepcError as error:
        raise error.in_file(printable(str(video))) from error.__cause__
    finally:
        compiler.close()
    return unit


def run(
    pipeline: Pipeline,
    unit: Unit,
    *,
    videos: PathLike | Iterable[PathLike] = (),
    spec: PathLike | None = None,
    model: str | ModelConfig = "embedded",
    seed: int = 0,
    verify_each: bool = True,
) -> Unit:
    """Run passes on a unit and return the unit after the last one.

    `videos` are the files from which passes read pictures. Link passes see a corpus of this one unit.
    The other arguments are those of `compile`. Raises StepcError: P codes for the pipeline, and the
    diagnostics of the verifier and of the passes.
    """
    from stepc.video.probe import probe

    if not isinstance(unit, Unit):
        raise TypeError(f"a unit is needed, not {unit!r}")
    config = _config(spec, model, pipeline, seed, verify_each, False)
    compiler = Compiler(config)
    for path in _paths(videos):
        compiler.pictures.add(probe(path))
    steps = run_passes(compiler.passes, unit, compiler.tools(), verify_each=verify_each)
    links = [p for p in parse_pipeline(config.pipeline) if isinstance(p, LinkPass)]
    for done in run_alone(steps, unit, links, seed):
        unit = done.unit
    compiler.close()
    return unit


def load_spec(path: PathLike) -> Spec:
    """Read and check a `.step` file, or a built-in spec by its name.

    Raises StepcError: B006 if the file cannot be read, S codes with everything that is wrong in it.
    """
    text, name, folder = spec_text(path)
    return read_spec(text, name, folder)


def _config(
    spec: PathLike | None,
    model: str | ModelConfig,
    pipeline: Pipeline | None,
    seed: int,
    verify_each: bool,
    store: PathLike | bool,
) -> CompileConfig:
    _check(spec=spec, model=model, seed=seed, verify_each=verify_each, store=store)
    text, name, folder = spec_text(spec)
    place = (default_place() if store else None) if isinstance(store, bool) else os.fspath(store)
    return CompileConfig(
        pipeline=_pipeline(pipeline),
        link="",
        spec_text=text,
        spec_name=name,
        choice=ModelConfig(model) if isinstance(model, str) else model,
        spec_folder=folder,
        seed=seed,
        verify_each=verify_each,
        store=place,
    )


_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "spec": ((str, os.PathLike, NoneType), "a path, the name of a built-in spec, or None"),
    "model": ((str, ModelConfig), "a name such as `openai:MODEL`, or a model config"),
    "seed": ((int,), "an integer"),
    "verify_each": ((bool,), "True or False"),
    "store": ((str, os.PathLike, bool), "True, False, or a folder or URL"),
    "reporter": ((Reporter, NoneType), "a stepc.Reporter, or None"),
    "jobs": ((int,), "an integer, 0 or more"),
    "replace": ((bool,), "True or False"),
    "out": ((str, os.PathLike), "the path of a folder"),
}
"""What each argument may be, and how that is said."""


def _check(**arguments: Any) -> None:
    """Raises TypeError or ValueError for an argument that cannot be used, naming it."""
    for name, value in arguments.items():
        kinds, said = _KINDS[name]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise TypeError(f"{name} is {value!r}; it must be {said}")
        if name == "jobs" and isinstance(value, int) and value < 0:
            raise ValueError(f"{name} is {value!r}; it must be {said}")
        if isinstance(value, str) and (not value or "\0" in value):
            raise ValueError(f"{name} is {value!r}; it must be {said}")


def _pipeline(pipeline: Pipeline | None) -> str:
    """A pipeline as text. Registers the classes of pass objects, so that their names can be parsed."""
    if pipeline is None:
        return DEFAULT
    if isinstance(pipeline, str):
        return pipeline
    if isinstance(pipeline, Pass | LinkPass):
        pipeline = [pipeline]
    if not isinstance(pipeline, Iterable):
        raise TypeError(f"pipeline is {pipeline!r}; it must be text, a pass, or several of both")
    passes: list[Pass[Any, Any] | LinkPass] = []
    for each in pipeline:
        if isinstance(each, str):
            passes += parse_pipeline(each)
        elif not isinstance(each, (Pass, LinkPass)):
            raise TypeError(f"a pipeline consists of names and passes, not {each!r}")
        else:
            PASSES.add(type(each).name, type(each))
            passes.append(each)
    text = pipeline_text(passes)
    for given, read in zip(passes, parse_pipeline(text), strict=True):
        if given != read:
            raise TypeError(
                f"the options of {given!r} cannot be written as text, as {read!r} shows"
            )
    return text


def _paths(videos: PathLike | Iterable[PathLike]) -> list[Path]:
    try:
        given = [videos] if isinstance(videos, str | os.PathLike) else list(videos)
    except TypeError:
        raise TypeError(f"videos is {videos!r}; it must be a path or several") from None
    for path in given:
        if not isinstance(path, str | os.PathLike) or str(path) == "" or "\0" in str(path):
            raise ValueError(f"{path!r} is not the path of a video or a folder")
    return [Path(path) for path in given]
