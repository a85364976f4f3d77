"""A corpus of many short films: memory while it is compiled, and how long it takes when nothing has changed.

    python benchmarks/corpus.py [--films 2000] [--jobs 2] [--plot docs/_static/memory.svg]

Films of one shot are rendered, and compiled by a process of its own whose memory (and its workers') is read every
five seconds; then all is compiled again, twice. The pipeline asks a model little, since the number of videos is what matters.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PIPELINE = (
    "split-uniform,keyframes-uniform(per_clip=2),parse(samples=1),merge,bridge,sample,compose,check"
)


def resident(pid: int) -> int:
    """KB of memory that a process has."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS")), 0)


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    try:
        return [int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def measured(command: list[str], units: Path) -> list[tuple[int, int, int]]:
    """Units done, MB of the process, MB of its largest worker, every five seconds."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    rows = []
    while process.poll() is None:
        time.sleep(5)
        done = sum(1 for _ in units.iterdir()) if units.exists() else 0
        workers = [resident(child) for child in children(process.pid)]
        rows.append((done, resident(process.pid) // 1024, max(workers, default=0) // 1024))
    if process.returncode:
        raise SystemExit(f"the compile ended with {process.returncode}")
    return [row for row in rows if row[1]]


def plot(rows: list[tuple[int, int, int]], path: Path) -> None:
    """Memory by the number of videos that are done."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "stepc"
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(7, 3), layout="constrained")
    done = [row[0] for row in rows]
    axis.plot(done, [row[2] for row in rows], label="the largest worker (with the model)")
    axis.plot(done, [row[1] for row in rows], label="the process that links")
    axis.set_ylim(0)
    axis.set_xlabel("videos compiled")
    axis.set_ylabel("MB")
    axis.legend()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Render, compile, compile again."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--films", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--plot", type=Path)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        stepc = [sys.executable, "-m", "stepc"]
        films, out = str(root / "films"), root / "out"
        subprocess.run(
            [*stepc, "world", "render", "-o", films, "-n", f"{told.films}", "--shots", "1"],
            check=True,
        )
        command = [*stepc, "compile", films, "-o", str(out), "--store", str(root / "store"),
                   "--jobs", f"{told.jobs}", "--pipeline", PIPELINE]  # fmt: skip
        began = time.perf_counter()
        rows = measured(command, out / "units")
        print(f"{told.films} videos: {time.perf_counter() - began:.0f} s")
        tenths = [rows[len(rows) * i // 10] for i in range(10)] + rows[-1:]
        for done, main_, worker in tenths:
            print(f"{done:8,} done: {main_:6,} MB, the largest worker {worker:6,} MB")
        for _ in range(2):
            began = time.perf_counter()
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
            print(f"again, nothing changed: {time.perf_counter() - began:.1f} s")
        if told.plot:
            plot(rows, told.plot)


if __name__ == "__main__":
    main()
