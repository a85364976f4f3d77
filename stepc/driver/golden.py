"""Golden files for users: a compile that is recorded once, repeated without the model, and compared."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from stepc.dataset.changes import compared
from stepc.diagnostics import Place, fail, printable
from stepc.driver.compile_corpus import Summary, compile_corpus
from stepc.driver.compile_video import CompileConfig
from stepc.ir.changes import Change
from stepc.lang.parse import shipped
from stepc.lang.source import spec_text
from stepc.model.load import ModelConfig
from stepc.reporter import SILENT, Reporter
from stepc.runtime.atomic_files import read_regular, write_whole

FACTS, CALLS, EXPECTED = "golden.json", "calls.jsonl", "expected"
KEPT = ("units", "qra.jsonl")
"""What of an output folder is expected again."""


def record(
    videos: list[Path], folder: Path, order: CompileConfig, reporter: Reporter = SILENT
) -> Summary:
    """Compile videos, record the model's calls, and keep what comes out as what is expected.

    An older recording in `folder` is replaced when the new one is complete. Raises StepcError as
    `compile_corpus` does, and T003 if nothing was compiled.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        calls = Path(work) / CALLS
        recorded = replace(order, choice=replace(order.choice, record=calls), store=None)
        made = compile_corpus(videos, Path(work) / "out", recorded, reporter=reporter)
        if not made.compiled:
            raise fail("T003", "nothing was compiled", Place(printable(str(folder))))
        calls.touch()
        calls.replace(folder / CALLS)
        _keep(Path(work) / "out", folder / EXPECTED)
    facts = {
        "videos": [os.path.relpath(video, folder) for video in videos],
        "pipeline": order.pipeline,
        "spec": _spec_of(order, folder),
        "templates": order.choice.templates,
        "together": order.choice.together,
        "seed": order.seed,
    }
    write_whole(folder / FACTS, orjson.dumps(facts, option=orjson.OPT_INDENT_2))
    return made


def _spec_of(order: CompileConfig, folder: Path) -> str:
    """The spec: the name of a built-in one, or its path from the folder."""
    if order.spec_folder is None:
        return order.spec_name.removesuffix(".step")
    return os.path.relpath(order.spec_folder / Path(order.spec_name).name, folder)


def _keep(out: Path, expected: Path) -> None:
    """Make the results in a folder the expected ones."""
    shutil.rmtree(expected, ignore_errors=True)
    expected.mkdir()
    for name in KEPT:
        if (out / name).exists():
            shutil.move(out / name, expected / name)


@contextmanager
def repeated(folder: Path, reporter: Reporter = SILENT) -> Iterator[tuple[Path, list[Change]]]:
    """Compile again with the recorded calls; gives the output folder, and what differs from before.

    Raises StepcError: B006 if the folder has no recording, M001 if a call was never recorded.
    """
    try:
        facts: dict[str, Any] = orjson.loads(read_regular(folder / FACTS))
        videos = [folder / video for video in facts["videos"]]
        spec = str(facts["spec"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        help = "record it: stepc golden record VIDEOS -o FOLDER"
        place = Place(printable(str(folder / FACTS)))
        raise fail("B006", f"not a recording ({type(error).__name__})", place, help) from None
    choice = ModelConfig(
        f"replay:{folder / CALLS}", templates=facts.get("templates"), together=facts.get("together")
    )
    text, name, place_ = spec_text(spec if spec in shipped() else folder / spec)
    order = CompileConfig(
        facts["pipeline"], "", text, name, choice, place_, seed=int(facts.get("seed", 0))
    )
    with tempfile.TemporaryDirectory(dir=folder) as work:
        out = Path(work) / "out"
        compile_corpus(videos, out, order, reporter=reporter)
        yield out, list(compared(folder / EXPECTED, out))


def bless(folder: Path, reporter: Reporter = SILENT) -> list[Change]:
    """Compile again with the recorded calls, expect the result from now on, and return what has changed."""
    with repeated(folder, reporter) as (out, found):
        _keep(out, folder / EXPECTED)
    return found
