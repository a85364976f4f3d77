"""Measures the start-up CPU time of five commands, beside that of an empty Python program.

    python benchmarks/startup.py [--rounds 10]

Prints the least user and system time of the rounds, and its ratio to the empty program. The commands run in
turn within a round, so that a busy machine slows down all of them; compare the ratios. The first round
writes bytecode and parser tables and does not count.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from stepc.ir.text import write
from stepc.ir.types import Clips, Video

EMPTY = ("-c", "pass")
TARGETS = {"--version": 0.3, "check": 0.3, "opt": 0.6}
"""Most seconds of CPU time on an idle machine."""


def spent(command: tuple[str, ...]) -> float:
    """The CPU time of one run in seconds."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} exited with {process.returncode}")
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print a table of all commands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument(
        "--unit", type=Path, help="the IR text that opt reads; default: a small one"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        spec, unit = Path(folder) / "step.step", given.unit or Path(folder) / "unit.stsg"
        spec.write_text((files("stepc.specs") / "step.step").read_text("utf-8"), "utf-8")
        if given.unit is None:
            video = Video(
                file="v.mp4", sha256="0" * 64, duration=1000, rate="24", width=64, height=64
            )
            unit.write_text(write(Clips(name="v", video=video, clips=())), "utf-8")
        commands = {
            "--version": ("-m", "stepc", "--version"),
            "--help": ("-m", "stepc", "--help"),
            "check": ("-m", "stepc", "check", str(spec)),
            "opt": ("-m", "stepc", "opt", str(unit)),
            "passes": ("-m", "stepc", "passes"),
        }
        for command in commands.values():
            spent(command)
        times: dict[str, list[float]] = {"": [], **{name: [] for name in commands}}
        for _ in range(given.rounds):
            for name, seconds in times.items():
                seconds.append(spent(commands.get(name, EMPTY)))
    empty = min(times.pop(""))
    print(f"{'python -c pass':24} {empty:7.3f} s")
    for name, seconds in times.items():
        aim = f"   at most {TARGETS[name]} s" if name in TARGETS else ""
        print(f"stepc {name:18} {min(seconds):7.3f} s {min(seconds) / empty:6.1f} times{aim}")


if __name__ == "__main__":
    main()
