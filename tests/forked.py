"""Runs the command line in a process forked from one that has imported everything.

Importing PyTorch takes most of the time of most commands. What starts a real interpreter is tested
where it matters: start-up time, light imports, packaging, signals, streams.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).parent.parent
PRELOADED = ["torch", "transformers", "scenedetect", "av", "cv2", "stepc.cli",
             "stepc.model.transformers", "stepc.driver.compile_corpus", "stepc.world.render"]  # fmt: skip
_CONTEXT = multiprocessing.get_context("forkserver")


def stepc(
    arguments: Sequence[str],
    cwd: Path,
    stdin: str | None = None,
    timeout: float = 400,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run `stepc` with these arguments in a folder, without colours, and 100 columns wide."""
    _CONTEXT.set_forkserver_preload(PRELOADED)
    settings = {
        **os.environ, "PYTHONPATH": str(HERE), "COLUMNS": "100", "NO_COLOR": "1", **environment,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder) / name for name in ("stdin", "stdout", "stderr")]
        streams[0].write_text(stdin or "", "utf-8")
        process = _CONTEXT.Process(
            target=_run, args=(list(arguments), str(cwd), settings, [str(s) for s in streams])
        )
        process.start()
        process.join(timeout)
        if process.is_alive():
            process.kill()
            raise subprocess.TimeoutExpired(list(arguments), timeout)
        out, err = (s.read_text("utf-8", errors="replace") for s in streams[1:])
    return subprocess.CompletedProcess(list(arguments), process.exitcode or 0, out, err)


def _run(
    arguments: list[str], cwd: str, environment: Mapping[str, str], streams: Sequence[str]
) -> None:
    """In the forked process: take on the folder, the environment and the streams of a new one."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdout.flush()
    sys.stderr.flush()
    for number, (name, mode) in enumerate(zip(streams, ("r", "w", "w"), strict=True)):
        with open(name, mode) as file:  # noqa: PTH123
            os.dup2(file.fileno(), number)
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
        for number, mode in enumerate(("r", "w", "w"))
    )
    sys.argv = ["stepc", *arguments]
    from stepc.cli import main

    try:
        main()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
